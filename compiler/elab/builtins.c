/* builtins.c — the functions that the language itself supplies (language reference
 * §5): elementary functions, complex parts, whole-array reductions, sizes of index
 * sets, and the primitive distributions.  Methods of physics are library text. */
#include "elab.h"

#include <math.h>
#include <string.h>

typedef const Value *BuiltinFn(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at);

typedef struct Builtin { const char *name; int min_args, max_args; BuiltinFn *call; int detail; } Builtin;
static const Builtin builtins[];

/* Applies f to every field of a tuple. */
static const Value *each(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    const Value *items[MAX_ITEMS], *inner[4];
    for (int i = 0; i < args[0]->u.tuple.n && i < MAX_ITEMS; i++) {
        memcpy(inner, args, (size_t)n * sizeof *args);
        inner[0] = args[0]->u.tuple.items[i];
        for (int k = 1; k < n; k++)
            if (args[k]->kind == VK_TUPLE && args[k]->u.tuple.n == args[0]->u.tuple.n) inner[k] = args[k]->u.tuple.items[i];
        items[i] = builtin_call(e, which, n, inner, arg_at, at);
        if (items[i]->kind == VK_ERROR) return items[i];
    }
    return value_tuple(e, args[0]->u.tuple.n, items, at);
}

/* The same of two arguments, one or both of them tuples. */
static const Value *each_of_two(Elab *e, int which, const Value *const *args, const Span *arg_at, Span at) {
    const Value *items[MAX_ITEMS];
    int n = args[args[0]->kind != VK_TUPLE]->u.tuple.n;
    if (args[0]->kind == VK_TUPLE && args[1]->kind == VK_TUPLE && args[0]->u.tuple.n != args[1]->u.tuple.n)
        return ELAB_FAIL(e, "E0207", at, "`%s` takes tuples with as many components, and these have %d and %d", builtins[which].name,
                         args[0]->u.tuple.n, args[1]->u.tuple.n);
    for (int i = 0; i < n && i < MAX_ITEMS; i++) {
        const Value *inner[2];
        for (int k = 0; k < 2; k++) inner[k] = args[k]->kind == VK_TUPLE ? args[k]->u.tuple.items[i] : args[k];
        items[i] = builtin_call(e, which, 2, inner, arg_at, at);
        if (items[i]->kind == VK_ERROR) return items[i];
    }
    return value_tuple(e, n, items, at);
}

static const Value *number_arg(Elab *e, int which, const Value *v, Span at) {
    v = value_number(e, v, at, builtins[which].name);
    if (v->kind == VK_NUM && v->u.num.boolean)
        return ELAB_FAIL(e, "E0205", at, "`%s` needs a number, and this is a condition", builtins[which].name);
    return v;
}

/* ---- complex elementary functions, from real ones ------------------------------------------- */

static const Value *map_parts(Elab *e, const Value *v, Ref re, Ref im, Span at) {
    Value *out = value_new(e, VK_NUM, at);
    out->u.num = v->u.num;
    out->u.num.re = re, out->u.num.im = im, out->u.num.complex = im != 0, out->u.num.boolean = false;
    return out;
}

static Ref modulus(Ir *ir, Ref x, Ref y) {
    return ir_unary(ir, SC_SQRT, ir_binary(ir, SC_ADD, ir_binary(ir, SC_MUL, x, x), ir_binary(ir, SC_MUL, y, y)));
}

static const Value *complex_elementary(Elab *e, Op op, const Value *v, Span at) {
    Ir *ir = e->ir;
    Ref x = v->u.num.re, y = v->u.num.im;
#define U(op, a) ir_unary(ir, SC_##op, a)
#define M(a, b) ir_binary(ir, SC_MUL, a, b)
    switch (op) {
    case SC_EXP: { Ref r = U(EXP, x); return map_parts(e, v, M(r, U(COS, y)), M(r, U(SIN, y)), at); }
    case SC_LOG: return map_parts(e, v, U(LOG, modulus(ir, x, y)), ir_binary(ir, SC_ATAN2, y, x), at);
    case SC_SIN: return map_parts(e, v, M(U(SIN, x), U(COSH, y)), M(U(COS, x), U(SINH, y)), at);
    case SC_COS: return map_parts(e, v, M(U(COS, x), U(COSH, y)), U(NEG, M(U(SIN, x), U(SINH, y))), at);
    case SC_SINH: return map_parts(e, v, M(U(SINH, x), U(COS, y)), M(U(COSH, x), U(SIN, y)), at);
    case SC_COSH: return map_parts(e, v, M(U(COSH, x), U(COS, y)), M(U(SINH, x), U(SIN, y)), at);
    case SC_ABS: return map_parts(e, v, modulus(ir, x, y), 0, at);
    case SC_SQRT: return value_binary(e, OP_POW, v, value_const(e, 0.5, at), at, at);
    default: return NULL;
    }
#undef U
#undef M
}

static const Value *call_op1(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    if (args[0]->kind == VK_TUPLE) return each(e, which, n, args, arg_at, at);
    const Value *v = number_arg(e, which, args[0], arg_at[0]);
    if (v->kind == VK_ERROR) return v;
    Op op = (Op)builtins[which].detail;
    if (!v->u.num.complex) return value_map1(e, op, v, at);
    if (op == SC_TAN || op == SC_TANH) {
        const Value *s = complex_elementary(e, op == SC_TAN ? SC_SIN : SC_SINH, v, at);
        const Value *c = complex_elementary(e, op == SC_TAN ? SC_COS : SC_COSH, v, at);
        return value_binary(e, OP_DIV, s, c, at, at);
    }
    if (op == SC_SIGMOID) {         /* 1/(1 + e^-z) */
        const Value *one = value_const(e, 1, at);
        const Value *power = complex_elementary(e, SC_EXP, value_binary(e, OP_SUB, value_const(e, 0, at), v, at, at), at);
        return value_binary(e, OP_DIV, one, value_binary(e, OP_ADD, one, power, at, at), at, at);
    }
    const Value *out = complex_elementary(e, op, v, at);
    return out ? out : ELAB_FAIL(e, "E0206", at, "`%s` of a complex number is not defined here", builtins[which].name);
}

static const Value *call_op2(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    Op op = (Op)builtins[which].detail;
    if (n == 1) {
        if (op == SC_ATAN2) return call_op1(e, builtin_find("atan"), 1, args, arg_at, at);
        return elab_reduce_all(e, builtins[which].name, args[0], at);   /* max(a): over all elements */
    }
    for (int i = 0; i < n; i++)
        if (args[i]->kind == VK_TUPLE && n == 2) return each_of_two(e, which, args, arg_at, at);
    const Value *acc = number_arg(e, which, args[0], arg_at[0]);
    for (int i = 1; i < n && acc->kind != VK_ERROR; i++) {
        const Value *b = number_arg(e, which, args[i], arg_at[i]);
        if (b->kind == VK_ERROR) return b;
        if (acc->u.num.complex || b->u.num.complex)
            return op == SC_POW ? value_binary(e, OP_POW, acc, b, at, at)
                                : ELAB_FAIL(e, "E0206", at, "complex numbers have no order and no angle of two");
        acc = value_map2(e, op, acc, b, at);
    }
    return acc;
}

/* a - b floor(a/b): the remainder with the sign of b. */
static const Value *call_mod(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    const Value *a = number_arg(e, which, args[0], arg_at[0]), *b = number_arg(e, which, args[1], arg_at[1]);
    (void)n;
    if (a->kind == VK_ERROR || b->kind == VK_ERROR) return value_error();
    if (a->kind != VK_NUM || b->kind != VK_NUM || a->u.num.complex || b->u.num.complex)
        return ELAB_FAIL(e, "E0206", at, "`mod` takes two real numbers");
    const Value *turns = value_binary(e, OP_DIV, a, b, at, at);
    if (turns->kind == VK_ERROR) return turns;
    return value_binary(e, OP_SUB, a, value_binary(e, OP_MUL, b, value_map1(e, SC_FLOOR, turns, at), at, at), at, at);
}

enum { PART_RE, PART_IM, PART_CONJ, PART_ARG };

static const Value *call_part(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    if (args[0]->kind == VK_TUPLE) return each(e, which, n, args, arg_at, at);
    const Value *v = number_arg(e, which, args[0], arg_at[0]);
    if (v->kind == VK_ERROR) return v;
    Ref x = v->u.num.re, y = v->u.num.im ? v->u.num.im : ir_const(e->ir, 0);
    switch (builtins[which].detail) {
    case PART_RE: return map_parts(e, v, x, 0, at);
    case PART_IM: return map_parts(e, v, y, 0, at);
    case PART_CONJ: return v->u.num.complex ? map_parts(e, v, x, ir_unary(e->ir, SC_NEG, y), at) : v;
    default: return map_parts(e, v, ir_binary(e->ir, SC_ATAN2, y, x), 0, at);
    }
}

static const Value *call_reduce(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    (void)n, (void)arg_at;
    return elab_reduce_all(e, builtins[which].name, args[0], at);
}

/* ---- index sets -------------------------------------------------------------------------------- */

static const Value *call_size(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    (void)n;
    const Value *v = args[0];
    if (v->kind == VK_TUPLE && builtins[which].detail == 0) {
        double total = 0, part;
        for (int i = 0; i < v->u.tuple.n; i++) {
            const Value *s = call_size(e, which, 1, &v->u.tuple.items[i], arg_at, at);
            if (!value_is_const(e, s, &part)) return s;
            total += part;
        }
        return value_const(e, total, at);
    }
    if (v->kind == VK_NUM && builtins[which].detail == 0) {
        double total = 1;
        for (int i = 0; i < v->u.num.nsets; i++) total *= (double)set_size(v->u.num.sets[i]);
        return value_const(e, total, at);
    }
    if (v->kind != VK_SET) return ELAB_FAIL(e, "E0203", arg_at[0], "`%s` needs an index set, and this is %s", builtins[which].name, value_describe(e, v));
    if (builtins[which].detail == 0) return value_const(e, (double)set_size(v->u.set), at);
    if (v->u.set->kind != SET_GRID || v->u.set->step == 0)
        return ELAB_FAIL(e, "E0224", arg_at[0], "`step` needs a grid of equal spacing, and this is %s", value_describe(e, v));
    return value_const(e, v->u.set->step, at);
}

static const Value *call_extent(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    (void)which, (void)n;
    double k;
    if (args[0]->kind != VK_SET) return ELAB_FAIL(e, "E0203", arg_at[0], "`extent` needs a lattice, and this is %s", value_describe(e, args[0]));
    IndexSet *s = args[0]->u.set;
    const Value *number = args[1]->kind == VK_INDEX && args[1]->u.index.set->kind == SET_DIRS
                              ? value_number(e, args[1], arg_at[1], "extent") : args[1];
    if (!value_is_const(e, number, &k) || k != rint(k) || k < 0 || k >= s->rank)
        return ELAB_FAIL(e, "E0215", arg_at[1], "`%s` has the directions 0 to %d", s->name, s->rank - 1);
    return value_const(e, (double)s->ext[(int)k], at);
}

/* The number of an element in its set, from 0, row by row: on a grid an index is its coordinate. */
static const Value *call_position(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    (void)which, (void)n;
    const Value *v = args[0];
    if (v->kind != VK_INDEX) return ELAB_FAIL(e, "E0203", arg_at[0], "`position` needs an index, and this is %s", value_describe(e, v));
    Aff place = v->u.index.c[0];
    for (int i = 1; i < v->u.index.set->rank; i++) place = aff_add(e->ir, aff_scale(e->ir, place, v->u.index.set->ext[i]), v->u.index.c[i]);
    return value_real(e, ir_idx(e->ir, (Index){place, IX_EXACT, 0}), at);
}

/* The index set of an array, where a library function does not know its name. */
static const Value *call_sites(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    (void)which, (void)n;
    if (args[0]->kind != VK_NUM || args[0]->u.num.nsets == 0) {
        Diag *d = elab_error(e, "E0203", arg_at[0], "`sites` gives the index set of an array, and this is %s", value_describe(e, args[0]));
        if (args[0]->kind == VK_TUPLE) diag_help(&e->front->sink, d, "choose one of its components");
        return value_error();
    }
    Value *v = value_new(e, VK_SET, at);
    v->u.set = args[0]->u.num.sets[0];
    v->name = v->u.set->name;
    return v;
}

/* An array of zeros like x, which does not depend on x. */
static const Value *call_zeros(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    (void)n, (void)at;
    const Value *v = args[0]->kind == VK_TUPLE ? args[0] : number_arg(e, which, args[0], arg_at[0]);
    return v->kind == VK_ERROR ? v : value_zero_like(e, v);
}

/* window(X, k): displacements by -(k-1)/2 to k/2 in each direction; block(X, k): by 0 to k-1;
 * coarse(X, k): the sites k*s; fine(S, k): the lattice of which S are the sites k*s. */
enum { SETS_WINDOW, SETS_BLOCK, SETS_COARSE, SETS_FINE };

static const Value *no_sets(Elab *e, int detail, const IndexSet *X, int64_t width, Span at) {
    Diag *d = detail == SETS_FINE ? elab_error(e, "E0215", at, "`%s` is not made by coarse(…, %lld)", X->name, (long long)width)
                                  : elab_error(e, "E0215", at, "the extents of `%s` are no multiples of %lld", X->name, (long long)width);
    diag_label(&e->front->sink, d, X->at, "%s", set_describe(e->arena, X));
    return value_error();
}

static const Value *call_sets(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    (void)n;
    double k;
    if (args[0]->kind != VK_SET || args[0]->u.set->kind != SET_LATTICE)
        return ELAB_FAIL(e, "E0203", arg_at[0], "`%s` needs a lattice, and this is %s", builtins[which].name, value_describe(e, args[0]));
    if (!value_is_const(e, args[1], &k) || k != rint(k) || k < 1 || k > 1024)
        return ELAB_FAIL(e, "E0215", arg_at[1], "a width is a whole number from 1 to 1024");
    IndexSet *X = args[0]->u.set;
    int64_t width = (int64_t)k;
    int detail = builtins[which].detail;
    IndexSet *s = detail == SETS_COARSE ? set_coarse(e, X, width, at)
                : detail == SETS_FINE ? (width == 1 ? X : X->factor == width ? X->fine : NULL)
                : set_window(e, X, width, detail == SETS_BLOCK ? 0 : -(width - 1) / 2, at);
    if (!s) return no_sets(e, detail, X, width, at);
    Value *v = value_new(e, VK_SET, at);
    v->u.set = s;
    v->name = s->name;
    return v;
}

static const Value *call_identity(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    (void)n, (void)at;
    return args[0]->kind == VK_TUPLE ? args[0] : number_arg(e, which, args[0], arg_at[0]);
}

static const Value *call_vary(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    (void)which, (void)n, (void)arg_at;
    return param_vary(e, args[0], args[1], args[2], at);
}

/* ---- one element at a time ---------------------------------------------------------------------- */

static const Value *call_local(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    (void)n;
    if (builtins[which].detail == 0) return elab_difference(e, args, arg_at, at);
    return elab_colour(e, builtins[which].detail == 2, args, arg_at, at);
}

bool builtin_wants_function(int which) { return builtins[which].call == call_local; }

/* ---- whole arrays ---------------------------------------------------------------------------------- */

enum { WHOLE_SVD, WHOLE_EIGH, WHOLE_CHOLESKY, WHOLE_SOLVE, WHOLE_LOGDET, WHOLE_SPREAD, WHOLE_FLAT, WHOLE_SHAPED };

static const Value *call_whole(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    (void)n;
    switch (builtins[which].detail) {
    case WHOLE_SVD: return elab_svd(e, args[0], at);
    case WHOLE_EIGH: return elab_eigh(e, args[0], at);
    case WHOLE_CHOLESKY: return elab_cholesky(e, args[0], at);
    case WHOLE_SOLVE: return elab_solve(e, args[0], args[1], arg_at[0], arg_at[1], at);
    case WHOLE_LOGDET: return elab_logdet(e, args[0], at);
    case WHOLE_FLAT: return elab_flat(e, args[0], at);
    case WHOLE_SHAPED: return elab_shaped(e, args[0], args[1], arg_at, at);
    default: return elab_spread(e, args[0], at);
    }
}

/* ---- distributions ------------------------------------------------------------------------------- */

static const Value *call_dist(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    Value *d = value_new(e, VK_DIST, at);
    d->u.dist.kind = (DistKind)builtins[which].detail;
    const Value *dflt[2] = {value_const(e, d->u.dist.kind == DIST_EXPONENTIAL ? 1 : 0, at), value_const(e, 1, at)};
    const Value *given[2];
    for (int i = 0; i < 2; i++) {
        given[i] = i < n ? args[i] : dflt[i];
        if (given[i]->kind == VK_TUPLE) continue;
        given[i] = value_number(e, given[i], i < n ? arg_at[i] : at, builtins[which].name);
        if (given[i]->kind == VK_ERROR) return given[i];
    }
    d->u.dist.a = given[0], d->u.dist.b = given[1];
    return d;
}

/* ---- the table -------------------------------------------------------------------------------------- */

static const Builtin builtins[] = {
    {"exp", 1, 1, call_op1, SC_EXP},       {"expm1", 1, 1, call_op1, SC_EXPM1},   {"log", 1, 1, call_op1, SC_LOG},
    {"log1p", 1, 1, call_op1, SC_LOG1P},   {"sin", 1, 1, call_op1, SC_SIN},       {"cos", 1, 1, call_op1, SC_COS},
    {"tan", 1, 1, call_op1, SC_TAN},       {"asin", 1, 1, call_op1, SC_ASIN},     {"acos", 1, 1, call_op1, SC_ACOS},
    {"atan", 1, 1, call_op1, SC_ATAN},     {"sinh", 1, 1, call_op1, SC_SINH},     {"cosh", 1, 1, call_op1, SC_COSH},
    {"tanh", 1, 1, call_op1, SC_TANH},     {"asinh", 1, 1, call_op1, SC_ASINH},   {"acosh", 1, 1, call_op1, SC_ACOSH},
    {"atanh", 1, 1, call_op1, SC_ATANH},   {"erf", 1, 1, call_op1, SC_ERF},       {"lgamma", 1, 1, call_op1, SC_LGAMMA},
    {"erfc", 1, 1, call_op1, SC_ERFC},     {"digamma", 1, 1, call_op1, SC_DIGAMMA},
    {"log_i0", 1, 1, call_op1, SC_LOG_I0}, {"bessel_ratio", 1, 1, call_op1, SC_BESSEL_RATIO},
    {"softplus", 1, 1, call_op1, SC_SOFTPLUS}, {"sigmoid", 1, 1, call_op1, SC_SIGMOID},
    {"sqrt", 1, 1, call_op1, SC_SQRT},     {"abs", 1, 1, call_op1, SC_ABS},       {"sign", 1, 1, call_op1, SC_SIGN},
    {"floor", 1, 1, call_op1, SC_FLOOR},   {"round", 1, 1, call_op1, SC_ROUND},
    {"atan2", 2, 2, call_op2, SC_ATAN2},   {"pow", 2, 2, call_op2, SC_POW},
    {"hash", 2, 2, call_op2, SC_HASH},
    {"mod", 2, 2, call_mod, 0},
    {"min", 1, 8, call_op2, SC_MIN},       {"max", 1, 8, call_op2, SC_MAX},
    {"Re", 1, 1, call_part, PART_RE},      {"Im", 1, 1, call_part, PART_IM},      {"conj", 1, 1, call_part, PART_CONJ},
    {"arg", 1, 1, call_part, PART_ARG},
    {"sum", 1, 1, call_reduce, 0},         {"prod", 1, 1, call_reduce, 0},        {"mean", 1, 1, call_reduce, 0},
    {"volume", 1, 1, call_size, 0},        {"size", 1, 1, call_size, 0},          {"step", 1, 1, call_size, 1},
    {"extent", 2, 2, call_extent, 0},      {"position", 1, 1, call_position, 0},  {"vary", 3, 3, call_vary, 0},
    {"sites", 1, 1, call_sites, 0},        {"zeros", 1, 1, call_zeros, 0},        {"identity", 1, 1, call_identity, 0},
    {"window", 2, 2, call_sets, SETS_WINDOW}, {"block", 2, 2, call_sets, SETS_BLOCK}, {"coarse", 2, 2, call_sets, SETS_COARSE}, {"fine", 2, 2, call_sets, SETS_FINE},
    {"difference", 3, 3, call_local, 0},   {"colour", 2, 2, call_local, 1},       {"colours", 2, 2, call_local, 2},
    {"svd", 1, 1, call_whole, WHOLE_SVD},  {"eigh", 1, 1, call_whole, WHOLE_EIGH}, {"cholesky", 1, 1, call_whole, WHOLE_CHOLESKY},
    {"solve", 2, 2, call_whole, WHOLE_SOLVE}, {"logdet", 1, 1, call_whole, WHOLE_LOGDET}, {"spread", 1, 1, call_whole, WHOLE_SPREAD},
    {"flat", 1, 1, call_whole, WHOLE_FLAT}, {"shaped", 2, 2, call_whole, WHOLE_SHAPED},
    {"normal", 0, 2, call_dist, DIST_NORMAL}, {"uniform", 0, 2, call_dist, DIST_UNIFORM},
    {"exponential", 0, 1, call_dist, DIST_EXPONENTIAL},
};

int builtin_find(const char *name) {
    for (int i = 0; i < LQ_COUNT(builtins); i++)
        if (!strcmp(builtins[i].name, name)) return i;
    return -1;
}

const char *const *builtin_names(int *n) {
    static const char *names[LQ_COUNT(builtins) + 7];
    for (int i = 0; i < LQ_COUNT(builtins); i++) names[i] = builtins[i].name;
    *n = LQ_COUNT(builtins);
    static const char *const more[] = {"pi", "inf", "grad", "E", "warmup", "iteration", "progress"};
    for (int i = 0; i < LQ_COUNT(more); i++) names[(*n)++] = more[i];
    return names;
}

const Value *builtin_call(Elab *e, int which, int n, const Value *const *args, const Span *arg_at, Span at) {
    const Builtin *b = &builtins[which];
    if (n < b->min_args || n > b->max_args)
        return b->min_args == b->max_args
                   ? ELAB_FAIL(e, "E0217", at, "`%s` takes %d argument%s, here %s %d", b->name, b->min_args, b->min_args == 1 ? "" : "s", n == 1 ? "is" : "are", n)
                   : ELAB_FAIL(e, "E0217", at, "`%s` takes %d to %d arguments, here %s %d", b->name, b->min_args, b->max_args, n == 1 ? "is" : "are", n);
    return b->call(e, which, n, args, arg_at, at);
}

const Value *builtin_value(Elab *e, const char *name, Span at) {
    if (!strcmp(name, "pi") || !strcmp(name, "π")) return value_const(e, M_PI, at);
    if (!strcmp(name, "inf")) return value_const(e, INFINITY, at);
    if (!strcmp(name, "warmup") && e->warmup) return e->warmup;
    if (!strcmp(name, "iteration") && e->step) return e->step;
    if (!strcmp(name, "progress") && e->progress) return e->progress;
    return NULL;
}
