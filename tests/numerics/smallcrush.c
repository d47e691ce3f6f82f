/* smallcrush.c — SmallCrush of TestU01 (L'Ecuyer and Simard, ACM Trans. Math. Softw. 33 (2007) 22) on the
 * path that runs take: uniform numbers, normal ones and single-precision normal ones brought to uniform by
 * their distribution function; in the order of sites, then steps, and of chains, then steps.  Built where
 * TestU01 is installed, which Debian has no package of:
 *
 *     cc -O2 -Iruntime tests/numerics/smallcrush.c LIBRARY -ltestu01 -lprobdist -lmylib -lm
 *
 * Each of 6 batteries gives 15 p-values; one outside [1e-6, 1 - 1e-6] fails: 1.8e-4 for good numbers. */
#include "../../runtime/philox.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bbattery.h>
#include <swrite.h>
#include <unif01.h>

enum { UNIFORM, NORMAL, NORMAL_SINGLE, KINDS };
enum { SITES = 1 << 16, LANES = 16 };
#define LEAST 1e-6

static double numbers[SITES];
static int kind, by_chain, at = SITES;
static uint32_t step;

static void fill(void)
{
    static float single[SITES];
    uint32_t chains[LANES];
    int64_t n = by_chain ? 1 : SITES;
    int lanes = by_chain ? LANES : 1;
    for (int first = 0; first < SITES; first += (int)n * lanes) {
        for (int l = 0; l < lanes; l++) chains[l] = by_chain ? (uint32_t)(first + l) : 0;
        if (kind == NORMAL_SINGLE) lq_rand_normals_single(single + first, lanes, chains, 7, step, 0, 0, 0, 0, 1, n);
        else lq_rand_spread(numbers + first, kind == NORMAL, lanes, chains, 7, step, 0, 0, 0, 0, n);
    }
    for (int i = 0; i < SITES && kind != UNIFORM; i++) numbers[i] = erfc(-(kind == NORMAL_SINGLE ? (double)single[i] : numbers[i]) / sqrt(2)) / 2;
    step++;
    at = 0;
}

/* A float has 24 digits, and SmallCrush looks at up to 30: what is below them is drawn from another generator. */
static double next(void)
{
    static uint64_t other = 1;
    if (at == SITES) fill();
    double x = numbers[at++];
    if (kind == NORMAL_SINGLE) {
        other = other * 6364136223846793005u + 1442695040888963407u;
        x += ((double)(other >> 11) / 9007199254740992.0 - 0.5) * 0x1p-22;
        x -= floor(x);
    }
    return x < 1 ? x : 0;
}

int main(void)
{
    static const char *const kinds[] = {"uniform", "normal", "single normal"};
    int failures = 0, values = 0;
    swrite_Basic = FALSE;
    for (kind = 0; kind < KINDS; kind++)
        for (by_chain = 0; by_chain < 2; by_chain++) {
            char name[64];
            double worst = 0.5;
            snprintf(name, sizeof name, "%s numbers over %s", kinds[kind], by_chain ? "chains, steps" : "sites, steps");
            unif01_Gen *g = unif01_CreateExternGen01(name, next);
            at = SITES, step = 0;
            bbattery_SmallCrush(g);
            unif01_DeleteExternGen01(g);
            for (int i = 0; i < bbattery_NTests; i++) {
                double p = bbattery_pVal[i];
                if (p < LEAST || p > 1 - LEAST) failures++, printf("FAIL %s: %s: p = %.3g\n", name, bbattery_TestNames[i], p);
                if (fmin(p, 1 - p) < worst) worst = fmin(p, 1 - p);
                values++;
            }
            printf("%-40s %d p-values, the most extreme %.2g\n", name, bbattery_NTests, worst);
        }
    printf("%d p-values, %d failures\n", values, failures);
    return failures != 0;
}
