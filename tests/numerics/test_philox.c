/* test_philox.c — known answers, distribution, and that a number depends on its
 * counter alone. */
#include "../../runtime/philox.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

/* the vectors published with Random123 for philox 4x32, 10 rounds */
static void known_answers(void)
{
    static const struct { uint32_t key[2], ctr[4], out[4]; } known[] = {
        {{0, 0}, {0, 0, 0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u}, {~0u, ~0u, ~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0xa4093822, 0x299f31d0},
         {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        philox4x32(known[i].key, known[i].ctr, out);
        check(!memcmp(out, known[i].out, sizeof out), "published vector %d: %08x %08x %08x %08x",
              i, out[0], out[1], out[2], out[3]);
    }
}

/* The two sites of a block, as philox.h defines it, from the plain block function. */
static void defined_pair(const uint32_t key[2], const uint32_t ctr[4], double u[2], long double z[2])
{
    const uint64_t mask = (UINT64_C(1) << 52) - 1;
    uint32_t w[4];
    philox4x32(key, ctr, w);
    uint64_t lo = (uint64_t)w[1] << 32 | w[0], hi = (uint64_t)w[3] << 32 | w[2];
    u[0] = ((double)(lo & mask) + 0.5) * 0x1p-52;
    u[1] = ((double)(hi & mask) + 0.5) * 0x1p-52;
    long double radius = sqrtl(-2 * logl(u[0])), angle = ((double)(hi & mask) * 0x1p-52 - 0.5) * acosl(-1) / 2;
    long double c = radius * cosl(angle) * (hi >> 62 & 1 ? -1 : 1), s = radius * sinl(angle);
    z[0] = hi >> 63 ? s : c;
    z[1] = hi >> 63 ? c : s;
}

static void definition(void)
{
    int wrong_u = 0;
    double worst = 0;
    for (uint32_t s = 0; s < 5000; s++) {
        uint32_t key[2] = {~s * 2654435761u, s * 40503u + 7};
        uint32_t ctr[4] = {(s * 77777777u) >> 1, ~s, s << 20, s ^ 0xdeadbeef};
        double u[2], want_u[2], z[2], row[64];
        long double want[2];
        defined_pair(key, ctr, want_u, want);
        uint32_t site = 4 * (ctr[0] / 2) + ctr[0] % 2;
        for (uint32_t half = 0; half < 2; half++) {
            lq_rand_uniform(&u[half], 1, &key[1], key[0], ctr[1], ctr[2], ctr[3], site + 2 * half);
            lq_rand_normal(&z[half], 1, &key[1], key[0], ctr[1], ctr[2], ctr[3], site + 2 * half);
            if (u[half] != want_u[half]) wrong_u++;
            double ulp = fabs(nextafter(z[half], 10 * z[half]) - z[half]);
            worst = fmax(worst, fabs((double)(z[half] - want[half])) / ulp);
        }
        lq_rand_fill_normal(row, 1, &key[1], key[0], ctr[1], ctr[2], ctr[3], site, 64);
        if (memcmp(&row[0], &z[0], sizeof *z) || memcmp(&row[2], &z[1], sizeof *z)) wrong_u++;
    }
    check(!wrong_u, "uniform is (k + 1/2)/2^52 of its word (%d of 10000 differ)", wrong_u);
    /* 2 ulp of the logarithm are 1 of its root, rounded ½; 1.5 of sine or cosine; ½ of the product */
    check(worst < 4, "normal is Box-Muller of words 0..3 (off by %.2f units in the last place)", worst);
}

enum { SITES = 700 };

static int differing(bool normal, int lanes, uint32_t site0, const uint32_t *chains, const double *all)
{
    static double part[SITES * 16];
    int wrong = 0;
    for (int first = 0; first + lanes <= 16; first += lanes) {
        (normal ? lq_rand_fill_normal : lq_rand_fill_uniform)(part, lanes, chains + first, 9, 8, 7, 6, site0, SITES);
        for (int s = 0; s < SITES; s++) {
            double one[16];
            (normal ? lq_rand_normal : lq_rand_uniform)(one, lanes, chains + first, 9, 8, 7, 6, site0 + (uint32_t)s);
            for (int l = 0; l < lanes; l++)
                wrong += memcmp(&all[s * 16 + first + l], &part[s * lanes + l], 8) != 0 ||
                         memcmp(&all[s * 16 + first + l], &one[l], 8) != 0;
        }
    }
    return wrong;
}

/* From even and odd sites, and over the end of the counters. */
static void any_grouping(void)
{
    static const uint32_t starts[] = {0, 7, UINT32_MAX - 100};
    static double all[SITES * 16];
    uint32_t chains[16];
    for (int l = 0; l < 16; l++) chains[l] = 1000u * (uint32_t)l + 3;
    for (int normal = 0; normal < 2; normal++)
        for (int start = 0; start < 3; start++) {
            int wrong = 0;
            (normal ? lq_rand_fill_normal : lq_rand_fill_uniform)(all, 16, chains, 9, 8, 7, 6, starts[start], SITES);
            for (int lanes = 1; lanes <= 16; lanes++) wrong += differing(normal, lanes, starts[start], chains, all);
            check(!wrong, "%s from site %u: 1 to 16 lanes, filled and single, same bits (%d differ)",
                  normal ? "normal" : "uniform", starts[start], wrong);
        }
}

/* Sites and lanes some sites apart: against single values, over all parities and lengths. */
static void lanes_apart(void)
{
    static double row[40 * 16];
    uint32_t chains[16];
    int wrong = 0;
    for (int l = 0; l < 16; l++) chains[l] = 77;
    for (int k = 0; k < 4000; k++) {
        int lanes = (int[]){1, 2, 4, 8, 16}[k % 5], nsites = k / 5 % 40;
        uint32_t apart = (uint32_t)k / 7 % 13, site0 = (uint32_t)k / 3 % 5 + (k % 100 ? 0 : UINT32_MAX - 20);
        uint32_t every = k % 3 ? (uint32_t)k / 11 % 6 : 1;
        for (int i = 0; i < 40 * 16; i++) row[i] = 99;
        if (every == 1) lq_rand_spread(row, k & 1, lanes, chains, 1, 2, 3, 4, site0, apart, nsites);
        else lq_rand_every(row, k & 1, lanes, chains, 1, 2, 3, 4, site0, apart, every, nsites);
        for (int s = 0; s < 40; s++)
            for (int l = 0; l < lanes; l++) {
                double want = 99;
                if (s < nsites) (k & 1 ? lq_rand_normal : lq_rand_uniform)(&want, 1, chains, 1, 2, 3, 4, site0 + (uint32_t)s * every + (uint32_t)l * apart);
                wrong += memcmp(&want, &row[s * lanes + l], 8) != 0;
            }
    }
    check(!wrong, "sites and lanes some sites apart: the values of their sites, and nothing else is written (%d differ)", wrong);
}

/* ---- normal numbers of single precision ------------------------------------------------------- */

static void singles(float *out, int lanes, const uint32_t *chains, uint32_t site0, uint32_t apart, uint32_t every, int64_t n)
{
    lq_rand_normals_single(out, lanes, chains, 9, 8, 7, 6, site0, apart, every, n);
}

/* Two numbers as philox.h defines them, from two words. */
static void defined_single(uint32_t a, uint32_t b, double *first, double *second)
{
    float u = (float)(((double)(float)(a / 2) + 0.5) * 0x1p-31), f = (float)(((int32_t)(b << 2) >> 2) * 0x1p-30);
    double most = 1 - 0x1p-24, radius = sqrt(-2 * log(u < most ? u : most)), angle = f * acos(-1) / 2;
    double c = radius * cos(angle) * (b >> 30 & 1 ? -1 : 1), s = radius * sin(angle);
    *first = b >> 31 ? s : c, *second = b >> 31 ? c : s;
}

static void single_definition(void)
{
    double worst = 0, largest = 0;
    for (uint32_t k = 0; k < 400000; k++) {
        uint32_t key[2] = {9, 12345}, ctr[4] = {k, 8, 7, 6}, w[4];
        double want[4];
        float got[4];
        philox4x32(key, ctr, w);
        defined_single(w[0], w[1], &want[0], &want[2]);
        defined_single(w[2], w[3], &want[1], &want[3]);
        singles(got, 1, &key[1], 4 * k, 0, 1, 4);
        for (int i = 0; i < 4; i++) {
            worst = fmax(worst, fabs((double)got[i] / want[i] - 1) * 0x1p24);
            largest = fmax(largest, fabs(want[i]));
        }
    }
    /* In 2^-24, which a rounding is off by at most: 4 of the logarithm (division and sum in front of the
     * polynomial, product and sum after it) are 2 of its root, rounded 1; 3 of sine or cosine; 1 of the product. */
    check(worst < 7, "single precision: Box-Muller of two words (off by %.2f*2^-24)", worst);
    check(largest > 4.5 && largest < 6.67, "single precision: as far out as 1.6 million numbers go, and no further (%.2f)", largest);
}

/* Any lanes, lengths, starts and distances, against numbers drawn one by one. */
static void single_grouping(void)
{
    enum { ROWS = 150 };
    static float row[ROWS * 16];
    uint32_t chains[16];
    int wrong = 0;
    for (int l = 0; l < 16; l++) chains[l] = 31u * (uint32_t)l;
    for (int k = 0; k < 6000; k++) {
        int lanes = k % 4 ? (int[]){1, 8, 16, 2}[k / 4 % 4] : 1 + k / 4 % 16, nsites = k / 3 % ROWS;
        uint32_t apart = k % 5 ? (uint32_t)k / 7 % 13 : 0, every = k % 3 ? 1 : 1 + (uint32_t)k / 11 % 5;
        uint32_t site0 = k % 2 ? 4 * ((uint32_t)k / 2) : (uint32_t)k / 3 % 9 + (k % 50 ? 0 : UINT32_MAX - 60);
        for (int i = 0; i < ROWS * 16; i++) row[i] = 99;
        singles(row, lanes, chains, site0, apart, every, nsites);
        for (int s = 0; s < ROWS; s++)
            for (int l = 0; l < lanes; l++) {
                float want = 99;
                if (s < nsites) singles(&want, 1, &chains[l], site0 + (uint32_t)s * every + (uint32_t)l * apart, 0, 1, 1);
                wrong += memcmp(&want, &row[s * lanes + l], sizeof want) != 0;
            }
    }
    check(!wrong, "single precision: any lanes and distances, the same bits, and nothing else is written (%d differ)", wrong);
}

static void every_argument_counts(void)
{
    uint32_t a[7] = {5, 5, 5, 5, 5, 5, 5};
    double first, other;
    lq_rand_normal(&first, 1, &a[0], a[1], a[2], a[3], a[4], a[5]);
    for (int i = 0; i < 6; i++) {
        a[i] ^= 1u << 31;
        lq_rand_normal(&other, 1, &a[0], a[1], a[2], a[3], a[4], a[5]);
        check(other != first, "argument %d changes the number", i);
        a[i] ^= 1u << 31;
    }
}

/* Moments of n values against their exact ones, in standard errors. */
static void moments(void)
{
    enum { N = 1 << 20 };
    double *x = malloc(N * sizeof *x), lowest = 1, highest = 0;
    uint32_t chain = 0;
    double m[5] = {0}, lag = 0, u1 = 0, u2 = 0;
    lq_rand_fill_normal(x, 1, &chain, 1, 0, 0, 0, 0, N);
    for (int i = 0; i < N; i++) {
        for (int k = 1; k <= 4; k++) m[k] += pow(x[i], k) / N;
        if (i) lag += x[i] * x[i - 1] / N;
    }
    double r = sqrt(N);
    check(fabs(m[1]) * r < 4.5, "normal mean is 0 (%.2f sigma)", m[1] * r);
    check(fabs(m[2] - 1) * r / sqrt(2) < 4.5, "normal variance is 1 (%.2f sigma)", (m[2] - 1) * r / sqrt(2));
    check(fabs(m[3]) * r / sqrt(15) < 4.5, "third moment is 0 (%.2f sigma)", m[3] * r / sqrt(15));
    check(fabs(m[4] - 3) * r / sqrt(96) < 4.5, "fourth moment is 3 (%.2f sigma)", (m[4] - 3) * r / sqrt(96));
    check(fabs(lag) * r < 4.5, "neighbours are uncorrelated (%.2f sigma)", lag * r);
    lq_rand_fill_uniform(x, 1, &chain, 1, 0, 0, 0, 0, N);
    for (int i = 0; i < N; i++) {
        u1 += x[i] / N;
        u2 += x[i] * x[i] / N;
        lowest = fmin(lowest, x[i]);
        highest = fmax(highest, x[i]);
    }
    check(fabs(u1 - 0.5) * r * sqrt(12) < 4.5, "uniform mean is 1/2");
    check(fabs(u2 - 1.0 / 3) * r * sqrt(45.0 / 4) < 4.5, "uniform second moment is 1/3");
    check(lowest > 0 && highest < 1, "uniform lies inside (0, 1): %g to 1 - %g", lowest, 1 - highest);
    free(x);
}

int main(void)
{
    known_answers();
    definition();
    any_grouping();
    lanes_apart();
    single_definition();
    single_grouping();
    every_argument_counts();
    moments();
    return check_result();
}
