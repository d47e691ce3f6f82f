/* lexer.re — bytes to tokens.  Reads the whole text once; reports what it cannot
 * read itself and goes on.  Newlines, `at most`, `in` and the words before `[` get
 * their final meaning in the layout pass (compiler/parse.c). */
#include "parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parser.h"

typedef const unsigned char *Bytes;

typedef struct Lexer {
    Parse   *p;
    Bytes    text, end;
    bool     new_line;       /* nothing but blanks since the line began */
    Bytes    line;           /* where it began */
    Bytes    bad_line;       /* the last one with a bad character: one message a line */
} Lexer;

static Span span(const Lexer *lx, Bytes lo, Bytes hi)
{
    return (Span){lx->p->file, (uint32_t)(lo - lx->text), (uint32_t)(hi - lx->text)};
}

static Token *push(Lexer *lx, int kind, Bytes lo, Bytes hi)
{
    Token t = {.lo = (uint32_t)(lo - lx->text), .hi = (uint32_t)(hi - lx->text),
               .kind = (short)kind};
    if (lx->new_line) t.flags = TF_LINE | (lo == lx->line ? TF_COLUMN0 : 0);
    lx->new_line = false;
    vec_push(&lx->p->raw, t);
    return &lx->p->raw.data[lx->p->raw.n - 1];
}

static void push_word(Lexer *lx, int kind, Bytes lo, Bytes hi)
{
    push(lx, kind, lo, hi)->name = intern_n((const char *)lo, (size_t)(hi - lo));
}

/* Marks the declaration around it, so that the parser adds nothing. */
static Diag *error(Lexer *lx, const char *code, Bytes lo, Bytes hi, const char *message)
{
    vec_push(&lx->p->bad, (uint32_t)(lo - lx->text));
    return diag_error(lx->p->sink, code, span(lx, lo, hi), "%s", message);
}

/* ---- UTF-8 ------------------------------------------------------------------- */

/* Length of the code point at s, 0 when it is not UTF-8. */
static int decode(Bytes s, Bytes end, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int n = *s < 0x80 ? 1 : *s < 0xC2 ? 0 : *s < 0xE0 ? 2 : *s < 0xF0 ? 3 : *s < 0xF5 ? 4 : 0;
    if (n == 0 || end - s < n) return 0;
    if (n == 1) return *code = *s, 1;
    uint32_t c = *s & (0x7F >> n);
    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0;
        c = c << 6 | (s[i] & 0x3F);
    }
    if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return 0;
    *code = c;
    return n;
}

static void put_code(Text *t, uint32_t c)
{
    char b[4];
    size_t n = 0;
    if (c < 0x80) b[n++] = (char)c;
    else {
        if (c < 0x800) b[n++] = (char)(0xC0 | c >> 6);
        else {
            if (c < 0x10000) b[n++] = (char)(0xE0 | c >> 12);
            else b[n++] = (char)(0xF0 | c >> 18), b[n++] = (char)(0x80 | (c >> 12 & 0x3F));
            b[n++] = (char)(0x80 | (c >> 6 & 0x3F));
        }
        b[n++] = (char)(0x80 | (c & 0x3F));
    }
    text_putn(t, b, n);
}

/* ---- names --------------------------------------------------------------------- */

typedef struct Pair { uint16_t from, to; } Pair;

/* The same letter with two code points, or with the same shape in every font. */
static const Pair folded[] = {
    {0x00B5, 0x03BC}, {0x03D5, 0x03C6}, {0x03F5, 0x03B5}, {0x03D1, 0x03B8}, {0x03F1, 0x03C1},
    {0x03D6, 0x03C0}, {0x03F0, 0x03BA}, {0x2126, 0x03A9}, {0x212A, 'K'},    {0x212B, 0x00C5},
    {0x0391, 'A'},    {0x0392, 'B'},    {0x0395, 'E'},    {0x0396, 'Z'},    {0x0397, 'H'},
    {0x0399, 'I'},    {0x039A, 'K'},    {0x039C, 'M'},    {0x039D, 'N'},    {0x039F, 'O'},
    {0x03A1, 'P'},    {0x03A4, 'T'},    {0x03A5, 'Y'},    {0x03A7, 'X'},    {0x03BF, 'o'},
};

/* Cyrillic letters with the shape of a Latin one. */
static const Pair cyrillic[] = {
    {0x0430, 'a'}, {0x0435, 'e'}, {0x043E, 'o'}, {0x0440, 'p'}, {0x0441, 'c'}, {0x0445, 'x'},
    {0x0443, 'y'}, {0x0455, 's'}, {0x0456, 'i'}, {0x0458, 'j'}, {0x04BB, 'h'}, {0x051B, 'q'},
    {0x0501, 'd'}, {0x0410, 'A'}, {0x0412, 'B'}, {0x0415, 'E'}, {0x041A, 'K'}, {0x041C, 'M'},
    {0x041D, 'H'}, {0x041E, 'O'}, {0x0420, 'P'}, {0x0421, 'C'}, {0x0422, 'T'}, {0x0423, 'Y'},
    {0x0425, 'X'}, {0x0405, 'S'}, {0x0406, 'I'}, {0x0408, 'J'},
};

static uint32_t mapped(const Pair *table, int n, uint32_t c)
{
    for (int i = 0; i < n; i++)
        if (table[i].from == c) return table[i].to;
    return c;
}

/* A keyword (compiler/front/words.def) or a name.  Folds spellings; a name with deceptive letters is reported and goes on as the
 * name that it looks like. */
static void push_name(Lexer *lx, Bytes lo, Bytes hi)
{
    bool ascii = true;
    for (Bytes s = lo; s < hi; s++) ascii &= *s < 0x80;
    if (ascii) {
        int keyword = word_token((const char *)lo, (size_t)(hi - lo));
        push_word(lx, keyword ? keyword : T_NAME, lo, hi);
        return;
    }
    Text name = {0}, looks = {0};
    bool others = false, wide = false, deceptive = false, honest = false;
    for (Bytes s = lo; s < hi;) {
        uint32_t c = 0, l;
        s += decode(s, hi, &c);
        c = mapped(folded, LQ_COUNT(folded), c);
        l = c;
        if (c >= 0xFF00 && c < 0xFF5F) wide = true, l = c - 0xFEE0;
        else if (c >= 0x400 && c < 0x530) {
            l = mapped(cyrillic, LQ_COUNT(cyrillic), c);
            if (l == c) honest = true;
            else deceptive = true;
        } else if (c >= 'A' && c != '_' && (c < 0x2080 || c > 0x2089)) others = true;
        put_code(&name, c);
        put_code(&looks, l);
    }
    if (wide || (deceptive && (others || !honest))) {
        Diag *d = error(lx, "E0105", lo, hi, "");
        d->message = arena_printf(lx->p->arena, "`%.*s` contains %s letters that look like others",
                                  (int)(hi - lo), (const char *)lo, wide ? "full-width" : "Cyrillic");
        diag_help(lx->p->sink, d, "write `%s` with Latin letters",
                  looks.s);
        Text t = name;
        name = looks;
        looks = t;
    }
    const char *s = intern_n(name.s, name.n);
    if (!strcmp(s, "\xCF\x80")) s = intern("pi");
    push(lx, T_NAME, lo, hi)->name = s;
    text_free(&name);
    text_free(&looks);
}

/* ---- numbers ------------------------------------------------------------------- */

static void push_number(Lexer *lx, Bytes lo, Bytes hi, bool imaginary)
{
    char small[64], *digits = small;
    size_t n = 0, len = (size_t)(hi - lo);
    if (len >= sizeof small) digits = lq_alloc(len + 1);
    for (Bytes s = lo; s < hi; s++)
        if (*s != '_') digits[n++] = (char)*s;
    digits[n] = '\0';
    double value = strtod(digits, NULL);
    if (digits != small) free(digits);
    if (!isfinite(value)) {
        Diag *d = error(lx, "E0107", lo, hi, "this number is larger than a double can hold");
        diag_help(lx->p->sink, d, "the largest is about 1.8e308; infinity is written `inf`");
        value = 0;
    }
    push(lx, imaginary ? T_IMAG : T_NUM, lo, imaginary ? hi + 1 : hi)->num = value;
}

/* x² is x^2, x⁻¹ is x^-1. */
static void push_superscript(Lexer *lx, Bytes lo, Bytes hi)
{
    double value = 0;
    bool minus = false;
    for (Bytes s = lo; s < hi;) {
        uint32_t c = 0;
        s += decode(s, hi, &c);
        if (c == 0x207B) minus = true;
        else if (c != 0x207A)
            value = 10 * value + (c == 0xB2 ? 2 : c == 0xB3 ? 3 : c == 0xB9 ? 1 : (double)(c - 0x2070));
    }
    push(lx, '^', lo, hi);
    if (minus) push(lx, '-', lo, hi);
    push(lx, T_NUM, lo, hi)->num = isfinite(value) ? value : 0;
}

static Bytes bad_character(Lexer *lx, Bytes lo);

/* ---- strings and comments --------------------------------------------------------- */

static Bytes push_string(Lexer *lx, Bytes lo)
{
    Text t = {0};
    Bytes s = lo + 1;
    for (; s < lx->end && *s != '"' && *s != '\n'; s++) {
        uint32_t code;
        int n = decode(s, lx->end, &code);
        if (n == 0 || (*s < 0x20 && *s != '\t' && *s != '\r')) {
            bad_character(lx, s);
        } else if (*s != '\\') {
            text_putn(&t, (const char *)s, (size_t)n);
            s += n - 1;
        } else if (s + 1 < lx->end && s[1] != '\n') {
            s++;
            if (*s == 'n') text_putn(&t, "\n", 1);
            else if (*s == '"' || *s == '\\') text_putn(&t, (const char *)s, 1);
            else {
                n = decode(s, lx->end, &code);
                Diag *d = error(lx, "E0109", s - 1, s + (n ? n : 1), "this escape is not known");
                diag_help(lx->p->sink, d, "the escapes are \\\" \\\\ and \\n");
            }
        }
    }
    if (s < lx->end && *s == '"') {
        s++;
    } else {
        if (s > lo + 1 && s[-1] == '\r') s--;
        Diag *d = error(lx, "E0108", lo, s, "this string does not end on its line");
        diag_help(lx->p->sink, d, "close it with `\"`");
    }
    push(lx, T_STR, lo, s)->name = intern_n(t.s ? t.s : "", t.n);
    text_free(&t);
    return s;
}

/* `##` lines that follow one another are one text. */
static Bytes comment(Lexer *lx, Bytes lo)
{
    Bytes end = memchr(lo, '\n', (size_t)(lx->end - lo));
    if (!end) end = lx->end;
    if (!lx->new_line || end - lo < 2 || lo[1] != '#' || lx->p->expression) return end;
    Bytes from = lo + 2, to = end;
    while (from < to && *from == '#') from++;
    if (from < to && (*from == ' ' || *from == '\t')) from++;      /* what is indented further stays so */
    while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r')) to--;
    Doc doc = {(uint32_t)(lo - lx->text), (uint32_t)(end - lx->text),
               arena_strndup(lx->p->arena, (const char *)from, (size_t)(to - from))};
    vec_push(&lx->p->docs, doc);
    return end;
}

/* ---- what cannot be read ------------------------------------------------------------ */

static const struct { uint32_t code; const char *help; } advice[] = {
    {'$', NULL}, {'@', NULL}, {'\'', "strings are written with double quotes"},
    {'%', "the remainder is `mod(a, b)`"}, {'?', "a choice is written `if c then a else b`"},
    {'&', "write `and`"}, {'|', "the absolute value is `abs(x)`; a logical or is `or`"},
    {'\\', "a line goes on when it ends with an operator or a comma"},
    {0x201C, "strings are written with \""}, {0x201D, "strings are written with \""},
    {0x2018, "strings are written with \""}, {0x2019, "strings are written with \""},
    {0x2013, "a minus is written -"}, {0x2014, "a minus is written -"},
    {0x221A, "the square root is `sqrt(x)`"}, {0x2207, "the gradient is `grad(S, phi)`"},
    {0x2202, "the derivative is `grad(S, phi)`"}, {0x2218, "a product is written *"},
    {0x2227, "write `and`"}, {0x2228, "write `or`"}, {0x00AC, "write `not`"},
};

static Bytes bad_character(Lexer *lx, Bytes lo)
{
    Parse *p = lx->p;
    uint32_t c = 0;
    int n = decode(lo, lx->end, &c);
    Bytes hi = lo + (n ? n : 1);
    if (n == 0)                                       /* one message per run of bad bytes */
        while (hi < lx->end && *hi >= 0x80 && !decode(hi, lx->end, &c)) hi++;
    vec_push(&p->bad, (uint32_t)(lo - lx->text));
    if (lx->bad_line == lx->line || p->bad_characters >= MAX_BAD_CHARACTERS) return hi;
    lx->bad_line = lx->line;
    p->bad_characters++;
    const char *more = p->bad_characters == MAX_BAD_CHARACTERS
                           ? " (further ones in this file are not reported)" : "";
    Diag *d;
    if (n == 0)
        d = diag_error(p->sink, "E0104", span(lx, lo, hi), "these bytes are not UTF-8 text%s", more);
    else if (c < 0x20 || c == 0x7F || (c >= 0x80 && c < 0xA0) || (c >= 0x200B && c < 0x2010) ||
             c == 0xFEFF || (c >= 0x2028 && c < 0x2030) || (c >= 0x2060 && c < 0x2070))
        d = diag_error(p->sink, "E0104", span(lx, lo, hi),
                       "an invisible character (U+%04X) stands here%s", (unsigned)c, more);
    else
        d = diag_error(p->sink, "E0104", span(lx, lo, hi),
                       "the character `%.*s` has no meaning here%s", n, (const char *)lo, more);
    for (int i = 0; n && i < LQ_COUNT(advice); i++)
        if (advice[i].code == c && advice[i].help) diag_help(p->sink, d, "%s", advice[i].help);
    return hi;
}

/* An operator of another language: reported, and read as the one that is meant. */
static void foreign(Lexer *lx, Bytes lo, Bytes hi, int kind, const char *ours, const char *what)
{
    Diag *d = error(lx, "E0110", lo, hi, "");
    d->message = arena_printf(lx->p->arena, "`%.*s` is not an operator of this language",
                              (int)(hi - lo), (const char *)lo);
    diag_help(lx->p->sink, d, "%s is written `%s`", what, ours);
    if (kind) push(lx, kind, lo, hi)->name = intern(ours);
}

/* A name, number or keyword directly after a number. */
static void check_adjacent(Lexer *lx)
{
    Parse *p = lx->p;
    if (p->raw.n < 2) return;
    const Token *a = &p->raw.data[p->raw.n - 2], *b = a + 1;
    if ((a->kind != T_NUM && a->kind != T_IMAG) || a->hi != b->lo) return;
    if (a->lo == a->hi || lx->text[a->lo] >= 0x80) return;
    Bytes lo = lx->text + a->lo, mid = lx->text + b->lo, hi = lx->text + b->hi;
    Diag *d = error(lx, "E0106", lo, hi, "a number runs into what follows it");
    if (b->kind == T_NUM || b->kind == T_IMAG)
        diag_help(p->sink, d, "a number has one decimal point");
    else if (*lo == '0' && mid == lo + 1 && (*mid == 'x' || *mid == 'b'))
        diag_help(p->sink, d, "numbers are written in decimal digits");
    else if (*mid == '_')
        diag_help(p->sink, d, "`_` stands only between digits: 1_000");
    else if (b->kind != T_NAME)
        diag_help(p->sink, d, "put a space between them");
    else
        diag_help(p->sink, d, "write a product as `%.*s*%.*s`; a unit needs a space",
                  (int)(mid - lo), (const char *)lo, (int)(hi - mid), (const char *)mid);
    p->raw.n--;
}

static bool continues_name(unsigned char c)
{
    return c == '_' || c == '\'' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || c >= 0x80;
}

/* ---- the scanner ----------------------------------------------------------------------- */

void lex_file(Parse *p)
{
    Lexer lexer = {.p = p, .text = (Bytes)p->src->text, .new_line = true}, *lx = &lexer;
    Bytes cur = lx->text, lim = cur + p->src->len, mark = cur, tok;
    lx->end = lim;
    if (lim - cur >= 3 && !memcmp(cur, "\xEF\xBB\xBF", 3)) cur += 3;
    lx->line = cur;
#define SIGN(kind) { push(lx, kind, tok, cur); continue; }
    for (;;) {
        tok = cur;
        /*!re2c
        re2c:define:YYCTYPE = "unsigned char";
        re2c:define:YYCURSOR = cur;
        re2c:define:YYMARKER = mark;
        re2c:define:YYLIMIT = lim;
        re2c:yyfill:enable = 0;
        re2c:eof = 0;
        re2c:flags:utf-8 = 1;

        digits = [0-9] ("_"? [0-9])*;
        expo   = [eE] [+\-]? digits;
        number = digits ("." digits)? expo? | "." digits expo? | digits "." expo;
        latin  = [a-zA-Z_\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02af\u1e00-\u1eff];
        greek  = [\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u03f5\u03f7-\u03ff\u1f00-\u1fbc];
        slavic = [\u0400-\u0481\u048a-\u052f];
        script = [\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u2138\u213c-\u213f\u2145-\u2149];
        asian  = [\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3];
        other  = [\uff21-\uff3a\uff41-\uff5a\u05d0-\u05ea\U0001d400-\U0001d7cb];
        letter = latin | greek | slavic | script | asian | other;
        inner  = letter | [0-9'] | [\u0300-\u036f\u2080-\u2089\u2090-\u209c\u1d62-\u1d6a\uff10-\uff19];
        name   = letter inner*;
        raised = [\u00b2\u00b3\u00b9\u2070\u2074-\u2079]+;
        blank  = [ \t\r\f\u00a0\u2000-\u200a\u202f\u205f\u3000]+;

        $      { break; }
        blank  { continue; }
        "\n"   { lx->new_line = true; lx->line = cur; continue; }
        "#"    { cur = comment(lx, tok); continue; }
        ["]    { cur = push_string(lx, tok); continue; }

        name   { push_name(lx, tok, cur); check_adjacent(lx); continue; }
        number {
            /* `1.` is a number, `0..9` is a range */
            if (*cur == '.' && cur[1] != '.' && !memchr(tok, '.', (size_t)(cur - tok)) &&
                !(continues_name(cur[1]) && !(cur[1] >= '0' && cur[1] <= '9')))
                cur++;
            bool imaginary = *cur == 'i' && !continues_name(cur[1]);
            push_number(lx, tok, cur, imaginary);
            cur += imaginary;
            check_adjacent(lx);
            continue;
        }
        raised | [\u207b\u207a] raised { push_superscript(lx, tok, cur); continue; }
        "\u00bd" { push(lx, T_NUM, tok, cur)->num = 0.5; continue; }
        "\u221e" { push(lx, T_NAME, tok, cur)->name = intern("inf"); continue; }
        "\u2211" { push(lx, T_NAME, tok, cur)->name = intern("sum"); check_adjacent(lx); continue; }
        "\u220f" { push(lx, T_NAME, tok, cur)->name = intern("prod"); check_adjacent(lx); continue; }
        "\u222b" { push(lx, T_NAME, tok, cur)->name = intern("integral"); check_adjacent(lx); continue; }

        "\u2208"                 { push(lx, T_IN, tok, cur)->name = intern("in"); continue; }
        "\u00b7" | "\u00d7" | "\u22c5" { SIGN('*') }
        "\u00f7"                 { SIGN('/') }
        "\u2212"                 { SIGN('-') }
        "<=" | "\u2264"          { SIGN(T_LE) }
        ">=" | "\u2265"          { SIGN(T_GE) }
        "!=" | "\u2260"          { SIGN(T_NE) }
        "=="                     { SIGN(T_EQ) }
        "->" | "\u2192"          { SIGN(T_ARROW) }
        ".."                     { SIGN(T_DOTDOT) }
        "|>"                     { SIGN(T_PIPE) }
        ">>"                     { SIGN(T_COMPOSE) }
        [+\-*/^<>=~,;:.(){}[\]]  { SIGN(*tok) }

        "**"   { foreign(lx, tok, cur, '^', "^", "a power"); continue; }
        "&&"   { foreign(lx, tok, cur, T_AND, "and", "the logical and"); continue; }
        "||"   { foreign(lx, tok, cur, T_OR, "or", "the logical or"); continue; }
        "!"    { foreign(lx, tok, cur, T_NOT, "not", "the logical not"); continue; }
        ":="   { foreign(lx, tok, cur, '=', "=", "a definition"); continue; }
        "=>"   { foreign(lx, tok, cur, T_ARROW, "->", "an arrow"); continue; }
        "<>"   { foreign(lx, tok, cur, T_NE, "!=", "not equal"); continue; }
        "//"   { foreign(lx, tok, cur, 0, "#", "a comment"); cur = comment(lx, tok); continue; }
        "+=" | "-=" | "*=" | "/=" {
            foreign(lx, tok, cur, '=', "a = a + b", "a new value for a name"); continue; }

        *      { cur = bad_character(lx, tok); continue; }
        */
    }
}
