/* test_linalg.c — decompositions and linear systems, by what they must satisfy.
 *
 * A backward stable method gives results that belong to a matrix within some p(n) eps |a| of
 * a; LAPACK's own tests allow p = 30 max(m, n) (Blackford and Dongarra, LAPACK Working
 * Note 41), and so do these: residuals are at most BOUND max(m, n) eps times the norms
 * involved, columns are orthogonal to BOUND max(m, n) eps, and eigenvalues and singular values
 * are off by at most the residual (Weyl).  Residuals are summed in long double. */
#include "../../runtime/linalg.h"
#include "../../runtime/base.h"

#include "check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BOUND = 30 };
static const double eps = 0x1p-53;

static uint64_t state = 88172645463325252u;

static double number(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (double)(state >> 11) * 0x1p-52 - 1;
}

static double *matrix(int64_t m, int64_t n)
{
    return calloc((size_t)(m * n + 1), sizeof(double));
}

static double *random_matrix(int64_t m, int64_t n)
{
    double *a = matrix(m, n);
    for (int64_t i = 0; i < m * n; i++) a[i] = number();
    return a;
}

static double *hilbert(int64_t n)
{
    double *a = matrix(n, n);
    for (int64_t i = 0; i < n * n; i++) a[i] = 1 / (double)(i / n + i % n + 1);
    return a;
}

/* Of rank r. */
static double *deficient(int64_t m, int64_t n, int64_t r)
{
    double *a = matrix(m, n), *u = random_matrix(m, r), *v = random_matrix(r, n);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            for (int64_t k = 0; k < r; k++) a[i * n + j] += u[i * r + k] * v[k * n + j];
    free(u), free(v);
    return a;
}

static void *room(LqLinalgKind kind, int64_t m, int64_t n)
{
    return aligned_alloc(64, lq_linalg_scratch(kind, m, n) + 64);
}

/* Frobenius norm */
static double norm(const double *a, int64_t n)
{
    long double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (long double)a[i] * a[i];
    return (double)sqrtl(sum);
}

static bool all_nan(const double *a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isnan(a[i])) return false;
    return true;
}

/* |a - x diag(d) y^T| of x m*k, y n*k; d may be NULL */
static double residual(const double *a, const double *x, const double *d, const double *y, int64_t m, int64_t n, int64_t k)
{
    long double sum = 0;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            long double r = a[i * n + j];
            for (int64_t l = 0; l < k; l++) r -= (long double)x[i * k + l] * (d ? d[l] : 1) * y[j * k + l];
            sum += r * r;
        }
    return (double)sqrtl(sum);
}

/* |x^T x - 1| of m rows, k columns */
static double not_orthogonal(const double *x, int64_t m, int64_t k)
{
    long double sum = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++) {
            long double r = i == j ? -1 : 0;
            for (int64_t l = 0; l < m; l++) r += (long double)x[l * k + i] * x[l * k + j];
            sum += r * r;
        }
    return (double)sqrtl(sum);
}

static bool signs_fixed(const double *x, int64_t m, int64_t k)
{
    for (int64_t j = 0; j < k; j++) {
        double most = 0;
        for (int64_t i = 0; i < m; i++) most = fmax(most, fabs(x[i * k + j]));
        for (int64_t i = 0; i < m; i++)
            if (fabs(x[i * k + j]) >= most * (1 - 0x1p-26)) {
                if (x[i * k + j] < 0) return false;
                break;
            }
    }
    return true;
}

/* ---- singular values ------------------------------------------------------------------- */

static void svd_of(const char *what, double *a, int64_t m, int64_t n)
{
    int64_t k = m < n ? m : n, big = m < n ? n : m, size = (m + n + 1) * k;
    double *out = matrix(1, size), *again = matrix(1, size), *before = matrix(m, n);
    void *scratch = room(LQ_SVD, m, n);
    memcpy(before, a, (size_t)(m * n) * sizeof *a);
    LqLinalgStatus status = lq_svd(m, n, a, out, scratch);
    double *u = out, *s = out + m * k, *v = s + k, allowed = BOUND * (double)big * eps;
    double off = residual(a, u, s, v, m, n, k), size_a = norm(a, m * n);
    bool falls = true;
    for (int64_t i = 0; i < k; i++) falls = falls && s[i] >= 0 && (i == 0 || s[i] <= s[i - 1]);
    lq_svd(m, n, a, again, scratch);
    check(status == LQ_LINALG_OK && off <= allowed * size_a && not_orthogonal(u, m, k) <= allowed && not_orthogonal(v, n, k) <= allowed &&
              falls && signs_fixed(u, m, k) && !memcmp(out, again, (size_t)size * sizeof *out) && !memcmp(a, before, (size_t)(m * n) * sizeof *a),
          "svd of %s, %d x %d: residual %.1e of %.1e, orthogonal to %.1e and %.1e, descending, signs, same bits twice", what, (int)m, (int)n, off,
          allowed * size_a, not_orthogonal(u, m, k), not_orthogonal(v, n, k));
    free(out), free(again), free(before), free(scratch), free(a);
}

/* Of the matrix with 2 on the diagonal and -1 beside it: 2 - 2 cos(pi j/(n+1)). */
static double *second_difference(int64_t n)
{
    double *a = matrix(n, n);
    for (int64_t i = 0; i < n; i++) {
        a[i * n + i] = 2;
        if (i > 0) a[i * n + i - 1] = a[(i - 1) * n + i] = -1;
    }
    return a;
}

static void svd_values(void)
{
    enum { N = 60 };
    double *a = second_difference(N), *out = matrix(1, N * (2 * N + 1)), most = 0;
    void *scratch = room(LQ_SVD, N, N);
    lq_svd(N, N, a, out, scratch);
    for (int j = 0; j < N; j++) most = fmax(most, fabs(out[N * N + j] - (2 - 2 * cos(M_PI * (N - j) / (N + 1)))));
    check(most <= BOUND * N * eps * 4, "singular values of the second difference: off by %.1e", most);
    free(a), free(out);
    a = deficient(40, 30, 7);
    out = matrix(1, 71 * 30);
    double size = norm(a, 40 * 30);
    free(scratch), scratch = room(LQ_SVD, 40, 30);
    lq_svd(40, 30, a, out, scratch);
    check(out[40 * 30 + 6] > 1e-3 && out[40 * 30 + 7] <= BOUND * 40 * eps * size, "rank 7: singular values 7 and 8 are %.3g, %.3g", out[40 * 30 + 6],
          out[40 * 30 + 7]);
    free(a), free(out), free(scratch);
    double minus_three = -3, one[3];
    scratch = room(LQ_SVD, 1, 1);
    lq_svd(1, 1, &minus_three, one, scratch);
    check(one[0] == 1 && one[1] == 3 && one[2] == -1, "svd of (-3): %g %g %g", one[0], one[1], one[2]);
    free(scratch);
}

static void svd_cases(void)
{
    static const int sizes[][2] = {{1, 1}, {1, 7}, {7, 1}, {2, 2}, {5, 3}, {3, 5}, {25, 25}, {40, 11}, {11, 40}, {100, 100}, {25, 500}, {500, 25}, {300, 200}, {1000, 2}};
    for (int i = 0; i < LQ_COUNT(sizes); i++) svd_of("random numbers", random_matrix(sizes[i][0], sizes[i][1]), sizes[i][0], sizes[i][1]);
    svd_of("Hilbert's matrix", hilbert(20), 20, 20);
    svd_of("zeros", matrix(9, 4), 9, 4);
    svd_of("rank 1", deficient(30, 50, 1), 30, 50);
    double *tiny = random_matrix(12, 8), *huge = random_matrix(12, 8);
    for (int i = 0; i < 96; i++) tiny[i] *= 0x1p-1000, huge[i] *= 0x1p1000;
    svd_of("large numbers", huge, 12, 8);
    svd_of("small numbers", tiny, 12, 8);
    svd_values();
}

/* ---- eigenvalues --------------------------------------------------------------------------- */

static void eigh_of(const char *what, double *a, int64_t n)
{
    double *out = matrix(1, n + n * n), *full = matrix(n, n), *scaled = out + n;
    void *scratch = room(LQ_EIGH, n, n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            full[i * n + j] = i >= j ? a[i * n + j] : a[j * n + i];
            if (j > i) a[i * n + j] = NAN;   /* is not read */
        }
    LqLinalgStatus status = lq_eigh(n, a, out, scratch);
    double allowed = BOUND * (double)n * eps, off = residual(full, scaled, out, scaled, n, n, n);
    bool rises = true;
    for (int64_t i = 1; i < n; i++) rises = rises && out[i] >= out[i - 1];
    check(status == LQ_LINALG_OK && off <= allowed * norm(full, n * n) && not_orthogonal(out + n, n, n) <= allowed && rises && signs_fixed(out + n, n, n),
          "eigh of %s, n = %d: residual %.1e of %.1e, orthogonal to %.1e, ascending, signs", what, (int)n, off, allowed * norm(full, n * n),
          not_orthogonal(out + n, n, n));
    free(out), free(full), free(scratch), free(a);
}

static void eigh_cases(void)
{
    static const int sizes[] = {1, 2, 3, 10, 33, 100, 250};
    for (int i = 0; i < LQ_COUNT(sizes); i++) eigh_of("random numbers", random_matrix(sizes[i], sizes[i]), sizes[i]);
    eigh_of("Hilbert's matrix", hilbert(15), 15);
    eigh_of("zeros", matrix(6, 6), 6);
    enum { N = 50 };
    double *a = second_difference(N), *out = matrix(1, N + N * N), most = 0, far = 0;
    void *scratch = room(LQ_EIGH, N, N);
    lq_eigh(N, a, out, scratch);
    for (int j = 0; j < N; j++) most = fmax(most, fabs(out[j] - (2 - 2 * cos(M_PI * (j + 1) / (N + 1)))));
    /* eigenvectors are off by the residual over the gap, here at least 0.01 (Davis and Kahan) */
    for (int i = 0; i < N; i++) far = fmax(far, fabs(out[N + i * N] - sqrt(2.0 / (N + 1)) * sin(M_PI * (i + 1) / (N + 1))));
    check(most <= BOUND * N * eps * 4 && far <= BOUND * N * eps * 4 / 0.01, "eigenvalues of the second difference: off by %.1e, first vector %.1e", most, far);
    free(a), free(out), free(scratch);
}

/* ---- Cholesky, systems, determinants ----------------------------------------------------------- */

/* a a^T + shift */
static double *positive(int64_t n, double shift)
{
    double *x = random_matrix(n, n), *a = matrix(n, n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            for (int64_t k = 0; k < n; k++) a[i * n + j] += x[i * n + k] * x[j * n + k];
            if (i == j) a[i * n + j] += shift;
        }
    free(x);
    return a;
}

/* |b - op(a) x| in units of n eps |a| |x| */
static double solve_error(const double *a, bool transpose, const double *x, const double *b, int64_t n, int64_t nrhs)
{
    double worst = 0;
    for (int64_t c = 0; c < nrhs; c++) {
        long double sum = 0, size = 0;
        for (int64_t i = 0; i < n; i++) {
            long double r = b[i * nrhs + c];
            for (int64_t j = 0; j < n; j++) r -= (long double)(transpose ? a[j * n + i] : a[i * n + j]) * x[j * nrhs + c];
            sum += r * r;
            size += (long double)x[i * nrhs + c] * x[i * nrhs + c];
        }
        worst = fmax(worst, (double)(sqrtl(sum) / (sqrtl(size) * (double)n * eps * norm(a, n * n))));
    }
    return worst;
}

static void cholesky_of(const char *what, double *a, int64_t n, int64_t nrhs)
{
    double *l = matrix(n, n), *b = random_matrix(n, nrhs), *x = matrix(n, nrhs);
    void *scratch = room(LQ_CHOLESKY, n, n);
    LqLinalgStatus status = lq_cholesky(n, a, l, scratch);
    bool lower = true;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i; j < n; j++) lower = lower && (i == j ? l[i * n + j] > 0 : l[i * n + j] == 0);
    double off = residual(a, l, NULL, l, n, n, n), allowed = BOUND * (double)n * eps * norm(a, n * n);
    check(status == LQ_LINALG_OK && off <= allowed && lower, "cholesky of %s, n = %d: residual %.1e of %.1e", what, (int)n, off, allowed);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++) l[i * n + j] = NAN;  /* is not read */
    status = lq_chol_solve(n, nrhs, l, b, x, scratch);
    double error = solve_error(a, false, x, b, n, nrhs);
    check(status == LQ_LINALG_OK && error <= BOUND, "  and a system by it, %d right sides: residual %.2g n eps |a| |x|", (int)nrhs, error);
    free(a), free(l), free(b), free(x), free(scratch);
}

static void solve_of(const char *what, double *a, int64_t n, int64_t nrhs)
{
    double *b = random_matrix(n, nrhs), *x = matrix(n, nrhs);
    void *scratch = room(LQ_SOLVE, n, n);
    LqLinalgStatus status = lq_solve(n, nrhs, a, b, x, scratch);
    double error = solve_error(a, false, x, b, n, nrhs);
    check(status == LQ_LINALG_OK && error <= BOUND, "solve with %s, n = %d, %d right sides: residual %.2g n eps |a| |x|", what, (int)n, (int)nrhs, error);
    free(a), free(b), free(x), free(scratch);
}

static void triangles(int64_t n, int64_t nrhs)
{
    double worst = 0;
    bool fine = true;
    for (int way = 0; way < 4; way++) {
        bool upper = way & 1, transpose = way & 2;
        double *t = random_matrix(n, n), *full = matrix(n, n), *b = random_matrix(n, nrhs), *x = matrix(n, nrhs);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) {
                if (i == j) t[i * n + j] += 4;
                if (i == j || (j > i) == upper) full[i * n + j] = t[i * n + j] /= i == j ? 1 : (double)n;
                else t[i * n + j] = NAN;     /* is not read */
            }
        fine = fine && lq_tri_solve(n, nrhs, t, upper, transpose, b, x, NULL) == LQ_LINALG_OK;
        worst = fmax(worst, solve_error(full, transpose, x, b, n, nrhs));
        free(t), free(full), free(b), free(x);
    }
    check(fine && worst <= BOUND, "triangular systems, n = %d, %d right sides: residual %.2g n eps |t| |x|", (int)n, (int)nrhs, worst);
}

/* det of Hilbert's matrix: c(n)^4/c(2n), c(n) = product of i! for i < n (Hilbert 1894) */
static double log_det_hilbert(int n)
{
    double sum = 0;
    for (int i = 1; i < n; i++) sum += 4 * lgamma(i + 1);
    for (int i = 1; i < 2 * n; i++) sum -= lgamma(i + 1);
    return sum;
}

static void determinants(void)
{
    double out[2];
    void *scratch = room(LQ_LOGDET, 60, 60);
    for (int n = 1; n <= 6; n++) {
        double *a = hilbert(n), condition = exp(3.525 * n);   /* of Hilbert's matrix */
        lq_logdet(n, a, out, scratch);
        double off = fabs(out[0] - log_det_hilbert(n)), allowed = BOUND * n * eps * condition + 1e-14;
        check(off <= allowed && out[1] == 1, "ln det of Hilbert's matrix, n = %d: %.12g, off by %.1e, allowed %.1e", n, out[0], off, allowed);
        free(a);
    }
    /* permutation matrices times numbers: exact */
    int wrong = 0;
    for (int i = 0; i < 200; i++) {
        enum { N = 7 };
        double a[N * N] = {0}, sign = 1;
        int to[N];
        for (int j = 0; j < N; j++) to[j] = j;
        for (int j = N - 1; j > 0; j--) {
            int k = (int)((number() + 1) / 2 * (j + 1)), t = to[j];
            if (k > j) k = j;
            if (k != j) sign = -sign;
            to[j] = to[k], to[k] = t;
        }
        for (int j = 0; j < N; j++) {
            a[j * N + to[j]] = number() < 0 ? -2 : 2;
            sign *= a[j * N + to[j]] / 2;
        }
        wrong += lq_logdet(N, a, out, scratch) != LQ_LINALG_OK || out[1] != sign || fabs(out[0] - N * log(2)) > 1e-14;
    }
    check(!wrong, "signs of determinants of 200 permutations");
    /* det(1 + u v^T) = 1 + v·u */
    enum { M = 60 };
    double *a = matrix(M, M), *u = random_matrix(M, 1), *v = random_matrix(M, 1), dot = 1;
    for (int i = 0; i < M; i++) {
        dot += u[i] * v[i];
        for (int j = 0; j < M; j++) a[i * M + j] = (i == j) + u[i] * v[j];
    }
    double condition = (1 + norm(u, M) * norm(v, M)) * (1 + norm(u, M) * norm(v, M) / fabs(dot));
    lq_logdet(M, a, out, scratch);
    check(fabs(out[0] - log(fabs(dot))) <= BOUND * M * eps * condition && out[1] == (dot < 0 ? -1 : 1), "det(1 + u v^T) = 1 + v·u: %.15g, %.15g", out[0], log(fabs(dot)));
    free(a), free(u), free(v), free(scratch);
}

/* ---- what cannot be done -------------------------------------------------------------------------- */

static void failures(void)
{
    enum { N = 6 };
    double out[2 * N * N + N], *a, b[N * 2] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3};
    void *scratch = room(LQ_SVD, N, N);
    void *more = room(LQ_SOLVE, N, N), *eigen = room(LQ_EIGH, N, N);
    a = matrix(N, N);
    check(lq_solve(N, 2, a, b, out, more) == LQ_LINALG_SINGULAR && all_nan(out, 2 * N), "solve with zeros: singular, NaN");
    check(lq_logdet(N, a, out, more) == LQ_LINALG_SINGULAR && out[0] == -INFINITY && out[1] == 0, "determinant 0: -infinity, sign 0");
    check(lq_cholesky(N, a, out, NULL) == LQ_LINALG_INDEFINITE && all_nan(out, N * N), "cholesky of zeros: not positive definite, NaN");
    check(lq_tri_solve(N, 2, a, false, false, b, out, NULL) == LQ_LINALG_SINGULAR && all_nan(out, 2 * N), "triangular, 0 on the diagonal: singular, NaN");
    check(lq_chol_solve(N, 2, a, b, out, NULL) == LQ_LINALG_SINGULAR && all_nan(out, 2 * N), "0 in a Cholesky factor: singular, NaN");
    for (int i = 0; i < N; i++) a[i * N + i] = i == 3 ? -1 : 1;
    check(lq_cholesky(N, a, out, NULL) == LQ_LINALG_INDEFINITE && all_nan(out, N * N), "cholesky with a negative pivot: NaN");
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    int wrong = 0;
    for (int i = 0; i < 3; i++)
        for (int at = 0; at < N * N; at++) {
            for (int j = 0; j < N * N; j++) a[j] = number() + 4 * (j % (N + 1) == 0);
            a[at] = bad[i];
            bool lower = at / N >= at % N;
            wrong += lq_svd(N, N, a, out, scratch) != LQ_LINALG_NOT_FINITE || !all_nan(out, 2 * N * N + N);
            wrong += lq_solve(N, 2, a, b, out, more) != LQ_LINALG_NOT_FINITE || !all_nan(out, 2 * N);
            wrong += lq_logdet(N, a, out, more) != LQ_LINALG_NOT_FINITE || !all_nan(out, 2);
            if (!lower) continue;
            wrong += lq_eigh(N, a, out, eigen) != LQ_LINALG_NOT_FINITE || !all_nan(out, N * N + N);
            wrong += lq_cholesky(N, a, out, NULL) != LQ_LINALG_NOT_FINITE || !all_nan(out, N * N);
            wrong += lq_tri_solve(N, 2, a, false, true, b, out, NULL) != LQ_LINALG_NOT_FINITE || !all_nan(out, 2 * N);
            wrong += lq_chol_solve(N, 2, a, b, out, NULL) != LQ_LINALG_NOT_FINITE || !all_nan(out, 2 * N);
        }
    b[5] = NAN;
    wrong += lq_solve(N, 2, a, b, out, more) != LQ_LINALG_NOT_FINITE;
    check(!wrong, "NaN and infinity anywhere: not finite, NaN");
    /* a solution that overflows */
    double t[1] = {0x1p-1000}, large[1] = {0x1p1000};
    check(lq_tri_solve(1, 1, t, true, false, large, out, NULL) == LQ_LINALG_NOT_FINITE && isnan(out[0]), "a solution that overflows: NaN");
    free(a), free(scratch), free(more), free(eigen);
}

static void nothing(void)
{
    double out[2] = {7, 7};
    int wrong = lq_svd(0, 5, out, out, NULL) || lq_svd(5, 0, out, out, NULL) || lq_eigh(0, out, out, NULL) || lq_cholesky(0, out, out, NULL) ||
                lq_solve(0, 3, out, out, out, NULL) || lq_solve(2, 0, out, out, out, NULL) || lq_tri_solve(0, 1, out, true, true, out, out, NULL);
    check(!wrong && out[0] == 7, "extents of 0: nothing is done");
    check(lq_logdet(0, out, out, NULL) == LQ_LINALG_OK && out[0] == 0 && out[1] == 1, "determinant of 0 x 0: 1");
    check(lq_linalg_scratch(LQ_SVD, 1 << 20, 1 << 20) == SIZE_MAX && lq_linalg_scratch(LQ_EIGH, INT64_MAX, INT64_MAX) == SIZE_MAX &&
              lq_linalg_scratch(LQ_SOLVE, -1, -1) == SIZE_MAX,
          "extents beyond what can be counted");
}

/* ---- threads, and the library --------------------------------------------------------------------------- */

enum { T = 50 };
static double *shared_matrix;

static void *svd_in_thread(void *out)
{
    void *scratch = room(LQ_SVD, T, T);
    for (int i = 0; i < 20; i++) lq_svd(T, T, shared_matrix, out, scratch);
    free(scratch);
    return NULL;
}

static void threads(void)
{
    pthread_t thread[4];
    double *out[4];
    bool same = true;
    shared_matrix = random_matrix(T, T);
    for (int i = 0; i < 4; i++) out[i] = matrix(2 * T + 1, T), pthread_create(&thread[i], NULL, svd_in_thread, out[i]);
    for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    for (int i = 1; i < 4; i++) same = same && !memcmp(out[0], out[i], (2 * T + 1) * T * sizeof(double));
    check(same, "four threads at a time: the same bits");
    for (int i = 0; i < 4; i++) free(out[i]);
    free(shared_matrix);
}

/* This program again, where the library is a file that is none. */
static void missing(const char *self)
{
    char folder[] = P_tmpdir "/lqft-test-XXXXXX", file[sizeof folder + 20], command[1000];
    if (!mkdtemp(folder)) return;
    snprintf(file, sizeof file, "%s/libopenblas.so.0", folder);
    FILE *f = fopen(file, "w");
    if (f) fputs("not a library", f), fclose(f);
    snprintf(command, sizeof command, "LD_LIBRARY_PATH=%s '%s' missing", folder, self);
    check(system(command) == 0, "a library that cannot be loaded: status, message, NaN");
    unlink(file);
    rmdir(folder);
}

static int without_library(void)
{
    double a[4] = {1, 0, 0, 1}, out[10];
    bool right = lq_linalg_load() == LQ_LINALG_MISSING && lq_linalg_scratch(LQ_SVD, 2, 2) > 0 && lq_svd(2, 2, a, out, NULL) == LQ_LINALG_MISSING &&
                 all_nan(out, 10) && lq_logdet(2, a, out, NULL) == LQ_LINALG_MISSING && lq_cholesky(2, a, out, NULL) == LQ_LINALG_MISSING &&
                 strstr(lq_linalg_message(LQ_LINALG_MISSING), "libopenblas0");
    printf("     %s\n", lq_linalg_message(LQ_LINALG_MISSING));
    return right ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "missing")) return without_library();
    setbuf(stdout, NULL);
    if (!check(lq_linalg_load() == LQ_LINALG_OK, "%s", lq_linalg_message(lq_linalg_load()))) return check_result();
    svd_cases();
    eigh_cases();
    static const int sizes[][2] = {{1, 1}, {2, 3}, {17, 1}, {64, 5}, {130, 130}, {300, 2}};
    for (int i = 0; i < LQ_COUNT(sizes); i++) {
        int n = sizes[i][0], nrhs = sizes[i][1];
        cholesky_of("a a^T + 1", positive(n, 1), n, nrhs);
        solve_of("random numbers", random_matrix(n, n), n, nrhs);
        triangles(n, nrhs);
    }
    cholesky_of("Hilbert's matrix", hilbert(10), 10, 1);
    solve_of("Hilbert's matrix", hilbert(12), 12, 2);
    determinants();
    failures();
    nothing();
    threads();
    missing(argv[0]);
    return check_result();
}
