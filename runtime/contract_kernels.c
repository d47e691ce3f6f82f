/* contract_kernels.c — the text of contract_text.h for three machines: AVX-512, AVX2 with
 * fused multiply-add, and vectors of sixteen bytes in plain C; and the choice among them.
 * The first two give the same bits. */
#include "contract_plan.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")))
#define AVX2 __attribute__((target("avx2,fma")))

/* ---- sums of a vector's elements: i with i + n/2, and so on ------------------------------ */

AVX2 static inline double halves_4(__m256d x)
{
    __m128d y = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(y, _mm_unpackhi_pd(y, y)));
}

AVX2 static inline float halves_8f(__m256 x)
{
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}

AVX512 static inline double halves_8(__m512d x)
{
    return halves_4(_mm256_add_pd(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd(x, 1)));
}

AVX512 static inline float halves_16f(__m512 x)
{
    return halves_8f(_mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1)));
}

/* ---- transposition of squares -------------------------------------------------------- */

AVX2 static inline void turn_4(char *to, int64_t step, const char *const *from)
{
    __m256d r[4], t[4];
    for (int i = 0; i < 4; i++) r[i] = _mm256_loadu_pd((const double *)from[i]);
    for (int i = 0; i < 4; i += 2) t[i] = _mm256_unpacklo_pd(r[i], r[i + 1]), t[i + 1] = _mm256_unpackhi_pd(r[i], r[i + 1]);
    for (int i = 0; i < 2; i++) {
        _mm256_storeu_pd((double *)(to + i * step), _mm256_permute2f128_pd(t[i], t[i + 2], 0x20));
        _mm256_storeu_pd((double *)(to + (i + 2) * step), _mm256_permute2f128_pd(t[i], t[i + 2], 0x31));
    }
}

/* Eight by eight floats. */
AVX2 static inline void turn_8f(char *to, int64_t step, const char *const *from)
{
    __m256 r[8], t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps((const float *)from[i]);
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]), t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44), r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44), r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps((float *)(to + i * step), _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps((float *)(to + (i + 4) * step), _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}

/* Eight by eight doubles: pairs, then quarters of vectors. */
AVX512 static inline void turn_8(char *to, int64_t step, const char *const *from)
{
    __m512d r[8], t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) r[i] = _mm512_loadu_pd(from[i]);
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) t[i] = _mm512_unpacklo_pd(r[i], r[i + 1]), t[i + 1] = _mm512_unpackhi_pd(r[i], r[i + 1]);
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) { /* even columns from the low halves, odd ones from the high */
        __m512d a = _mm512_shuffle_f64x2(t[i], t[i + 2], 0x88), b = _mm512_shuffle_f64x2(t[i + 4], t[i + 6], 0x88);
        __m512d c = _mm512_shuffle_f64x2(t[i], t[i + 2], 0xdd), d = _mm512_shuffle_f64x2(t[i + 4], t[i + 6], 0xdd);
        _mm512_storeu_pd(to + i * step, _mm512_shuffle_f64x2(a, b, 0x88));
        _mm512_storeu_pd(to + (i + 2) * step, _mm512_shuffle_f64x2(c, d, 0x88));
        _mm512_storeu_pd(to + (i + 4) * step, _mm512_shuffle_f64x2(a, b, 0xdd));
        _mm512_storeu_pd(to + (i + 6) * step, _mm512_shuffle_f64x2(c, d, 0xdd));
    }
}

AVX512 static inline void turn_16f(char *to, int64_t step, const char *const *from)
{
    for (int i = 0; i < 16; i += 8)
        for (int j = 0; j < 16; j += 8) {
            const char *quarter[8];
            for (int l = 0; l < 8; l++) quarter[l] = from[i + l] + j * (int)sizeof(float);
            turn_8f(to + j * step + i * (int)sizeof(float), step, quarter);
        }
}

/* ---- AVX-512 ---------------------------------------------------------------------------- */

#define T(name) avx512_##name
#define T_FN AVX512 static
#define T_REAL double
#define T_VEC __m512d
#define T_LANES 8
#define T_ROWS 8
#define T_ZERO _mm512_setzero_pd()
#define T_LOAD(p) _mm512_loadu_pd(p)
#define T_STORE(p, x) _mm512_storeu_pd(p, x)
#define T_SPLAT(p) _mm512_set1_pd(*(const double *)(p))
#define T_ADD(a, b) _mm512_add_pd(a, b)
#define T_FMA(a, b, c) _mm512_fmadd_pd(a, b, c)
#define T_HALVES(x) halves_8(x)
#define T_TURN turn_8
#include "contract_text.h"

#define T(name) avx512f_##name
#define T_FN AVX512 static
#define T_REAL float
#define T_VEC __m512
#define T_LANES 16
#define T_ROWS 8
#define T_ZERO _mm512_setzero_ps()
#define T_LOAD(p) _mm512_loadu_ps(p)
#define T_STORE(p, x) _mm512_storeu_ps(p, x)
#define T_SPLAT(p) _mm512_set1_ps(*(const float *)(p))
#define T_ADD(a, b) _mm512_add_ps(a, b)
#define T_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define T_HALVES(x) halves_16f(x)
#define T_TURN turn_16f
#include "contract_text.h"

/* ---- AVX2 --------------------------------------------------------------------------------- */

#define T(name) avx2_##name
#define T_FN AVX2 static
#define T_REAL double
#define T_VEC __m256d
#define T_LANES 4
#define T_ROWS 4
#define T_ZERO _mm256_setzero_pd()
#define T_LOAD(p) _mm256_loadu_pd((const double *)(p))
#define T_STORE(p, x) _mm256_storeu_pd((double *)(p), x)
#define T_SPLAT(p) _mm256_broadcast_sd((const double *)(p))
#define T_ADD(a, b) _mm256_add_pd(a, b)
#define T_FMA(a, b, c) _mm256_fmadd_pd(a, b, c)
#define T_HALVES(x) halves_4(x)
#define T_TURN turn_4
#include "contract_text.h"

#define T(name) avx2f_##name
#define T_FN AVX2 static
#define T_REAL float
#define T_VEC __m256
#define T_LANES 8
#define T_ROWS 4
#define T_ZERO _mm256_setzero_ps()
#define T_LOAD(p) _mm256_loadu_ps((const float *)(p))
#define T_STORE(p, x) _mm256_storeu_ps((float *)(p), x)
#define T_SPLAT(p) _mm256_broadcast_ss((const float *)(p))
#define T_ADD(a, b) _mm256_add_ps(a, b)
#define T_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define T_HALVES(x) halves_8f(x)
#define T_TURN turn_8f
#include "contract_text.h"
#endif

/* ---- any machine ----------------------------------------------------------------------------- */

typedef double Plain __attribute__((vector_size(16), aligned(8), may_alias));
typedef float Plainf __attribute__((vector_size(16), aligned(4), may_alias));

static inline double halves_2(Plain x)
{
    return x[0] + x[1];
}

static inline float halves_4f(Plainf x)
{
    return (x[0] + x[2]) + (x[1] + x[3]);
}

#define PLAIN_TURN(name, real, n)                                                         \
    static inline void name(char *to, int64_t step, const char *const *from)              \
    {                                                                                     \
        for (int k = 0; k < n; k++)                                                       \
            for (int i = 0; i < n; i++) ((real *)(to + k * step))[i] = ((const real *)from[i])[k]; \
    }
PLAIN_TURN(turn_2, double, 2)
PLAIN_TURN(turn_4f, float, 4)

#define T(name) plain_##name
#define T_FN static
#define T_REAL double
#define T_VEC Plain
#define T_LANES 2
#define T_ROWS 4
#define T_ZERO ((Plain){0, 0})
#define T_LOAD(p) (*(const Plain *)(p))
#define T_STORE(p, x) (*(Plain *)(p) = (x))
#define T_SPLAT(p) ((Plain){*(const double *)(p), *(const double *)(p)})
#define T_ADD(a, b) ((a) + (b))
#define T_FMA(a, b, c) ((a) * (b) + (c))
#define T_HALVES(x) halves_2(x)
#define T_TURN turn_2
#include "contract_text.h"

#define T(name) plainf_##name
#define T_FN static
#define T_REAL float
#define T_VEC Plainf
#define T_LANES 4
#define T_ROWS 4
#define T_ZERO ((Plainf){0, 0, 0, 0})
#define T_LOAD(p) (*(const Plainf *)(p))
#define T_STORE(p, x) (*(Plainf *)(p) = (x))
#define T_SPLAT(p) ((Plainf){*(const float *)(p), *(const float *)(p), *(const float *)(p), *(const float *)(p)})
#define T_ADD(a, b) ((a) + (b))
#define T_FMA(a, b, c) ((a) * (b) + (c))
#define T_HALVES(x) halves_4f(x)
#define T_TURN turn_4f
#include "contract_text.h"

const CtMachine *ct_machine(bool single, int i)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && i-- == 0)
        return single ? &avx512f_machine : &avx512_machine;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && i-- == 0)
        return single ? &avx2f_machine : &avx2_machine;
#endif
    if (i == 0) return single ? &plainf_machine : &plain_machine;
    return NULL;
}
