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

/* The vectorised block against the plain one, through the definition in philox.h. */
static void definition(void)
{
    int wrong_u = 0;
    double worst = 0;
    for (uint32_t s = 0; s < 5000; s++) {
        uint32_t key[2] = {~s * 2654435761u, s * 40503u + 7}, w[4];
        uint32_t ctr[4] = {s * 77777777u, ~s, s << 20, s ^ 0xdeadbeef};
        double u, z;
        philox4x32(key, ctr, w);
        lq_rand_uniform(&u, 1, &key[1], key[0], ctr[1], ctr[2], ctr[3], ctr[0]);
        lq_rand_normal(&z, 1, &key[1], key[0], ctr[1], ctr[2], ctr[3], ctr[0]);
        uint64_t mask = (UINT64_C(1) << 52) - 1;
        double u1 = ((double)(((uint64_t)w[1] << 32 | w[0]) & mask) + 0.5) * 0x1p-52;
        double u2 = ((double)(((uint64_t)w[3] << 32 | w[2]) & mask) + 0.5) * 0x1p-52;
        if (u != u1) wrong_u++;
        long double exact = sqrtl(-2 * logl(u1)) * cosl(2 * acosl(-1) * u2);
        worst = fmax(worst, fabs((double)(z - exact)));
    }
    check(!wrong_u, "uniform is (k + 1/2)/2^52 of words 0, 1 (%d of 5000 differ)", wrong_u);
    check(worst < 3e-15, "normal is Box-Muller of words 0..3 (off by %.1e)", worst);
}

enum { SITES = 700 };

static void any_grouping(void)
{
    static double all[SITES * 16], part[SITES * 16];
    uint32_t chains[16];
    for (int l = 0; l < 16; l++) chains[l] = 1000u * (uint32_t)l + 3;
    for (int normal = 0; normal < 2; normal++) {
        (normal ? lq_rand_fill_normal : lq_rand_fill_uniform)(all, 16, chains, 9, 8, 7, 6,
                                                             UINT32_MAX - 100, SITES);
        for (int lanes = 1; lanes <= 16; lanes++) {
            int wrong = 0;
            for (int first = 0; first + lanes <= 16; first += lanes) {
                (normal ? lq_rand_fill_normal : lq_rand_fill_uniform)(
                    part, lanes, chains + first, 9, 8, 7, 6, UINT32_MAX - 100, SITES);
                for (int s = 0; s < SITES; s++) {
                    double one[16];
                    (normal ? lq_rand_normal : lq_rand_uniform)(one, lanes, chains + first, 9, 8, 7,
                                                               6, UINT32_MAX - 100 + (uint32_t)s);
                    for (int l = 0; l < lanes; l++)
                        wrong += memcmp(&all[s * 16 + first + l], &part[s * lanes + l], 8) != 0 ||
                                 memcmp(&all[s * 16 + first + l], &one[l], 8) != 0;
                }
            }
            check(!wrong, "%s: %d lanes, filled and single, same bits as 16 (%d differ)",
                  normal ? "normal" : "uniform", lanes, wrong);
        }
    }
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
    every_argument_counts();
    moments();
    return check_result();
}
