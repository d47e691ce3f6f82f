/* linalg.h — decompositions and linear systems, by the LAPACK of OpenBLAS.
 *
 * The library is loaded when it is first needed.  All arrays are row-major and of doubles;
 * results are unique as stated, so that they are reproducible and derivatives are defined.
 * A function that fails fills its results with NaN.  An argument with an element that is
 * not finite fails too.  Arguments and results do not overlap. */
#ifndef LQFT_LINALG_H
#define LQFT_LINALG_H

#include <stddef.h>
#include <stdint.h>

typedef enum LqLinalgStatus {
    LQ_LINALG_OK,
    LQ_LINALG_MISSING,    /* no library: see lq_linalg_message */
    LQ_LINALG_NOT_FINITE, /* an argument holds NaN or infinity */
    LQ_LINALG_SINGULAR,   /* a pivot is 0: a singular matrix */
    LQ_LINALG_INDEFINITE, /* a pivot of a Cholesky decomposition is not positive */
    LQ_LINALG_DIVERGED,   /* an iteration did not converge */
    LQ_LINALG_TOO_LARGE   /* an extent beyond 2^31 - 1, or too little memory for work */
} LqLinalgStatus;

/* Loads the library.  The functions below do it themselves. */
LqLinalgStatus lq_linalg_load(void);
/* What a status means, in a sentence; for a missing library, why and what to install. */
const char *lq_linalg_message(LqLinalgStatus status);

/* Bytes of scratch (aligned to 64) for any of the functions below, for matrices of m x n
 * and right-hand sides of nrhs columns; 0 if the library is missing. */
typedef enum LqLinalgKind { LQ_SVD, LQ_EIGH, LQ_CHOLESKY, LQ_SOLVE, LQ_CHOL_SOLVE, LQ_TRI_SOLVE, LQ_LOGDET } LqLinalgKind;
size_t lq_linalg_scratch(LqLinalgKind kind, int64_t m, int64_t n, int64_t nrhs);

/* a = U diag(s) V^T, a of m x n, k = min(m, n).  out: [U m*k][s k][V n*k], s descending.
 * Signs: in each column of U the element of largest magnitude is positive (the first of
 * several of the same magnitude). */
LqLinalgStatus lq_svd(int64_t m, int64_t n, const double *a, double *out, void *scratch);

/* a = V diag(w) V^T, a symmetric of n x n (its lower triangle is read).  out: [w n][V n*n],
 * w ascending, column j of V belongs to w[j].  Signs as for U in lq_svd. */
LqLinalgStatus lq_eigh(int64_t n, const double *a, double *out, void *scratch);

/* a = L L^T, a symmetric (its lower triangle is read) and positive definite; L lower
 * triangular with a positive diagonal and zeros above it. */
LqLinalgStatus lq_cholesky(int64_t n, const double *a, double *l, void *scratch);

/* a x = b; a of n x n, b and x of n x nrhs.  LU decomposition with partial pivoting. */
LqLinalgStatus lq_solve(int64_t n, int64_t nrhs, const double *a, const double *b, double *x, void *scratch);
/* L L^T x = b, L lower triangular. */
LqLinalgStatus lq_chol_solve(int64_t n, int64_t nrhs, const double *l, const double *b, double *x, void *scratch);
/* op(T) x = b: T is lower triangular or upper, op the transpose or nothing.  The other
 * triangle is not read. */
LqLinalgStatus lq_tri_solve(int64_t n, int64_t nrhs, const double *t, int upper, int transpose, const double *b, double *x,
                            void *scratch);

/* out[0] = ln|det a|, out[1] = the sign of det a; of a singular matrix -inf and 0 (status
 * LQ_LINALG_SINGULAR).  Of 0 x 0: 0 and 1. */
LqLinalgStatus lq_logdet(int64_t n, const double *a, double *out, void *scratch);

#endif
