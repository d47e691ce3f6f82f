/* leapfrog.c — what a person gets out of the machine for one update that matters: leapfrog
 * steps of two-dimensional φ⁴, L x L periodic, many chains.  Force, momentum and field in one
 * sweep; eight chains side by side in a vector; a block of eight runs its whole trajectory
 * before the next one starts, so that it stays in cache.
 *
 *   p'(x) = p(x) + k Σ φ(x ± μ) + φ(x) (a + b φ(x)²),     φ'(x) = φ(x) + ε p'(x)
 *
 * The field is updated in place by drifting: the new row y is stored one slot before the old
 * row y, where the old row y-1 is needed no more.  After a sweep the lattice lies one slot
 * further back in a ring of L + 2 slots.  Only row 0, which the last row still wants, is
 * copied (to the slot behind the last row).
 *
 *   leapfrog CHAINS STEPS REPEATS     prints Gsite-updates/s of CPU time, one number per repeat */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef double Vec __attribute__((vector_size(64)));
enum { L = 32, W = 8, SLOTS = L + 2 };

typedef struct Coef { double k, a, b, eps; } Coef;
/* Not a multiple of 4096 bytes apart: a load would wait for a store to the same place in another page. */
typedef struct Block { Vec field[SLOTS][L], apart[24], momentum[L][L]; int first; } Block;

static inline Vec splat(double x) { return x - (Vec){0}; }
static inline int slot(int i) { return i < 0 ? i + SLOTS : i >= SLOTS ? i - SLOTS : i; }

/* One site: left and here come in registers and move on. */
#define SITE(x, RIGHT)                                                   \
    do {                                                                 \
        Vec right = (RIGHT);                                             \
        Vec sum = (left + right) + (up[x] + down[x]);                    \
        Vec self = b * (here * here) + a;                                \
        Vec kick = k * sum + p[x];                                       \
        kick = here * self + kick;                                       \
        p[x] = kick;                                                     \
        to[x] = eps * kick + here;                                       \
        left = here, here = right;                                       \
    } while (0)

/* up = to: the row above is replaced by what is computed from it. */
static inline void row(Vec *restrict p, Vec *up, const Vec *restrict mid, const Vec *restrict down, Vec *to, Coef c) {
    Vec k = splat(c.k), a = splat(c.a), b = splat(c.b), eps = splat(c.eps);
    Vec left = mid[L - 1], here = mid[0], start = here;
    for (int x = 0; x < L - 1; x++) SITE(x, mid[x + 1]);
    SITE(L - 1, start);
}

static void sweep(Block *m, Coef c) {
    int f = m->first;
    memcpy(m->field[slot(f + L)], m->field[f], sizeof *m->field);
    row(m->momentum[0], m->field[slot(f + L - 1)], m->field[f], m->field[slot(f + 1)], m->field[slot(f - 1)], c);
    for (int y = 1; y < L; y++) {
        Vec *up = m->field[slot(f + y - 1)];
        row(m->momentum[y], up, m->field[slot(f + y)], m->field[slot(f + y + 1)], up, c);
    }
    m->first = slot(f - 1);
}

/* The same, as one would write it down. */
static void plain(double *phi, double *p, Coef c) {
    static double next[L * L];
    for (int y = 0; y < L; y++)
        for (int x = 0; x < L; x++) {
            double h = phi[y * L + x];
            double sum = (phi[y * L + (x + L - 1) % L] + phi[y * L + (x + 1) % L]) + (phi[(y + L - 1) % L * L + x] + phi[(y + 1) % L * L + x]);
            p[y * L + x] += c.k * sum + h * (c.a + c.b * h * h);
            next[y * L + x] = h + c.eps * p[y * L + x];
        }
    memcpy(phi, next, sizeof next);
}

static double start_value(int chain, int site) { return sin(1.0 + 0.37 * site + 1.3 * chain); }

static void fill(Block *m, int number) {
    memset(m, 0, sizeof *m);
    for (int i = 0; i < L * L; i++)
        for (int l = 0; l < W; l++) m->field[i / L][i % L][l] = start_value(number * W + l, i);
}

static int correct(Block *m, Coef c) {
    static double phi[L * L], p[L * L];
    double worst = 0;
    fill(m, 0);
    for (int i = 0; i < L * L; i++) phi[i] = start_value(3, i), p[i] = 0;
    for (int s = 0; s < 2 * SLOTS + 1; s++) sweep(m, c), plain(phi, p, c);
    for (int i = 0; i < L * L; i++) worst = fmax(worst, fabs(m->field[slot(m->first + i / L)][i % L][3] - phi[i]));
    return worst < 1e-10;
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
    int chains = argc > 1 ? atoi(argv[1]) : 8, steps = argc > 2 ? atoi(argv[2]) : 1000, repeats = argc > 3 ? atoi(argv[3]) : 5;
    int blocks = (chains + W - 1) / W;
    double eps = 1e-4, kappa = 0.21, lambda = 0.022;
    Coef c = {2 * kappa * eps, -2 * (1 - 2 * lambda) * eps, -4 * lambda * eps, eps};
    Block *m = aligned_alloc(64, (size_t)blocks * sizeof *m);
    if (!m || !correct(m, (Coef){0.01, -0.02, -0.005, 0.05})) { fprintf(stderr, "leapfrog: wrong\n"); return 1; }
    for (int i = 0; i < blocks; i++) fill(&m[i], i);
    for (int r = -1; r < repeats; r++) {           /* the first is not counted */
        double t = cpu_seconds();
        for (int i = 0; i < blocks; i++)
            for (int s = 0; s < steps; s++) sweep(&m[i], c);
        t = cpu_seconds() - t;
        if (r >= 0) printf("%.4f\n", 1e-9 * steps * blocks * W * L * L / t);
    }
    free(m);
    return 0;
}
