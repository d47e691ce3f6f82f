/* base.h — arenas, growable arrays and interned strings: the only code that the
 * compiler and the runtime share.  Memory has three lifetimes (session, program,
 * kernel); each is one Arena, freed as a whole. */
#ifndef LQFT_BASE_H
#define LQFT_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define LQ_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define LQ_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ---- memory ---------------------------------------------------------------- */

typedef struct Arena Arena;

Arena *arena_new(void);
void   arena_free(Arena *a);
/* Zeroed memory, 16-byte aligned; never NULL: out of memory ends the process
 * with status 70 and a message (see lq_out_of_memory). */
void *arena_alloc(Arena *a, size_t size);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *fmt, ...) LQ_PRINTF(2, 3);
char *arena_vprintf(Arena *a, const char *fmt, va_list ap);

/* malloc/realloc that cannot return NULL. */
void *lq_alloc(size_t size);
void *lq_realloc(void *p, size_t size);
/* 64-byte aligned, zeroed; NULL when the size is absurd or memory is short. */
void *lq_alloc_vectors(size_t bytes);
/* The same, not zeroed: of large room only what is used takes memory. */
void *lq_alloc_room(size_t bytes);
_Noreturn void lq_out_of_memory(size_t size);

/* a*b with overflow check: false when the product does not fit. */
bool lq_mul_ok(int64_t a, int64_t b, int64_t *product);

/* ---- growable arrays: VEC(T) v = {0}; vec_push(&v, x); vec_free(&v) ---------- */

#define VEC(T) struct { T *data; int n, cap; }
#define vec_push(v, x)                                                          \
    ((v)->n == (v)->cap                                                         \
         ? (void)((v)->cap = (v)->cap ? 2 * (v)->cap : 8,                       \
                  (v)->data = lq_realloc((v)->data,                             \
                                         (size_t)(v)->cap * sizeof *(v)->data)) \
         : (void)0,                                                             \
     (v)->data[(v)->n++] = (x))
#define vec_free(v) (free((v)->data), (v)->data = NULL, (v)->n = (v)->cap = 0)

/* ---- text ------------------------------------------------------------------ */

typedef struct Text { char *s; size_t n, cap; } Text; /* a growing string */
void text_printf(Text *t, const char *fmt, ...) LQ_PRINTF(2, 3);
void text_putn(Text *t, const char *s, size_t n);
void text_free(Text *t);

/* Folder of a file ("." when it has none). */
const char *path_folder(Arena *a, const char *path);

/* Interned strings compare by pointer; they live as long as the process. */
const char *intern(const char *s);
const char *intern_n(const char *s, size_t n);

uint64_t lq_hash(const void *data, size_t n, uint64_t seed);

/* The candidate that was probably meant, or NULL. */
const char *lq_nearest(const char *name, const char *const *candidates, int n);

#endif
