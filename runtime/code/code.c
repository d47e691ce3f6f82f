/* code.c — binding objects to the runtime. */
#include "code.h"
#include "object.h"

#include "../philox.h"
#include "../threads.h"
#include "../vmath.h"

#include <math.h>
#include <stdlib.h>

typedef void (*Entry)(const CallArgs *);

struct Code {
    Entry   *entry;
    Object **object; int nobjects;
    CodeGroup kept;                    /* constants, and calls, which are prepared */
    const CodePart *loading;
};

/* All that generated code may call; nothing else of the process is visible to it.
 * The last rows: what instruction selection falls back to on machines without the
 * instruction. */
#define SYMBOLS(S)                                                                        \
    S(lqm_sin) S(lqm_cos) S(lqm_tan) S(lqmf_sin) S(lqmf_cos) S(lqmf_tan)                  \
    S(lqm_lgamma) S(lqm_digamma) S(lqmf_lgamma) S(lqmf_digamma)                           \
    S(lq_rand_every) S(lq_rand_normals_single) S(lq_parallel) S(lq_workers) S(lq_call_lanes) S(lq_call_followed)     \
    S(memcpy) S(memset) S(memmove) S(fma) S(floor) S(rint)                                \
    S(fmaf) S(floorf) S(rintf)

static void *kept(const Code *c, const char *name) {
    char own[CODE_NAME];
    const CodePart *part = c->loading;
    for (int i = 0; i < c->kept.ncalls; i++) {
        code_calls_name(own, c->kept.calls[i].program - part->first);
        if (!strcmp(own, name)) return c->kept.calls[i].call;
    }
    for (int i = 0; i < c->kept.nsettings; i++) {
        code_settings_name(own, c->kept.settings[i].program - part->first);
        if (!strcmp(own, name)) return c->kept.settings[i].value;
    }
    for (int i = 0; i < c->kept.nconstants; i++) {
        code_constant_name(own, c->kept.constants[i].program - part->first, c->kept.constants[i].buffer);
        if (!strcmp(own, name)) return c->kept.constants[i].data;
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
    return kept(ctx, name);
}

static bool load_part(Code *c, const CodePart *part, char *err, size_t errlen) {
    c->loading = part;
    Object *object = object_load(part->bytes, part->size, symbol, c, err, errlen);
    if (!object) return false;
    c->object[c->nobjects++] = object;
    for (int i = 0; i < part->n; i++) {
        char name[CODE_NAME];
        code_function_name(name, i);
        void *address = object_find(object, name);
        if (!address) return snprintf(err, errlen, "internal error: there is no code for program %d", part->first + i), false;
        memcpy(&c->entry[part->first + i], &address, sizeof address);
    }
    return true;
}

Code *code_load(CodeGroup *g, char *err, size_t errlen) {
    Code *c = lq_alloc(sizeof *c);
    *c = (Code){.kept = *g};
    c->kept.parts = NULL, c->kept.nparts = 0;
    g->constants = NULL, g->nconstants = 0, g->calls = NULL, g->ncalls = 0, g->settings = NULL, g->nsettings = 0;
    c->entry = lq_alloc(((size_t)g->nprograms + 1) * sizeof *c->entry);
    c->object = lq_alloc(((size_t)g->nparts + 1) * sizeof *c->object);
    for (int i = 0; i < c->kept.ncalls; i++)
        for (int k = 0; k < c->kept.calls[i].n; k++) lq_call_prepare(&c->kept.calls[i].call[k]);
    bool ok = true;
    for (int i = 0; i < c->kept.ncalls && ok; i++)
        for (int k = 0; k < c->kept.calls[i].n && ok; k++) {
            const char *missing = lq_call_missing(&c->kept.calls[i].call[k]);
            if (missing) ok = false, snprintf(err, errlen, "%s", missing);
        }
    for (int i = 0; i < g->nparts && ok; i++) ok = load_part(c, &g->parts[i], err, errlen);
    if (ok) return c;
    code_free(c);
    return NULL;
}

void code_call(const Code *c, int program, const CallArgs *args) { c->entry[program](args); }

void code_fill(Code *c, int from, void (*f)(CodeConstant *, const double *), const double *data) {
    for (int i = 0; i < c->kept.nconstants; i++)
        if (c->kept.constants[i].from == from) f(&c->kept.constants[i], data);
}

void code_group_free(CodeGroup *g) {
    for (int i = 0; i < g->nparts; i++) free(g->parts[i].bytes);
    for (int i = 0; i < g->nconstants; i++) free(g->constants[i].data);
    for (int i = 0; i < g->ncalls; i++) free(g->calls[i].call);
    for (int i = 0; i < g->nsettings; i++) free(g->settings[i].value), free(g->settings[i].from);
    free(g->parts), free(g->constants), free(g->calls), free(g->settings);
    *g = (CodeGroup){0};
}

void code_free(Code *c) {
    if (!c) return;
    for (int i = 0; i < c->nobjects; i++) object_free(c->object[i]);
    for (int i = 0; i < c->kept.ncalls; i++)
        for (int k = 0; k < c->kept.calls[i].n; k++) lq_call_release(&c->kept.calls[i].call[k]);
    code_group_free(&c->kept);
    free(c->object);
    free(c->entry);
    free(c);
}
