/* output.c — the results of a run: a table for people, one JSON object for programs. */
#include "results.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINES 12          /* elements of an array that the table shows */

/* ==== value(error) ========================================================================== */

static int exponent10(double v) { return v > 0 ? (int)floor(log10(v) + 1e-12) : 0; }

/* Places after the point that show two digits of the error; rounding may add a digit. */
static int places_for(double error) {
    int places = 1 - exponent10(error);
    double digits = rint(error * pow(10, places));
    return digits >= 100 ? places - 1 : places;
}

static const char *fixed(Arena *a, double value, double error, const char *suffix) {
    int places = places_for(error);
    double unit = pow(10, places);
    if (places <= 0) {
        double v = rint(value * unit) / unit;
        return arena_printf(a, "%.0f(%.0f)%s", v == 0 ? 0.0 : v, rint(error * unit) / unit, suffix);
    }
    if (fabs(rint(value * unit)) == 0) value = 0;          /* no minus sign before zeros */
    if (error >= 0.995) return arena_printf(a, "%.*f(%.*f)%s", places, value, places, error, suffix);
    return arena_printf(a, "%.*f(%.0f)%s", places, value, rint(error * unit), suffix);
}

const char *format_value_error(Arena *a, double value, double error) {
    if (isnan(value)) return "nan";                       /* of either sign */
    if (!isfinite(value) || error == 0) return arena_printf(a, "%.10g", value);
    if (!isfinite(error)) return arena_printf(a, "%.10g(%s)", value, isnan(error) ? "nan" : "inf");
    if (error < 0) error = -error;
    double size = fmax(fabs(value), error);
    if (error < 1e-14 * size) return arena_printf(a, "%.15g(%.1e)", value, error);
    int e = exponent10(size);
    if (e >= -4 && e <= 8) return fixed(a, value, error, "");
    double scale = pow(10, -e);
    if (!isfinite(scale) || scale == 0) return arena_printf(a, "%.6g(%.1e)", value, error);
    return fixed(a, value * scale, error * scale, arena_printf(a, "e%+03d", e));
}

/* ==== the table ============================================================================= */

/* Columns on a terminal: letters, not bytes. */
static int width_of(const char *s) {
    int n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static void put(FILE *out, const char *s, int width) {
    fprintf(out, "%s%*s", s, width > width_of(s) ? width - width_of(s) : 0, "");
}

enum { COL_NAME, COL_VALUE, COL_TAU, COL_ESS, COL_RHAT, NCOLS };
typedef struct Row { const char *cell[NCOLS]; } Row;
typedef struct Table { VEC(Row) rows; Arena *arena; } Table;

static const char *optional(Arena *a, const char *fmt_kind, double v) {
    if (!isfinite(v)) return "-";
    return arena_printf(a, *fmt_kind == 'e' ? "%.0f" : "%.3f", v);
}

/* chi[3, 0], or rho[0.25] on a grid. */
static const char *element_name(Arena *a, const ReportResult *r, const Axis *axes, int n, int64_t k) {
    int64_t index[RUN_MAX_RANK];
    for (int i = n - 1; i >= 0; i--) index[i] = k % axes[i].n, k /= axes[i].n;
    Text t = {0};
    text_printf(&t, "%s[", r->name);
    for (int i = 0; i < n; i++) text_printf(&t, "%s%.6g", i ? ", " : "", axis_label(&axes[i], index[i]));
    text_printf(&t, "]");
    const char *s = arena_strndup(a, t.s, t.n);
    text_free(&t);
    return s;
}

static Row row_of(Arena *a, const ReportResult *r, const char *name, int64_t k) {
    Row row = {{name, format_value_error(a, r->value[k], r->error[k]), "-", "-", "-"}};
    if (r->exact) return row;
    if (isfinite(r->tau_int[k])) row.cell[COL_TAU] = format_value_error(a, r->tau_int[k], r->tau_int_error[k]);
    row.cell[COL_ESS] = optional(a, "ess", r->ess[k]);
    row.cell[COL_RHAT] = optional(a, "rhat", r->rhat[k]);
    return row;
}

static void add_report(Table *t, const ReportResult *r) {
    const Axis *axes = r->task->axes;
    int n = r->task->naxes;
    if (r->rank == 0) {
        Row row = row_of(t->arena, r, r->name, 0);
        vec_push(&t->rows, row);
        return;
    }
    for (int64_t k = 0; k < r->n && k < MAX_LINES; k++) {
        const char *name = n == r->rank ? element_name(t->arena, r, axes, n, k) : r->name;
        Row row = row_of(t->arena, r, name, k);
        vec_push(&t->rows, row);
    }
    if (r->n <= MAX_LINES) return;
    Row more = {{arena_printf(t->arena, "… %lld more (--json, save)", (long long)(r->n - MAX_LINES)), "", "", "", ""}};
    vec_push(&t->rows, more);
}

static void print_rows(const Table *t, FILE *out) {
    static const Row head = {{"", "", "tau_int", "ESS", "R-hat"}};
    int width[NCOLS] = {0};
    for (int i = -1; i < t->rows.n; i++)
        for (int c = 0; c < NCOLS; c++) {
            const Row *row = i < 0 ? &head : &t->rows.data[i];
            if (c == COL_NAME && !*row->cell[COL_VALUE]) continue;      /* the line "… more" may be longer */
            if (width_of(row->cell[c]) > width[c]) width[c] = width_of(row->cell[c]);
        }
    for (int i = -1; i < t->rows.n; i++) {
        const Row *row = i < 0 ? &head : &t->rows.data[i];
        bool more = i >= 0 && !*row->cell[COL_VALUE];
        put(out, row->cell[COL_NAME], more ? 0 : width[COL_NAME]);
        for (int c = COL_VALUE; c < NCOLS && !more; c++) {
            fputs(c == COL_VALUE ? (i < 0 ? "   " : " = ") : "   ", out);
            put(out, row->cell[c], c == NCOLS - 1 ? 0 : width[c]);
        }
        fputc('\n', out);
    }
}

/* The text of an objective, on one line and not too long. */
static const char *objective_text(const RunResult *r, const SampleData *d) {
    return arena_printf(r->arena, "%.70s%s", d->task->objective, strlen(d->task->objective) > 70 ? "…" : "");
}

static int64_t numbers_found(const RunResult *r, const RunSample *t) {
    int64_t n = 0;
    for (int i = 0; i < t->ntargets; i++) n += r->program->variables[t->minimized[i]].n;
    return n;
}

/* Did it end by `until`, or by a `stop` of its method? */
static bool ended_early(const SampleData *d) { return d->draws < d->task->draws && !d->interrupted; }

static void print_minimized(const RunResult *r, const SampleData *d, FILE *out) {
    const RunSample *t = d->task;
    const Series *f = &d->stats[0];
    fprintf(out, "%s: %s over ", objective_text(r, d), t->method);
    if (t->ntargets == 1) fprintf(out, "%s", t->targets[0]);
    else fprintf(out, "%d arrays", t->ntargets);
    fprintf(out, " (%lld number%s), %lld iteration%s%s", (long long)numbers_found(r, t), numbers_found(r, t) == 1 ? "" : "s", (long long)d->draws,
            d->draws == 1 ? "" : "s", ended_early(d) ? ", ended by its condition" : "");
    if (d->draws > 0) fprintf(out, ", objective %.6g … %.6g", f->data[0], f->data[d->draws - 1]);
    if (d->seconds > 0) fprintf(out, ", %.3g/s", (double)d->draws / d->seconds);
    fprintf(out, "%s\n", d->interrupted ? " (interrupted)" : "");
}

static const char *const notice_words[] = {[NOTICE_REMARK] = "note", [NOTICE_WARNING] = "warning", [NOTICE_FAILED] = "failed"};

static void print_sample(const RunResult *r, const SampleData *d, FILE *out) {
    const RunSample *t = d->task;
    Acceptance a;
    for (int i = 0; i < t->ntargets; i++) fprintf(out, "%s%s", i ? ", " : "", t->targets[i]);
    fprintf(out, ": %s, %lld chains × %lld draws", t->method, (long long)d->chains, (long long)d->draws);
    if (t->thin > 1) fprintf(out, " of %lld steps", (long long)t->thin);
    fprintf(out, ", warm-up %lld", (long long)t->warmup);
    if (sample_acceptance(d, &a))
        fprintf(out, ", acceptance %.3f, <ratio> = %s", a.accepted, format_value_error(r->arena, a.ratio, a.ratio_error));
    double steps = (double)d->chains * (double)d->draws * (double)t->thin;
    if (d->seconds > 0) fprintf(out, ", %.3g trajectories/s", steps / d->seconds);
    fprintf(out, "%s\n", d->interrupted ? " (interrupted)" : "");
}

/* What the user's sampler watches: not the hidden names, which have a point. */
static bool is_shown(const SampleData *d, int monitor) {
    const char *name = d->task->monitors[monitor].name;
    return strncmp(name, "accept.", 7) != 0 && strncmp(name, "warn.", 5) != 0 && strcmp(name, "stop.now") != 0 &&
           !(d->task->minimizes && monitor == 0);       /* the objective has a place of its own */
}

/* A minimisation converges: the last value says more than the mean. */
static Mean monitor_value(const SampleData *d, int monitor) {
    if (!d->task->minimizes) return monitor_mean(d, monitor);
    return (Mean){d->draws ? d->stats[monitor].data[d->draws - 1] : NAN, 0};
}

static void print_monitors(const RunResult *r, const SampleData *d, FILE *out) {
    const char *before = d->task->minimizes ? "  at the end: " : "  monitored: ";
    for (int i = 0; i < d->nstats && i < d->task->nmonitors; i++) {
        if (!is_shown(d, i)) continue;
        Mean m = monitor_value(d, i);
        fprintf(out, "%s%s = %s", before, d->task->monitors[i].name, format_value_error(r->arena, m.value, m.error));
        before = ", ";
    }
    if (*before == ',') fputc('\n', out);
}

void output_table(const RunResult *r, FILE *out) {
    Table t = {.arena = r->arena};
    for (int i = 0; i < r->reports.n; i++) add_report(&t, r->reports.data[i]);
    if (t.rows.n) {
        print_rows(&t, out);
        fputc('\n', out);
    }
    vec_free(&t.rows);
    for (int i = 0; i < r->samples.n; i++) {
        if (r->samples.data[i]->task->minimizes) print_minimized(r, r->samples.data[i], out);
        else print_sample(r, r->samples.data[i], out);
        print_monitors(r, r->samples.data[i], out);
    }
    for (int i = 0; i < r->diagnostics.n; i++) {
        const Diagnostic *d = &r->diagnostics.data[i];
        fprintf(out, "%s[%s]: %s\n", notice_words[d->notice], d->code, d->text);
    }
    for (int i = 0; i < r->files.n; i++) fprintf(out, "wrote %s\n", r->files.data[i]);
    fprintf(out, "seed %u\n", r->settings->seed);
}

/* ==== JSON ================================================================================== */

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

/* File names may be any bytes; JSON text is UTF-8. */
static json_t *text(const char *s) {
    json_t *j = json_string(s ? s : "");
    if (j) return j;
    size_t n = strlen(s);
    char *copy = lq_alloc(n + 1);
    for (size_t i = 0; i <= n; i++) copy[i] = (unsigned char)s[i] < 0x80 ? s[i] : '?';
    j = json_string(copy);
    free(copy);
    return j;
}

/* A number, or arrays of arrays in the report's shape. */
static json_t *shaped(const double *v, int rank, const int64_t *shape) {
    if (rank == 0) return number(*v);
    int64_t inner = 1;
    for (int i = 1; i < rank; i++) inner *= shape[i];
    json_t *list = json_array();
    for (int64_t i = 0; i < shape[0]; i++) json_array_append_new(list, shaped(v + i * inner, rank - 1, shape + 1));
    return list;
}

static json_t *params_json(const RunProgram *m) {
    json_t *o = json_object();
    for (int i = 0; i < m->nparams; i++) {
        const RunParam *p = &m->params[i];
        json_object_set_new(o, p->name, p->boolean ? json_boolean(p->value != 0) : number(p->value));
    }
    return o;
}

static json_t *reports_json(const RunResult *r) {
    json_t *o = json_object();
    for (int i = 0; i < r->reports.n; i++) {
        const ReportResult *q = r->reports.data[i];
        static const char *const keys[] = {"value", "error", "tau_int", "tau_int_error", "ess", "rhat"};
        const double *const columns[] = {q->value, q->error, q->tau_int, q->tau_int_error, q->ess, q->rhat};
        json_t *one = json_object();
        for (int k = 0; k < LQ_COUNT(keys); k++) json_object_set_new(one, keys[k], shaped(columns[k], q->rank, q->shape));
        json_object_set_new(o, q->name, one);
    }
    return o;
}

static json_t *diagnostics_json(const RunResult *r) {
    json_t *list = json_array();
    for (int i = 0; i < r->diagnostics.n; i++) {
        const Diagnostic *d = &r->diagnostics.data[i];
        json_t *o = json_object();
        json_object_set_new(o, "code", text(d->code));
        json_object_set_new(o, "text", text(d->text));
        json_object_set_new(o, "severity", text(notice_words[d->notice]));
        json_object_set_new(o, "failed", json_boolean(d->notice == NOTICE_FAILED));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *monitors_json(const SampleData *d) {
    json_t *o = json_object();
    for (int i = 0; i < d->nstats && i < d->task->nmonitors; i++) {
        if (!is_shown(d, i)) continue;
        Mean m = monitor_value(d, i);
        json_t *one = json_object();
        json_object_set_new(one, "value", number(m.value));
        json_object_set_new(one, "error", number(m.error));
        json_object_set_new(o, d->task->monitors[i].name, one);
    }
    return o;
}

static json_t *tails_json(const SampleData *d) {
    static const char *const verdicts[] = {[TAIL_EXPONENTIAL] = "exponential", [TAIL_POWER] = "power", [TAIL_UNDECIDED] = "undecided"};
    json_t *o = json_object();
    for (int i = 0; i < d->nstats && i < d->task->nmonitors; i++) {
        if (!d->task->monitors[i].tail) continue;
        TailResult t = monitor_tail(d, i);
        json_t *one = json_object();
        json_object_set_new(one, "verdict", text(verdicts[t.verdict]));
        json_object_set_new(one, "shape", number(t.shape));
        json_object_set_new(one, "shape_error", number(t.shape_error));
        json_object_set_new(one, "largest", number(t.largest));
        json_object_set_new(one, "threshold", number(t.threshold));
        json_object_set_new(one, "values", json_integer(t.excesses));
        json_object_set_new(o, d->task->monitors[i].name, one);
    }
    return o;
}

static json_t *sample_json(const SampleData *d) {
    json_t *o = json_object(), *fields = json_array();
    Acceptance a;
    bool accepts = sample_acceptance(d, &a);
    for (int i = 0; i < d->task->ntargets; i++) json_array_append_new(fields, text(d->task->targets[i]));
    json_object_set_new(o, "fields", fields);
    json_object_set_new(o, "sampler", text(d->task->sampler));
    if (d->task->nat) {
        json_t *at = json_object();
        for (int i = 0; i < d->task->nat; i++) json_object_set_new(at, d->task->at_name[i], number(d->task->at_value[i]));
        json_object_set_new(o, "at", at);
    }
    json_object_set_new(o, "chains", json_integer(d->chains));
    json_object_set_new(o, "draws", json_integer(d->draws));
    json_object_set_new(o, "warmup", json_integer(d->task->warmup));
    json_object_set_new(o, "thin", json_integer(d->task->thin));
    json_object_set_new(o, "acceptance", accepts ? number(a.accepted) : json_null());
    json_object_set_new(o, "ratio", accepts ? number(a.ratio) : json_null());
    json_object_set_new(o, "ratio_error", accepts ? number(a.ratio_error) : json_null());
    json_object_set_new(o, "monitors", monitors_json(d));
    json_object_set_new(o, "tails", tails_json(d));
    json_object_set_new(o, "seconds", number(d->seconds));
    json_object_set_new(o, "warmup_seconds", number(d->warmup_seconds));
    json_object_set_new(o, "compile_seconds", number(d->compile_seconds));
    json_object_set_new(o, "interrupted", json_boolean(d->interrupted));
    return o;
}

static json_t *minimized_json(const RunResult *r, const SampleData *d) {
    json_t *o = json_object(), *over = json_array();
    const Series *f = &d->stats[0];
    for (int i = 0; i < d->task->ntargets; i++) json_array_append_new(over, text(d->task->targets[i]));
    json_object_set_new(o, "objective", text(objective_text(r, d)));
    json_object_set_new(o, "method", text(d->task->sampler));
    json_object_set_new(o, "over", over);
    json_object_set_new(o, "numbers", json_integer(numbers_found(r, d->task)));
    json_object_set_new(o, "iterations", json_integer(d->draws));
    json_object_set_new(o, "ended_early", json_boolean(ended_early(d)));
    json_object_set_new(o, "first", d->draws ? number(f->data[0]) : json_null());
    json_object_set_new(o, "last", d->draws ? number(f->data[d->draws - 1]) : json_null());
    json_object_set_new(o, "monitors", monitors_json(d));
    json_object_set_new(o, "seconds", number(d->seconds));
    json_object_set_new(o, "compile_seconds", number(d->compile_seconds));
    json_object_set_new(o, "interrupted", json_boolean(d->interrupted));
    return o;
}

static json_t *timing_json(const RunResult *r) {
    double compile = 0, warmup = 0, sampling = 0, cpu = 0;
    for (int i = 0; i < r->samples.n; i++) {
        compile += r->samples.data[i]->compile_seconds;
        warmup += r->samples.data[i]->warmup_seconds;
        sampling += r->samples.data[i]->seconds;
        cpu += r->samples.data[i]->cpu_seconds;
    }
    json_t *o = json_object();
    json_object_set_new(o, "front", number(r->front_seconds));
    json_object_set_new(o, "compile", number(compile));
    json_object_set_new(o, "warmup", number(warmup));
    json_object_set_new(o, "sampling", number(sampling));
    json_object_set_new(o, "sampling_cpu", number(cpu));
    json_object_set_new(o, "total", number(r->total_seconds));
    return o;
}

void output_json(const RunResult *r, FILE *out) {
    json_t *o = json_object(), *samples = json_array(), *files = json_array();
    json_t *minimized = json_array();
    for (int i = 0; i < r->samples.n; i++) {
        const SampleData *d = r->samples.data[i];
        if (d->task->minimizes) json_array_append_new(minimized, minimized_json(r, d));
        else json_array_append_new(samples, sample_json(d));
    }
    for (int i = 0; i < r->files.n; i++) json_array_append_new(files, text(r->files.data[i]));
    json_object_set_new(o, "program", text(r->program->path));
    json_object_set_new(o, "params", params_json(r->program));
    json_object_set_new(o, "seed", json_integer(r->settings->seed));
    json_object_set_new(o, "report", reports_json(r));
    json_object_set_new(o, "diagnostics", diagnostics_json(r));
    json_object_set_new(o, "sample", samples);
    if (json_array_size(minimized)) json_object_set_new(o, "minimize", minimized);
    else json_decref(minimized);
    json_object_set_new(o, "timing", timing_json(r));
    json_object_set_new(o, "files", files);
    json_dumpf(o, out, JSON_INDENT(2));
    fputc('\n', out);
    json_decref(o);
}
