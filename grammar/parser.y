/* parser.y — the grammar of one declaration (or one expression).  The driver in
 * compiler/parse.c cuts a file into declarations and pushes their tokens; actions
 * only build the tree.  A newline that separates is a token, made by the layout
 * pass; every statement in a block is followed by a separator. */

%code requires {
#include "parse.h"
}

%code {
#define YYLLOC_DEFAULT(cur, rhs, n)                                                     \
    do {                                                                                \
        if (n) (cur) = (Span){YYRHSLOC(rhs, 1).file, YYRHSLOC(rhs, 1).lo,               \
                              YYRHSLOC(rhs, n).hi};                                     \
        else (cur) = (Span){YYRHSLOC(rhs, 0).file, YYRHSLOC(rhs, 0).hi,                 \
                            YYRHSLOC(rhs, 0).hi};                                       \
    } while (0)
#define YYMAXDEPTH 4000

/* a new list with one element, or one more */
#define NEW(T) ((T *)arena_alloc(p->arena, sizeof(T)))
#define ADD(l, x) list_push(p->arena, l, x)

static void yyerror(Span *at, Parse *p, const char *message);
static Expr *number(Parse *p, ExprKind kind, double num, Span at);
static Block block(StmtList *l, Span at);
}

%define api.pure full
%define api.push-pull push
%define api.prefix {lq_yy}
%define api.token.prefix {T_}
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%locations
%expect 0
%parse-param {Parse *p}

%union {
    double       num;
    const char  *name;
    Word         word;
    Expr        *expr;
    ExprList    *exprs;
    Bind         bind;
    BindList    *binds;
    Option       option;
    OptionList  *options;
    OverList    *over;
    Args        *args;
    Params      *params;
    WordList    *words;
    Heads       *heads;
    Stmt        *stmt;
    StmtList    *stmts;
    Block        block;
    AstOp        op;
    int          token;
}

%token END 0 "the end of the declaration"
%token NEWLINE "the end of the line" SEMI ";"
%token START_DECL "the beginning of a declaration" START_EXPR "the beginning of an expression"
%token <name> NAME "a name" BINDER "a binder" STR "a string"
%token <num> NUM "a number" IMAG "an imaginary number"
%token RESERVED "a reserved word"
%token IMPORT "import" PARAM "param" AXIS "axis" GRID "grid" LATTICE "lattice" FIELD "field"
%token DATA "data" DEF "def" ACTION "action" OBSERVABLE "observable" SYMMETRY "symmetry"
%token LAYER "layer" NETWORK "network" LOSS "loss" KERNEL "kernel" OPTIMIZER "optimizer"
%token MINIMIZE "minimize" KEEP "keep" LOAD "load"
%token SAMPLER "sampler" SCAN "scan" SAMPLE "sample" REPORT "report" PLOT "plot" SAVE "save" PRINT "print"
%token IF "if" THEN "then" ELSE "else" AND "and" OR "or" NOT "not"
%token IN "in" IN_BIND "in the set" IN_INTERVAL "in an interval"
%token REPEAT "repeat" WHILE "while" AT_MOST "at most" FOR "for" RETURN "return"
%token WEIGHT "weight" STOP "stop"
%token ACCEPT "accept" MONITOR "monitor" STATE "state" WARN "warn" REVERSIBLE "reversible"
%token WITH "with" OVER "over" OF "of" TO "to" AS "as" FROM "from" TRUE "true" FALSE "false"
%token LE "<=" GE ">=" EQ "==" NE "!=" ARROW "->" DOTDOT ".." PIPE "|>" COMPOSE ">>"

%type <expr> expr compose or and not compare sum product tail head mul unary power exponent postfix
%type <expr> primary set
%type <exprs> exprs
%type <bind> bind
%type <binds> binds for_binds
%type <expr> guard
%type <op> comparison
%type <args> args arglist options
%type <params> params paramlist paramopts inputs
%type <exprs> sets
%type <over> over
%type <words> names
%type <word> name path
%type <heads> heads head_list
%type <options> settings
%type <block> block else
%type <stmt> stmt
%type <stmts> stmts
%type <token> open close
%type <token> function

%%

start: START_DECL decl
     | START_EXPR expr { p->result = $2; }
     ;

/* ==== declarations =========================================================== */

decl: IMPORT imports
    | PARAM name '=' expr
        { Decl *d = ast_decl(p, DC_PARAM, @$);
          d->name = $2.name; d->name_at = $2.at; d->value = $4; }
    | PARAM name '=' expr IN_INTERVAL open expr ',' expr close
        { Decl *d = ast_decl(p, DC_PARAM, @$);
          d->name = $2.name; d->name_at = $2.at; d->value = $4;
          d->lo = $7; d->hi = $9; d->lo_open = $6 == '('; d->hi_open = $10 == ')'; }
    | AXIS name '=' expr
        { Decl *d = ast_decl(p, DC_AXIS, @$);
          d->name = $2.name; d->name_at = $2.at; d->value = $4; }
    | GRID name '=' expr
        { Decl *d = ast_decl(p, DC_GRID, @$);
          d->name = $2.name; d->name_at = $2.at; d->value = $4; }
    | LATTICE name '=' expr
        { Decl *d = ast_decl(p, DC_LATTICE, @$);
          d->name = $2.name; d->name_at = $2.at; d->value = $4; }
    | FIELD heads ':' postfix
        { ast_fields(p, DC_FIELD, $2, @$)->type = $4; }
    | DATA heads '=' expr
        { ast_fields(p, DC_DATA, $2, @$)->value = $4; }
    | function name '=' expr
        { ast_function(p, (DeclKind)$1, $2, NULL, @$)->value = $4; }
    | function name params '=' expr
        { ast_function(p, (DeclKind)$1, $2, $3, @$)->value = $5; }
    | function name params block
        { Decl *d = ast_function(p, (DeclKind)$1, $2, $3, @$);
          d->body = $4; d->has_body = true; }
    | SAMPLER name params block
        { Decl *d = ast_function(p, DC_SAMPLER, $2, $3, @$);
          d->body = $4; d->has_body = true; }
    | OPTIMIZER name params block
        { Decl *d = ast_function(p, DC_OPTIMIZER, $2, $3, @$);
          d->body = $4; d->has_body = true; }
    | LAYER name params '(' inputs ')' block
        { Decl *d = ast_layer(p, $2, $3, $5, @$);
          d->body = $7; d->has_body = true; }
    | LAYER name params '(' inputs ')' '=' expr
        { ast_layer(p, $2, $3, $5, @$)->value = $8; }
    | NETWORK name '=' expr
        { Decl *d = ast_decl(p, DC_NETWORK, @$);
          d->name = $2.name; d->name_at = $2.at; d->value = $4; }
    | NETWORK name ':' postfix ARROW postfix '=' expr
        { Decl *d = ast_decl(p, DC_NETWORK, @$);
          d->name = $2.name; d->name_at = $2.at; d->value = $8; d->lo = $4; d->hi = $6; }
    | LOAD postfix FROM expr
        { Decl *d = ast_decl(p, DC_LOAD, @$); d->value = $2; d->path = $4; }
    | SYMMETRY expr ARROW expr OF name
        { ast_symmetry(p, $2, $4, $6, @$); }
    | run
    | SCAN for_binds '{' runs '}'
        { ast_scan(p, $2, @$); }
    | PLOT exprs                   { ast_plot(p, $2, NULL, NULL, @$); }
    | PLOT exprs '{' settings '}'  { ast_plot(p, $2, NULL, $4, @$); }
    | PLOT exprs FOR for_binds     { ast_plot(p, $2, $4, NULL, @$); }
    | PLOT exprs FOR for_binds '{' settings '}'
        { ast_plot(p, $2, $4, $6, @$); }
    | SAVE exprs TO expr
        { Decl *d = ast_decl(p, DC_SAVE, @$); d->list = $2->data; d->nlist = $2->n; d->path = $4; }
    | PRINT exprs
        { Decl *d = ast_decl(p, DC_PRINT, @$); d->list = $2->data; d->nlist = $2->n; }
    ;

run: SAMPLE names '~' expr WITH postfix
        { ast_sample(p, $2, $4, $6, NULL, @$); }
   | SAMPLE names '~' expr WITH postfix '{' settings '}'
        { ast_sample(p, $2, $4, $6, $8, @$); }
   | MINIMIZE expr OVER over WITH postfix
        { ast_minimize(p, $2, $4, $6, NULL, @$); }
   | MINIMIZE expr OVER over WITH postfix '{' settings '}'
        { ast_minimize(p, $2, $4, $6, $8, @$); }
   | KEEP heads '=' expr
        { ast_fields(p, DC_KEEP, $2, @$)->value = $4; }
   | REPORT reports
   ;

/* what a minimisation may change: the value is the kind of a field that is declared here */
over: postfix                       { $$ = NEW(OverList); ADD($$, ast_over(p, $1, NULL)); }
    | postfix ':' postfix           { $$ = NEW(OverList); ADD($$, ast_over(p, $1, $3)); }
    | over ',' postfix              { $$ = $1; ADD($$, ast_over(p, $3, NULL)); }
    | over ',' postfix ':' postfix  { $$ = $1; ADD($$, ast_over(p, $3, $5)); }
    ;

runs: %empty
    | runs separator
    | runs run separator
    | runs error separator { yyerrok; ast_decl(p, DC_ERROR, @2); }
    ;

function: DEF { $$ = DC_DEF; } | ACTION { $$ = DC_ACTION; } | OBSERVABLE { $$ = DC_OBSERVABLE; }
        | LOSS { $$ = DC_LOSS; } | KERNEL { $$ = DC_KERNEL; }
        ;

imports: path             { Decl *d = ast_decl(p, DC_IMPORT, @1); d->name = $1.name; d->name_at = @1; }
       | imports ',' path { Decl *d = ast_decl(p, DC_IMPORT, @3); d->name = $3.name; d->name_at = @3; }
       ;

path: name
    | path '.' NAME
        { $$ = (Word){strlen($1.name) > 1000 ? $1.name : intern(arena_printf(p->arena, "%s.%s", $1.name, $3)), @$}; }
    ;

reports: report | reports ',' report ;

report: expr          { ast_report(p, $1, NULL, @$); }
      | expr '=' expr { ast_report(p, $1, $3, @$); }
      ;

name: NAME { $$ = (Word){$1, @1}; } ;

names: name           { $$ = NEW(WordList); ADD($$, $1); }
     | names ',' name { $$ = $1; ADD($$, $3); }
     ;

open:  '(' { $$ = '('; } | '[' { $$ = '['; } ;
close: ')' { $$ = ')'; } | ']' { $$ = ']'; } ;

heads: head_list ;

head_list: name                             { $$ = ast_add_head(p, NULL, $1.name, $1.at, NULL, @1); }
     | name '[' binds ']'                   { $$ = ast_add_head(p, NULL, $1.name, $1.at, $3, @$); }
     | head_list ',' name                   { $$ = ast_add_head(p, $1, $3.name, $3.at, NULL, @3); }
     | head_list ',' name '[' binds ']'
         { $$ = ast_add_head(p, $1, $3.name, $3.at, $5, span_join(@3, @6)); }
     ;

params: '(' ')'                            { $$ = NEW(Params); }
      | '(' paramlist ')'                  { $$ = $2; }
      | '(' paramlist SEMI paramopts ')'
          { $$ = $2;
            for (int i = 0; i < $4->opts.n; i++) ADD(&$$->opts, $4->opts.data[i]); }
      | '(' SEMI paramopts ')'             { $$ = $3; }
      ;

/* what a layer is applied to; index sets in brackets are given names */
inputs: name                           { $$ = ast_add_input(p, NULL, $1, NULL, @1); }
      | name '[' sets ']'              { $$ = ast_add_input(p, NULL, $1, $3, @3); }
      | inputs ',' name                { $$ = ast_add_input(p, $1, $3, NULL, @3); }
      | inputs ',' name '[' sets ']'   { $$ = ast_add_input(p, $1, $3, $5, @5); }
      ;

sets: name          { $$ = NEW(ExprList); ADD($$, ast_name(p, $1.name, $1.at)); }
    | sets ',' name { $$ = $1; ADD($$, ast_name(p, $3.name, $3.at)); }
    ;

paramlist: name                        { $$ = ast_add_param(p, NULL, $1.name, $1.at, NULL, false); }
         | name '=' expr               { $$ = ast_add_param(p, NULL, $1.name, $1.at, $3, false); }
         | paramlist ',' name          { $$ = ast_add_param(p, $1, $3.name, $3.at, NULL, false); }
         | paramlist ',' name '=' expr { $$ = ast_add_param(p, $1, $3.name, $3.at, $5, false); }
         ;

paramopts: name                        { $$ = ast_add_param(p, NULL, $1.name, $1.at, NULL, true); }
         | name '=' expr               { $$ = ast_add_param(p, NULL, $1.name, $1.at, $3, true); }
         | paramopts ',' name          { $$ = ast_add_param(p, $1, $3.name, $3.at, NULL, true); }
         | paramopts ',' name '=' expr { $$ = ast_add_param(p, $1, $3.name, $3.at, $5, true); }
         ;

settings: %empty                 { $$ = NEW(OptionList); }
        | settings name '=' expr { $$ = $1; ADD($$, ((Option){$2.name, $2.at, $4})); }
        | settings separator
        | settings ','
        ;

separator: NEWLINE | ';' ;

/* ==== statements ============================================================= */

block: '{' stmts '}' { $$ = block($2, @$); } ;

stmts: %empty                { $$ = NEW(StmtList); }
     | stmts separator
     | stmts stmt separator  { $$ = $1; if ($2) ADD($$, $2); }
     | stmts error separator { $$ = $1; ADD($$, ast_stmt(p, ST_ERROR, @2)); yyerrok; }
     ;

stmt: exprs '=' expr            { $$ = ast_assign(p, ST_LET, $1, $3, @$); }
    | exprs '=' REVERSIBLE expr { $$ = ast_assign(p, ST_CLAIM, $1, $4, @$); }
    | exprs '~' expr            { $$ = ast_assign(p, ST_DRAW, $1, $3, @$); }
    | WEIGHT exprs '=' expr     { $$ = ast_assign(p, ST_WEIGHT, $2, $4, @$); }
    | WEIGHT exprs '~' expr     { $$ = ast_assign(p, ST_WEIGHT, $2, $4, @$); $$->drawn = true; }
    | STOP IF expr              { $$ = ast_stmt(p, ST_STOP, @$); $$->value = $3; }
    | STATE exprs '=' expr      { $$ = ast_assign(p, ST_STATE, $2, $4, @$); }
    | exprs                     { $$ = ast_unused(p, $1, @$); }
    | REPEAT expr block
        { $$ = ast_stmt(p, ST_REPEAT, @$); $$->value = $2; $$->body = $3; }
    | REPEAT WHILE expr AT_MOST expr block
        { $$ = ast_stmt(p, ST_WHILE, @$); $$->value = $3; $$->limit = $5; $$->body = $6; }
    | FOR name IN_BIND set block
        { $$ = ast_stmt(p, ST_FOR, @$); $$->body = $5;
          $$->binds = NEW(Bind); $$->nbinds = 1;
          $$->binds[0] = (Bind){$2.name, $2.at, $4}; }
    | IF expr block else
        { $$ = ast_stmt(p, ST_IF, @$); $$->value = $2; $$->body = $3; $$->orelse = $4; }
    | RETURN exprs
        { $$ = ast_stmt(p, ST_RETURN, @$);
          $$->value = $2->n == 1 ? $2->data[0] : ast_tuple(p, $2, @2); }
    | ACCEPT exprs WITH expr
        { $$ = ast_stmt(p, ST_ACCEPT, @$); $$->limit = $4;
          $$->value = $2->n == 1 ? $2->data[0] : ast_tuple(p, $2, @2); }
    | MONITOR expr
        { $$ = ast_stmt(p, ST_MONITOR, @$); $$->value = $2; }
    | MONITOR expr AS name
        { $$ = ast_stmt(p, ST_MONITOR, @$); $$->value = $2;
          $$->names = NEW(const char *); $$->names[0] = $4.name;
          $$->name_at = NEW(Span); $$->name_at[0] = $4.at; $$->nnames = 1; }
    | MONITOR expr AS name WITH name
        { $$ = ast_stmt(p, ST_MONITOR, @$); $$->value = $2;
          $$->names = NEW(const char *); $$->names[0] = $4.name;
          $$->name_at = NEW(Span); $$->name_at[0] = $4.at; $$->nnames = 1;
          $$->limit = ast_name(p, $6.name, $6.at); }
    | WARN STR
        { $$ = ast_stmt(p, ST_WARN, @$);
          $$->value = ast_expr(p, EX_STR, @2); $$->value->name = $2; }
    ;

else: %empty     { $$ = (Block){0}; }
    | ELSE block { $$ = $2; }
    | ELSE IF expr block else
        { Stmt *s = ast_stmt(p, ST_IF, @$);
          s->value = $3; s->body = $4; s->orelse = $5;
          StmtList *l = NEW(StmtList); ADD(l, s);
          $$ = block(l, @$); }
    ;

/* ==== expressions ============================================================ */

exprs: expr           { $$ = NEW(ExprList); ADD($$, $1); }
     | exprs ',' expr { $$ = $1; ADD($$, $3); }
     ;

expr: compose
    | IF expr THEN expr ELSE expr { $$ = ast_if(p, $2, $4, $6, @$); }
    ;

compose: or
       | compose COMPOSE or { $$ = ast_binary(p, OP_COMPOSE, $1, $3, @2, @$); }
       ;

or:  and | or OR and   { $$ = ast_binary(p, OP_OR, $1, $3, @2, @$); } ;
and: not | and AND not { $$ = ast_binary(p, OP_AND, $1, $3, @2, @$); } ;
not: compare | NOT not { $$ = ast_unary(p, OP_NOT, $2, @1, @$); } ;

compare: sum
       | sum comparison sum { $$ = ast_binary(p, $2, $1, $3, @2, @$); }
       ;

comparison: '<' { $$ = OP_LT; } | LE { $$ = OP_LE; } | '>' { $$ = OP_GT; } | GE { $$ = OP_GE; }
          | EQ  { $$ = OP_EQ; } | NE { $$ = OP_NE; } | IN  { $$ = OP_IN; }
          ;

sum: mul
   | sum '+' mul { $$ = ast_binary(p, OP_ADD, $1, $3, @2, @$); }
   | sum '-' mul { $$ = ast_binary(p, OP_SUB, $1, $3, @2, @$); }
   ;

/* A binder takes everything that is multiplied to its right, so it can only be
 * the last factor: head is a binder with what it takes, tail ends in one. */
mul: product | tail ;

product: unary
       | product '*' unary { $$ = ast_binary(p, OP_MUL, $1, $3, @2, @$); }
       | product '/' unary { $$ = ast_binary(p, OP_DIV, $1, $3, @2, @$); }
       ;

tail: head
    | product '*' head { $$ = ast_binary(p, OP_MUL, $1, $3, @2, @$); }
    | product '/' head { $$ = ast_binary(p, OP_DIV, $1, $3, @2, @$); }
    ;

head: BINDER '[' binds guard ']' mul { $$ = ast_binder(p, $1, @1, $3, $4, $6, @$); }
    | '-' head                       { $$ = ast_unary(p, OP_NEG, $2, @1, @$); }
    ;

guard: %empty { $$ = NULL; } | IF expr { $$ = $2; } ;

unary: power | '-' unary { $$ = ast_unary(p, OP_NEG, $2, @1, @$); } ;

power: postfix
     | postfix '^' exponent { $$ = ast_binary(p, OP_POW, $1, $3, @2, @$); }
     ;

exponent: power | '-' exponent { $$ = ast_unary(p, OP_NEG, $2, @1, @$); } ;

postfix: primary
       | postfix '(' args ')'  { $$ = ast_call(p, $1, $3, @$); }
       | postfix '[' binds ']' { $$ = ast_index(p, $1, $3, @$); }
       | postfix '.' NAME      { $$ = ast_member(p, $1, $3, @3, @$); }
       ;

primary: NUM   { $$ = number(p, EX_NUM, $1, @$); }
       | IMAG  { $$ = number(p, EX_IMAG, $1, @$); }
       | STR   { $$ = ast_expr(p, EX_STR, @$); $$->name = $1; }
       | TRUE  { $$ = ast_expr(p, EX_BOOL, @$); $$->num = 1; }
       | FALSE { $$ = ast_expr(p, EX_BOOL, @$); }
       | NAME  { $$ = ast_name(p, $1, @$); }
       | '(' expr ')' { $$ = $2; }
       | '(' ')'      { $$ = ast_expr(p, EX_TUPLE, @$); }
       | '(' expr ',' exprs ')'
           { ExprList *l = NEW(ExprList);
             ADD(l, $2);
             for (int i = 0; i < $4->n; i++) ADD(l, $4->data[i]);
             $$ = ast_tuple(p, l, @$); }
       ;

args: %empty              { $$ = NEW(Args); }
    | arglist
    | SEMI options        { $$ = $2; }
    | arglist SEMI options
        { $$ = $1;
          for (int i = 0; i < $3->opts.n; i++) ADD(&$$->opts, $3->opts.data[i]); }
    ;

arglist: expr                      { $$ = ast_add_arg(p, NULL, $1); }
       | NAME '=' expr             { $$ = ast_add_option(p, NULL, $1, @1, $3); }
       | arglist ',' expr          { $$ = ast_add_arg(p, $1, $3); }
       | arglist ',' NAME '=' expr { $$ = ast_add_option(p, $1, $3, @3, $5); }
       ;

/* a bare name after `;` passes the name of the same spelling */
options: NAME                      { $$ = ast_add_option(p, NULL, $1, @1, NULL); }
       | NAME '=' expr             { $$ = ast_add_option(p, NULL, $1, @1, $3); }
       | options ',' NAME          { $$ = ast_add_option(p, $1, $3, @3, NULL); }
       | options ',' NAME '=' expr { $$ = ast_add_option(p, $1, $3, @3, $5); }
       ;

binds: bind           { $$ = NEW(BindList); ADD($$, $1); }
     | binds ',' bind { $$ = $1; ADD($$, $3); }
     ;

bind: NAME IN_BIND set { $$ = (Bind){$1, @1, $3}; }
    | DOTDOT           { $$ = ast_bind(ast_range(p, NULL, NULL, @1, @1)); }
    | set              { $$ = ast_bind($1); }
    ;

for_binds: NAME IN_BIND set               { $$ = NEW(BindList); ADD($$, ((Bind){$1, @1, $3})); }
         | for_binds ',' NAME IN_BIND set { $$ = $1; ADD($$, ((Bind){$3, @3, $5})); }
         ;

set: expr
   | expr DOTDOT expr { $$ = ast_range(p, $1, $3, @2, @$); }
   ;

%%

static Expr *number(Parse *p, ExprKind kind, double num, Span at)
{
    Expr *e = ast_expr(p, kind, at);
    const char *s = p->src->text + at.lo;
    size_t n = at.hi - at.lo;
    e->num = num;
    e->name = (unsigned char)*s < 0x80 ? intern_n(s, n)
                                       : intern(arena_printf(p->arena, "%.17g", num));
    return e;
}

static Block block(StmtList *l, Span at)
{
    return (Block){l->data, l->n, at};
}

static int yyreport_syntax_error(const yypcontext_t *ctx, Parse *p)
{
    yysymbol_kind_t kinds[EXPECTED_MAX];
    const char *names[EXPECTED_MAX];
    int n = yypcontext_expected_tokens(ctx, kinds, EXPECTED_MAX);
    for (int i = 0; i < n; i++) {
        names[i] = yysymbol_name(kinds[i]);
        if (names[i][0] == '\'') names[i] = intern_n(names[i] + 1, 1);
        if (kinds[i] == YYSYMBOL_IN_BIND || kinds[i] == YYSYMBOL_IN_INTERVAL) names[i] = "in";
    }
    parse_unexpected(p, names, n > 0 ? n : 0);
    return 0;
}

/* Syntax errors are reported above: this one is the stack at its limit. */
static void yyerror(Span *at, Parse *p, const char *message)
{
    (void)message;
    parse_too_deep(p, *at);
}
