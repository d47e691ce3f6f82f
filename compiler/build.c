/* build.c — lqft build: a model as an executable, or as a shared library: a carrier that was made with
 * this compiler (runtime/standalone/), with the program and its code appended to it. */
#include "run/run.h"

#include "../runtime/standalone/payload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Building {
    const RunOptions *o;
    Session    *s;
    Arena      *arena;
    RunProgram *program;
    VEC(PayloadGroup) groups;
    VEC(Ref) data;                    /* sources of computed constants, in the order of their computation */
    VEC(const IrFunc *) others; VEC(KProgram *) other_programs;      /* reports, starts, data */
    char        err[600];
} Building;

/* Levels of x86-64 for which a portable executable has code, the best one is chosen at its start.  All
 * have fused multiply-add in software or hardware, so the results are the same. */
static const char *const levels[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4"};

/* Beside this program, as it is installed, or where it was built. */
static bool find_carrier(const char *name, char *out, size_t n) {
    static const char *const places[] = {"", "../lib/lqft/"};
    char exe[4096];
    ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (length <= 0) return false;
    exe[length] = 0;
    char *slash = strrchr(exe, '/');
    if (slash) *slash = 0;
    for (int i = 0; i < LQ_COUNT(places); i++) {
        snprintf(out, n, "%.3500s/%s%s", exe, places[i], name);
        if (access(out, R_OK) == 0) return true;
    }
    return false;
}

/* ---- code ------------------------------------------------------------------------------------ */

static bool fuse_all(Building *b, const IrFunc *const *f, int n, int64_t replicas, KProgram **out, KLanes *lanes) {
    const char *broken = NULL;
    for (int i = 0; i < n && !broken; i++) broken = ir_verify(f[i]);
    if (!broken) broken = fuse_together(f, n, replicas, b->o, b->arena, out, lanes);
    if (broken) snprintf(b->err, sizeof b->err, "internal error: kernels: %s", broken);
    return !broken;
}

static bool add_group(Building *b, KProgram *const *programs, int n, PayloadGroup g, const BackendOptions *o) {
    for (int i = 0; i < n; i++) {
        if (programs[i]->scratch * o->lanes > g.scratch) g.scratch = programs[i]->scratch * (o->sites ? 1 : o->lanes);
        g.shared |= kernel_is_shared(programs[i]);
    }
    if (!backend_native.group(programs, n, o, &g.code, b->err, sizeof b->err)) return false;
    vec_push(&b->groups, g);
    return true;
}

/* For one level, or for this processor (cpu NULL). */
static bool compile_for(Building *b, KProgram *const *programs, int n, PayloadGroup g, BackendOptions o, const char *cpu) {
    g.cpu = cpu ? cpu : "";
    o.cpu = cpu;
    return add_group(b, programs, n, g, &o);
}

static bool compile_all(Building *b, KProgram *const *programs, int n, PayloadGroup g, BackendOptions o) {
    bool ok = true;
    if (!b->o->portable) return compile_for(b, programs, n, g, o, NULL);
    for (int i = 0; i < LQ_COUNT(levels) && ok; i++) ok = compile_for(b, programs, n, g, o, levels[i]);
    return ok;
}

static bool add_other(Building *b, const IrFunc *f, int *number) {
    KProgram *p;
    KLanes one;
    *number = b->others.n;
    if (!fuse_all(b, &f, 1, 1, &p, &one)) return false;
    vec_push(&b->others, f);
    vec_push(&b->other_programs, p);
    return true;
}

/* Functions for the data that a program reads; what they read themselves comes first. */
static bool add_data_of(Building *b, const KProgram *p) {
    bool ok = true;
    for (int i = 0; i < p->nbufs && ok; i++) {
        Ref source = p->bufs[i].source;
        bool known = !source;
        for (int k = 0; k < b->data.n && !known; k++) known = b->data.data[k] == source;
        if (known) continue;
        IrFunc *f = arena_alloc(b->arena, sizeof *f);
        f->out = arena_alloc(b->arena, sizeof *f->out);
        f->out[0] = source, f->name = "data", f->nout = 1, f->ir = p->ir;
        int number;
        ok = add_other(b, f, &number) && add_data_of(b, b->other_programs.data[number]);
        RunData d = {(RunFunction){.name = "data", .nout = 1, .source = f, .number = number}, p->bufs[i].n};
        b->program->data[b->program->ndata++] = d;
        vec_push(&b->data, source);
    }
    return ok;
}

/* Code for many chains, and where that is other code, for one. */
static bool compile_sample(Building *b, const SampleTask *t) {
    const IrFunc *f[RUN_FUNCTIONS] = {&t->init, &t->step, &t->measure};
    KProgram *programs[2][RUN_FUNCTIONS];
    KLanes lanes[2];
    bool ok = fuse_all(b, f, RUN_FUNCTIONS, 1, programs[0], &lanes[0]) &&
              fuse_all(b, f, RUN_FUNCTIONS, t->chains > 1 ? t->chains : 64, programs[1], &lanes[1]);
    bool differ = lanes[0].lanes != lanes[1].lanes || lanes[0].sites != lanes[1].sites;
    for (int i = 0; i < 2 && ok; i++) {
        const KLanes *l = &lanes[i];
        if (i == 0 && !differ && !t->minimizes) continue;
        if (i == 1 && t->minimizes) continue;
        PayloadGroup g = {.sample = t->index, .alone = i == 0, .layout = {l->lanes, l->sites, l->split}};
        for (int k = 0; k < RUN_FUNCTIONS && ok; k++) ok = add_data_of(b, programs[i][k]);
        if (ok) ok = compile_all(b, programs[i], RUN_FUNCTIONS, g, (BackendOptions){.lanes = l->lanes, .sites = l->sites, .optimize = 1, .keep = true});
    }
    return ok;
}

/* Reports, their gradients, the start of variables, data: called for one replica, arrays in order. */
static bool compile_others(Building *b) {
    RunProgram *p = b->program;
    bool ok = true;
    for (int i = 0; i < p->nreports && ok; i++) {
        ok = add_other(b, p->reports[i].eval.source, &p->reports[i].eval.number);
        if (ok && p->reports[i].has_vjp) ok = add_other(b, p->reports[i].vjp.source, &p->reports[i].vjp.number);
    }
    for (int i = 0; i < p->nvariables && ok; i++) ok = add_other(b, p->variables[i].start.source, &p->variables[i].start.number);
    if (p->action.name) ok = ok && add_other(b, p->action.value.source, &p->action.value.number) && add_other(b, p->action.gradient.source, &p->action.gradient.number);
    for (int i = 0; i < b->others.n && ok; i++) ok = add_data_of(b, b->other_programs.data[i]);
    if (ok && b->others.n) ok = compile_all(b, b->other_programs.data, b->others.n, (PayloadGroup){.sample = -1, .alone = true, .layout = {.lanes = 1}},
                                            (BackendOptions){.lanes = 1, .optimize = 1, .keep = true});
    return ok;
}

/* In groups, a constant that is computed is named by the number of its data, from 1. */
static void number_constants(Building *b) {
    for (int i = 0; i < b->groups.n; i++)
        for (int k = 0; k < b->groups.data[i].code.nconstants; k++) {
            CodeConstant *c = &b->groups.data[i].code.constants[k];
            for (int j = 0; j < b->data.n && c->from; j++)
                if ((Ref)c->from == b->data.data[j]) { c->from = j + 1; break; }
        }
}

static bool compile(Building *b) {
    b->program->data = arena_alloc(b->arena, (size_t)(b->s->model->elab->ir->consts.n + 1) * sizeof *b->program->data);
    for (int i = 0; i < b->s->plan->tasks.n; i++) {
        const Task *t = b->s->plan->tasks.data[i];
        if (t->kind == TASK_SAMPLE && !compile_sample(b, t->sample)) return false;
    }
    for (int i = 0; i < b->program->nsamples; i++)
        for (int k = 0; k < RUN_FUNCTIONS; k++) b->program->samples[i].function[k].number = RUN_FUNCTIONS * i + k;
    if (!compile_others(b)) return false;
    number_constants(b);
    return true;
}

/* ---- the whole ----------------------------------------------------------------------------------- */

/* The program with these values of what is open, behind what `all` has: an exit status, after a message. */
static int add_variant(const RunOptions *o, const char *values, Text *all) {
    Session s;
    session_open(&s, o, false);
    int status = session_check(&s, o);
    Building b = {.o = o, .s = &s, .arena = s.arena};
    if (status == 0) {
        b.program = lower_plan(&s);
        b.program->ngiven = o->noverrides, b.program->given = arena_alloc(s.arena, (size_t)(o->noverrides + 1) * sizeof *b.program->given);
        for (int i = 0; i < o->noverrides; i++) b.program->given[i] = (Given){o->overrides[i].name, o->overrides[i].text};
        if (o->shared) lower_actions(&s, b.program);
        status = compile(&b) ? 0 : 70;
        CodeGroup **code = arena_alloc(s.arena, (size_t)(b.groups.n + 1) * sizeof *code);
        for (int i = 0; i < b.groups.n; i++) code[i] = &b.groups.data[i].code;
        if (!status) {
            lower_settings(&s, b.program, b.groups.n, code);
            Payload p = {.values = values, .program = b.program, .native = !o->portable, .ngroups = b.groups.n, .groups = b.groups.data};
            status = payload_add(all, &p, b.err, sizeof b.err);
        }
        if (status) fprintf(stderr, "lqft: %s\n", b.err);
        for (int i = 0; i < b.groups.n; i++) code_group_free(&b.groups.data[i].code);
        vec_free(&b.groups), vec_free(&b.data), vec_free(&b.others), vec_free(&b.other_programs);
    }
    session_close(&s);
    return status;
}

/* All combinations of the values of what is open, the first values first: they are the defaults. */
static int add_variants(const RunOptions *o, Text *all) {
    int at[MOST_OPEN] = {0}, status = 0;
    RunOptions one = *o;
    VEC(Override) overrides = {0};
    for (bool more = true; more && !status;) {
        Text values = {0};
        overrides.n = 0;
        for (int i = 0; i < o->noverrides; i++) vec_push(&overrides, o->overrides[i]);
        for (int i = 0; i < o->nopen; i++) {
            Override v = {.name = o->open[i].name, .text = o->open[i].values[at[i]]};
            vec_push(&overrides, v);
            text_printf(&values, "%s=%s\n", v.name, v.text);
        }
        one.overrides = overrides.data, one.noverrides = overrides.n;
        status = add_variant(&one, values.n ? values.s : "", all);
        text_free(&values);
        more = false;
        for (int i = o->nopen - 1; i >= 0 && !more; i--) {
            more = ++at[i] < o->open[i].n;
            if (!more) at[i] = 0;
        }
    }
    vec_free(&overrides);
    return status;
}

int build_model(const RunOptions *o) {
    char carrier[4200], err[600] = "";
    const char *name = o->shared ? "lqft_sampler.so" : "lqft_sampler";
    Text all = {0};
    int status = 70;
    if (find_carrier(name, carrier, sizeof carrier)) status = payload_begin(&all, carrier, err, sizeof err);
    else snprintf(err, sizeof err, "the file %s, into which programs are built, is not beside lqft", name);
    if (!status) {
        status = add_variants(o, &all);
        if (!status) status = payload_write(&all, o->target, err, sizeof err);
    }
    if (*err) fprintf(stderr, "lqft: %s\n", err);
    text_free(&all);
    return status;
}
