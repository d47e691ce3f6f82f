/* simplify.c — algebra on the array IR.
 *   simplify_node     identities that the constructors apply at once
 *   simplify_reduce   reductions of constants, and of terms with one non-zero point
 *   simplify_roots    a normal form of sums for all bodies, with fused multiply-adds
 * Requires: well-formed nodes.  Keeps: shapes, and values up to rounding (x*0 is 0 even
 * where x is not finite).  All executors see the result, so they round alike. */
#include "ir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is(const Ir *ir, Ref r, double v) {
    double c;
    return ir_is_literal(ir, r, &c) && c == v;
}

static Op op_of(const Ir *ir, Ref r) { return (Op)NODE(ir, r)->op; }

/* ---- identities, one function per operation ------------------------------------------ */

static Ref simplify_add(Ir *ir, Ref a, Ref b) {
    if (is(ir, a, 0)) return b;
    if (is(ir, b, 0)) return a;
    if (op_of(ir, b) == SC_NEG) return ir_binary(ir, SC_SUB, a, NARG(ir, b, 0));
    if (op_of(ir, a) == SC_NEG) return ir_binary(ir, SC_SUB, b, NARG(ir, a, 0));
    return a > b ? ir_binary(ir, SC_ADD, b, a) : 0;
}

static Ref simplify_sub(Ir *ir, Ref a, Ref b) {
    if (a == b) return ir_const(ir, 0);
    if (is(ir, b, 0)) return a;
    if (is(ir, a, 0)) return ir_unary(ir, SC_NEG, b);
    if (op_of(ir, b) == SC_NEG) return ir_binary(ir, SC_ADD, a, NARG(ir, b, 0));
    return 0;
}

static Ref simplify_mul(Ir *ir, Ref a, Ref b) {
    if (is(ir, b, 0) || is(ir, b, 1) || is(ir, b, -1)) { Ref t = a; a = b; b = t; }
    if (is(ir, a, 0)) return a;
    if (is(ir, a, 1)) return b;
    if (is(ir, a, -1)) return ir_unary(ir, SC_NEG, b);
    if (a == b && op_of(ir, a) == SC_SQRT) return NARG(ir, a, 0);      /* |z|^2 has no root in it */
    if (op_of(ir, a) == SC_NEG) return ir_unary(ir, SC_NEG, ir_binary(ir, SC_MUL, NARG(ir, a, 0), b));
    if (op_of(ir, b) == SC_NEG) return ir_unary(ir, SC_NEG, ir_binary(ir, SC_MUL, a, NARG(ir, b, 0)));
    if (ir_is_const(ir, b, NULL) && !ir_is_const(ir, a, NULL)) return ir_binary(ir, SC_MUL, b, a);
    if (ir_is_const(ir, a, NULL) && op_of(ir, b) == SC_MUL && ir_is_const(ir, NARG(ir, b, 0), NULL))
        return ir_binary(ir, SC_MUL, ir_binary(ir, SC_MUL, a, NARG(ir, b, 0)), NARG(ir, b, 1));
    return a > b && !ir_is_const(ir, a, NULL) ? ir_binary(ir, SC_MUL, b, a) : 0;
}

static Ref simplify_div(Ir *ir, Ref a, Ref b) {
    double c;
    if (is(ir, b, 1)) return a;
    if (is(ir, a, 0)) return a;
    if (ir_is_literal(ir, b, &c) && c != 0 && isnormal(1 / c)) return ir_binary(ir, SC_MUL, ir_const(ir, 1 / c), a);
    if (ir_recipe(ir, b)) return ir_binary(ir, SC_MUL, ir_const_computed(ir, SC_DIV, 2, (Ref[]){ir_const(ir, 1), b}), a);
    if (op_of(ir, a) == SC_NEG) return ir_unary(ir, SC_NEG, ir_binary(ir, SC_DIV, NARG(ir, a, 0), b));
    return 0;
}

static Ref simplify_neg(Ir *ir, Ref a) {
    if (op_of(ir, a) == SC_NEG) return NARG(ir, a, 0);
    if (op_of(ir, a) == SC_SUB) return ir_binary(ir, SC_SUB, NARG(ir, a, 1), NARG(ir, a, 0));
    if (op_of(ir, a) == SC_MUL && ir_is_const(ir, NARG(ir, a, 0), NULL))
        return ir_binary(ir, SC_MUL, ir_unary(ir, SC_NEG, NARG(ir, a, 0)), NARG(ir, a, 1));
    return 0;
}

static Ref integer_power(Ir *ir, Ref x, int n) {
    if (n == 1) return x;
    Ref half = integer_power(ir, x, n / 2), square = ir_binary(ir, SC_MUL, half, half);
    return n % 2 ? ir_binary(ir, SC_MUL, square, x) : square;
}

static Ref simplify_pow(Ir *ir, Ref a, Ref b) {
    double n;
    if (!ir_is_const(ir, b, &n)) return 0;
    if (n == 0) return ir_const(ir, 1);
    if (n == 0.5) return ir_unary(ir, SC_SQRT, a);
    if (n != rint(n) || fabs(n) > 64) return 0;
    Ref p = integer_power(ir, a, (int)fabs(n));
    return n > 0 ? p : ir_binary(ir, SC_DIV, ir_const(ir, 1), p);
}

static Ref simplify_select(Ir *ir, Ref c, Ref a, Ref b) {
    double v;
    if (ir_is_const(ir, c, &v)) return v != 0 ? a : b;
    if (a == b) return a;
    if (op_of(ir, c) == SC_NOT) return ir_select(ir, NARG(ir, c, 0), b, a);
    /* if c then (if d then x else z) else z */
    if (op_of(ir, a) == SC_SELECT && NARG(ir, a, 2) == b)
        return ir_select(ir, ir_binary(ir, SC_AND, c, NARG(ir, a, 0)), NARG(ir, a, 1), b);
    if (NODE(ir, a)->boolean && is(ir, b, 0)) return ir_binary(ir, SC_AND, c, a);
    return 0;
}

static Ref simplify_logic(Ir *ir, Op op, Ref a, Ref b) {
    double v;
    if (a == b) return a;
    if (ir_is_const(ir, b, NULL)) { Ref t = a; a = b; b = t; }
    if (ir_is_const(ir, a, &v)) return (op == SC_AND) == (v != 0) ? b : a;
    return a > b ? ir_binary(ir, op, b, a) : 0;
}

static Ref simplify_compare(Ir *ir, Op op, Ref a, Ref b) {
    if (a == b && op_of(ir, a) == SC_IDX) return ir_bool(ir, op == SC_LE || op == SC_EQ);
    if ((op == SC_EQ || op == SC_NE) && a > b) return ir_binary(ir, op, b, a);
    return 0;
}

/* Which of two reads of one array comes first: -1, 1; 0 for other operands, or the same
 * element.  Only constants of indices count, so that it is so wherever both are shifted to. */
static int read_order(const Ir *ir, Ref a, Ref b) {
    if (op_of(ir, a) != SC_READ || op_of(ir, b) != SC_READ || NARG(ir, a, 0) != NARG(ir, b, 0)) return 0;
    for (int i = 0; i < NODE(ir, a)->nidx; i++) {
        const Affine *x = aff_get(ir, NIDX(ir, a, i)->aff), *y = aff_get(ir, NIDX(ir, b, i)->aff);
        if (x->n != y->n) return 0;
        for (int t = 0; t < x->n; t++)
            if (x->t[t].sym != y->t[t].sym || x->t[t].c != y->t[t].c) return 0;
    }
    for (int i = 0; i < NODE(ir, a)->nidx; i++) {
        int64_t x = aff_get(ir, NIDX(ir, a, i)->aff)->k, y = aff_get(ir, NIDX(ir, b, i)->aff)->k;
        if (x != y) return x < y ? -1 : 1;
    }
    return 0;
}

/* Functions of which f(-x) is ±f(x): of a link in one direction, the later element less the
 * earlier, so that both its ends have the same expression (kernel/keep.c). */
static Ref simplify_parity(Ir *ir, Op op, Ref a, bool odd) {
    Ref turned = 0;
    if (op_of(ir, a) == SC_NEG) turned = NARG(ir, a, 0);
    if (op_of(ir, a) == SC_SUB && read_order(ir, NARG(ir, a, 0), NARG(ir, a, 1)) < 0)
        turned = ir_binary(ir, SC_SUB, NARG(ir, a, 1), NARG(ir, a, 0));
    if (!turned) return 0;
    turned = ir_unary(ir, op, turned);
    return odd ? ir_unary(ir, SC_NEG, turned) : turned;
}

static Ref identity(Ir *ir, Op op, const Ref *args) {
    switch (op) {
    case SC_ADD: return simplify_add(ir, args[0], args[1]);
    case SC_SUB: return simplify_sub(ir, args[0], args[1]);
    case SC_MUL: return simplify_mul(ir, args[0], args[1]);
    case SC_DIV: return simplify_div(ir, args[0], args[1]);
    case SC_NEG: return simplify_neg(ir, args[0]);
    case SC_POW: return simplify_pow(ir, args[0], args[1]);
    case SC_SELECT: return simplify_select(ir, args[0], args[1], args[2]);
    case SC_AND: case SC_OR: return simplify_logic(ir, op, args[0], args[1]);
    case SC_LT: case SC_LE: case SC_EQ: case SC_NE: return simplify_compare(ir, op, args[0], args[1]);
    case SC_NOT: return op_of(ir, args[0]) == SC_NOT ? NARG(ir, args[0], 0) : 0;
    case SC_LOG: return op_of(ir, args[0]) == SC_EXP ? NARG(ir, args[0], 0) : 0;
    case SC_ABS: return op_of(ir, args[0]) == SC_ABS ? args[0] : simplify_parity(ir, op, args[0], false);
    case SC_COS: case SC_COSH: return simplify_parity(ir, op, args[0], false);
    case SC_SIN: case SC_TAN: case SC_ASIN: case SC_ATAN: case SC_SINH: case SC_TANH: case SC_ASINH: case SC_ATANH: case SC_ERF:
        return simplify_parity(ir, op, args[0], true);
    case SC_FMA:
        if (ir_is_const(ir, args[0], NULL) && ir_is_const(ir, args[1], NULL) && !ir_is_const(ir, args[2], NULL))
            return ir_binary(ir, SC_ADD, ir_binary(ir, SC_MUL, args[0], args[1]), args[2]);
        return is(ir, args[2], 0) ? ir_binary(ir, SC_MUL, args[0], args[1]) : 0;
    default: return 0;
    }
}

/* An operation on constants: one too.  A truth value that depends on settings fixes them. */
static Ref fold(Ir *ir, Op op, int n, const Ref *args) {
    double v[3] = {0};
    bool literal = true, truth = (op >= SC_LT && op <= SC_NOT) || (op == SC_SELECT && NODE(ir, args[1])->boolean);
    for (int i = 0; i < n && i < 3; i++) literal &= ir_recipe(ir, args[i]) == NULL;
    if (!literal && !truth && op != SC_SELECT) {
        Ref simpler = op == SC_ADD || op == SC_SUB || op == SC_MUL || op == SC_FMA ? identity(ir, op, args) : 0;
        return simpler ? simpler : ir_const_computed(ir, op, n, args);
    }
    if (op == SC_SELECT) return ir_is_const(ir, args[0], &v[0]) && v[0] != 0 ? args[1] : args[2];
    for (int i = 0; i < n && i < 3; i++) (void)ir_is_const(ir, args[i], &v[i]);
    double value = op_value(op, v[0], v[1], v[2]);
    return truth ? ir_bool(ir, value != 0) : ir_const(ir, value);
}

Ref simplify_node(Ir *ir, Op op, int n, const Ref *args) {
    bool all = op < SC_CONST;
    for (int i = 0; i < n && i < 3; i++) all &= ir_is_const(ir, args[i], NULL);
    return all ? fold(ir, op, n, args) : identity(ir, op, args);
}
/* ---- reductions ------------------------------------------------------------------------ */

static Ref reduce_constant(Ir *ir, Op op, int rank, int nred, const int64_t *dims, Ref c) {
    double count = 1, v;
    for (int i = 0; i < nred; i++) count *= (double)dims[rank + i];
    Ref total = op == SC_ADD ? ir_binary(ir, SC_MUL, c, ir_const(ir, count)) : c;
    if (op == SC_MUL) total = ir_is_const(ir, c, &v) ? ir_const(ir, pow(v, count)) : c;
    return ir_map(ir, rank, dims, total);
}

/* The first equation IDX(a) == IDX(b) of a conjunction that fixes a reduced axis with
 * coefficient ±1 and exact indices; *rest is what remains of the condition. */
static bool find_equation(Ir *ir, Ref cond, int rank, int nred, Sym *axis, Aff *value, Ref *rest) {
    if (op_of(ir, cond) == SC_AND) {
        for (int side = 0; side < 2; side++)
            if (find_equation(ir, NARG(ir, cond, side), rank, nred, axis, value, rest)) {
                Ref other = NARG(ir, cond, 1 - side);
                *rest = *rest ? ir_binary(ir, SC_AND, *rest, other) : other;
                return true;
            }
        return false;
    }
    if (op_of(ir, cond) != SC_EQ) return false;
    Ref a = NARG(ir, cond, 0), b = NARG(ir, cond, 1);
    Aff diff;
    double c;
    if (op_of(ir, a) == SC_CONST) { Ref t = a; a = b; b = t; }
    if (op_of(ir, a) != SC_IDX || NIDX(ir, a, 0)->mode != IX_EXACT) return false;
    if (op_of(ir, b) == SC_IDX && NIDX(ir, b, 0)->mode == IX_EXACT)
        diff = aff_add(ir, NIDX(ir, a, 0)->aff, aff_scale(ir, NIDX(ir, b, 0)->aff, -1));
    else if (ir_is_const(ir, b, &c) && c == rint(c) && fabs(c) < 1e15)
        diff = aff_shift(ir, NIDX(ir, a, 0)->aff, -(int64_t)c);
    else return false;
    for (int i = rank + nred - 1; i >= rank; i--) {
        int64_t k = aff_coef(ir, diff, (Sym)i);
        if (k != 1 && k != -1) continue;
        *axis = (Sym)i;        /* k*axis + other = 0 */
        *value = aff_scale(ir, aff_add(ir, diff, aff_scale(ir, aff_sym(ir, (Sym)i), -k)), -k);
        *rest = 0;
        return true;
    }
    return false;
}

/* Exact reads that use an axis become reads that are 0 outside: needed where the
 * axis is replaced by something that may leave its range. */
static Ref make_safe(Ir *ir, Ref r, Sym axis) {
    if (ir_is_array(ir, r)) return r;
    Node n = *NODE(ir, r);
    Ref args[4];
    for (uint32_t i = 0; i < n.nargs && i < 4; i++) args[i] = make_safe(ir, NARG(ir, r, (int)i), axis);
    if (n.op == SC_READ) {
        Index ix[IR_MAX_RANK];
        for (int i = 0; i < n.nidx; i++) {
            ix[i] = *NIDX(ir, r, i);
            if (ix[i].mode == IX_EXACT && aff_coef(ir, ix[i].aff, axis)) ix[i].mode = IX_ZERO;
        }
        return ir_read(ir, args[0], ix);
    }
    return n.op < SC_CONST ? ir_op(ir, (Op)n.op, (int)n.nargs, args) : r;
}

/* Does the expression draw random numbers whose counters hold the axis? */
static bool draws_with(const Ir *ir, Ref r, Sym axis) {
    if (ir_is_array(ir, r)) return false;
    const Node *n = NODE(ir, r);
    for (int i = 0; i < n->nidx && n->op == SC_RAND; i++)
        if (aff_coef(ir, NIDX(ir, r, i)->aff, axis)) return true;
    for (uint32_t i = 0; i < n->nargs; i++)
        if (draws_with(ir, NARG(ir, r, (int)i), axis)) return true;
    return false;
}

/* Sum of (if axis == value and rest then term else 0) over that axis and others. */
static Ref reduce_one_point(Ir *ir, int rank, int nred, const int64_t *dims, Ref body) {
    if (op_of(ir, body) != SC_SELECT || !is(ir, NARG(ir, body, 2), 0)) return 0;
    Sym axis;
    Aff value;
    Ref rest, term = NARG(ir, body, 1);
    if (!find_equation(ir, NARG(ir, body, 0), rank, nred, &axis, &value, &rest)) return 0;
    int64_t lo, hi, inner[IR_MAX_RANK];
    ir_aff_range(ir, value, rank + nred, dims, &lo, &hi);
    bool inside = lo >= 0 && hi < dims[axis];
    if (rest) term = ir_select(ir, rest, term, ir_const(ir, 0));
    if (!inside) {
        if (draws_with(ir, term, axis)) return 0;       /* counters stay in their range */
        term = make_safe(ir, term, axis);
        term = ir_select(ir, ir_inrange(ir, aff_sym(ir, axis), dims[axis]), term, ir_const(ir, 0));
    }
    /* axis := value, and the axes after it move down by one. */
    Sym syms[IR_MAX_RANK];
    Aff by[IR_MAX_RANK];
    int n = 0, m = 0;
    for (int i = 0; i < rank + nred; i++) {
        if ((Sym)i != axis) inner[m++] = dims[i];
        if ((Sym)i > axis) syms[n] = (Sym)i, by[n++] = aff_sym(ir, (Sym)i - 1);
    }
    syms[n] = axis, by[n] = aff_subst(ir, value, n, syms, by);
    return ir_reduce(ir, SC_ADD, rank, nred - 1, inner, ir_subst_syms(ir, term, n + 1, syms, by));
}

/* A reduced axis with one point is left out. */
static Ref reduce_one_term(Ir *ir, Op op, int rank, int nred, const int64_t *dims, Ref body) {
    int64_t left[IR_MAX_RANK];
    Sym syms[IR_MAX_RANK];
    Aff by[IR_MAX_RANK];
    int n = 0, m = 0;
    for (int i = 0; i < rank + nred; i++) {
        bool out = i >= rank && dims[i] == 1;
        syms[n] = (Sym)i, by[n++] = out ? aff_const(ir, 0) : aff_sym(ir, (Sym)m);
        if (!out) left[m++] = dims[i];
    }
    if (m == n || NODE(ir, body)->boolean) return 0;
    body = ir_subst_syms(ir, body, n, syms, by);
    return m == rank ? ir_map(ir, rank, left, body) : ir_reduce(ir, op, rank, m - rank, left, body);
}

Ref simplify_reduce(Ir *ir, Op op, int rank, int nred, const int64_t *dims, Ref body) {
    Ref one = reduce_one_term(ir, op, rank, nred, dims, body);
    if (one) return one;
    if (ir_is_const(ir, body, NULL)) return reduce_constant(ir, op, rank, nred, dims, body);
    if (op == SC_ADD) return reduce_one_point(ir, rank, nred, dims, body);
    return 0;
}

/* ---- normal form of sums ------------------------------------------------------------------ */

/* A term: c times a product of factors.  First come those that are the same at all points
 * ("fixed"): with c they are its coefficient, found once and not at every point. */
typedef struct Term { Ref c; int first, n; int nfixed; } Term;   /* c: a constant, 0 when the term was taken; nfixed: the first of them, fixed */

typedef struct Normal {
    Ir  *ir;
    Ref *memo;
    uint32_t *uses;
    int  limit;                     /* nodes below this have memo and uses */
    int  ndims; const int64_t *dims; /* the axes of the body */
} Normal;

typedef struct Sum { VEC(Term) terms; VEC(Ref) factors; } Sum;

#define MAX_TERMS 128
#define MAX_SPREAD 16            /* terms of a sum that a product is multiplied into */
#define MAX_FACTORS 64

static Ref normalize(Normal *w, Ref r);

/* Is the value the same at all points?  True only when a short look shows it. */
static bool is_fixed(const Ir *ir, Ref r, int depth) {
    const Node *n = NODE(ir, r);
    if (depth == 0) return n->op == SC_CONST;
    for (int i = 0; i < n->nidx; i++) {
        const Affine *a = aff_get(ir, NIDX(ir, r, i)->aff);
        for (int k = 0; k < a->n; k++)
            if (a->t[k].sym < SYM_LOOP) return false;
    }
    for (uint32_t i = 0; i < n->nargs; i++)
        if (!ir_is_array(ir, NARG(ir, r, (int)i)) && !is_fixed(ir, NARG(ir, r, (int)i), depth - 1)) return false;
    return true;
}

enum { LOOK = 4 };

/* Returns the number of fixed ones, which come first. */
static int sort_refs(const Ir *ir, Ref *f, int n) {
    int fixed = 0;
    for (int i = 0; i < n; i++)
        if (is_fixed(ir, f[i], LOOK)) { Ref t = f[i]; f[i] = f[fixed]; f[fixed++] = t; }
    for (int i = 1; i < n; i++)
        for (int j = i; j > (i < fixed ? 0 : fixed) && f[j - 1] > f[j]; j--) { Ref t = f[j]; f[j] = f[j - 1]; f[j - 1] = t; }
    return fixed;
}

static bool is_sum(Op op) { return op == SC_ADD || op == SC_SUB || op == SC_NEG || op == SC_FMA; }

/* Used by nobody else, so that it may be taken apart. */
static bool is_open(const Normal *w, Ref r) { return (int)r < w->limit && w->uses[r] == 1; }

typedef struct Factors { Ref c; int n; Ref f[MAX_FACTORS]; } Factors;

/* The factors of a product below r; false: too many. */
static bool collect_factors(Normal *w, Factors *p, Ref r) {
    Ir *ir = w->ir;
    if (ir_is_const(ir, r, NULL)) { p->c = ir_binary(ir, SC_MUL, p->c, r); return true; }
    if (op_of(ir, r) == SC_NEG) { p->c = ir_unary(ir, SC_NEG, p->c); return collect_factors(w, p, NARG(ir, r, 0)); }
    if (op_of(ir, r) == SC_MUL) return collect_factors(w, p, NARG(ir, r, 0)) && collect_factors(w, p, NARG(ir, r, 1));
    if (p->n == MAX_FACTORS) return false;
    p->f[p->n++] = r;
    return true;
}

/* The factor (-1)^turns that differentiation makes: a read of ones across an
 * antiperiodic edge. */
static bool is_turn_sign(const Ir *ir, Ref f) {
    if (op_of(ir, f) != SC_READ || NODE(ir, f)->nidx != 1 || NIDX(ir, f, 0)->mode != IX_ANTIPERIODIC) return false;
    Ref array = NARG(ir, f, 0);
    if (op_of(ir, array) != AR_CONST) return false;
    const ConstData *c = &ir->consts.data[NODE(ir, array)->aux];
    if (c->source) return false;
    for (int64_t i = 0; i < c->n; i++)
        if (c->data[i] != 1) return false;
    return true;
}

/* sign(i) a[…, i mod n, …] is the antiperiodic read a[…, i, …]; 0: another factor. */
static Ref absorb_sign(Ir *ir, Ref sign, Ref f) {
    if (op_of(ir, f) != SC_READ) return 0;
    Index want = *NIDX(ir, sign, 0), ix[IR_MAX_RANK];
    int n = NODE(ir, f)->nidx, at = -1;
    for (int i = 0; i < n; i++) {
        ix[i] = *NIDX(ir, f, i);
        if (ix[i].mode == IX_PERIODIC && ix[i].aff == want.aff && ix[i].n == want.n) at = i;
    }
    if (at < 0) return 0;
    ix[at].mode = IX_ANTIPERIODIC;
    return ir_read(ir, NARG(ir, f, 0), ix);
}

static void fold_signs(Ir *ir, Sum *s, Term *t) {
    Ref *f = s->factors.data + t->first;
    for (int i = 0; i < t->n; i++) {
        if (!is_turn_sign(ir, f[i])) continue;
        for (int j = 0; j < t->n; j++) {
            Ref read = j != i ? absorb_sign(ir, f[i], f[j]) : 0;
            if (!read || op_of(ir, read) != SC_READ) continue;
            f[j] = read;
            f[i] = f[--t->n];
            i = -1;
            break;
        }
    }
}

static void collect(Normal *w, Sum *s, Ref r, Ref c, bool top);

/* A term with these factors, normalised, and those of another term. */
static void push_term(Normal *w, Sum *s, const Factors *p, Ref c, const Ref *more, int nmore) {
    Term t = {ir_binary(w->ir, SC_MUL, c, p->c), s->factors.n, 0, 0};
    for (int i = 0; i < p->n; i++) {
        Ref done = normalize(w, p->f[i]);
        if (ir_is_const(w->ir, done, NULL)) t.c = ir_binary(w->ir, SC_MUL, t.c, done);
        else vec_push(&s->factors, done);
    }
    for (int i = 0; i < nmore; i++) vec_push(&s->factors, more[i]);
    t.n = s->factors.n - t.first;
    fold_signs(w->ir, s, &t);
    t.nfixed = sort_refs(w->ir, s->factors.data + t.first, t.n);
    vec_push(&s->terms, t);
}

/* Where a product holds one sum that nobody else uses, its terms become terms here: the
 * coefficients of both meet, and common factors are taken out again afterwards. */
static bool spread(Normal *w, Sum *s, Factors *p, Ref c) {
    int at = -1;
    for (int i = 0; i < p->n; i++) {
        if (!is_sum(op_of(w->ir, p->f[i])) || !is_open(w, p->f[i]) || is_fixed(w->ir, p->f[i], LOOK)) continue;
        if (at >= 0) return false;
        at = i;
    }
    if (at < 0) return false;
    Sum inner = {0};
    collect(w, &inner, p->f[at], ir_const(w->ir, 1), true);
    bool few = inner.terms.n <= MAX_SPREAD && s->terms.n + inner.terms.n < MAX_TERMS;
    if (few) {
        p->f[at] = p->f[--p->n];
        for (int i = 0; i < inner.terms.n; i++) {
            const Term *t = &inner.terms.data[i];
            push_term(w, s, p, ir_binary(w->ir, SC_MUL, c, t->c), inner.factors.data + t->first, t->n);
        }
    }
    vec_free(&inner.terms);
    vec_free(&inner.factors);
    return few;
}

/* The two sides of a product that has too many factors: each is normalised by itself. */
static Factors two_sides(Ir *ir, Ref a, Ref b) {
    Factors p = {.c = ir_const(ir, 1), .n = 2};
    for (; !b && op_of(ir, a) == SC_NEG; a = NARG(ir, a, 0)) p.c = ir_unary(ir, SC_NEG, p.c);
    p.f[0] = b ? a : NARG(ir, a, 0), p.f[1] = b ? b : NARG(ir, a, 1);
    return p;
}

static void collect_product(Normal *w, Sum *s, Ref a, Ref b, Ref c) {
    Factors p = {.c = ir_const(w->ir, 1)};
    bool good = collect_factors(w, &p, a) && (!b || collect_factors(w, &p, b));
    if (good && spread(w, s, &p, c)) return;
    if (!good) p = two_sides(w->ir, a, b);
    push_term(w, s, &p, c, NULL, 0);
}

static void collect(Normal *w, Sum *s, Ref r, Ref c, bool top) {
    Ir *ir = w->ir;
    Op op = op_of(ir, r);
    bool open = top || is_open(w, r);
    if (is_sum(op) && open && s->terms.n < MAX_TERMS) {
        if (op == SC_FMA) collect_product(w, s, NARG(ir, r, 0), NARG(ir, r, 1), c);
        else collect(w, s, NARG(ir, r, 0), op == SC_NEG ? ir_unary(ir, SC_NEG, c) : c, false);
        if (op != SC_NEG) collect(w, s, NARG(ir, r, op == SC_FMA ? 2 : 1), op == SC_SUB ? ir_unary(ir, SC_NEG, c) : c, false);
        return;
    }
    if (op == SC_MUL || op == SC_CONST || op == SC_NEG) collect_product(w, s, r, 0, c);
    else push_term(w, s, &(Factors){.c = ir_const(ir, 1), .n = 1, .f = {r}}, c, NULL, 0);
}

static bool same_factors(const Sum *s, const Term *a, const Term *b) {
    return a->n == b->n && (a->n == 0 || memcmp(s->factors.data + a->first, s->factors.data + b->first,
                                  (size_t)a->n * sizeof(Ref)) == 0);
}

static void merge_like_terms(Ir *ir, Sum *s) {
    int n = 0;
    for (int i = 0; i < s->terms.n; i++) {
        int j = 0;
        while (j < n && !same_factors(s, &s->terms.data[j], &s->terms.data[i])) j++;
        if (j < n) s->terms.data[j].c = ir_binary(ir, SC_ADD, s->terms.data[j].c, s->terms.data[i].c);
        else s->terms.data[n++] = s->terms.data[i];
    }
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (!is(ir, s->terms.data[i].c, 0)) s->terms.data[kept++] = s->terms.data[i];
    s->terms.n = kept;
}

static Ref product(Normal *w, const Ref *f, int n) {
    /* Powers by squaring share their squares: f f f f -> (f f)(f f). */
    Ref p = 0;
    for (int i = 0; i < n;) {
        int run = 1;
        while (i + run < n && f[i + run] == f[i]) run++;
        Ref power = integer_power(w->ir, f[i], run);
        p = p ? ir_binary(w->ir, SC_MUL, p, power) : power;
        i += run;
    }
    return p ? p : ir_const(w->ir, 1);
}

/* acc + c*x as a fused multiply-add, for c = ±1 splitting the product x itself. */
static Ref add_term(Normal *w, Ref acc, Ref c, Ref x) {
    Ir *ir = w->ir;
    if (ir_is_const(ir, x, NULL)) c = ir_binary(ir, SC_MUL, c, x), x = ir_const(ir, 1);
    if (is(ir, x, 1)) return acc ? ir_binary(ir, SC_ADD, acc, c) : c;
    if (!acc) return ir_binary(ir, SC_MUL, c, x);
    if (!is(ir, c, 1) && !is(ir, c, -1)) return ir_fma(ir, c, x, acc);
    if (op_of(ir, x) == SC_MUL) {
        Ref a = NARG(ir, x, 0), b = NARG(ir, x, 1);
        return ir_fma(ir, is(ir, c, -1) ? ir_unary(ir, SC_NEG, a) : a, b, acc);
    }
    return ir_binary(ir, is(ir, c, -1) ? SC_SUB : SC_ADD, acc, x);
}

/* acc + c times the factors; what is the same at all points is multiplied first. */
static Ref add_product(Normal *w, Ref acc, Ref c, const Ref *f, int n) {
    Ir *ir = w->ir;
    int fixed = 0;
    while (fixed < n && is_fixed(ir, f[fixed], LOOK)) fixed++;
    if (fixed == 0 || fixed == n) return add_term(w, acc, c, product(w, f, n));
    Ref a = ir_binary(ir, SC_MUL, c, product(w, f, fixed)), b = product(w, f + fixed, n - fixed);
    return acc ? ir_fma(ir, a, b, acc) : ir_binary(ir, SC_MUL, a, b);
}

static bool has_factor(const Sum *s, const Term *t, Ref f) {
    for (int i = t->nfixed; i < t->n; i++)
        if (s->factors.data[t->first + i] == f) return true;
    return false;
}

static Ref most_common_factor(const Sum *s, const Term *t, int n) {
    Ref best = 0;
    int best_count = 1;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < t[i].n; j++) {
            Ref f = s->factors.data[t[i].first + j];
            if (j < t[i].nfixed || (j > 0 && f == s->factors.data[t[i].first + j - 1])) continue;
            int count = 0;
            for (int k = 0; k < n; k++) count += has_factor(s, &t[k], f);
            if (count > best_count || (count == best_count && best && f < best)) best = f, best_count = count;
        }
    return best;
}

/* Do two terms have the same coefficient, but for the sign? */
static bool same_coefficient(Ir *ir, const Sum *s, const Term *a, const Term *b) {
    if ((a->c != b->c && a->c != ir_unary(ir, SC_NEG, b->c)) || a->nfixed != b->nfixed) return false;
    for (int i = 0; i < a->nfixed; i++)
        if (s->factors.data[a->first + i] != s->factors.data[b->first + i]) return false;
    return true;
}

/* acc + the terms from t[i] on that share its coefficient, which are taken out of the list:
 * one multiplication instead of many. */
static Ref add_group(Normal *w, Sum *s, Term *t, int n, int i, Ref acc) {
    Ir *ir = w->ir;
    Term first = t[i];
    Ref group = 0;
    for (int j = i; j < n; j++) {
        if (!t[j].c || !same_coefficient(ir, s, &first, &t[j])) continue;
        const Ref *f = s->factors.data + t[j].first + first.nfixed;
        group = add_term(w, group, ir_const(ir, t[j].c == first.c ? 1 : -1), product(w, f, t[j].n - first.nfixed));
        t[j].c = 0;
    }
    Ref c = first.c;
    if (first.nfixed) c = ir_binary(ir, SC_MUL, c, product(w, s->factors.data + first.first, first.nfixed));
    return acc ? ir_fma(ir, c, group, acc) : ir_binary(ir, SC_MUL, c, group);
}

/* A term that costs no multiplication begins the sum, the others are multiplied and added. */
static void begin_with_plain_term(const Ir *ir, Term *t, int n) {
    for (int i = 0; i < n; i++) {
        if (t[i].n != t[i].nfixed && !(is(ir, t[i].c, 1) && t[i].n == 1)) continue;
        Term first = t[i];
        memmove(t + 1, t, (size_t)i * sizeof *t);
        t[0] = first;
        return;
    }
}

static Ref plain_sum(Normal *w, Sum *s, Term *t, int n, Ref acc) {
    if (!acc) begin_with_plain_term(w->ir, t, n);
    for (int i = 0; i < n; i++) {
        if (!t[i].c) continue;
        int same = 0;
        for (int j = i; j < n; j++) same += t[j].c && same_coefficient(w->ir, s, &t[i], &t[j]);
        bool one = (is(w->ir, t[i].c, 1) || is(w->ir, t[i].c, -1)) && !t[i].nfixed;
        if (same > 1 && !one) acc = add_group(w, s, t, n, i, acc);
        else acc = add_product(w, acc, t[i].c, s->factors.data + t[i].first, t[i].n);
    }
    return acc;
}

static int power_of(const Sum *s, const Term *t, Ref f) {
    int n = 0;
    for (int i = t->nfixed; i < t->n; i++) n += s->factors.data[t->first + i] == f;
    return n;
}

static Ref build_sum(Normal *w, Sum *s, Term *t, int n) {
    Ir *ir = w->ir;
    if (n == 0) return ir_const(ir, 0);
    Ref f = n <= MAX_TERMS ? most_common_factor(s, t, n) : 0;
    if (!f) {
        Ref sum = plain_sum(w, s, t, n, 0);
        return sum ? sum : ir_const(ir, 0);
    }
    /* f*(terms with f, divided by it) + the others */
    Term *with = lq_alloc((size_t)n * sizeof *with), *without = lq_alloc((size_t)n * sizeof *without);
    int nwith = 0, nwithout = 0, power = MAX_FACTORS;
    for (int i = 0; i < n; i++) {
        int p = power_of(s, &t[i], f);
        if (p && p < power) power = p;
    }
    for (int i = 0; i < n; i++) {
        if (!has_factor(s, &t[i], f)) { without[nwithout++] = t[i]; continue; }
        Term q = {t[i].c, s->factors.n, t[i].n - power, t[i].nfixed};
        int dropped = 0;
        for (int j = 0; j < t[i].n; j++) {
            Ref g = s->factors.data[t[i].first + j];
            if (g == f && dropped < power) dropped++;
            else vec_push(&s->factors, g);
        }
        with[nwith++] = q;
    }
    f = integer_power(ir, f, power);
    Ref inner = build_sum(w, s, with, nwith);
    Ref others = nwithout ? build_sum(w, s, without, nwithout) : 0;
    Ref out = others ? ir_fma(ir, f, inner, others) : ir_binary(ir, SC_MUL, f, inner);
    free(with);
    free(without);
    return out;
}

static bool inside(const Normal *w, const Index *ix) {
    int64_t lo, hi;
    ir_aff_range(w->ir, ix->aff, w->ndims, w->dims, &lo, &hi);
    return lo >= 0 && hi < ix->n;
}

/* Indices that the extents of the axes prove to be inside need no wrapping, and
 * no question whether they are. */
static Ref settle_range(Normal *w, Ref r) {
    Index ix[IR_MAX_RANK];
    int n = NODE(w->ir, r)->nidx;
    if (op_of(w->ir, r) == SC_INRANGE) return inside(w, NIDX(w->ir, r, 0)) ? ir_bool(w->ir, true) : r;
    if (op_of(w->ir, r) != SC_READ && op_of(w->ir, r) != SC_IDX) return r;
    bool changed = false;
    for (int i = 0; i < n; i++) {
        ix[i] = *NIDX(w->ir, r, i);
        if (ix[i].mode != IX_EXACT && inside(w, &ix[i])) ix[i].mode = IX_EXACT, changed = true;
    }
    if (!changed) return r;
    return op_of(w->ir, r) == SC_READ ? ir_read(w->ir, NARG(w->ir, r, 0), ix) : ir_idx(w->ir, ix[0]);
}

static Ref rebuild_args(Normal *w, Ref r) {
    Node n = *NODE(w->ir, r);
    if (n.op >= SC_CONST) return settle_range(w, r);  /* leaves, and reads of arrays */
    Ref args[4];
    for (uint32_t i = 0; i < n.nargs; i++) args[i] = normalize(w, NARG(w->ir, r, (int)i));
    return ir_op(w->ir, (Op)n.op, (int)n.nargs, args);
}

static Ref normalize(Normal *w, Ref r) {
    if ((int)r < w->limit && w->memo[r]) return w->memo[r];
    Op op = op_of(w->ir, r);
    Ref out;
    if (is_sum(op) || op == SC_MUL) {
        Sum s = {0};
        collect(w, &s, r, ir_const(w->ir, 1), true);
        merge_like_terms(w->ir, &s);
        out = build_sum(w, &s, s.terms.data, s.terms.n);
        vec_free(&s.terms);
        vec_free(&s.factors);
    } else {
        out = rebuild_args(w, r);
    }
    if ((int)r < w->limit) w->memo[r] = out;
    return out;
}

static void count_uses(const Ir *ir, Ref r, uint32_t *uses) {
    if (ir_is_array(ir, r) || uses[r]++) return;
    for (uint32_t i = 0; i < NODE(ir, r)->nargs; i++) count_uses(ir, NARG(ir, r, (int)i), uses);
}

static Ref normalize_body(Ir *ir, Ref body, int ndims, const int64_t *dims) {
    Normal w = {.ir = ir, .limit = ir->nodes.n, .ndims = ndims, .dims = dims};
    w.memo = lq_alloc((size_t)w.limit * sizeof *w.memo);
    w.uses = lq_alloc((size_t)w.limit * sizeof *w.uses);
    memset(w.memo, 0, (size_t)w.limit * sizeof *w.memo);
    memset(w.uses, 0, (size_t)w.limit * sizeof *w.uses);
    count_uses(ir, body, w.uses);
    Ref out = normalize(&w, body);
    free(w.memo);
    free(w.uses);
    return out;
}

/* Twice: the first pass merges the terms that differentiation leaves, and only then is it
 * known what is used once. */
void simplify_roots(Ir *ir, int n, Ref *roots) {
    ir_merge_maps(ir, n, roots);
    for (int pass = 0; pass < 2; pass++) ir_rewrite_bodies(ir, n, roots, normalize_body);
}
