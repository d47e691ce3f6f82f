/* kbuild.h — kernel programs built by hand, for tests of back ends. */
#ifndef LQFT_KBUILD_H
#define LQFT_KBUILD_H

#include "../../compiler/backend/backend.h"

enum { KB_MAX = 64 };

typedef struct KBuild {
    Ir    *ir;
    Arena *arena;
    KProgram *p;
    Ref    array[KB_MAX];        /* by buffer: the node that reads of it name */
    bool   boolean[KB_MAX];
    VEC(KStmt) stmts;
} KBuild;

void kbuild_begin(KBuild *b, Ir *ir, Arena *arena, const char *name);
KProgram *kbuild_end(KBuild *b);

int  kbuild_buf(KBuild *b, KBufKind kind, int rank, const int64_t *dims, bool uniform, bool boolean,
                const double *data);
/* A kernel as the next statement of a list. */
KStmt kbuild_kernel(KBuild *b, int rank, const int64_t *ext, int nroots, const KRoot *roots);
KStmt kbuild_copy(int dst, int src, int64_t n, Aff at);
KStmt kbuild_loop(KBuild *b, uint32_t loop, int64_t trip, int active, int nbody, const KStmt *body,
                  int ncarry, const KCarry *carry);

/* ==== keval.c: what a program means, by the plainest loops ======================= */

void keval_call(const KProgram *p, int lanes, const CallArgs *args);

#endif
