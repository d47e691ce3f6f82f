/* limits.c — what one core can do at most: fused multiply-adds of vectors, and copies within
 * the caches and in memory, with ordinary stores and with such that bypass the cache.  A copy
 * counts the bytes it reads and those it writes.
 *
 *   limits rate REPEATS      a repeat a line: GF/s; GB/s of copies of 16 KiB, 256 KiB, 128 MiB;
 *                            of 128 MiB by stores that bypass the cache; and of 128 MiB in place */
#include "hand.h"
#ifdef __AVX512F__
#include <immintrin.h>
#endif

INLINE double fma_peak(void) {
    enum { CHAINS = 12, TIMES = 400000 };
    Vec v[CHAINS], a = splat((Real)0.999999), b = splat((Real)1e-9);
    for (int i = 0; i < CHAINS; i++) v[i] = a + (Real)i;
    double t = cpu_seconds();
    for (int n = 0; n < TIMES; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            v[i] = v[i] * a + b;
            __asm__ volatile("" : "+v"(v[i]));   /* stays in a register, and stays in the loop */
        }
    }
    return 2e-9 * W * CHAINS * TIMES / (cpu_seconds() - t);
}

typedef enum Way { PLAIN, BYPASS, IN_PLACE } Way;

static void move(Way way, Vec *restrict to, const Vec *restrict from, size_t n) {
    if (way == PLAIN)
#pragma GCC unroll 4
        for (size_t i = 0; i < n; i++) { to[i] = from[i]; __asm__ volatile("" ::: "memory"); }    /* no call of memcpy */
    else if (way == BYPASS)
#pragma GCC unroll 4
        for (size_t i = 0; i < n; i++) {
#ifdef __AVX512F__
            _mm512_stream_si512((void *)&to[i], (__m512i)from[i]);
#else
            to[i] = from[i];
#endif
        }
    else
#pragma GCC unroll 4
        for (size_t i = 0; i < n; i++) to[i] = to[i] * (Real)0.999 + (Real)1e-3;
}

/* Of `bytes` in all, half of them read. */
static double copy(Way way, size_t bytes) {
    size_t n = bytes / 2 / sizeof(Vec), times = ((size_t)1 << 29) / bytes;
    Vec *a = memory(n * sizeof *a), *b = memory((n + 32) * sizeof *b);
    b += 32;                                /* not a multiple of 4096 bytes apart */
    move(way, a, b, n);
    double t = cpu_seconds();
    for (size_t k = 0; k < times; k++) {
        move(way, a, b, n);
        __asm__ volatile("" ::"r"(a) : "memory");
    }
    t = cpu_seconds() - t;
    free(a), free(b - 32);
    return 1e-9 * (double)(2 * n * sizeof(Vec) * times) / t;
}

int main(int argc, char **argv) {
    size_t large = (size_t)256 << 20;
    for (int r = argument(argc, argv, 0, 1); r > 0; r--)
        printf("%.2f %.1f %.1f %.2f %.2f %.2f\n", fma_peak(), copy(PLAIN, 32 << 10), copy(PLAIN, 512 << 10), copy(PLAIN, large),
               copy(BYPASS, large), copy(IN_PLACE, large));
    return 0;
}
