/* parse.c — drives lexer and push parser.
 *
 * The layout pass turns raw tokens into the tokens of the grammar: it decides which
 * newlines separate, gives `in`, `at most` and binder words their meaning, matches
 * brackets, and cuts the file into declarations.  Each declaration is parsed alone,
 * so a mistake in one never reaches the next; inside a block, recovery goes on with
 * the next statement. */
#include "parse.h"

#include <stdlib.h>
#include <string.h>

#include "parser.h"

/* ==== classes of tokens ========================================================== */

/* Words that begin a declaration. */
static bool is_decl_word(int kind)
{
    return (kind >= T_IMPORT && kind <= T_PRINT) || kind == T_RESERVED;
}

static bool is_word(int kind)
{
    return (kind >= T_IMPORT && kind <= T_REVERSIBLE && kind != T_IN_BIND && kind != T_IN_INTERVAL &&
            kind != T_AT_MOST) ||
           (kind >= T_WITH && kind <= T_FALSE) || kind == T_RESERVED;
}

static bool ends_operand(int kind)
{
    switch (kind) {
    case T_NAME: case T_NUM: case T_IMAG: case T_STR: case T_TRUE: case T_FALSE:
    case ')': case ']': case '}':
        return true;
    default:
        return false;
    }
}

static bool begins_operand(int kind)
{
    return kind == T_NAME || kind == T_NUM || kind == T_IMAG || kind == T_STR || kind == T_TRUE ||
           kind == T_FALSE || kind == T_BINDER;
}

static bool is_comparison(int kind)
{
    return kind == '<' || kind == '>' || kind == T_LE || kind == T_GE || kind == T_EQ || kind == T_NE ||
           kind == T_IN;
}

/* A line that begins so continues the one before. */
static bool continues(int kind)
{
    switch (kind) {
    case '+': case '-': case '*': case '/': case '^': case T_AND: case T_OR: case T_PIPE:
    case T_COMPOSE: case ')': case ']': case ',': case '=': case '~': case T_ARROW: case '{':
    case ':': case '.': case T_DOTDOT: case T_WITH: case T_OVER: case T_THEN: case T_ELSE: case T_OF:
    case T_TO: case T_AS: case T_AT_MOST:
        return true;
    default:
        return is_comparison(kind);
    }
}

static Span token_span(const Parse *p, const Token *t)
{
    return (Span){p->file, t->lo, t->hi};
}

/* ==== layout ======================================================================= */

typedef struct Layout {
    Parse *p;
    int    raw;             /* next raw token */
    int    keyword;         /* of the declaration being read */
    bool   for_list;        /* in the binds of a plot or a scan */
    bool   scan;            /* in a scan, whose block holds tasks */
    bool   interval;        /* after the `in` of a param: its bracket comes next */
    int    skipped;         /* brackets open beyond the limit */
} Layout;

static int closer_of(int kind)
{
    return kind == '(' ? ')' : kind == '[' ? ']' : '}';
}

static Chunk *chunk(Layout *l)
{
    return &l->p->chunks.data[l->p->chunks.n - 1];
}

static int last_kind(const Layout *l)
{
    const Parse *p = l->p;
    return p->chunks.n && p->toks.n > p->chunks.data[p->chunks.n - 1].first
               ? p->toks.data[p->toks.n - 1].kind : T_START_DECL;
}

static void unclosed(Layout *l, const Token *instead)
{
    Parse *p = l->p;
    Open *o = &p->open.data[p->open.n - 1];
    if (chunk(l)->broken) return;
    chunk(l)->broken = true;
    Diag *d = diag_error(p->sink, "E0102", (Span){p->file, o->lo, o->lo + 1},
                         "this `%c` is never closed", o->kind);
    diag_here(p->sink, d, "opened here");
    if (!instead) return;
    if (is_word(instead->kind))
        diag_label(p->sink, d, token_span(p, instead), "the next declaration begins here");
    else
        diag_label(p->sink, d, token_span(p, instead), "closed by another kind of bracket");
    diag_help(p->sink, d, "add `%c` where the %s ends", closer_of(o->kind),
              o->kind == '{' ? "block" : o->kind == '[' ? "index" : "expression");
}

static void end_chunk(Layout *l, const Token *next)
{
    Parse *p = l->p;
    if (!p->chunks.n) return;
    if (p->open.n) {
        p->more = !next && !chunk(l)->broken;
        unclosed(l, next);
    }
    p->open.n = 0;
    l->skipped = 0;
    Chunk *c = chunk(l);
    while (p->toks.n > c->first && (last_kind(l) == ';' || last_kind(l) == T_NEWLINE)) p->toks.n--;
    c->end = p->toks.n;
    c->hi = next ? next->lo : (uint32_t)p->src->len;
}

static void begin_chunk(Layout *l, const Token *t)
{
    Chunk c = {.first = l->p->toks.n, .lo = l->p->chunks.n ? t->lo : 0, .stray = -1, .open = -1,
               .loose = !is_decl_word(t->kind)};
    vec_push(&l->p->chunks, c);
    l->keyword = t->kind;
    l->interval = false;
    l->for_list = l->scan = t->kind == T_SCAN;
}

/* Between brackets everything goes on; otherwise a declaration ends at a separator.
 * A word for a declaration at the very left begins one even inside a bracket. */
static bool begins_declaration(const Layout *l, const Token *t)
{
    if (l->p->expression) return false;
    int last = last_kind(l);
    bool word = is_decl_word(t->kind) && !(last == '.' && !(t->flags & TF_LINE));
    if (word && t->flags & TF_COLUMN0) return true;
    if (l->p->open.n || l->skipped || last == T_START_DECL) return false;
    return (word && t->flags & TF_LINE) || last == ';' ||
           (t->flags & TF_LINE && ends_operand(last) && !continues(t->kind) && t->kind != T_FOR);
}

static void open_bracket(Layout *l, const Token *t)
{
    Parse *p = l->p;
    if (p->open.n >= MAX_BRACKETS) {
        if (!chunk(l)->broken)
            diag_error(p->sink, "E0123", token_span(p, t),
                       "more than %d brackets stand inside one another", MAX_BRACKETS);
        chunk(l)->broken = true;
        l->skipped++;
        return;
    }
    Open o = {t->kind, t->lo, l->interval && t->kind != '{'};
    vec_push(&p->open, o);
    l->interval = false;
    if (t->kind == '{') l->for_list = false;
}

static bool closes(const Open *o, int kind)
{
    return closer_of(o->kind) == kind || (o->interval && kind != '}');
}

static void close_bracket(Layout *l, const Token *t)
{
    Parse *p = l->p;
    if (l->skipped) {
        l->skipped--;
        return;
    }
    int at = p->open.n - 1;
    while (at >= 0 && !closes(&p->open.data[at], t->kind)) at--;
    if (at < 0) {
        if (!chunk(l)->broken) {
            chunk(l)->stray = p->toks.n;
            if (p->open.n) chunk(l)->open = p->open.data[p->open.n - 1].lo;
        }
        chunk(l)->broken = true;
        return;
    }
    if (at < p->open.n - 1) unclosed(l, t);
    p->open.n = at;
}

static void emit(Layout *l, Token t)
{
    vec_push(&l->p->toks, t);
}

static void separator(Layout *l, const Token *t)
{
    Parse *p = l->p;
    int last = last_kind(l);
    if (last == T_START_DECL || last == T_NEWLINE || last == ';' || last == '{') return;
    const Token *before = &p->toks.data[p->toks.n - 1];
    Token nl = {.lo = before->hi, .hi = before->hi, .kind = T_NEWLINE,
                .flags = t->flags & TF_LINE ? 0 : TF_VIRTUAL};
    emit(l, nl);
}

/* The place of `in`: a bind, an interval, or a comparison. */
static int kind_of_in(const Layout *l)
{
    const Parse *p = l->p;
    int n = p->toks.n - p->chunks.data[p->chunks.n - 1].first;
    int top = p->open.n ? p->open.data[p->open.n - 1].kind : 0;
    if (top == 0 && l->keyword == T_PARAM) return T_IN_INTERVAL;
    if (n < 2) return T_IN;
    const Token *end = p->toks.data + p->toks.n;
    if (end[-1].kind != T_NAME) return T_IN;
    if (end[-2].kind == T_FOR || end[-2].kind == T_SCAN || (end[-2].kind == '[' && top == '[')) return T_IN_BIND;
    if (end[-2].kind == ',' && (top == '[' || (top == 0 && l->for_list))) return T_IN_BIND;
    return T_IN;
}

/* Names whose meaning depends on their neighbours; returns tokens used. */
static int contextual(Layout *l, Token *t)
{
    const Parse *p = l->p;
    const Token *next = l->raw + 1 < p->raw.n ? &p->raw.data[l->raw + 1] : NULL;
    bool member = last_kind(l) == '.' && !(t->flags & TF_LINE);
    if (member && is_word(t->kind)) t->kind = T_NAME;
    if (l->scan && p->open.n == 1 && (t->kind == T_REPORT || t->kind == T_SAMPLE || t->kind == T_MINIMIZE || t->kind == T_KEEP) && t->flags & TF_LINE) l->keyword = t->kind;
    /* What a report calls its result may be a keyword: report action = E[S]/volume(X). */
    bool result = l->keyword == T_REPORT || l->keyword == T_SAVE || l->keyword == T_PLOT;
    bool first = last_kind(l) == l->keyword || (last_kind(l) == ',' && p->open.n == l->scan);
    if (result && first && is_word(t->kind) && next && (l->keyword != T_REPORT || next->kind == '=')) t->kind = T_NAME;
    if (t->kind == T_IN) {
        t->kind = (short)kind_of_in(l);
        l->interval = t->kind == T_IN_INTERVAL;
    }
    if (t->kind == T_FOR && !p->open.n) l->for_list = true;
    if (t->kind != T_NAME || member || !next) return 1;
    bool leads = t->flags & TF_LINE || last_kind(l) == '{' || last_kind(l) == ';';
    if (l->keyword == T_LAYER && leads && next->kind == T_NAME && !strcmp(t->name, "weight")) t->kind = T_WEIGHT;
    if (l->keyword == T_OPTIMIZER && leads && next->kind == T_IF && !strcmp(t->name, "stop")) t->kind = T_STOP;
    if (l->keyword == T_LOAD && !strcmp(t->name, "from")) t->kind = T_FROM;
    if (next->kind == '[' && !(next->flags & TF_LINE)) {
        if (!strcmp(t->name, "\xCE\xA3")) t->name = intern("sum");
        if (!strcmp(t->name, "\xCE\xA0")) t->name = intern("prod");
        if (ast_is_binder_word(t->name)) t->kind = T_BINDER;
    } else if (!strcmp(t->name, "at") && next->kind == T_NAME && !strcmp(next->name, "most")) {
        t->kind = T_AT_MOST;
        t->hi = next->hi;
        return 2;
    }
    return 1;
}

/* `load net.weights from …` and `keep c[n in N] = …` at the very left, or on a line of a scan; elsewhere these
 * are names like others. */
static int task_word(const Layout *l, const Token *t)
{
    const Parse *p = l->p;
    const Token *next = l->raw + 1 < p->raw.n ? &p->raw.data[l->raw + 1] : NULL;
    bool leads = t->flags & TF_COLUMN0 || (t->flags & TF_LINE && l->scan && p->open.n == 1);
    if (t->kind != T_NAME || !leads || !next || next->kind != T_NAME || next->flags & TF_LINE) return t->kind;
    return !strcmp(t->name, "load") ? T_LOAD : !strcmp(t->name, "keep") ? T_KEEP : T_NAME;
}

static void layout(Parse *p)
{
    Layout lay = {.p = p}, *l = &lay;
    while (l->raw < p->raw.n) {
        Token t = p->raw.data[l->raw];
        if (t.kind == ';' && !p->open.n && !p->expression && last_kind(l) == T_START_DECL) {
            l->raw++;
            continue;
        }
        t.kind = (short)task_word(l, &t);
        if (begins_declaration(l, &t)) {
            end_chunk(l, &t);
            begin_chunk(l, &t);
        } else if (!p->chunks.n) {
            begin_chunk(l, &t);
        }
        int used = contextual(l, &t);
        int top = p->open.n ? p->open.data[p->open.n - 1].kind : 0;
        bool free = top == 0 || top == '{';
        if (free && t.flags & TF_LINE && ends_operand(last_kind(l)) && !continues(t.kind) &&
            !(t.kind == T_IN_INTERVAL || t.kind == T_IN_BIND) && !(t.kind == T_FOR && top == 0))
            separator(l, &t);
        if (t.kind == '}' && top == '{') separator(l, &t);
        if (t.kind == '(' || t.kind == '[' || t.kind == '{') open_bracket(l, &t);
        else if (t.kind == ')' || t.kind == ']' || t.kind == '}') close_bracket(l, &t);
        else l->interval = l->interval && t.kind == T_IN_INTERVAL;
        if (t.kind == ';' && !free) t.kind = T_SEMI;
        emit(l, t);
        l->raw += used;
    }
    end_chunk(l, NULL);
}

/* ==== messages ======================================================================== */

void parse_too_deep(Parse *p, Span at)
{
    p->gave_up = true;
    if (p->failed) return;
    p->failed = true;
    if (at.hi > at.lo + 1) at.hi = at.lo + 1;
    Diag *d = diag_error(p->sink, "E0123", at, "this is nested too deeply");
    diag_help(p->sink, d, "give the parts names, and combine the names");
}

/* What a mistake looks like: the token that does not fit, its neighbours, and what
 * could have stood there. */
typedef struct Mistake {
    Parse *p;
    Token  found;             /* T_END behind the last token */
    Token  before, before2;   /* T_START_DECL before the first token */
    Token  next;
    bool   first;
    const char *const *expected;
    int    n;
    bool   wants_value;
    Span   at;
} Mistake;

static bool expects(const Mistake *m, const char *alias)
{
    for (int i = 0; i < m->n; i++)
        if (!strcmp(m->expected[i], alias)) return true;
    return false;
}

/* A token in words: "the name `x`". */
static const char *describe(const Parse *p, const Token *t)
{
    const char *s = p->src->text + t->lo;
    int n = (int)(t->hi - t->lo);
    if (n > 40) n = 40;
    while (n > 0 && n < (int)(t->hi - t->lo) && ((unsigned char)s[n] & 0xC0) == 0x80) n--;
    switch (t->kind) {
    case T_END: return p->expression ? "the end" : "the end of the declaration";
    case T_NEWLINE: return t->flags & TF_VIRTUAL ? "the end of the block" : "the end of the line";
    case T_STR: return "a string";
    case T_NAME: return arena_printf(p->arena, "the name `%.*s`", n, s);
    case T_NUM: case T_IMAG: return arena_printf(p->arena, "the number `%.*s`", n, s);
    case T_BINDER: return arena_printf(p->arena, "the binder `%.*s[`", n, s);
    default:
        if (is_word(t->kind)) return arena_printf(p->arena, "the keyword `%.*s`", n, s);
        return arena_printf(p->arena, "`%.*s`", n, s);
    }
}

static const char *spelled(const Parse *p, const Token *t)
{
    int n = (int)(t->hi - t->lo);
    return arena_printf(p->arena, "%.*s", n > 60 ? 60 : n, p->src->text + t->lo);
}

static Diag *report(const Mistake *m, const char *code, const char *message)
{
    return diag_error(m->p->sink, code, m->at, "%s", message);
}

/* The word for a declaration that a misspelled or foreign one stands for, or NULL. */
static const char *meant_word(const char *word)
{
    static const char *const foreign[] = {"let", "const", "var", "function", "fn", "func", "define"};
    for (int i = 0; i < LQ_COUNT(foreign); i++)
        if (!strcmp(word, foreign[i])) return "def";
    const char *words[64];
    return *word ? diag_nearest(word, words, words_of(WORD_DECLARATION, words, LQ_COUNT(words))) : NULL;
}

static bool not_a_declaration(const Mistake *m)
{
    Parse *p = m->p;
    if (!m->first || p->expression) return false;
    const char *word = m->found.kind == T_NAME ? m->found.name : "";
    bool defines = m->next.kind == '=';
    const char *near = defines ? NULL : meant_word(word);
    Diag *d = diag_error(p->sink, "E0122", m->at, "a declaration cannot begin with %s",
                         describe(p, &m->found));
    if (near) diag_help(p->sink, d, "did you mean `%s`?", near);
    else if (defines) diag_help(p->sink, d, "a definition begins with a keyword: def %s = …", word);
    else if (m->found.kind >= T_IF && m->found.kind <= T_REVERSIBLE)
        diag_help(p->sink, d, "statements stand inside the { } of a def or a sampler");
    else
        diag_help(p->sink, d, "declarations begin with a keyword such as param, def, field or report");
    return true;
}

static bool is_reserved(const Mistake *m)
{
    Parse *p = m->p;
    if (m->found.kind == T_RESERVED) {
        Diag *d = diag_error(p->sink, "E0111", m->at,
                             "`%s` is reserved for a later part of the language", m->found.name);
        if (!m->first) diag_help(p->sink, d, "choose another name, for example `%s_`", m->found.name);
        return true;
    }
    if (m->found.kind == T_PIPE) {
        diag_error(p->sink, "E0111", m->at, "`%s` is reserved for a later part of the language",
                   spelled(p, &m->found));
        return true;
    }
    return false;
}

static bool bad_loop(const Mistake *m)
{
    Parse *p = m->p;
    int f = m->found.kind, b = m->before.kind;
    bool endless = b == T_REPEAT && f == '{';
    if (endless || f == T_WHILE || (b == T_REPEAT && f == T_NEWLINE) ||
        (expects(m, "at most") && (f == '{' || f == T_NEWLINE))) {
        Diag *d = report(m, "E0118", endless ? "this loop does not say how often it runs"
                                             : "a loop needs a bound");
        if (endless) diag_help(p->sink, d, "write `repeat n { … }` or `repeat while c at most n { … }`");
        else diag_help(p->sink, d, "write `repeat while c at most n { … }`");
        return true;
    }
    if (b == T_FOR && f == '(') {
        Diag *d = report(m, "E0101", "a `for` loop names an index and its set");
        diag_help(p->sink, d, "write `for t in 0..9 { … }`");
        return true;
    }
    return false;
}

static bool bad_equals(const Mistake *m)
{
    Parse *p = m->p;
    int f = m->found.kind;
    if (f == T_EQ && expects(m, "=") && !expects(m, "==")) {
        Diag *d = report(m, "E0114", "a definition is written with one `=`");
        diag_help(p->sink, d, "write `=`; `==` compares two values");
        return true;
    }
    bool condition = expects(m, "then") || expects(m, "at most") || expects(m, "]") ||
                     (expects(m, "{") && expects(m, "=="));
    if (f == '=' && condition && expects(m, "==")) {
        Diag *d = report(m, "E0115", "`=` gives a name to a value; it does not compare");
        diag_help(p->sink, d, "write `==`");
        return true;
    }
    if (f == '=' && expects(m, "==")) {
        Diag *d = report(m, "E0101", "a second `=` does not fit here");
        const Token *last = &m->before2;
        if (m->p->pos >= p->chunk->first + 2 && m->before.flags & TF_LINE &&
            !ends_operand(last->kind) && last->kind != T_NEWLINE)
            diag_label(p->sink, d, token_span(p, last), "the line before goes on after this");
        else
            diag_help(p->sink, d, "a comparison is written `==`; two definitions stand on two lines");
        return true;
    }
    if (expects(m, "=") && !expects(m, "==") && !expects(m, ")") && m->before.kind != T_START_DECL) {
        Diag *d = diag_error(p->sink, "E0113", m->at, "`=` is missing before %s",
                             describe(p, &m->found));
        if (m->before.kind == T_NAME)
            diag_help(p->sink, d, "write `%s = …`", m->before.name);
        return true;
    }
    return false;
}

static bool misplaced_word(const Mistake *m)
{
    Parse *p = m->p;
    int f = m->found.kind;
    if (f == '=' && m->wants_value && is_word(m->before.kind)) {
        Diag *d = diag_error(p->sink, "E0112", token_span(p, &m->before),
                             "`%s` is a keyword and cannot be a name", spelled(p, &m->before));
        diag_help(p->sink, d, "choose another name, for example `%s_`", spelled(p, &m->before));
        return true;
    }
    if (!is_word(f)) return false;
    bool statement = m->before.kind == T_NEWLINE || m->before.kind == ';' || m->before.kind == '{';
    if (is_decl_word(f) && statement && m->wants_value && m->next.kind != '=') {
        Diag *d = diag_error(p->sink, "E0126", m->at, "%s cannot begin a statement",
                             describe(p, &m->found));
        diag_help(p->sink, d, f == T_DEF || f == T_PARAM
                                  ? "inside a block a name is defined without a keyword: a = …"
                                  : "declarations stand outside the { }");
        return true;
    }
    bool structure = f == T_IF || f == T_THEN || f == T_ELSE || f == T_AND || f == T_OR || f == T_NOT ||
                     f == T_IN;
    if (f == T_IF && m->wants_value) {
        Diag *d = report(m, "E0101", "an `if` inside a larger expression needs parentheses");
        diag_help(p->sink, d, "write `(if c then a else b)`");
        return true;
    }
    bool name = expects(m, "a name") || (statement && m->next.kind == '=');
    if (name && (!structure || (!m->wants_value && m->before.kind != T_NEWLINE))) {
        Diag *d = diag_error(p->sink, "E0112", m->at, "`%s` is a keyword and cannot be a name",
                             spelled(p, &m->found));
        diag_help(p->sink, d, "choose another name, for example `%s_`", spelled(p, &m->found));
        return true;
    }
    return false;
}

static bool incomplete_if(const Mistake *m)
{
    Parse *p = m->p;
    if (expects(m, "then")) {
        Diag *d = report(m, "E0116", expects(m, "{") ? "this `if` has neither a block nor `then`"
                                                     : "this `if` has no `then`");
        diag_help(p->sink, d, expects(m, "{") ? "write `if c { … }`, or as a value `if c then a else b`"
                                              : "write `if c then a else b`");
        return true;
    }
    if (expects(m, "else") && expects(m, "==")) {
        Diag *d = report(m, "E0116", "this `if` has no `else`");
        diag_help(p->sink, d, "a value is needed in both cases: if c then a else b");
        return true;
    }
    return false;
}

/* How far ahead a token of this kind stands in the same statement; 0: nowhere. */
static int later(const Mistake *m, int kind)
{
    const Parse *p = m->p;
    for (int i = p->pos + 1; i < p->chunk->end && i < p->pos + 100; i++) {
        int k = p->toks.data[i].kind;
        if (k == kind) return i - p->pos;
        if (k == T_NEWLINE || k == ';' || k == '}') break;
    }
    return 0;
}

static bool side_by_side(const Mistake *m)
{
    Parse *p = m->p;
    if (!ends_operand(m->before.kind) || !begins_operand(m->found.kind) || !expects(m, "*") ||
        m->before.kind == '}' || m->before.kind == T_STR || m->found.kind == T_STR)
        return false;
    if (expects(m, "then") && !later(m, T_THEN) && !later(m, '{')) return false;
    if (expects(m, "{") && !expects(m, "then") && !later(m, '{')) return false;
    Diag *d = report(m, "E0127", "two values stand side by side");
    diag_label(p->sink, d, token_span(p, &m->before), "the first one ends here");
    if (m->found.flags & TF_LINE || expects(m, ","))
        diag_help(p->sink, d, "an operator or a comma is missing between them");
    else
        diag_help(p->sink, d, "write a product with `*`: %s*%s", spelled(p, &m->before),
                  spelled(p, &m->found));
    return true;
}

static bool chained(const Mistake *m)
{
    if (!is_comparison(m->found.kind) || expects(m, "==") || !ends_operand(m->before.kind) ||
        !expects(m, "*"))
        return false;
    Diag *d = report(m, "E0117", "comparisons do not chain");
    diag_help(m->p->sink, d, "write `a < b and b < c`");
    return true;
}

/* An operand is missing; found is an operator, a bracket, or an end. */
static bool missing_value(const Mistake *m)
{
    Parse *p = m->p;
    if (!m->wants_value || is_word(m->found.kind)) return false;
    int f = m->found.kind;
    if (f == '{' || f == '[') {
        Diag *d = report(m, "E0101", f == '[' ? "a value cannot begin with `[`"
                                              : "a value cannot begin with `{`");
        if (f == '[') diag_help(p->sink, d, "a list of values is written (a, b, c)");
        else if (m->before.kind == T_THEN)
            diag_help(p->sink, d, "an `if` statement has no `then`: if c { … }");
        else if (m->before.kind == '=')
            diag_help(p->sink, d, "a block follows the ) of a def or a sampler, without `=`");
        return true;
    }
    if (f == '+' && m->before.kind != '+') {
        Diag *d = report(m, "E0101", "a value cannot begin with `+`");
        diag_help(p->sink, d, "leave the `+` out");
        return true;
    }
    bool statement = m->before.kind == T_NEWLINE || m->before.kind == ';' || m->before.kind == '{';
    const char *after = m->before.kind == T_START_DECL || m->before.kind == T_START_EXPR
                            ? "" : spelled(p, &m->before);
    if (statement) diag_error(p->sink, "E0101", m->at, "a statement cannot begin with %s",
                              describe(p, &m->found));
    else if (*after) diag_error(p->sink, "E0125", m->at, "a value is missing after `%s`", after);
    else diag_error(p->sink, "E0125", m->at, "a value is missing");
    return true;
}

/* What could have stood here, in a few words; NULL when it is too much. */
static const char *wanted(const Mistake *m)
{
    static const char *const silent[] = {
        "+", "-", "*", "/", "^", "<", ">", "<=", ">=", "==", "!=", "and", "or", "in", "(", "[", ".",
        "a binder", "not", "if", "a string", "a number", "an imaginary number", "true", "false",
    };
    Parse *p = m->p;
    const char *words[5];
    int n = 0;
    if (m->wants_value) words[n++] = "a value";
    for (int i = 0; i < m->n; i++) {
        const char *a = m->expected[i];
        bool skip = (m->wants_value || expects(m, "*")) && (m->wants_value ? !strcmp(a, "a name") : false);
        if (m->wants_value || expects(m, "*"))
            for (int k = 0; k < LQ_COUNT(silent); k++) skip |= !strcmp(a, silent[k]);
        if (skip) continue;
        if (n == 4) return NULL;
        bool prose = !strncmp(a, "a ", 2) || !strncmp(a, "the ", 4) || !strncmp(a, "an ", 3);
        words[n++] = prose ? a : arena_printf(p->arena, "`%s`", a);
    }
    if (!n) return NULL;
    const char *s = words[0];
    for (int i = 1; i < n; i++)
        s = arena_printf(p->arena, "%s%s%s", s, i == n - 1 ? " or " : ", ", words[i]);
    return s;
}

void parse_unexpected(Parse *p, const char *const *expected, int n)
{
    bool silent = p->failed || p->chunk->unreadable;
    p->failed = p->lost = true;
    if (silent) return;
    const Chunk *c = p->chunk;
    const Token *toks = p->toks.data;
    uint32_t end = c->end > c->first ? toks[c->end - 1].hi : c->lo;
    Token none = {.kind = T_START_DECL}, last = {.lo = end, .hi = end, .kind = T_END};
    Mistake mistake = {
        .p = p, .expected = expected, .n = n, .first = p->pos == c->first,
        .found = p->pos < c->end ? toks[p->pos] : last,
        .before = p->pos > c->first ? toks[p->pos - 1] : none,
        .before2 = p->pos > c->first + 1 ? toks[p->pos - 2] : none,
        .next = p->pos + 1 < c->end ? toks[p->pos + 1] : last,
    }, *m = &mistake;
    m->wants_value = expects(m, "a number");
    m->at = token_span(p, &m->found);
    if (is_reserved(m) || not_a_declaration(m) || bad_loop(m) || bad_equals(m) || misplaced_word(m) ||
        chained(m) || side_by_side(m) || incomplete_if(m) || missing_value(m))
        return;
    const char *want = wanted(m);
    const char *ends = m->found.kind == T_NEWLINE ? "the line ends here" :
                       m->found.kind == T_END && p->expression ? "the expression ends here" :
                       m->found.kind == T_END ? "the declaration ends here" : NULL;
    if (want && ends)
        diag_error(p->sink, "E0101", m->at, "%s, but %s is expected", ends, want);
    else if (want)
        diag_error(p->sink, "E0101", m->at, "%s does not fit here; %s is expected",
                   describe(p, &m->found), want);
    else
        diag_error(p->sink, "E0101", m->at, "%s does not fit here", describe(p, &m->found));
}

/* ==== driving ========================================================================== */

static int push(Parse *p, lq_yypstate *ps, int kind, const Token *t)
{
    LQ_YYSTYPE value = {0};
    Span at = token_span(p, t);
    if (kind == T_NUM || kind == T_IMAG) value.num = t->num;
    else value.name = t->name;
    return lq_yypush_parse(ps, kind, &value, &at, p);
}

/* From the mistake at pos to the end of its statement: a separator or a closing
 * brace at the depth of the braces where the mistake stands. */
static int skip_statement(const Parse *p, int pos)
{
    int depth = 0;
    for (; pos < p->chunk->end; pos++) {
        int kind = p->toks.data[pos].kind;
        if (depth == 0 && (kind == T_NEWLINE || kind == ';' || kind == '}')) break;
        depth += (kind == '{') - (kind == '}');
    }
    return pos;
}

/* Pushes one declaration; true when the grammar accepted it, possibly with errors
 * inside its blocks. */
static bool push_chunk(Parse *p, lq_yypstate *ps)
{
    const Chunk *c = p->chunk;
    Token start = {.lo = c->lo, .hi = c->lo};
    bool bad = false;                /* a mistake inside a block, recovered from */
    if (c->end > c->first) start.lo = start.hi = p->toks.data[c->first].lo;
    p->pos = c->first;
    p->failed = p->lost = p->gave_up = false;
    int status = push(p, ps, p->expression ? T_START_EXPR : T_START_DECL, &start);
    while (status == YYPUSH_MORE && p->pos < c->end) {
        const Token *t = &p->toks.data[p->pos];
        status = push(p, ps, t->kind, t);
        if (status != YYPUSH_MORE || p->gave_up) break;
        bool sync = t->kind == T_NEWLINE || t->kind == ';' || t->kind == '}';
        p->pos = p->lost && !sync ? skip_statement(p, p->pos) : p->pos + 1;
        bad |= p->failed;
        if (p->lost || sync) p->failed = false;
        p->lost = false;
    }
    if (p->gave_up) p->pos = c->end;
    if (status == YYPUSH_MORE) {
        uint32_t hi = c->end > c->first ? p->toks.data[c->end - 1].hi : c->lo;
        bool sound = !p->failed && !bad;
        status = push(p, ps, T_END, &(Token){.lo = hi, .hi = hi});
        p->more = sound && p->failed;
    }
    p->failed |= bad;
    return status == 0 && !p->gave_up;
}

/* Stands for a declaration that could not be read; later passes know its name and
 * do not report it again. */
static void error_decl(Parse *p)
{
    const Chunk *c = p->chunk;
    Token *t = p->toks.data + c->first;
    Decl *d = arena_alloc(p->arena, sizeof *d);
    d->kind = DC_ERROR;
    d->file = p->file;
    d->at = (Span){p->file, c->lo, c->end > c->first ? p->toks.data[c->end - 1].hi : c->lo};
    if (c->end > c->first) {
        d->at.lo = t->lo;
        if (is_decl_word(t->kind)) d->keyword = t->name;
        if (c->end > c->first + 1 && t[1].kind == T_NAME)
            d->name = t[1].name, d->name_at = token_span(p, &t[1]);
    }
    vec_push(&p->decls, d);
}

/* The `##` lines that end on the line before a declaration. */
static const char *doc_before(Parse *p, int *next, uint32_t lo)
{
    const char *text = p->src->text;
    int from = *next, to = from;
    while (to < p->docs.n && p->docs.data[to].lo < lo) to++;
    *next = to;
    if (to == from) return NULL;
    uint32_t below = lo;
    Text t = {0};
    int first = to;
    while (first > from) {                       /* upwards, while lines touch */
        const Doc *d = &p->docs.data[first - 1];
        int newlines = 0;
        for (uint32_t i = d->hi; i < below && newlines < 2; i++) {
            if (text[i] == '\n') newlines++;
            else if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') newlines = 2;
        }
        if (newlines != 1) break;
        below = d->lo;
        first--;
    }
    if (first == to) return NULL;
    for (int i = first; i < to; i++) text_printf(&t, "%s%s", i > first ? "\n" : "", p->docs.data[i].text);
    const char *doc = arena_strndup(p->arena, t.s ? t.s : "", t.n);
    text_free(&t);
    return doc;
}

static void report_stray(Parse *p)
{
    const Chunk *c = p->chunk;
    const Token *t = &p->toks.data[c->stray];
    Diag *d = diag_error(p->sink, "E0103", token_span(p, t), "this `%c` closes nothing", t->kind);
    if (c->open >= 0) {
        uint32_t lo = (uint32_t)c->open;
        int kind = p->src->text[lo];
        diag_label(p->sink, d, (Span){p->file, lo, lo + 1}, "this is open");
        diag_help(p->sink, d, "`%c` is closed by `%c`", kind, closer_of(kind));
    } else {
        diag_help(p->sink, d, "remove it, or open it before");
    }
}

/* Lines that follow a mistake and begin no declaration are most likely part of it. */
static bool rest_of_mistake(const Parse *p)
{
    const Chunk *c = p->chunk;
    const Token *t = &p->toks.data[c->first];
    if (c == p->chunks.data || !c->loose || !c[-1].failed) return false;
    bool definition = c->end > c->first + 1 && t[1].kind == '=';
    return t->kind != T_NAME || !(t->flags & TF_COLUMN0) ||
           !(definition || meant_word(t->name));
}

static void parse_chunk(Parse *p, lq_yypstate *ps, Program *out, int *doc)
{
    Chunk *c = p->chunk;
    if (rest_of_mistake(p)) {
        c->failed = true;
        return;
    }
    if (c->stray >= 0 && !c->unreadable) report_stray(p);
    p->decls.n = 0;
    const char *text = c->end > c->first ? doc_before(p, doc, p->toks.data[c->first].lo) : NULL;
    bool ok = !c->broken && push_chunk(p, ps);
    c->failed = !ok || p->failed || c->unreadable;
    if (!ok) {
        p->decls.n = 0;
        error_decl(p);
    }
    for (int i = 0; i < p->decls.n; i++) {
        Decl *d = p->decls.data[i];
        d->doc = text;
        const Token *first = &p->toks.data[c->first];
        if (!d->keyword && is_word(first->kind)) d->keyword = first->name;   /* others may be numbers */
        d->file = p->file;
        vec_push(&out->decls, d);
    }
}

/* Lexical errors lie in file order; a declaration that holds one reports no other. */
static void mark_unreadable(Parse *p)
{
    int bad = 0;
    for (int i = 0; i < p->chunks.n; i++) {
        Chunk *c = &p->chunks.data[i];
        for (; bad < p->bad.n && p->bad.data[bad] < c->hi; bad++) c->unreadable = true;
    }
}

bool parse_tokens(Parse *p, Front *f, uint32_t file, bool expression)
{
    *p = (Parse){.front = f, .arena = f->arena, .sink = &f->sink, .file = file,
                 .src = f->sources.files.data[file]};
    if (p->src->len > MAX_FILE_BYTES) {
        diag_error(p->sink, "E0128", (Span){file, 0, 0}, "this file has more than %d MiB",
                   MAX_FILE_BYTES >> 20);
        return false;
    }
    p->expression = expression;
    lex_file(p);
    layout(p);
    return true;
}

void parse_release(Parse *p)
{
    vec_free(&p->raw);
    vec_free(&p->docs);
    vec_free(&p->bad);
    vec_free(&p->toks);
    vec_free(&p->chunks);
    vec_free(&p->open);
    vec_free(&p->decls);
}

Program *parse_file(Front *f, uint32_t file)
{
    Program *out = arena_alloc(f->arena, sizeof *out);
    Parse parse, *p = &parse;
    if (!parse_tokens(p, f, file, false)) return out;
    mark_unreadable(p);
    lq_yypstate *ps = lq_yypstate_new();
    if (!ps) lq_out_of_memory(sizeof(void *));
    int doc = 0;
    for (int i = 0; i < p->chunks.n; i++) {
        p->chunk = &p->chunks.data[i];
        if (p->chunk->end > p->chunk->first) parse_chunk(p, ps, out, &doc);
    }
    lq_yypstate_delete(ps);
    parse_release(p);
    /* the list of declarations lives as long as the tree */
    if (out->decls.n) {
        Decl **data = arena_alloc(f->arena, (size_t)out->decls.n * sizeof *data);
        memcpy(data, out->decls.data, (size_t)out->decls.n * sizeof *data);
        free(out->decls.data);
        out->decls.data = data, out->decls.cap = out->decls.n;
    }
    return out;
}

/* Does it begin with a word for a declaration, or look as if one was meant? */
static bool is_declaration(const Parse *p, const Chunk *c)
{
    const Token *t = &p->toks.data[c->first];
    if (!c->loose) return true;
    return c->end > c->first + 1 && t->kind == T_NAME && (t[1].kind == T_NAME || t[1].kind == '=');
}

/* Would the text be sound if it went on?  Only its last part can be so. */
static bool wants_more(Parse *p, const Front *f, bool declaration)
{
    if (p->more) return f->sink.nerrors == 1;            /* the bracket that is open */
    if (f->sink.nerrors || p->chunk->broken) return false;
    lq_yypstate *ps = lq_yypstate_new();
    if (!ps) lq_out_of_memory(sizeof(void *));
    p->expression = !declaration;
    push_chunk(p, ps);
    lq_yypstate_delete(ps);
    return p->more;
}

TextParts parse_parts(Front *f, uint32_t file)
{
    TextParts out = {0};
    Parse parse, *p = &parse;
    if (!parse_tokens(p, f, file, false)) return out.unreadable = true, out;
    out.unreadable = p->bad.n > 0;
    for (int i = 0; i < p->chunks.n; i++) {
        p->chunk = &p->chunks.data[i];
        if (p->chunk->end == p->chunk->first) continue;
        TextPart part = {p->toks.data[p->chunk->first].lo, p->toks.data[p->chunk->end - 1].hi, is_declaration(p, p->chunk)};
        vec_push(&out, part);
    }
    if (out.n) out.more = wants_more(p, f, out.data[out.n - 1].declaration);
    else out.more = p->docs.n > 0;                       /* the declaration that they belong to */
    parse_release(p);
    return out;
}

Expr *parse_expr(Front *f, uint32_t file)
{
    Parse parse, *p = &parse;
    int before = f->sink.nerrors;
    if (!parse_tokens(p, f, file, true)) return NULL;
    if (!p->chunks.n) {
        Chunk empty = {.stray = -1};
        vec_push(&p->chunks, empty);
    }
    mark_unreadable(p);
    lq_yypstate *ps = lq_yypstate_new();
    if (!ps) lq_out_of_memory(sizeof(void *));
    p->chunk = &p->chunks.data[0];
    bool ok = !p->chunk->broken && push_chunk(p, ps);
    lq_yypstate_delete(ps);
    parse_release(p);
    return ok && f->sink.nerrors == before ? p->result : NULL;
}

void front_init(Front *f)
{
    *f = (Front){.arena = arena_new()};
    f->sources.arena = f->arena;
    f->sink.arena = f->arena;
    f->sink.sources = &f->sources;
    f->sink.limit = 50;
}

void front_free(Front *f)
{
    for (int i = 0; i < f->sources.files.n; i++) vec_free(&f->sources.files.data[i]->line_starts);
    vec_free(&f->sources.files);
    vec_free(&f->sink.diags);
    arena_free(f->arena);
    *f = (Front){0};
}
