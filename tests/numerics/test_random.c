/* test_random.c — are the numbers random?  Tests in the manner of TestU01's SmallCrush
 * (L'Ecuyer and Simard, ACM Trans. Math. Softw. 33 (2007) 22; the program itself, which
 * Debian has no package of, is called by smallcrush.c), on uniform numbers and on normal ones brought to uniform by their
 * distribution function, taken in the order of each argument: what is a counter to the
 * generator must not show.
 *
 * Each test gives a probability p of a result as extreme; p or 1 - p below 1e-6 fails.
 * There are 18 streams with 10 tests: correct numbers fail one of them with probability
 * below 3.6e-4, and the seed is fixed. */
#include "../../runtime/philox.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

enum { N = 1 << 20 };
#define LEAST 1e-6

static double u[N];
static const char *stream;

/* ---- probabilities ------------------------------------------------------------------------ */

/* Q(a, x), the upper regularised incomplete gamma function, for chi-squared. */
static double gamma_q(double a, double x)
{
    if (x <= 0) return 1;
    double front = exp(a * log(x) - x - lgamma(a));
    if (x < a + 1) {
        double term = 1 / a, sum = term;
        for (double n = a + 1; fabs(term) > 1e-16 * sum; n++) sum += term *= x / n;
        return 1 - front * sum;
    }
    double b = x + 1 - a, c = 1e300, d = 1 / b, h = d;
    for (int i = 1; i < 100000; i++) {
        double an = -i * (i - a);
        b += 2;
        d = 1 / (an * d + b);
        c = b + an / c;
        h *= d * c;
        if (fabs(d * c - 1) < 1e-15) break;
    }
    return front * h;
}

static void judge(const char *test, double p)
{
    check(p > LEAST && p < 1 - LEAST, "%s: %s, p = %.6f", stream, test, p);
}

static void judge_normal(const char *test, double z)
{
    judge(test, 0.5 * erfc(z / sqrt(2)));
}

static void judge_counts(const char *test, int ncells, const double *count, const double *expected)
{
    double chi2 = 0;
    for (int i = 0; i < ncells; i++) chi2 += (count[i] - expected[i]) * (count[i] - expected[i]) / expected[i];
    judge(test, gamma_q(0.5 * (ncells - 1), 0.5 * chi2));
}

static void judge_equal_counts(const char *test, int ncells, const double *count, double total)
{
    double *expected = malloc((size_t)ncells * sizeof *expected);
    for (int i = 0; i < ncells; i++) expected[i] = total / ncells;
    judge_counts(test, ncells, count, expected);
    free(expected);
}

/* ---- tests on u[0 … N - 1] ---------------------------------------------------------------------- */

static int cell(double x, int n)
{
    int i = (int)(x * n);
    return i < n ? i : n - 1;
}

static void frequency(void)
{
    enum { CELLS = 4096 };
    static double count[CELLS];
    memset(count, 0, sizeof count);
    for (int i = 0; i < N; i++) count[cell(u[i], CELLS)]++;
    judge_equal_counts("frequency", CELLS, count, N);
}

/* The bits 20 to 31 of the fraction: what frequency does not see. */
static void low_bits(void)
{
    enum { CELLS = 4096 };
    static double count[CELLS];
    memset(count, 0, sizeof count);
    for (int i = 0; i < N; i++) count[(int)((uint64_t)(u[i] * 0x1p32) & (CELLS - 1))]++;
    judge_equal_counts("low bits", CELLS, count, N);
}

/* Cells of d neighbours, in pairs at distance `lag`. */
static void serial_pairs(const char *name, int lag)
{
    enum { SIDE = 64 };
    static double count[SIDE * SIDE];
    memset(count, 0, sizeof count);
    double total = 0;
    for (int i = 0; i + lag < N; i += i % lag == lag - 1 ? lag + 1 : 1, total++)
        count[cell(u[i], SIDE) * SIDE + cell(u[i + lag], SIDE)]++;
    judge_equal_counts(name, SIDE * SIDE, count, total);
}

static void triples(void)
{
    enum { SIDE = 16 };
    static double count[SIDE * SIDE * SIDE];
    memset(count, 0, sizeof count);
    for (int i = 0; i + 3 <= N; i += 3) count[(cell(u[i], SIDE) * SIDE + cell(u[i + 1], SIDE)) * SIDE + cell(u[i + 2], SIDE)]++;
    judge_equal_counts("triples", SIDE * SIDE * SIDE, count, N / 3);
}

/* Lengths of the gaps between values below 1/8. */
static void gaps(void)
{
    enum { MOST = 60 };
    double count[MOST + 1] = {0}, expected[MOST + 1], total = 0, q = 1;
    for (int i = 0, length = 0; i < N; i++) {
        if (u[i] >= 0.125) { length++; continue; }
        count[length < MOST ? length : MOST]++, total++;
        length = 0;
    }
    for (int k = 0; k <= MOST; k++, q *= 0.875) expected[k] = total * (k < MOST ? 0.125 * q : q);
    judge_counts("gaps", MOST + 1, count, expected);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The largest of eight: its eighth power is uniform; Kolmogorov and Smirnov. */
static void largest_of_eight(void)
{
    static double largest[N / 8];
    double d = 0;
    for (int i = 0; i < N / 8; i++) {
        double m = 0;
        for (int k = 0; k < 8; k++) m = fmax(m, u[8 * i + k]);
        largest[i] = pow(m, 8);
    }
    qsort(largest, N / 8, sizeof *largest, ascending);
    for (int i = 0; i < N / 8; i++) d = fmax(d, fmax((i + 1.0) / (N / 8) - largest[i], largest[i] - (double)i / (N / 8)));
    double t = d * sqrt(N / 8), p = 0;
    for (int k = 1; k < 100; k++) p += (k % 2 ? 2 : -2) * exp(-2 * k * k * t * t);
    judge("largest of eight", t < 0.3 ? 1 - 1e-5 : p);
}

/* Marsaglia's birthday spacings: 4096 days out of 2^32 a year, repeated spacings are Poisson with
 * mean n^3/(4 year) = 4; the sum over all years. */
static void birthdays(void)
{
    enum { DAYS = 4096 };
    static double day[DAYS];
    double repeats = 0, mean = 0;
    for (int y = 0; y < N / DAYS; y++) {
        for (int i = 0; i < DAYS; i++) day[i] = floor(u[y * DAYS + i] * 0x1p32);
        qsort(day, DAYS, sizeof *day, ascending);
        for (int i = DAYS - 1; i > 0; i--) day[i] -= day[i - 1];
        qsort(day, DAYS, sizeof *day, ascending);
        for (int i = 1; i < DAYS; i++) repeats += day[i] == day[i - 1];
        mean += 4;
    }
    judge("birthday spacings", 1 - gamma_q(repeats + 0.5, mean));
}

/* The order of five neighbours. */
static void permutations(void)
{
    double count[120] = {0};
    for (int i = 0; i + 5 <= N; i += 5) {
        int number = 0;
        for (int a = 0; a < 5; a++) {
            int smaller = 0;
            for (int b = a + 1; b < 5; b++) smaller += u[i + b] < u[i + a];
            number = number * (5 - a) + smaller;
        }
        count[number]++;
    }
    judge_equal_counts("permutations", 120, count, N / 5);
}

/* Correlation of the numbers of ones in the first 32 bits of neighbours. */
static void hamming(void)
{
    double sum = 0;
    for (int i = 0; i + 1 < N; i++)
        sum += (__builtin_popcount((uint32_t)(u[i] * 0x1p32)) - 16.0) * (__builtin_popcount((uint32_t)(u[i + 1] * 0x1p32)) - 16.0);
    judge_normal("weights of neighbours", sum / (8 * sqrt(N - 1)));
}

static void all_tests(void)
{
    frequency();
    low_bits();
    serial_pairs("pairs of neighbours", 1);
    serial_pairs("pairs four apart", 4);
    triples();
    gaps();
    largest_of_eight();
    birthdays();
    permutations();
    hamming();
}

/* ---- streams -------------------------------------------------------------------------------------- */

enum { UNIFORM, NORMAL, NORMAL_SINGLE };

static void draw(int kind, double *out, int lanes, const uint32_t *chains, const uint32_t *a, int64_t n)
{
    static float x[N];
    if (kind == NORMAL_SINGLE) lq_rand_normals_single(x, lanes, chains, a[2], a[3], a[4], a[5], a[0], 0, 1, n);
    else lq_rand_spread(out, kind == NORMAL, lanes, chains, a[2], a[3], a[4], a[5], a[0], 0, n);
    for (int64_t i = 0; i < n * lanes && kind == NORMAL_SINGLE; i++) out[i] = (double)x[i];
}

/* Value i counts argument `which` up from zero: 0 site, 1 chain, 2 seed, 3 step, 4 draw, 5 iteration. */
static void fill(int kind, int which)
{
    for (uint32_t i = 0; i < N; i += 16) {
        uint32_t a[6] = {0, 12, 1, 5, 3, 0}, chains[16];
        for (uint32_t l = 0; l < 16; l++) chains[l] = i + l;
        if (which == 1) draw(kind, u + i, 16, chains, a, 1);
        for (uint32_t l = 0; l < 16 && which > 1; l++) {
            a[which] = i + l;
            draw(kind, u + i + l, 1, &a[1], a, 1);
        }
    }
    if (which == 0) draw(kind, u, 1, &(uint32_t){12}, (uint32_t[]){0, 12, 1, 5, 3, 0}, N);
    for (int i = 0; i < N && kind != UNIFORM; i++) u[i] = 0.5 * erfc(-u[i] / sqrt(2));
}

int main(void)
{
    static const char *const order[] = {"sites", "chains", "seeds", "steps", "draws", "iterations"};
    static const char *const kinds[] = {"uniform", "normal", "single normal"};
    for (int kind = 0; kind < 3; kind++)
        for (int which = 0; which < 6; which++) {
            char name[64];
            snprintf(name, sizeof name, "%s numbers over %s", kinds[kind], order[which]);
            stream = name;
            fill(kind, which);
            all_tests();
        }
    return check_result();
}
