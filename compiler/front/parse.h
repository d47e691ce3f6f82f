/* parse.h — what the lexer, the layout pass, the grammar and the syntax-tree
 * constructors share.  Nobody else includes it. */
#ifndef LQFT_PARSE_H
#define LQFT_PARSE_H

#include "front.h"

#include <string.h>

enum {
    MAX_BRACKETS = 200,        /* ( [ { inside one another */
    MAX_EXPR_DEPTH = 5000,     /* levels of a syntax tree; later passes recurse */
    MAX_BAD_CHARACTERS = 5,    /* reported per file */
    MAX_FILE_BYTES = 64 << 20,
};

/* ==== tokens ================================================================ */

enum {
    TF_LINE = 1,      /* first token on its line */
    TF_COLUMN0 = 2,   /* and not indented */
    TF_VIRTUAL = 4,   /* a separator inserted before `}` */
};

typedef struct Token {
    uint32_t lo, hi;
    short    kind;                 /* T_… of the grammar */
    unsigned char flags;
    union { const char *name; double num; };
} Token;

typedef struct Doc { uint32_t lo, hi; const char *text; } Doc;

/* The tokens of one declaration. */
typedef struct Chunk {
    int      first, end;           /* into Parse.toks */
    uint32_t lo, hi;               /* bytes of the text it covers */
    bool     broken;               /* brackets do not match: not parsed */
    bool     loose;                /* does not begin with a word for a declaration */
    int      stray;                /* a token that closes nothing, or -1 */
    int64_t  open;                 /* the place of the bracket open there, or -1 */
    bool     unreadable;           /* the lexer reported something inside */
    bool     failed;
} Chunk;

typedef struct Open { int kind; uint32_t lo; bool interval; } Open;

typedef struct Parse {
    Front        *front;
    Arena        *arena;
    Sink         *sink;
    const Source *src;
    uint32_t      file;
    bool          expression;      /* one expression, not a file */

    /* lexer.re */
    VEC(Token)    raw;
    VEC(Doc)      docs;
    VEC(uint32_t) bad;             /* offsets of lexical errors, ascending */
    int           bad_characters;

    /* layout, in parse.c */
    VEC(Token)    toks;
    VEC(Chunk)    chunks;
    VEC(Open)     open;

    /* parser.y */
    Chunk        *chunk;
    int           pos;             /* of the token being pushed; chunk->end at the end */
    bool          failed;          /* a mistake was reported in this statement */
    bool          lost;            /* and the grammar is recovering from it */
    bool          gave_up;         /* too deep: the rest of the declaration is left */
    bool          more;            /* sound, but for an end that comes too early */
    VEC(Decl *)   decls;           /* made by this declaration */
    Expr         *result;
} Parse;

/* words.c: the token of a keyword, or 0. */
int word_token(const char *s, size_t n);

/* lexer.re: fills raw, docs and bad. */
void lex_file(Parse *p);

/* parse.c: lexer and layout of one text; false when it is too long. */
bool parse_tokens(Parse *p, Front *f, uint32_t file, bool expression);
void parse_release(Parse *p);

/* parse.c: called by the grammar. */
enum { EXPECTED_MAX = 128 };
void parse_unexpected(Parse *p, const char *const *expected, int n);
void parse_too_deep(Parse *p, Span at);

/* ==== lists that grow in an arena ============================================ */

#define LIST(T) struct { T *data; int n, cap; }
#define list_push(arena, l, x)                                                     \
    do {                                                                           \
        if ((l)->n == (l)->cap) {                                                  \
            int cap_ = (l)->cap ? 2 * (l)->cap : 4;                                \
            void *data_ = arena_alloc(arena, (size_t)cap_ * sizeof *(l)->data);    \
            if ((l)->n) memcpy(data_, (l)->data, (size_t)(l)->n * sizeof *(l)->data); \
            (l)->data = data_, (l)->cap = cap_;                                    \
        }                                                                          \
        (l)->data[(l)->n++] = (x);                                                 \
    } while (0)

typedef LIST(Expr *) ExprList;
typedef LIST(Bind) BindList;
typedef LIST(Option) OptionList;
typedef LIST(Param) ParamList;
typedef LIST(Stmt *) StmtList;
typedef LIST(Over) OverList;

typedef struct Word { const char *name; Span at; } Word;
typedef LIST(Word) WordList;

typedef struct Args { ExprList list; OptionList opts; } Args;
typedef struct Params { ParamList list, opts; } Params;

/* `a[X], b[X]` before `:` or `=` */
typedef struct Heads { WordList words; BindList binds; Span binds_at; } Heads;

/* ==== constructors, in ast.c ================================================= */

Expr *ast_expr(Parse *p, ExprKind kind, Span at);
Expr *ast_name(Parse *p, const char *name, Span at);
Expr *ast_unary(Parse *p, AstOp op, Expr *a, Span op_at, Span at);
Expr *ast_binary(Parse *p, AstOp op, Expr *a, Expr *b, Span op_at, Span at);
Expr *ast_if(Parse *p, Expr *a, Expr *b, Expr *c, Span at);
Expr *ast_range(Parse *p, Expr *a, Expr *b, Span op_at, Span at);
Expr *ast_binder(Parse *p, const char *word, Span word_at, BindList *binds, Expr *cond,
                 Expr *body, Span at);
Expr *ast_call(Parse *p, Expr *f, Args *args, Span at);
Expr *ast_index(Parse *p, Expr *a, BindList *binds, Span at);
Expr *ast_member(Parse *p, Expr *a, const char *name, Span name_at, Span at);
Expr *ast_tuple(Parse *p, ExprList *list, Span at);

/* sum prod max min mean integral */
bool ast_is_binder_word(const char *name);

/* One name: only the name is kept; anything else is a set. */
Bind  ast_bind(Expr *e);
Args *ast_add_arg(Parse *p, Args *args, Expr *e);
Args *ast_add_option(Parse *p, Args *args, const char *name, Span at, Expr *value);
/* NULL value: a plain parameter, or a required option when `required`. */
Params *ast_add_param(Parse *p, Params *ps, const char *name, Span at, Expr *value,
                      bool required);
Params *ast_add_input(Parse *p, Params *ps, Word name, ExprList *sets, Span sets_at);
Heads *ast_add_head(Parse *p, Heads *h, const char *name, Span at, BindList *binds,
                    Span binds_at);

Stmt *ast_stmt(Parse *p, StmtKind kind, Span at);
/* `targets = value`, `targets ~ value`, `state targets = value` … */
Stmt *ast_assign(Parse *p, StmtKind kind, ExprList *targets, Expr *value, Span at);
Stmt *ast_unused(Parse *p, ExprList *list, Span at);

Decl *ast_decl(Parse *p, DeclKind kind, Span at);
Decl *ast_function(Parse *p, DeclKind kind, Word name, Params *ps, Span at);
Decl *ast_fields(Parse *p, DeclKind kind, Heads *h, Span at);
Decl *ast_symmetry(Parse *p, Expr *left, Expr *value, Word action, Span at);
Decl *ast_sample(Parse *p, WordList *names, Expr *value, Expr *method,
                 OptionList *settings, Span at);
/* binds and settings may be NULL. */
Decl *ast_plot(Parse *p, ExprList *list, BindList *binds, OptionList *settings, Span at);
Decl *ast_layer(Parse *p, Word name, Params *ps, Params *inputs, Span at);
Over  ast_over(Parse *p, Expr *what, Expr *type);
Decl *ast_minimize(Parse *p, Expr *value, OverList *over, Expr *method, OptionList *settings, Span at);
/* After the tasks of its block. */
Decl *ast_scan(Parse *p, BindList *binds, Span at);
Decl *ast_report(Parse *p, Expr *target, Expr *value, Span at);

#endif
