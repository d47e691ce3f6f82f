/* metropolis.c — local Metropolis by hand, L x L periodic, chains in lanes, on a chequerboard:
 * φ⁴ with a uniform proposal, or with -DISING spins that propose to turn over.
 *
 * Random numbers are Philox4x32-10, the key a chain, the counter site and sweep: of a block
 * φ⁴ takes two uniform numbers, the proposal and the decision of a site; Ising takes the
 * decisions of two sites.  Four blocks are made at once, before the sites that use them.
 *
 *   metropolis rate REPEATS CHAINS SWEEPS         Gsite-updates/s
 *   metropolis check                              1: the sweeps are those of a scalar program */
#include "hand_math.h"

enum { L = 32, HALF = L / 2 };
/* The numbers of the sites of one colour of a row. */
typedef struct Draws { Vec move[HALF], decide[HALF]; } Draws;
typedef struct Block { Vec field[L][L]; Words key[2]; uint64_t sweep; } Block;

#define BETA 0.4
#define KAPPA 0.21
#define LAMBDA 0.022
#define WIDTH 1.2

/* Counters: number of the block in the sweep, sweep, colour. */
INLINE void start_blocks(Blocks b[FLIGHT], uint64_t first, uint64_t sweep, uint64_t colour) {
    for (int i = 0; i < FLIGHT; i++) b[i] = (Blocks){{words(first + (uint64_t)i), words(sweep), words(colour), words(0)}};
}

static void draw(Draws *d, const Block *m, int y, int colour) {
#ifdef ISING
    enum { PER = 2 };
#else
    enum { PER = 1 };
#endif
    for (int x = 0; x < HALF; x += PER * FLIGHT) {
        Blocks b[FLIGHT];
        start_blocks(b, (uint64_t)((y * HALF + x) / PER), m->sweep, (uint64_t)colour);
        philox(b, m->key[0], m->key[1]);
#pragma GCC unroll 4
        for (int i = 0; i < FLIGHT; i++) {
            Vec one = uniform(b[i].c[0], b[i].c[1]), two = uniform(b[i].c[2], b[i].c[3]);
#ifdef ISING
            d->decide[x + 2 * i] = one, d->decide[x + 2 * i + 1] = two;
#else
            d->move[x + i] = one, d->decide[x + i] = two;
#endif
        }
    }
}

#ifdef ISING
/* exp(-2 β h) for spin times neighbours h = -4, -2, 0, 2, 4, in lanes 0 to 4. */
INLINE Vec table(void) {
    Vec t = {0};
    for (int i = 0; i < 5; i++) t[i] = exp(-2 * BETA * (2 * i - 4));
    return t;
}

INLINE Vec updated(Vec here, Vec near, Vec move, Vec decide, Vec table) {
    (void)move;
    Vec index = here * near * splat(0.5) + splat(2 + 0x1p52);             /* in the lowest bits */
    Vec ratio = looked_up(table, (Mask)index);
    return choose(decide < ratio, -here, here);
}
#else
INLINE Vec table(void) { return (Vec){0}; }

INLINE Vec updated(Vec here, Vec near, Vec move, Vec decide, Vec table) {
    (void)table;
    Vec next = splat(2 * WIDTH) * (move - splat(0.5)) + here, a = here * here, b = next * next;
    /* S(φ') - S(φ) = (φ'² - φ²) (1 - 2λ + λ (φ'² + φ²)) - 2κ (φ' - φ) near */
    Vec rise = (b - a) * (splat(LAMBDA) * (a + b) + splat(1 - 2 * LAMBDA)) - splat(2 * KAPPA) * (next - here) * near;
    return choose(decide < vec_exp(-rise), next, here);
}
#endif

static void colour(Block *m, int c) {
    Vec t = table();
    Draws d;
    for (int y = 0; y < L; y++) {
        Vec *row = m->field[y], *up = m->field[y ? y - 1 : L - 1], *down = m->field[y + 1 < L ? y + 1 : 0];
        int first = (y + c) & 1;
        draw(&d, m, y, c);
#pragma GCC unroll 4
        for (int i = 0; i < HALF; i++) {
            int x = 2 * i + first, left = (x + L - 1) % L, right = (x + 1) % L;
            row[x] = updated(row[x], (row[left] + row[right]) + (up[x] + down[x]), d.move[i], d.decide[i], t);
        }
    }
}

static void sweeps(Block *m, int blocks, int n) {
    for (int i = 0; i < blocks; i++)
        for (int s = 0; s < n; s++) colour(&m[i], 0), colour(&m[i], 1), m[i].sweep++;
}

static void fill(Block *m, int number) {
    m->sweep = 0, m->key[0] = words(1);
    for (int l = 0; l < W; l++) m->key[1][l] = (uint64_t)(number * W + l);
    for (int i = 0; i < L * L; i++)
        for (int l = 0; l < W; l++) {
            double f = start_field(i + 7 * l);
#ifdef ISING
            f = f < 0 ? -1 : 1;
#endif
            m->field[i / L][i % L][l] = f;
        }
}

/* ---- the same for one chain, one site after the other --------------------------------- */

static void block_of(const uint32_t key[2], const uint32_t counter[4], double u[2]) {
    uint32_t k0 = key[0], k1 = key[1], c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int r = 0; r < 10; r++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        uint64_t p0 = (uint64_t)c0 * 0xD2511F53u, p1 = (uint64_t)c2 * 0xCD9E8D57u;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1, c1 = (uint32_t)p1, c3 = (uint32_t)p0;
    }
    uint64_t low = (uint64_t)1 << 52;
    u[0] = ((double)((c0 | (uint64_t)c1 << 32) % low) + 0.5) / (double)low;
    u[1] = ((double)((c2 | (uint64_t)c3 << 32) % low) + 0.5) / (double)low;
}

static double plain_action(double f, double near) {
#ifdef ISING
    return -BETA * f * near;
#else
    return -2 * KAPPA * f * near + (1 - 2 * LAMBDA) * f * f + LAMBDA * f * f * f * f;
#endif
}

static void plain(double *f, uint32_t chain, uint32_t sweep) {
    for (uint32_t c = 0; c < 2; c++)
        for (int y = 0; y < L; y++)
            for (int i = 0; i < HALF; i++) {
                int x = 2 * i + ((y + (int)c) & 1);
                double u[2], *here = &f[y * L + x];
                double near = f[y * L + (x + 1) % L] + f[y * L + (x + L - 1) % L] + f[(y + 1) % L * L + x] + f[(y + L - 1) % L * L + x];
#ifdef ISING
                block_of((uint32_t[]){1, chain}, (uint32_t[]){(uint32_t)(y * HALF + i) / 2, sweep, c, 0}, u);
                double next = -*here, decide = u[i % 2];
#else
                block_of((uint32_t[]){1, chain}, (uint32_t[]){(uint32_t)(y * HALF + i), sweep, c, 0}, u);
                double next = *here + WIDTH * (2 * u[0] - 1), decide = u[1];
#endif
                if (decide < exp(plain_action(*here, near) - plain_action(next, near))) *here = next;
            }
}

/* A decision hangs on the last bit once in 1e12: then the two would part. */
static int check(Block *m) {
    static double f[L * L];
    int same = 1;
    fill(m, 0);
    for (int i = 0; i < L * L; i++) f[i] = m->field[i / L][i % L][3];
    for (uint32_t s = 0; s < CHECK_STEPS; s++) sweeps(m, 1, 1), plain(f, 3, s);
    for (int i = 0; i < L * L; i++) same &= fabs(f[i] - m->field[i / L][i % L][3]) < 1e-12;
    printf("%d\n", same);
    return 0;
}

int main(int argc, char **argv) {
    int chains = argument(argc, argv, 1, 64), n = argument(argc, argv, 2, 20), blocks = (chains + W - 1) / W;
    Block *m = memory((size_t)blocks * sizeof *m);
    if (checking(argc, argv)) return check(m);
    for (int i = 0; i < blocks; i++) fill(&m[i], i);
    RATES(argument(argc, argv, 0, 5), (int64_t)blocks * W * L * L * n, sweeps(m, blocks, n));
    return 0;
}
