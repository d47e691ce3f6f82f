/* lattice2d.c — leapfrog steps of two-dimensional φ⁴ by hand on one lattice, L x L periodic:
 * force, momentum and field in one sweep, in place; and K sweeps in one passage through memory.
 *
 * A row is cut into as many segments as a vector has lanes: lane l of vector i is site
 * l·N + i, N = L/W, so that the neighbours along the row are the vectors beside, turned by a
 * lane only at the row's two ends.  Rows are done in pairs: what the first reads below
 * itself, the second reads anyway.
 *
 * Rows are found through pointers.  A new row is stored where the old row above it was, which
 * nothing wants any more; only the first two rows of a sweep go to spare ones, because the
 * last row still wants the old first one.
 *
 * K sweeps follow each other a pair apart, and each begins a pair further on than the one
 * before it, so that all of them go once around the lattice.
 *
 *   lattice2d rate REPEATS K        compiled with -DL=… */
#include "hand.h"

#ifndef L
#define L 64
#endif
enum { N = L / W, DEEPEST = 64 };

/* One of the sweeps that are under way, at the row below `up`. */
typedef struct Sweep { Vec *up, *first, *spare[2]; } Sweep;
typedef struct Lattice { int K; Vec *field[L], *momentum[L]; Sweep sweep[DEEPEST]; } Lattice;
/* Of two rows: where the old fields, the momenta and the new fields are. */
typedef struct Pair { Vec *up, *one, *two, *down, *p1, *p2, *to1, *to2; } Pair;

INLINE Vec kicked(Vec p, Vec here, Vec sum, Vec k, Vec a, Vec b) { return here * (b * (here * here) + a) + (k * sum + p); }

static void rows(Pair r, Coef c) {
    Vec k = splat(c.k), a = splat(c.a), b = splat(c.b), eps = splat(c.eps);
    Vec left1 = from_left(r.one[N - 1]), left2 = from_left(r.two[N - 1]), here1 = r.one[0], here2 = r.two[0];
    Vec end1 = from_right(here1), end2 = from_right(here2);
#define SITE(x, RIGHT1, RIGHT2)                                                              \
    do {                                                                                     \
        Vec right1 = (RIGHT1), right2 = (RIGHT2);                                            \
        Vec kick1 = kicked(r.p1[x], here1, (left1 + right1) + (r.up[x] + here2), k, a, b);   \
        Vec kick2 = kicked(r.p2[x], here2, (left2 + right2) + (here1 + r.down[x]), k, a, b); \
        r.p1[x] = kick1, r.p2[x] = kick2;                                                    \
        r.to1[x] = eps * kick1 + here1, r.to2[x] = eps * kick2 + here2;                      \
        left1 = here1, here1 = right1, left2 = here2, here2 = right2;                        \
    } while (0)
#pragma GCC unroll 2
    for (int x = 0; x < N - 1; x++) SITE(x, r.one[x + 1], r.two[x + 1]);
    SITE(N - 1, end1, end2);
#undef SITE
}

/* The pair i, 0 <= i < L/2, of a sweep that began at row `begin`. */
static void advance(Lattice *m, Sweep *s, int begin, int i, Coef c) {
    int y = (begin + 2 * i) % L, last = i == L / 2 - 1;
    Vec *one = m->field[y], *two = m->field[y + 1];
    if (i == 0) s->up = m->field[(y + L - 1) % L], s->first = one;
    Vec *to1 = i ? s->up : s->spare[0], *to2 = i ? one : s->spare[1], *down = last ? s->first : m->field[(y + 2) % L];
    rows((Pair){s->up, one, two, down, m->momentum[y], m->momentum[y + 1], to1, to2}, c);
    m->field[y] = to1, m->field[y + 1] = to2, s->up = two;
    if (last) s->spare[0] = s->first, s->spare[1] = two;
}

static void wave(Lattice *m, Coef c) {
    for (int t = 0; t < L / 2 + 2 * (m->K - 1); t++)
        for (int s = 0; s < m->K; s++) {
            int i = t - 2 * s;
            if (i >= 0 && i < L / 2) advance(m, &m->sweep[s], 2 * s, i, c);
        }
}

/* A load waits for a store before it whose address differs by a multiple of 4096: the
 * momenta begin 48 vectors after such a multiple, counted from the fields. */
static Lattice *make(int K) {
    size_t rows = (size_t)(L + 2 * K), field = (rows * N + 63) / 64 * 64 + 48;
    Vec *space = memory((field + (size_t)L * N) * sizeof(Vec));
    Lattice *m = calloc(1, sizeof *m);
    m->K = K;
    for (int y = 0; y < L; y++) m->field[y] = space + (size_t)y * N, m->momentum[y] = space + field + (size_t)y * N;
    for (int s = 0; s < 2 * K; s++) m->sweep[s / 2].spare[s % 2] = space + (size_t)(L + s) * N;
    for (int y = 0; y < L; y++)
        for (int x = 0; x < L; x++) {
            m->field[y][x % N][x / N] = start_field((int64_t)y * L + x);
            m->momentum[y][x % N][x / N] = start_momentum((int64_t)y * L + x);
        }
    return m;
}

static int check(int K) {
    Lattice *m = make(K);
    double sum = 0;
    for (int s = 0; s < CHECK_STEPS; s += K) wave(m, phi4_check());
    for (int i = 0; i < L * L; i++) sum += weight(i) * (double)m->field[i / L][i % L % N][i % L / N];
    printf("%.17g\n", sum);
    return 0;
}

int main(int argc, char **argv) {
    if (checking(argc, argv)) return check(1) || check(5);
    int K = argument(argc, argv, 1, 1);
    if (K < 1 || K > DEEPEST || 4 * K > L) { fprintf(stderr, "lattice2d: so many sweeps?\n"); return 2; }
    Lattice *m = make(K);
    RATES(argument(argc, argv, 0, 5), (int64_t)L * L * K, wave(m, phi4_slow()));
    return 0;
}
