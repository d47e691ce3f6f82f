/* native.c — machine code for kernel programs: from the cache, or made by the library of
 * llvm*.c, which is loaded only then; one object for each group of programs, made by
 * several threads. */
#include "backend.h"
#include "code_cache.h"
#include "object.h"

#include "../../runtime/philox.h"
#include "../../runtime/threads.h"
#include "../../runtime/vmath.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef LQFT_CODE_MAKER
#define LQFT_CODE_MAKER "lqft_llvm.so"
#endif

typedef void (*Entry)(const CallArgs *);

typedef struct KeptCalls { LqCall *call; int n; } KeptCalls;

struct Compiled {
    Entry   *entry; int n;
    Object **object; int nobjects;
    VEC(double *) kept;                /* large constants that the code points to */
    VEC(KeptCalls) calls;              /* prepared calls of programs, by which the code makes them */
    const struct Making *loading;      /* the group being loaded */
};

/* ---- the code maker ------------------------------------------------------------------ */

static pthread_once_t maker_once = PTHREAD_ONCE_INIT;
static const CodeMaker *maker;
static char maker_problem[600];
static char maker_file[4096];

/* Beside this program, as it is installed, or where it was built. */
static void maker_find(void) {
    static const char *const places[] = {"lqft_llvm.so", "../lib/lqft/lqft_llvm.so"};
    ssize_t n = readlink("/proc/self/exe", maker_file, sizeof maker_file - 32);
    if (n > 0) {
        maker_file[n] = 0;
        char *slash = strrchr(maker_file, '/');
        for (int i = 0; i < LQ_COUNT(places); i++) {
            strcpy(slash ? slash + 1 : maker_file, places[i]);
            if (access(maker_file, R_OK) == 0) return;
        }
    }
    snprintf(maker_file, sizeof maker_file, "%s", LQFT_CODE_MAKER);
}

static pthread_once_t find_once = PTHREAD_ONCE_INIT;

static void maker_open(void) {
    pthread_once(&find_once, maker_find);
    void *library = dlopen(maker_file, RTLD_LAZY | RTLD_LOCAL);
    if (library) maker = dlsym(library, "lqft_code_maker");
    if (!maker) snprintf(maker_problem, sizeof maker_problem, "%.500s", dlerror());
    else if (maker->problem()) snprintf(maker_problem, sizeof maker_problem, "%.500s", maker->problem());
}

static const char *problem(void) {
    pthread_once(&maker_once, maker_open);
    return maker_problem[0] ? maker_problem : NULL;
}

static bool native_available(void) { return problem() == NULL; }

static bool refuse(char *err, size_t errlen, const char *what, const char *why) {
    if (errlen) snprintf(err, errlen, "%s: %s", what, why);
    return false;
}

/* ---- making ----------------------------------------------------------------------------- */

/* Programs of one object: a large one alone, the others together, so that threads share the
 * work and few modules are begun. */
typedef struct Making {
    KProgram *const *programs;
    const BackendOptions *options;
    int    first, n;
    CodeObject object;
    char   err[300];
    bool   ok;
} Making;

static void *make_one(void *ctx) {
    Making *m = ctx;
    m->ok = maker->make(m->programs + m->first, m->n, m->options, false, &m->object, m->err, sizeof m->err);
    return NULL;
}

static int count_statements(const KStmt *s, int n) {
    int all = 0;
    for (int i = 0; i < n; i++)
        all += s[i].kind == KS_LOOP ? count_statements(s[i].u.loop.body, s[i].u.loop.nbody) : s[i].kind == KS_KERNEL ? 2 : 1;
    return all;
}

enum { MOST_OBJECTS = 16 };

/* Neighbours in groups of about equal size, at most as many as there are processors. */
static int divide(KProgram *const *programs, int n, const BackendOptions *o, Making *out) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int most = processors > MOST_OBJECTS ? MOST_OBJECTS : processors < 1 || o->dump ? 1 : (int)processors, made = 0, total = 0;
    for (int i = 0; i < n; i++) total += count_statements(programs[i]->stmts, programs[i]->nstmts) + 1;
    for (int i = 0, full = total; i < n; i++) {        /* full: statements of the group being filled */
        int size = count_statements(programs[i]->stmts, programs[i]->nstmts) + 1;
        bool fresh = made == 0 || (made < most && (full + size / 2) * most > total);
        if (fresh) out[made++] = (Making){.programs = programs, .options = o, .first = i}, full = 0;
        out[made - 1].n++;
        full += size;
    }
    return made;
}

/* The number of objects is part of what is kept, so it is decided alike every time. */
static bool make_objects(Making *m, int n, char *err, size_t errlen) {
    pthread_t thread[MOST_OBJECTS];
    bool started[MOST_OBJECTS] = {false}, ok = true;
    if (problem()) return refuse(err, errlen, "no code can be generated", problem());
    for (int i = 1; i < n; i++) started[i] = pthread_create(&thread[i], NULL, make_one, &m[i]) == 0;
    make_one(&m[0]);
    for (int i = 1; i < n; i++) {
        if (started[i]) pthread_join(thread[i], NULL);
        else make_one(&m[i]);
    }
    for (int i = 0; i < n; i++) {
        if (m[i].ok || !ok) continue;
        ok = false;
        if (errlen) snprintf(err, errlen, "%s", m[i].err);
    }
    return ok;
}

/* ---- loading ------------------------------------------------------------------------------ */

/* All that generated code may call; nothing else of the process is visible to it.
 * The last row: what instruction selection falls back to on machines without the
 * instruction. */
#define SYMBOLS(S)                                                                        \
    S(lqm_sin) S(lqm_cos) S(lqm_tan) S(lqmf_sin) S(lqmf_cos) S(lqmf_tan)                  \
    S(lqm_lgamma) S(lqm_digamma) S(lqmf_lgamma) S(lqmf_digamma)                           \
    S(lq_rand_every) S(lq_parallel) S(lq_workers) S(lq_call_lanes)                                     \
    S(memcpy) S(memset) S(memmove) S(fma) S(floor) S(rint)            \
    S(fmaf) S(floorf) S(rintf)

/* A copy of a large constant, in the order that the code expects, for as long as the code. */
static void *constant(Compiled *c, const char *name) {
    const Making *m = c->loading;
    char own[NATIVE_NAME];
    for (int i = 0; i < m->n; i++)
        for (int b = 0; b < m->programs[m->first + i]->nbufs; b++) {
            const KBuf *buf = &m->programs[m->first + i]->bufs[b];
            native_constant_name(own, i, b);
            if (buf->kind != KB_CONST || strcmp(own, name) != 0) continue;
            double *copy = lq_alloc_vectors((size_t)buf->n * sizeof *copy);
            if (!copy) lq_out_of_memory((size_t)buf->n * sizeof *copy);
            for (int64_t k = 0; k < buf->n; k++) copy[m->options->sites && !m->programs[m->first + i]->plain ? kernel_place(buf->row, k) : k] = buf->data[k];
            vec_push(&c->kept, copy);
            return copy;
        }
    return NULL;
}

/* The calls of a program of the group, prepared for as long as the code. */
static void *calls(Compiled *c, const char *name) {
    const Making *m = c->loading;
    char own[NATIVE_NAME];
    for (int i = 0; i < m->n; i++) {
        const KProgram *p = m->programs[m->first + i];
        native_calls_name(own, i);
        if (strcmp(own, name) != 0) continue;
        KeptCalls kept = {lq_alloc(((size_t)p->ncalls + 1) * sizeof *kept.call), p->ncalls};
        for (int k = 0; k < p->ncalls; k++) kept.call[k] = p->calls[k]->call, lq_call_prepare(&kept.call[k]);
        vec_push(&c->calls, kept);
        return kept.call;
    }
    return NULL;
}

static void *symbol(void *ctx, const char *name) {
    static const struct { const char *name; void (*address)(void); } known[] = {
#define S(f) {#f, (void (*)(void))(f)},
        SYMBOLS(S)
#undef S
    };
    for (int i = 0; i < LQ_COUNT(known); i++) {
        void *address;
        memcpy(&address, &known[i].address, sizeof address);
        if (!strcmp(name, known[i].name)) return address;
    }
    void *made = calls(ctx, name);
    return made ? made : constant(ctx, name);
}

static void native_release(Compiled *c) {
    if (!c) return;
    for (int i = 0; i < c->nobjects; i++) object_free(c->object[i]);
    for (int i = 0; i < c->kept.n; i++) free(c->kept.data[i]);
    for (int i = 0; i < c->calls.n; i++) {
        for (int k = 0; k < c->calls.data[i].n; k++) lq_call_release(&c->calls.data[i].call[k]);
        free(c->calls.data[i].call);
    }
    vec_free(&c->calls);
    vec_free(&c->kept);
    free(c->object);
    free(c->entry);
    free(c);
}

static bool load_group(Compiled *c, const Making *m, char *err, size_t errlen) {
    c->loading = m;
    Object *object = object_load(m->object.bytes, m->object.size, symbol, c, err, errlen);
    if (!object) return false;
    c->object[c->nobjects++] = object;
    for (int i = 0; i < m->n; i++) {
        char name[NATIVE_NAME];
        native_function_name(name, i);
        void *address = object_find(object, name);
        if (!address) return refuse(err, errlen, "internal error: no code for", m->programs[m->first + i]->name);
        memcpy(&c->entry[m->first + i], &address, sizeof address);
    }
    return true;
}

static Compiled *load(int n, const Making *m, int nobjects, char *err, size_t errlen) {
    Compiled *c = lq_alloc(sizeof *c);
    *c = (Compiled){.n = n};
    c->entry = lq_alloc(((size_t)n + 1) * sizeof *c->entry);
    c->object = lq_alloc(((size_t)nobjects + 1) * sizeof *c->object);
    bool ok = true;
    for (int i = 0; i < nobjects && ok; i++) ok = load_group(c, &m[i], err, errlen);
    c->loading = NULL;
    if (ok) return c;
    native_release(c);
    return NULL;
}

/* ---- the whole --------------------------------------------------------------------------------- */

static void free_objects(Making *m, int n) {
    for (int i = 0; i < n; i++) free(m[i].object.bytes), m[i].object.bytes = NULL;
}

static Compiled *from_cache(CodeKey key, int n, Making *m, int nobjects) {
    CodeObject found[MOST_OBJECTS] = {{0}};
    char err[300];
    if (!code_cache_find(key, found, nobjects)) return NULL;
    for (int i = 0; i < nobjects; i++) m[i].object = found[i];
    Compiled *c = load(n, m, nobjects, err, sizeof err);
    free_objects(m, nobjects);
    return c;
}

static Compiled *native_compile(KProgram *const *programs, int n, const BackendOptions *o, char *err, size_t errlen) {
    Making m[MOST_OBJECTS];
    int nobjects = divide(programs, n, o, m);
    pthread_once(&find_once, maker_find);
    CodeKey key = code_key(programs, n, o, maker_file);
    for (int i = 0; i < nobjects; i++) key.a = key.a * 0x100000001b3u + (uint64_t)m[i].first;   /* which is in which */
    Compiled *c = o->dump || !o->keep ? NULL : from_cache(key, n, m, nobjects);
    if (c) return c;
    if (make_objects(m, nobjects, err, errlen)) {
        CodeObject made[MOST_OBJECTS];
        for (int i = 0; i < nobjects; i++) made[i] = m[i].object;
        c = load(n, m, nobjects, err, errlen);
        if (c && o->keep && !o->dump) code_cache_keep(key, made, nobjects);
    }
    free_objects(m, nobjects);
    return c;
}

static void native_call(const Compiled *c, int program, const CallArgs *args) { c->entry[program](args); }

static bool native_emit_object(KProgram *const *programs, int n, const BackendOptions *o, const char *path, char *err, size_t errlen) {
    CodeObject object = {0};
    if (problem()) return refuse(err, errlen, "no code can be generated", problem());
    if (!maker->make(programs, n, o, true, &object, err, errlen)) return false;
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(object.bytes, 1, object.size, f) == object.size;
    if (f) ok = fclose(f) == 0 && ok;
    free(object.bytes);
    return ok || refuse(err, errlen, path, "cannot be written");
}

const Backend backend_native = {
    .name = "native",
    .available = native_available,
    .compile = native_compile,
    .call = native_call,
    .release = native_release,
    .emit_object = native_emit_object,
};
