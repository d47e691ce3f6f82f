/* lattice4d.c — leapfrog steps of four-dimensional φ⁴ by hand, L⁴ periodic, force, momentum
 * and field in one sweep, in place by drifting: the new slice t is stored where the old
 * slice t-1 was (see chains2d.c).
 *
 * A column of NB vectors is followed along y: the vectors above, here and below stay in
 * registers and move on, and so do the neighbours along the row.  With -DCHAINS lanes are
 * chains and a row has L vectors; otherwise a row is cut into W segments (see lattice2d.c)
 * and is one column.
 *
 *   lattice4d rate REPEATS [BLOCKS STEPS]        compiled with -DL=… [-DCHAINS] */
#include "hand.h"

#ifndef L
#define L 16
#endif
#ifdef CHAINS
enum { N = L, NB = L % 4 ? 1 : 4 };
#else
enum { N = L / W, NB = N };
#endif
enum { SLOTS = L + 2 };
typedef Vec Row[N];
/* The momenta do not begin a multiple of 4096 bytes after the fields. */
typedef struct Block { Row field[SLOTS][L][L]; Vec apart[48]; Row momentum[L][L][L]; int first; } Block;
/* Where a plane of constant t and z is: itself, its neighbours, its momenta, its new values. */
typedef struct Plane { const Row *mid, *z0, *z1, *t0, *t1; Row *p, *to; } Plane;

static inline int slot(int i) { return i < 0 ? i + SLOTS : i >= SLOTS ? i - SLOTS : i; }

/* Row y of a column that begins at vector b; `up` becomes the row that was `here`. */
INLINE void line(Plane m, int y, int b, Vec up[NB], Vec here[NB], Vec k, Vec a, Vec cube, Vec eps) {
    int below = y == L - 1 ? 0 : y + 1;
#ifdef CHAINS
    Vec left = m.mid[y][b ? b - 1 : N - 1], end = m.mid[y][b + NB < N ? b + NB : 0];
#else
    Vec left = from_left(here[N - 1]), end = from_right(here[0]);
#endif
#pragma GCC unroll 8
    for (int i = 0; i < NB; i++) {
        int x = b + i;
        Vec h = here[i], right = i + 1 < NB ? here[i + 1 < NB ? i + 1 : 0] : end, down = m.mid[below][x];
        Vec near = (left + right) + (up[i] + down), far = (m.z0[y][x] + m.z1[y][x]) + (m.t0[y][x] + m.t1[y][x]);
        Vec kick = h * (cube * (h * h) + a) + (k * (near + far) + m.p[y][x]);
        m.p[y][x] = kick;
        m.to[y][x] = eps * kick + h;
        left = h, up[i] = h, here[i] = down;
    }
}

static void plane(Plane m, Coef c) {
    Vec k = splat(c.k), a = splat(c.a), cube = splat(c.b), eps = splat(c.eps);
    for (int b = 0; b < N; b += NB) {
        Vec up[NB], here[NB];
        for (int i = 0; i < NB; i++) up[i] = m.mid[L - 1][b + i], here[i] = m.mid[0][b + i];
        for (int y = 0; y < L; y++) line(m, y, b, up, here, k, a, cube, eps);
    }
}

static void sweep(Block *m, Coef c) {
    int f = m->first;
    memcpy(m->field[slot(f + L)], m->field[f], sizeof *m->field);
    for (int t = 0; t < L; t++) {
        Row(*mid)[L] = m->field[slot(f + t)], (*t0)[L] = m->field[slot(f + (t ? t - 1 : L - 1))], (*t1)[L] = m->field[slot(f + t + 1)];
        Row(*to)[L] = m->field[slot(f + t - 1)];
        for (int z = 0; z < L; z++)
            plane((Plane){mid[z], mid[z ? z - 1 : L - 1], mid[z + 1 < L ? z + 1 : 0], t0[z], t1[z], m->momentum[t][z], to[z]}, c);
    }
    m->first = slot(f - 1);
}

/* Where a site is: the chain that is checked stands in lane 3. */
static inline Real *at(Row (*space)[L][L], int t, int z, int y, int x) {
#ifdef CHAINS
    return (Real *)&space[t][z][y][x] + 3;
#else
    return (Real *)&space[t][z][y][x % N] + x / N;
#endif
}

static void fill(Block *m) {
    int64_t site = 0;
    m->first = 0;
    for (int t = 0; t < L; t++)
        for (int z = 0; z < L; z++)
            for (int y = 0; y < L; y++)
                for (int x = 0; x < L; x++, site++) {
#ifdef CHAINS
                    for (int l = 0; l < W; l++) m->field[t][z][y][x][l] = (Real)0.1 * (Real)l * start_field(site);
#endif
                    *at(m->field, t, z, y, x) = start_field(site);
                    *at(m->momentum, t, z, y, x) = start_momentum(site);
                }
}

static int check(Block *m) {
    double sum = 0;
    int64_t site = 0;
    fill(m);
    for (int s = 0; s < CHECK_STEPS; s++) sweep(m, phi4_check());
    for (int t = 0; t < L; t++)
        for (int z = 0; z < L; z++)
            for (int y = 0; y < L; y++)
                for (int x = 0; x < L; x++) sum += weight(site++) * (double)*at(m->field + slot(m->first + t), 0, z, y, x);
    printf("%.17g\n", sum);
    return 0;
}

static void run(Block *m, int blocks, int steps, Coef c) {
    for (int i = 0; i < blocks; i++)
        for (int s = 0; s < steps; s++) sweep(&m[i], c);
}

int main(int argc, char **argv) {
    int blocks = argument(argc, argv, 1, 1), steps = argument(argc, argv, 2, 10);
    Block *m = memory((size_t)blocks * sizeof *m);
    if (checking(argc, argv)) return check(m);
    for (int i = 0; i < blocks; i++) fill(&m[i]);
#ifdef CHAINS
    int lanes = W;
#else
    int lanes = 1;
#endif
    RATES(argument(argc, argv, 0, 5), (int64_t)blocks * lanes * steps * L * L * L * L, run(m, blocks, steps, phi4_slow()));
    return 0;
}
