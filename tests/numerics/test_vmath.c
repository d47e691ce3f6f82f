/* test_vmath.c — accuracy over the whole range against quadruple precision, special
 * values of C17 annex F, that a result depends on its own argument only, and the bits.
 *
 *     test_vmath         some 10^5 arguments a function
 *     test_vmath full    some 3·10^5; in single precision one argument in 12203 of all that exist
 *
 * References are computed with 113 bits and errors of some 10^-33.  The bound is that of
 * vmath.h: 2.5 units in the last place. */
#include "../../runtime/philox.h"
#include "../../runtime/vmath.h"

#include "check.h"

#include <float.h>
#include <quadmath.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef __float128 Quad;
typedef void Vector(double *restrict, const double *restrict, int);
typedef void Vectorf(float *restrict, const float *restrict, int);
typedef Quad Exact(Quad);

/* ---- references that libquadmath lacks ------------------------------------------------ */

static Quad sigmoid_q(Quad x)
{
    return 1 / (1 + expq(-x));
}

static Quad softplus_q(Quad x)
{
    return x > 0 ? x + log1pq(expq(-x)) : log1pq(expq(x));
}

/* By the recurrence to x >= 40, then the asymptotic series with Bernoulli's numbers. */
static Quad digamma_q(Quad x)
{
    static const Quad b[] = {1 / 12.0Q, -1 / 120.0Q, 1 / 252.0Q, -1 / 240.0Q, 1 / 132.0Q, -691 / 32760.0Q,
                             1 / 12.0Q, -3617 / 8160.0Q, 43867 / 14364.0Q};
    Quad shift = 0, tail = 0;
    for (; x < 40; x += 1) shift += 1 / x;
    for (int i = 8; i >= 0; i--) tail = (tail + b[i]) / (x * x);
    return logq(x) - 0.5Q / x - tail - shift;
}

/* I_n(x) - first, first the term of order 0 or 0, by the power series. */
static Quad bessel_series(Quad x, int n, bool rest)
{
    Quad y = x * x / 4, t = n ? x / 2 : 1, sum = rest ? 0 : t;
    for (int k = 1; k < 2000; k++) {
        t *= y / ((Quad)k * (k + n));
        sum += t;
        if (t < sum * 1e-36Q) break;
    }
    return sum;
}

/* I_n(x) √(2πx) e^-x, x >= 700, by Hankel's expansion */
static Quad bessel_large(Quad x, int n)
{
    Quad t = 1, sum = 1;
    for (int k = 1; k < 100; k++) {
        t *= -(4 * n * n - (2 * k - 1.0Q) * (2 * k - 1)) / (k * 8.0Q * x);
        sum += t;
        if (fabsq(t) < 1e-36Q) break;
    }
    return sum;
}

static Quad bessel_ratio_q(Quad x)
{
    Quad a = fabsq(x);
    Quad y = a < 700 ? bessel_series(a, 1, false) / bessel_series(a, 0, false)
                     : bessel_large(a, 1) / bessel_large(a, 0);
    return isinfq(x) ? copysignq(1, x) : copysignq(y, x);
}

static Quad log_i0_q(Quad x)
{
    Quad a = fabsq(x);
    if (a < 700 || isnanq(a)) return log1pq(bessel_series(a, 0, true));
    return isinfq(a) ? a : a - 0.5Q * logq(2 * M_PIq * a) + logq(bessel_large(a, 0));
}

/* ---- the functions -------------------------------------------------------------------- */

typedef struct Function {
    const char *name;
    Vector *f;
    Vectorf *single;
    Exact *exact;
    double lo, hi; /* where the finite values are, in double; clipped in single */
} Function;

#define F(name, lo, hi) {#name, lqm_##name, lqmf_##name, name##q, lo, hi}
#define G(name, lo, hi) {#name, lqm_##name, lqmf_##name, name##_q, lo, hi}
static const Function functions[] = {
    F(exp, -746, 710),        F(expm1, -60, 710),        F(log, 0, DBL_MAX),
    F(log1p, -1, DBL_MAX),    F(sin, -DBL_MAX, DBL_MAX), F(cos, -DBL_MAX, DBL_MAX),
    F(tan, -DBL_MAX, DBL_MAX), F(sinh, -710.5, 710.5),   F(cosh, -710.5, 710.5),
    F(tanh, -25, 25),         F(asin, -1, 1),            F(acos, -1, 1),
    F(atan, -DBL_MAX, DBL_MAX), F(asinh, -DBL_MAX, DBL_MAX), F(acosh, 1, DBL_MAX),
    F(atanh, -1, 1),          F(erf, -7, 7),             F(erfc, -7, 28),
    F(lgamma, -1e4, 1e305),   G(digamma, 0, DBL_MAX),    G(sigmoid, -746, 800),
    G(softplus, -746, 800),   G(bessel_ratio, -1e300, 1e300), G(log_i0, -1e300, 1e300),
};
enum { FUNCTIONS = sizeof functions / sizeof functions[0] };
static const double BOUND = 2.5;

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void)
{ /* Marsaglia's xorshift, good enough to pick arguments */
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static double in_unit(void)
{
    return (double)(next_random() >> 11) * 0x1p-53;
}

static double within(double lo, double hi, double size)
{
    lo = lo < -size ? -size : lo, hi = hi > size ? size : hi;
    return lo + in_unit() * (hi - lo);
}

/* one argument in [lo, hi]: evenly, evenly in the exponent, or near a whole number */
static double pick(double lo, double hi)
{
    for (;;) {
        double x;
        switch (next_random() % 6) {
        case 0: x = within(lo, hi, 50); break;
        case 1: x = lo + in_unit() * (hi / 2 - lo / 2) * 2; break;
        case 2: x = (1 + in_unit()) * exp2((double)(next_random() % 60) - 50) * (next_random() & 1 ? 1 : -1); break;
        case 3: { /* any bits */
            uint64_t u = next_random();
            memcpy(&x, &u, 8);
            break;
        }
        case 4: x = within(lo, hi, 4); break;
        default: x = 1 + (double)(next_random() & 1) + (in_unit() - 0.5) * exp2(-(double)(next_random() % 50)); break;
        }
        if (x >= lo && x <= hi) return x;
    }
}

/* In units of the last place that a number of `digits` bits has in the binade of want;
 * what rounds to infinity may be infinite or the largest number. */
static double ulp_error(double got, Quad want, int digits, int least, double largest)
{
    int e;
    if (isnan(got) || isnanq(want)) return isnan(got) && isnanq(want) ? 0 : INFINITY;
    if (isinf(got) || fabsq(want) > largest) {
        bool near = fabs(got) >= largest && fabsq(want) > largest * (1 - 0x1p-20) && (got > 0) == (want > 0);
        return near ? 0 : INFINITY;
    }
    frexpq(want, &e);
    return (double)(fabsq(got - want) / ldexpq(1, e - digits < least ? least : e - digits));
}

static double error_double(double got, Quad want)
{
    return ulp_error(got, want, 53, -1074, DBL_MAX);
}

static double error_single(double got, Quad want)
{
    return ulp_error(got, want, 24, -149, FLT_MAX);
}

enum { BATCH = 64 };

static void accuracy(const Function *f, int n)
{
    double worst = 0, at = 0;
    for (int i = 0; i < n; i += BATCH) {
        double x[BATCH], y[BATCH];
        for (int j = 0; j < BATCH; j++) x[j] = pick(f->lo, f->hi);
        f->f(y, x, BATCH);
        for (int j = 0; j < BATCH; j++) {
            double e = error_double(y[j], f->exact(x[j]));
            if (!(e <= worst)) worst = e, at = x[j];
        }
    }
    check(worst <= BOUND, "%-12s double: at most %.3f ulp (at %.17g)", f->name, worst, at);
}

/* Every stride-th number of single precision, from -inf to inf, that lies in the range. */
static void accuracy_single(const Function *f, uint32_t stride)
{
    double worst = 0, at = 0;
    for (uint64_t u = 0; u < (uint64_t)1 << 32; u += (uint64_t)BATCH * stride) {
        float x[BATCH], y[BATCH];
        int n = 0;
        for (int j = 0; j < BATCH; j++) {
            uint32_t bits = (uint32_t)(u + (uint64_t)j * stride);
            memcpy(&x[n], &bits, 4);
            n += x[n] >= f->lo && x[n] <= f->hi && isfinite(x[n]);
        }
        f->single(y, x, n);
        for (int j = 0; j < n; j++) {
            double e = error_single(y[j], f->exact(x[j]));
            if (!(e <= worst)) worst = e, at = x[j];
        }
    }
    check(worst <= BOUND, "%-12s single: at most %.3f ulp (at %.9g)", f->name, worst, at);
}

static bool same(double a, double b)
{
    return (isnan(a) && isnan(b)) || !memcmp(&a, &b, sizeof a);
}

/* Any n, any position, any neighbours. */
static void own_argument_only(const Function *f)
{
    enum { N = 67 };
    double x[N], all[N], y[N];
    for (int i = 0; i < N; i++) x[i] = pick(f->lo, f->hi);
    x[3] = NAN, x[13] = 1e300, x[31] = -1e9;
    f->f(all, x, N);
    int wrong = 0;
    for (int n = 1; n <= N; n++)
        for (int from = 0; from + n <= N; from++) {
            f->f(y, x + from, n);
            for (int i = 0; i < n; i++) wrong += !same(y[i], all[from + i]);
        }
    check(!wrong, "%-12s same bits in every batch (%d differ)", f->name, wrong);
}

/* ---- special values: C17 annex F.10, in both precisions ---------------------------------- */

typedef struct Special { const char *name; double x, y; } Special;

static const Special specials[] = {
    {"exp", 0, 1}, {"exp", -0.0, 1}, {"exp", -INFINITY, 0}, {"exp", INFINITY, INFINITY}, {"exp", NAN, NAN},
    {"exp", 800, INFINITY}, {"exp", -800, 0},
    {"expm1", 0, 0}, {"expm1", -0.0, -0.0}, {"expm1", -INFINITY, -1}, {"expm1", INFINITY, INFINITY}, {"expm1", NAN, NAN},
    {"log", 0, -INFINITY}, {"log", -0.0, -INFINITY}, {"log", 1, 0}, {"log", -1, NAN}, {"log", -INFINITY, NAN},
    {"log", INFINITY, INFINITY}, {"log", NAN, NAN},
    {"log1p", 0, 0}, {"log1p", -0.0, -0.0}, {"log1p", -1, -INFINITY}, {"log1p", -2, NAN}, {"log1p", INFINITY, INFINITY},
    {"log1p", NAN, NAN},
    {"sin", 0, 0}, {"sin", -0.0, -0.0}, {"sin", INFINITY, NAN}, {"sin", -INFINITY, NAN}, {"sin", NAN, NAN},
    {"cos", 0, 1}, {"cos", -0.0, 1}, {"cos", INFINITY, NAN}, {"cos", NAN, NAN},
    {"tan", 0, 0}, {"tan", -0.0, -0.0}, {"tan", -INFINITY, NAN}, {"tan", NAN, NAN},
    {"asin", 0, 0}, {"asin", -0.0, -0.0}, {"asin", 1.5, NAN}, {"asin", INFINITY, NAN}, {"asin", NAN, NAN},
    {"acos", 1, 0}, {"acos", -1.5, NAN}, {"acos", INFINITY, NAN}, {"acos", NAN, NAN},
    {"atan", 0, 0}, {"atan", -0.0, -0.0}, {"atan", NAN, NAN},
    {"sinh", 0, 0}, {"sinh", -0.0, -0.0}, {"sinh", INFINITY, INFINITY}, {"sinh", -INFINITY, -INFINITY}, {"sinh", NAN, NAN},
    {"cosh", 0, 1}, {"cosh", -0.0, 1}, {"cosh", INFINITY, INFINITY}, {"cosh", -INFINITY, INFINITY}, {"cosh", NAN, NAN},
    {"tanh", 0, 0}, {"tanh", -0.0, -0.0}, {"tanh", INFINITY, 1}, {"tanh", -INFINITY, -1}, {"tanh", NAN, NAN},
    {"asinh", 0, 0}, {"asinh", -0.0, -0.0}, {"asinh", INFINITY, INFINITY}, {"asinh", -INFINITY, -INFINITY}, {"asinh", NAN, NAN},
    {"acosh", 1, 0}, {"acosh", 0.5, NAN}, {"acosh", -INFINITY, NAN}, {"acosh", INFINITY, INFINITY}, {"acosh", NAN, NAN},
    {"atanh", 0, 0}, {"atanh", -0.0, -0.0}, {"atanh", 1, INFINITY}, {"atanh", -1, -INFINITY}, {"atanh", 2, NAN},
    {"atanh", INFINITY, NAN}, {"atanh", NAN, NAN},
    {"erf", 0, 0}, {"erf", -0.0, -0.0}, {"erf", INFINITY, 1}, {"erf", -INFINITY, -1}, {"erf", NAN, NAN},
    {"erfc", INFINITY, 0}, {"erfc", -INFINITY, 2}, {"erfc", 0, 1}, {"erfc", NAN, NAN},
    {"lgamma", 1, 0}, {"lgamma", 2, 0}, {"lgamma", 0, INFINITY}, {"lgamma", -0.0, INFINITY}, {"lgamma", -3, INFINITY},
    {"lgamma", INFINITY, INFINITY}, {"lgamma", -INFINITY, INFINITY}, {"lgamma", NAN, NAN},
    /* annex F does not know these: by their limits */
    {"digamma", 0, -INFINITY}, {"digamma", -0.0, INFINITY}, {"digamma", -2, NAN}, {"digamma", INFINITY, INFINITY},
    {"digamma", -INFINITY, NAN}, {"digamma", NAN, NAN},
    {"sigmoid", 0, 0.5}, {"sigmoid", INFINITY, 1}, {"sigmoid", -INFINITY, 0}, {"sigmoid", NAN, NAN},
    {"softplus", -INFINITY, 0}, {"softplus", INFINITY, INFINITY}, {"softplus", NAN, NAN}, {"softplus", 1000, 1000},
    {"bessel_ratio", 0, 0}, {"bessel_ratio", -0.0, -0.0}, {"bessel_ratio", INFINITY, 1}, {"bessel_ratio", -INFINITY, -1},
    {"bessel_ratio", NAN, NAN},
    {"log_i0", 0, 0}, {"log_i0", -0.0, 0}, {"log_i0", INFINITY, INFINITY}, {"log_i0", -INFINITY, INFINITY}, {"log_i0", NAN, NAN},
};

static const Function *find(const char *name)
{
    for (int i = 0; i < FUNCTIONS; i++)
        if (!strcmp(functions[i].name, name)) return &functions[i];
    return NULL;
}

static void special_values(void)
{
    int wrong = 0, count = sizeof specials / sizeof specials[0];
    for (int i = 0; i < count; i++) {
        const Special *s = &specials[i];
        double y;
        float xf = (float)s->x, yf;
        find(s->name)->f(&y, &s->x, 1);
        find(s->name)->single(&yf, &xf, 1);
        if (same(y, s->y) && same(yf, s->y)) continue;
        wrong++;
        printf("     %s(%a) = %a, single %a, expected %a\n", s->name, s->x, y, yf, s->y);
    }
    check(!wrong, "special values (%d of %d wrong)", wrong, count);
}

/* ---- two arguments ------------------------------------------------------------------------- */

typedef void Vector2(double *restrict, const double *restrict, const double *restrict, int);
typedef void Vector2f(float *restrict, const float *restrict, const float *restrict, int);

/* The C library follows annex F for all pairs of these. */
static void special_pairs(const char *name, Vector2 *f, Vector2f *single, double (*library)(double, double))
{
    static const double odd[] = {0.0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 2, -2, 0.5, -0.5, 3, -3, 2.5, -8,
                                 16777216.0, -0x1p-126, 1e30, -1e30};
    int wrong = 0, count = sizeof odd / sizeof odd[0];
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) {
            double want = library(odd[i], odd[j]), y;
            float a = (float)odd[i], b = (float)odd[j], yf;
            f(&y, &odd[i], &odd[j], 1);
            single(&yf, &a, &b, 1);
            bool exact = !isfinite(want) || want == 0 || fabs(want) == 1;
            bool fine = exact ? same(y, want) && same(yf, want)
                              : error_double(y, want) <= BOUND + 0.5 && error_single(yf, library(a, b)) <= BOUND;
            if (fine) continue;
            wrong++;
            printf("     %s(%a, %a) = %a, single %a, expected %a\n", name, odd[i], odd[j], y, yf, want);
        }
    check(!wrong, "%s: special values (%d of %d wrong)", name, wrong, count * count);
}

static void two_arguments(const char *name, Vector2 *f, Vector2f *single, Quad (*exact)(Quad, Quad), int n)
{
    double worst = 0, worst_single = 0;
    for (int i = 0; i < n; i++) {
        double a = i & 1 ? pick(0, DBL_MAX) : pick(0, 4), b = pick(-DBL_MAX, DBL_MAX), y;
        if (exact == powq && i % 4) b = (2 * in_unit() - 1) * 745 / fabs(log(a)); /* within range */
        if (!isfinite(b) || (exact == powq && (a == 0 || b == 0))) continue;
        f(&y, &a, &b, 1);
        double e = error_double(y, exact(a, b));
        if (!(e <= worst)) worst = e;
        float af = (float)a, bf = (float)b, yf;
        if (!isfinite(af) || !isfinite(bf) || af == 0 || bf == 0) continue;
        single(&yf, &af, &bf, 1);
        e = error_single(yf, exact(af, bf));
        if (!(e <= worst_single)) worst_single = e;
    }
    check(worst <= BOUND, "%-12s double: at most %.3f ulp", name, worst);
    check(worst_single <= BOUND, "%-12s single: at most %.3f ulp", name, worst_single);
}

/* ---- hash ------------------------------------------------------------------------------------ */

/* vmath.h's definition, by the block function. */
static double hash_by_blocks(double x, double y)
{
    uint64_t a, b;
    x += 0.0, y += 0.0;
    memcpy(&a, &x, 8), memcpy(&b, &y, 8);
    uint32_t key[2] = {0, 0}, out[4];
    uint32_t counter[4] = {(uint32_t)a, (uint32_t)(a >> 32), (uint32_t)b, (uint32_t)(b >> 32)};
    philox4x32(key, counter, out);
    uint64_t low = (out[0] | (uint64_t)out[1] << 32) & 0xfffffffffffffu;
    return ((double)low + 0.5) * 0x1p-52;
}

/* 64 bins, of the values and of pairs of neighbours: chi² of 63 and of 4095 degrees of freedom, each below
 * its mean + 6 standard deviations. */
static bool uniform_in_bins(const double *u, int n)
{
    int pairs[64][64] = {0}, bins[64] = {0};
    double chi2 = 0, chi2_pairs = 0;
    for (int i = 0; i < n; i++) {
        bins[(int)(64 * u[i])]++;
        if (i) pairs[(int)(64 * u[i - 1])][(int)(64 * u[i])]++;
    }
    for (int i = 0; i < 64; i++) {
        chi2 += pow(bins[i] - n / 64.0, 2) / (n / 64.0);
        for (int j = 0; j < 64; j++) chi2_pairs += pow(pairs[i][j] - (n - 1) / 4096.0, 2) / ((n - 1) / 4096.0);
    }
    return fabs(chi2 - 63) < 6 * sqrt(2 * 63) && fabs(chi2_pairs - 4095) < 6 * sqrt(2 * 4095);
}

static void hash_is_philox(void)
{
    enum { N = 1 << 18 };
    static double x[N], y[N], out[N];
    bool same_bits = true, single = true;
    for (int i = 0; i < N; i++) {               /* whole numbers, as they are used, and any others */
        x[i] = i % 2 ? pick(-DBL_MAX, DBL_MAX) : i;
        y[i] = i % 3 ? pick(-10, 10) : 7;
    }
    lqm_hash(out, x, y, N);
    for (int i = 0; i < N; i++) {
        float a = (float)x[i], b = (float)y[i], f;
        lqmf_hash(&f, &a, &b, 1);
        same_bits &= out[i] == hash_by_blocks(x[i], y[i]);
        single &= f == (float)hash_by_blocks(a, b);
    }
    check(same_bits, "hash is a block of Philox");
    check(single, "hash in single precision, rounded once");
    for (int i = 0; i < N; i++) x[i] = i, y[i] = 3;
    lqm_hash(out, x, y, N);
    check(uniform_in_bins(out, N), "hash of whole numbers, first argument");
    lqm_hash(out, y, x, N);
    check(uniform_in_bins(out, N), "hash of whole numbers, second argument");
    double zeros[2] = {0.0, -0.0}, h[2], bad[2] = {NAN, 1}, good[2] = {1, NAN};
    lqm_hash(h, zeros, zeros, 2);
    check(h[0] == h[1], "hash: both zeros are one");
    lqm_hash(h, bad, good, 2);
    check(isnan(h[0]) && isnan(h[1]), "hash of what is no number");
}

/* ---- bits ------------------------------------------------------------------------------------ */

static uint64_t hash_of(const void *data, size_t n, uint64_t hash)
{
    for (size_t i = 0; i < n; i++) hash = (hash ^ ((const unsigned char *)data)[i]) * 1099511628211u;
    return hash;
}

static void bits_everywhere(void)
{ /* the same on every CPU level and compiler: a hash of results of every function */
    enum { COUNT = 4096 };
    static double x[COUNT], y[COUNT];
    static float xf[COUNT], yf[COUNT];
    uint64_t hash = 1469598103934665603u;
    state = 12345;
    for (int f = 0; f < FUNCTIONS; f++) {
        for (int i = 0; i < COUNT; i++) {
            x[i] = within(functions[f].lo < 0 && functions[f].f == lqm_lgamma ? 0 : functions[f].lo, functions[f].hi, 40);
            xf[i] = (float)x[i];
        }
        functions[f].f(y, x, COUNT);
        functions[f].single(yf, xf, COUNT);
        hash = hash_of(yf, sizeof yf, hash_of(y, sizeof y, hash));
    }
    check(hash == 0x5b9d900fee928171u, "bits of all functions: %016llx", (unsigned long long)hash);
}

int main(int argc, char **argv)
{
    bool full = argc > 1 && !strcmp(argv[1], "full");
    for (int i = 0; i < FUNCTIONS; i++) {
        accuracy(&functions[i], full ? 1 << 18 : 1 << 15);
        accuracy_single(&functions[i], full ? 12203 : 100003);
        own_argument_only(&functions[i]);
    }
    special_values();
    special_pairs("pow", lqm_pow, lqmf_pow, pow);
    special_pairs("atan2", lqm_atan2, lqmf_atan2, atan2);
    two_arguments("pow", lqm_pow, lqmf_pow, powq, full ? 1 << 19 : 1 << 15);
    two_arguments("atan2", lqm_atan2, lqmf_atan2, atan2q, full ? 1 << 19 : 1 << 15);
    hash_is_philox();
    bits_everywhere();
    return check_result();
}
