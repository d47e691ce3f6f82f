/* page.c — a run as one HTML page that needs nothing else: reports, samples, what was noticed, and
 * the figures inside. */
#include "results.h"

#include "../io/file.h"

#include <math.h>
#include <stdlib.h>

static void escape(Text *t, const char *s) {
    for (; s && *s; s++) {
        if (*s == '<') text_printf(t, "&lt;");
        else if (*s == '>') text_printf(t, "&gt;");
        else if (*s == '&') text_printf(t, "&amp;");
        else if (*s == '"') text_printf(t, "&quot;");
        else text_putn(t, s, 1);
    }
}

static void cell(Text *t, const char *tag, const char *text) {
    text_printf(t, "<%s>", tag);
    escape(t, text);
    text_printf(t, "</%s>", tag);
}

static void head(Text *t, const RunResult *r) {
    const char *slash = strrchr(r->program->path, '/'), *name = slash ? slash + 1 : r->program->path;
    text_printf(t, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
    escape(t, name);
    text_printf(t, "</title>\n<style>\nbody{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222;background:#fff}\n"
                   "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .9em .2em 0;text-align:left;border-bottom:1px solid #ddd}\n"
                   "td{font-variant-numeric:tabular-nums}.failed{color:#a00}.warning{color:#850}figure{margin:1.5em 0}svg{max-width:100%%;height:auto}\n"
                   "</style></head><body>\n");
    cell(t, "h1", name);
    text_printf(t, "<p>seed %u", r->settings->seed);
    for (int i = 0; i < r->program->nparams; i++) {
        const RunParam *p = &r->program->params[i];
        text_printf(t, ", ");
        escape(t, p->name);
        if (p->boolean) text_printf(t, " = %s", p->value != 0 ? "true" : "false");
        else text_printf(t, " = %.10g", p->value);
    }
    text_printf(t, "</p>\n");
}

static const char *optional(Arena *a, const char *fmt, double v) { return isfinite(v) ? arena_printf(a, strcmp(fmt, "0") ? "%.3f" : "%.0f", v) : "–"; }

static void row(Text *t, Arena *a, const ReportResult *q, int64_t k) {
    char index[64] = "";
    if (q->rank) snprintf(index, sizeof index, "[%lld]", (long long)k);
    if (q->rank == 1 && q->task->naxes == 1) snprintf(index, sizeof index, "[%.6g]", axis_label(&q->task->axes[0], k));
    text_printf(t, "<tr>");
    cell(t, "td", arena_printf(a, "%s%s", q->name, index));
    cell(t, "td", format_value_error(a, q->value[k], q->error[k]));
    cell(t, "td", isfinite(q->tau_int[k]) ? format_value_error(a, q->tau_int[k], q->tau_int_error[k]) : "–");
    cell(t, "td", optional(a, "0", q->ess[k]));
    cell(t, "td", optional(a, "3", q->rhat[k]));
    text_printf(t, "</tr>\n");
}

enum { MOST_ROWS = 200 };

static void reports(Text *t, const RunResult *r, Arena *a) {
    if (!r->reports.n) return;
    text_printf(t, "<h2>Reports</h2>\n<table><tr><th></th><th>value</th><th>τ<sub>int</sub></th><th>ESS</th><th>R̂</th></tr>\n");
    for (int i = 0; i < r->reports.n; i++) {
        const ReportResult *q = r->reports.data[i];
        for (int64_t k = 0; k < q->n && k < MOST_ROWS; k++) row(t, a, q, k);
        if (q->n > MOST_ROWS) text_printf(t, "<tr><td>… %lld more</td></tr>\n", (long long)(q->n - MOST_ROWS));
    }
    text_printf(t, "</table>\n");
}

static void samples(Text *t, const RunResult *r, Arena *a) {
    if (r->samples.n) text_printf(t, "<h2>Samples and minimisations</h2>\n<ul>\n");
    for (int i = 0; i < r->samples.n; i++) {
        const SampleData *d = r->samples.data[i];
        Acceptance accepted;
        text_printf(t, "<li>");
        for (int k = 0; k < d->task->ntargets && k < 8; k++) escape(t, arena_printf(a, "%s%s", k ? ", " : "", d->task->targets[k]));
        text_printf(t, ": ");
        escape(t, d->task->method);
        if (d->task->minimizes) text_printf(t, ", %lld iterations", (long long)d->draws);
        else text_printf(t, ", %lld chains × %lld draws, warm-up %lld", (long long)d->chains, (long long)d->draws, (long long)d->task->warmup);
        if (!d->task->minimizes && sample_acceptance(d, &accepted)) text_printf(t, ", acceptance %.3f", accepted.accepted);
        text_printf(t, ", %.3g s%s</li>\n", d->seconds + d->warmup_seconds, d->interrupted ? " (not finished)" : "");
    }
    if (r->samples.n) text_printf(t, "</ul>\n");
}

static void notices(Text *t, const RunResult *r) {
    static const char *const classes[] = {[NOTICE_REMARK] = "note", [NOTICE_WARNING] = "warning", [NOTICE_FAILED] = "failed"};
    if (r->diagnostics.n) text_printf(t, "<h2>Diagnostics</h2>\n<ul>\n");
    for (int i = 0; i < r->diagnostics.n; i++) {
        const Diagnostic *d = &r->diagnostics.data[i];
        text_printf(t, "<li class=\"%s\">%s [%s]: ", classes[d->notice], classes[d->notice], d->code);
        escape(t, d->text);
        text_printf(t, "</li>\n");
    }
    if (r->diagnostics.n) text_printf(t, "</ul>\n");
}

/* The text of an SVG file from its first tag on. */
static void figure(Text *t, const char *path) {
    FILE *f = fopen(path, "rb");
    char piece[4096];
    Text svg = {0};
    for (size_t n; f && (n = fread(piece, 1, sizeof piece, f)) > 0;) text_putn(&svg, piece, n);
    if (f) fclose(f);
    const char *start = svg.n ? strstr(svg.s, "<svg") : NULL;
    if (start) {
        text_printf(t, "<figure>\n");
        text_putn(t, start, svg.n - (size_t)(start - svg.s));
        text_printf(t, "</figure>\n");
    }
    text_free(&svg);
}

void page_text(const RunResult *r, Text *t) {
    Arena *a = arena_new();
    head(t, r);
    reports(t, r, a);
    samples(t, r, a);
    notices(t, r);
    for (int i = 0; i < r->files.n; i++) {
        size_t n = strlen(r->files.data[i]);
        if (n > 4 && !strcmp(r->files.data[i] + n - 4, ".svg")) figure(t, r->files.data[i]);
    }
    text_printf(t, "</body></html>\n");
    arena_free(a);
}
