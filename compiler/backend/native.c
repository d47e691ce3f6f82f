/* native.c — machine code for kernel programs: from the cache, or made by the library of
 * llvm*.c, which is loaded only then; one object for each group of programs, made by
 * several threads. */
#include "backend.h"
#include "code_cache.h"

#include "../../runtime/code/code.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef LQFT_CODE_MAKER
#define LQFT_CODE_MAKER "lqft_llvm.so"
#endif

struct Compiled { Code *code; };

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

/* ---- what the code knows by name ---------------------------------------------------------- */

/* In the order that the code expects. */
static double *copy_constant(const KProgram *p, const KBuf *buf, const BackendOptions *o) {
    double *copy = lq_alloc_vectors((size_t)buf->n * sizeof *copy);
    if (!copy) lq_out_of_memory((size_t)buf->n * sizeof *copy);
    for (int64_t k = 0; k < buf->n; k++) copy[o->sites && !p->plain ? kernel_place(buf->row, k) : k] = buf->data[k];
    return copy;
}

/* Large constants and calls of all programs, for the objects of m. */
static void gather(KProgram *const *programs, int n, const BackendOptions *o, const Making *m, int nobjects, CodeGroup *g) {
    VEC(CodeConstant) constants = {0};
    VEC(CodeCalls) calls = {0};
    VEC(CodeSettings) settings = {0};
    *g = (CodeGroup){.nprograms = n, .nparts = nobjects, .parts = lq_alloc(((size_t)nobjects + 1) * sizeof *g->parts)};
    for (int i = 0; i < nobjects; i++) g->parts[i] = (CodePart){m[i].object.bytes, m[i].object.size, m[i].first, m[i].n};
    for (int i = 0; i < n; i++) {
        const KProgram *p = programs[i];
        for (int b = 0; b < p->nbufs; b++)
            if (native_is_symbol(&p->bufs[b]))
                vec_push(&constants, ((CodeConstant){i, b, p->bufs[b].n, copy_constant(p, &p->bufs[b], o), (int)p->bufs[b].source,
                                                     o->sites && !p->plain ? p->bufs[b].row : 0}));
        if (p->nsettings) {
            CodeSettings s = {i, p->nsettings, lq_alloc_vectors((size_t)p->nsettings * sizeof *s.value), NULL};
            s.from = lq_alloc((size_t)s.n * sizeof *s.from);
            for (int k = 0; k < s.n; k++) s.from[k] = (int)p->settings[k], s.value[k] = ir_const_value(p->ir, p->settings[k]);
            vec_push(&settings, s);
        }
        if (!p->ncalls) continue;
        CodeCalls c = {i, p->ncalls, lq_alloc((size_t)p->ncalls * sizeof *c.call)};
        for (int k = 0; k < p->ncalls; k++) c.call[k] = p->calls[k]->call;
        vec_push(&calls, c);
    }
    g->constants = constants.data, g->nconstants = constants.n;
    g->calls = calls.data, g->ncalls = calls.n;
    g->settings = settings.data, g->nsettings = settings.n;
}

static Compiled *load(KProgram *const *programs, int n, const BackendOptions *o, const Making *m, int nobjects, char *err, size_t errlen) {
    CodeGroup g;
    gather(programs, n, o, m, nobjects, &g);
    Code *code = code_load(&g, err, errlen);
    free(g.parts);
    if (!code) return NULL;
    Compiled *c = lq_alloc(sizeof *c);
    *c = (Compiled){code};
    return c;
}

static void native_release(Compiled *c) {
    if (!c) return;
    code_free(c->code);
    free(c);
}

/* ---- the whole --------------------------------------------------------------------------------- */

static void free_objects(Making *m, int n) {
    for (int i = 0; i < n; i++) free(m[i].object.bytes), m[i].object.bytes = NULL;
}

static bool from_cache(CodeKey key, Making *m, int nobjects) {
    CodeObject found[MOST_OBJECTS] = {{0}};
    if (!code_cache_find(key, found, nobjects)) return false;
    for (int i = 0; i < nobjects; i++) m[i].object = found[i];
    return true;
}

/* Objects from the cache, or made and kept there; *made false: from the cache. */
static bool find_or_make(KProgram *const *programs, int n, const BackendOptions *o, Making *m, int *nobjects, CodeKey *key, bool *made,
                         char *err, size_t errlen) {
    *nobjects = divide(programs, n, o, m);
    pthread_once(&find_once, maker_find);
    *key = code_key(programs, n, o, maker_file);
    for (int i = 0; i < *nobjects; i++) key->a = key->a * 0x100000001b3u + (uint64_t)m[i].first;   /* which is in which */
    *made = o->dump || !o->keep || !from_cache(*key, m, *nobjects);
    return !*made || make_objects(m, *nobjects, err, errlen);
}

static void keep(const Making *m, int nobjects, CodeKey key) {
    CodeObject objects[MOST_OBJECTS];
    for (int i = 0; i < nobjects; i++) objects[i] = m[i].object;
    code_cache_keep(key, objects, nobjects);
}

static Compiled *native_compile(KProgram *const *programs, int n, const BackendOptions *o, char *err, size_t errlen) {
    Making m[MOST_OBJECTS];
    int nobjects;
    CodeKey key;
    bool made;
    Compiled *c = find_or_make(programs, n, o, m, &nobjects, &key, &made, err, errlen) ? load(programs, n, o, m, nobjects, err, errlen) : NULL;
    if (c && made && o->keep && !o->dump) keep(m, nobjects, key);
    free_objects(m, nobjects);
    if (c || made) return c;
    BackendOptions anew = *o;                        /* what was kept cannot be loaded: make it */
    anew.keep = false;
    return native_compile(programs, n, &anew, err, errlen);
}

static bool native_group(KProgram *const *programs, int n, const BackendOptions *o, CodeGroup *out, char *err, size_t errlen) {
    Making m[MOST_OBJECTS];
    int nobjects;
    CodeKey key;
    bool made, ok = find_or_make(programs, n, o, m, &nobjects, &key, &made, err, errlen);
    if (!ok) return free_objects(m, nobjects), false;
    if (made && o->keep) keep(m, nobjects, key);
    gather(programs, n, o, m, nobjects, out);
    return true;
}

static void native_call(const Compiled *c, int program, const CallArgs *args) { code_call(c->code, program, args); }

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
    .group = native_group,
    .emit_object = native_emit_object,
};
