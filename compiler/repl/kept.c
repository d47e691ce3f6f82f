/* kept.c — measurements that outlive the program that made them.  A sample keeps its
 * configurations while memory allows, so that what is asked afterwards is measured on them and
 * no chain runs twice. */
#include "repl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KEPT_BYTES 2.0e9
#define PART_OF_MEMORY 0.25

/* ---- planning ------------------------------------------------------------------------------ */

static double bytes_of(const SampleTask *t) {
    double n = 0;
    for (int i = 0; i < t->nfield_parts; i++) n += (double)ir_elements(t->step.ir, t->state_in.data[i]);
    return 8 * n * (double)t->chains * (double)t->draws;
}

/* The parts of the fields are measured behind everything else; a task that is never carried out
 * says that all draws are wanted. */
static void measure_fields(Build *b, SampleTask *t) {
    IrFunc *f = &t->measure;
    Ref *out = arena_alloc(b->s.arena, (size_t)(f->nout + t->nfield_parts + 1) * sizeof *out);
    if (f->nout) memcpy(out, f->out, (size_t)f->nout * sizeof *out);
    f->out = out;
    for (int i = 0; i < t->nfield_parts; i++) {
        Primary p = {.node_re = t->state_in.data[i], .at = t->decl->at};
        Task *keep = arena_alloc(b->s.arena, sizeof *keep);
        *keep = (Task){.kind = TASK_KEEP, .sample = t, .kept = t->primaries.n};
        vec_push(&t->primaries, p);
        f->out[f->nout++] = p.node_re;
        vec_push(&b->s.plan->tasks, keep);
    }
}

void kept_plan(Build *b) {
    double left = fmin(MAX_KEPT_BYTES, PART_OF_MEMORY * available_memory());
    for (int i = 0, n = b->s.plan->tasks.n; i < n; i++) {
        const Task *t = b->s.plan->tasks.data[i];
        if (t->kind != TASK_SAMPLE || t->sample->minimizes || t->sample->decl->scan || bytes_of(t->sample) > left) continue;
        left -= bytes_of(t->sample);
        measure_fields(b, t->sample);
    }
}

/* How many of the primaries of a task are the user's. */
static int asked(const SampleTask *t) {
    int n = t->primaries.n;
    for (int i = 0; i < t->nfield_parts && n > 0; i++)
        if (t->primaries.data[n - 1].node_re == t->state_in.data[t->nfield_parts - 1 - i] && !t->primaries.data[n - 1].input_re) n--;
    return n;
}

static uint64_t primary_print(const SampleTask *t, int primary) {
    int out = 0;
    for (int i = 0; i < primary; i++) out += t->primaries.data[i].node_im ? 2 : 1;
    uint64_t h = fingerprint(t->measure.ir, t->measure.out[out]);
    return t->primaries.data[primary].node_im ? h * 31 + fingerprint(t->measure.ir, t->measure.out[out + 1]) : h;
}

static uint64_t *prints_of(Arena *a, const SampleTask *t, int n) {
    uint64_t *p = arena_alloc(a, (size_t)(n + 1) * sizeof *p);
    for (int i = 0; i < n; i++) p[i] = primary_print(t, i);
    return p;
}

/* ---- from program to program ------------------------------------------------------------------ */

Chain kept_chain(const Build *b, const SampleTask *t, SampleData *d) {
    Chain c = {.data = d, .nprimaries = d->nprimaries ? asked(t) : 0};
    c.print = prints_of(b->s.arena, t, c.nprimaries);
    return c;
}

static Series moved(Series *s) {
    Series out = *s;
    s->data = NULL;
    return out;
}

static SampleData *copy_data(Arena *a, SampleData *from, const RunSample *t, int nprimaries) {
    SampleData *d = arena_alloc(a, sizeof *d);
    *d = *from;
    d->task = t, d->nprimaries = nprimaries;
    d->primaries = arena_alloc(a, (size_t)(nprimaries + 1) * sizeof *d->primaries);
    d->stats = arena_alloc(a, (size_t)(from->nstats + 1) * sizeof *d->stats);
    for (int i = 0; i < from->nstats; i++) d->stats[i] = moved(&from->stats[i]);
    if (!from->warmup_mean) return d;
    d->warmup_mean = arena_alloc(a, (size_t)(from->nstats + 1) * sizeof *d->warmup_mean);
    memcpy(d->warmup_mean, from->warmup_mean, (size_t)from->nstats * sizeof *d->warmup_mean);
    return d;
}

Chain kept_adopt(Build *b, const SampleTask *t, Chain *from) {
    SampleData *old = from->data;
    int parts = old->nprimaries - from->nprimaries;
    bool as_it_was = !t || t->minimizes;
    int mine = as_it_was ? from->nprimaries : asked(t), fields = as_it_was ? parts : t->primaries.n - mine;
    Chain c = {.nprimaries = mine};
    c.data = copy_data(b->s.arena, old, build_sample(b, t), mine + fields);
    c.print = arena_alloc(b->s.arena, (size_t)(mine + 1) * sizeof *c.print);
    if (as_it_was && mine) memcpy(c.print, from->print, (size_t)mine * sizeof *c.print);
    else if (mine) c.print = prints_of(b->s.arena, t, mine);
    for (int i = 0; i < mine; i++)
        for (int k = 0; k < from->nprimaries && !c.data->primaries[i].data; k++)
            if (from->print[k] == c.print[i] && old->primaries[k].data) c.data->primaries[i] = moved(&old->primaries[k]);
    for (int i = 0; i < fields && i < parts; i++) c.data->primaries[mine + i] = moved(&old->primaries[from->nprimaries + i]);
    return c;
}

void result_free(Result *r) {
    for (int i = 0; i < r->chains.n; i++) {
        SampleData *d = r->chains.data[i].data;
        for (int k = 0; k < d->nprimaries; k++) free(d->primaries[k].data), d->primaries[k].data = NULL;
        for (int k = 0; k < d->nstats; k++) free(d->stats[k].data), d->stats[k].data = NULL;
    }
    vec_free(&r->chains), vec_free(&r->reports), vec_free(&r->found), vec_free(&r->nfound);
    r->done = r->interrupted = false, r->ntasks = 0;
}

bool kept_has(const Chain *c, int primary) { return primary < c->data->nprimaries && c->data->primaries[primary].data; }

/* ---- measuring on what was kept ------------------------------------------------------------------ */

enum { MAX_LANES = 16 };

typedef struct Measuring {
    Build      *b;
    const SampleTask *t;
    SampleData *data;
    int         fields;              /* number of the first configuration */
    IrFunc      f;
    int        *primary;             /* [f.nout]: of which it is the series */
    bool       *imaginary;
    Executable *x;
    int         lanes;
    const double **in;
    double    **out, *scratch;
    uint32_t    chains[MAX_LANES];
} Measuring;

static bool is_single(const Measuring *m, Ref array) { return m->f.single && NODE(m->f.ir, array)->rank > 0; }

static double *room(int64_t n) {
    double *p = lq_alloc_vectors((size_t)(n > 0 ? n : 1) * sizeof *p);
    if (!p) lq_out_of_memory((size_t)n * sizeof *p);
    return p;
}

/* The outputs that make the wanted series, and room for these. */
static void choose(Measuring *m, const bool *wanted, int n) {
    Arena *a = m->b->s.arena;
    m->f = m->t->measure;
    m->f.name = "measure.kept";
    m->f.nout = 0;
    m->f.out = arena_alloc(a, (size_t)(2 * n + 1) * sizeof *m->f.out);
    m->primary = arena_alloc(a, (size_t)(2 * n + 1) * sizeof *m->primary);
    m->imaginary = arena_alloc(a, (size_t)(2 * n + 1) * sizeof *m->imaginary);
    for (int i = 0, out = 0; i < n; i++) {
        int outputs = m->t->primaries.data[i].node_im ? 2 : 1;
        for (int o = 0; o < outputs && wanted[i]; o++) {
            m->primary[m->f.nout] = i, m->imaginary[m->f.nout] = o;
            m->f.out[m->f.nout++] = m->t->measure.out[out + o];
        }
        out += outputs;
        if (!wanted[i]) continue;
        Series *s = &m->data->primaries[i];
        const Ref node = m->t->primaries.data[i].node_re;
        *s = (Series){.n = ir_elements(m->f.ir, node) * outputs, .draws = m->data->draws, .stride = 1};
        s->row = NODE(m->f.ir, node)->rank ? NDIM(m->f.ir, node, NODE(m->f.ir, node)->rank - 1) : 1;
        s->data = room(s->n * m->data->chains * s->draws);
    }
}

/* Configuration `draw` of the chains of a block as inputs. */
static void fill(const Measuring *m, int64_t draw) {
    for (int i = 0; i < m->t->nfield_parts; i++) {
        const Series *s = &m->data->primaries[m->fields + i];
        bool single = is_single(m, m->f.in[i]);
        double *to = (double *)m->in[i];
        for (int l = 0; l < m->lanes && m->chains[l] < m->data->chains; l++) {
            const double *from = s->data + (m->chains[l] * s->draws + draw) * s->n;
            for (int64_t k = 0; k < s->n; k++) {
                if (single) ((float *)to)[k * m->lanes + l] = (float)from[k];
                else to[k * m->lanes + l] = from[k];
            }
        }
    }
}

static void take(const Measuring *m, int64_t draw) {
    for (int o = 0; o < m->f.nout; o++) {
        Series *s = &m->data->primaries[m->primary[o]];
        int64_t n = ir_elements(m->f.ir, m->f.out[o]);
        bool single = is_single(m, m->f.out[o]);
        for (int l = 0; l < m->lanes && m->chains[l] < m->data->chains; l++) {
            double *to = s->data + (m->chains[l] * s->draws + draw) * s->n + (m->imaginary[o] ? n : 0);
            for (int64_t k = 0; k < n; k++) to[k] = single ? ((const float *)m->out[o])[k * m->lanes + l] : m->out[o][k * m->lanes + l];
        }
    }
}

static void measure_all(Measuring *m) {
    for (int64_t first = 0; first < m->data->chains; first += m->lanes) {
        for (int l = 0; l < MAX_LANES; l++) m->chains[l] = (uint32_t)(first + l);
        for (int64_t draw = 0; draw < m->data->draws && !run_interrupted(); draw++) {
            fill(m, draw);
            CallArgs a = {.in = m->in, .out = m->out, .scratch = m->scratch, .seed = m->b->settings.seed,
                          .step = (uint32_t)(m->t->warmup + (draw + 1) * m->t->thin), .chains = m->chains};
            execute(m->x, 0, &a);
            take(m, draw);
        }
    }
}

static void allocate(Measuring *m) {
    const RunVariables *uses = &m->data->task->uses[RUN_MEASURE];
    m->in = lq_alloc((size_t)(m->f.nin + 1) * sizeof *m->in);
    m->out = lq_alloc((size_t)(m->f.nout + 1) * sizeof *m->out);
    for (int i = 0; i < m->t->state_in.n; i++) m->in[i] = room(ir_elements(m->f.ir, m->f.in[i]) * m->lanes);
    variable_inputs(&m->b->run, uses, false, m->in + m->t->state_in.n);
    for (int i = 0; i < m->f.nout; i++) m->out[i] = room(ir_elements(m->f.ir, m->f.out[i]) * m->lanes);
    m->scratch = room(executable_scratch(m->x) + 8 * m->lanes);
}

static void release(Measuring *m) {
    for (int i = 0; i < m->t->state_in.n; i++) free((double *)m->in[i]);
    for (int i = 0; i < m->f.nout; i++) free(m->out[i]);
    free(m->in), free(m->out), free(m->scratch);
    executable_free(m->x);
}

/* The series that could not be measured to the end are missing again. */
static void forget(Measuring *m, const bool *wanted) {
    for (int i = 0; i < m->fields; i++)
        if (wanted[i]) free(m->data->primaries[i].data), m->data->primaries[i] = (Series){0};
}

KeptState kept_measure(Build *b, Chain *c, const bool *wanted) {
    const SampleTask *t = build_sample_task(b, c->data->task);
    Measuring m = {.b = b, .t = t, .data = c->data, .fields = c->nprimaries};
    if (c->data->nprimaries - c->nprimaries < t->nfield_parts) return KEPT_MISSING;
    for (int i = 0; i < t->nfield_parts; i++)
        if (!c->data->primaries[m.fields + i].data) return KEPT_MISSING;
    choose(&m, wanted, c->nprimaries);
    RunOptions o = *b->options;
    o.lanes = LANES_CHAINS;
    KLanes lanes;
    char err[512] = "";
    const IrFunc *f = &m.f;
    m.x = compile_functions(&f, 1, t->chains, &o, &lanes, err, sizeof err);
    if (!m.x) {
        fprintf(stderr, "lqft: %s\n", err);
        forget(&m, wanted);
        return KEPT_FAILED;
    }
    m.lanes = lanes.lanes;
    allocate(&m);
    RunSignals *signals = run_signals_begin();
    measure_all(&m);
    bool whole = !run_interrupted();
    run_signals_end(signals);
    release(&m);
    if (!whole) forget(&m, wanted);
    return whole ? KEPT_MEASURED : KEPT_STOPPED;
}
