/* chains2d.c — leapfrog steps of two-dimensional φ⁴ by hand, L x L periodic, many chains:
 * NV vectors of chains side by side, force, momentum and field in one sweep; a block of
 * chains runs its whole trajectory before the next one starts, so that it stays in cache.
 *
 * The field is updated in place by drifting: the new row y is stored one slot before the old
 * row y, where the old row y-1 is needed no more.  After a sweep the lattice lies one slot
 * further back in a ring of L + 2 slots.  Only row 0, which the last row still wants, is
 * copied (to the slot behind the last row).
 *
 *   chains2d rate REPEATS CHAINS STEPS */
#include "hand.h"

#ifndef NV
#define NV 1
#endif
enum { L = 32, SLOTS = L + 2 };

typedef struct Site { Vec v[NV]; } Site;
/* Not a multiple of 4096 bytes apart: a load would wait for a store to the same place in another page. */
typedef struct Block { Site field[SLOTS][L]; Vec apart[24]; Site momentum[L][L]; int first; } Block;

static inline int slot(int i) { return i < 0 ? i + SLOTS : i >= SLOTS ? i - SLOTS : i; }

/* up = to: the row above is replaced by what is computed from it. */
INLINE void row(Site *restrict p, Site *up, const Site *restrict mid, const Site *restrict down, Site *to, Coef c) {
    Vec k = splat(c.k), a = splat(c.a), b = splat(c.b), eps = splat(c.eps);
    Site left = mid[L - 1], here = mid[0], start = here;
#define SITE(x, RIGHT)                                                          \
    do {                                                                        \
        _Pragma("GCC unroll 4") for (int j = 0; j < NV; j++) {                  \
            Vec right = (RIGHT).v[j], h = here.v[j];                            \
            Vec sum = (left.v[j] + right) + (up[x].v[j] + down[x].v[j]);        \
            Vec kick = h * (b * (h * h) + a) + (k * sum + p[x].v[j]);           \
            p[x].v[j] = kick;                                                   \
            to[x].v[j] = eps * kick + h;                                        \
            left.v[j] = h, here.v[j] = right;                                   \
        }                                                                       \
    } while (0)
#pragma GCC unroll 2
    for (int x = 0; x < L - 1; x++) SITE(x, mid[x + 1]);
    SITE(L - 1, start);
#undef SITE
}

static void sweep(Block *m, Coef c) {
    int f = m->first;
    memcpy(m->field[slot(f + L)], m->field[f], sizeof *m->field);
    row(m->momentum[0], m->field[slot(f + L - 1)], m->field[f], m->field[slot(f + 1)], m->field[slot(f - 1)], c);
    for (int y = 1; y < L; y++) {
        Site *up = m->field[slot(f + y - 1)];
        row(m->momentum[y], up, m->field[slot(f + y)], m->field[slot(f + y + 1)], up, c);
    }
    m->first = slot(f - 1);
}

/* Chain 0 stands in lane 3 of the last vector; the others start elsewhere. */
static void fill(Block *m) {
    m->first = 0;
    for (int i = 0; i < L * L; i++)
        for (int j = 0; j < NV; j++)
            for (int l = 0; l < W; l++) {
                Real apart = j == NV - 1 && l == 3 ? 1 : (Real)(0.5 + 0.01 * (j * W + l));
                m->field[i / L][i % L].v[j][l] = apart * start_field(i);
                m->momentum[i / L][i % L].v[j][l] = apart * start_momentum(i);
            }
}

static int check(Block *m) {
    double sum = 0;
    fill(m);
    for (int s = 0; s < CHECK_STEPS; s++) sweep(m, phi4_check());
    for (int i = 0; i < L * L; i++) sum += weight(i) * (double)m->field[slot(m->first + i / L)][i % L].v[NV - 1][3];
    printf("%.17g\n", sum);
    return 0;
}

static void run(Block *m, int blocks, int steps, Coef c) {
    for (int i = 0; i < blocks; i++)
        for (int s = 0; s < steps; s++) sweep(&m[i], c);
}

int main(int argc, char **argv) {
    int chains = argument(argc, argv, 1, 64), steps = argument(argc, argv, 2, 200), blocks = (chains + W * NV - 1) / (W * NV);
    Block *m = memory((size_t)blocks * sizeof *m);
    if (checking(argc, argv)) return check(m);
    for (int i = 0; i < blocks; i++) fill(&m[i]);
    RATES(argument(argc, argv, 0, 5), (int64_t)blocks * W * NV * L * L * steps, run(m, blocks, steps, phi4_slow()));
    return 0;
}
