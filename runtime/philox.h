/* philox.h — counter-based random numbers: a value is a pure function of seed, chain,
 * site, step, draw and iteration, so any part of a field can be drawn in any order,
 * on any number of threads, with the same bits.
 *
 * Philox4x32-10: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC11 (2011), section 3.3.  key = (seed, chain), counter = (block, step,
 * draw, iter).  Sites 4k and 4k+2 share block 2k, sites 4k+1 and 4k+3 block 2k+1: so a row of
 * sites wastes no block, nor does every second site, which a chequerboard updates.  A block has
 * two words of 64 bits: lo = word0 + 2^32·word1, hi = word2 + 2^32·word3; the first site has
 * lo, the second hi.
 *
 * Uniform numbers lie in the open interval (0, 1): the 2^52 midpoints (k + ½)·2^-52, k
 * the low 52 bits of the word.
 *
 * Normal numbers come in pairs (Box and Muller, Ann. Math. Stat. 29 (1958) 610):
 * r = √(-2 ln u), u the uniform number of lo; f = k·2^-52 - ½, k the low 52 bits of hi,
 * gives s = r·sin(πf/2) and c = ±r·cos(πf/2), minus if bit 62 of hi is set.  The first
 * site has c and the second one s, the other way round if bit 63 of hi is set.
 * |value| < 8.58; the error is at most 4 units in the last place.
 *
 * Normal numbers of single precision are made of half as many bits, in single arithmetic: sites 4k …
 * 4k+3 share block k, words 0 and 1 being for the first and the third, words 2 and 3 for the second
 * and the fourth.  Of two words a, b: u = (⌊a/2⌋ + ½)·2^-31, 1 - 2^-24 at most, where ⌊a/2⌋ and u are
 * rounded; f = j·2^-30, rounded, j the low 30 bits of b as a signed number; the rest as above with bits 30 and
 * 31 of b.  |value| < 6.67; the relative error is at most 7·2^-24. */
#ifndef LQFT_PHILOX_H
#define LQFT_PHILOX_H

#include <stdbool.h>
#include <stdint.h>

/* The block function: 4 words from a key and a counter.  All words are uniform. */
static inline void philox4x32(const uint32_t key[2], const uint32_t ctr[4], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)c0 * 0xD2511F53u, p1 = (uint64_t)c2 * 0xCD9E8D57u;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* Weyl sequence of the golden ratio */
        k1 += 0xBB67AE85u; /* √3 - 1 */
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* The block of a site, and whether it is the second of its two sites. */
static inline uint32_t philox_block(uint32_t site) { return (site >> 2 << 1) | (site & 1); }
static inline bool philox_second(uint32_t site) { return site >> 1 & 1; }

/* Largest number of lanes of a call below. */
enum { LQ_MAX_LANES = 16 };

/* out[l], l < lanes <= 16: uniform, for chain chains[l]. */
void lq_rand_uniform(double *restrict out, int lanes, const uint32_t *chains, uint32_t seed,
                     uint32_t step, uint32_t draw, uint32_t iter, uint32_t site);

/* out[l]: standard normal. */
void lq_rand_normal(double *restrict out, int lanes, const uint32_t *chains, uint32_t seed,
                    uint32_t step, uint32_t draw, uint32_t iter, uint32_t site);

/* The same values for sites site0 … site0 + nsites - 1: out[s*lanes + l]. */
void lq_rand_fill_uniform(double *restrict out, int lanes, const uint32_t *chains,
                          uint32_t seed, uint32_t step, uint32_t draw, uint32_t iter,
                          uint32_t site0, int64_t nsites);
void lq_rand_fill_normal(double *restrict out, int lanes, const uint32_t *chains,
                         uint32_t seed, uint32_t step, uint32_t draw, uint32_t iter,
                         uint32_t site0, int64_t nsites);

/* The same for sites that stand `every` apart, lane l standing l*apart sites further on: for
 * chain chains[l] and site site0 + s*every + l*apart.  What generated code calls. */
void lq_rand_every(double *restrict out, bool normal, int lanes, const uint32_t *chains,
                   uint32_t seed, uint32_t step, uint32_t draw, uint32_t iter, uint32_t site0,
                   uint32_t apart, uint32_t every, int64_t nsites);

/* The same with every = 1. */
void lq_rand_spread(double *restrict out, bool normal, int lanes, const uint32_t *chains,
                    uint32_t seed, uint32_t step, uint32_t draw, uint32_t iter, uint32_t site0,
                    uint32_t apart, int64_t nsites);

/* Normal numbers of single precision: numbers of their own, not the double ones rounded. */
void lq_rand_normals_single(float *restrict out, int lanes, const uint32_t *chains, uint32_t seed, uint32_t step,
                            uint32_t draw, uint32_t iter, uint32_t site0, uint32_t apart, uint32_t every, int64_t nsites);

#endif
