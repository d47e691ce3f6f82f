/* plots.c — the figures of `plot`: one SVG file for each group of curves that share
 * their axes, and with --draw the same in the terminal. */
#include "results.h"

#include "../plot/figure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { HISTORY_CHAINS = 4, TERMINAL_COLUMNS = 80, TERMINAL_ROWS = 20, MAX_NAME = 60 };

/* Curves and the arrays behind them, in an arena of the figure's own. */
typedef struct Drawing {
    RunResult *r;
    const PlotLook *look;
    Arena  *arena;
    Figure  figure;
    VEC(Curve) curves;
} Drawing;

static double *array(Drawing *d, int64_t n) { return arena_alloc(d->arena, (size_t)(n > 0 ? n : 1) * sizeof(double)); }

static void add(Drawing *d, Curve c) { vec_push(&d->curves, c); }

/* The data of the sample a curve comes from; NULL when the run ended before its first draw. */
static const SampleData *data_of(const Drawing *d, const RunCurve *c) {
    if (c->sample < 0 || c->sample >= d->r->samples.n) return NULL;
    const SampleData *data = d->r->samples.data[c->sample];
    return c->primary >= 0 && c->primary < data->nprimaries ? data : NULL;
}

/* Elements of the real part: a complex primary stores re, then im. */
static int64_t real_elements(const SampleData *data, int primary) {
    return data->primaries[primary].n / (data->task->primaries[primary].complex ? 2 : 1);
}

/* ==== what is drawn ========================================================================== */

/* What was measured, or what the method watched; n: elements of the real part. */
static const Series *series_of(const Drawing *d, const RunCurve *c, const SampleData **data, int64_t *n) {
    *n = 1;
    if (c->monitor) {
        *data = c->sample < d->r->samples.n ? d->r->samples.data[c->sample] : NULL;
        return *data ? sample_stat(*data, c->monitor) : NULL;
    }
    if (!(*data = data_of(d, c))) return NULL;
    *n = real_elements(*data, c->primary);
    return &(*data)->primaries[c->primary];
}

/* All chains, draws and elements together. */
static void draw_histogram(Drawing *d, const RunCurve *c) {
    const SampleData *data;
    int64_t n;
    const Series *s = series_of(d, c, &data, &n);
    if (!s) return;
    int64_t rows = data->chains * s->draws;
    double *pool = array(d, rows * n);
    for (int64_t i = 0; i < rows; i++) memcpy(pool + i * n, s->data + i * s->n, (size_t)n * sizeof *pool);
    int64_t bins = histogram_bins(pool, rows * n);
    double *edges = array(d, bins + 1), *density = array(d, bins), *error = array(d, bins);
    histogram(pool, rows * n, bins, edges, density, error);
    add(d, (Curve){c->label, CURVE_STEPS, edges, density, error, bins});
    d->figure.xlabel = c->label, d->figure.ylabel = "density";
}

/* The first element, chain by chain. */
static void draw_history(Drawing *d, const RunCurve *c) {
    const SampleData *data;
    int64_t n;
    const Series *s = series_of(d, c, &data, &n);
    if (!s) return;
    double *x = array(d, s->draws);
    for (int64_t i = 0; i < s->draws; i++) x[i] = (double)(i * s->stride);
    for (int64_t chain = 0; chain < data->chains && chain < HISTORY_CHAINS; chain++) {
        double *y = array(d, s->draws);
        for (int64_t i = 0; i < s->draws; i++) y[i] = s->data[(chain * s->draws + i) * s->n];
        const char *label = data->chains == 1 ? c->label : arena_printf(d->arena, "%s, chain %lld", c->label, (long long)chain);
        add(d, (Curve){label, CURVE_LINE, x, y, NULL, s->draws});
    }
    d->figure.xlabel = data->task->minimizes ? "iteration" : "draw", d->figure.ylabel = c->label;
}

/* The last configuration of some chains, against the index. */
static void draw_lines(Drawing *d, const RunCurve *c) {
    const SampleData *data = data_of(d, c);
    if (!data) return;
    const Series *s = &data->primaries[c->primary];
    int64_t n = real_elements(data, c->primary);
    const double *x = c->ngrid == n ? c->grid : NULL;
    for (int64_t chain = 0; chain < data->chains && chain < c->count && s->draws > 0; chain++)
        add(d, (Curve){arena_printf(d->arena, "chain %lld", (long long)chain), CURVE_LINE, x,
                       s->data + (chain * s->draws + s->draws - 1) * s->n, NULL, n});
    d->figure.xlabel = x ? NULL : "index", d->figure.ylabel = c->label;
}

/* The last configuration of the first chain, over its two indices. */
static void draw_map(Drawing *d, const RunCurve *c) {
    const SampleData *data = data_of(d, c);
    if (!data) return;
    const Series *s = &data->primaries[c->primary];
    const Shape *shape = &data->task->primaries[c->primary].shape;
    if (s->draws < 1 || shape->rank != 2) return;
    d->figure.heat = s->data + (s->draws - 1) * s->n;
    d->figure.heat_rows = shape->dim[0], d->figure.heat_cols = shape->dim[1];
    d->figure.title = c->label, d->figure.xlabel = "x[1]", d->figure.ylabel = "x[0]";
}

/* Equal steps: the axis of a map shows the coordinates of a grid. */
static void map_edge(const Axis *a, double *first, double *last) {
    double step = a->coords && a->n > 1 ? (a->coords[a->n - 1] - a->coords[0]) / (double)(a->n - 1) : 0;
    for (int64_t k = 1; k < a->n && step != 0; k++)
        if (fabs(a->coords[k] - a->coords[0] - (double)k * step) > 1e-6 * fabs(step)) step = 0;
    if (step != 0) *first = a->coords[0], *last = a->coords[a->n - 1];
    else if (a->first) *first = (double)a->first, *last = (double)(a->first + a->n - 1);
}

static void draw_report_map(Drawing *d, const ReportResult *r, const Axis *axes, int n) {
    Figure *f = &d->figure;
    f->heat = r->value, f->heat_rows = r->shape[0], f->heat_cols = r->shape[1];
    if (n != 2) return;
    f->xlabel = axes[1].name, f->ylabel = axes[0].name;
    map_edge(&axes[1], &f->heat_x[0], &f->heat_x[1]);
    map_edge(&axes[0], &f->heat_y[0], &f->heat_y[1]);
}

/* Points with errors; a curve where there are none and the points lie on a grid. */
static CurveStyle style_of(const Drawing *d, bool grid, bool exact) {
    switch (d->look->style) {
    case STYLE_POINTS: return CURVE_POINTS;
    case STYLE_LINE: return CURVE_LINE;
    case STYLE_BAND: return CURVE_BAND;
    case STYLE_STEPS: return CURVE_STEPS;
    case STYLE_AUTO: break;
    }
    return grid && exact ? CURVE_LINE : CURVE_POINTS;
}

static void draw_report(Drawing *d, const RunCurve *c) {
    const ReportResult *r = result_of(d->r, c->report), *given = c->error >= 0 ? result_of(d->r, c->error) : NULL;
    const Axis *axes = r->task->axes;
    int n = r->task->naxes;
    d->figure.ylabel = c->label;
    if (r->rank == 2 && d->curves.n == 0) draw_report_map(d, r, axes, n);      /* drawn as a map when it is alone */
    double *x = array(d, r->n);
    bool known = n == 1 && r->rank == 1;
    for (int64_t k = 0; k < r->n; k++) x[k] = known ? axis_label(&axes[0], k) : (double)k;
    if (!d->figure.heat) d->figure.xlabel = known ? axes[0].name : "index";
    const double *error = given ? given->value : r->exact ? NULL : r->error;
    add(d, (Curve){c->label, style_of(d, known && axes[0].coords, !error), x, r->value, error, r->n});
}

static void draw_curve(Drawing *d, const RunCurve *c) {
    switch (c->kind) {
    case PLOT_HISTOGRAM: draw_histogram(d, c); break;
    case PLOT_HISTORY: draw_history(d, c); break;
    case PLOT_LINES: draw_lines(d, c); break;
    case PLOT_MAP: draw_map(d, c); break;
    case PLOT_REPORT: draw_report(d, c); break;
    }
}

/* ==== where it goes ============================================================================ */

/* A label as part of a file name: letters, digits, _ and other alphabets. */
static const char *file_word(Arena *a, const char *label) {
    Text t = {0};
    for (const char *c = label; *c; c++) {
        bool letter = (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_' || (*c & 0x80);
        bool starts = (*c & 0xC0) != 0x80;               /* never cut a letter in two */
        if (t.n >= MAX_NAME && starts) break;
        if (letter) text_putn(&t, c, 1);
        else if (t.n && t.s[t.n - 1] != '-') text_putn(&t, "-", 1);
    }
    while (t.n && t.s[t.n - 1] == '-') t.n--;
    const char *s = t.n ? arena_strndup(a, t.s, t.n) : "plot";
    text_free(&t);
    return s;
}

static const char *stem_of(Arena *a, const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    return dot && dot != name ? arena_strndup(a, name, (size_t)(dot - name)) : name;
}

static bool is_written(const RunResult *r, const char *path) {
    for (int i = 0; i < r->files.n; i++)
        if (!strcmp(r->files.data[i], path)) return true;
    return false;
}

/* phi4.chi2.svg, phi4.histogram-M.svg; numbered when a run has several. */
static const char *file_name(RunResult *r, const char *folder, const RunCurve *c) {
    static const char *const kinds[] = {"histogram-", "history-", "lines-", "map-", ""};
    const char *in = !r->settings->out && !strcmp(folder, ".") ? "" : arena_printf(r->arena, "%s/", folder);
    const char *base = arena_printf(r->arena, "%s%s.%s%s", in, stem_of(r->arena, r->program->path), kinds[c->kind],
                                    file_word(r->arena, c->label ? c->label : ""));
    const char *path = arena_printf(r->arena, "%s.svg", base);
    for (int i = 2; is_written(r, path); i++) path = arena_printf(r->arena, "%s-%d.svg", base, i);
    return path;
}

static bool terminal_is_utf8(void) {
    const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < LQ_COUNT(names); i++) {
        const char *v = getenv(names[i]);
        if (v && *v) return strcasestr(v, "utf-8") || strcasestr(v, "utf8");
    }
    return false;
}

static int terminal_columns(void) {
    struct winsize w;
    const char *env = getenv("COLUMNS");
    int n = env ? atoi(env) : 0;
    if (n <= 0 && ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0) n = w.ws_col;
    return n >= 20 && n <= 1000 ? n : TERMINAL_COLUMNS;
}

static void draw_in_terminal(const Drawing *d) {
    Text t = {0};
    figure_terminal(&d->figure, terminal_columns(), TERMINAL_ROWS, terminal_is_utf8(), d->r->settings->color, &t);
    if (t.n) fwrite(t.s, 1, t.n, stderr);
    fputc('\n', stderr);
    text_free(&t);
}

/* A label and its unit: G [GeV]. */
static const char *with_unit(Drawing *d, const char *label, const char *wished, const char *unit) {
    label = wished ? wished : label;
    if (!unit) return label;
    return label && *label ? arena_printf(d->arena, "%s [%s]", label, unit) : arena_printf(d->arena, "[%s]", unit);
}

/* What the settings of the plot say. */
static void dress(Drawing *d) {
    const PlotLook *look = d->look;
    Figure *f = &d->figure;
    if (look->title) f->title = look->title;
    f->xlabel = with_unit(d, f->xlabel, look->xlabel, look->xunit);
    f->ylabel = with_unit(d, f->ylabel, look->ylabel, look->yunit);
    f->log_x = look->log_x, f->log_y = look->log_y;
}

/* Curves first … first+n-1 of the declaration in one figure. */
static int write_figure(RunResult *r, const char *folder, const PlotLook *look, const RunCurve *curves, int n) {
    Drawing d = {.r = r, .look = look, .arena = arena_new()};
    for (int i = 0; i < n; i++) draw_curve(&d, &curves[i]);
    if (n > 1) d.figure.heat = NULL;                     /* a map stands alone */
    if (n > 1) d.figure.ylabel = curves[0].kind == PLOT_HISTOGRAM ? "density" : NULL;
    if (n > 1 && curves[0].kind == PLOT_HISTOGRAM) d.figure.xlabel = NULL;
    dress(&d);
    d.figure.curves = d.figure.heat ? NULL : d.curves.data;
    d.figure.ncurves = d.figure.heat ? 0 : d.curves.n;
    int status = 0;
    if (d.curves.n || d.figure.heat) {
        char err[512] = "";
        const char *path = file_name(r, folder, &curves[0]);
        if (figure_write_svg(&d.figure, path, err, sizeof err)) status = output_failed(path, err);
        else vec_push(&r->files, path);
        if (r->settings->draw) draw_in_terminal(&d);
    }
    vec_free(&d.curves);
    arena_free(d.arena);
    return status;
}

int plots_write(RunResult *r, const RunTask *t) {
    const char *folder = output_folder(r);
    if (!folder) return 73;
    for (int first = 0, n; first < t->ncurves; first += n) {
        for (n = 1; first + n < t->ncurves && t->curves[first + n].joins;) n++;
        int status = write_figure(r, folder, &t->look, &t->curves[first], n);
        if (status) return status;
    }
    return 0;
}
