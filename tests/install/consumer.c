/* consumer.c — a program that uses the installed runtime: the mean of a thousand uniform
 * numbers with its error. */
#include <lqft/philox.h>
#include <lqft/stats.h>

#include <math.h>
#include <stdio.h>

int main(void)
{
    double series[1000];
    uint32_t chain = 0;
    for (int i = 0; i < 1000; i++) lq_rand_uniform(&series[i], 1, &chain, 7, (uint32_t)i, 0, 0, 0);
    int64_t length = 1000;
    GammaResult g;
    stats_gamma(series, 1, &length, 2, &g);
    printf("%.6f %.6f\n", g.value, g.error);
    return fabs(g.value - 0.5) < 5*g.error && fabs(g.error - sqrt(1/12.0/1000)) < 0.003 ? 0 : 1;
}
