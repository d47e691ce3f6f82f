/* contract_text.h — tiles of matrix products, inner products and packing, written once for
 * every machine and precision.  Before it is included a machine defines
 *
 *   T(name)   the name here                 T_FN  what stands before a function
 *   T_REAL T_VEC T_LANES                    numbers, vectors, elements of a vector
 *   T_ZERO T_LOAD(p) T_STORE(p, x) T_SPLAT(p) T_ADD(a, b) T_FMA(a, b, c)
 *   T_HALVES(x)                             the elements of a vector added by halves
 *   T_TURN(to, step, from)                  a square of numbers transposed: from[i] is the
 *                                           address of row i, to + k*step that of column k
 *
 * Part of contract_kernels.c. */

#define T_INLINE T_FN inline __attribute__((always_inline))

T_INLINE void T(tile)(const CtTile *t, int R, int W)
{
    const char *s[CT_TILE_ROWS];
    T_VEC sum[CT_TILE_ROWS][CT_PANEL];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        s[r] = t->s + t->rows[r];
        /* what will be stored to arrives meanwhile */
        for (int w = 0; w < W; w++) __builtin_prefetch(t->out + t->out_rows[r] + w * (int)sizeof(T_VEC), 1);
#pragma GCC unroll 6
        for (int w = 0; w < W; w++) sum[r][w] = T_ZERO;
    }
    const int64_t *ks = t->ks, *kv = t->kv;
    const char *base = t->v;
    for (int64_t k = 0, n = t->n; k < n; k++) {
        const char *v = base + kv[k];
        int64_t at = ks[k];
        T_VEC x[CT_PANEL];
#pragma GCC unroll 6
        for (int w = 0; w < W; w++) x[w] = T_LOAD(v + w * (int)sizeof(T_VEC));
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            T_VEC a = T_SPLAT(s[r] + at);
#pragma GCC unroll 6
            for (int w = 0; w < W; w++) sum[r][w] = T_FMA(a, x[w], sum[r][w]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        char *o = t->out + t->out_rows[r];
#pragma GCC unroll 6
        for (int w = 0; w < W; w++, o += sizeof(T_VEC)) {
            if (t->add) sum[r][w] = T_ADD(T_LOAD(o), sum[r][w]);
            T_STORE(o, sum[r][w]);
        }
    }
}

#define TILE(R, W) T_FN void T(tile_##R##_##W)(const CtTile *t) { T(tile)(t, R, W); }
#define TILE_ROW(R) TILE(R, 1) TILE(R, 2) TILE(R, 3)
#define TILE_NAME(R) {T(tile_##R##_1), T(tile_##R##_2), T(tile_##R##_3), NULL, NULL, NULL}
#define TILE_ROW_WIDE(R) TILE_ROW(R) TILE(R, 4) TILE(R, 5) TILE(R, 6)
#define TILE_NAME_WIDE(R) {T(tile_##R##_1), T(tile_##R##_2), T(tile_##R##_3), T(tile_##R##_4), T(tile_##R##_5), T(tile_##R##_6)}
TILE_ROW_WIDE(1)
TILE_ROW_WIDE(2)
TILE_ROW(3)
TILE_ROW(4)
#if T_ROWS == 8
TILE_ROW(5)
TILE_ROW(6)
TILE_ROW(7)
TILE_ROW(8)
#endif

enum { T(DOT) = CT_LANES * (int)(sizeof(double) / sizeof(T_REAL)), T(DOT_VECTORS) = T(DOT) / T_LANES };

/* Elements from k on, where fewer than T(DOT) are left; what is beyond leaves a sum as it is,
 * -0 included. */
T_INLINE void T(dot_rest)(const char *const *rows, const char *x, int64_t n, int R, T_VEC sum[CT_DOT_ROWS][T(DOT_VECTORS)])
{
    T_REAL a[T(DOT)], b[T(DOT)];
    for (int i = 0; i < T(DOT); i++) a[i] = 0, b[i] = (T_REAL)-0.0;
    for (int64_t i = 0; i < n; i++) b[i] = ((const T_REAL *)x)[i];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        for (int64_t i = 0; i < n; i++) a[i] = ((const T_REAL *)rows[r])[i];
#pragma GCC unroll 16
        for (int v = 0; v < T(DOT_VECTORS); v++) sum[r][v] = T_FMA(T_LOAD(a + v * T_LANES), T_LOAD(b + v * T_LANES), sum[r][v]);
    }
}

/* All lanes of an inner product, added by halves. */
T_INLINE T_REAL T(halves)(T_VEC *sum)
{
#pragma GCC unroll 4
    for (int half = T(DOT_VECTORS) / 2; half; half /= 2)
#pragma GCC unroll 8
        for (int v = 0; v < half; v++) sum[v] = T_ADD(sum[v], sum[v + half]);
    return T_HALVES(sum[0]);
}

T_INLINE void T(dot)(const char *const *rows, const char *x, int64_t n, char *out, int R)
{
    T_VEC sum[CT_DOT_ROWS][T(DOT_VECTORS)];
    const char *row[CT_DOT_ROWS];
    int64_t whole = n - n % T(DOT), size = sizeof(T_REAL);
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        row[r] = rows[r];
#pragma GCC unroll 16
        for (int v = 0; v < T(DOT_VECTORS); v++) sum[r][v] = T_ZERO;
    }
    for (int64_t k = 0; k < whole * size; k += T(DOT) * size)
#pragma GCC unroll 16
        for (int v = 0; v < T(DOT_VECTORS); v++) {
            T_VEC b = T_LOAD(x + k + v * (int)sizeof(T_VEC));
#pragma GCC unroll 4
            for (int r = 0; r < R; r++) sum[r][v] = T_FMA(T_LOAD(row[r] + k + v * (int)sizeof(T_VEC)), b, sum[r][v]);
        }
    if (whole < n) {
        for (int r = 0; r < R; r++) row[r] += whole * size;
        T(dot_rest)(row, x + whole * size, n - whole, R, sum);
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) ((T_REAL *)out)[r] += T(halves)(sum[r]);
}

#define DOT(R) T_FN void T(dot_##R)(const char *const *rows, const char *x, int64_t n, char *out) { T(dot)(rows, x, n, out, R); }
DOT(1)
DOT(2)
DOT(3)
DOT(4)

T_FN void T(copy)(char *panel, int64_t step, const char *source, const int64_t *kv, int64_t n, int width)
{
    int bytes = width * (int)sizeof(T_REAL);
    for (int64_t k = 0; k < n; k++, panel += step)
        for (int j = 0; j < bytes; j += (int)sizeof(T_VEC)) T_STORE(panel + j, T_LOAD(source + kv[k] + j));
}

T_FN void T(turn)(char *panel, int64_t step, const char *source, const int64_t *columns, int64_t n, int width)
{
    const int64_t size = sizeof(T_REAL);
    for (int j = 0; j < width; j += T_LANES) {
        int64_t k = 0;
        for (; k + T_LANES <= n; k += T_LANES) {
            const char *from[T_LANES];
            for (int i = 0; i < T_LANES; i++) from[i] = source + columns[j + i] + k * size;
            T_TURN(panel + k * step + j * size, step, from);
        }
        for (; k < n; k++)
            for (int i = 0; i < T_LANES; i++)
                *(T_REAL *)(panel + k * step + (j + i) * size) = *(const T_REAL *)(source + columns[j + i] + k * size);
    }
}

static const CtMachine T(machine) = {
    .lanes = T_LANES,
    .tile_rows = T_ROWS,
    .panel = 3,
    .tile = {TILE_NAME_WIDE(1), TILE_NAME_WIDE(2), TILE_NAME(3), TILE_NAME(4),
#if T_ROWS == 8
             TILE_NAME(5), TILE_NAME(6), TILE_NAME(7), TILE_NAME(8)
#endif
    },
    .dot = {T(dot_1), T(dot_2), T(dot_3), T(dot_4)},
    .copy = T(copy),
    .turn = T(turn),
};

#undef T_INLINE
#undef TILE
#undef TILE_ROW
#undef TILE_NAME
#undef TILE_ROW_WIDE
#undef TILE_NAME_WIDE
#undef DOT
#undef T
#undef T_FN
#undef T_REAL
#undef T_VEC
#undef T_LANES
#undef T_ROWS
#undef T_ZERO
#undef T_LOAD
#undef T_STORE
#undef T_SPLAT
#undef T_ADD
#undef T_FMA
#undef T_TURN
#undef T_HALVES
