/* code_key.c — a program as a stream of words, hashed.  Whatever emission reads goes in:
 * a thing that is missing here would bring back the code of another program. */
#include "code_key.h"
#include "code_maker.h"
#include "../ir/schedule.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

/* Two lanes that mix each word with multiplications and rotations; 128 bits, so that equal
 * keys mean equal programs for all practical purposes. */
static uint64_t rotated(uint64_t x, int by) { return x << by | x >> (64 - by); }

static void put(CodeKey *k, uint64_t word) {
    k->a = rotated(k->a ^ word * 0x9E3779B97F4A7C15u, 31) * 0xBF58476D1CE4E5B9u + k->b;
    k->b = rotated(k->b + word * 0xD6E8FEB86659FD93u, 27) * 0x94D049BB133111EBu ^ k->a;
}

static void put_bytes(CodeKey *k, const void *bytes, size_t n) {
    const char *p = bytes;
    put(k, n);
    for (size_t i = 0; i < n; i += 8) {
        uint64_t word = 0;
        memcpy(&word, p + i, n - i < 8 ? n - i : 8);
        put(k, word);
    }
}

static uint64_t final(uint64_t x) {
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

static CodeKey finished(CodeKey k) { return (CodeKey){final(k.a + k.b), final(k.b ^ rotated(k.a, 17))}; }

CodeKey code_key_of_bytes(const char *bytes, size_t n) {
    CodeKey k = {1, 2};
    put_bytes(&k, bytes, n);
    return finished(k);
}

/* ---- programs ------------------------------------------------------------------------- */

static void put_affine(CodeKey *k, const Ir *ir, Aff aff) {
    const Affine *a = aff_get(ir, aff);
    put(k, (uint64_t)a->k);
    put(k, (uint64_t)a->n);
    for (int i = 0; i < a->n; i++) put(k, a->t[i].sym), put(k, (uint64_t)a->t[i].c);
}

static void put_scalar(CodeKey *k, const KProgram *p, const ScalarWalk *w, Ref r) {
    const Ir *ir = p->ir;
    const Node *n = NODE(ir, r);
    put(k, (uint64_t)n->op | (uint64_t)n->boolean << 16 | (uint64_t)n->nidx << 24 | (uint64_t)n->nargs << 40);
    put(k, n->op == SC_RAND ? n->aux : 0);
    int setting = n->op == SC_CONST ? kernel_setting(p, r) : -1;
    if (setting >= 0) put(k, (uint64_t)setting);     /* the value is not in the code */
    else put_bytes(k, &n->val, sizeof n->val);
    put(k, setting >= 0);
    for (int i = 0; i < n->nidx; i++) {
        const Index *ix = NIDX(ir, r, i);
        put_affine(k, ir, ix->aff);
        put(k, ix->mode), put(k, (uint64_t)ix->n);
    }
    for (uint32_t i = 0; i < n->nargs; i++) {
        Ref a = NARG(ir, r, (int)i);
        if (n->op != SC_READ) { put(k, w->place[a]); continue; }
        put(k, a < p->nbuf_of ? (uint64_t)p->buf_of[a] : (uint64_t)-1);
        put(k, NODE(ir, a)->boolean);
        for (int d = 0; d < NODE(ir, a)->rank; d++) put(k, (uint64_t)NDIM(ir, a, d));
    }
}

static void put_kernel(CodeKey *k, const KProgram *p, ScalarWalk *w, const KKernel *kernel) {
    VEC(Ref) roots = {0};
    put(k, (uint64_t)kernel->rank), put(k, (uint64_t)kernel->tasks), put(k, (uint64_t)kernel->rows_per_task);
    for (int a = 0; a < kernel->rank; a++) put(k, (uint64_t)kernel->ext[a]);
    for (int i = 0; i < kernel->nroots; i++) vec_push(&roots, kernel->roots[i].expr);
    scalar_walk(w, roots.n, roots.data);
    vec_free(&roots);
    put(k, (uint64_t)w->list.n);
    for (int i = 0; i < w->list.n; i++) put_scalar(k, p, w, w->list.data[i]);
    put(k, (uint64_t)kernel->nkept);
    for (int i = 0; i < kernel->nkept; i++) {
        const KKept *v = &kernel->kept[i];
        put(k, w->place[v->here]), put(k, w->place[v->before]), put(k, (uint64_t)v->axis), put(k, (uint64_t)v->buf), put(k, (uint64_t)v->lot), put(k, v->closes);
    }
    put(k, (uint64_t)kernel->ntables);
    for (int i = 0; i < kernel->ntables; i++) {
        const KTable *t = &kernel->tables[i];
        put(k, w->place[t->value]), put(k, (uint64_t)t->nbase);
        for (int b = 0; b < t->nbase; b++) put(k, w->place[t->base[b]]), put(k, (uint64_t)t->few[b].lo), put(k, (uint64_t)t->few[b].step), put(k, (uint64_t)t->few[b].n);
    }
    put(k, kernel->only.test ? w->place[kernel->only.test] : 0);
    if (kernel->only.test) put(k, kernel->only.everywhere), put(k, (uint64_t)kernel->only.axis), put(k, (uint64_t)kernel->only.every), put_affine(k, p->ir, kernel->only.phase);
    put(k, (uint64_t)kernel->nroots);
    for (int i = 0; i < kernel->nroots; i++) {
        const KRoot *r = &kernel->roots[i];
        put(k, w->place[r->expr]), put(k, (uint64_t)r->nred), put(k, r->op), put(k, (uint64_t)r->buf), put(k, (uint64_t)r->ahead);
    }
}

static void put_statements(CodeKey *k, const KProgram *p, ScalarWalk *w, const KStmt *s, int n) {
    put(k, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        put(k, s[i].kind);
        if (s[i].kind == KS_KERNEL) put_kernel(k, p, w, &s[i].u.kernel);
        if (s[i].kind == KS_COPY) {
            const KCopy *c = &s[i].u.copy;
            put(k, (uint64_t)c->dst), put(k, (uint64_t)c->src), put(k, (uint64_t)c->n);
            put_affine(k, p->ir, c->at);
        }
        if (s[i].kind == KS_CALL) {        /* what it is to do is not in the code: see native.c */
            const KCall *c = s[i].u.call;
            put(k, (uint64_t)c->number), put(k, (uint64_t)c->call.nargs), put(k, (uint64_t)c->out), put(k, (uint64_t)c->scratch), put(k, c->followed);
            for (int j = 0; j < c->call.nargs; j++) put(k, (uint64_t)c->arg[j]);
        }
        if (s[i].kind != KS_LOOP) continue;
        const KLoop *l = &s[i].u.loop;
        put(k, l->loop), put(k, (uint64_t)l->trip), put(k, (uint64_t)l->active);
        put(k, (uint64_t)l->sweep.radius), put(k, (uint64_t)l->sweep.wave), put(k, (uint64_t)l->sweep.cut), put(k, l->sweep.pairs), put(k, (uint64_t)l->ncarry);
        for (int j = 0; j < l->ncarry; j++) put(k, (uint64_t)l->carry[j].cur), put(k, (uint64_t)l->carry[j].next);
        put_statements(k, p, w, l->body, l->nbody);
    }
}

static void put_program(CodeKey *k, const KProgram *p) {
    put_bytes(k, p->name, strlen(p->name));
    put(k, (uint64_t)p->single | (uint64_t)p->plain << 1);
    put(k, (uint64_t)p->scratch), put(k, (uint64_t)p->parts), put(k, (uint64_t)p->bands), put(k, (uint64_t)p->nin), put(k, (uint64_t)p->nout), put(k, (uint64_t)p->nbufs);
    for (int i = 0; i < p->nbufs; i++) {
        const KBuf *b = &p->bufs[i];
        put(k, (uint64_t)b->kind | (uint64_t)b->uniform << 8 | (uint64_t)b->single << 9 | (uint64_t)b->cut << 10);
        put(k, (uint64_t)b->slot), put(k, (uint64_t)b->n), put(k, (uint64_t)b->row), put(k, (uint64_t)b->offset);
        put(k, (uint64_t)b->rows), put(k, (uint64_t)b->slots), put(k, (uint64_t)b->lead);
        put(k, b->source != 0);
        if (!native_is_symbol(b) && b->kind == KB_CONST) put_bytes(k, b->data, (size_t)b->n * sizeof *b->data);
    }
    ScalarWalk *w = scalar_walk_new(p->ir);
    put_statements(k, p, w, p->stmts, p->nstmts);
    scalar_walk_free(w);
}

/* ---- the rest --------------------------------------------------------------------------- */

static void put_processor(CodeKey *k) {
#if defined(__x86_64__) || defined(__i386__)
    static const unsigned leaf[][2] = {{0, 0}, {1, 0}, {7, 0}, {7, 1}, {0xd, 0}, {0xd, 1}, {0x80000001u, 0}, {0x80000008u, 0}};
    for (int i = 0; i < LQ_COUNT(leaf); i++) {
        unsigned r[4] = {0};
        if (!__get_cpuid_count(leaf[i][0], leaf[i][1], &r[0], &r[1], &r[2], &r[3])) continue;
        if (leaf[i][0] == 1) r[1] = 0;                   /* which core this is */
        if (leaf[i][0] == 0xd) r[1] = 0;                 /* what is in use now */
        put_bytes(k, r, sizeof r);
    }
#else
    put(k, 0);
#endif
}

static void put_file(CodeKey *k, const char *path) {
    struct stat s = {0};
    if (stat(path, &s) != 0) { put(k, 0); return; }
    put(k, (uint64_t)s.st_size), put(k, (uint64_t)s.st_mtim.tv_sec), put(k, (uint64_t)s.st_mtim.tv_nsec), put(k, s.st_ino);
}

CodeKey code_key(KProgram *const *programs, int n, const BackendOptions *o, const char *maker) {
    CodeKey k = {0x6c716674u, 1};
    put_file(&k, "/proc/self/exe");
    put_file(&k, maker);
    put_processor(&k);
    put(&k, (uint64_t)o->lanes | (uint64_t)o->sites << 8 | (uint64_t)o->optimize << 16);
    if (o->cpu) put_bytes(&k, o->cpu, strlen(o->cpu));
    put(&k, (uint64_t)n);
    for (int i = 0; i < n; i++) put_program(&k, programs[i]);
    return finished(k);
}
