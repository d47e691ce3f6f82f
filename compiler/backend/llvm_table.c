/* llvm_table.c — values of a kernel that are looked up (KTable).
 *
 * A table is a register or two: lane i has the value for entry i, found before all loops by
 * evaluating the expression once with what it depends on in the lanes.  Looking up is a
 * permutation, which processors with AVX-512 have; others compute the value. */
#include "llvm_emit.h"
#include "../ir/schedule.h"

#include <stdlib.h>

/* Eight double or sixteen single precision numbers in a vector. */
static bool fits(const Nest *z) {
    const Unit *u = z->f->u;
    bool vectors = z->mode == LANES_PARTS || !u->sites, full = u->lanes == (u->real == u->f64 ? 8u : 16u);
    return vectors && full && strstr(u->features, "+avx512f");
}

const KTable *ll_table(const Nest *z, Ref r) { return z->k->ntables && fits(z) && !ll_kept(z, r) ? kernel_table(z->k, r) : NULL; }

/* Number b of what the table depends on, in entries from `first` on; beyond the last one, any. */
static Val numbers(Nest *z, const KTable *t, int b, int first) {
    Unit *u = z->f->u;
    Val lane[KERNEL_TABLE];
    for (int l = 0; l < (int)u->lanes; l++) {
        int entry = first + l, i = (b == 0 ? entry : entry / t->few[0].n) % t->few[b].n;
        lane[l] = l_real(u, (double)(t->few[b].lo + i * t->few[b].step));
    }
    return LLVMConstVector(lane, u->lanes);
}

/* The expression r with these numbers in place of what it depends on. */
static Val evaluate(Nest *z, const KTable *t, Ref r, const ScalarWalk *w, Val *value, int first) {
    Func *f = z->f;
    const Ir *ir = f->p->ir;
    Val *v = &value[w->place[r] - 1], args[3];
    if (*v) return *v;
    for (int b = 0; b < t->nbase; b++)
        if (t->base[b] == r) return *v = numbers(z, t, b, first);
    if (NODE(ir, r)->op == SC_CONST) return *v = ll_as_vector(f->u, ll_node(z, r));
    for (uint32_t i = 0; i < NODE(ir, r)->nargs; i++) args[i] = evaluate(z, t, NARG(ir, r, i), w, value, first);
    return *v = ll_as_vector(f->u, ll_op(f, (Op)NODE(ir, r)->op, args, (int)NODE(ir, r)->nargs));
}

static Val entries(Nest *z, const KTable *t, int first) {
    ScalarWalk *w = scalar_walk_new(z->f->p->ir);
    scalar_walk(w, 1, &t->value);
    Val *value = calloc((size_t)w->list.n, sizeof *value);
    if (!value) lq_out_of_memory((size_t)w->list.n * sizeof *value);
    Val v = evaluate(z, t, t->value, w, value, first);
    free(value);
    scalar_walk_free(w);
    return v;
}

/* The entry in the lowest bits: a small whole number, exact, to which 2^52 (2^23) is added. */
static Val entry_bits(Nest *z, const KTable *t) {
    Unit *u = z->f->u;
    double rest = 0;
    int64_t stride[2] = {1, t->few[0].n};
    for (int b = 0; b < t->nbase; b++) rest -= (double)(stride[b] * t->few[b].lo) / (double)t->few[b].step;
    Val sum = ll_as_vector(u, l_real(u, rest));
    for (int b = 0; b < t->nbase; b++) {
        Val c = l_real(u, (double)stride[b] / (double)t->few[b].step);
        sum = ll_op(z->f, SC_FMA, (Val[]){z->f->value[t->base[b]], c, sum}, 3);
    }
    sum = ll_op(z->f, SC_ADD, (Val[]){sum, l_real(u, u->real == u->f64 ? 0x1p52 : 0x1p23)}, 2);
    return LLVMBuildBitCast(u->b, sum, LLVMVectorType(u->real == u->f64 ? u->i64 : u->i32, u->lanes), "");
}

static Val permuted(Unit *u, const char *name, Val *args, unsigned n) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    Val fn = LLVMGetIntrinsicDeclaration(u->module, id, NULL, 0);
    return LLVMBuildCall2(u->b, LLVMIntrinsicGetType(u->cx, id, NULL, 0), fn, args, n, "");
}

Val ll_looked_up(Nest *z, const KTable *t, int level) {
    Unit *u = z->f->u;
    bool two = u->real == u->f64 && t->few[0].n * (t->nbase == 2 ? t->few[1].n : 1) > 8;
    ll_at_level(z, 0);
    Val low = entries(z, t, 0), high = two ? entries(z, t, 8) : NULL;
    ll_at_level(z, level);
    Val at = entry_bits(z, t);
    if (two) return permuted(u, "llvm.x86.avx512.vpermi2var.pd.512", (Val[]){low, at, high}, 3);
    return permuted(u, u->real == u->f64 ? "llvm.x86.avx512.permvar.df.512" : "llvm.x86.avx512.permvar.sf.512", (Val[]){low, at}, 2);
}
