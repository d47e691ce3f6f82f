/* build.c — the program that the entries of a session make.  It is elaborated as a whole, as
 * `lqft run` would read it; so a declaration that is entered again has all its consequences,
 * and a mistake leaves the program before as it was. */
#include "repl.h"

#include <stdlib.h>
#include <string.h>

static void assemble(Build *b, Text *t) {
    b->lo = arena_alloc(b->s.arena, ((size_t)b->entries.n + 1) * sizeof *b->lo);
    for (int i = 0; i < b->entries.n; i++) {
        b->lo[i] = (uint32_t)t->n;
        text_putn(t, b->entries.data[i]->text, b->entries.data[i]->length);
        text_putn(t, "\n", 1);
    }
    b->lo[b->entries.n] = (uint32_t)t->n;
}

Build *build_new(Repl *r, const Entries *entries) {
    Build *b = lq_alloc(sizeof *b);
    *b = (Build){0};
    Session *s = &b->s;
    front_init(&s->front);
    s->arena = arena_new();
    for (int i = 0; i < entries->n; i++) vec_push(&b->entries, entries->data[i]);
    Text t = {0};
    assemble(b, &t);
    s->front.text = arena_strndup(s->arena, t.s ? t.s : "", t.n), s->front.length = t.n;
    s->front.data = r->o.run.data, s->front.ndata = r->o.run.ndata;
    text_free(&t);
    for (int i = 0; i < r->o.noverrides; i++) r->o.overrides[i].used = false;
    s->model = model_load(&s->front, s->arena, r->o.path, r->o.library, r->o.overrides, r->o.noverrides, r->o.run.seed);
    s->plan = s->model->unusable ? NULL : plan_tasks(s->model, false);
    b->sound = s->plan && s->front.sink.nerrors == 0;
    b->options = &r->o;
    b->engine = compiling_engine(&r->o);
    b->settings = run_settings(&r->o, s->arena);
    b->results = arena_alloc(s->arena, ((size_t)b->entries.n + 1) * sizeof *b->results);
    if (!b->sound) return b;
    kept_plan(b);
    b->program = lower_plan(s);
    run_begin(&b->run, b->program, &b->settings, &b->engine, s->arena);
    b->run.pause = &r->pause;
    for (int i = 0; i < s->plan->nsamples; i++) vec_push(&b->run.samples, NULL);
    depend_all(r, b);
    return b;
}

void build_free(Build *b) {
    for (int i = 0; i < b->entries.n; i++) result_free(&b->results[i]);
    for (int i = 0; i < b->attic.n; i++) result_free(&b->attic.data[i]);
    vec_free(&b->attic), vec_free(&b->entries);
    vec_free(&b->run.samples), vec_free(&b->run.reports), vec_free(&b->run.diagnostics), vec_free(&b->run.files);
    session_close(&b->s);
    free(b);
}

/* ---- places ------------------------------------------------------------------------------ */

static bool is_main(const Build *b, uint32_t file) {
    const Sources *ss = &b->s.front.sources;
    return file < (uint32_t)ss->files.n && ss->files.data[file]->len == b->s.front.length &&
           !strcmp(ss->files.data[file]->path, b->s.model->path) && !memcmp(ss->files.data[file]->text, b->s.front.text, b->s.front.length);
}

int build_entry_at(const Build *b, Span at) {
    if (!is_main(b, at.file)) return -1;
    for (int i = 0; i < b->entries.n; i++)
        if (at.lo >= b->lo[i] && at.lo < b->lo[i + 1]) return i;
    return b->entries.n - 1;
}

int build_find(const Build *b, const Entry *e) {
    for (int i = 0; i < b->entries.n; i++)
        if (b->entries.data[i] == e) return i;
    return -1;
}

/* The file number of a text of the user, registered once. */
static uint32_t file_of(Build *b, const Origin *o) {
    Sources *ss = &b->s.front.sources;
    for (int i = 0; i < ss->files.n; i++)
        if (ss->files.data[i]->path == o->path && ss->files.data[i]->len == o->length) return (uint32_t)i;
    return source_add(ss, o->path, o->text, o->length);
}

static Span relocated(Build *b, Span at) {
    int i = build_entry_at(b, at);
    if (i < 0) return at;
    const Entry *e = b->entries.data[i];
    Span out = {file_of(b, e->origin), 0, 0};
    for (int k = 0; k < 2; k++) {
        size_t in = (k ? at.hi : at.lo) - b->lo[i];
        in = in > e->prefix ? in - e->prefix : 0;
        if (in > e->length - e->prefix) in = e->length - e->prefix;
        *(k ? &out.hi : &out.lo) = (uint32_t)(e->at + in);
    }
    return out;
}

void build_relocate(Build *b) {
    for (int i = 0; i < b->s.front.sink.diags.n; i++) {
        Diag *d = b->s.front.sink.diags.data[i];
        for (int k = 0; k < d->nlabels; k++) d->labels[k].at = relocated(b, d->labels[k].at);
    }
}

/* ---- tasks ------------------------------------------------------------------------------- */

int build_tasks(const Build *b, int i, Task **out, int most) {
    int n = 0;
    for (int k = 0; k < b->s.plan->tasks.n; k++) {
        Task *t = b->s.plan->tasks.data[k];
        if (!t->decl || build_entry_at(b, t->decl->at) != i) continue;
        if (n < most) out[n] = t;
        n++;
    }
    return n;
}

bool build_is_stale(const Build *b, int i) {
    return entry_is_task(b->entries.data[i]) && !(b->results[i].done && b->results[i].key == b->key[i]);
}

const RunSample *build_sample(const Build *b, const SampleTask *t) { return t ? &b->program->samples[t->index] : NULL; }
const RunReport *build_report(const Build *b, const ReportTask *t) { return t ? &b->program->reports[t->number] : NULL; }

const SampleTask *build_sample_task(const Build *b, const RunSample *t) {
    for (int i = 0; i < b->s.plan->tasks.n; i++) {
        const Task *k = b->s.plan->tasks.data[i];
        if (k->kind == TASK_SAMPLE && build_sample(b, k->sample) == t) return k->sample;
    }
    return NULL;
}

const ReportTask *build_report_task(const Build *b, const RunReport *t) {
    for (int i = 0; i < b->s.plan->tasks.n; i++) {
        const Task *k = b->s.plan->tasks.data[i];
        if (k->report && build_report(b, k->report) == t) return k->report;
        for (int j = 0; j < k->reports.n; j++)
            if (k->reports.data[j] && build_report(b, k->reports.data[j]) == t) return k->reports.data[j];
    }
    return NULL;
}

int build_variable(const Build *b, const Variable *v) {
    const Elab *e = b->s.model->elab;
    for (int i = 0; i < e->variables.n; i++)
        if (e->variables.data[i] == v) return i;
    return -1;
}

/* ---- from the program before --------------------------------------------------------------- */

/* The variables that a task gives values. */
static int given(const Task *t, Variable **out, int most) {
    int n = 0;
    if (t->kind == TASK_SAMPLE && t->sample->minimizes)
        for (int i = 0; i < t->sample->target.n && n < most; i++) out[n++] = t->sample->found[i];
    if (t->kind == TASK_KEEP)
        for (int i = 0; i < t->variables.n && n < most; i++) out[n++] = t->variables.data[i];
    return n;
}

static void copy_report(Build *b, const ReportResult *from, const RunReport *t, ReportResult *to) {
    double *const *in[] = {&from->value, &from->error, &from->tau_int, &from->tau_int_error, &from->ess, &from->rhat, &from->draws};
    double **out[] = {&to->value, &to->error, &to->tau_int, &to->tau_int_error, &to->ess, &to->rhat, &to->draws};
    *to = *from;
    to->task = t, to->name = t ? t->name : NULL;
    for (int i = 0; i < LQ_COUNT(in); i++) {
        if (!*in[i]) continue;
        *out[i] = arena_alloc(b->s.arena, (size_t)(from->n + 1) * sizeof(double));
        memcpy(*out[i], *in[i], (size_t)from->n * sizeof(double));
    }
}

static int count_tasks(Task *const *tasks, int n, TaskKind kind) {
    int count = 0;
    for (int k = 0; k < n; k++) count += tasks[k]->kind == kind;
    return count;
}

/* Result i of the program becomes a valid result of before, or what there is of one: the same
 * number of everything, and the draws of a task that was interrupted. */
static bool take_over(Build *b, int i, Result *old) {
    Result *new = &b->results[i];
    Task *tasks[512];
    Variable *variables[MAX_ITEMS];
    int n = build_tasks(b, i, tasks, LQ_COUNT(tasks)), chain = 0, report = 0, found = 0;
    if (n > LQ_COUNT(tasks) || (n < old->ntasks + old->interrupted) || (!old->interrupted && n != old->ntasks)) return false;
    n = old->ntasks;
    if (old->interrupted && count_tasks(tasks, n, TASK_SAMPLE) < old->chains.n) n++;
    if (count_tasks(tasks, n, TASK_SAMPLE) != old->chains.n || count_tasks(tasks, n, TASK_REPORT) != old->reports.n) return false;
    for (int k = 0; k < n; k++) {
        if (tasks[k]->kind == TASK_LOAD) return false;         /* cheap, and files may change */
        int m = given(tasks[k], variables, MAX_ITEMS);
        for (int v = 0; v < m; v++, found++)
            if (found >= old->found.n || old->nfound.data[found] != variables[v]->n) return false;
    }
    found = 0;
    for (int k = 0; k < n; k++) {
        Task *t = tasks[k];
        if (t->kind == TASK_SAMPLE) {
            Chain c = kept_adopt(b, t->sample, &old->chains.data[chain++]);
            vec_push(&new->chains, c);
            b->run.samples.data[t->sample->index] = c.data;
        }
        if (t->kind == TASK_REPORT) {
            ReportResult *q = arena_alloc(b->s.arena, sizeof *q);
            copy_report(b, old->reports.data[report++], build_report(b, t->report), q);
            vec_push(&new->reports, q);
            vec_push(&b->run.reports, q);
        }
        int m = given(t, variables, MAX_ITEMS);
        for (int v = 0; v < m; v++, found++) {
            double *data = variable_room(&b->run, build_variable(b, variables[v]));
            memcpy(data, old->found.data[found], (size_t)variables[v]->n * sizeof *data);
            vec_push(&new->found, data);
            vec_push(&new->nfound, variables[v]->n);
        }
    }
    new->done = old->done, new->interrupted = old->interrupted, new->ntasks = old->ntasks, new->key = old->key;
    return true;
}

static Result *find_result(Build *before, uint64_t key) {
    for (int i = 0; i < before->entries.n; i++)
        if ((before->results[i].done || before->results[i].interrupted) && before->results[i].key == key) return &before->results[i];
    for (int i = 0; i < before->attic.n; i++)
        if (before->attic.data[i].done && before->attic.data[i].key == key) return &before->attic.data[i];
    return NULL;
}

/* What cost something and is not valid now may be valid again.  Its arrays move. */
static void to_attic(Build *b, Result *old) {
    if (!old->done || !old->chains.n) return;
    if (b->attic.n == MAX_ATTIC) {
        result_free(&b->attic.data[0]);
        memmove(b->attic.data, b->attic.data + 1, (size_t)(MAX_ATTIC - 1) * sizeof *b->attic.data);
        b->attic.n--;
    }
    Result kept = {.done = true, .interrupted = old->interrupted, .ntasks = old->ntasks, .key = old->key};
    for (int i = 0; i < old->chains.n; i++) {
        Chain c = kept_adopt(b, NULL, &old->chains.data[i]);
        vec_push(&kept.chains, c);
    }
    for (int i = 0; i < old->reports.n; i++) {
        ReportResult *q = arena_alloc(b->s.arena, sizeof *q);
        copy_report(b, old->reports.data[i], NULL, q);
        vec_push(&kept.reports, q);
    }
    for (int i = 0; i < old->found.n; i++) {
        double *data = arena_alloc(b->s.arena, (size_t)(old->nfound.data[i] + 1) * sizeof *data);
        memcpy(data, old->found.data[i], (size_t)old->nfound.data[i] * sizeof *data);
        vec_push(&kept.found, data);
        vec_push(&kept.nfound, old->nfound.data[i]);
    }
    result_free(old);
    vec_push(&b->attic, kept);
}

void build_inherit(Build *b, Build *before) {
    for (int i = 0; i < b->entries.n; i++) {
        Result *old = entry_is_task(b->entries.data[i]) ? find_result(before, b->key[i]) : NULL;
        if (old && take_over(b, i, old)) result_free(old);
    }
    for (int i = 0; i < before->attic.n; i++) to_attic(b, &before->attic.data[i]);
    for (int i = 0; i < before->entries.n; i++) to_attic(b, &before->results[i]);
}
