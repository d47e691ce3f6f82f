/* philox.c — uniform and normal numbers on top of the Philox block function; see
 * philox.h for what they are, philox_text.h for how one pair is computed.  Here: that
 * text for one pair at a time, in loops that vectorise, and for vectors of eight with
 * four blocks in flight where the CPU has them. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("-O3", "-fno-math-errno", "-fno-trapping-math")
#endif
#include "philox.h"

#include "vmath_kernels.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HAVE_VECTORS_OF_8
#include <immintrin.h>
#endif

/* What all values of a call share. */
typedef struct Draw {
    uint32_t seed, step, draw, iter;
} Draw;

/* A call: element s of lane l at out[s*lanes + l], or single[…], for site site0 + s*every + l*apart. */
typedef struct Fill {
    double *out;
    float *single;
    const uint32_t *chains;
    int64_t nsites;
    Draw d;
    uint32_t site0, apart, every;
    int lanes;
    bool normal;
} Fill;

enum { ROUNDS = 10 };

static inline uint32_t site_of(const Fill *f, int64_t s, int lane)
{
    return f->site0 + (uint32_t)s * f->every + (uint32_t)lane * f->apart;
}

/* ---- one pair at a time ----------------------------------------------------------------- */

#define TEXT LQ_INLINE
typedef uint64_t T_U;
typedef double T_D;
#define U_OF(x) ((uint64_t)(x))
#define U_MUL(a, b) (((a) & 0xffffffffu) * ((b) & 0xffffffffu))
#define U_ADD(a, b) ((a) + (b))
#define U_SHL(a, n) ((a) << (n))
#define U_SHR(a, n) ((a) >> (n))
#define U_XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define U_SIGN(a, b) ((a) ^ ((b) & K_SIGN))
#define U_WORD(a, b) (((a) & 0xffffffffu) | (b) << 32)
#define U_BITS(a, m, b) (((a) & (m)) | (b))
#define D_OF(x) (x)
#define D_FMA(a, b, c) k_fma(a, b, c)
#define D_ADD(a, b) ((a) + (b))
#define D_SUB(a, b) ((a) - (b))
#define D_MUL(a, b) ((a) * (b))
#define D_DIV(a, b) ((a) / (b))
#define D_SQRT(a) __builtin_sqrt(a)
#define D_FROM(u) k_double(u)
#define U_FROM(d) k_bits(d)
#define D_PICK(u, a, b) k_double((k_bits(a) & (0 - ((u) >> 63))) | (k_bits(b) & ~(0 - ((u) >> 63))))
#include "philox_text.h"

typedef uint32_t T_W;
typedef float T_F;
#define W_OF(x) (x)
#define W_ADD(a, b) ((a) + (b))
#define W_AND(a, b) ((a) & (b))
#define W_OR(a, b) ((a) | (b))
#define W_SHL(a, n) ((a) << (n))
#define W_SHR(a, n) ((a) >> (n))
#define W_SIGN(a, b) ((a) ^ ((b) & 0x80000000u))
#define F_OF(x) (x)
#define F_WHOLE(a) ((float)(int32_t)(a))
#define F_FMA(a, b, c) __builtin_fmaf(a, b, c)
#define F_ADD(a, b) ((a) + (b))
#define F_SUB(a, b) ((a) - (b))
#define F_MUL(a, b) ((a) * (b))
#define F_DIV(a, b) ((a) / (b))
#define F_SQRT(a) __builtin_sqrtf(a)
#define F_MIN(a, b) ((a) < (b) ? (a) : (b))
#define F_FROM(w) kf_float(w)
#define W_FROM(f) kf_bits(f)
#define F_PICK(w, a, b) kf_float((kf_bits(a) & (0 - ((w) >> 31))) | (kf_bits(b) & ~(0 - ((w) >> 31))))
#include "philox_single_text.h"

/* Written out: a loop would stop the caller's loop from being vectorised. */
LQ_INLINE void scalar_words(Draw d, uint32_t chain, uint32_t block, uint64_t *lo, uint64_t *hi)
{
    uint64_t c[4] = {block, d.step, d.draw, d.iter}, k0 = d.seed, k1 = chain;
#define ROUND() text_round(c, k0, k1), k0 += 0x9E3779B9u, k1 += 0xBB67AE85u
    ROUND(); ROUND(); ROUND(); ROUND(); ROUND();
    ROUND(); ROUND(); ROUND(); ROUND(); ROUND();
#undef ROUND
    *lo = U_WORD(c[0], c[1]), *hi = U_WORD(c[2], c[3]);
}

LQ_CLONES static void uniforms(double *restrict first, double *restrict second, int n, const uint32_t *restrict chain,
                               const uint32_t *restrict block, Draw d)
{
    for (int i = 0; i < n; i++) {
        uint64_t lo, hi;
        scalar_words(d, chain[i], block[i], &lo, &hi);
        first[i] = text_uniform(lo), second[i] = text_uniform(hi);
    }
}

LQ_CLONES static void normals(double *restrict first, double *restrict second, int n, const uint32_t *restrict chain,
                              const uint32_t *restrict block, Draw d)
{
    for (int i = 0; i < n; i++) {
        uint64_t lo, hi;
        scalar_words(d, chain[i], block[i], &lo, &hi);
        text_normals(lo, hi, &first[i], &second[i]);
    }
}

LQ_CLONES static void quads(float *restrict x0, float *restrict x1, float *restrict x2, float *restrict x3, int n,
                            const uint32_t *restrict chain, const uint32_t *restrict block, Draw d)
{
    for (int i = 0; i < n; i++) {
        uint64_t lo, hi;
        scalar_words(d, chain[i], block[i], &lo, &hi);
        single_normals((uint32_t)lo, (uint32_t)(lo >> 32), &x0[i], &x2[i]);
        single_normals((uint32_t)hi, (uint32_t)(hi >> 32), &x1[i], &x3[i]);
    }
}

enum { BATCH = 128 }; /* blocks between two refills of the lists */

/* Groups of four sites, which are two blocks, of all lanes, in batches; rows outside are left out. */
static void fill_any(const Fill *f)
{
    uint32_t chain[BATCH], block[BATCH];
    double first[BATCH], second[BATCH];
    int batch = BATCH / f->lanes / 2 * 2;
    int64_t nblocks = (f->nsites + 3) / 4 * 2 + 2; /* when a lane begins with a part of a group */
    if (f->site0 % 4 == 0 && f->apart % 4 == 0) nblocks -= 2;
    for (int64_t b = 0; b < nblocks; b += batch) {
        int count = (int)(nblocks - b < batch ? nblocks - b : batch);
        for (int i = 0; i < count; i++)
            for (int l = 0; l < f->lanes; l++) {
                chain[i * f->lanes + l] = f->chains[l];
                block[i * f->lanes + l] = philox_block((site_of(f, 0, l) & ~3u) + 4 * (uint32_t)((b + i) / 2) + (uint32_t)(i % 2));
            }
        (f->normal ? normals : uniforms)(first, second, count * f->lanes, chain, block, f->d);
        for (int i = 0; i < count; i++)
            for (int l = 0; l < f->lanes; l++) {
                int64_t row = (b + i) / 2 * 4 + i % 2 - (site_of(f, 0, l) & 3);
                if (row >= 0 && row < f->nsites) f->out[row * f->lanes + l] = first[i * f->lanes + l];
                if (row + 2 >= 0 && row + 2 < f->nsites) f->out[(row + 2) * f->lanes + l] = second[i * f->lanes + l];
            }
    }
}

/* Sites that stand apart: a block for each of them. */
static void fill_apart(const Fill *f)
{
    uint32_t chain[BATCH], block[BATCH];
    double first[BATCH], second[BATCH];
    int batch = BATCH / f->lanes;
    for (int64_t s = 0; s < f->nsites; s += batch) {
        int count = (int)(f->nsites - s < batch ? f->nsites - s : batch);
        for (int i = 0; i < count; i++)
            for (int l = 0; l < f->lanes; l++) {
                chain[i * f->lanes + l] = f->chains[l];
                block[i * f->lanes + l] = philox_block(site_of(f, s + i, l));
            }
        (f->normal ? normals : uniforms)(first, second, count * f->lanes, chain, block, f->d);
        for (int i = 0; i < count; i++)
            for (int l = 0; l < f->lanes; l++)
                f->out[(s + i) * f->lanes + l] = (philox_second(site_of(f, s + i, l)) ? second : first)[i * f->lanes + l];
    }
}

/* In single precision a block is for four sites: groups of four, or one of them where sites stand apart. */
static void fill_quads(const Fill *f)
{
    uint32_t chain[BATCH], block[BATCH];
    float x[4][BATCH];
    bool row = f->every == 1;
    int batch = BATCH / f->lanes;
    int64_t nblocks = row ? (f->nsites + 6) / 4 : f->nsites;
    for (int64_t b = 0; b < nblocks; b += batch) {
        int count = (int)(nblocks - b < batch ? nblocks - b : batch);
        for (int i = 0; i < count; i++)
            for (int l = 0; l < f->lanes; l++) {
                uint32_t site = row ? (site_of(f, 0, l) & ~3u) + 4 * (uint32_t)(b + i) : site_of(f, b + i, l);
                chain[i * f->lanes + l] = f->chains[l];
                block[i * f->lanes + l] = site >> 2;
            }
        quads(x[0], x[1], x[2], x[3], count * f->lanes, chain, block, f->d);
        for (int i = 0; i < count; i++)
            for (int l = 0; l < f->lanes; l++)
                for (int q = 0; q < 4; q++) {
                    int64_t s = row ? 4 * (b + i) + q - (site_of(f, 0, l) & 3) : b + i;
                    if (s < 0 || s >= f->nsites || (!row && q != (int)(site_of(f, s, l) & 3))) continue;
                    f->single[s * f->lanes + l] = x[q][i * f->lanes + l];
                }
    }
}

/* ---- vectors of eight ---------------------------------------------------------------------- */

#ifdef HAVE_VECTORS_OF_8
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,fma,avx2,prefer-vector-width=512")
#include "philox_avx512.h"
#include "philox_single_avx512.h"
#pragma GCC pop_options

static bool vectors_of_8(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw");
}
#endif

static void fill(const Fill *f)
{
#ifdef HAVE_VECTORS_OF_8
    if (vectors_of_8() && v_fill(f)) return;
#endif
    (f->every == 1 && f->nsites > 1 ? fill_any : fill_apart)(f);
}

static void fill_single(const Fill *f)
{
#ifdef HAVE_VECTORS_OF_8
    if (vectors_of_8() && vs_fill(f)) return;
#endif
    fill_quads(f);
}

/* ---- what is called -------------------------------------------------------------------------- */

void lq_rand_every(double *restrict out, bool normal, int lanes, const uint32_t *chains,
                   uint32_t seed, uint32_t step, uint32_t draw, uint32_t iter, uint32_t site0,
                   uint32_t apart, uint32_t every, int64_t nsites)
{
    fill(&(Fill){out, NULL, chains, nsites, {seed, step, draw, iter}, site0, apart, every, lanes, normal});
}

void lq_rand_spread(double *restrict out, bool normal, int lanes, const uint32_t *chains,
                    uint32_t seed, uint32_t step, uint32_t draw, uint32_t iter, uint32_t site0,
                    uint32_t apart, int64_t nsites)
{
    lq_rand_every(out, normal, lanes, chains, seed, step, draw, iter, site0, apart, 1, nsites);
}

void lq_rand_normals_single(float *restrict out, int lanes, const uint32_t *chains, uint32_t seed, uint32_t step,
                            uint32_t draw, uint32_t iter, uint32_t site0, uint32_t apart, uint32_t every, int64_t nsites)
{
    fill_single(&(Fill){NULL, out, chains, nsites, {seed, step, draw, iter}, site0, apart, every, lanes, true});
}

void lq_rand_uniform(double *restrict out, int lanes, const uint32_t *chains, uint32_t seed,
                     uint32_t step, uint32_t draw, uint32_t iter, uint32_t site)
{
    lq_rand_spread(out, false, lanes, chains, seed, step, draw, iter, site, 0, 1);
}

void lq_rand_normal(double *restrict out, int lanes, const uint32_t *chains, uint32_t seed,
                    uint32_t step, uint32_t draw, uint32_t iter, uint32_t site)
{
    lq_rand_spread(out, true, lanes, chains, seed, step, draw, iter, site, 0, 1);
}

void lq_rand_fill_uniform(double *restrict out, int lanes, const uint32_t *chains,
                          uint32_t seed, uint32_t step, uint32_t draw, uint32_t iter,
                          uint32_t site0, int64_t nsites)
{
    lq_rand_spread(out, false, lanes, chains, seed, step, draw, iter, site0, 0, nsites);
}

void lq_rand_fill_normal(double *restrict out, int lanes, const uint32_t *chains,
                         uint32_t seed, uint32_t step, uint32_t draw, uint32_t iter,
                         uint32_t site0, int64_t nsites)
{
    lq_rand_spread(out, true, lanes, chains, seed, step, draw, iter, site0, 0, nsites);
}
