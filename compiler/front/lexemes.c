/* lexemes.c — a text as the list of its tokens and comments.  Kinds are those after the
 * layout pass, so a reader knows binders from functions and where statements begin. */
#include "parse.h"

#include "parser.h"

typedef struct Reader {
    Parse   *p;
    Lexemes *out;
    uint32_t at;               /* the text is read up to here */
    bool     line;             /* nothing yet on this line */
    int      tok, chunk;       /* next of p->toks, p->chunks */
} Reader;

/* Blanks and comments up to a place. */
static void read_gap(Reader *r, uint32_t to)
{
    const char *text = r->p->src->text;
    while (r->at < to) {
        char c = text[r->at];
        if (c == '\n') r->line = true;
        if (c != '#') {
            r->at++;
            continue;
        }
        Lexeme l = {.lo = r->at, .class = LEX_COMMENT, .first = r->line};
        while (r->at < to && text[r->at] != '\n') r->at++;
        l.hi = r->at;
        r->line = false;
        vec_push(r->out, l);
    }
}

static LexemeClass class_of(int kind)
{
    switch (kind) {
    case T_NAME: case T_BINDER: case T_AT_MOST: return LEX_NAME;
    case T_NUM: case T_IMAG: return LEX_NUMBER;
    case T_STR: return LEX_STRING;
    default: return LEX_SIGN;
    }
}

/* What the layout pass made of the raw token at lo; NULL for a separator it left out. */
static const Token *laid_out(Reader *r, const Token *raw, bool *begins)
{
    Parse *p = r->p;
    const Token *found = NULL;
    for (; r->tok < p->toks.n; r->tok++) {
        const Token *t = &p->toks.data[r->tok];
        if (t->lo > raw->lo) break;
        if (r->chunk < p->chunks.n && p->chunks.data[r->chunk].first <= r->tok) *begins = true, r->chunk++;
        if (t->kind == T_NEWLINE) *begins = true;
        else if (t->lo == raw->lo && !found) found = t;
    }
    return found;
}

static bool is_statement(int kind)
{
    return kind != ')' && kind != ']' && kind != '}' && kind != ';';
}

Lexemes lexemes(Front *f, uint32_t file)
{
    Lexemes out = {0};
    Parse parse, *p = &parse;
    if (!parse_tokens(p, f, file, false)) return out;
    Reader r = {.p = p, .out = &out, .line = true};
    bool begins = false;
    for (int i = 0; i < p->raw.n; i++) {
        const Token *t = &p->raw.data[i];
        if (out.n && t->lo < r.at) continue;              /* one letter that is several tokens */
        read_gap(&r, t->lo);
        const Token *l = laid_out(&r, t, &begins);
        Lexeme x = {.lo = t->lo, .hi = t->hi, .kind = l ? l->kind : t->kind, .first = r.line};
        x.class = class_of(x.kind);
        if (word_token(p->src->text + t->lo, t->hi - t->lo) && x.kind != T_NAME) x.class = LEX_KEYWORD;
        x.begins = begins && is_statement(x.kind);
        if (x.begins || x.kind == '{' || x.kind == ';') begins = x.kind == '{' || x.kind == ';';
        r.at = t->hi;
        r.line = false;
        vec_push(&out, x);
    }
    read_gap(&r, (uint32_t)p->src->len);
    parse_release(p);
    return out;
}
