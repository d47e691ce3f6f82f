/* value.c — values of the language while a program is elaborated, and arithmetic on
 * them: real and complex scalars, whole arrays element by element, tuples of fields
 * component by component.  An array is an abstraction, lambda syms. body, over one
 * free symbol for each IR axis; closing it makes a node of the array IR. */
#include "elab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>


Value *value_new(Elab *e, ValueKind kind, Span at) {
    Value *v = arena_alloc(e->arena, sizeof *v);
    v->kind = kind;
    v->origin = at;
    return v;
}

const Value *value_error(void) {
    static const Value error = {.kind = VK_ERROR};
    return &error;
}

const Value *value_complex(Elab *e, Ref re, Ref im, Span at) {
    Value *v = value_new(e, VK_NUM, at);
    v->u.num.re = re;
    v->u.num.im = im;
    v->u.num.complex = im != 0;
    v->u.num.boolean = NODE(e->ir, re)->boolean;
    return v;
}

const Value *value_real(Elab *e, Ref re, Span at) { return value_complex(e, re, 0, at); }
const Value *value_const(Elab *e, double c, Span at) { return value_real(e, ir_const(e->ir, c), at); }
const Value *value_bool(Elab *e, bool c, Span at) { return value_real(e, ir_bool(e->ir, c), at); }

bool value_is_const(const Elab *e, const Value *v, double *out) {
    return v->kind == VK_NUM && !v->u.num.complex && v->u.num.nsets == 0 && ir_is_const(e->ir, v->u.num.re, out);
}

const Value *value_tuple(Elab *e, int n, const Value *const *items, Span at) {
    if (n == 1) return items[0];
    int leaves = 0;
    for (int i = 0; i < n; i++) {
        if (items[i]->kind == VK_ERROR) return items[i];
        leaves += items[i]->kind == VK_TUPLE ? items[i]->u.tuple.leaves : 1;
    }
    if (leaves > MAX_LEAVES || n > MAX_ITEMS) return ELAB_FAIL(e, "E0209", at, "a tuple of more than %d values", n > MAX_ITEMS ? MAX_ITEMS : MAX_LEAVES);
    Value *v = value_new(e, VK_TUPLE, at);
    v->u.tuple.n = n;
    v->u.tuple.leaves = leaves;
    v->u.tuple.items = arena_alloc(e->arena, (size_t)n * sizeof *v->u.tuple.items);
    memcpy(v->u.tuple.items, items, (size_t)n * sizeof *items);
    return v;
}

/* ---- descriptions --------------------------------------------------------------------- */

const char *value_describe(Elab *e, const Value *v) {
    Text t = {0};
    switch (v->kind) {
    case VK_ERROR: text_printf(&t, "an erroneous value"); break;
    case VK_NUM:
        text_printf(&t, "%s %s", v->u.num.complex ? "a complex" : v->u.num.boolean ? "a true/false" : "a real",
                    v->u.num.nsets ? "array over " : v->u.num.boolean ? "value" : "number");
        for (int i = 0; i < v->u.num.nsets; i++) text_printf(&t, "%s`%s`", i ? ", " : "", v->u.num.sets[i]->name);
        break;
    case VK_INDEX: text_printf(&t, "an index of `%s`", v->u.index.set->name); break;
    case VK_SHIFT: text_printf(&t, "a displacement on `%s`", v->u.index.set->name); break;
    case VK_SET: text_printf(&t, "the index set `%s`", v->u.set->name); break;
    case VK_FUNC: text_printf(&t, "a function"); break;
    case VK_TUPLE: text_printf(&t, "a tuple of %d values", v->u.tuple.n); break;
    case VK_DIST: text_printf(&t, "a distribution"); break;
    case VK_STR: text_printf(&t, "a text"); break;
    }
    char *out = arena_strndup(e->arena, t.s, t.n);
    text_free(&t);
    return out;
}

bool value_same_shape(const Value *a, const Value *b) {
    if (a->kind != b->kind) return false;
    if (a->kind == VK_TUPLE) {
        if (a->u.tuple.n != b->u.tuple.n) return false;
        for (int i = 0; i < a->u.tuple.n; i++)
            if (!value_same_shape(a->u.tuple.items[i], b->u.tuple.items[i])) return false;
        return true;
    }
    if (a->kind != VK_NUM || a->u.num.nsets != b->u.num.nsets) return false;
    for (int i = 0; i < a->u.num.nsets; i++)
        if (a->u.num.sets[i] != b->u.num.sets[i]) return false;
    return true;
}

/* ---- closing ---------------------------------------------------------------------------- */

int64_t elab_sym_extent(const Elab *e, Sym s) { return e->sym_ext.data[s - SYM_FREE]; }

static void identity_indices(Elab *e, Ref node, const Sym *syms, Index *ix) {
    for (int i = 0; i < NODE(e->ir, node)->rank; i++)
        ix[i] = (Index){aff_sym(e->ir, syms[i]), IX_EXACT, NDIM(e->ir, node, i)};
}

const Value *value_array(Elab *e, Ref re, Ref im, int nprefix, const Sym *prefix, int nsets,
                         IndexSet *const *sets, Span at) {
    Value *v = value_new(e, VK_NUM, at);
    Sym all[IR_MAX_RANK];
    int n = 0;
    for (int i = 0; i < nprefix; i++) all[n++] = prefix[i];
    for (int i = 0; i < nsets; i++) {
        v->u.num.sets[i] = sets[i];
        for (int k = 0; k < sets[i]->rank; k++) {
            vec_push(&e->sym_ext, sets[i]->ext[k]);
            all[n++] = v->u.num.syms[v->u.num.nsyms++] = ir_fresh(e->ir);
        }
    }
    v->u.num.nsets = nsets;
    Index ix[IR_MAX_RANK];
    identity_indices(e, re, all, ix);
    v->u.num.re = ir_read(e->ir, re, ix);
    v->u.num.boolean = NODE(e->ir, re)->boolean;
    if (im) {
        identity_indices(e, im, all, ix);
        v->u.num.im = ir_read(e->ir, im, ix);
        v->u.num.complex = true;
    }
    return v;
}

/* A map with the listed symbols as its axes, in order. */
static Ref close_over(Elab *e, Ref body, int n, const Sym *syms) {
    int64_t dims[IR_MAX_RANK];
    Aff by[IR_MAX_RANK];
    for (int i = 0; i < n; i++) dims[i] = elab_sym_extent(e, syms[i]), by[i] = aff_sym(e->ir, (Sym)i);
    return ir_map(e->ir, n, dims, ir_subst_syms(e->ir, body, n, syms, by));
}

/* The array that the expression merely reads at exactly these symbols, or 0. */
static Ref plain_read(const Elab *e, Ref body, int n, const Sym *syms) {
    if (NODE(e->ir, body)->op != SC_READ || NODE(e->ir, body)->nidx != n) return 0;
    for (int i = 0; i < n; i++) {
        const Index *ix = NIDX(e->ir, body, i);
        const Affine *a = aff_get(e->ir, ix->aff);
        if (a->k || a->n != 1 || a->t[0].sym != syms[i] || a->t[0].c != 1 || ix->mode != IX_EXACT) return 0;
        if (NDIM(e->ir, NARG(e->ir, body, 0), i) != elab_sym_extent(e, syms[i])) return 0;
    }
    return NARG(e->ir, body, 0);
}

Ref value_node_over(Elab *e, const Value *v, bool imaginary, int nprefix, const Sym *prefix) {
    Sym all[IR_MAX_RANK];
    if (nprefix) memcpy(all, prefix, (size_t)nprefix * sizeof *all);
    memcpy(all + nprefix, v->u.num.syms, (size_t)v->u.num.nsyms * sizeof *all);
    Ref body = imaginary ? v->u.num.im : v->u.num.re;
    if (!body) body = ir_const(e->ir, 0);
    Ref node = plain_read(e, body, nprefix + v->u.num.nsyms, all);
    return node ? node : close_over(e, body, nprefix + v->u.num.nsyms, all);
}

int value_outer_syms(Elab *e, const Value *v, Sym *out) {
    Sym found[64];
    int n = 0;
    for (int part = 0; part < 2; part++) {
        Ref body = part ? v->u.num.im : v->u.num.re;
        if (!body) continue;
        int m = ir_free_syms(e->ir, body, found, 64);
        for (int i = 0; i < m; i++) {
            bool known = false;
            for (int j = 0; j < v->u.num.nsyms; j++) known |= v->u.num.syms[j] == found[i];
            for (int j = 0; j < n; j++) known |= out[j] == found[i];
            if (!known && n < IR_MAX_RANK) out[n++] = found[i];
        }
    }
    return n;
}

Ref value_node(Elab *e, const Value *v, bool imaginary) { return value_node_over(e, v, imaginary, 0, NULL); }

const Value *value_close(Elab *e, const Value *v) {
    if (v->kind == VK_TUPLE) {
        const Value *items[MAX_ITEMS];
        for (int i = 0; i < v->u.tuple.n; i++) items[i] = value_close(e, v->u.tuple.items[i]);
        return value_tuple(e, v->u.tuple.n, items, v->origin);
    }
    if (v->kind != VK_NUM || v->u.num.nsets == 0) return v;
    Sym prefix[IR_MAX_RANK];
    int n = value_outer_syms(e, v, prefix);
    if (n + v->u.num.nsyms > IR_MAX_RANK)
        return ELAB_FAIL(e, "E0219", v->origin, "more than %d index components at once", IR_MAX_RANK);
    Ref re = value_node_over(e, v, false, n, prefix);
    Ref im = v->u.num.complex ? value_node_over(e, v, true, n, prefix) : 0;
    Value *out = (Value *)value_array(e, re, im, n, prefix, v->u.num.nsets, v->u.num.sets, v->origin);
    out->name = v->name;
    return out;
}

/* ---- coercion -------------------------------------------------------------------------------- */

static bool surely_inside(Elab *e, Aff a, int64_t n);

/* The coordinate of a grid index, 0 beyond the ends: read from the table of coordinates (or computed,
 * where the spacing makes that exact). */
static const Value *grid_coordinate(Elab *e, const Value *v, Span at) {
    IndexSet *s = v->u.index.set;
    Ref table = ir_const_array(e->ir, 1, s->ext, s->coords);
    Index ix = {v->u.index.c[0], surely_inside(e, v->u.index.c[0], s->ext[0]) ? IX_EXACT : IX_ZERO, s->ext[0]};
    return value_real(e, ir_read(e->ir, table, &ix), at);
}

const Value *value_number(Elab *e, const Value *v, Span at, const char *what) {
    if (v->kind == VK_NUM || v->kind == VK_ERROR) return v;
    if (v->kind == VK_INDEX && v->u.index.set->kind == SET_GRID) return grid_coordinate(e, v, at);
    if (v->kind == VK_INDEX && v->u.index.set->rank == 1) {
        Index ix = {aff_shift(e->ir, v->u.index.c[0], v->u.index.set->first), IX_EXACT, 0};
        return value_real(e, ir_idx(e->ir, ix), at);
    }
    if (what[0] != '`' && builtin_find(what) >= 0) what = arena_printf(e->arena, "`%s`", what);
    if (v->kind == VK_SHIFT) {
        Diag *d = elab_error(e, "E0216", at, "%s needs a number, and this is a displacement on `%s`", what, v->u.index.set->name);
        diag_help(&e->front->sink, d, "directions displace sites, as in `x + 2*mu`");
        return value_error();
    }
    Diag *d = elab_error(e, "E0204", at, "%s needs a number, not %s", what, value_describe(e, v));
    if (v->kind == VK_INDEX) diag_help(&e->front->sink, d, "a site has %d coordinates: write `%s[0]` for the first",
                                       v->u.index.set->rank, v->name ? v->name : "x");
    if (v->kind == VK_SET) diag_help(&e->front->sink, d, "the number of its elements is `size(%s)`", v->u.set->name);
    bool observed = v->kind == VK_FUNC && v->u.func.kind == FN_DECL && (v->u.func.decl->kind == DC_OBSERVABLE || v->u.func.decl->kind == DC_ACTION);
    if (observed) diag_help(&e->front->sink, d, "its expectation value is `E[%s]`", v->u.func.decl->name);
    else if (v->kind == VK_FUNC) diag_help(&e->front->sink, d, "call it: write its arguments in parentheses");
    return value_error();
}

const Value *value_part(Elab *e, const Value *v, bool imaginary) {
    Value *out = value_new(e, VK_NUM, v->origin);
    *out = *v;
    out->nuses = 0;
    Ref part = imaginary ? v->u.num.im : v->u.num.re;
    out->u.num.re = part ? part : ir_const(e->ir, 0);
    out->u.num.im = 0;
    out->u.num.complex = false;
    if (imaginary) out->u.num.boolean = false;
    return out;
}

/* ---- element-wise operations -------------------------------------------------------------------- */

/* The two operands brought over the same symbols: shape is that of the result. */
typedef struct Pair { Ref are, aim, bre, bim; Value *shape; } Pair;

static const char *origin_text(Elab *e, const Value *v) {
    return v->name ? arena_printf(e->arena, "`%s`: %s", v->name, value_describe(e, v)) : value_describe(e, v);
}

static void shape_mismatch(Elab *e, const Value *a, const Value *b, Span at) {
    Diag *d = elab_error(e, "E0207", at, "%s and %s do not go together element by element",
                         value_describe(e, a), value_describe(e, b));
    const Value *both[2] = {a, b};
    for (int k = 0; k < 2; k++) {
        diag_label(&e->front->sink, d, both[k]->origin, "%s", origin_text(e, both[k]));
        for (int i = 0; i < both[k]->u.num.nsets && i < 2; i++)
            diag_label(&e->front->sink, d, both[k]->u.num.sets[i]->at, "%s declared here",
                       set_describe(e->arena, both[k]->u.num.sets[i]));
    }
    diag_help(&e->front->sink, d, "name the indices: define the result as r[…] = …, or sum over the extra index");
}

static bool pair_up(Elab *e, const Value *a, const Value *b, Span at, Pair *p) {
    const Value *wide = a->u.num.nsets >= b->u.num.nsets ? a : b;
    *p = (Pair){a->u.num.re, a->u.num.im, b->u.num.re, b->u.num.im, value_new(e, VK_NUM, at)};
    p->shape->u.num = wide->u.num;
    if (a->u.num.nsets && b->u.num.nsets) {
        if (!value_same_shape(a, b)) { shape_mismatch(e, a, b, at); return false; }
        Aff by[IR_MAX_RANK];
        for (int i = 0; i < a->u.num.nsyms; i++) by[i] = aff_sym(e->ir, wide->u.num.syms[i]);
        const Value *other = wide == a ? b : a;
        Ref re = ir_subst_syms(e->ir, other->u.num.re, other->u.num.nsyms, other->u.num.syms, by);
        Ref im = other->u.num.im ? ir_subst_syms(e->ir, other->u.num.im, other->u.num.nsyms, other->u.num.syms, by) : 0;
        if (other == b) p->bre = re, p->bim = im;
        else p->are = re, p->aim = im;
    }
    return true;
}

static const Value *pair_result(Elab *e, Pair *p, Ref re, Ref im) {
    Value *v = p->shape;
    v->u.num.re = re;
    v->u.num.im = im;
    v->u.num.complex = im != 0;
    v->u.num.boolean = NODE(e->ir, re)->boolean;
    return v;
}

#define ADD(x, y) ir_binary(ir, SC_ADD, x, y)
#define SUB(x, y) ir_binary(ir, SC_SUB, x, y)
#define MUL(x, y) ir_binary(ir, SC_MUL, x, y)
#define DIV(x, y) ir_binary(ir, SC_DIV, x, y)

static Ref add_parts(Ir *ir, Op op, Ref x, Ref y) {
    if (!x && !y) return 0;
    Ref zero = ir_const(ir, 0);
    return ir_binary(ir, op, x ? x : zero, y ? y : zero);
}

static void complex_mul(Ir *ir, const Pair *p, Ref *re, Ref *im) {
    if (!p->bim) { *re = MUL(p->are, p->bre), *im = MUL(p->aim, p->bre); return; }
    if (!p->aim) { *re = MUL(p->are, p->bre), *im = MUL(p->are, p->bim); return; }
    *re = SUB(MUL(p->are, p->bre), MUL(p->aim, p->bim));
    *im = ADD(MUL(p->are, p->bim), MUL(p->aim, p->bre));
}

static void complex_div(Ir *ir, const Pair *p, Ref *re, Ref *im) {
    if (!p->bim) { *re = DIV(p->are, p->bre), *im = DIV(p->aim, p->bre); return; }
    Ref norm = ADD(MUL(p->bre, p->bre), MUL(p->bim, p->bim));
    Pair conj = *p;
    conj.bim = ir_unary(ir, SC_NEG, p->bim);
    complex_mul(ir, &conj, re, im);
    *re = DIV(*re, norm), *im = DIV(*im, norm);
}

/* z^n by squaring for small integers n, else exp(b log a) on the principal branch. */
static void complex_pow(Ir *ir, const Pair *p, Ref *re, Ref *im) {
    double n;
    if (!p->bim && ir_is_const(ir, p->bre, &n) && n == rint(n) && fabs(n) <= 64) {
        Pair acc = {ir_const(ir, 1), 0, p->are, p->aim, NULL};
        for (int i = 0; i < (int)fabs(n); i++) {
            Ref r, m;
            complex_mul(ir, &acc, &r, &m);
            acc.are = r, acc.aim = m;
        }
        *re = acc.are, *im = acc.aim ? acc.aim : ir_const(ir, 0);
        if (n < 0) {
            Pair inv = {ir_const(ir, 1), 0, *re, *im, NULL};
            inv.aim = ir_const(ir, 0);
            complex_div(ir, &inv, re, im);
        }
        return;
    }
    Ref zero = ir_const(ir, 0), half = ir_const(ir, 0.5);
    Ref x = p->are, y = p->aim ? p->aim : zero;
    Ref logr = MUL(half, ir_unary(ir, SC_LOG, ADD(MUL(x, x), MUL(y, y)))), arg = ir_binary(ir, SC_ATAN2, y, x);
    Pair q = {p->bre, p->bim, logr, arg, NULL};
    Ref lr, li;
    complex_mul(ir, &q, &lr, &li);
    Ref mag = ir_unary(ir, SC_EXP, lr);
    *re = MUL(mag, ir_unary(ir, SC_COS, li)), *im = MUL(mag, ir_unary(ir, SC_SIN, li));
}

static const Value *arithmetic(Elab *e, AstOp op, Pair *p) {
    Ir *ir = e->ir;
    bool complex = p->aim || p->bim;
    Ref re = 0, im = 0;
    switch (op) {
    case OP_ADD: re = ADD(p->are, p->bre), im = add_parts(ir, SC_ADD, p->aim, p->bim); break;
    case OP_SUB: re = SUB(p->are, p->bre), im = add_parts(ir, SC_SUB, p->aim, p->bim); break;
    case OP_MUL: if (complex) complex_mul(ir, p, &re, &im); else re = MUL(p->are, p->bre); break;
    case OP_DIV:
        if (complex) {
            if (!p->aim) p->aim = ir_const(ir, 0);
            complex_div(ir, p, &re, &im);
        } else re = DIV(p->are, p->bre);
        break;
    default: if (complex) complex_pow(ir, p, &re, &im); else re = ir_binary(ir, SC_POW, p->are, p->bre); break;
    }
    return pair_result(e, p, re, im);
}

static const Value *comparison(Elab *e, AstOp op, Pair *p, Span at) {
    Ir *ir = e->ir;
    Ref r;
    if (p->aim || p->bim) {
        if (op != OP_EQ && op != OP_NE)
            return ELAB_FAIL(e, "E0206", at, "complex numbers have no order: compare `Re(…)`, `Im(…)` or `abs(…)`");
        Ref zero = ir_const(ir, 0);
        r = ir_binary(ir, SC_AND, ir_binary(ir, SC_EQ, p->are, p->bre),
                      ir_binary(ir, SC_EQ, p->aim ? p->aim : zero, p->bim ? p->bim : zero));
        if (op == OP_NE) r = ir_unary(ir, SC_NOT, r);
        return pair_result(e, p, r, 0);
    }
    switch (op) {
    case OP_LT: r = ir_binary(ir, SC_LT, p->are, p->bre); break;
    case OP_LE: r = ir_binary(ir, SC_LE, p->are, p->bre); break;
    case OP_GT: r = ir_binary(ir, SC_LT, p->bre, p->are); break;
    case OP_GE: r = ir_binary(ir, SC_LE, p->bre, p->are); break;
    case OP_EQ: r = ir_binary(ir, SC_EQ, p->are, p->bre); break;
    default: r = ir_binary(ir, SC_NE, p->are, p->bre); break;
    }
    return pair_result(e, p, r, 0);
}

/* ---- indices and displacements -------------------------------------------------------------------- */

static bool constant_integer(const Elab *e, const Value *v, int64_t *k) {
    double c;
    if (!value_is_const(e, v, &c) || c != rint(c) || fabs(c) > 1e9) return false;
    *k = (int64_t)c;
    return true;
}

/* An integer known as an affine form: a constant, or the position of an index. */
static bool affine_integer(Elab *e, const Value *v, Aff *a) {
    int64_t k;
    if (constant_integer(e, v, &k)) { *a = aff_const(e->ir, k); return true; }
    if (v->kind == VK_INDEX && v->u.index.set->rank == 1 && v->u.index.set->kind != SET_GRID) {
        *a = aff_shift(e->ir, v->u.index.c[0], v->u.index.set->first);
        return true;
    }
    return false;
}

static bool is_direction(const Value *v) { return v->kind == VK_INDEX && v->u.index.set->kind == SET_DIRS; }

/* An element of a window is a displacement. */
static const Value *window_shift(Elab *e, const Value *v) {
    IndexSet *w = v->u.index.set;
    Value *s = value_new(e, VK_SHIFT, v->origin);
    s->u.index.set = w->lattice;
    for (int i = 0; i < w->rank; i++) s->u.index.c[i] = aff_shift(e->ir, v->u.index.c[i], w->first);
    return s;
}

/* factor*s, s a site of a coarse lattice, is a site of the fine one; NULL: not such a product. */
static const Value *refined_site(Elab *e, const Value *a, const Value *b, Span at) {
    const Value *s = a->kind == VK_INDEX ? a : b, *k = s == a ? b : a;
    int64_t factor;
    if (s->kind != VK_INDEX || s->u.index.set->kind != SET_LATTICE || !s->u.index.set->fine) return NULL;
    if (!constant_integer(e, k, &factor) || factor != s->u.index.set->factor) return NULL;
    Value *v = value_new(e, VK_INDEX, at);
    v->u.index.set = s->u.index.set->fine;
    for (int i = 0; i < s->u.index.set->rank; i++) v->u.index.c[i] = aff_scale(e->ir, s->u.index.c[i], factor);
    v->name = s->name;
    return v;
}

/* A direction, or a displacement, as a displacement; NULL when it is neither. */
static const Value *as_shift(Elab *e, const Value *v) {
    if (v->kind == VK_SHIFT) return v;
    if (v->kind == VK_INDEX && v->u.index.set->kind == SET_WINDOW) return window_shift(e, v);
    if (!is_direction(v)) return NULL;
    int64_t k = 0;
    aff_is_const(e->ir, v->u.index.c[0], &k);
    Value *s = value_new(e, VK_SHIFT, v->origin);
    s->u.index.set = v->u.index.set->lattice;
    for (int i = 0; i < s->u.index.set->rank; i++) s->u.index.c[i] = aff_const(e->ir, i == k);
    return s;
}

/* Displacements stay far below what 64 bits hold, so that sums of two never overflow. */
#define FARTHEST ((int64_t)1 << 30)

static bool too_far(Elab *e, Aff a, Span at) {
    const Affine *f = aff_get(e->ir, a);
    bool far = llabs(f->k) > FARTHEST;
    for (int i = 0; i < f->n; i++) far |= llabs(f->t[i].c) > FARTHEST;
    if (far) elab_error(e, "E0215", at, "a displacement by more than 2^30 sites");
    return far;
}

static const Value *shift_combine(Elab *e, const Value *a, const Value *b, int64_t sign, ValueKind kind, Span at) {
    for (int i = 0; i < a->u.index.set->rank; i++)
        if (too_far(e, a->u.index.c[i], at) || too_far(e, b->u.index.c[i], at)) return value_error();
    Value *v = value_new(e, kind, at);
    v->u.index.set = a->u.index.set;
    for (int i = 0; i < v->u.index.set->rank; i++)
        v->u.index.c[i] = aff_add(e->ir, a->u.index.c[i], aff_scale(e->ir, b->u.index.c[i], sign));
    v->name = a->name;
    return v;
}

/* A tuple of integers next to a site is a displacement: x + (1, -1). */
static const Value *tuple_shift(Elab *e, const Value *t, IndexSet *lattice) {
    if (t->kind != VK_TUPLE || t->u.tuple.n != lattice->rank) return NULL;
    Value *s = value_new(e, VK_SHIFT, t->origin);
    s->u.index.set = lattice;
    for (int i = 0; i < lattice->rank; i++)
        if (!affine_integer(e, t->u.tuple.items[i], &s->u.index.c[i])) return NULL;
    return s;
}

static const Value *foreign_shift(Elab *e, const Value *site, const Value *shift, Span at) {
    Diag *d = elab_error(e, "E0208", at, "a direction of `%s` cannot displace an index of `%s`",
                         shift->u.index.set->name, site->u.index.set->name);
    diag_label(&e->front->sink, d, site->u.index.set->at, "%s", set_describe(e->arena, site->u.index.set));
    diag_label(&e->front->sink, d, shift->u.index.set->at, "%s", set_describe(e->arena, shift->u.index.set));
    return value_error();
}

/* Integer multiples of a displacement: 2*mu, t*mu. NULL: not such a product. */
static const Value *shift_product(Elab *e, const Value *a, const Value *b, Span at) {
    const Value *s = as_shift(e, b), *k = a;
    if (!s) s = as_shift(e, a), k = b;
    Aff factor;
    int64_t c;
    if (!s || !affine_integer(e, k, &factor) || is_direction(k)) return NULL;
    Value *v = value_new(e, VK_SHIFT, at);
    v->u.index.set = s->u.index.set;
    for (int i = 0; i < s->u.index.set->rank; i++) {
        if (!aff_is_const(e->ir, s->u.index.c[i], &c)) return NULL;
        if (too_far(e, factor, at) || too_far(e, s->u.index.c[i], at)) return value_error();
        v->u.index.c[i] = aff_scale(e->ir, factor, c);
    }
    return v;
}

/* Arithmetic that stays among indices and displacements; NULL: it does not. */
static const Value *index_arithmetic(Elab *e, AstOp op, const Value *a, const Value *b, Span at) {
    bool a_site = a->kind == VK_INDEX && !is_direction(a) && a->u.index.set->kind != SET_GRID;
    bool b_site = b->kind == VK_INDEX && !is_direction(b) && b->u.index.set->kind != SET_GRID;
    if (op == OP_MUL) {
        const Value *site = refined_site(e, a, b, at);
        return site ? site : shift_product(e, a, b, at);
    }
    if (op != OP_ADD && op != OP_SUB) return NULL;
    int64_t sign = op == OP_ADD ? 1 : -1;
    const Value *sa = as_shift(e, a), *sb = as_shift(e, b);
    if (sa && sb && sa->u.index.set == sb->u.index.set) return shift_combine(e, sa, sb, sign, VK_SHIFT, at);
    if (a_site && !sb) sb = tuple_shift(e, b, a->u.index.set);
    if (a_site && sb) {
        IndexSet *s = a->u.index.set;
        if (sb->u.index.set == s) return shift_combine(e, a, sb, sign, VK_INDEX, at);
        return foreign_shift(e, a, sb, at);
    }
    if (b_site && sa && op == OP_ADD) return index_arithmetic(e, OP_ADD, b, a, at);
    Aff k;
    if (a_site && a->u.index.set->rank == 1 && affine_integer(e, b, &k)) {
        if (too_far(e, k, at) || too_far(e, a->u.index.c[0], at)) return value_error();
        Value *v = value_new(e, VK_INDEX, at);
        v->u.index.set = a->u.index.set;
        v->u.index.c[0] = aff_add(e->ir, a->u.index.c[0], aff_scale(e->ir, k, sign));
        v->name = a->name;
        return v;
    }
    if (b_site && b->u.index.set->rank == 1 && affine_integer(e, a, &k)) {
        if (too_far(e, k, at) || too_far(e, b->u.index.c[0], at)) return value_error();
        Value *v = value_new(e, VK_INDEX, at);
        v->u.index.set = b->u.index.set;
        v->u.index.c[0] = aff_add(e->ir, k, aff_scale(e->ir, b->u.index.c[0], sign));
        return v;
    }
    return NULL;
}

/* Indices beyond a periodic edge are the same place one period away. */
static Index equality_index(Elab *e, const IndexSet *s, int i, Aff c) {
    bool periodic = s->mode[i] != IX_ZERO && !surely_inside(e, c, s->ext[i]);
    return (Index){c, periodic ? IX_PERIODIC : IX_EXACT, s->ext[i]};
}

/* Are two indices of one set (or an index and a tuple of numbers) equal? Compared
 * component by component. */
static const Value *index_equality(Elab *e, AstOp op, const Value *a, const Value *b, Span at) {
    if (a->kind != VK_INDEX || b->kind != VK_INDEX || is_direction(a) || is_direction(b)) return NULL;
    IndexSet *s = a->u.index.set;
    if (s != b->u.index.set || (op != OP_EQ && op != OP_NE)) return NULL;
    Ref r = ir_bool(e->ir, true);
    for (int i = 0; i < s->rank; i++) {
        Index p = equality_index(e, s, i, a->u.index.c[i]), q = equality_index(e, s, i, b->u.index.c[i]);
        r = ir_binary(e->ir, SC_AND, r, ir_binary(e->ir, SC_EQ, ir_idx(e->ir, p), ir_idx(e->ir, q)));
    }
    if (op == OP_NE) r = ir_unary(e->ir, SC_NOT, r);
    return value_real(e, r, at);
}

/* ---- the public operations ---------------------------------------------------------------------------- */

static const Value *tuple_binary(Elab *e, AstOp op, const Value *a, const Value *b, Span at, Span op_at) {
    int n = a->kind == VK_TUPLE ? a->u.tuple.n : b->u.tuple.n;
    if (a->kind == VK_TUPLE && b->kind == VK_TUPLE && a->u.tuple.n != b->u.tuple.n)
        return ELAB_FAIL(e, "E0209", at, "tuples of %d and %d components do not go together", a->u.tuple.n, b->u.tuple.n);
    const Value *items[MAX_ITEMS];
    for (int i = 0; i < n && i < MAX_ITEMS; i++) {
        items[i] = value_binary(e, op, a->kind == VK_TUPLE ? a->u.tuple.items[i] : a,
                                b->kind == VK_TUPLE ? b->u.tuple.items[i] : b, at, op_at);
        if (items[i]->kind == VK_ERROR) return items[i];
    }
    return value_tuple(e, n, items, at);
}

static const Value *logic(Elab *e, AstOp op, Pair *p, const Value *a, const Value *b, Span at) {
    if (!a->u.num.boolean || !b->u.num.boolean)
        return ELAB_FAIL(e, "E0205", memcmp(&e->operand_of, &at, sizeof at) ? at : e->operand[a->u.num.boolean], "`%s` joins conditions, and this is %s",
                         op == OP_AND ? "and" : "or", value_describe(e, a->u.num.boolean ? b : a));
    return pair_result(e, p, ir_binary(e->ir, op == OP_AND ? SC_AND : SC_OR, p->are, p->bre), 0);
}

static const char *op_text(AstOp op) {
    static const char *const text[] = {[OP_ADD] = "+", [OP_SUB] = "-", [OP_MUL] = "*", [OP_DIV] = "/", [OP_POW] = "^",
        [OP_LT] = "<", [OP_LE] = "<=", [OP_GT] = ">", [OP_GE] = ">=", [OP_EQ] = "==", [OP_NE] = "!=",
        [OP_AND] = "and", [OP_OR] = "or", [OP_IN] = "in", [OP_NEG] = "-", [OP_NOT] = "not", [OP_COMPOSE] = ">>"};
    return text[op];
}

const Value *value_binary(Elab *e, AstOp op, const Value *a, const Value *b, Span at, Span op_at) {
    if (a->kind == VK_ERROR || b->kind == VK_ERROR) return value_error();
    const Value *v = index_arithmetic(e, op, a, b, at);
    if (!v) v = index_equality(e, op, a, b, at);
    if (v) return v;
    if (a->kind == VK_TUPLE || b->kind == VK_TUPLE) return tuple_binary(e, op, a, b, at, op_at);
    const char *what = arena_printf(e->arena, "`%s`", op_text(op));
    bool known = !memcmp(&e->operand_of, &at, sizeof at);      /* where the two sides stand */
    a = value_number(e, a, known ? e->operand[0] : at, what);
    b = value_number(e, b, known ? e->operand[1] : at, what);
    if (a->kind == VK_ERROR || b->kind == VK_ERROR) return value_error();
    Pair p;
    if (!pair_up(e, a, b, at, &p)) return value_error();
    if (op == OP_AND || op == OP_OR) return logic(e, op, &p, a, b, at);
    if ((a->u.num.boolean || b->u.num.boolean) && !(a->u.num.boolean && b->u.num.boolean && (op == OP_EQ || op == OP_NE))) {
        Diag *d = elab_error(e, "E0205", at, "`%s` needs numbers, and one side is a condition", op_text(op));
        diag_help(&e->front->sink, d, "write `if condition then 1 else 0` to count where a condition holds");
        return value_error();
    }
    return op <= OP_POW ? arithmetic(e, op, &p) : comparison(e, op, &p, at);
}

static const Value *with_parts(Elab *e, const Value *v, Ref re, Ref im, Span at) {
    Value *out = value_new(e, VK_NUM, at);
    out->u.num = v->u.num;
    out->u.num.re = re;
    out->u.num.im = im;
    out->u.num.complex = im != 0;
    out->u.num.boolean = NODE(e->ir, re)->boolean;
    return out;
}

const Value *value_unary(Elab *e, AstOp op, const Value *a, Span at) {
    if (a->kind == VK_ERROR) return a;
    if (a->kind == VK_TUPLE) {
        const Value *items[MAX_ITEMS];
        for (int i = 0; i < a->u.tuple.n; i++) {
            items[i] = value_unary(e, op, a->u.tuple.items[i], at);
            if (items[i]->kind == VK_ERROR) return items[i];
        }
        return value_tuple(e, a->u.tuple.n, items, at);
    }
    const Value *s = op == OP_NEG ? as_shift(e, a) : NULL;
    if (s) {
        Value *v = value_new(e, VK_SHIFT, at);
        v->u.index = s->u.index;
        for (int i = 0; i < s->u.index.set->rank; i++) v->u.index.c[i] = aff_scale(e->ir, s->u.index.c[i], -1);
        return v;
    }
    a = value_number(e, a, at, op == OP_NEG ? "`-`" : "`not`");
    if (a->kind == VK_ERROR) return a;
    if (op == OP_NOT && !a->u.num.boolean) return ELAB_FAIL(e, "E0205", at, "`not` needs a condition, not a number");
    if (op == OP_NEG && a->u.num.boolean) return ELAB_FAIL(e, "E0205", at, "`-` needs a number, not a condition");
    Op ir_op_ = op == OP_NEG ? SC_NEG : SC_NOT;
    return with_parts(e, a, ir_unary(e->ir, ir_op_, a->u.num.re), a->u.num.im ? ir_unary(e->ir, ir_op_, a->u.num.im) : 0, at);
}

const Value *value_map1(Elab *e, Op op, const Value *a, Span at) {
    return with_parts(e, a, ir_unary(e->ir, op, a->u.num.re), 0, at);
}

const Value *value_map2(Elab *e, Op op, const Value *a, const Value *b, Span at) {
    Pair p;
    if (!pair_up(e, a, b, at, &p)) return value_error();
    return pair_result(e, &p, ir_binary(e->ir, op, p.are, p.bre), 0);
}

const Value *value_select(Elab *e, const Value *c, const Value *a, const Value *b, Span at) {
    if (a->kind == VK_ERROR || b->kind == VK_ERROR || c->kind == VK_ERROR) return value_error();
    if (a->kind == VK_TUPLE && b->kind == VK_TUPLE && a->u.tuple.n == b->u.tuple.n) {
        const Value *items[MAX_ITEMS];
        for (int i = 0; i < a->u.tuple.n; i++) {
            items[i] = value_select(e, c, a->u.tuple.items[i], b->u.tuple.items[i], at);
            if (items[i]->kind == VK_ERROR) return items[i];
        }
        return value_tuple(e, a->u.tuple.n, items, at);
    }
    if (a == b) return a;
    if (a->kind == VK_INDEX || b->kind == VK_INDEX) {
        double k;
        if (value_is_const(e, c, &k)) return k ? a : b;
    }
    c = value_number(e, c, at, "a condition");
    a = value_number(e, a, at, "`then`");
    b = value_number(e, b, at, "`else`");
    if (a->kind == VK_ERROR || b->kind == VK_ERROR || c->kind == VK_ERROR) return value_error();
    if (!c->u.num.boolean) return ELAB_FAIL(e, "E0205", at, "`if` needs a condition, such as `x > 0`, not %s", value_describe(e, c));
    if (a->u.num.boolean != b->u.num.boolean)
        return ELAB_FAIL(e, "E0205", at, "`then` and `else` must both be numbers or both be conditions");
    Pair p, q;
    if (!pair_up(e, a, b, at, &p)) return value_error();
    Value *ab = (Value *)pair_result(e, &p, p.are, p.aim);   /* over the symbols of the result */
    if (!pair_up(e, ab, c, at, &q)) return value_error();
    /* p's parts may be over symbols that q renamed: only when c is the wider one. */
    Ref are = p.are, aim = p.aim, bre = p.bre, bim = p.bim;
    if (c->u.num.nsets > ab->u.num.nsets && ab->u.num.nsets) return value_error();
    Ref zero = ir_const(e->ir, 0);
    Ref re = ir_select(e->ir, q.bre, are, bre);
    Ref im = aim || bim ? ir_select(e->ir, q.bre, aim ? aim : zero, bim ? bim : zero) : 0;
    return pair_result(e, &q, re, im);
}

const Value *value_zero_like(Elab *e, const Value *v) {
    if (v->kind == VK_TUPLE) {
        const Value *items[MAX_ITEMS];
        for (int i = 0; i < v->u.tuple.n; i++) items[i] = value_zero_like(e, v->u.tuple.items[i]);
        return value_tuple(e, v->u.tuple.n, items, v->origin);
    }
    if (v->kind != VK_NUM) return value_error();
    Ref zero = ir_const(e->ir, 0);
    return with_parts(e, v, zero, v->u.num.complex ? zero : 0, v->origin);
}

/* ---- indexing --------------------------------------------------------------------------------------------- */

static const Value *wrong_set(Elab *e, const Value *v, int k, const Value *ix, Span at) {
    IndexSet *want = v->u.num.sets[k];
    Diag *d = elab_error(e, "E0210", at, "index %d of `%s` runs over `%s`, but this is %s", k + 1,
                         v->name ? v->name : "this array", want->name, value_describe(e, ix));
    diag_label(&e->front->sink, d, want->at, "%s", set_describe(e->arena, want));
    if (ix->kind == VK_INDEX) diag_label(&e->front->sink, d, ix->u.index.set->at, "%s", set_describe(e->arena, ix->u.index.set));
    if (v->origin.hi > v->origin.lo) diag_label(&e->front->sink, d, v->origin, "declared here");
    if (ix->kind == VK_NUM && want->rank > 1) diag_help(&e->front->sink, d, "a site of `%s` is an index of it, or its %d coordinates", want->name, want->rank);
    else if (ix->kind == VK_NUM) diag_help(&e->front->sink, d, "an index is known before the run; to choose by a computed number, sum over `if i == n`");
    return value_error();
}

/* Component forms of one index into set `want`; how many entries of index[] it used,
 * or 0 when it does not fit. */
static int index_components(Elab *e, IndexSet *want, const Value *const *index, int left, Aff *out) {
    const Value *ix = index[0];
    Aff k;
    if (ix->kind == VK_INDEX && ix->u.index.set == want) {
        memcpy(out, ix->u.index.c, (size_t)want->rank * sizeof *out);
        return 1;
    }
    if (want->rank == 1) {
        bool same_line = ix->kind == VK_INDEX && ix->u.index.set->rank == 1 &&
                         (ix->u.index.set->kind == SET_RANGE || ix->u.index.set->kind == SET_DIRS);
        if (ix->kind == VK_NUM || same_line) {
            if (!affine_integer(e, ix, &k)) return 0;
            out[0] = aff_shift(e->ir, k, -want->first);
            return 1;
        }
        return 0;
    }
    if (ix->kind == VK_TUPLE && ix->u.tuple.n == want->rank)
        return index_components(e, want, ix->u.tuple.items, want->rank, out) ? 1 : 0;
    if (left < want->rank) return 0;
    for (int i = 0; i < want->rank; i++)        /* a site given by its coordinates: phi[t, y] */
        if (index_components(e, want->axes[i], index + i, 1, &out[i]) != 1) return 0;
    return want->rank;
}

/* Is a component certainly inside its set?  Then no wrapping is needed. */
static bool surely_inside(Elab *e, Aff a, int64_t n) {
    const Affine *f = aff_get(e->ir, a);
    int64_t lo = f->k, hi = f->k;
    for (int i = 0; i < f->n; i++) {
        Sym s = f->t[i].sym;
        int64_t reach = f->t[i].c * ((s >= SYM_LOOP ? e->ir->loops.data[s - SYM_LOOP].trip : elab_sym_extent(e, s)) - 1);
        if (reach > 0) hi += reach;
        else lo += reach;
    }
    return lo >= 0 && hi < n;
}

static bool check_constant_index(Elab *e, const IndexSet *s, int k, Aff a, Span at) {
    int64_t c;
    if (s->mode[k] == IX_PERIODIC || s->mode[k] == IX_ANTIPERIODIC || s->kind == SET_LATTICE || s->kind == SET_COORD ||
        !aff_is_const(e->ir, a, &c) || (c >= 0 && c < s->ext[k]))
        return true;
    Diag *d = elab_error(e, "E0211", at, "index %lld is outside `%s`, which has the indices %lld to %lld",
                         (long long)(c + s->first), s->name, (long long)s->first, (long long)(s->first + s->ext[k] - 1));
    diag_label(&e->front->sink, d, s->at, "declared here");
    return false;
}

static Ref read_constant(Elab *e, Ref c, const Value *v, const Aff *comp) {
    int64_t dims[IR_MAX_RANK];
    Index ix[IR_MAX_RANK];
    int n = 0;
    bool inside = true;
    for (int k = 0; k < v->u.num.nsets; k++)
        for (int i = 0; i < v->u.num.sets[k]->rank; i++, n++) {
            const IndexSet *s = v->u.num.sets[k];
            bool in = surely_inside(e, comp[n], s->ext[i]);
            dims[n] = s->ext[i];
            ix[n] = (Index){comp[n], in ? IX_EXACT : s->mode[i], s->ext[i]};
            inside &= in;
        }
    return inside ? c : ir_read(e->ir, ir_map(e->ir, n, dims, c), ix);
}

/* A number that only the run knows, in the place of the first index. */
static bool is_computed_place(const Elab *e, const Value *v, const Value *ix) {
    double known;
    return ix && v->kind == VK_NUM && v->u.num.nsets && !v->u.num.boolean && v->u.num.sets[0]->rank == 1 && ix->kind == VK_NUM && ix->u.num.nsets == 0 &&
           !ix->u.num.complex && !ix->u.num.boolean && !value_is_const(e, ix, &known);
}

const Value *value_at(Elab *e, const Value *v, const Value *const *index, Span at) {
    const Value *closed = value_close(e, v);
    if (closed->kind == VK_ERROR) return closed;
    Aff comp[IR_MAX_RANK];
    int used = 0, total = 0, n = 0;
    while (index[total]) total++;
    if (is_computed_place(e, v, index[0])) {
        const Value *left = elab_taken(e, v, index[0], at);
        if (left->kind == VK_ERROR || (total == 1 && left->u.num.nsets == 0)) return left;
        Value named = *left;
        named.name = v->name;
        return value_at(e, &named, index + 1, at);
    }
    for (int k = 0; k < v->u.num.nsets; k++) {
        IndexSet *s = v->u.num.sets[k];
        if (used == total) {
            Diag *d = elab_error(e, "E0212", at, "`%s` has %d indices, here %s %d", v->name ? v->name : "this array",
                                 v->u.num.nsets, total == 1 ? "is" : "are", total);
            for (int i = 0; i < v->u.num.nsets && i < 3; i++)
                diag_label(&e->front->sink, d, v->u.num.sets[i]->at, "%s", set_describe(e->arena, v->u.num.sets[i]));
            return value_error();
        }
        int took = index_components(e, s, index + used, total - used, comp + n);
        if (!took) return wrong_set(e, v, k, index[used], at);
        for (int i = 0; i < s->rank; i++)
            if (!check_constant_index(e, s, i, comp[n + i], at)) return value_error();
        used += took;
        n += s->rank;
    }
    if (used < total) {
        Diag *d = elab_error(e, "E0212", at, "`%s` has %d %s, here are %d", v->name ? v->name : "this array", v->u.num.nsets,
                             v->u.num.nsets == 1 ? "index" : "indices", total);
        for (int i = 0; i < v->u.num.nsets && i < 3; i++)
            diag_label(&e->front->sink, d, v->u.num.sets[i]->at, "%s", set_describe(e->arena, v->u.num.sets[i]));
        if (v->origin.hi > v->origin.lo) diag_label(&e->front->sink, d, v->origin, "declared here");
        return value_error();
    }
    Ref parts[2] = {closed->u.num.re, closed->u.num.im};
    for (int p = 0; p < 2; p++) {
        if (!parts[p]) continue;
        if (NODE(e->ir, parts[p])->op != SC_READ) {   /* the same everywhere inside; the edge still matters */
            parts[p] = read_constant(e, parts[p], v, comp);
            continue;
        }
        Ref array = NARG(e->ir, parts[p], 0);
        int rank = NODE(e->ir, array)->rank, prefix = rank - n;
        Index ix[IR_MAX_RANK];
        for (int i = 0; i < rank; i++) ix[i] = *NIDX(e->ir, parts[p], i);
        for (int k = 0, j = prefix; k < v->u.num.nsets; k++)
            for (int i = 0; i < v->u.num.sets[k]->rank; i++, j++) {
                const IndexSet *s = v->u.num.sets[k];
                Aff c = comp[j - prefix];
                ix[j] = (Index){c, surely_inside(e, c, s->ext[i]) ? IX_EXACT : s->mode[i], s->ext[i]};
            }
        parts[p] = ir_read(e->ir, array, ix);
    }
    return value_complex(e, parts[0], parts[1], at);
}
