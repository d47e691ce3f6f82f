/* philox_avx512.h — the text of philox_text.h for vectors of eight, several blocks in
 * flight: rounds of one block wait for each other, those of four keep the multipliers
 * busy.  Part of philox.c. */

#undef U_OF
#undef U_MUL
#undef U_ADD
#undef U_SHL
#undef U_SHR
#undef U_XOR3
#undef U_SIGN
#undef U_WORD
#undef U_BITS
#undef D_OF
#undef D_FMA
#undef D_ADD
#undef D_SUB
#undef D_MUL
#undef D_DIV
#undef D_SQRT
#undef D_FROM
#undef U_FROM
#undef D_PICK

/* the same functions once more, with names of their own */
#define T_U __m512i
#define T_D __m512d
#define text_round v_round
#define text_one_to_two v_one_to_two
#define text_uniform v_uniform
#define text_minus_two_log v_minus_two_log
#define text_eighth v_eighth
#define text_normals v_normals
#define U_OF(x) _mm512_set1_epi64((long long)(x))
#define U_MUL(a, b) _mm512_mul_epu32(a, b)
#define U_ADD(a, b) _mm512_add_epi64(a, b)
#define U_SHL(a, n) _mm512_slli_epi64(a, n)
#define U_SHR(a, n) _mm512_srli_epi64(a, n)
#define U_XOR3(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0x96)
#define U_SIGN(a, b) _mm512_ternarylogic_epi64(a, b, U_OF(K_SIGN), 0x78) /* a ^ (b & c) */
#define U_WORD(a, b) _mm512_mask_shuffle_epi32(a, 0xaaaa, b, _MM_PERM_CCAA)
#define U_BITS(a, m, b) _mm512_ternarylogic_epi64(a, m, b, 0xea) /* (a & b) | c */
#define D_OF(x) _mm512_set1_pd(x)
#define D_FMA(a, b, c) _mm512_fmadd_pd(a, b, c)
#define D_ADD(a, b) _mm512_add_pd(a, b)
#define D_SUB(a, b) _mm512_sub_pd(a, b)
#define D_MUL(a, b) _mm512_mul_pd(a, b)
#define D_DIV(a, b) _mm512_div_pd(a, b)
#define D_SQRT(a) _mm512_sqrt_pd(a)
#define D_FROM(u) _mm512_castsi512_pd(u)
#define U_FROM(d) _mm512_castpd_si512(d)
#define D_PICK(u, a, b) _mm512_mask_blend_pd(_mm512_movepi64_mask(u), b, a)
#include "philox_text.h"

enum { FLIGHT = 4 };

/* What stays for a call: the other counters, round keys; those of chains by vector.  Only
 * the block varies: the product of the draw in the first round, and with it that of the
 * first word in the second, are the same for all blocks.  `fixed`: the second word after
 * the first round and, by vector, what the second makes of the first. */
typedef struct VKeys {
    T_U iter, fixed, seed[ROUNDS], chain[2][ROUNDS], third[2], fourth;
} VKeys;

LQ_INLINE T_U v_widen(const uint32_t words[8])
{
    return _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)words));
}

LQ_INLINE void v_keys_of(VKeys *k, const Fill *f, int nvectors, const T_U *chain)
{
    k->iter = U_OF(f->d.iter);
    for (int r = 0; r < ROUNDS; r++) k->seed[r] = U_OF(f->d.seed + (uint32_t)r * 0x9E3779B9u);
    for (int v = 0; v < nvectors; v++) {
        k->chain[v][0] = chain[v];
        for (int r = 1; r < ROUNDS; r++) k->chain[v][r] = U_ADD(k->chain[v][r - 1], U_OF(0xBB67AE85u));
    }
    T_U c[4] = {U_OF(0), U_OF(f->d.step), U_OF(f->d.draw), k->iter};
    v_round(c, k->seed[0], k->chain[0][0]);
    k->fixed = c[1] ^ k->seed[1];
    k->fourth = U_MUL(c[0], U_OF(0xD2511F53u));
    for (int v = 0; v < nvectors; v++) k->third[v] = U_SHR(k->fourth, 32) ^ k->chain[v][1];
}

LQ_INLINE void v_keys(VKeys *k, const Fill *f, int nvectors)
{
    T_U chain[2];
    for (int v = 0; v < nvectors; v++) chain[v] = f->lanes == 1 ? U_OF(f->chains[0]) : v_widen(f->chains + 8 * v);
    v_keys_of(k, f, nvectors, chain);
}

/* The words of n <= FLIGHT vectors of blocks; vector i is for chains of number (i + v) % nvectors. */
LQ_INLINE void v_words(const VKeys *k, int n, int nvectors, int v, const T_U *block, T_U c[FLIGHT][4])
{
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        const int w = (i + v) % nvectors;
        T_U first = U_MUL(block[i], U_OF(0xD2511F53u));
        c[i][1] = U_MUL(U_XOR3(U_SHR(first, 32), k->iter, k->chain[w][0]), U_OF(0xCD9E8D57u));
        c[i][0] = U_SHR(c[i][1], 32) ^ k->fixed;
        c[i][2] = first ^ k->third[w];
        c[i][3] = k->fourth;
    }
#pragma GCC unroll 8
    for (int r = 2; r < ROUNDS; r++)
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) v_round(c[i], k->seed[r], k->chain[(i + v) % nvectors][r]);
}

/* Their pairs. */
LQ_INLINE void v_pairs(const VKeys *k, bool normal, int n, int nvectors, int v, const T_U *block, T_D *even, T_D *odd)
{
    T_U c[FLIGHT][4];
    v_words(k, n, nvectors, v, block, c);
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        T_U lo = U_WORD(c[i][0], c[i][1]), hi = U_WORD(c[i][2], c[i][3]);
        if (normal) v_normals(lo, hi, &even[i], &odd[i]);
        else even[i] = v_uniform(lo), odd[i] = v_uniform(hi);
    }
}

/* Stores with a mask are slow. */
LQ_INLINE void v_put(double *out, bool all, __mmask8 lanes, T_D x)
{
    if (all) _mm512_storeu_pd(out, x);
    else _mm512_mask_storeu_pd(out, lanes, x);
}

/* Where the blocks of a lane go: number b has its first site at row `first` and its second one
 * `second` rows later.  Every site: groups of four from a multiple of four on; every second one:
 * both sites of one block after the other. */
typedef struct VRow { int64_t first, second; } VRow;
LQ_INLINE VRow v_row(int every, int64_t b, int begin)
{
    return every == 1 ? (VRow){(b >> 1) * 4 + (b & 1) - begin, 2} : (VRow){2 * b - begin, 1};
}

/* Blocks b … b + n/nvectors - 1 of all lanes that begin with the same site of a group; rows
 * outside are left out. */
LQ_INLINE void v_store(const Fill *f, int every, int n, int nvectors, int v, int64_t b, int begin, bool all, const __mmask8 *lanes,
                       const T_D *one, const T_D *two)
{
    for (int i = 0; i < n; i++) {
        int which = (i + v) % nvectors;
        VRow row = v_row(every, b + (i + v) / nvectors, begin);
        double *out = f->out + row.first * f->lanes + 8 * which;
        if (row.first >= 0 && row.first < f->nsites) v_put(out, all, lanes[which], one[i]);
        if (row.first + row.second >= 0 && row.first + row.second < f->nsites)
            v_put(out + row.second * f->lanes, all, lanes[which], two[i]);
    }
}

LQ_INLINE void v_lanes(const Fill *f, const VKeys *k, bool normal, int every, int nvectors, int begin, bool all, const __mmask8 *lanes,
                       const T_U *start)
{
    T_D one[FLIGHT], two[FLIGHT];
    T_U block[FLIGHT];
    int64_t nblocks = every == 1 ? (f->nsites + begin + 3) / 4 * 2 : (f->nsites + begin + 1) / 2, b = 0;
    const int step = FLIGHT / nvectors;
    for (; b + step <= nblocks; b += step) {
        for (int i = 0; i < FLIGHT; i++) block[i] = U_ADD(start[i % nvectors], U_OF((b + i / nvectors) * every));
        v_pairs(k, normal, FLIGHT, nvectors, 0, block, one, two);
        v_store(f, every, FLIGHT, nvectors, 0, b, begin, all, lanes, one, two);
    }
    for (; b < nblocks; b++)
        for (int v = 0; v < nvectors; v++) {
            block[0] = U_ADD(start[v], U_OF(b * every));
            v_pairs(k, normal, 1, nvectors, v, block, one, two);
            v_store(f, every, 1, nvectors, v, b, begin, all, lanes, one, two);
        }
}

/* Eight or sixteen lanes; every site or every second one. */
LQ_INLINE void v_fill_lanes(const Fill *f, bool normal, int every, int nvectors)
{
    VKeys k;
    T_U start[2];
    __mmask8 lanes[4][2] = {{0}};
    uint32_t block[16];
    v_keys(&k, f, nvectors);
    if (f->apart == 0 && (every == 1 ? f->site0 & 3 : f->site0 & 2) == 0) {        /* all lanes alike, as chains are */
        start[0] = start[1] = U_OF(philox_block(f->site0));
        v_lanes(f, &k, normal, every, nvectors, 0, true, lanes[0], start);
        return;
    }
    for (int l = 0; l < 8 * nvectors; l++) {
        uint32_t site = site_of(f, 0, l);
        block[l] = every == 1 ? site >> 2 << 1 : philox_block(site);
        lanes[every == 1 ? site & 3 : site >> 1 & 1][l / 8] |= (__mmask8)(1 << l % 8);
    }
    for (int v = 0; v < nvectors; v++) start[v] = v_widen(block + 8 * v);
    for (int begin = 0; begin < 4; begin++) {
        bool all = lanes[begin][0] == 0xff && (nvectors == 1 || lanes[begin][1] == 0xff);
        if (all && !begin) v_lanes(f, &k, normal, every, nvectors, 0, true, lanes[begin], start);
        else if (lanes[begin][0] | lanes[begin][1]) v_lanes(f, &k, normal, every, nvectors, begin, false, lanes[begin], start);
    }
}

/* Sites that stand further apart, eight or sixteen lanes: a block for each. */
LQ_INLINE void v_fill_apart(const Fill *f, bool normal, int nvectors)
{
    VKeys k;
    T_U site[2], block[FLIGHT], at[FLIGHT];
    T_D one[FLIGHT], two[FLIGHT];
    uint32_t start[16];
    for (int l = 0; l < 8 * nvectors; l++) start[l] = site_of(f, 0, l);
    v_keys(&k, f, nvectors);
    for (int v = 0; v < nvectors; v++) site[v] = v_widen(start + 8 * v);
    const int step = FLIGHT / nvectors;
    for (int64_t s = 0; s < f->nsites; s += step) {
        for (int i = 0; i < FLIGHT; i++) {
            at[i] = U_ADD(site[i % nvectors], U_OF((s + i / nvectors) * f->every));
            block[i] = U_BITS(at[i], U_OF(1), U_SHL(U_SHR(at[i], 2), 1));
        }
        v_pairs(&k, normal, FLIGHT, nvectors, 0, block, one, two);
        for (int i = 0; i < FLIGHT && s + i / nvectors < f->nsites; i++)
            _mm512_storeu_pd(f->out + (s + i / nvectors) * f->lanes + 8 * (i % nvectors), D_PICK(U_SHL(at[i], 62), two[i], one[i]));
    }
}

/* One lane: a vector is eight blocks that follow each other, from a multiple of four on. */
LQ_INLINE void v_fill_row(const Fill *f, bool normal)
{
    VKeys k;
    T_D even[FLIGHT], odd[FLIGHT];
    T_U block[FLIGHT];
    const T_U low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    const T_U lane = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    v_keys(&k, f, 1);
    for (int64_t s = 0; s < f->nsites; s += 16 * FLIGHT) {
        double last[16 * FLIGHT], *to = s + 16 * FLIGHT <= f->nsites ? f->out + s : last;
        for (int i = 0; i < FLIGHT; i++) block[i] = U_ADD(lane, U_OF((f->site0 + (uint64_t)s) / 2 + 8 * (uint64_t)i));
        v_pairs(&k, normal, FLIGHT, 1, 0, block, even, odd);
        for (int i = 0; i < FLIGHT; i++) {
            _mm512_storeu_pd(to + 16 * i, _mm512_permutex2var_pd(even[i], low, odd[i]));
            _mm512_storeu_pd(to + 16 * i + 8, _mm512_permutex2var_pd(even[i], high, odd[i]));
        }
        if (to == last) memcpy(f->out + s, last, (size_t)(f->nsites - s) * sizeof *last);
    }
}

static void v_normals_8(const Fill *f) { v_fill_lanes(f, true, 1, 1); }
static void v_normals_16(const Fill *f) { v_fill_lanes(f, true, 1, 2); }
static void v_uniforms_8(const Fill *f) { v_fill_lanes(f, false, 1, 1); }
static void v_uniforms_16(const Fill *f) { v_fill_lanes(f, false, 1, 2); }
static void v_normals_second_8(const Fill *f) { v_fill_lanes(f, true, 2, 1); }
static void v_normals_second_16(const Fill *f) { v_fill_lanes(f, true, 2, 2); }
static void v_uniforms_second_8(const Fill *f) { v_fill_lanes(f, false, 2, 1); }
static void v_uniforms_second_16(const Fill *f) { v_fill_lanes(f, false, 2, 2); }
static void v_normals_apart_8(const Fill *f) { v_fill_apart(f, true, 1); }
static void v_normals_apart_16(const Fill *f) { v_fill_apart(f, true, 2); }
static void v_uniforms_apart_8(const Fill *f) { v_fill_apart(f, false, 1); }
static void v_uniforms_apart_16(const Fill *f) { v_fill_apart(f, false, 2); }
static void v_normals_row(const Fill *f) { v_fill_row(f, true); }
static void v_uniforms_row(const Fill *f) { v_fill_row(f, false); }

/* True if the call is one of those that are done here. */
static bool v_fill(const Fill *f)
{
    if ((uint64_t)f->site0 + (uint64_t)(f->nsites + FLIGHT) * f->every + (uint64_t)f->apart * (uint64_t)f->lanes > UINT32_MAX) return false;
    bool wide = f->lanes == 16;
    if (f->lanes == 1) {
        if (f->every != 1 || f->site0 % 4 || f->nsites <= 8) return false;
        (f->normal ? v_normals_row : v_uniforms_row)(f);
    } else if (f->lanes != 8 && !wide) return false;
    else if (f->every == 1 && f->nsites > 1) (f->normal ? wide ? v_normals_16 : v_normals_8 : wide ? v_uniforms_16 : v_uniforms_8)(f);
    else if (f->every == 2) (f->normal ? wide ? v_normals_second_16 : v_normals_second_8 : wide ? v_uniforms_second_16 : v_uniforms_second_8)(f);
    else (f->normal ? wide ? v_normals_apart_16 : v_normals_apart_8 : wide ? v_uniforms_apart_16 : v_uniforms_apart_8)(f);
    return true;
}
