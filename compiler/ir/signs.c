/* signs.c — are all elements of an array +1 or -1?  What must hold is collected in a work
 * list: each node passes its duty on to others, or fails.  A carry is taken for signs while its
 * initial and its next value are looked at, which is induction over the iterations. */
#include "ir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef VEC(Ref) Refs;

typedef struct Duties { const Ir *ir; Refs todo, loops; uint8_t *seen; } Duties;

static void loop_visit(void *ctx, Ref r) {
    Duties *d = ctx;
    if (NODE(d->ir, r)->op == AR_LOOP) vec_push(&d->loops, r);
}

static void owe(Duties *d, Ref r) {
    if (d->seen[r]) return;
    d->seen[r] = 1;
    vec_push(&d->todo, r);
}

static bool constant_signs(const Ir *ir, Ref r) {
    const ConstData *c = &ir->consts.data[NODE(ir, r)->aux];
    if (c->source) return false;
    for (int64_t i = 0; i < c->n; i++)
        if (fabs(c->data[i]) != 1) return false;
    return true;
}

/* The initial and the next value of carry `which` of the loop of this number. */
static bool owe_carry(Duties *d, uint32_t loop, int which) {
    for (int i = 0; i < d->loops.n; i++) {
        Ref l = d->loops.data[i];
        const Node *n = NODE(d->ir, l);
        if (n->aux != loop) continue;
        owe(d, NARG(d->ir, l, which));
        owe(d, NARG(d->ir, l, (int)n->nargs / 2 + which));
        return true;
    }
    return false;
}

static bool read_signs(Duties *d, Ref r) {
    for (int i = 0; i < NODE(d->ir, r)->nidx; i++)
        if (NIDX(d->ir, r, i)->mode == IX_ZERO) return false;
    owe(d, NARG(d->ir, r, 0));
    return true;
}

/* Is it the sum of a sign and a constant that is not whole? */
static bool never_zero(const Ir *ir, Ref r) {
    double c;
    if (NODE(ir, r)->op != SC_ADD) return false;
    for (int i = 0; i < 2; i++)
        if (ir_is_literal(ir, NARG(ir, r, i), &c) && c != floor(c) && fabs(c) < 1 && NODE(ir, NARG(ir, r, 1 - i))->op == SC_SIGN) return true;
    return false;
}

/* Passes the duty of r on; false: r may be something else. */
static bool discharge(Duties *d, Ref r) {
    const Ir *ir = d->ir;
    const Node *n = NODE(ir, r);
    switch (n->op) {
    case SC_CONST: return ir_is_literal(ir, r, NULL) && fabs(n->val) == 1;
    case AR_CONST: return constant_signs(ir, r);
    case SC_READ: return read_signs(d, r);
    case SC_SELECT: owe(d, NARG(ir, r, 1)), owe(d, NARG(ir, r, 2)); return true;
    case SC_MUL: case SC_MIN: case SC_MAX: case SC_DIV: owe(d, NARG(ir, r, 0)), owe(d, NARG(ir, r, 1)); return true;
    case SC_SIGN: return never_zero(ir, NARG(ir, r, 0));
    case SC_NEG: case AR_MAP: owe(d, NARG(ir, r, 0)); return true;
    case AR_REDUCE: owe(d, NARG(ir, r, 0)); return n->aux == SC_MUL;
    case AR_CARRY: return owe_carry(d, n->aux, (int)n->val);
    case AR_PROJ: case AR_STACK: return owe_carry(d, NODE(ir, NARG(ir, r, 0))->aux, (int)n->aux);
    default: return false;
    }
}

/* loops: what leads to the loops whose carries may be met. */
static bool all_signs(const Ir *ir, Ref array, int nknown, const Ref *known, int nloops, const Ref *loops) {
    Duties d = {.ir = ir, .seen = lq_alloc((size_t)ir->nodes.n)};
    memset(d.seen, 0, (size_t)ir->nodes.n);
    for (int i = 0; i < nknown; i++) d.seen[known[i]] = 1;
    ir_walk(ir, nloops, loops, loop_visit, &d);
    owe(&d, array);
    bool ok = true;
    while (ok && d.todo.n) ok = discharge(&d, d.todo.data[--d.todo.n]);
    vec_free(&d.todo);
    vec_free(&d.loops);
    free(d.seen);
    return ok;
}

bool ir_is_signs(const Ir *ir, Ref array, int nknown, const Ref *known) { return all_signs(ir, array, nknown, known, 1, &array); }

bool ir_holds_signs(const IrFunc *f, Ref array) {
    return f->nsigns && all_signs(f->ir, array, f->nsigns, f->signs, f->nout, f->out);
}
