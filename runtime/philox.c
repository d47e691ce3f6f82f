/* philox.c — uniform and normal numbers on top of the Philox block function; the
 * loops run over values, so that they vectorise.  See philox.h. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("-O3", "-fno-math-errno", "-fno-trapping-math")
#endif
#include "philox.h"

#include "vmath_kernels.h"

#include <math.h>

/* What all values of a call share: */
typedef struct Draw {
    uint32_t seed, step, draw, iter;
} Draw;

typedef struct Words {
    uint64_t lo, hi; /* words 0 and 1, 2 and 3 */
} Words;

/* The block function with each word in 64 bits: one multiplication a product on
 * vector units, which have no 32-bit high product. */
LQ_INLINE Words block(Draw d, uint32_t chain, uint32_t site)
{
    const uint64_t low = 0xffffffffu;
    uint64_t c0 = site, c1 = d.step, c2 = d.draw, c3 = d.iter, p0, p1;
    uint64_t k0 = d.seed, k1 = chain;
    /* High halves are leftovers of products and sums: masked where they would count.
     * Written out ten times: a loop here would stop the caller's loop from being vectorised. */
#define ROUND()                                   \
    p0 = (c0 & low) * 0xD2511F53u;                \
    p1 = (c2 & low) * 0xCD9E8D57u;                \
    c0 = p1 >> 32 ^ c1 ^ k0;                      \
    c2 = p0 >> 32 ^ c3 ^ k1;                      \
    c1 = p1;                                      \
    c3 = p0;                                      \
    k0 += 0x9E3779B9u;                            \
    k1 += 0xBB67AE85u
    ROUND(); ROUND(); ROUND(); ROUND(); ROUND();
    ROUND(); ROUND(); ROUND(); ROUND(); ROUND();
#undef ROUND
    return (Words){(c0 & low) | c1 << 32, (c2 & low) | c3 << 32};
}

LQ_INLINE double unit(uint64_t word)
{ /* 1.bits·2^0 - (1 - 2^-53) is exact in (0, 1) */
    double one_to_two = k_double((word & 0xfffffffffffffu) | k_bits(1.0));
    return one_to_two - 0x1.fffffffffffffp-1;
}

LQ_INLINE double normal(Words w)
{
    return __builtin_sqrt(-2 * k_log_normal(unit(w.lo))) * k_cos_turns(unit(w.hi));
}

LQ_CLONES static void uniforms(double *restrict out, int n, const uint32_t *restrict chain,
                               const uint32_t *restrict site, Draw d)
{
    for (int i = 0; i < n; i++) out[i] = unit(block(d, chain[i], site[i]).lo);
}

LQ_CLONES static void normals(double *restrict out, int n, const uint32_t *restrict chain,
                              const uint32_t *restrict site, Draw d)
{
    for (int i = 0; i < n; i++) out[i] = normal(block(d, chain[i], site[i]));
}

typedef void Values(double *restrict, int, const uint32_t *restrict, const uint32_t *restrict,
                    Draw);

enum { BATCH = 512 }; /* values between two refills of the site and chain lists */

static void fill(Values *values, double *restrict out, int lanes, const uint32_t *chains,
                 Draw d, uint32_t site0, int64_t nsites, uint32_t apart)
{
    uint32_t chain[BATCH], site[BATCH];
    int64_t sites_a_batch = BATCH / lanes;
    for (int64_t s = 0; s < nsites; s += sites_a_batch) {
        int count = (int)(nsites - s < sites_a_batch ? nsites - s : sites_a_batch);
        for (int i = 0; i < count; i++)
            for (int l = 0; l < lanes; l++) {
                chain[i * lanes + l] = chains[l];
                site[i * lanes + l] = site0 + (uint32_t)(s + i) + (uint32_t)l * apart;
            }
        values(out + s * lanes, count * lanes, chain, site, d);
    }
}

void lq_rand_uniform(double *restrict out, int lanes, const uint32_t *chains, uint32_t seed,
                     uint32_t step, uint32_t draw, uint32_t iter, uint32_t site)
{
    lq_rand_fill_uniform(out, lanes, chains, seed, step, draw, iter, site, 1);
}

void lq_rand_normal(double *restrict out, int lanes, const uint32_t *chains, uint32_t seed,
                    uint32_t step, uint32_t draw, uint32_t iter, uint32_t site)
{
    lq_rand_fill_normal(out, lanes, chains, seed, step, draw, iter, site, 1);
}

void lq_rand_fill_uniform(double *restrict out, int lanes, const uint32_t *chains,
                          uint32_t seed, uint32_t step, uint32_t draw, uint32_t iter,
                          uint32_t site0, int64_t nsites)
{
    fill(uniforms, out, lanes, chains, (Draw){seed, step, draw, iter}, site0, nsites, 0);
}

void lq_rand_fill_normal(double *restrict out, int lanes, const uint32_t *chains,
                         uint32_t seed, uint32_t step, uint32_t draw, uint32_t iter,
                         uint32_t site0, int64_t nsites)
{
    fill(normals, out, lanes, chains, (Draw){seed, step, draw, iter}, site0, nsites, 0);
}

void lq_rand_spread(double *restrict out, bool normal, int lanes, const uint32_t *chains,
                    uint32_t seed, uint32_t step, uint32_t draw, uint32_t iter, uint32_t site0,
                    uint32_t apart, int64_t nsites)
{
    fill(normal ? normals : uniforms, out, lanes, chains, (Draw){seed, step, draw, iter}, site0,
         nsites, apart);
}
