/* verify.c — the rules of ir.h, checked between passes: the form of each node first
 * (nothing else is safe to follow before), then types, bodies, loops and inputs. */
#include "schedule.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char message[400];

typedef struct Verify {
    const IrFunc *f;
    const Ir *ir;
    VEC(Ref)  nodes;         /* reachable, any order */
    bool      failed;
} Verify;

static bool fail(Verify *v, Ref r, const char *fmt, ...) LQ_PRINTF(3, 4);
static bool fail(Verify *v, Ref r, const char *fmt, ...)
{
    char what[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    int op = r && r < (Ref)v->ir->nodes.n ? NODE(v->ir, r)->op : 0;
    const char *name = v->f->name ? v->f->name : "function";
    if (r) snprintf(message, sizeof message, "%s: node %u (%s): %s", name, r, op_name((Op)op), what);
    else snprintf(message, sizeof message, "%s: %s", name, what);
    v->failed = true;
    return false;
}

/* ---- the form of a node ------------------------------------------------------------ */

enum { R = 0, B = 1 };       /* the type column of ops.def */
typedef enum Args { NO_ARGS, SCALARS, ONE_SCALAR, ONE_ARRAY, ARRAYS, A_LOOP, CARRIES } Args;
typedef struct Form { Args args; int nargs, nidx; bool has_dims; } Form;

static const Form forms[IR_NOPS] = {
#define OP(id, name, arity, type, value, vm, cost) [SC_##id] = {SCALARS, arity, 0, false},
#include "../../runtime/ops.def"
#undef OP
    [SC_CONST] = {NO_ARGS, 0, 0, false},    [SC_IDX] = {NO_ARGS, 0, 1, false},
    [SC_INRANGE] = {NO_ARGS, 0, 1, false},  [SC_READ] = {ONE_ARRAY, 1, -1, false},
    [SC_RAND] = {NO_ARGS, 0, 2, false},     [AR_INPUT] = {NO_ARGS, 0, 0, true},
    [AR_CONST] = {NO_ARGS, 0, 0, true},     [AR_MAP] = {ONE_SCALAR, 1, 0, true},
    [AR_REDUCE] = {ONE_SCALAR, 1, 0, true}, [AR_LOOP] = {CARRIES, -1, 0, false},
    [AR_CARRY] = {ONE_ARRAY, 1, 0, true},   [AR_PROJ] = {A_LOOP, 1, 0, true},
    [AR_STACK] = {A_LOOP, 1, 0, true},      [AR_CALL] = {ARRAYS, -1, -2, true},
};

static const bool boolean_op[IR_NOPS] = {
#define OP(id, name, arity, type, value, vm, cost) [SC_##id] = type,
#include "../../runtime/ops.def"
#undef OP
    [SC_INRANGE] = true,
};

static bool in_pool(uint64_t offset, uint64_t count, int n) { return offset + count <= (uint64_t)n; }

/* What must hold before anything below the node is looked at. */
static bool check_pools(Verify *v, Ref r)
{
    const Ir *ir = v->ir;
    const Node *n = NODE(ir, r);
    if (n->op == SC_NONE || n->op >= IR_NOPS) return fail(v, r, "no such operation: %d", n->op);
    if (n->rank + n->nred > IR_MAX_RANK)
        return fail(v, r, "%d axes, more than %d", n->rank + n->nred, IR_MAX_RANK);
    if (!in_pool(n->args, n->nargs, ir->args.n) || !in_pool(n->idx, n->nidx, ir->index.n) ||
        !in_pool(n->dims, (uint64_t)n->rank + n->nred, ir->dims.n))
        return fail(v, r, "arguments, indices or extents outside their pools");
    for (uint32_t i = 0; i < n->nargs; i++)
        if (NARG(ir, r, i) == 0 || NARG(ir, r, i) >= r)
            return fail(v, r, "argument %u is node %u, not an earlier one", i, NARG(ir, r, i));
    for (int i = 0; i < n->nidx; i++) {
        const Index *ix = NIDX(ir, r, i);
        if (ix->aff == 0 || ix->aff >= (Aff)ir->affs.n) return fail(v, r, "index %d is no affine form", i);
        if (ix->mode > IX_ZERO) return fail(v, r, "index %d has mode %u", i, ix->mode);
    }
    return true;
}

static bool collect(Verify *v)
{
    const Ir *ir = v->ir;
    VEC(Ref) stack = {0};
    uint8_t *seen = calloc((size_t)ir->nodes.n, 1);
    if (!seen) lq_out_of_memory((size_t)ir->nodes.n);
    for (int i = 0; i < v->f->nout + v->f->nin; i++) {
        Ref root = i < v->f->nout ? v->f->out[i] : v->f->in[i - v->f->nout];
        if (root == 0 || root >= (Ref)ir->nodes.n) fail(v, 0, "input or output %u is no node", root);
        else vec_push(&stack, root);
    }
    while (stack.n && !v->failed) {
        Ref r = stack.data[--stack.n];
        if (seen[r] || !check_pools(v, r)) continue;
        seen[r] = 1;
        vec_push(&v->nodes, r);
        for (uint32_t i = 0; i < NODE(ir, r)->nargs; i++)
            if (!seen[NARG(ir, r, i)]) vec_push(&stack, NARG(ir, r, i));
    }
    vec_free(&stack);
    free(seen);
    return !v->failed;
}

static bool check_args(Verify *v, Ref r)
{
    const Ir *ir = v->ir;
    const Node *n = NODE(ir, r);
    const Form *form = &forms[n->op];
    if (form->nargs >= 0 && n->nargs != (uint32_t)form->nargs)
        return fail(v, r, "%u arguments instead of %d", n->nargs, form->nargs);
    if (form->args == CARRIES && (n->nargs == 0 || n->nargs % 2))
        return fail(v, r, "%u arguments: not as many initial as next values", n->nargs);
    for (uint32_t i = 0; i < n->nargs; i++) {
        int op = NODE(ir, NARG(ir, r, i))->op;
        bool wants_array = form->args != SCALARS && form->args != ONE_SCALAR;
        if (wants_array != (op >= AR_INPUT))
            return fail(v, r, "argument %u must be %s", i, wants_array ? "an array" : "a scalar");
        if ((form->args == A_LOOP) != (op == AR_LOOP))
            return fail(v, r, "argument %u must %sbe a loop", i, form->args == A_LOOP ? "" : "not ");
    }
    if (n->op == AR_CALL && (n->aux >= IR_NCALLS || (int)n->nargs != call_arity((CallKind)n->aux)))
        return fail(v, r, "%u arguments, or no such call", n->nargs);
    if (form->nidx == -2) return true;      /* call_problem */
    int nidx = form->nidx < 0 ? NODE(ir, NARG(ir, r, 0))->rank : form->nidx;
    if (n->nidx != nidx) return fail(v, r, "%d indices instead of %d", n->nidx, nidx);
    return true;
}

static bool check_shape(Verify *v, Ref r)
{
    const Ir *ir = v->ir;
    const Node *n = NODE(ir, r);
    if (!forms[n->op].has_dims && n->rank + n->nred) return fail(v, r, "has extents");
    if (n->op != AR_CALL && (n->op == AR_REDUCE) != (n->nred > 0)) return fail(v, r, "%d reduced axes", n->nred);
    int64_t total = 1;
    for (int i = 0; i < n->rank + n->nred; i++) {
        int64_t d = NDIM(ir, r, i);
        if (d < 0) return fail(v, r, "extent %d is %lld", i, (long long)d);
        if (!lq_mul_ok(total, d, &total) || total > INT64_MAX / 16)
            return fail(v, r, "too many elements");
    }
    return true;
}

static bool check_reference(Verify *v, Ref r)
{
    const Ir *ir = v->ir;
    const Node *n = NODE(ir, r);
    switch (n->op) {
    case SC_READ:
        for (int i = 0; i < n->nidx; i++)
            if (NIDX(ir, r, i)->n != NDIM(ir, NARG(ir, r, 0), i))
                return fail(v, r, "index %d is for extent %lld, the array has %lld", i,
                            (long long)NIDX(ir, r, i)->n, (long long)NDIM(ir, NARG(ir, r, 0), i));
        return true;
    case AR_CONST:
        if (n->aux >= (uint32_t)ir->consts.n) return fail(v, r, "no entry %u of the constant pool", n->aux);
        if (ir->consts.data[n->aux].n != ir_elements(ir, r))
            return fail(v, r, "%lld elements for %lld constants", (long long)ir_elements(ir, r),
                        (long long)ir->consts.data[n->aux].n);
        return true;
    case AR_REDUCE:
        if (n->aux != SC_ADD && n->aux != SC_MUL && n->aux != SC_MAX && n->aux != SC_MIN)
            return fail(v, r, "cannot reduce with %s", op_name((Op)n->aux));
        return true;
    case AR_LOOP: case AR_CARRY:
        if (n->aux >= (uint32_t)ir->loops.n) return fail(v, r, "no loop %u", n->aux);
        if (ir->loops.data[n->aux].trip < 0) return fail(v, r, "negative trip");
        return true;
    case AR_CALL: {
        const char *problem = call_problem(ir, r);
        return !problem || fail(v, r, "%s %s", call_name((CallKind)n->aux), problem);
    }
    case AR_PROJ: case AR_STACK:
        if (n->aux >= NODE(ir, NARG(ir, r, 0))->nargs / 2) return fail(v, r, "the loop has no carry %u", n->aux);
        return true;
    default: return true;
    }
}

/* ---- truth values --------------------------------------------------------------------- */

/* What argument i must be: 1 a truth value, 0 a number, -1 either. */
static int wanted_type(Op op, uint32_t i)
{
    switch (op) {
    case SC_AND: case SC_OR: case SC_NOT: return 1;
    case SC_SELECT: return i == 0 ? 1 : -1;
    case SC_EQ: case SC_NE: return -1;
    default: return 0;
    }
}

static bool result_type(const Ir *ir, Ref r)
{
    const Node *n = NODE(ir, r);
    switch (n->op) {
    case SC_READ: case AR_MAP: case AR_CARRY: return NODE(ir, NARG(ir, r, 0))->boolean;
    case SC_SELECT: return NODE(ir, NARG(ir, r, 1))->boolean;
    case AR_PROJ: case AR_STACK: return NODE(ir, NARG(ir, NARG(ir, r, 0), n->aux))->boolean;
    case SC_CONST: case AR_INPUT: case AR_CONST: return n->boolean;   /* as they say */
    default: return boolean_op[n->op];
    }
}

static bool check_types(Verify *v, Ref r)
{
    const Ir *ir = v->ir;
    const Node *n = NODE(ir, r);
    bool scalar_op = forms[n->op].args == SCALARS;
    for (uint32_t i = 0; i < n->nargs && scalar_op; i++) {
        int wanted = wanted_type((Op)n->op, i), is = NODE(ir, NARG(ir, r, i))->boolean;
        if (wanted >= 0 && is != wanted)
            return fail(v, r, "argument %u is a %s", i, is ? "truth value" : "number");
    }
    uint32_t pair = n->op == SC_SELECT ? 1 : 0;
    if ((n->op == SC_SELECT || n->op == SC_EQ || n->op == SC_NE) &&
        NODE(ir, NARG(ir, r, pair))->boolean != NODE(ir, NARG(ir, r, pair + 1))->boolean)
        return fail(v, r, "compares or selects a truth value and a number");
    if (n->op == AR_REDUCE && NODE(ir, NARG(ir, r, 0))->boolean) return fail(v, r, "reduces truth values");
    if (n->boolean != result_type(ir, r))
        return fail(v, r, "is marked as a %s", n->boolean ? "truth value" : "number");
    return true;
}

/* ---- bodies ------------------------------------------------------------------------------ */

static bool check_symbols(Verify *v, Ref closed, Ref r, const Affine *form)
{
    int naxes = NODE(v->ir, closed)->rank + NODE(v->ir, closed)->nred;
    for (int i = 0; i < form->n; i++) {
        Sym s = form->t[i].sym;
        if (s >= SYM_LOOP && s - SYM_LOOP >= (Sym)v->ir->loops.n)
            return fail(v, r, "iteration number of loop %u, which does not exist", s - SYM_LOOP);
        if (s >= SYM_FREE && s < SYM_LOOP)
            return fail(v, r, "free index %u inside closed node %u", s - SYM_FREE, closed);
        if (s < SYM_FREE && s >= (Sym)naxes)
            return fail(v, r, "axis %u in node %u, which has %d", s, closed, naxes);
    }
    return true;
}

static bool check_index(Verify *v, Ref closed, Ref r, int i)
{
    const Ir *ir = v->ir;
    const Node *c = NODE(ir, closed);
    const Index *ix = NIDX(ir, r, i);
    if (!check_symbols(v, closed, r, aff_get(ir, ix->aff))) return false;
    int64_t lo, hi, n = ix->n;
    int op = NODE(ir, r)->op;
    if (op == SC_RAND) n = (int64_t)INT32_MAX + 1;      /* counters are 32 bits wide */
    else if (op != SC_READ || ix->mode != IX_EXACT) return true;
    ir_aff_range(ir, ix->aff, c->rank + c->nred, ir->dims.data + c->dims, &lo, &hi);
    if (lo < 0 || hi >= n)
        return fail(v, r, "index %d reaches %lld … %lld in node %u, outside 0 … %lld", i, (long long)lo,
                    (long long)hi, closed, (long long)n - 1);
    return true;
}

static bool check_body(Verify *v, ScalarWalk *w, Ref closed)
{
    const Ir *ir = v->ir;
    const Node *c = NODE(ir, closed);
    Ref body = NARG(ir, closed, 0);
    bool empty = false;                                  /* nothing is evaluated then */
    for (int i = 0; i < c->rank + c->nred; i++) empty |= NDIM(ir, closed, i) == 0;
    scalar_walk(w, 1, &body);
    for (int i = 0; i < w->list.n; i++) {
        Ref r = w->list.data[i];
        for (int j = 0; j < NODE(ir, r)->nidx; j++)
            if (empty ? !check_symbols(v, closed, r, aff_get(ir, NIDX(ir, r, j)->aff))
                      : !check_index(v, closed, r, j))
                return false;
    }
    return true;
}

/* ---- loops ----------------------------------------------------------------------------------- */

static bool same_shape(const Ir *ir, Ref a, Ref b)
{
    if (NODE(ir, a)->rank != NODE(ir, b)->rank || NODE(ir, a)->boolean != NODE(ir, b)->boolean) return false;
    for (int i = 0; i < NODE(ir, a)->rank; i++)
        if (NDIM(ir, a, i) != NDIM(ir, b, i)) return false;
    return true;
}

static bool check_carries(Verify *v, const Schedule *s, Ref loop)
{
    const Ir *ir = v->ir;
    const Node *n = NODE(ir, loop);
    int ncarry = (int)n->nargs / 2;
    for (int i = 0; i < ncarry; i++) {
        Ref init = NARG(ir, loop, i);
        if (!same_shape(ir, init, NARG(ir, loop, ncarry + i)))
            return fail(v, loop, "carry %d starts in another shape than its next value has", i);
        if (loopset_has(s->deps[PLACE(s, init)], n->aux))
            return fail(v, loop, "carry %d starts from a value inside the loop", i);
    }
    int active = (int)n->val;
    if (active != n->val || active < -1 || active >= ncarry) return fail(v, loop, "active carry is %g", n->val);
    if (active >= 0 && (NODE(ir, NARG(ir, loop, active))->rank || !NODE(ir, NARG(ir, loop, active))->boolean))
        return fail(v, loop, "carry %d is not one truth value", active);
    const Section *body = &s->body[PLACE(s, loop)];
    for (int i = 0; i < body->n; i++) {
        Ref c = body->node[i];
        const Node *k = NODE(ir, c);
        if (k->op != AR_CARRY || k->aux != n->aux) continue;
        int which = (int)k->val;
        if (which != k->val || which < 0 || which >= ncarry) return fail(v, c, "the loop has no carry %g", k->val);
        if (!same_shape(ir, c, NARG(ir, loop, which)))
            return fail(v, c, "has another shape than carry %d of the loop", which);
    }
    return true;
}

/* AR_PROJ and AR_STACK repeat the shape of the carry. */
static bool check_result(Verify *v, Ref r)
{
    const Ir *ir = v->ir;
    Ref loop = NARG(ir, r, 0), init = NARG(ir, loop, NODE(ir, r)->aux);
    int extra = NODE(ir, r)->op == AR_STACK;
    bool ok = NODE(ir, r)->rank == NODE(ir, init)->rank + extra;
    if (ok && extra) ok = NDIM(ir, r, 0) == ir->loops.data[NODE(ir, loop)->aux].trip;
    for (int i = 0; ok && i < NODE(ir, init)->rank; i++) ok = NDIM(ir, r, i + extra) == NDIM(ir, init, i);
    return ok || fail(v, r, "has another shape than carry %u of the loop", NODE(ir, r)->aux);
}

static bool check_loops(Verify *v)
{
    const Ir *ir = v->ir;
    Schedule *s = schedule_new(ir, v->f->nout, v->f->out);
    for (int i = 0; i < s->nodes.n && !v->failed; i++) {
        Ref r = s->nodes.data[i];
        int op = NODE(ir, r)->op;
        if (op == AR_LOOP) check_carries(v, s, r);
        if (op == AR_PROJ || op == AR_STACK) check_result(v, r);
    }
    for (int i = 0; i < v->f->nout && !v->failed; i++) {
        const LoopSet *open = s->deps[PLACE(s, v->f->out[i])];
        if (open->n) fail(v, v->f->out[i], "output %d uses a carry or iteration number of loop %u outside it",
                          i, open->loop[0]);
    }
    schedule_free(s);
    return !v->failed;
}

/* ---- inputs and outputs ------------------------------------------------------------------------ */

static bool check_interface(Verify *v)
{
    const Ir *ir = v->ir;
    const IrFunc *f = v->f;
    for (int i = 0; i < f->nout; i++) {
        int op = NODE(ir, f->out[i])->op;
        if (op < AR_INPUT || op == AR_LOOP) return fail(v, f->out[i], "output %d is not an array", i);
    }
    for (int i = 0; i < f->nin; i++) {
        if (NODE(ir, f->in[i])->op != AR_INPUT) return fail(v, f->in[i], "input %d is not an input node", i);
        for (int j = 0; j < i; j++)
            if (f->in[j] == f->in[i]) return fail(v, f->in[i], "stands twice among the inputs");
    }
    for (int i = 0; i < v->nodes.n; i++) {
        Ref r = v->nodes.data[i];
        bool listed = NODE(ir, r)->op != AR_INPUT;
        for (int j = 0; j < f->nin && !listed; j++) listed = f->in[j] == r;
        if (!listed) return fail(v, r, "is not among the inputs of the function");
    }
    return true;
}

static bool check_nodes(Verify *v)
{
    for (int i = 0; i < v->nodes.n; i++)
        if (!check_args(v, v->nodes.data[i]) || !check_shape(v, v->nodes.data[i])) return false;
    for (int i = 0; i < v->nodes.n; i++)
        if (!check_reference(v, v->nodes.data[i])) return false;
    for (int i = 0; i < v->nodes.n; i++)
        if (!check_types(v, v->nodes.data[i])) return false;
    return true;
}

static bool check_bodies(Verify *v)
{
    ScalarWalk *w = scalar_walk_new(v->ir);
    for (int i = 0; i < v->nodes.n && !v->failed; i++) {
        int op = NODE(v->ir, v->nodes.data[i])->op;
        if (op == AR_MAP || op == AR_REDUCE) check_body(v, w, v->nodes.data[i]);
    }
    scalar_walk_free(w);
    return !v->failed;
}

const char *ir_verify(const IrFunc *f)
{
    Verify v = {.f = f, .ir = f->ir};
    bool ok = collect(&v) && check_nodes(&v) && check_bodies(&v) && check_interface(&v) && check_loops(&v);
    vec_free(&v.nodes);
    return ok ? NULL : message;
}
