/* format.c — the white space of a text.  Line breaks stay where they are, except that
 * blank lines become at most one.  What is decided here:
 *
 *   blanks between two lexemes     fill_gaps
 *   columns that the author meant  align: `=` or `:` of adjacent lines, names after keywords
 *   indentation                    indent_lines: by braces; below the first word in a bracket
 *   comments behind code           write_line: they stay in their column where there is room
 *
 * Requires: a text that parses.  Keeps: every letter, every token, every comment; the result
 * is read again and compared, so a mistake here can refuse a text but not damage it. */
#include "parse.h"

#include <stdlib.h>

#include "parser.h"

typedef struct Line {
    int first, end;            /* lexemes */
    int code_end;              /* end without the comment behind the code */
    int source;                /* number of the line in the source */
    int indent;
    int comment;               /* column of the comment behind the code, or -1 */
    int opened;                /* brackets open where it begins */
} Line;

typedef struct Format {
    const char *text;
    Lexemes     lex;
    int        *gap;           /* blanks before each lexeme */
    int        *column;        /* in the source */
    int        *code;          /* the first lexeme from each one on that is no comment */
    VEC(Line)   lines;
} Format;

/* ==== what a lexeme is ============================================================ */

/* ² is one lexeme, an operator and its number. */
static bool is_raised(const Format *f, int i)
{
    return f->lex.data[i].kind == '^' && f->text[f->lex.data[i].lo] != '^';
}

static bool ends_operand(const Format *f, int i)
{
    switch (f->lex.data[i].kind) {
    case T_NAME: case T_NUM: case T_IMAG: case T_STR: case T_TRUE: case T_FALSE:
    case ')': case ']': case '}':
        return true;
    default:
        return is_raised(f, i);
    }
}

static bool opens(int kind) { return kind == '(' || kind == '[' || kind == '{'; }
static bool shuts(int kind) { return kind == ')' || kind == ']' || kind == '}'; }

static bool is_comment(const Format *f, int i) { return f->lex.data[i].class == LEX_COMMENT; }

/* A sign before its operand.  Behind `sum[…]` a minus is one too. */
static bool is_unary(const Format *f, int i, bool binder_ended)
{
    return f->lex.data[i].kind == '-' && (i == 0 || binder_ended || !ends_operand(f, i - 1));
}

/* ==== blanks between lexemes ======================================================= */

/* Blanks between two lexemes in the source. */
static int source_gap(const Format *f, int i)
{
    return (int)(f->lex.data[i].lo - f->lex.data[i - 1].hi);
}

static int width(const Format *f, int i)
{
    int n = 0;
    for (uint32_t k = f->lex.data[i].lo; k < f->lex.data[i].hi; k++) n += ((unsigned char)f->text[k] & 0xC0) != 0x80;
    return n;
}

/* An open bracket: what its inside looks like. */
typedef struct Bracket {
    int  kind;
    int  inside;               /* blanks behind it and before its end */
    bool binder;
} Bracket;

typedef struct Spacing {
    Format      *f;
    VEC(Bracket) open;
    bool         binder_ended; /* the lexeme before closed the index of a binder */
    bool         unary;        /* the lexeme before is a sign of its operand */
    int          product;      /* blanks before the last * or / */
} Spacing;

/* Two numbers or a number and a point would become one. */
static int beside_point(const Format *f, int i)
{
    const Lexeme *a = &f->lex.data[i - 1], *b = &f->lex.data[i];
    bool dots = f->text[a->hi - 1] == '.' && f->text[b->lo] == '.';
    return dots || a->class == LEX_NUMBER ? (source_gap(f, i) > 0 && (dots || b->kind == '.')) : 0;
}

static int gap_at_bracket(Spacing *s, int i)
{
    const Format *f = s->f;
    int before = f->lex.data[i - 1].kind, kind = f->lex.data[i].kind;
    bool blank = source_gap(f, i) > 0;
    if (shuts(kind)) {
        if (opens(before)) return 0;
        return s->open.n ? s->open.data[s->open.n - 1].inside : 0;
    }
    if (before == '(') return s->open.n ? s->open.data[s->open.n - 1].inside : 0;
    if (before == '[') return 0;
    if (before == '{' || kind == '{') return 1;
    if (kind == '[') return ends_operand(f, i - 1) || before == T_BINDER ? 0 : -1;
    if (kind == '(' && before == T_NAME) return 0;
    if (kind == '(' && (before == ']' || before == ')')) return blank;
    return -1;
}

/* Blanks before lexeme i, which is not the first on its line. */
static int gap_before(Spacing *s, int i)
{
    const Format *f = s->f;
    const Lexeme *a = &f->lex.data[i - 1], *b = &f->lex.data[i];
    bool blank = source_gap(f, i) > 0;
    if (b->kind == ',' || b->kind == ';' || b->kind == T_SEMI) return 0;
    if (a->kind == ',' || a->kind == ';' || a->kind == T_SEMI) return 1;
    if (s->unary) return 0;
    int bracket = gap_at_bracket(s, i);
    if (bracket >= 0) return bracket;
    if (a->kind == '.' || b->kind == '.' || a->kind == T_DOTDOT || b->kind == T_DOTDOT) return beside_point(f, i);
    if (is_raised(f, i) || (b->kind == '^') || (a->kind == '^' && !is_raised(f, i - 1))) return 0;
    if (b->kind == '*' || b->kind == '/') return blank;
    if (a->kind == '*' || a->kind == '/') return a->first ? blank : s->product;
    if (b->kind == '-' && s->binder_ended) return 1;
    bool setting = s->open.n && s->open.data[s->open.n - 1].kind == '{' && i + 1 < f->lex.n && f->lex.data[i + 1].kind == '=';
    return setting && ends_operand(f, i - 1) ? 2 : 1;
}

static bool last_on_line(const Format *f, int i)
{
    return i + 1 >= f->lex.n || f->lex.data[i + 1].first || is_comment(f, i + 1);
}

static void follow(Spacing *s, int i)
{
    Format *f = s->f;
    const Lexeme *x = &f->lex.data[i];
    s->unary = is_unary(f, i, s->binder_ended);
    s->binder_ended = false;
    if (x->kind == '*' || x->kind == '/') s->product = f->gap[i] > 0;
    if (opens(x->kind)) {
        bool binder = x->kind == '[' && i > 0 && f->lex.data[i - 1].kind == T_BINDER;
        bool wide = x->kind == '{' || (x->kind == '(' && !last_on_line(f, i) && source_gap(f, i + 1) > 0 && f->lex.data[i + 1].kind != T_SEMI);
        Bracket b = {x->kind, wide, binder};
        vec_push(&s->open, b);
    } else if (shuts(x->kind) && s->open.n) {
        s->binder_ended = s->open.data[--s->open.n].binder;
    }
}

static void fill_gaps(Format *f)
{
    Spacing s = {.f = f};
    for (int i = 0; i < f->lex.n; i++) {
        if (is_comment(f, i)) continue;
        if (i > 0 && !f->lex.data[i].first) f->gap[i] = gap_before(&s, i);
        follow(&s, i);
    }
    vec_free(&s.open);
}

/* ==== lines ======================================================================== */

static void find_lines(Format *f)
{
    int source = 0, column = 0, opened = 0;
    uint32_t at = 0;
    for (int i = 0; i < f->lex.n; i++) {
        const Lexeme *x = &f->lex.data[i];
        for (; at < x->lo; at++) {
            unsigned char c = (unsigned char)f->text[at];
            if (c == '\n') source++, column = 0;
            else if (c == '\t') column += 8 - column % 8;
            else column += (c & 0xC0) != 0x80 && c != '\r';
        }
        f->column[i] = column;
        if (x->first) {
            Line l = {.first = i, .source = source, .comment = -1, .opened = opened};
            vec_push(&f->lines, l);
        }
        Line *l = &f->lines.data[f->lines.n - 1];
        l->end = i + 1;
        if (x->class != LEX_COMMENT) l->code_end = i + 1, opened += opens(x->kind) - shuts(x->kind);
        else if (!x->first) l->comment = column;
    }
    for (int i = 0; i < f->lines.n; i++)
        if (f->lines.data[i].code_end < f->lines.data[i].first) f->lines.data[i].code_end = f->lines.data[i].first;
}

/* Columns of a line from its first letter on: of lexeme `to`, or of its end. */
static int reach(const Format *f, const Line *l, int to)
{
    int n = 0;
    for (int i = l->first; i < to; i++) n += (i > l->first ? f->gap[i] : 0) + width(f, i);
    return n;
}

/* ==== columns ======================================================================= */

/* The lexeme of a line whose column may be aligned, or -1. */
typedef int Anchor(const Format *f, const Line *l);

static int name_after_keyword(const Format *f, const Line *l)
{
    int i = l->first;
    return l->code_end > i + 1 && f->lex.data[i].begins && f->lex.data[i].class == LEX_KEYWORD && f->lex.data[i + 1].class == LEX_NAME ? i + 1 : -1;
}

static int sign_of_definition(const Format *f, const Line *l)
{
    if (l->code_end <= l->first || !f->lex.data[l->first].begins) return -1;
    int depth = 0;
    for (int i = l->first; i < l->code_end; i++) {
        int kind = f->lex.data[i].kind;
        if (depth == 0 && (kind == '=' || kind == ':')) return i;
        if (opens(kind)) depth++;
        if (shuts(kind) && depth > 0) depth--;
    }
    return -1;
}

/* Adjacent lines that have the anchor in one column of the source, where one of them
 * needed more than one blank for it, keep a common column. */
static void align(Format *f, Anchor *anchor)
{
    for (int i = 0, next; i < f->lines.n; i = next) {
        const Line *l = &f->lines.data[i];
        int a = anchor(f, l), most = 0;
        bool meant = false;
        for (next = i; next < f->lines.n; next++) {
            const Line *m = &f->lines.data[next];
            int b = anchor(f, m);
            if (next > i && (a < 0 || b < 0 || m->opened != l->opened || f->lex.data[b].kind != f->lex.data[a].kind ||
                             m->source != m[-1].source + 1 ||
                             f->column[b] - f->column[m->first] != f->column[a] - f->column[l->first])) break;
            if (b < 0) continue;
            meant |= source_gap(f, b) > 1;
            int here = reach(f, m, b);
            if (here > most) most = here;
        }
        if (next == i) next++;
        for (int k = i; k < next && meant && next > i + 1; k++) {
            int b = anchor(f, &f->lines.data[k]);
            f->gap[b] = most - reach(f, &f->lines.data[k], b) + 1;
        }
    }
}

/* ==== indentation ================================================================== */

/* Where the statement began: its indentation, and its column in the source. */
typedef struct Begin { int indent, column; } Begin;

typedef struct Inside {
    int   kind;
    int   column;              /* of the first lexeme behind it, or -1: the line ends there */
    Begin begin;
} Inside;

typedef struct Indenting {
    Format     *f;
    VEC(Inside) open;
    Begin       begin;
} Indenting;

/* A line that goes on with the one before keeps its distance from the beginning. */
static int going_on(const Indenting *d, int base, int i)
{
    if (d->f->lex.data[i].kind == '{') return d->begin.indent;
    int further = d->f->column[i] - d->begin.column;
    int indent = d->begin.indent + further;
    return further > 0 && indent > base ? indent : base + 4;
}

/* i: the first lexeme of a line. */
static int indentation(const Indenting *d, int i)
{
    const Format *f = d->f;
    int code = f->code[i];
    bool end = code >= f->lex.n, begins = end || f->lex.data[code].begins;
    bool closing = !end && i == code && shuts(f->lex.data[code].kind);
    if (!d->open.n) return begins || closing ? 0 : going_on(d, 0, i);
    const Inside *top = &d->open.data[d->open.n - 1];
    bool brace = top->kind == '{';
    if (closing && (brace || top->column < 0)) return top->begin.indent;
    if (brace) {
        int base = top->begin.indent + 2;
        bool new_one = begins || (!end && shuts(f->lex.data[code].kind));
        return new_one ? base : going_on(d, base, i);
    }
    return top->column < 0 ? top->begin.indent + 2 : top->column;
}

static void indent_lines(Format *f)
{
    Indenting d = {.f = f};
    for (int n = 0; n < f->lines.n; n++) {
        Line *l = &f->lines.data[n];
        l->indent = indentation(&d, l->first);
        int column = l->indent;
        for (int i = l->first; i < l->code_end; i++) {
            const Lexeme *x = &f->lex.data[i];
            if (x->begins) d.begin = (Begin){l->indent, f->column[l->first]};
            column += (i > l->first ? f->gap[i] : 0) + width(f, i);
            if (opens(x->kind)) {
                Inside in = {x->kind, last_on_line(f, i) ? -1 : column + f->gap[i + 1], d.begin};
                vec_push(&d.open, in);
            } else if (shuts(x->kind) && d.open.n) {
                d.begin = d.open.data[--d.open.n].begin;
            }
        }
    }
    vec_free(&d.open);
}

/* ==== writing ======================================================================= */

/* Comments behind the code of adjacent lines that began in one column keep one column. */
static void place_comments(Format *f)
{
    for (int i = 0, next; i < f->lines.n; i = next) {
        int column = f->lines.data[i].comment, most = column;
        for (next = i; next < f->lines.n; next++) {
            const Line *m = &f->lines.data[next];
            if (next > i && (m->comment < 0 || m->comment != column || m->source != m[-1].source + 1)) break;
            int least = m->indent + reach(f, m, m->code_end) + 2;
            if (m->comment >= 0 && least > most) most = least;
        }
        for (int k = i; k < next && column >= 0; k++) f->lines.data[k].comment = most;
    }
}

static void blanks(Text *out, int n)
{
    text_printf(out, "%*s", n, "");
}

static void put_lexeme(const Format *f, int i, Text *out)
{
    const Lexeme *x = &f->lex.data[i];
    uint32_t hi = x->hi;
    if (x->class == LEX_COMMENT)
        while (hi > x->lo && strchr(" \t\r\f", f->text[hi - 1])) hi--;
    text_putn(out, f->text + x->lo, hi - x->lo);
}

static void write_line(const Format *f, const Line *l, Text *out)
{
    blanks(out, l->indent);
    for (int i = l->first; i < l->end; i++) {
        if (i >= l->code_end && i > l->first) blanks(out, l->comment - l->indent - reach(f, l, l->code_end));
        else if (i > l->first) blanks(out, f->gap[i]);
        put_lexeme(f, i, out);
    }
    text_putn(out, "\n", 1);
}

/* A blank line between two lines: not behind `{`, not before `}`. */
static bool blank_between(const Format *f, const Line *a, const Line *b)
{
    if (b->source <= a->source + 1) return false;
    bool after = a->code_end > a->first && f->lex.data[a->code_end - 1].kind == '{';
    return !after && !(b->code_end > b->first && f->lex.data[b->first].kind == '}');
}

/* ==== the whole ===================================================================== */

/* Is it the same text but for blanks? */
static bool same_lexemes(const Format *f, const char *text, const Lexemes *l)
{
    if (l->n != f->lex.n) return false;
    for (int i = 0; i < l->n; i++) {
        const Lexeme *a = &f->lex.data[i], *b = &l->data[i];
        uint32_t n = a->hi - a->lo;
        if (a->class == LEX_COMMENT)
            while (n > 0 && strchr(" \t\r\f", f->text[a->lo + n - 1])) n--;
        if (a->kind != b->kind || a->first != b->first || a->begins != b->begins || n != b->hi - b->lo ||
            memcmp(f->text + a->lo, text + b->lo, n) != 0)
            return false;
    }
    return true;
}

static void format_lexemes(Format *f, Text *out)
{
    f->gap = lq_alloc((size_t)(f->lex.n + 1) * sizeof *f->gap);
    f->column = lq_alloc((size_t)(f->lex.n + 1) * sizeof *f->column);
    f->code = lq_alloc((size_t)(f->lex.n + 1) * sizeof *f->code);
    memset(f->gap, 0, (size_t)(f->lex.n + 1) * sizeof *f->gap);
    f->code[f->lex.n] = f->lex.n;
    for (int i = f->lex.n - 1; i >= 0; i--) f->code[i] = is_comment(f, i) ? f->code[i + 1] : i;
    find_lines(f);
    fill_gaps(f);
    align(f, name_after_keyword);
    align(f, sign_of_definition);
    indent_lines(f);
    place_comments(f);
    if (!strncmp(f->text, "\xEF\xBB\xBF", 3)) text_putn(out, f->text, 3);
    for (int i = 0; i < f->lines.n; i++) {
        if (i > 0 && blank_between(f, &f->lines.data[i - 1], &f->lines.data[i])) text_putn(out, "\n", 1);
        write_line(f, &f->lines.data[i], out);
    }
    free(f->gap);
    free(f->column);
    free(f->code);
    vec_free(&f->lines);
}

Formatted format_file(Front *front, uint32_t file, Text *out)
{
    int before = front->sink.nerrors;
    parse_file(front, file);
    if (front->sink.nerrors > before) return FORMAT_ERRORS;
    Format f = {.text = front->sources.files.data[file]->text, .lex = lexemes(front, file)};
    format_lexemes(&f, out);
    uint32_t again = source_add(&front->sources, "formatted text", out->s ? out->s : "", out->n);
    Lexemes l = lexemes(front, again);
    bool same = same_lexemes(&f, front->sources.files.data[again]->text, &l);
    vec_free(&l);
    vec_free(&f.lex);
    return same ? FORMAT_DONE : FORMAT_FAILED;
}
