/* test_vmath.c — accuracy against long double, special values, and that a result
 * depends on its own argument only. */
#include "../../runtime/vmath.h"

#include "check.h"

#include <float.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void Vector(double *restrict, const double *restrict, int);

typedef struct Function {
    const char *name;
    Vector *f;
    long double (*exact)(long double);
    double lo, hi;     /* where the finite values are */
    double bound;      /* ulp */
} Function;

static const Function functions[] = {
    {"exp", lqm_exp, expl, -746, 710, 1.1},
    {"expm1", lqm_expm1, expm1l, -60, 710, 2.0},
    {"log", lqm_log, logl, 0, DBL_MAX, 1.0},
    {"log1p", lqm_log1p, log1pl, -1, DBL_MAX, 1.1},
    {"sin", lqm_sin, sinl, -DBL_MAX, DBL_MAX, 2.5},
    {"cos", lqm_cos, cosl, -DBL_MAX, DBL_MAX, 2.5},
    {"sinh", lqm_sinh, sinhl, -710.5, 710.5, 2.5},
    {"cosh", lqm_cosh, coshl, -710.5, 710.5, 2.0},
    {"tanh", lqm_tanh, tanhl, -25, 25, 2.5},
    {"tan", lqm_tan, tanl, -DBL_MAX, DBL_MAX, 2.5},
    {"asin", lqm_asin, asinl, -1, 1, 2.5},
    {"acos", lqm_acos, acosl, -1, 1, 2.5},
    {"atan", lqm_atan, atanl, -DBL_MAX, DBL_MAX, 2.5},
    {"asinh", lqm_asinh, asinhl, -DBL_MAX, DBL_MAX, 2.5},
    {"acosh", lqm_acosh, acoshl, 1, DBL_MAX, 2.5},
    {"atanh", lqm_atanh, atanhl, -1, 1, 2.5},
    {"erf", lqm_erf, erfl, -7, 7, 1.5},
    {"erfc", lqm_erfc, erfcl, -7, 27, 5.0},
    {"lgamma", lqm_lgamma, lgammal, 0.1, 1e300, 5.0},
};
enum { FUNCTIONS = sizeof functions / sizeof functions[0] };

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

/* one argument in [lo, hi]: evenly, evenly in the exponent, or near an end or 1 */
static double pick(double lo, double hi)
{
    for (;;) {
        double x;
        switch (next_random() % 5) {
        case 0: x = (lo < -50 ? -50 : lo) + in_unit() * ((hi > 50 ? 50 : hi) - (lo < -50 ? -50 : lo)); break;
        case 1: x = lo + in_unit() * (hi / 2 - lo / 2) * 2; break;
        case 2: x = (1 + in_unit()) * exp2((double)(next_random() % 60) - 50) * (next_random() & 1 ? 1 : -1); break;
        case 3: { /* any bits */
            uint64_t u = next_random();
            memcpy(&x, &u, 8);
            break;
        }
        default: x = 1 + (in_unit() - 0.5) * exp2(-(double)(next_random() % 50)); break;
        }
        if (x >= lo && x <= hi) return x;
    }
}

static double ulp_error(double got, long double want)
{
    double rounded = (double)want;
    if (got == rounded) return isinf(got) ? 0 : (double)fabsl((got - want) / DBL_TRUE_MIN) < 1 ? 0 :
        (double)(fabsl(got - want) / (long double)fmax(fabs(nextafter(rounded, INFINITY) - rounded), DBL_TRUE_MIN));
    if (isinf(rounded)) return fabs(got) == DBL_MAX && (got > 0) == (rounded > 0) ? 1 : INFINITY;
    if (!isfinite(got)) return (double)(fabsl(want) > 0.9999999999999998L * DBL_MAX ? 1 : INFINITY);
    int e;
    frexpl(want, &e); /* ulp of the binade of the exact value */
    long double ulp = ldexpl(1, e - 53 < -1074 ? -1074 : e - 53);
    return (double)(fabsl((long double)got - want) / ulp);
}

static void accuracy(const Function *f)
{
    enum { N = 1 << 18, BATCH = 64 };
    double worst = 0, at = 0;
    for (int i = 0; i < N; i += BATCH) {
        double x[BATCH], y[BATCH];
        for (int j = 0; j < BATCH; j++) x[j] = pick(f->lo, f->hi);
        f->f(y, x, BATCH);
        for (int j = 0; j < BATCH; j++) {
            double e = ulp_error(y[j], f->exact(x[j]));
            if (!(e <= worst)) worst = e, at = x[j];
        }
    }
    check(worst <= f->bound, "%s: at most %.3f ulp, allowed %.1f (at %.17g)", f->name, worst,
          f->bound, at);
}

static bool same(double a, double b)
{
    return (isnan(a) && isnan(b)) || !memcmp(&a, &b, sizeof a);
}

/* The C library follows annex F where the result is exact. */
static void special_values(const Function *f)
{
    static const double odd[] = {0.0, -0.0, INFINITY, -INFINITY, NAN, 1.0, -1.0, 0x1p-1074,
                                 -0x1p-1074, 0x1p-1022, -0x1.8p-1040, DBL_MAX, -DBL_MAX, 1e22,
                                 -2, 710.475, 745.2, -745.2, 800, -800, 1e5, 100000.1};
    enum { N = sizeof odd / sizeof odd[0] };
    double y[N];
    f->f(y, odd, N);
    int wrong = 0;
    for (int i = 0; i < N; i++) {
        double want = (double)f->exact(odd[i]);
        bool exact = !isfinite(want) || want == 0 || fabs(want) == 1;
        bool fine = exact ? same(y[i], want) : ulp_error(y[i], f->exact(odd[i])) <= f->bound;
        if (!fine) {
            wrong++;
            printf("     %s(%a) = %a, expected %a\n", f->name, odd[i], y[i], want);
        }
    }
    check(!wrong, "%s: special values (%d wrong)", f->name, wrong);
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
    check(!wrong, "%s: same bits in every batch (%d differ)", f->name, wrong);
}

static void bits_everywhere(void)
{ /* the same on every CPU level and compiler: a hash of own kernels' results */
    enum { OWN = 9, N = 4096 };
    static double x[N], y[N];
    uint64_t hash = 1469598103934665603u;
    state = 12345;
    for (int f = 0; f < OWN; f++) {
        bool trig = functions[f].f == lqm_sin || functions[f].f == lqm_cos;
        for (int i = 0; i < N; i++) /* no library call inside: products and sums only */
            x[i] = (functions[f].lo < -1 ? in_unit() - 0.5 : in_unit()) * (trig ? 1000 : 40);
        functions[f].f(y, x, N);
        for (int i = 0; i < N; i++) {
            uint64_t u;
            memcpy(&u, &y[i], 8);
            hash = (hash ^ u) * 1099511628211u;
        }
    }
    check(hash == 0x6713ec411d7b60e9u, "bits of the own kernels: %016llx", (unsigned long long)hash);
}

static void two_arguments(void)
{
    double x[9] = {1, -1, 0, 2, 0.5, -8, 1e300, 0, 3}, y[9] = {0.5, 2, 0, -1, 0, 3, 2, -1, NAN}, z[9];
    int wrong = 0;
    lqm_pow(z, x, y, 9);
    for (int i = 0; i < 9; i++) wrong += !same(z[i], pow(x[i], y[i]));
    lqm_atan2(z, x, y, 9);
    for (int i = 0; i < 9; i++) wrong += !same(z[i], atan2(x[i], y[i]));
    check(!wrong, "pow and atan2 take their arguments in order (%d wrong)", wrong);
}

int main(void)
{
    for (int i = 0; i < FUNCTIONS; i++) {
        accuracy(&functions[i]);
        special_values(&functions[i]);
        own_argument_only(&functions[i]);
    }
    two_arguments();
    bits_everywhere();
    return check_result();
}
