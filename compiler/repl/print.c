/* print.c — results at the prompt: value(error), arrays abbreviated; what chains did. */
#include "repl.h"

#include "../../runtime/run/run.h"

#include <math.h>
#include <string.h>

enum { MOST_ROWS = 12, MOST_IN_LINE = 6 };

/* ---- reports ---------------------------------------------------------------------------------- */

static void put_quality(const ReportResult *q, int64_t k, Arena *a, FILE *out) {
    if (q->exact) return;
    if (isfinite(q->tau_int[k])) fprintf(out, "   tau_int %s", format_value_error(a, q->tau_int[k], q->tau_int_error[k]));
    if (isfinite(q->ess[k])) fprintf(out, ", ESS %.0f", q->ess[k]);
    if (isfinite(q->rhat[k])) fprintf(out, ", R-hat %.3f", q->rhat[k]);
}

static void put_rows(Build *b, const ReportResult *q, FILE *out) {
    Arena *a = b->s.arena;
    const Axis *axes = q->task->axes;
    int n = q->task->naxes;
    for (int64_t k = 0; k < q->n && k < MOST_ROWS; k++) {
        int64_t index[IR_MAX_RANK] = {0}, rest = k;
        for (int i = n - 1; i >= 0 && n == q->rank; i--) index[i] = rest % axes[i].n, rest /= axes[i].n;
        fprintf(out, "%s", q->name);
        for (int i = 0; i < n && n == q->rank; i++) fprintf(out, "%s%.6g%s", i ? ", " : "[", axis_label(&axes[i], index[i]), i == n - 1 ? "]" : "");
        fprintf(out, " = %s", format_value_error(a, q->value[k], q->error[k]));
        put_quality(q, k, a, out);
        fprintf(out, "\n");
    }
    if (q->n > MOST_ROWS) fprintf(out, "… %lld more\n", (long long)(q->n - MOST_ROWS));
}

/* "over X (32 × 32)" */
static void put_sets(const Value *v, FILE *out) {
    for (int i = 0; v->kind == VK_NUM && i < v->u.num.nsets; i++) {
        const IndexSet *s = v->u.num.sets[i];
        fprintf(out, "%s%s (", i ? ", " : "  over ", s->name ? s->name : "a range");
        for (int k = 0; k < s->rank; k++) fprintf(out, "%s%lld", k ? " × " : "", (long long)s->ext[k]);
        fprintf(out, ")");
    }
}

/* One element; two reports are a complex value. */
static void put_element(Arena *a, const ReportResult *re, const ReportResult *im, int64_t k, FILE *out) {
    fprintf(out, "%s", format_value_error(a, re->value[k], re->error[k]));
    if (im) fprintf(out, "%s%si", signbit(im->value[k]) ? " - " : " + ", format_value_error(a, fabs(im->value[k]), im->error[k]));
}

static void put_value(Build *b, const ReportResult *re, const ReportResult *im, FILE *out) {
    if (re->n == 1 && re->rank == 0) put_element(b->s.arena, re, im, 0, out);
    else {
        fprintf(out, "(");
        for (int64_t k = 0; k < re->n; k++) {
            if (re->n > MOST_IN_LINE + 2 && k == MOST_IN_LINE) fprintf(out, ", …"), k = re->n - 1;
            if (k) fprintf(out, ", ");
            put_element(b->s.arena, re, im, k, out);
        }
        fprintf(out, ")");
        put_sets(build_report_task(b, re->task)->value, out);
    }
    if (!im && re->n == 1) put_quality(re, 0, b->s.arena, out);
    fprintf(out, "\n");
}

static void put_reports(Repl *r, Build *b, int i) {
    const Result *x = &b->results[i];
    if (b->entries.data[i]->passing && (x->reports.n == 1 || x->reports.n == 2)) {
        put_value(b, x->reports.data[0], x->reports.n == 2 ? x->reports.data[1] : NULL, r->out);
        return;
    }
    for (int k = 0; k < x->reports.n; k++) put_rows(b, x->reports.data[k], r->out);
}

/* ---- chains --------------------------------------------------------------------------------------- */

static void put_monitors(Build *b, const SampleData *d, FILE *out) {
    const char *before = d->task->minimizes ? "  at the end: " : "  monitored: ";
    for (int i = 0; i < d->nstats && i < d->task->nmonitors; i++) {
        const char *name = d->task->monitors[i].name;
        if (!strncmp(name, "accept.", 7) || !strncmp(name, "warn.", 5) || !strcmp(name, "stop.now") || (d->task->minimizes && i == 0)) continue;
        Mean m = d->task->minimizes ? (Mean){d->draws ? d->stats[i].data[d->draws - 1] : NAN, 0} : monitor_mean(d, i);
        fprintf(out, "%s%s = %s", before, name, format_value_error(b->s.arena, m.value, m.error));
        before = ", ";
    }
    if (*before == ',') fprintf(out, "\n");
}

static void put_sample(Build *b, const SampleData *d, FILE *out) {
    const RunSample *t = d->task;
    Acceptance a;
    for (int i = 0; i < t->ntargets; i++) fprintf(out, "%s%s", i ? ", " : "", t->targets[i]);
    fprintf(out, ": %s, %lld chains × %lld draws", t->method, (long long)d->chains, (long long)d->draws);
    if (t->thin > 1) fprintf(out, " of %lld steps", (long long)t->thin);
    fprintf(out, ", warm-up %lld", (long long)t->warmup);
    if (sample_acceptance(d, &a)) fprintf(out, ", acceptance %.3f, <ratio> = %s", a.accepted, format_value_error(b->s.arena, a.ratio, a.ratio_error));
    if (d->interrupted) fprintf(out, " (interrupted, %lld draws wanted)", (long long)t->draws);
    fprintf(out, "\n");
}

static void put_minimized(Build *b, const SampleData *d, FILE *out) {
    const RunSample *t = d->task;
    (void)b;
    for (int i = 0; i < t->ntargets && i < 3; i++) fprintf(out, "%s%s", i ? ", " : "", t->targets[i]);
    fprintf(out, "%s: %s, %lld iteration%s", t->ntargets > 3 ? ", …" : "", t->method, (long long)d->draws, d->draws == 1 ? "" : "s");
    if (d->draws < t->draws && !d->interrupted) fprintf(out, ", ended by its condition");
    if (d->draws > 0) fprintf(out, ", objective %.6g … %.6g", d->stats[0].data[0], d->stats[0].data[d->draws - 1]);
    fprintf(out, "%s\n", d->interrupted ? " (interrupted)" : "");
}

static void put_noticed(Build *b, FILE *out) {
    static const char *const words[] = {[NOTICE_REMARK] = "note", [NOTICE_WARNING] = "warning", [NOTICE_FAILED] = "failed"};
    for (int i = 0; i < b->run.diagnostics.n; i++) {
        const Diagnostic *d = &b->run.diagnostics.data[i];
        fprintf(out, "%s[%s]: %s\n", words[d->notice], d->code, d->text);
    }
    for (int i = 0; i < b->run.files.n; i++) fprintf(out, "wrote %s\n", b->run.files.data[i]);
    b->run.diagnostics.n = b->run.files.n = 0;
}

void print_result(Repl *r, Build *b, int i) {
    const Result *x = &b->results[i];
    for (int k = 0; k < x->chains.n; k++) {
        const SampleData *d = x->chains.data[k].data;
        if (k == MOST_ROWS) { fprintf(r->out, "… %d more\n", x->chains.n - k); break; }
        if (d->task->minimizes) put_minimized(b, d, r->out);
        else put_sample(b, d, r->out);
        put_monitors(b, d, r->out);
    }
    put_reports(r, b, i);
    put_noticed(b, r->out);
}

void print_session(Repl *r) {
    const Build *b = r->build;
    for (int i = 0; i < b->entries.n; i++) {
        const Entry *e = b->entries.data[i];
        if (e->passing) continue;
        fprintf(r->out, "%s%s\n", e->text, !entry_is_task(e) ? "" : b->results[i].interrupted ? "   # interrupted" : build_is_stale(b, i) ? "   # not carried out" : "");
    }
}
