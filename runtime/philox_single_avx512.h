/* philox_single_avx512.h — the text of philox_single_text.h for vectors of sixteen: two vectors of
 * eight blocks make four vectors of numbers.  Part of philox.c. */

#undef W_OF
#undef W_ADD
#undef W_AND
#undef W_OR
#undef W_SHL
#undef W_SHR
#undef W_SIGN
#undef F_OF
#undef F_WHOLE
#undef F_FMA
#undef F_ADD
#undef F_SUB
#undef F_MUL
#undef F_DIV
#undef F_SQRT
#undef F_MIN
#undef F_FROM
#undef W_FROM
#undef F_PICK

#define T_W __m512i
#define T_F __m512
#define single_minus_two_log vs_minus_two_log
#define single_eighth vs_eighth
#define single_normals vs_normals
#define W_OF(x) _mm512_set1_epi32((int)(x))
#define W_ADD(a, b) _mm512_add_epi32(a, b)
#define W_AND(a, b) _mm512_and_si512(a, b)
#define W_OR(a, b) _mm512_or_si512(a, b)
#define W_SHL(a, n) _mm512_slli_epi32(a, n)
#define W_SHR(a, n) _mm512_srli_epi32(a, n)
#define W_SIGN(a, b) _mm512_ternarylogic_epi32(a, b, W_OF(0x80000000u), 0x78) /* a ^ (b & c) */
#define F_OF(x) _mm512_set1_ps(x)
#define F_WHOLE(a) _mm512_cvtepi32_ps(a)
#define F_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define F_ADD(a, b) _mm512_add_ps(a, b)
#define F_SUB(a, b) _mm512_sub_ps(a, b)
#define F_MUL(a, b) _mm512_mul_ps(a, b)
#define F_DIV(a, b) _mm512_div_ps(a, b)
#define F_SQRT(a) _mm512_sqrt_ps(a)
#define F_MIN(a, b) _mm512_min_ps(a, b)
#define F_FROM(w) _mm512_castsi512_ps(w)
#define W_FROM(f) _mm512_castps_si512(f)
#define F_PICK(w, a, b) _mm512_mask_blend_ps(_mm512_movepi32_mask(w), b, a)
#include "philox_single_text.h"

enum { UNITS = FLIGHT / 2 }; /* of two vectors of blocks, whose numbers alternate in vectors of sixteen */

/* The numbers of the four sites of each block; keys of chains in k->chain[0] and [1]. */
LQ_INLINE void vs_quads(const VKeys *k, const T_U block[FLIGHT], T_F out[UNITS][4])
{
    T_U c[FLIGHT][4];
    v_words(k, FLIGHT, 2, 0, block, c);
    for (int i = 0; i < UNITS; i++) {
        T_U(*even)[4] = &c[2 * i], (*odd)[4] = &c[2 * i + 1];
        vs_normals(U_WORD((*even)[0], (*odd)[0]), U_WORD((*even)[1], (*odd)[1]), &out[i][0], &out[i][2]);
        vs_normals(U_WORD((*even)[2], (*odd)[2]), U_WORD((*even)[3], (*odd)[3]), &out[i][1], &out[i][3]);
    }
}

/* Sixteen chains that begin at the same site; lanes of even and of odd number have a vector each. */
static void vs_chains(const Fill *f)
{
    VKeys k;
    T_U block[FLIGHT], chain[2];
    T_F x[UNITS][4];
    const T_U all = _mm512_loadu_si512(f->chains), low = U_OF(0xffffffffu);
    int begin = (int)(f->site0 & 3);
    int64_t nblocks = (f->nsites + begin + 3) / 4;
    chain[0] = _mm512_and_si512(all, low), chain[1] = U_SHR(all, 32);
    v_keys_of(&k, f, 2, chain);
    for (int64_t b = 0; b < nblocks; b += UNITS) {
        for (int i = 0; i < FLIGHT; i++) block[i] = U_OF((f->site0 >> 2) + b + i / 2);
        vs_quads(&k, block, x);
        for (int i = 0; i < 4 * UNITS; i++) {
            int64_t row = 4 * b + i - begin;
            if (row >= 0 && row < f->nsites) _mm512_storeu_ps(f->single + 16 * row, x[i / 4][i % 4]);
        }
    }
}

/* Eight lanes of which these begin with the same site of a block: two blocks of a lane side by side. */
LQ_INLINE void vs_lanes(const Fill *f, const VKeys *k, int begin, __mmask8 lanes, const T_U start)
{
    const __m512i apart = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    T_U block[FLIGHT];
    T_F x[UNITS][4];
    int64_t nblocks = (f->nsites + begin + 3) / 4;
    for (int64_t b = 0; b < nblocks; b += FLIGHT) {
        for (int i = 0; i < FLIGHT; i++) block[i] = U_ADD(start, U_OF(b + i));
        vs_quads(k, block, x);
        for (int i = 0; i < 4 * UNITS; i++) {
            T_F v = _mm512_permutexvar_ps(apart, x[i / 4][i % 4]);
            for (int half = 0; half < 2; half++) {
                int64_t row = 4 * (b + i / 4 * 2 + half) + i % 4 - begin;
                __m256 part = half ? _mm512_extractf32x8_ps(v, 1) : _mm512_castps512_ps256(v);
                if (row < 0 || row >= f->nsites) continue;
                if (lanes == 0xff) _mm256_storeu_ps(f->single + 8 * row, part);
                else _mm256_mask_storeu_ps(f->single + 8 * row, lanes, part);
            }
        }
    }
}

static void vs_eight(const Fill *f)
{
    VKeys k;
    T_U chain[2];
    uint32_t block[8];
    __mmask8 lanes[4] = {0};
    chain[0] = chain[1] = v_widen(f->chains);
    v_keys_of(&k, f, 2, chain);
    for (int l = 0; l < 8; l++) {
        block[l] = site_of(f, 0, l) >> 2;
        lanes[site_of(f, 0, l) & 3] |= (__mmask8)(1 << l);
    }
    for (int begin = 0; begin < 4; begin++)
        if (lanes[begin]) vs_lanes(f, &k, begin, lanes[begin], v_widen(block));
}

/* One lane: sixteen blocks that follow each other, from a multiple of four sites on, in such an order
 * that quarters of vectors are exchanged within themselves only. */
static void vs_row(const Fill *f)
{
    VKeys k;
    T_U block[FLIGHT], chain[2], order[2];
    T_F x[UNITS][4];
    chain[0] = chain[1] = U_OF(f->chains[0]);
    v_keys_of(&k, f, 2, chain);
    order[0] = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), order[1] = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    for (int64_t s = 0; s < f->nsites; s += 64 * UNITS) {
        float last[64 * UNITS], *to = s + 64 * UNITS <= f->nsites ? f->single + s : last;
        for (int i = 0; i < FLIGHT; i++) block[i] = U_ADD(order[i % 2], U_OF(((uint64_t)f->site0 + (uint64_t)s) / 4 + 16 * (uint64_t)(i / 2)));
        vs_quads(&k, block, x);
        for (int i = 0; i < UNITS; i++) {
            T_F a = _mm512_unpacklo_ps(x[i][0], x[i][1]), b = _mm512_unpacklo_ps(x[i][2], x[i][3]);
            T_F c = _mm512_unpackhi_ps(x[i][0], x[i][1]), d = _mm512_unpackhi_ps(x[i][2], x[i][3]);
            _mm512_storeu_ps(to + 64 * i, _mm512_shuffle_ps(a, b, 0x44));
            _mm512_storeu_ps(to + 64 * i + 16, _mm512_shuffle_ps(a, b, 0xee));
            _mm512_storeu_ps(to + 64 * i + 32, _mm512_shuffle_ps(c, d, 0x44));
            _mm512_storeu_ps(to + 64 * i + 48, _mm512_shuffle_ps(c, d, 0xee));
        }
        if (to == last) memcpy(f->single + s, last, (size_t)(f->nsites - s) * sizeof *last);
    }
}

/* True if the call is one of those that are done here. */
static bool vs_fill(const Fill *f)
{
    if ((uint64_t)f->site0 + (uint64_t)(f->nsites + 64) * f->every + (uint64_t)f->apart * (uint64_t)f->lanes > UINT32_MAX) return false;
    if (f->every != 1 || (f->lanes == 1 && (f->site0 % 4 || f->nsites < 16)) || (f->lanes == 16 && f->apart)) return false;
    if (f->lanes != 1 && f->lanes != 8 && f->lanes != 16) return false;
    (f->lanes == 1 ? vs_row : f->lanes == 8 ? vs_eight : vs_chains)(f);
    return true;
}
