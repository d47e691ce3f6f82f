/* draw.c — a model as a library, from C.
 *
 *     lqft build examples/phi4.lqft --shared -o libphi4.so
 *     cc -I runtime/standalone examples/library/draw.c ./libphi4.so -o draw && ./draw
 *
 * Prints <phi^2> of phi^4 theory at another coupling than the model's own, and tests the gradient of the
 * action against a difference. */
#include "lqft_sampler.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int give_up(lqft_sampler *s) {
    fprintf(stderr, "%s\n", lqft_error(s));
    lqft_close(s);
    return 1;
}

int main(void) {
    lqft_sampler *s = lqft_open(7);
    if (!s || lqft_set(s, "kappa", 0.2) || lqft_set(s, "chains", 16) || lqft_set(s, "draws", 200)) return give_up(s);
    int64_t n = lqft_size(s, "phi"), chains = 16, sites = n / chains;
    double *phi = malloc((size_t)n * sizeof *phi), *force = malloc((size_t)sites * sizeof *force), sum = 0;
    int draws = 0, more;
    while ((more = lqft_draw(s)) > 0) {
        lqft_get(s, "phi", phi);
        for (int64_t k = 0; k < n; k++) sum += phi[k] * phi[k];
        draws++;
    }
    if (more < 0) return give_up(s);
    printf("<phi^2> = %.4f from %d draws of %d chains, acceptance %.2f\n", sum / ((double)draws * (double)n), draws, (int)chains, lqft_acceptance(s));

    double *const out[] = {force}, h = 1e-6, up, down;
    const double *const in[] = {phi};
    lqft_gradient(s, in, out);
    phi[5] += h, lqft_action(s, in, &up);
    phi[5] -= 2 * h, lqft_action(s, in, &down);
    double off = fabs((up - down) / (2 * h) - force[5]);
    printf("dS/dphi[5] = %.6f, a difference is off by %.1e\n", force[5], off);
    free(phi), free(force);
    lqft_close(s);
    return off < 1e-5 ? 0 : 1;
}
