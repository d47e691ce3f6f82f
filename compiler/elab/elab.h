/* elab.h — elaboration: the typed meaning of a program.  Definitions are
 * specialised at each use, extents and parameters are numbers by now, and every
 * user mistake that is left ends here; what comes out is array IR.
 *
 *   sets.c       index sets: axis, grid, lattice, directions, coordinates
 *   value.c      values and their arithmetic (real, complex, arrays, tuples)
 *   builtins.c   the functions that the language supplies
 *   elab_expr.c  expressions, binders, calls, indexing
 *   elab_arrays.c functions of whole arrays: linear algebra, computed places
 *   elab_grad.c  grad
 *   network.c    layers, networks, weights
 *   params.c     parameters that have other values inside a function
 *   elab_stmt.c  blocks: let, draw, loops, conditionals, accept, monitor
 *   resolve.c    names, duplicates and recursion, before elaboration
 *   model.c      declarations of a file and its imports; parameters
 *   scan.c       scan: tasks at several values of parameters
 *   spins.c      that a step leaves spins +1 or -1
 *   tasks.c      sample, report, plot, save: what is run, as functions of the IR
 */
#ifndef LQFT_ELAB_H
#define LQFT_ELAB_H

#include "../ir/ir.h"
#include "../../runtime/run/program.h"     /* TaskKind, PlotKind, PlotLook */

/* ==== sets.c ================================================================== */

typedef enum SetKind { SET_AXIS, SET_GRID, SET_LATTICE, SET_DIRS, SET_COORD, SET_RANGE, SET_WINDOW } SetKind;

typedef struct IndexSet IndexSet;
struct IndexSet {
    SetKind     kind;
    const char *name;             /* as declared, or "X.dirs" */
    Span        at;               /* where it was declared */
    int         rank;             /* IR axes per index: the dimension of a lattice, else 1 */
    int64_t     ext[IR_MAX_RANK];
    uint32_t    mode[IR_MAX_RANK];/* IndexMode of a read beyond the edge */
    int64_t     first;            /* SET_RANGE: the number of element 0; SET_WINDOW: the least displacement */
    double     *coords;           /* SET_GRID */
    double      step;             /* SET_GRID: spacing (uniform), else 0 */
    double     *weights;          /* SET_GRID: of the quadrature */
    IndexSet   *lattice;          /* of SET_DIRS, SET_COORD, SET_WINDOW */
    IndexSet   *fine; int64_t factor; /* SET_LATTICE: every so many sites of another lattice */
    int         coord;            /* SET_COORD: which direction */
    IndexSet   *dirs;             /* SET_LATTICE */
    IndexSet  **axes;             /* SET_LATTICE: SET_COORD sets; of a 1-D lattice: itself */
};

int64_t set_size(const IndexSet *s);
/* "lattice X = torus(64) (32 x 32 sites)" for messages. */
const char *set_describe(Arena *a, const IndexSet *s);

struct Elab;
IndexSet *set_axis(struct Elab *e, const char *name, Span at, int64_t n);
IndexSet *set_range(struct Elab *e, int64_t first, int64_t last, Span at);
IndexSet *set_grid(struct Elab *e, const char *name, Span at, double lo, double hi, int64_t n, bool logarithmic);
IndexSet *set_points(struct Elab *e, const char *name, Span at, int64_t n, const double *points);
/* Displacements on a lattice: `width` in each direction, from `first` on. */
IndexSet *set_window(struct Elab *e, IndexSet *lattice, int64_t width, int64_t first, Span at);
/* Every factor-th site of a lattice in each direction; NULL when an extent is no multiple. */
IndexSet *set_coarse(struct Elab *e, IndexSet *fine, int64_t factor, Span at);
IndexSet *set_lattice(struct Elab *e, const char *name, Span at, int rank, const int64_t *ext, const uint32_t *mode);

/* ==== value.c ================================================================= */

typedef enum ValueKind {
    VK_ERROR,      /* something below was wrong and has been reported */
    VK_NUM,        /* numbers: a scalar expression, or an array over index sets */
    VK_INDEX,      /* an element of an index set */
    VK_SHIFT,      /* a displacement on a lattice: 2*mu - nu */
    VK_SET,
    VK_FUNC,
    VK_TUPLE,
    VK_DIST,       /* a distribution: what stands right of ~ */
    VK_STR,
} ValueKind;

#define MAX_SETS 8
#define MAX_ITEMS 256             /* components of a tuple, arrays of weights, fields */
#define MAX_LEAVES 1024           /* arrays in a tuple, at any depth */

typedef struct Value Value;
typedef struct Env Env;
typedef struct Elab Elab;

typedef enum FuncKind {
    FN_DECL, FN_BUILTIN, FN_TARGET,
    FN_LAYER,      /* a layer with its settings, waiting for what it is applied to: decl, env */
    FN_COMPOSE,    /* second after first */
    FN_NETWORK     /* network */
} FuncKind;

typedef enum DistKind { DIST_NORMAL, DIST_UNIFORM, DIST_EXPONENTIAL } DistKind;

/* A parameter that has another value while a function is elaborated (params.c). */
typedef struct Replaced { const Value *param, *value; const struct Replaced *up; } Replaced;

struct Value {
    ValueKind kind;
    Span      origin;             /* where it was declared or computed, for messages */
    const char *name;             /* how the user calls it, or NULL */
    const Value **uses; int nuses;/* a parameter, set or data: the parameters it was computed from */
    union {
        struct {                  /* VK_NUM: lambda syms. (re, im) */
            bool complex, boolean;
            Ref  re, im;          /* scalar expressions; im = 0 when real */
            int  nsets;
            IndexSet *sets[MAX_SETS];
            int  nsyms;
            Sym  syms[IR_MAX_RANK];
        } num;
        struct { IndexSet *set; Aff c[IR_MAX_RANK]; } index;   /* also VK_SHIFT: set = the lattice */
        IndexSet *set;
        struct {
            FuncKind kind;
            const Decl *decl;
            Env *env;
            int  builtin;
            const struct Target *target;
            const Value *first, *second;
            struct Network *network;
            const Replaced *replaced;    /* parameters that it sees with other values */
        } func;
        struct { const Value **items; int n, leaves; } tuple;   /* leaves: values in all, at any depth */
        struct { DistKind kind; const Value *a, *b; } dist;
        const char *str;
    } u;
};

struct Env { const char *name; const Value *value; Env *up; };

/* The function a sampler sees: minus the logarithm of the density as a function of
 * unconstrained coordinates (a positive field is exp of its coordinate). */
typedef struct Target {
    const Expr  *density;         /* right of ~ */
    const char **names;  int n;   /* the fields */
    const struct FieldInfo **fields;
    Env         *env;
    struct Variable **variables;  /* of an objective: what is minimised over; the function is `density` itself */
    int         *draws;           /* of an objective: the number of its first random draw, -1 until it is known */
} Target;

typedef enum FieldKind { FIELD_REAL, FIELD_POSITIVE, FIELD_ANGLE, FIELD_COMPLEX, FIELD_SPIN } FieldKind;

/* What is found by the run and then known: a weight, or a field that was minimised over.  An input
 * of every function that uses it, shared by all replicas. */
typedef struct Variable {
    const char  *name;            /* "rho.1.W" */
    Span         at;
    const Value *in;              /* the input */
    const Value *now;             /* what stands for it while an objective is elaborated elsewhere; NULL: in */
    const Value *init;            /* the start, in terms of draws and constants */
    FieldKind    kind;
    int          task;            /* number in the plan of the task that gives it the value; -1: its start */
    struct Variable *before;      /* what it was before the task that gives it a new value, or NULL */
    int64_t      n;
    IrFunc       start;
} Variable;

typedef VEC(Variable *) Variables;

typedef struct Network {
    const char  *name;
    Span         at;
    const Value *f;
    Variables    weights;
    bool         ready;           /* applied once: all weights are known */
    Span         first;           /* where that was */
    bool         changed;         /* this application has other weights, which was said */
} Network;

/* A network being applied: which weight comes next, and what the layers around are called. */
typedef struct NetFrame { Network *net; int next, layers; const char *path; Span at; } NetFrame;

typedef struct FieldInfo {
    const char *name;
    Span        at;
    FieldKind   kind;
    int         nsets;
    IndexSet   *sets[MAX_SETS];
} FieldInfo;

const Value *value_error(void);
Value       *value_new(Elab *e, ValueKind kind, Span at);
const Value *value_const(Elab *e, double v, Span at);
const Value *value_bool(Elab *e, bool v, Span at);
const Value *value_real(Elab *e, Ref re, Span at);            /* a scalar expression */
const Value *value_complex(Elab *e, Ref re, Ref im, Span at);
/* An array over sets, from a closed array node whose axes are the active free symbols
 * `prefix` and then those of the sets. */
const Value *value_array(Elab *e, Ref re, Ref im, int nprefix, const Sym *prefix,
                         int nsets, IndexSet *const *sets, Span at);
bool value_is_const(const Elab *e, const Value *v, double *out);
/* As a number where one is wanted: an index becomes its number or coordinate. */
const Value *value_number(Elab *e, const Value *v, Span at, const char *what);
/* Array values made into closed nodes, so that using them twice costs nothing. */
const Value *value_close(Elab *e, const Value *v);
/* The closed node behind a closed value (re or im part). */
Ref  value_node(Elab *e, const Value *v, bool imaginary);
/* Closed node with exactly the prefix symbols as first axes. */
Ref  value_node_over(Elab *e, const Value *v, bool imaginary, int nprefix, const Sym *prefix);
/* The free symbols of a value's parts that it does not bind itself; returns the count. */
int  value_outer_syms(Elab *e, const Value *v, Sym *out);
const Value *value_binary(Elab *e, AstOp op, const Value *a, const Value *b, Span at, Span op_at);
const Value *value_unary(Elab *e, AstOp op, const Value *a, Span at);
const Value *value_select(Elab *e, const Value *c, const Value *a, const Value *b, Span at);
/* f applied element by element to a real array (or scalar). */
const Value *value_map1(Elab *e, Op op, const Value *a, Span at);
const Value *value_map2(Elab *e, Op op, const Value *a, const Value *b, Span at);
const Value *value_part(Elab *e, const Value *v, bool imaginary);
const Value *value_zero_like(Elab *e, const Value *v);
/* Value of an array at index values (one per set). */
const Value *value_at(Elab *e, const Value *v, const Value *const *index, Span at);
/* "a complex array over X, W" for messages. */
const char  *value_describe(Elab *e, const Value *v);
bool value_same_shape(const Value *a, const Value *b);
/* Component i of a tuple; of one value, which is a tuple of one, itself. */
static inline const Value *value_item(const Value *v, int i) { return v->kind == VK_TUPLE ? v->u.tuple.items[i] : v; }
const Value *value_tuple(Elab *e, int n, const Value *const *items, Span at);

/* ==== the elaborator ============================================================ */

typedef struct Primary {          /* an expectation value of a sample task */
    Ref   node_re, node_im;       /* what is measured on each configuration; node_im 0: real */
    Ref   input_re, input_im;     /* stand for its mean in report expressions */
    Span  at;
} Primary;

/* One number or array of a state; component: of the tuple of so many called `name`, or -1. */
typedef struct StateVar { const char *name; Span at; const Value *init; const Value *in; const Value *out; int component, components; } StateVar;
typedef struct Monitor { const char *name; const Value *value; bool tail; } Monitor;   /* tail: how it falls off is tested */
typedef struct Warning { const char *name, *text; bool always; } Warning;   /* name: of the monitor that counts it */

/* What accept, monitor and state collect while a sampler's body is elaborated. */
typedef struct SamplerFrame {
    VEC(StateVar) states;
    VEC(Monitor)  monitors;
    VEC(Warning)  warnings;
    const Value  *q;              /* the current state of the fields */
    const char   *q_name;
    int           naccepts;
    bool          claims;         /* elaborate `reversible` claims (lqft check) */
    bool          initialising;   /* state initial values only */
} SamplerFrame;

typedef struct GradMemo { const Decl *decl; Env *env; const void *target; int builtin; const Value *like;
                          Ref in[MAX_ITEMS + 2]; Ref out[MAX_ITEMS + 2]; int n; } GradMemo;

struct Elab {
    Front  *front;
    Ir     *ir;
    Arena  *arena;
    Env    *globals;
    Env     *scope[64];              /* what the functions of an imported file see, by its number; NULL: globals */
    const struct Model *model;
    VEC(int64_t) sym_ext;          /* extent of free symbol SYM_FREE + i */
    VEC(Sym)  active;              /* free symbols of the enclosing binders */
    Aff     iteration;             /* number of the iteration of the enclosing loops */
    int64_t iterations;            /* their product */
    int     depth;                 /* nesting of specialised calls */
    int     in_expectation;        /* inside E[…] */
    SamplerFrame *frame;           /* inside a sampler */
    struct SampleTask *sample;     /* the task whose configuration E[…] refers to */
    VEC(GradMemo) grads;
    VEC(uint64_t) reported;        /* places that have an error already */
    int64_t nodes_limit;
    int64_t work, work_limit;      /* expressions elaborated: specialisation may multiply them */
    int     nesting;               /* expressions inside one another, through calls too */
    Span    operand_of, operand[2];/* of the operation being elaborated: itself and its two sides */
    bool    exhausted;             /* a limit was passed, and reported */
    bool    no_sample;             /* a `sample` is broken: what needs it is not reported again */
    uint64_t data_seed;
    const Replaced *replaced;      /* parameters with other values here */
    VEC(const Value *) read;       /* parameters, sets and data read since the list was emptied */
    VEC(IndexSet *) derived;       /* ranges, windows, coarse lattices: equal ones are one set */
    Variables variables;
    VEC(Network *) networks;
    NetFrame *net;                 /* inside a network */
    bool    may_wait, waits;               /* the weights of a network were asked for that was not applied yet */
    bool    opens;                 /* the options being bound are those of a method */
    const Value *step, *progress;  /* in a minimisation */
    const Value *warmup;           /* input of a sampler's step: is it warm-up? */
    Span    call_at[160]; int ncalls; /* where specialisations were asked for, for notes */
};

/* Reports once per place; adds the chain of calls. Returns the diagnostic (or a
 * scratch one when the place has been reported), so that labels can be added. */
Diag *elab_error(Elab *e, const char *code, Span at, const char *fmt, ...) LQ_PRINTF(4, 5);
/* This place has been reported already: what elaboration finds there follows from it. */
void elab_mark(Elab *e, Span at);
/* elab_error, giving the error value. */
#define ELAB_FAIL(...) (elab_error(__VA_ARGS__), value_error())

/* ---- elab_expr.c ---- */
const Value *elab_expr(Elab *e, Env *env, const Expr *x);
/* A compile-time integer; false after a message that calls it `what`. */
bool  elab_int(Elab *e, Env *env, const Expr *x, const char *what, int64_t lo, int64_t hi, int64_t *out);
bool  elab_const(Elab *e, Env *env, const Expr *x, const char *what, double *out);
IndexSet *elab_set(Elab *e, Env *env, const Expr *x);
const Value *elab_call(Elab *e, const Value *f, int n, const Value *const *args, const Span *arg_at,
                       int nopts, const Option *opts, const Value *const *opt_values, Span at);
/* The options of a call: given ones, else their defaults. NULL after a message. */
/* The names that the body of d sees: a library's functions do not see the user's. */
Env  *elab_scope(Elab *e, const Decl *d);
Env  *elab_bind_options(Elab *e, Env *env, const Decl *d, int nopts, const Option *opts,
                        const Value *const *values, Span at);
Env  *env_bind(Elab *e, Env *up, const char *name, const Value *v);
const Value *env_find(const Env *env, const char *name);
/* A fresh index over a set, whose symbols become active until elab_leave. */
const Value *elab_enter(Elab *e, IndexSet *s, Span at);
void  elab_leave(Elab *e, IndexSet *s);
int64_t elab_sym_extent(const Elab *e, Sym s);
/* sum/prod/max/min over the listed symbols of a real scalar expression. */
Ref   elab_reduce(Elab *e, Op op, Ref body, int nsyms, const Sym *syms);
const Value *elab_reduce_all(Elab *e, const char *which, const Value *v, Span at);
/* The set that an index name left without one runs over, found from its uses. */
IndexSet *elab_infer_set(Elab *e, Env *env, const Expr *body, const char *index, Span at);
bool  set_is_static(const IndexSet *s);   /* directions: loops over it are unrolled */
const Value *elab_array(Elab *e, Env *env, int nbinds, const Bind *binds, const Expr *value,
                        const Value *(*make)(Elab *, Env *, const Expr *), Span at);

/* ---- params.c ---- */
/* What a name means here: v itself, or the value that replaces a parameter.  Notes what
 * is read, and refuses what was computed from a replaced parameter. */
const Value *param_value(Elab *e, const Value *v, Span at);
/* The list of what v was computed from, from the reads since e->read was emptied. */
void param_uses(Elab *e, Value *v);
/* The function f seeing the parameter with the value v: f(…; kappa = v), vary(f, kappa, v). */
const Value *param_vary(Elab *e, const Value *f, const Value *param, const Value *v, Span at);
/* The parameter of the program called so, or NULL. */
const Value *param_named(const Elab *e, const char *name);

/* ---- elab_grad.c ---- */
/* ==== elab_local.c: one element of a field at a time ==== */
const Value *elab_difference(Elab *e, const Value *const *args, const Span *arg_at, Span at);
const Value *elab_colour(Elab *e, bool count, const Value *const *args, const Span *arg_at, Span at);

const Value *elab_grad(Elab *e, Env *env, const Expr *call);

/* ---- network.c: layers, networks, weights ---- */
void elab_network(Elab *e, const Decl *d);                      /* declares it */
const Value *layer_with(Elab *e, const Value *f, Env *env, Span at);   /* a layer whose settings are bound, at this place */
const Value *layer_apply(Elab *e, const Value *f, int n, const Value *const *args, const Span *arg_at, Span at);
const Value *function_compose(Elab *e, const Value *first, const Value *second, Span at);
const Value *function_power(Elab *e, const Value *f, const Value *times, Span at);
const Value *network_weights(Elab *e, const Value *f, Span at);  /* f.weights, a tuple */
/* The value of `weight` in a layer, whose start is `init`. */
const Value *elab_weight(Elab *e, const char *name, const Value *init, Span at);
/* The same with the value that a task will give it: what was said before the task keeps the old one. */
Variable *variable_next(Elab *e, Variable *v, int task);
Variable *variable_new(Elab *e, const char *name, FieldKind kind, const Value *init, Span at);
const Value *variable_value(const Variable *v);

/* ---- elab_arrays.c: functions of whole arrays ---- */
const Value *elab_svd(Elab *e, const Value *a, Span at);          /* (U, s, V) */
const Value *elab_eigh(Elab *e, const Value *a, Span at);         /* (values, vectors) */
const Value *elab_cholesky(Elab *e, const Value *a, Span at);
const Value *elab_solve(Elab *e, const Value *a, const Value *b, Span a_at, Span b_at, Span at);
const Value *elab_logdet(Elab *e, const Value *a, Span at);
const Value *elab_taken(Elab *e, const Value *v, const Value *place, Span at);
const Value *elab_spread(Elab *e, const Value *v, Span at);
const Value *elab_flat(Elab *e, const Value *v, Span at);
const Value *elab_shaped(Elab *e, const Value *v, const Value *like, const Span *arg_at, Span at);

/* ---- elab_stmt.c ---- */
const Value *elab_block(Elab *e, Env *env, const Block *b);   /* the returned value */
const Value *elab_draw(Elab *e, const Value *dist, Span at);  /* one draw per element */
const Value *elab_input_like(Elab *e, const char *name, const Value *like, Span at);  /* inputs of the same shape */
/* Runs a sampler's body: env must hold its parameters; fills the frame. */
void elab_sampler_body(Elab *e, Env *env, const Block *b);

/* ---- builtins.c ---- */
int  builtin_find(const char *name);                 /* -1: none */
const char *const *builtin_names(int *n);
const Value *builtin_call(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at);
/* Is its first argument a function, also where the name of an action is its value? */
bool builtin_wants_function(int which);
const Value *builtin_value(Elab *e, const char *name, Span at);   /* pi, inf, … or NULL */

/* ==== model.c =================================================================== */

typedef struct ParamInfo { const char *name; const Value *bound; Span at; double value, dflt; bool boolean, overridden; const char *doc; const Decl *decl; } ParamInfo;

typedef struct Override { const char *name; const char *text; bool used; } Override;

/* A parameter that a scan sets. */
typedef struct Forced { const char *name; Expr value; const struct Forced *up; } Forced;

typedef struct Model {
    Front   *front;
    Elab    *elab;
    VEC(const Decl *) decls;        /* all, imports first, in order */
    VEC(ParamInfo) params;
    VEC(FieldInfo *) fields;
    VEC(const Decl *) tasks;        /* of the main file */
    VEC(IndexSet *) sets;
    VEC(const char *) imported;
    Override *overrides; int noverrides;
    const char *library;            /* folder of the standard library */
    const char *path;               /* main file */
    VEC(const char *) unknown;      /* names reported as unknown: one message for each */
    Env     *functions, *declared;  /* the globals when all functions, and when all else was declared */
    bool     retrains;              /* the scan minimises: networks begin anew at each of its points */
    const Forced *forced;           /* parameters that a scan sets, while it is planned */
    bool     unusable;              /* too broken to be elaborated */
} Model;

/* Parses, imports, resolves, elaborates all declarations that are not tasks. Errors go
 * to the sink; never NULL. */
Model *model_load(Front *front, Arena *arena, const char *path, const char *library,
                  Override *overrides, int noverrides, uint32_t seed);
FieldInfo *model_field(const Model *m, const char *name);
/* A task in the block of a scan could not be read: the names that it makes are unknown. */
bool model_lacks_tasks(const Model *m);
/* The declarations once more, with other values of parameters: e->globals, params, fields
 * and sets are those, until model_unforce restores what model_force saved. */
void model_force(Model *m, const Forced *forced, Model *saved);
void model_unforce(Model *m, const Model *saved, Env *globals);
/* The module of the library that defines a function or sampler, by its dotted name, or NULL. */
const char *library_module(const Model *m, const char *name);
/* Bytes that this machine, or the limit of the process, allows. */
double available_memory(void);

/* ==== load.c ==================================================================== */

#define MAX_DATA ((int64_t)1 << 27)   /* elements of an array of data */

/* `data names[sets] = load(…)`: the array for the name number `which` (§2.4), or the error
 * value. */
const Value *load_data(Model *m, Arena *arena, const Decl *d, int which, IndexSet *const *sets);

/* ==== resolve.c ================================================================= */

/* Unknown names, duplicate declarations and recursion; before elaboration. */
void resolve_model(Model *m);

/* ==== tasks.c =================================================================== */

typedef struct SampleTask {
    const Decl  *decl;
    Target       target;
    int          nfields;
    int64_t      chains, warmup, draws, thin;
    bool         single;             /* precision */
    const char  *sampler, *method;   /* its name; and for messages, with the point of the scan */
    int          nat; const char **at_name; double *at_value;   /* the point of the scan */
    VEC(Primary) primaries;
    SamplerFrame frame;
    /* Inputs common to step and measure: the components of the state. */
    VEC(Ref)     state_in;           /* fields (re, im each), then the sampler's state variables */
    VEC(Ref)     state_out;
    int          nfield_parts;
    VEC(Ref)     start;              /* initial state, from draws */
    Ref          clock_in;           /* of a sampler: is it warm-up?  of a minimisation: the number of the iteration */
    bool         minimizes;          /* `minimize`: fields are Variables, one chain, draws iterations */
    Variable   **minimized, **found; /* [target.n]: as they were, and as they are after it */
    Variables    init_uses, step_uses, measure_uses;   /* further inputs */
    VEC(Ref)     stats_out;          /* of step: per accept: accepted, ratio; then monitors */
    const Value *config;             /* the fields as the user sees them, in terms of state_in */
    IrFunc       init, step, measure;
    int          index;              /* number of the sample task */
    Span         accept_at;
} SampleTask;

/* ---- minimize.c: the objective of a minimisation at q, and its gradient there ---- */
const Value *minimize_gradient(Elab *e, const SampleTask *t, const Value *q, const Value **objective);

/* ---- spins.c: the spins among the fields, q before the step, are +1 or -1 after it; else a message. ---- */
bool spins_stay(Elab *e, const SampleTask *t, const Value *q);
/* Notes of a step which of its inputs hold spins that started as such. */
void spins_mark(Elab *e, SampleTask *t);

/* A mean over the configurations of a sample: the real or imaginary part of a primary. */
typedef struct ReportInput { SampleTask *sample; int primary; bool imaginary; } ReportInput;

typedef struct ReportTask {
    const Decl *decl;
    const char *name;
    const Value *value;              /* closed, in terms of the primaries' inputs */
    VEC(ReportInput) inputs;         /* the means that it depends on, by sample */
    Variables   uses, vjp_uses;      /* further inputs of eval and vjp */
    IrFunc      eval;                /* in: these means; out: value */
    IrFunc      vjp;                 /* in: these means, seed; out: gradient for each */
    bool        has_vjp;
    int         number;              /* of its plain form, once the plan was lowered */
} ReportTask;

typedef struct PlotCurve {
    PlotKind    kind;
    const char *label;
    SampleTask *sample;
    int         primary;             /* histogram, history: series of this primary */
    const char *monitor;             /* or of what the method watches */
    ReportTask *report;              /* a derived quantity, with errors */
    ReportTask *error;               /* given beside it, or NULL: its own */
    int         count;               /* lines: how many configurations */
} PlotCurve;

/* What a file of `save` holds. */
typedef struct SaveItem {
    const char *name;
    ReportTask *report;              /* a result, or a value known before the run */
    bool        value;               /* the latter: without an error */
    int         primary;             /* or, when report is NULL, the series of this primary */
} SaveItem;

typedef struct Task {
    TaskKind    kind;
    const Decl *decl;
    SampleTask *sample;
    ReportTask *report;
    VEC(PlotCurve) curves;
    PlotLook    look;
    VEC(const Value *) values; VEC(ReportTask *) reports; /* print */
    VEC(const char *) texts;
    VEC(SaveItem) saved;
    const char *path;
    Variables   variables;           /* load, save: these, or all of the network; keep: this one */
    Network    *network;
    int         kept;                /* keep: the series of this primary */
} Task;

typedef struct Plan { VEC(Task *) tasks; Model *model; int nsamples; bool claims; } Plan;

/* Elaborates the tasks; errors go to the sink. `claims`: with what `lqft check` needs. */
Plan *plan_tasks(Model *m, bool claims);

#endif
