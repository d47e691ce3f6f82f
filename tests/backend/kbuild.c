/* kbuild.c — kernel programs built by hand.  Every buffer gets an input node of its
 * shape, which is what reads of it name. */
#include "kbuild.h"

#include <string.h>

void kbuild_begin(KBuild *b, Ir *ir, Arena *arena, const char *name) {
    *b = (KBuild){.ir = ir, .arena = arena};
    b->p = arena_alloc(arena, sizeof *b->p);
    b->p->name = name;
    b->p->ir = ir;
    b->p->bufs = arena_alloc(arena, KB_MAX * sizeof *b->p->bufs);
}

KProgram *kbuild_end(KBuild *b) {
    KProgram *p = b->p;
    p->nbuf_of = (uint32_t)b->ir->nodes.n;
    p->buf_of = arena_alloc(b->arena, p->nbuf_of * sizeof *p->buf_of);
    for (uint32_t i = 0; i < p->nbuf_of; i++) p->buf_of[i] = -1;
    for (int i = 0; i < p->nbufs; i++) p->buf_of[b->array[i]] = i;
    p->nstmts = b->stmts.n;
    p->stmts = b->stmts.data;             /* lives as long as the test */
    return p;
}

int kbuild_buf(KBuild *b, KBufKind kind, int rank, const int64_t *dims, bool uniform, bool boolean,
               const double *data) {
    KProgram *p = b->p;
    int i = p->nbufs++;
    KBuf *buf = &p->bufs[i];
    *buf = (KBuf){.kind = kind, .n = 1, .row = rank ? dims[rank - 1] : 1, .uniform = uniform, .data = data, .name = "b"};
    for (int d = 0; d < rank; d++) buf->n *= dims[d];
    if (kind == KB_IN) buf->slot = p->nin++;
    if (kind == KB_OUT) buf->slot = p->nout++;
    if (kind == KB_TEMP) buf->offset = p->scratch, p->scratch += (buf->n + 7) / 8 * 8;   /* aligned when lanes are sites */
    b->array[i] = ir_input(b->ir, "b", rank, dims, uniform, boolean);
    b->boolean[i] = boolean;
    return i;
}

/* What may be handed on is, while there is room for buffers. */
static void keep_values(KBuild *b, KKernel *k) {
    int kept = 0;
    kernel_keep(b->ir, k, b->arena);
    for (int i = 0; i < k->nkept; i++) {
        KKept v = k->kept[i];
        bool inner = v.axis == k->rank - 1;
        if (!inner && b->p->nbufs >= KB_MAX - 8) continue;
        if (!inner) v.buf = kbuild_buf(b, KB_TEMP, k->rank - 1 - v.axis, k->ext + v.axis + 1, false, false, NULL);
        k->kept[kept++] = v;
    }
    k->nkept = kept;
}

KStmt kbuild_kernel(KBuild *b, int rank, const int64_t *ext, int nroots, const KRoot *roots) {
    KStmt s = {.kind = KS_KERNEL};
    s.u.kernel.rank = rank;
    for (int i = 0; i < rank; i++) s.u.kernel.ext[i] = ext[i];
    s.u.kernel.nroots = nroots;
    s.u.kernel.name = "kernel";
    s.u.kernel.roots = arena_alloc(b->arena, (size_t)nroots * sizeof *roots);
    memcpy(s.u.kernel.roots, roots, (size_t)nroots * sizeof *roots);
    keep_values(b, &s.u.kernel);
    return s;
}

KStmt kbuild_copy(int dst, int src, int64_t n, Aff at) {
    return (KStmt){.kind = KS_COPY, .u.copy = {.dst = dst, .src = src, .n = n, .at = at}};
}

KStmt kbuild_loop(KBuild *b, uint32_t loop, int64_t trip, int active, int nbody, const KStmt *body,
                  int ncarry, const KCarry *carry) {
    KStmt s = {.kind = KS_LOOP};
    s.u.loop = (KLoop){.loop = loop, .trip = trip, .active = active, .nbody = nbody, .ncarry = ncarry,
                           .sweep = {.radius = -1, .wave = 1}};
    s.u.loop.body = arena_alloc(b->arena, (size_t)nbody * sizeof *body);
    s.u.loop.carry = arena_alloc(b->arena, (size_t)ncarry * sizeof *carry);
    memcpy(s.u.loop.body, body, (size_t)nbody * sizeof *body);
    memcpy(s.u.loop.carry, carry, (size_t)ncarry * sizeof *carry);
    return s;
}
