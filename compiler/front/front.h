/* front.h — what the front end and every later pass share: sources and places in
 * them, the diagnostics sink, and the syntax tree that the parser builds. */
#ifndef LQFT_FRONT_H
#define LQFT_FRONT_H

#include "../../runtime/base.h"

/* ==== source.c: files and places ============================================ */

/* A place is two byte offsets in a file; line and column are computed when a
 * message is printed. */
typedef struct Span { uint32_t file, lo, hi; } Span;

typedef struct Source {
    const char *path;          /* as messages print it */
    char       *text;          /* NUL-terminated copy */
    size_t      len;
    VEC(uint32_t) line_starts;
} Source;

typedef struct Sources { VEC(Source *) files; Arena *arena; } Sources;

/* Registers a text; returns its file number. */
uint32_t source_add(Sources *ss, const char *path, const char *text, size_t len);
void     source_position(const Sources *ss, uint32_t file, uint32_t offset, int *line, int *column);
Span     span_join(Span a, Span b);

/* ==== diag.c: the sink ====================================================== */

typedef enum Severity { SEV_ERROR, SEV_WARNING, SEV_NOTE } Severity;

typedef struct DiagLabel { Span at; const char *text; } DiagLabel;

typedef struct Diag {
    Severity    severity;
    const char *code;          /* "E0207" */
    const char *message;
    DiagLabel   labels[6];     /* the first is the primary place */
    int         nlabels;
    const char *help;          /* at most one suggestion, or NULL */
} Diag;

typedef struct Sink {
    Arena   *arena;
    Sources *sources;
    VEC(Diag *) diags;
    int      nerrors;
    int      limit;            /* errors after this many are counted, not kept */
    Diag     surplus;          /* handed out for those */
} Sink;

/* Codes and titles stand in diag.def; an unknown code is an internal error. */
Diag *diag_error(Sink *s, const char *code, Span at, const char *fmt, ...) LQ_PRINTF(4, 5);
Diag *diag_warning(Sink *s, const char *code, Span at, const char *fmt, ...) LQ_PRINTF(4, 5);
/* The text under the primary place, and further marked places. */
void  diag_here(Sink *s, Diag *d, const char *fmt, ...) LQ_PRINTF(3, 4);
void  diag_label(Sink *s, Diag *d, Span at, const char *fmt, ...) LQ_PRINTF(4, 5);
void  diag_help(Sink *s, Diag *d, const char *fmt, ...) LQ_PRINTF(3, 4);
/* In the house form (file:line:col: error[E0207]: …), sorted by place. */
void  diag_print_all(Sink *s, FILE *out, bool color);
void  diag_print_one(const Sink *s, const Diag *d, FILE *out, bool color);
/* The page behind `lqft explain CODE`, or NULL. */
const char *diag_explain(const char *code);
/* The candidate nearest to `name` within a third of its length, or NULL. */
const char *diag_nearest(const char *name, const char *const *candidates, int n);

/* ==== words.c: the words of the language (words.def) ======================== */

#define WORD_CLASSES                                                               \
    CLASS(DECLARATION, "declaration") CLASS(STATEMENT, "statement")                \
    CLASS(OPERATOR, "operator") CLASS(JOINT, "joint") CLASS(CONSTANT, "constant")  \
    CLASS(RESERVED, "reserved") CLASS(SPECIAL, "special") CLASS(BINDER, "binder")  \
    CLASS(KIND, "kind") CLASS(MAKER, "maker") CLASS(BOUNDARY, "boundary")          \
    CLASS(SETTING, "setting") CLASS(CHOICE, "choice") CLASS(PLOT, "plot")

typedef enum WordClass {
#define CLASS(upper, name) WORD_##upper,
    WORD_CLASSES
#undef CLASS
    WORD_CLASS_COUNT,
} WordClass;

bool        word_is(const char *name, WordClass class);
/* The words of a class in the order of the table; how many. */
int         words_of(WordClass class, const char **out, int most);
const char *word_class_name(WordClass class);

/* ==== ast.c: the syntax tree ================================================ */

typedef struct Expr Expr;
typedef struct Stmt Stmt;
typedef struct Decl Decl;

typedef enum ExprKind {
    EX_ERROR,    /* stands where the parser recovered; never reported again */
    EX_NUM,      /* num; name = its spelling */
    EX_IMAG,     /* num: 2i */
    EX_STR,      /* name */
    EX_BOOL,     /* num: 0 or 1 */
    EX_NAME,     /* name */
    EX_CALL,     /* a(list; opts)     opts are name = value arguments */
    EX_INDEX,    /* a[binds]          also array comprehension in plots: see grammar */
    EX_MEMBER,   /* a.name */
    EX_UNARY,    /* op a */
    EX_BINARY,   /* a op b */
    EX_IF,       /* if a then b else c */
    EX_BINDER,   /* name[binds if b] a      name: sum prod max min mean integral */
    EX_TUPLE,    /* (list) with n >= 2, or () */
    EX_RANGE,    /* a .. b, in `for t in 0..9` : 0..9 includes both ends */
} ExprKind;

typedef enum AstOp {
    OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_POW,
    OP_LT, OP_LE, OP_GT, OP_GE, OP_EQ, OP_NE, OP_AND, OP_OR, OP_IN,
    OP_NEG, OP_NOT, OP_COMPOSE,
} AstOp;

/* `x in X`, `x` (set inferred from the use), or a bare set expression.
 * name NULL: only a set/index expression is given.
 * set NULL: only a bare name was written (an index to infer, or the name of a set,
 * or an index value: whoever reads the bind decides). */
typedef struct Bind { const char *name; Span at; Expr *set; } Bind;

typedef struct Option { const char *name; Span at; Expr *value; } Option;

struct Expr {
    ExprKind    kind;
    AstOp       op;
    Span        at;       /* the whole expression */
    Span        op_at;    /* the operator, the member name, or the binder word */
    double      num;
    const char *name;     /* interned */
    Expr       *a, *b, *c;
    Expr      **list;  int n;
    Bind       *binds; int nbinds;
    Option     *opts;  int nopts;
    int         depth;    /* levels below this one, bounded by the parser */
};

typedef enum StmtKind {
    ST_ERROR,
    ST_LET,      /* names = value             binds: name[i in I] = value (one name) */
    ST_DRAW,     /* names ~ value             binds as in ST_LET */
    ST_REPEAT,   /* repeat value { body } */
    ST_WHILE,    /* repeat while value at most limit { body } */
    ST_FOR,      /* for binds[0] { body } */
    ST_IF,       /* if value { body } else { orelse } */
    ST_RETURN,   /* return values (list in value as EX_TUPLE when several) */
    ST_ACCEPT,   /* accept value with limit */
    ST_MONITOR,  /* monitor value [as names[0] [with limit]] : limit names a test */
    ST_WARN,     /* warn value (EX_STR) */
    ST_STATE,    /* state names = value */
    ST_WEIGHT,   /* weight names = value, or ~ value (drawn): the start of a weight */
    ST_STOP,     /* stop if value */
    ST_CLAIM,    /* names = reversible value   (value is a call) */
} StmtKind;

typedef struct Block { Stmt **stmts; int n; Span at; } Block;

struct Stmt {
    StmtKind     kind;
    Span         at;
    const char **names; Span *name_at; int nnames;
    Bind        *binds; int nbinds;
    Expr        *value, *limit;
    bool         drawn;              /* ST_WEIGHT: by a distribution */
    Block        body, orelse;
};

typedef enum DeclKind {
    DC_ERROR,
    DC_IMPORT,     /* name = dotted path */
    DC_PARAM,      /* name = value [in (lo, hi)]: lo, hi may be NULL; lo_open, hi_open */
    DC_AXIS,       /* name = value */
    DC_GRID,       /* name = value (a call: linspace, logspace) */
    DC_LATTICE,    /* name = value (a call: torus, box) */
    DC_FIELD,      /* name[binds] : type (an EX_NAME) */
    DC_DATA,       /* name[binds] = value; several names: names */
    DC_DEF,        /* name(params; opts) = value | block */
    DC_ACTION,
    DC_OBSERVABLE,
    DC_LOSS,       /* as DC_DEF: a scalar of weights and data */
    DC_KERNEL,     /* as DC_DEF: a function of coordinates */
    DC_SAMPLER,    /* name(params; opts) block */
    DC_OPTIMIZER,  /* the same */
    DC_LAYER,      /* name(params; opts) (inputs) = value | block */
    DC_NETWORK,    /* name [: lo -> hi] = value */
    DC_SYMMETRY,   /* names[0][binds] -> value of names2: name = action name */
    DC_SCAN,       /* scan binds { … }: before the tasks of its block, whose `scan` it is */
    DC_SAMPLE,     /* sample names ~ value with method { settings } */
    DC_MINIMIZE,   /* minimize value over `over` with method { settings } */
    DC_KEEP,       /* keep name[binds] = value */
    DC_LOAD,       /* load value from path */
    DC_REPORT,     /* report name[binds] = value, or report value (name derived) */
    DC_PLOT,       /* plot list [for binds] [{ settings }] */
    DC_SAVE,       /* save list to path */
    DC_PRINT,      /* print list */
} DeclKind;

typedef struct Param { const char *name; Span at; Expr *value; /* default of an option */ } Param;

/* What a minimisation changes: weights (of), or the field `name` that is declared here when it has a
 * type, and by its own declaration otherwise. */
typedef struct Over { const char *name; Span at; Expr *of, *type; Bind *binds; int nbinds; } Over;

struct Decl {
    DeclKind     kind;
    Span         at;                 /* whole declaration */
    const char  *keyword;            /* as written */
    const char  *name; Span name_at; /* first name */
    const char **names; Span *names_at; int nnames;
    const char  *doc;                /* joined ## lines before it, or NULL */
    Bind        *binds; int nbinds;
    Expr        *type;
    Expr        *value;
    Block        body; bool has_body;
    Param       *params; int nparams;   /* before the ';' */
    Param       *opts;   int nopts;     /* after it, with defaults */
    Param       *inputs; int ninputs;   /* of a layer: value the names of its sets, an EX_NAME or EX_TUPLE, or NULL */
    Over        *over;   int nover;
    Expr        *lo, *hi; bool lo_open, hi_open;
    Expr        *method;             /* sample: a call or a name */
    Option      *settings; int nsettings;
    Expr       **list; int nlist;    /* plot, save, print */
    Expr        *path;               /* save … to path (EX_STR) */
    Decl        *scan;               /* sample, report: the scan around them, or NULL */
    uint32_t     file;
};

typedef struct Program { VEC(Decl *) decls; } Program;

/* ==== parse.c: text to tree (lexer.re, parser.y behind it) ==================== */

typedef struct Front {
    Arena *arena;
    Sources sources;
    Sink sink;
    const char *const *data; int ndata;  /* folders beside the model's own to read data from */
    const char *text; size_t length;     /* of the model, when it is not that of its file; NULL: it is */
} Front;

void front_init(Front *f);
void front_free(Front *f);
/* Parses one file; every mistake goes to the sink and recovery continues at the
 * next declaration.  Never NULL. */
Program *parse_file(Front *f, uint32_t file);
/* One expression (for the command line's name=value). NULL after an error. */
Expr *parse_expr(Front *f, uint32_t file);
/* What a text consists of, before it is parsed: bytes lo to hi of each part, a declaration or
 * an expression.  `more`: the text is sound so far, and ends where the grammar wants more.
 * `unreadable`: there is something in it that is no token; the sink knows what. */
typedef struct TextPart { uint32_t lo, hi; bool declaration; } TextPart;
typedef struct TextParts { TextPart *data; int n, cap; bool more, unreadable; } TextParts;
TextParts parse_parts(Front *f, uint32_t file);
/* The tree as an S-expression, for tests and `lqft show FILE ast`. */
void ast_print(const Program *p, FILE *out);
/* Has it parameters, and is it known in all of the program? */
bool decl_is_function(DeclKind kind);
/* Expression back to source text (fully parenthesised only where needed). */
void ast_print_expr(const Expr *e, Text *out);

/* ==== lexemes.c: a text as it is written ====================================== */

typedef enum LexemeClass { LEX_NAME, LEX_KEYWORD, LEX_NUMBER, LEX_STRING, LEX_SIGN, LEX_COMMENT } LexemeClass;

/* A token with the letters lo to hi, or a comment. */
typedef struct Lexeme {
    uint32_t    lo, hi;
    LexemeClass class;
    short       kind;          /* the token of the grammar; a comment has 0 */
    bool        first;         /* on its line */
    bool        begins;        /* a declaration or a statement */
} Lexeme;

typedef struct Lexemes { Lexeme *data; int n, cap; } Lexemes;

/* All tokens and comments in their order.  Lexical errors go to the sink. */
Lexemes lexemes(Front *f, uint32_t file);

/* ==== format.c: white space =================================================== */

typedef enum Formatted {
    FORMAT_DONE,
    FORMAT_ERRORS,             /* the text does not parse; the sink knows why */
    FORMAT_FAILED,             /* out is another program: an internal error */
} Formatted;

/* Appends the text of a file in the form of `lqft fmt`. */
Formatted format_file(Front *f, uint32_t file, Text *out);

#endif
