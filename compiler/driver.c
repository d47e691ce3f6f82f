/* driver.c — the pipeline.  session_open and compile_functions read as the list of
 * passes in compiler/README.md; everything else here is the running of a plan. */
#include "run/run.h"

#include <stdlib.h>
#include <string.h>

/* ---- front half: text to functions of the array IR ------------------------------------------- */

void session_open(Session *s, const RunOptions *o, bool claims) {
    front_init(&s->front);
    s->front.data = o->run.data, s->front.ndata = o->run.ndata;
    s->arena = arena_new();
    /* lex, parse, resolve, elaborate the declarations */
    s->model = model_load(&s->front, s->arena, o->path, o->library, o->overrides, o->noverrides, o->run.seed);
    /* elaborate the tasks: specialise, differentiate, simplify */
    s->plan = s->model->unusable ? NULL : plan_tasks(s->model, claims);
}

static void free_lists(Model *m) {
    vec_free(&m->decls), vec_free(&m->params), vec_free(&m->fields), vec_free(&m->tasks);
    vec_free(&m->sets), vec_free(&m->imported), vec_free(&m->unknown);
    vec_free(&m->elab->sym_ext), vec_free(&m->elab->active), vec_free(&m->elab->grads), vec_free(&m->elab->reported), vec_free(&m->elab->read);
}

void session_close(Session *s) {
    free_lists(s->model);
    ir_free(s->model->elab->ir);
    arena_free(s->arena);
    front_free(&s->front);
}

/* ---- back half: functions to code -------------------------------------------------------------- */

enum { MOST_TOGETHER = 8 };           /* functions that are compiled together */

struct Executable {
    Arena    *arena;
    Device    device;
    int       n, lanes;              /* lanes: replicas side by side */
    const IrFunc **functions;
    KProgram **programs;
    Compiled *compiled;
    int64_t   scratch;
};

static bool verified(const char *broken, const char *what, char *err, size_t errlen) {
    if (broken) snprintf(err, errlen, "internal error: %s: %s", what, broken);
    return !broken;
}

static KLanes choose_lanes(KProgram *const *programs, int n, int64_t replicas, const RunOptions *o) {
    KLanes l = kernel_lanes(programs, n, o->lanes == LANES_SITES ? 1 : replicas);
    if (o->lanes == LANES_SITES) l.lanes = REDUCE_PARTS, l.sites = true, l.split = !programs[0]->plain;
    if (o->lanes == LANES_CHAINS && l.sites) {
        l.sites = l.split = false;
        while (l.lanes > 1 && l.lanes / 2 >= replicas) l.lanes /= 2;
    }
    return l;
}

const char *fuse_together(const IrFunc *const *functions, int n, int64_t replicas, const RunOptions *o, Arena *arena,
                          KProgram **programs, KLanes *lanes) {
    const char *broken = NULL;
    for (int i = 0; i < n; i++) programs[i] = fuse(functions[i], arena);
    kernel_share_layout(programs, n);
    *lanes = choose_lanes(programs, n, replicas, o);
    for (int i = 0; i < n && !lanes->sites && lanes->lanes > 1; i++)      /* replicas side by side fill the caches sooner */
        if (kernel_sweeps(programs[i])) programs[i] = fuse_for(functions[i], lanes->lanes, arena);
    kernel_share_layout(programs, n);
    for (int i = 0; i < n && !broken; i++) broken = kernel_verify(programs[i]);
    return broken;
}

Executable *compile_functions(const IrFunc *const *functions, int n, int64_t replicas, const RunOptions *o, KLanes *lanes,
                              char *err, size_t errlen) {
    Arena *arena = arena_new();
    Device device = o->device;
    Executable *x = arena_alloc(arena, sizeof *x);
    *x = (Executable){.arena = arena, .device = device, .n = n, .lanes = 1};
    *lanes = (KLanes){.lanes = 1};
    x->functions = arena_alloc(arena, (size_t)n * sizeof *x->functions);
    x->programs = arena_alloc(arena, (size_t)n * sizeof *x->programs);
    memcpy(x->functions, functions, (size_t)n * sizeof *functions);
    for (int i = 0; i < n; i++)
        if (!verified(ir_verify(functions[i]), functions[i]->name, err, errlen)) goto failed;
    if (device == DEVICE_INTERP) return x;
    if (!verified(fuse_together(functions, n, replicas, o, arena, x->programs, lanes), "kernels", err, errlen)) goto failed;
    for (int i = 0; i < n; i++)
        if (x->programs[i]->scratch > x->scratch) x->scratch = x->programs[i]->scratch;
    if (!lanes->sites) x->lanes = lanes->lanes;
    BackendOptions b = {.lanes = lanes->lanes, .sites = lanes->sites, .optimize = device == DEVICE_CPU, .keep = true};
    x->compiled = backend_native.compile(x->programs, n, &b, err, errlen);
    if (x->compiled) return x;
failed:
    executable_free(x);
    return NULL;
}

/* Element k of an array in the memory of a call. */
static double element_of(const IrFunc *f, Ref array, const double *data, int64_t k) {
    return ir_is_single(f, array) ? ((const float *)data)[k] : data[k];
}

/* One replica at a time through the interpreter, between the layouts in memory. */
static void interpret(const IrFunc *f, int lanes, const CallArgs *a) {
    const double **in = lq_alloc((size_t)(f->nin + 1) * sizeof *in);
    double **out = lq_alloc((size_t)(f->nout + 1) * sizeof *out);
    for (int lane = 0; lane < lanes; lane++) {
        for (int i = 0; i < f->nin; i++) {
            if (NODE(f->ir, f->in[i])->uniform) { in[i] = a->in[i]; continue; }
            int64_t n = ir_elements(f->ir, f->in[i]);
            double *copy = lq_alloc((size_t)(n + 1) * sizeof *copy);
            for (int64_t k = 0; k < n; k++) copy[k] = element_of(f, f->in[i], a->in[i], k * lanes + lane);
            in[i] = copy;
        }
        for (int i = 0; i < f->nout; i++) out[i] = lq_alloc((size_t)(ir_elements(f->ir, f->out[i]) + 1) * sizeof(double));
        interp_call(f, in, out, (RandKey){a->seed, a->chains[lane], a->step});
        for (int i = 0; i < f->nout; i++) {
            int64_t n = ir_elements(f->ir, f->out[i]);
            bool single = f->single && NODE(f->ir, f->out[i])->rank > 0;
            for (int64_t k = 0; k < n; k++) {
                if (single) ((float *)a->out[i])[k * lanes + lane] = (float)out[i][k];
                else a->out[i][k * lanes + lane] = out[i][k];
            }
            free(out[i]);
        }
        for (int i = 0; i < f->nin; i++)
            if (!NODE(f->ir, f->in[i])->uniform) free((double *)in[i]);
    }
    free(in);
    free(out);
}

void execute(const Executable *x, int function, const CallArgs *args) {
    if (x->device == DEVICE_INTERP) interpret(x->functions[function], x->lanes, args);
    else backend_native.call(x->compiled, function, args);
}

int64_t executable_scratch(const Executable *x) { return x->scratch * x->lanes; }
bool executable_is_shared(const Executable *x) {
    for (int i = 0; i < x->n; i++)
        if (kernel_is_shared(x->programs[i])) return true;
    return false;
}
const KProgram *executable_program(const Executable *x, int function) { return x->programs[function]; }

void executable_free(Executable *x) {
    if (!x) return;
    if (x->compiled) backend_native.release(x->compiled);
    arena_free(x->arena);
}

/* ---- the engine of a run --------------------------------------------------------------------------- */

static RunPrepared *prepare(void *context, const RunFunction *const *f, int n, int64_t replicas, RunLayout *layout, char *err, size_t errlen) {
    const IrFunc *functions[MOST_TOGETHER];
    KLanes lanes;
    for (int i = 0; i < n && i < MOST_TOGETHER; i++) functions[i] = f[i]->source;
    Executable *x = compile_functions(functions, n, replicas, context, &lanes, err, errlen);
    *layout = (RunLayout){lanes.lanes, lanes.sites, lanes.split};
    return (RunPrepared *)x;
}

static void call(const RunPrepared *p, int function, const CallArgs *args) { execute((const Executable *)p, function, args); }
static int64_t scratch(const RunPrepared *p) { return executable_scratch((const Executable *)p); }
static bool shared(const RunPrepared *p) { return executable_is_shared((const Executable *)p); }
static void release(RunPrepared *p) { executable_free((Executable *)p); }

/* What is called once is interpreted: that takes less time than to compile it. */
static void evaluate(void *context, const RunFunction *f, const double *const *in, double *const *out, uint32_t seed, uint32_t chain) {
    (void)context;
    interp_call(f->source, in, out, (RandKey){seed, chain, 0});
}

RunEngine compiling_engine(const RunOptions *o) {
    return (RunEngine){(void *)o, prepare, call, scratch, shared, release, evaluate};
}

/* What the command line set, as a JSON object. */
static const char *given_text(const RunOptions *o, Arena *arena) {
    Text t = {0};
    text_printf(&t, "{");
    for (int i = 0; i < o->noverrides; i++) {
        text_printf(&t, "%s\"%s\": \"", i ? ", " : "", o->overrides[i].name);
        for (const char *c = o->overrides[i].text; *c; c++) {
            if (*c == '"' || *c == '\\') text_printf(&t, "\\%c", *c);
            else if ((unsigned char)*c < ' ') text_printf(&t, "\\u%04x", *c);
            else text_putn(&t, c, 1);
        }
        text_printf(&t, "\"");
    }
    text_printf(&t, "}");
    const char *s = arena_strndup(arena, t.s, t.n);
    text_free(&t);
    return s;
}

RunSettings run_settings(const RunOptions *o, Arena *arena) {
    RunSettings s = o->run;
    s.given = given_text(o, arena);
    return s;
}

/* ---- lqft run --------------------------------------------------------------------------------------- */

/* What the command line may set: parameters, settings, the options of the samplers. */
static int settable_names(const Session *s, const char **names, int most) {
    static const char *const settings[] = {"chains", "warmup", "draws", "thin", "precision"};
    int n = 0;
    for (int i = 0; i < LQ_COUNT(settings); i++) names[n++] = settings[i];
    for (int i = 0; i < s->model->params.n && n < most; i++) names[n++] = s->model->params.data[i].name;
    for (int i = 0; i < s->plan->tasks.n; i++) {
        const Task *t = s->plan->tasks.data[i];
        const Value *f = t->kind == TASK_SAMPLE ? env_find(s->model->elab->globals, intern(t->sample->sampler)) : NULL;
        if (!f || f->kind != VK_FUNC || f->u.func.kind != FN_DECL) continue;
        for (int k = 0; k < f->u.func.decl->nopts && n < most; k++) names[n++] = f->u.func.decl->opts[k].name;
    }
    return n;
}

/* Names on the command line that are none of these. */
static int unused_overrides(const Session *s, const RunOptions *o) {
    const char *names[256];
    int n = settable_names(s, names, LQ_COUNT(names)), bad = 0;
    for (int i = 0; i < o->noverrides; i++) {
        if (o->overrides[i].used) continue;
        const char *near = diag_nearest(o->overrides[i].name, names, n);
        fprintf(stderr, "lqft: %s has no parameter or option called `%s`%s%s%s\n", o->path, o->overrides[i].name,
                near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
        if (!near && s->model->params.n) {
            fprintf(stderr, "      parameters:");
            for (int k = 0; k < s->model->params.n; k++) fprintf(stderr, " %s", s->model->params.data[k].name);
            fprintf(stderr, "\n");
        }
        bad = 2;
    }
    return bad;
}

int session_check(Session *s, const RunOptions *o) {
    diag_print_all(&s->front.sink, stderr, o->run.color);
    if (s->front.sink.nerrors) return 1;
    return unused_overrides(s, o);
}

int run_model(const RunOptions *o) {
    Session s;
    double start = run_clock();
    session_open(&s, o, false);
    int status = session_check(&s, o);
    if (status == 0) {
        if (!o->run.seed_given && !o->run.quiet) fprintf(stderr, "seed %u\n", o->run.seed);
        if (s.plan->tasks.n == 0) fprintf(stderr, "lqft: %s has no sample, report or plot: nothing to run\n", o->path);
        RunEngine engine = compiling_engine(o);
        RunSettings settings = run_settings(o, s.arena);
        if (!interp_is_incomplete()) status = run_program(lower_plan(&s), &settings, &engine, run_clock() - start);
        if (interp_is_incomplete()) status = 70;
    }
    session_close(&s);
    return status;
}
