/* peak.c — the two limits of one core: fused multiply-adds of vectors, and a += s b over
 * arrays of three sizes.  CPU time, best of several. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef double Vec __attribute__((vector_size(64)));

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double fma_peak(void) {
    enum { CHAINS = 12, N = 400000 };
    Vec v[CHAINS], a = 0.999999 - (Vec){0}, b = 1e-9 - (Vec){0};
    double best = 0;
    for (int r = 0; r < 9; r++) {
        for (int i = 0; i < CHAINS; i++) v[i] = a + i;
        double t = cpu_seconds();
        for (int n = 0; n < N; n++) {
#pragma GCC unroll 12
            for (int i = 0; i < CHAINS; i++) {
                v[i] = v[i] * a + b;
                __asm__ volatile("" : "+v"(v[i]));   /* stays in a register, and stays in the loop */
            }
        }
        t = cpu_seconds() - t;
        double rate = 2e-9 * 8 * CHAINS * N / t;
        if (rate > best) best = rate;
    }
    return best;
}

/* 24 bytes an element. */
static double bandwidth(size_t bytes) {
    size_t n = bytes / 2 / sizeof(Vec), times = ((size_t)1 << 28) / bytes + 1;
    Vec *a = aligned_alloc(64, n * sizeof *a), *b = aligned_alloc(64, n * sizeof *b), s = 1e-9 - (Vec){0};
    double best = 0;
    for (size_t i = 0; i < n; i++) a[i] = b[i] = s;
    for (int r = 0; r < 5; r++) {
        double t = cpu_seconds();
        for (size_t k = 0; k < times; k++) {
#pragma GCC unroll 4
            for (size_t i = 0; i < n; i++) a[i] += s * b[i];
            __asm__ volatile("" : : "r"(a) : "memory");
        }
        t = cpu_seconds() - t;
        double rate = 1.5e-9 * (double)bytes * (double)times / t;
        if (rate > best) best = rate;
    }
    free(a), free(b);
    return best;
}

int main(void) {
    printf("%.1f %.0f %.0f %.0f\n", fma_peak(), bandwidth(16 << 10), bandwidth(256 << 10), bandwidth(128 << 20));
    return 0;
}
