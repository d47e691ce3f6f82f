/* linalg.h — decompositions and linear systems, by the LAPACK of OpenBLAS.
 *
 * The library is loaded when it is first needed, and runs on the calling thread alone, so
 * that its results do not depend on the number of threads.  All arrays are row-major and of
 * doubles; results are unique as stated, so that they are reproducible.  A function that
 * fails fills its results with NaN; one whose argument holds NaN or infinity fails.
 * Arguments, results and scratch do not overlap.  Extents may be 0.
 *
 * Errors are those of backward stable methods (Anderson et al., "LAPACK Users' Guide",
 * 1999, ch. 4): the results belong to a matrix that differs from a by some n eps |a|. */
#ifndef LQFT_LINALG_H
#define LQFT_LINALG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum LqLinalgStatus {
    LQ_LINALG_OK,
    LQ_LINALG_MISSING,    /* the library cannot be loaded */
    LQ_LINALG_NOT_FINITE, /* an argument, or a result, holds NaN or infinity */
    LQ_LINALG_SINGULAR,   /* a pivot is 0 */
    LQ_LINALG_INDEFINITE, /* a pivot of a Cholesky decomposition is not positive */
    LQ_LINALG_DIVERGED,   /* an iteration did not converge */
    LQ_LINALG_TOO_LARGE   /* more elements than the library can count */
} LqLinalgStatus;

/* Loads the library, once; the functions below do it too, but a program with threads
 * should do it before it starts them: the environment is changed for a moment. */
LqLinalgStatus lq_linalg_load(void);
/* What a status means, in a sentence; for a missing library why, and what to install. */
const char *lq_linalg_message(LqLinalgStatus status);

/* Bytes of scratch, aligned to 64, that a function needs for a matrix of m x n; SIZE_MAX if
 * it is too large.  Does not load the library. */
typedef enum LqLinalgKind { LQ_SVD, LQ_EIGH, LQ_CHOLESKY, LQ_SOLVE, LQ_CHOL_SOLVE, LQ_TRI_SOLVE, LQ_LOGDET } LqLinalgKind;
size_t lq_linalg_scratch(LqLinalgKind kind, int64_t m, int64_t n);

/* a = U diag(s) V^T, a of m x n, k = min(m, n).  out: [U m*k][s k][V n*k]; s descends.  Of each
 * column of U the first element that is as large as any, up to 2^-26 of it, is positive. */
LqLinalgStatus lq_svd(int64_t m, int64_t n, const double *a, double *out, void *scratch);

/* a = V diag(w) V^T, a symmetric (its lower triangle is read).  out: [w n][V n*n]; w ascends;
 * column j of V belongs to w[j]; signs as for U above. */
LqLinalgStatus lq_eigh(int64_t n, const double *a, double *out, void *scratch);

/* a = L L^T, a symmetric (its lower triangle is read) and positive definite; L lower
 * triangular with a positive diagonal and zeros above it. */
LqLinalgStatus lq_cholesky(int64_t n, const double *a, double *l, void *scratch);

/* a x = b; a of n x n, b and x of n x nrhs.  LU decomposition with partial pivoting. */
LqLinalgStatus lq_solve(int64_t n, int64_t nrhs, const double *a, const double *b, double *x, void *scratch);
/* L L^T x = b, L lower triangular (the rest is not read). */
LqLinalgStatus lq_chol_solve(int64_t n, int64_t nrhs, const double *l, const double *b, double *x, void *scratch);
/* t x = b or t^T x = b, t upper or lower triangular (the rest is not read). */
LqLinalgStatus lq_tri_solve(int64_t n, int64_t nrhs, const double *t, bool upper, bool transpose, const double *b, double *x,
                            void *scratch);

/* out: ln|det a| and the sign of det a.  Of a singular matrix -infinity and 0, with status
 * LQ_LINALG_SINGULAR; of 0 x 0, 0 and 1. */
LqLinalgStatus lq_logdet(int64_t n, const double *a, double *out, void *scratch);

#endif
