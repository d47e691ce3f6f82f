/* base.c — arenas, growable text and interned strings: see base.h for what each
 * function promises. */
#include "base.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <string.h>
#include <strings.h>

enum { ALIGN = 16, FIRST_BLOCK = 4096, LARGEST_BLOCK = 8 << 20 };

typedef struct Block {
    struct Block *next;
    size_t size, used; /* bytes after the header */
} Block;

/* data follows the header and must keep malloc's alignment */
static const size_t HEADER = (sizeof(Block) + ALIGN - 1) / ALIGN * ALIGN;

struct Arena {
    Block *blocks;    /* the first one is the one being filled */
    size_t next_size; /* grows geometrically up to LARGEST_BLOCK */
};

/* ---- memory ---------------------------------------------------------------- */

_Noreturn void lq_out_of_memory(size_t size)
{
    fprintf(stderr, "lqft: there is not enough memory (%zu bytes more were needed): smaller lattices, arrays or fewer chains need less\n", size);
    exit(70);
}

void *lq_alloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p) lq_out_of_memory(size);
    return p;
}

void *lq_realloc(void *p, size_t size)
{
    void *q = realloc(p, size ? size : 1);
    if (!q) lq_out_of_memory(size);
    return q;
}

/* Large room lies in large pages, where the system has some: sweeps go through many rows at a
 * time, more than there are entries for small pages in the tables of a core. */
void *lq_alloc_room(size_t bytes)
{
    enum { LARGE_PAGE = 1 << 21 };
    void *p = NULL;
    size_t align = bytes >= LARGE_PAGE ? LARGE_PAGE : 64;
    if (bytes > PTRDIFF_MAX - LARGE_PAGE || posix_memalign(&p, align, bytes ? (bytes + 63) / 64 * 64 : 64)) return NULL;
    if (bytes >= LARGE_PAGE) madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

void *lq_alloc_vectors(size_t bytes)
{
    void *p = lq_alloc_room(bytes);
    return p ? memset(p, 0, (bytes + 63) / 64 * 64) : NULL;
}

bool lq_mul_ok(int64_t a, int64_t b, int64_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

Arena *arena_new(void)
{
    Arena *a = lq_alloc(sizeof *a);
    *a = (Arena){NULL, FIRST_BLOCK};
    return a;
}

void arena_free(Arena *a)
{
    if (!a) return;
    for (Block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

static Block *new_block(size_t size)
{
    Block *b = calloc(1, HEADER + size);
    if (!b) lq_out_of_memory(size);
    b->size = size;
    return b;
}

void *arena_alloc(Arena *a, size_t size)
{
    if (size > PTRDIFF_MAX - HEADER - ALIGN) lq_out_of_memory(size);
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (!size) size = ALIGN; /* so that two results never coincide */
    Block *b = a->blocks;
    if (!b || b->size - b->used < size) {
        bool own = size > a->next_size / 2;
        b = new_block(own ? size : a->next_size);
        if (own && a->blocks) { /* a big piece leaves the block being filled in front */
            b->next = a->blocks->next;
            a->blocks->next = b;
        } else {
            b->next = a->blocks;
            a->blocks = b;
        }
        if (!own && a->next_size < LARGEST_BLOCK) a->next_size *= 2;
    }
    void *p = (char *)b + HEADER + b->used;
    b->used += size;
    return p;
}

char *arena_strndup(Arena *a, const char *s, size_t n)
{
    char *copy = arena_alloc(a, n + 1); /* zeroed, so it is terminated */
    if (n) memcpy(copy, s, n);
    return copy;
}

char *arena_vprintf(Arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0) return arena_strndup(a, "", 0); /* an invalid wide character only */
    char *s = arena_alloc(a, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, ap);
    return s;
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}

/* ---- text ------------------------------------------------------------------ */

static void text_reserve(Text *t, size_t more)
{
    if (more >= PTRDIFF_MAX - t->n) lq_out_of_memory(more);
    size_t need = t->n + more + 1;
    if (need <= t->cap) return;
    size_t cap = t->cap ? t->cap : 64;
    while (cap < need) cap *= 2;
    t->s = lq_realloc(t->s, cap);
    t->cap = cap;
}

void text_putn(Text *t, const char *s, size_t n)
{
    text_reserve(t, n);
    if (n) memcpy(t->s + t->n, s, n);
    t->n += n;
    t->s[t->n] = '\0';
}

void text_printf(Text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) return;
    text_reserve(t, (size_t)n);
    va_start(ap, fmt);
    vsnprintf(t->s + t->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->n += (size_t)n;
}

void text_free(Text *t)
{
    free(t->s);
    *t = (Text){0};
}

/* ---- interned strings --------------------------------------------------------- */

static uint64_t mix(uint64_t h)
{ /* the 64-bit finaliser of MurmurHash3 (A. Appleby, public domain) */
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

uint64_t lq_hash(const void *data, size_t n, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = mix(seed ^ 0x9e3779b97f4a7c15u ^ n);
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word = 0;
        for (int i = 0; i < 8; i++) word |= (uint64_t)p[i] << 8 * i; /* any byte order */
        h = mix(h ^ word) + 0x9e3779b97f4a7c15u;
    }
    uint64_t tail = 0;
    for (size_t i = 0; i < n; i++) tail |= (uint64_t)p[i] << 8 * i;
    return mix(h ^ tail);
}

typedef struct Name {
    const char *s;
    size_t n;
    uint64_t hash;
} Name;

static struct {
    pthread_mutex_t lock;
    Arena *arena;
    Name *slot; /* open addressing, at most half full; s == NULL is empty */
    size_t nslots, nused;
} names = {.lock = PTHREAD_MUTEX_INITIALIZER};

static Name *find_slot(Name *slot, size_t nslots, const char *s, size_t n, uint64_t hash)
{
    size_t i = hash & (nslots - 1);
    while (slot[i].s &&
           !(slot[i].hash == hash && slot[i].n == n && (!n || !memcmp(slot[i].s, s, n))))
        i = (i + 1) & (nslots - 1);
    return &slot[i];
}

static void grow_names(void)
{
    size_t nslots = names.nslots ? 2 * names.nslots : 1024;
    Name *slot = calloc(nslots, sizeof *slot);
    if (!slot) lq_out_of_memory(nslots * sizeof *slot);
    for (size_t i = 0; i < names.nslots; i++) {
        Name *old = &names.slot[i];
        if (old->s) *find_slot(slot, nslots, old->s, old->n, old->hash) = *old;
    }
    free(names.slot);
    names.slot = slot;
    names.nslots = nslots;
}

const char *intern_n(const char *s, size_t n)
{
    uint64_t hash = lq_hash(s, n, 0);
    pthread_mutex_lock(&names.lock);
    if (!names.arena) names.arena = arena_new();
    if (2 * names.nused >= names.nslots) grow_names();
    Name *slot = find_slot(names.slot, names.nslots, s, n, hash);
    if (!slot->s) {
        *slot = (Name){arena_strndup(names.arena, s, n), n, hash};
        names.nused++;
    }
    const char *kept = slot->s;
    pthread_mutex_unlock(&names.lock);
    return kept;
}

const char *intern(const char *s)
{
    return intern_n(s, strlen(s));
}

/* ---- paths ------------------------------------------------------------------ */

const char *path_folder(Arena *a, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return ".";
    return slash == path ? "/" : arena_strndup(a, path, (size_t)(slash - path));
}

/* Insertions, deletions, substitutions and swaps of neighbours. */
static int edit_distance(const char *a, const char *b, int most)
{
    enum { MAX = 64 };
    int m = (int)strlen(a), n = (int)strlen(b), rows[3][MAX + 1];
    if (m > MAX || n > MAX || m - n > most || n - m > most) return most + 1;
    for (int j = 0; j <= n; j++) rows[0][j] = j;
    for (int i = 1; i <= m; i++) {
        int *now = rows[i % 3], *up = rows[(i + 2) % 3], *two = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= n; j++) {
            int cost = up[j - 1] + (a[i - 1] != b[j - 1]);
            if (up[j] + 1 < cost) cost = up[j] + 1;
            if (now[j - 1] + 1 < cost) cost = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && two[j - 2] + 1 < cost)
                cost = two[j - 2] + 1;
            now[j] = cost;
        }
    }
    return rows[m % 3][n];
}

const char *lq_nearest(const char *name, const char *const *candidates, int n)
{
    int most = (int)strlen(name) / 3, best;
    const char *found = NULL;
    if (most < 1) most = 1;
    best = most + 1;
    for (int i = 0; i < n; i++) {
        if (!strcmp(name, candidates[i])) continue;
        int d = strcasecmp(name, candidates[i]) ? edit_distance(name, candidates[i], most) : 0;
        if (d < best && d < (int)strlen(name)) best = d, found = candidates[i];
    }
    return found;
}
