/* linalg.c — linear algebra by LAPACK.  See linalg.h.
 *
 * LAPACK stores columns; an array of ours is there its transpose.  Nothing is transposed
 * that need not be: the left singular vectors of a are the right ones of its transpose, a
 * lower triangle is an upper one, a system a x = b is x^T a^T = b^T. */
#include "linalg.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"

/* ---- the library ---------------------------------------------------------------------- */

/* Fortran: everything by address; the lengths of texts stand at the end. */
typedef const char *Flag;
typedef const int *Int;
static struct Lapack {
    void (*dgesdd)(Flag job, Int m, Int n, double *a, Int lda, double *s, double *u, Int ldu, double *vt, Int ldvt, double *work,
                   Int lwork, int *iwork, int *info, size_t);
    void (*dgesvd)(Flag job, Flag jobv, Int m, Int n, double *a, Int lda, double *s, double *u, Int ldu, double *vt, Int ldvt,
                   double *work, Int lwork, int *info, size_t, size_t);
    void (*dsyevd)(Flag job, Flag uplo, Int n, double *a, Int lda, double *w, double *work, Int lwork, int *iwork, Int liwork,
                   int *info, size_t, size_t);
    void (*dpotrf)(Flag uplo, Int n, double *a, Int lda, int *info, size_t);
    void (*dgetrf)(Int m, Int n, double *a, Int lda, int *ipiv, int *info);
    void (*dtrsm)(Flag side, Flag uplo, Flag trans, Flag diag, Int m, Int n, const double *alpha, const double *a, Int lda,
                  double *b, Int ldb, size_t, size_t, size_t, size_t);
} lapack;
static LqLinalgStatus loaded;
static char why_missing[400];

/* OpenBLAS takes new CPUs with AVX-512 for old ones without. */
static const char *core_type(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
        return "SkylakeX";
#endif
    return NULL;
}

/* A variable of the environment for as long as the library is loaded; the user's stays. */
static bool set_for_now(const char *name, const char *value)
{
    return value && !getenv(name) && setenv(name, value, 1) == 0;
}

static bool find(void *library, const char *name, void *where)
{
    void *symbol = dlsym(library, name);
    memcpy(where, &symbol, sizeof symbol);
    if (!symbol) snprintf(why_missing, sizeof why_missing, "libopenblas.so.0 has no %s; install the package libopenblas0", name);
    return symbol;
}

static void load(void)
{
    loaded = LQ_LINALG_MISSING;
    bool core = set_for_now("OPENBLAS_CORETYPE", core_type()), threads = set_for_now("OPENBLAS_NUM_THREADS", "1");
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (core) unsetenv("OPENBLAS_CORETYPE");
    if (threads) unsetenv("OPENBLAS_NUM_THREADS");
    if (!library) {
        const char *why = dlerror();
        snprintf(why_missing, sizeof why_missing, "linear algebra needs libopenblas.so.0; install the package libopenblas0 (%s)",
                 why ? why : "it cannot be loaded");
        return;
    }
    void (*set_threads)(int);
    if (!find(library, "openblas_set_num_threads", &set_threads) || !find(library, "dgesdd_", &lapack.dgesdd) ||
        !find(library, "dgesvd_", &lapack.dgesvd) || !find(library, "dsyevd_", &lapack.dsyevd) ||
        !find(library, "dpotrf_", &lapack.dpotrf) || !find(library, "dgetrf_", &lapack.dgetrf) ||
        !find(library, "dtrsm_", &lapack.dtrsm))
        return;
    set_threads(1);
    loaded = LQ_LINALG_OK;
}

LqLinalgStatus lq_linalg_load(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return loaded;
}

const char *lq_linalg_message(LqLinalgStatus status)
{
    switch (status) {
    case LQ_LINALG_OK: return "no error";
    case LQ_LINALG_MISSING: return why_missing[0] ? why_missing : "linear algebra needs libopenblas.so.0; install the package libopenblas0";
    case LQ_LINALG_NOT_FINITE: return "the matrix, or the result, holds a number that is not finite";
    case LQ_LINALG_SINGULAR: return "the matrix is singular";
    case LQ_LINALG_INDEFINITE: return "the matrix is not positive definite";
    case LQ_LINALG_DIVERGED: return "the decomposition did not converge";
    case LQ_LINALG_TOO_LARGE: return "the matrix has more elements than the linear algebra library can count";
    }
    return "unknown error";
}

/* ---- scratch memory --------------------------------------------------------------------- */

/* Numbers and integers that a function uses besides its results, sizes as LAPACK demands
 * for dgesdd with job S and dsyevd with job V, and more where blocks make it faster. */
typedef struct Room {
    int64_t copy, other, work, ints;
} Room;

static Room room_for(LqLinalgKind kind, int64_t m, int64_t n)
{
    int64_t k = m < n ? m : n, big = m < n ? n : m;
    switch (kind) {
    case LQ_SVD: return (Room){m * n, n * k, 4 * k * k + 7 * k + big + 64 * (m + n) + 64, 8 * k};
    case LQ_EIGH: return (Room){0, 0, 2 * n * n + 6 * n + 64 * n + 1, 5 * n + 3};
    case LQ_SOLVE:
    case LQ_LOGDET: return (Room){n * n, 0, 0, n};
    default: return (Room){0, 0, 0, 0};
    }
}

/* May all of it be counted by 32 bits? */
static bool countable(LqLinalgKind kind, int64_t m, int64_t n)
{
    int64_t most = INT32_MAX, cells;
    if (m < 0 || n < 0 || m > most / 128 || n > most / 128 || !lq_mul_ok(m, n, &cells) || cells > most) return false;
    Room r = room_for(kind, m, n);
    return r.work <= most;
}

static size_t rounded(int64_t bytes)
{
    return ((size_t)bytes + 63) & ~(size_t)63;
}

size_t lq_linalg_scratch(LqLinalgKind kind, int64_t m, int64_t n)
{
    if (!countable(kind, m, n)) return SIZE_MAX;
    Room r = room_for(kind, m, n);
    return rounded(8 * r.copy) + rounded(8 * r.other) + rounded(8 * r.work) + rounded(4 * r.ints);
}

typedef struct Work {
    double *copy, *other, *work;
    int *ints, nwork, nints;
} Work;

static Work split(LqLinalgKind kind, int64_t m, int64_t n, void *scratch)
{
    Room r = room_for(kind, m, n);
    char *p = scratch;
    Work w = {.nwork = (int)r.work, .nints = (int)r.ints};
    w.copy = (double *)p, p += rounded(8 * r.copy);
    w.other = (double *)p, p += rounded(8 * r.other);
    w.work = (double *)p, p += rounded(8 * r.work);
    w.ints = (int *)p;
    return w;
}

/* ---- what all functions do ----------------------------------------------------------------- */

static bool all_finite(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * 0;
    return sum == 0;
}

/* Of a square matrix the lower triangle, or the upper one. */
static bool finite_triangle(const double *a, int64_t n, bool upper)
{
    for (int64_t i = 0; i < n; i++)
        if (!all_finite(a + i * n + (upper ? i : 0), upper ? n - i : i + 1)) return false;
    return true;
}

static LqLinalgStatus failed(LqLinalgStatus why, double *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = NAN;
    return why;
}

/* Can we begin? */
static LqLinalgStatus ready(LqLinalgKind kind, int64_t m, int64_t n)
{
    return countable(kind, m, n) ? lq_linalg_load() : LQ_LINALG_TOO_LARGE;
}

/* The sign of column j by which the first of its largest elements becomes positive. */
static double sign_of_column(const double *x, int64_t m, int64_t n, int64_t j)
{
    double most = 0;
    for (int64_t i = 0; i < m; i++) most = fmax(most, fabs(x[i * n + j]));
    for (int64_t i = 0; i < m; i++)
        if (fabs(x[i * n + j]) >= most * (1 - 0x1p-26)) return x[i * n + j] < 0 ? -1 : 1;
    return 1;
}

static void scale_column(double *x, int64_t m, int64_t n, int64_t j, double by)
{
    if (by < 0)
        for (int64_t i = 0; i < m; i++) x[i * n + j] = -x[i * n + j];
}

/* ---- decompositions ---------------------------------------------------------------------------- */

static int svd_of_copy(int m, int n, int k, const double *a, double *u, double *s, double *v, const Work *w)
{
    int info;
    memcpy(w->copy, a, (size_t)m * (size_t)n * sizeof *a);
    lapack.dgesdd("S", &n, &m, w->copy, &n, s, v, &n, u, &k, w->work, &w->nwork, w->ints, &info, 1);
    if (info <= 0) return info;
    /* divide and conquer may fail where iteration does not */
    memcpy(w->copy, a, (size_t)m * (size_t)n * sizeof *a);
    lapack.dgesvd("S", "S", &n, &m, w->copy, &n, s, v, &n, u, &k, w->work, &w->nwork, &info, 1, 1);
    return info;
}

LqLinalgStatus lq_svd(int64_t m, int64_t n, const double *a, double *out, void *scratch)
{
    int64_t k = m < n ? m : n, size = (m + n + 1) * k;
    LqLinalgStatus status = ready(LQ_SVD, m, n);
    if (status) return failed(status, out, size);
    if (k == 0) return LQ_LINALG_OK;
    if (!all_finite(a, m * n)) return failed(LQ_LINALG_NOT_FINITE, out, size);
    Work w = split(LQ_SVD, m, n, scratch);
    double *u = out, *s = u + m * k, *v = s + k;
    if (svd_of_copy((int)m, (int)n, (int)k, a, u, s, w.other, &w)) return failed(LQ_LINALG_DIVERGED, out, size);
    for (int64_t j = 0; j < k; j++)
        for (int64_t i = 0; i < n; i++) v[i * k + j] = w.other[j * n + i];
    for (int64_t j = 0; j < k; j++) {
        double sign = sign_of_column(u, m, k, j);
        scale_column(u, m, k, j, sign);
        scale_column(v, n, k, j, sign);
    }
    return all_finite(out, size) ? LQ_LINALG_OK : failed(LQ_LINALG_NOT_FINITE, out, size);
}

LqLinalgStatus lq_eigh(int64_t n, const double *a, double *out, void *scratch)
{
    int64_t size = n + n * n;
    LqLinalgStatus status = ready(LQ_EIGH, n, n);
    if (status) return failed(status, out, size);
    if (n == 0) return LQ_LINALG_OK;
    if (!finite_triangle(a, n, false)) return failed(LQ_LINALG_NOT_FINITE, out, size);
    Work w = split(LQ_EIGH, n, n, scratch);
    double *v = out + n;
    int order = (int)n, info;
    memcpy(v, a, (size_t)(n * n) * sizeof *a);
    lapack.dsyevd("V", "U", &order, v, &order, out, w.work, &w.nwork, w.ints, &w.nints, &info, 1, 1);
    if (info) return failed(LQ_LINALG_DIVERGED, out, size);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            double x = v[i * n + j];
            v[i * n + j] = v[j * n + i], v[j * n + i] = x;
        }
    for (int64_t j = 0; j < n; j++) scale_column(v, n, n, j, sign_of_column(v, n, n, j));
    return all_finite(out, size) ? LQ_LINALG_OK : failed(LQ_LINALG_NOT_FINITE, out, size);
}

LqLinalgStatus lq_cholesky(int64_t n, const double *a, double *l, void *scratch)
{
    (void)scratch;
    LqLinalgStatus status = ready(LQ_CHOLESKY, n, n);
    if (status) return failed(status, l, n * n);
    if (n == 0) return LQ_LINALG_OK;
    if (!finite_triangle(a, n, false)) return failed(LQ_LINALG_NOT_FINITE, l, n * n);
    int order = (int)n, info;
    for (int64_t i = 0; i < n; i++) {
        memcpy(l + i * n, a + i * n, (size_t)(i + 1) * sizeof *a);
        memset(l + i * n + i + 1, 0, (size_t)(n - i - 1) * sizeof *a);
    }
    lapack.dpotrf("U", &order, l, &order, &info, 1);
    if (info) return failed(LQ_LINALG_INDEFINITE, l, n * n);
    return all_finite(l, n * n) ? LQ_LINALG_OK : failed(LQ_LINALG_NOT_FINITE, l, n * n);
}

/* ---- systems --------------------------------------------------------------------------------------- */

/* x^T := x^T op(t)^-1 with t as the library sees it, the transpose of ours. */
static void divide(int64_t n, int64_t nrhs, const double *t, Flag uplo, Flag trans, Flag diag, double *x)
{
    int rows = (int)nrhs, order = (int)n;
    double one = 1;
    lapack.dtrsm("R", uplo, trans, diag, &rows, &order, &one, t, &order, x, &rows, 1, 1, 1, 1);
}

static bool zero_on_diagonal(const double *t, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (t[i * n + i] == 0) return true;
    return false;
}

/* What is wrong before a system is solved; *done: nothing is left to do. */
static LqLinalgStatus before(LqLinalgKind kind, int64_t n, int64_t nrhs, const double *b, bool *done)
{
    LqLinalgStatus status = ready(kind, n, n);
    *done = n == 0 || nrhs == 0;
    if (status || *done) return status;
    if (!countable(kind, n, nrhs)) return LQ_LINALG_TOO_LARGE;
    return all_finite(b, n * nrhs) ? LQ_LINALG_OK : LQ_LINALG_NOT_FINITE;
}

LqLinalgStatus lq_tri_solve(int64_t n, int64_t nrhs, const double *t, bool upper, bool transpose, const double *b, double *x,
                            void *scratch)
{
    bool done;
    LqLinalgStatus status = before(LQ_TRI_SOLVE, n, nrhs, b, &done);
    (void)scratch;
    if (!status && !done && !finite_triangle(t, n, upper)) status = LQ_LINALG_NOT_FINITE;
    if (!status && !done && zero_on_diagonal(t, n)) status = LQ_LINALG_SINGULAR;
    if (status) return failed(status, x, n * nrhs);
    if (done) return LQ_LINALG_OK;
    memcpy(x, b, (size_t)(n * nrhs) * sizeof *x);
    divide(n, nrhs, t, upper ? "L" : "U", transpose ? "T" : "N", "N", x);
    return all_finite(x, n * nrhs) ? LQ_LINALG_OK : failed(LQ_LINALG_NOT_FINITE, x, n * nrhs);
}

LqLinalgStatus lq_chol_solve(int64_t n, int64_t nrhs, const double *l, const double *b, double *x, void *scratch)
{
    bool done;
    LqLinalgStatus status = before(LQ_CHOL_SOLVE, n, nrhs, b, &done);
    (void)scratch;
    if (!status && !done && !finite_triangle(l, n, false)) status = LQ_LINALG_NOT_FINITE;
    if (!status && !done && zero_on_diagonal(l, n)) status = LQ_LINALG_SINGULAR;
    if (status) return failed(status, x, n * nrhs);
    if (done) return LQ_LINALG_OK;
    memcpy(x, b, (size_t)(n * nrhs) * sizeof *x);
    divide(n, nrhs, l, "U", "N", "N", x);
    divide(n, nrhs, l, "U", "T", "N", x);
    return all_finite(x, n * nrhs) ? LQ_LINALG_OK : failed(LQ_LINALG_NOT_FINITE, x, n * nrhs);
}

/* The transpose of a as P L U in w->copy, row i exchanged with ints[i] - 1. */
static LqLinalgStatus decompose(int64_t n, const double *a, const Work *w)
{
    int order = (int)n, info;
    if (!all_finite(a, n * n)) return LQ_LINALG_NOT_FINITE;
    memcpy(w->copy, a, (size_t)(n * n) * sizeof *a);
    lapack.dgetrf(&order, &order, w->copy, &order, w->ints, &info);
    return info ? LQ_LINALG_SINGULAR : LQ_LINALG_OK;
}

static void exchange_rows(double *x, int64_t n, int64_t i, int64_t j)
{
    for (int64_t c = 0; c < n && i != j; c++) {
        double t = x[i * n + c];
        x[i * n + c] = x[j * n + c], x[j * n + c] = t;
    }
}

LqLinalgStatus lq_solve(int64_t n, int64_t nrhs, const double *a, const double *b, double *x, void *scratch)
{
    bool done;
    LqLinalgStatus status = before(LQ_SOLVE, n, nrhs, b, &done);
    if (status) return failed(status, x, n * nrhs);
    if (done) return LQ_LINALG_OK;
    Work w = split(LQ_SOLVE, n, n, scratch);
    status = decompose(n, a, &w);
    if (status) return failed(status, x, n * nrhs);
    memcpy(x, b, (size_t)(n * nrhs) * sizeof *x);
    divide(n, nrhs, w.copy, "U", "N", "N", x);
    divide(n, nrhs, w.copy, "L", "N", "U", x);
    for (int64_t i = n - 1; i >= 0; i--) exchange_rows(x, nrhs, i, w.ints[i] - 1);
    return all_finite(x, n * nrhs) ? LQ_LINALG_OK : failed(LQ_LINALG_NOT_FINITE, x, n * nrhs);
}

LqLinalgStatus lq_logdet(int64_t n, const double *a, double *out, void *scratch)
{
    LqLinalgStatus status = ready(LQ_LOGDET, n, n);
    Work w = split(LQ_LOGDET, status ? 0 : n, status ? 0 : n, scratch);
    out[0] = 0, out[1] = 1;
    if (!status && n > 0) status = decompose(n, a, &w);
    if (status == LQ_LINALG_SINGULAR) out[0] = -INFINITY, out[1] = 0;
    else if (status) return failed(status, out, 2);
    for (int64_t i = 0; i < n && !status; i++) {
        double pivot = w.copy[i * n + i];
        out[0] += log(fabs(pivot));
        if ((pivot < 0) != (w.ints[i] - 1 != i)) out[1] = -out[1];
    }
    return status;
}
