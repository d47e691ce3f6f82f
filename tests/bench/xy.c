/* xy.c — leapfrog steps of the two-dimensional XY model by hand, L x L periodic, chains in
 * lanes, in place.  Two ways: the sine of every link is computed once, and used by the sites
 * at its two ends; or, with -DSITES, sine and cosine of every site, which give the sines of
 * its links.  With -DSINES only the sines, two a site, of angles in the nearest cache.
 *
 *   xy rate REPEATS CHAINS STEPS */
#include "hand_math.h"

enum { L = 32 };
typedef struct Block { Vec angle[L][L], apart[24], momentum[L][L]; } Block;

/* In turn: above[x] is the sine of the link from the row above, and becomes that of the link
 * to the row below, `down`, unless those are known already. */
static void row(Vec *restrict angle, Vec *restrict p, const Vec *restrict down, Vec *restrict above, const Vec *restrict known, Vec beta, Vec eps) {
    Vec wrap = vec_sin(angle[0] - angle[L - 1]), left = wrap, here = angle[0];
    for (int x = 0; x < L; x++) {
        Vec next = angle[x + 1 < L ? x + 1 : 0];
        Vec right = x + 1 < L ? vec_sin(next - here) : wrap;
        Vec below = known ? known[x] : vec_sin(down[x] - here);
        Vec kick = beta * ((right - left) + (below - above[x])) + p[x];
        p[x] = kick;
        angle[x] = eps * kick + here;
        above[x] = below, left = right, here = next;
    }
}

static void sweep_of_links(Block *m, Vec beta, Vec eps) {
    Vec above[L], first[L];
    for (int x = 0; x < L; x++) above[x] = first[x] = vec_sin(m->angle[0][x] - m->angle[L - 1][x]);
    for (int y = 0; y < L - 1; y++) row(m->angle[y], m->momentum[y], m->angle[y + 1], above, NULL, beta, eps);
    row(m->angle[L - 1], m->momentum[L - 1], NULL, above, first, beta, eps);
}

/* sin(θ' - θ) = sin θ' cos θ - cos θ' sin θ.  `next` is computed unless it is known. */
static void row_of_sites(Vec *restrict angle, Vec *restrict p, const Vec *restrict down, const Turn *above, const Turn *row, Turn *restrict next,
                         Vec beta, Vec eps) {
    for (int x = 0; x < L; x++) {
        const Turn *l = &row[x ? x - 1 : L - 1], *r = &row[x + 1 < L ? x + 1 : 0], *h = &row[x], *u = &above[x];
        if (down) next[x] = vec_turn(down[x]);
        Vec s = (l->sin + r->sin) + (u->sin + next[x].sin), c = (l->cos + r->cos) + (u->cos + next[x].cos);
        Vec kick = beta * (s * h->cos - c * h->sin) + p[x];
        p[x] = kick;
        angle[x] = eps * kick + angle[x];
    }
}

static void sweep_of_sites(Block *m, Vec beta, Vec eps) {
    Turn first[L], last[L], ring[3][L], *above = last, *here = first;
    for (int x = 0; x < L; x++) first[x] = vec_turn(m->angle[0][x]), last[x] = vec_turn(m->angle[L - 1][x]);
    for (int y = 0; y < L; y++) {
        Turn *next = y == L - 1 ? first : y == L - 2 ? last : ring[y % 3];
        row_of_sites(m->angle[y], m->momentum[y], y < L - 2 ? m->angle[y + 1] : NULL, above, here, next, beta, eps);
        above = here, here = next;
    }
}

#ifdef SITES
#define sweep sweep_of_sites
#else
#define sweep sweep_of_links
#endif

static void fill(Block *m) {
    for (int i = 0; i < L * L; i++)
        for (int l = 0; l < W; l++) {
            double apart = l == 3 ? 1 : 0.1 * l;
            m->angle[i / L][i % L][l] = apart * start_field(i);
            m->momentum[i / L][i % L][l] = apart * start_momentum(i);
        }
}

static int check(Block *m) {
    double sum = 0;
    fill(m);
    for (int s = 0; s < CHECK_STEPS; s++) sweep(m, splat(0.05), splat(0.05));
    for (int i = 0; i < L * L; i++) sum += weight(i) * m->angle[i / L][i % L][3];
    printf("%.17g\n", sum);
    return 0;
}

static void run(Block *m, int blocks, int steps) {
    for (int i = 0; i < blocks; i++)
        for (int s = 0; s < steps; s++) sweep(&m[i], splat(1e-5), splat(1e-5));
}

/* 2·L·L vectors of sines, of and into 16 KiB. */
static void sines(Block *m, int blocks, int steps) {
    Vec *a = m->angle[0], *to = m->momentum[0];
    for (int s = 0; s < steps * blocks; s++)
        for (int k = 0; k < 16; k++) {
#pragma GCC unroll 2
            for (int i = 0; i < 128; i++) to[i] = vec_sin(a[i]);
            __asm__ volatile("" ::: "memory");
        }
}

int main(int argc, char **argv) {
    int chains = argument(argc, argv, 1, 64), steps = argument(argc, argv, 2, 20), blocks = (chains + W - 1) / W;
    Block *m = memory((size_t)blocks * sizeof *m);
    if (checking(argc, argv)) return check(m);
    for (int i = 0; i < blocks; i++) fill(&m[i]);
#ifdef SINES
    void (*work)(Block *, int, int) = sines;
#else
    void (*work)(Block *, int, int) = run;
#endif
    (void)sines, (void)run, (void)sweep_of_links, (void)sweep_of_sites;
    RATES(argument(argc, argv, 0, 5), (int64_t)blocks * W * L * L * steps, work(m, blocks, steps));
    return 0;
}
