/* hand.h — what the programs written by hand share: vectors of 64 bytes, clocks, memory,
 * and what they print.  Each is a program with two uses:
 *
 *   NAME rate REPEATS [ARGUMENT…]     Gsite-updates/s of CPU time of this thread, one number a repeat
 *   NAME check                        numbers that the generated code must find too (check.py)
 *
 * -DSINGLE makes all reals single. */
#ifndef HAND_H
#define HAND_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#ifdef SINGLE
typedef float Real;
typedef int32_t Int;
enum { W = 16 };
#else
typedef double Real;
typedef int64_t Int;
enum { W = 8 };
#endif
typedef Real Vec __attribute__((vector_size(64)));
typedef Int  Mask __attribute__((vector_size(64)));      /* per lane: all bits, or none */

#define INLINE static inline __attribute__((always_inline))

INLINE Vec splat(Real x) { return x - (Vec){0}; }
INLINE Vec choose(Mask m, Vec yes, Vec no) { return (Vec)((m & (Mask)yes) | (~m & (Mask)no)); }

/* Lane l of the result is lane l - 1, or l + 1, of v. */
#ifdef SINGLE
INLINE Vec from_left(Vec v) { return __builtin_shufflevector(v, v, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14); }
INLINE Vec from_right(Vec v) { return __builtin_shufflevector(v, v, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0); }
#else
INLINE Vec from_left(Vec v) { return __builtin_shufflevector(v, v, 7, 0, 1, 2, 3, 4, 5, 6); }
INLINE Vec from_right(Vec v) { return __builtin_shufflevector(v, v, 1, 2, 3, 4, 5, 6, 7, 0); }
#endif

INLINE double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Zeroed, in pages of 2 MiB where the system has them. */
INLINE void *memory(size_t bytes) {
    size_t page = (size_t)1 << 21, whole = (bytes + page - 1) & ~(page - 1);
    void *p = aligned_alloc(page, whole);
    if (!p) { fprintf(stderr, "no memory\n"); exit(1); }
    madvise(p, whole, MADV_HUGEPAGE);
    memset(p, 0, whole);
    return p;
}

/* The leapfrog step of φ⁴:  p += k Σ φ(x ± μ) + φ (a + b φ²),  φ += ε p. */
typedef struct Coef { Real k, a, b, eps; } Coef;
INLINE Coef phi4(double eps, double kappa, double lambda) {
    return (Coef){(Real)(2 * kappa * eps), (Real)(-2 * (1 - 2 * lambda) * eps), (Real)(-4 * lambda * eps), (Real)eps};
}
/* Short steps: the fields go nowhere, however many there are. */
INLINE Coef phi4_slow(void) { return phi4(1e-5, 0.21, 0.022); }

/* What `check` starts from and prints; the model of check.py has the same functions.  The
 * arguments are exact, however they are computed. */
enum { CHECK_STEPS = 20 };
INLINE Coef phi4_check(void) { return phi4(0.05, 0.21, 0.022); }
INLINE Real start_field(int64_t site) { return (Real)sin(1 + 0.375 * (double)site); }
INLINE Real start_momentum(int64_t site) { return (Real)cos(0.5 + 0.109375 * (double)site); }
INLINE double weight(int64_t site) { return cos(0.6875 * (double)site); }

/* The loop of `rate`: work() makes so many site updates; enough calls to fill a tenth of a
 * second, after one that is not counted. */
#define RATES(repeats, updates, work)                                                      \
    do {                                                                                   \
        work;                                                                              \
        double once = cpu_seconds();                                                       \
        work;                                                                              \
        once = cpu_seconds() - once;                                                       \
        int times = 1 + (int)(0.1 / once);                                                 \
        for (int r_ = 0; r_ < (repeats); r_++) {                                           \
            double t_ = cpu_seconds();                                                     \
            for (int i_ = 0; i_ < times; i_++) work;                                       \
            printf("%.5f\n", 1e-9 * (double)(updates) * times / (cpu_seconds() - t_));     \
        }                                                                                  \
    } while (0)

/* Arguments: true for `check`; otherwise the repeats, and number i after them. */
INLINE int checking(int argc, char **argv) { return argc > 1 && !strcmp(argv[1], "check"); }
INLINE int argument(int argc, char **argv, int i, int otherwise) { return argc > 2 + i ? atoi(argv[2 + i]) : otherwise; }

#endif
