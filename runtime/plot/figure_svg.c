/* figure_svg.c — figures as SVG files.  Coordinates are written as integers of
 * hundredths of a pixel: no locale, no NaN, the same bytes for the same data. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plot.h"

enum { WIDTH = 640, HEIGHT = 420, FONT = 12 };

typedef struct Box { double left, top, width, height; } Box;

typedef struct Svg {
    Text *out;
    Box box; /* inside the axes */
    Axis ax, ay;
} Svg;

/* Okabe and Ito's colours, without the yellow, which is too pale for lines. */
static const char *colour(int i)
{
    static const char *const palette[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                          "#E69F00", "#56B4E9", "#000000"};
    return palette[i % LQ_COUNT(palette)];
}

static const char *dashes(int i) /* beyond seven curves, colours come again */
{
    static const char *const patterns[] = {
        "", " stroke-dasharray=\"7 3\"", " stroke-dasharray=\"2 3\"",
        " stroke-dasharray=\"8 3 2 3\""};
    return patterns[i / 7 % LQ_COUNT(patterns)];
}

/* ---- numbers and text ------------------------------------------------------------ */

static void put_px(Text *out, double v)
{
    long n = v > -1e5 && v < 1e5 ? lround(v * 100) : 0;
    long m = labs(n);
    text_printf(out, "%s%ld", n < 0 ? "-" : "", m / 100);
    if (m % 10)
        text_printf(out, ".%02ld", m % 100);
    else if (m % 100)
        text_printf(out, ".%ld", m % 100 / 10);
}

static void put_attr(Text *out, const char *name, double v)
{
    text_printf(out, " %s=\"", name);
    put_px(out, v);
    text_putn(out, "\"", 1);
}

static void put_pair(Text *out, const char *before, double x, double y)
{
    text_printf(out, "%s", before);
    put_px(out, x);
    text_putn(out, " ", 1);
    put_px(out, y);
}

static void put_char(Text *out, uint32_t c)
{
    switch (c) {
    case '<': text_printf(out, "&lt;"); break;
    case '>': text_printf(out, "&gt;"); break;
    case '&': text_printf(out, "&amp;"); break;
    case '"': text_printf(out, "&quot;"); break;
    default: utf8_put(out, c);
    }
}

/* At most `columns` columns of it, the last an ellipsis if there are more. */
static void put_text(Text *out, const char *s, int columns)
{
    int left = text_columns(s) <= columns ? columns : columns - 1;
    while (s && *s) {
        uint32_t c = utf8_next(&s);
        left -= char_columns(c);
        if (left < 0) {
            utf8_put(out, 0x2026);
            return;
        }
        put_char(out, c);
    }
}

static void put_number(Text *out, const char *s)
{
    for (; *s; s++)
        utf8_put(out, *s == '-' ? 0x2212 : (uint32_t)(unsigned char)*s);
}

static void put_power(Text *out, int exponent)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%d", exponent);
    text_printf(out, "10<tspan dy=\"-4\" font-size=\"9\">");
    put_number(out, digits);
    text_printf(out, "</tspan>");
}

/* Without the fonts, widths are estimates: 0.6 em a column. */
static double text_px(int columns, double size)
{
    return 0.6 * size * columns;
}

/* A line of text that is made smaller, then shorter, to fit into `room`. */
static void put_label(Text *out, const char *s, double x, double y, double room,
                      double size, const char *attrs)
{
    if (!s || !*s)
        return;
    double px = text_px(text_columns(s), size);
    if (px > room)
        size = fmax(9, size * room / px);
    text_printf(out, "<text");
    put_attr(out, "x", x);
    put_attr(out, "y", y);
    put_attr(out, "font-size", size);
    text_printf(out, "%s>", attrs);
    put_text(out, s, (int)(room / text_px(1, size)));
    text_printf(out, "</text>\n");
}

/* ---- axes ------------------------------------------------------------------------ */

static double px_x(const Svg *g, double t)
{
    return g->box.left + t * g->box.width;
}

static double px_y(const Svg *g, double t)
{
    return g->box.top + (1 - t) * g->box.height;
}

static void tick_label(Text *out, const Tick *t, double x, double y, const char *anchor)
{
    text_printf(out, "<text");
    put_attr(out, "x", x);
    put_attr(out, "y", y);
    text_printf(out, " text-anchor=\"%s\">", anchor);
    put_number(out, t->text);
    if (t->power) {
        if (*t->text)
            utf8_put(out, 0xD7);
        put_power(out, t->exponent);
    }
    text_printf(out, "</text>\n");
}

/* What the labels leave out: "×10^n + offset" at the end of the axis. */
static void axis_note(Text *out, const Axis *a, double x, double y, const char *anchor)
{
    if (!a->exponent && !*a->offset)
        return;
    text_printf(out, "<text");
    put_attr(out, "x", x);
    put_attr(out, "y", y);
    text_printf(out, " font-size=\"11\" text-anchor=\"%s\">", anchor);
    if (a->exponent) {
        utf8_put(out, 0xD7);
        put_power(out, a->exponent);
    }
    if (*a->offset) { /* dy brings the text back from the exponent */
        text_printf(out, a->exponent ? "<tspan dy=\"4\" dx=\"5\">+ " : "<tspan>+ ");
        put_number(out, a->offset);
        text_printf(out, "</tspan>");
    }
    text_printf(out, "</text>\n");
}

static void put_ticks(Svg *g)
{
    Text *out = g->out;
    Box b = g->box;
    text_printf(out, "<path d=\"");
    for (int i = 0; i < g->ax.nticks; i++) {
        const Tick *t = &g->ax.ticks[i];
        put_pair(out, "M", px_x(g, t->at), b.top + b.height);
        text_printf(out, "v-%d", t->minor ? 3 : 6);
        put_pair(out, "M", px_x(g, t->at), b.top);
        text_printf(out, "v%d", t->minor ? 3 : 6);
    }
    for (int i = 0; i < g->ay.nticks; i++) {
        const Tick *t = &g->ay.ticks[i];
        put_pair(out, "M", b.left, px_y(g, t->at));
        text_printf(out, "h%d", t->minor ? 3 : 6);
        put_pair(out, "M", b.left + b.width, px_y(g, t->at));
        text_printf(out, "h-%d", t->minor ? 3 : 6);
    }
    put_pair(out, "M", b.left, b.top);
    put_pair(out, "H", b.left + b.width, b.top + b.height);
    text_printf(out, "\" fill=\"none\"/>\n");
}

static void put_axes(Svg *g, const Figure *f)
{
    Text *out = g->out;
    Box b = g->box;
    text_printf(out, "<g stroke=\"#222\">\n<rect fill=\"none\"");
    put_attr(out, "x", b.left);
    put_attr(out, "y", b.top);
    put_attr(out, "width", b.width);
    put_attr(out, "height", b.height);
    text_printf(out, "/>\n");
    put_ticks(g);
    text_printf(out, "</g>\n<g fill=\"#222\">\n");
    for (int i = 0; i < g->ax.nticks; i++)
        if (!g->ax.ticks[i].minor)
            tick_label(out, &g->ax.ticks[i], px_x(g, g->ax.ticks[i].at),
                       b.top + b.height + 17, "middle");
    for (int i = 0; i < g->ay.nticks; i++)
        if (!g->ay.ticks[i].minor)
            tick_label(out, &g->ay.ticks[i], b.left - 7, px_y(g, g->ay.ticks[i].at) + 4,
                       "end");
    axis_note(out, &g->ax, b.left + b.width, b.top + b.height + 36, "end");
    axis_note(out, &g->ay, b.left, b.top - 7, "start");
    double right = b.left + b.width / 2, foot = b.top + b.height + 38;
    put_label(out, f->xlabel, right, foot, b.width * (g->ax.exponent ? 0.7 : 1), 13,
              " text-anchor=\"middle\"");
    put_pair(out, "<g transform=\"translate(", b.left - 18 - text_px(axis_widest(&g->ay), FONT),
             b.top + b.height / 2);
    text_printf(out, ") rotate(-90)\">\n");
    put_label(out, f->ylabel, 0, 0, b.height, 13, " text-anchor=\"middle\"");
    text_printf(out, "</g>\n");
    put_label(out, f->title, b.left + b.width / 2, 24, WIDTH - 120, 15,
              " text-anchor=\"middle\" font-weight=\"bold\"");
    text_printf(out, "</g>\n");
}

/* The room around the axes, for the labels that they have. */
static Box room_for(const Figure *f, const Axis *ay, double right)
{
    bool note = ay->exponent || *ay->offset;
    double left = (f->ylabel && *f->ylabel ? 34 : 14) + text_px(axis_widest(ay), FONT);
    double top = f->title && *f->title ? (note ? 52 : 40) : note ? 28 : 18;
    double bottom = f->xlabel && *f->xlabel ? 50 : 42;
    left = fmax(left, 52);
    return (Box){left, top, WIDTH - left - right, HEIGHT - top - bottom};
}

/* ---- curves ---------------------------------------------------------------------- */

/* The next run [i, end) without a gap; false when there is none. */
static bool next_run(const Shape *s, int *i, int *end)
{
    for (*i = *end; *i < s->n && s->points[*i].gap;)
        ++*i;
    for (*end = *i; *end < s->n && !s->points[*end].gap;)
        ++*end;
    return *i < s->n;
}

static void put_line(Svg *g, const Shape *s, int i)
{
    text_printf(g->out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"%s\""
                " stroke-linejoin=\"round\" stroke-linecap=\"round\"%s d=\"",
                colour(i), s->thinned ? "1" : "1.6", dashes(i));
    for (int from, end = 0; next_run(s, &from, &end);) {
        for (int k = from; k < end; k++)
            put_pair(g->out, k == from ? "M" : k == from + 1 ? "L" : " ",
                     px_x(g, s->points[k].x), px_y(g, s->points[k].y));
        if (end == from + 1)
            text_printf(g->out, "h.01"); /* alone: a round dot */
    }
    text_printf(g->out, "\"/>\n");
}

static void put_band(Svg *g, const Shape *s, int i)
{
    text_printf(g->out, "<path fill=\"%s\" fill-opacity=\"0.22\" d=\"", colour(i));
    for (int from, end = 0; next_run(s, &from, &end);) {
        for (int k = from; k < end; k++)
            put_pair(g->out, k == from ? "M" : k == from + 1 ? "L" : " ",
                     px_x(g, s->points[k].x), px_y(g, s->points[k].hi));
        for (int k = end; k-- > from;)
            put_pair(g->out, "L", px_x(g, s->points[k].x), px_y(g, s->points[k].lo));
        text_printf(g->out, "z");
    }
    text_printf(g->out, "\"/>\n");
}

static void put_fill(Svg *g, const Shape *s, int i)
{
    double base = px_y(g, curve_baseline(&g->ay));
    text_printf(g->out, "<path fill=\"%s\" fill-opacity=\"0.18\" d=\"", colour(i));
    for (int from, end = 0; next_run(s, &from, &end);) {
        put_pair(g->out, "M", px_x(g, s->points[from].x), base);
        for (int k = from; k < end; k++)
            put_pair(g->out, "L", px_x(g, s->points[k].x), px_y(g, s->points[k].y));
        put_pair(g->out, "L", px_x(g, s->points[end - 1].x), base);
        text_printf(g->out, "z");
    }
    text_printf(g->out, "\"/>\n");
}

static void put_bar(Svg *g, const Point *p)
{
    double x = px_x(g, p->x), lo = px_y(g, p->lo), hi = px_y(g, p->hi);
    put_pair(g->out, "M", x, lo);
    put_pair(g->out, "L", x, hi);
    if (lo - hi < 1)
        return;
    put_pair(g->out, "M", x - 3, lo);
    put_pair(g->out, "h6M", x - 3, hi);
    text_printf(g->out, "h6");
}

static void put_marker(Text *out, int i, double x, double y)
{
    static const struct { double dx, dy; const char *path; } shapes[] = {
        {-3, 0, "a3 3 0 1 0 6 0a3 3 0 1 0-6 0z"}, /* disc */
        {-2.7, -2.7, "h5.4v5.4h-5.4z"},           /* square */
        {0, -3.7, "l3.6 6.2h-7.2z"},              /* triangle */
        {0, -3.8, "l3.8 3.8l-3.8 3.8l-3.8-3.8z"}, /* diamond */
    };
    int k = i % LQ_COUNT(shapes);
    put_pair(out, "M", x + shapes[k].dx, y + shapes[k].dy);
    text_printf(out, "%s", shapes[k].path);
}

static void put_points(Svg *g, const Shape *s, int i)
{
    text_printf(g->out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.2\"%s d=\"",
                colour(i), s->thinned ? " stroke-opacity=\"0.3\"" : "");
    for (int k = 0; k < s->n; k++)
        if (!s->points[k].gap && s->points[k].hi > s->points[k].lo)
            put_bar(g, &s->points[k]);
    text_printf(g->out, "\"/>\n<path fill=\"%s\" d=\"", colour(i));
    for (int k = 0; k < s->n; k++) {
        double x = px_x(g, s->points[k].x), y = px_y(g, s->points[k].y);
        if (s->points[k].gap)
            continue;
        if (s->n <= 1000) {
            put_marker(g->out, i, x, y);
        } else { /* a cloud */
            put_pair(g->out, "M", x - 1, y - 1);
            text_printf(g->out, "h2v2h-2z");
        }
    }
    text_printf(g->out, "\"/>\n");
}

static void put_bin_bars(Svg *g, const Curve *c, int i)
{
    Point p;
    if (!c->error || !c->y || c->n > 150)
        return;
    text_printf(g->out, "<path fill=\"none\" stroke=\"%s\" d=\"", colour(i));
    for (int64_t k = 0; k < c->n; k++)
        if (curve_bin_bar(c, k, &g->ax, &g->ay, &p))
            put_bar(g, &p);
    text_printf(g->out, "\"/>\n");
}

/* Areas first, then lines, then markers, so that nothing is hidden. */
static void put_curves(Svg *g, const Figure *f, const Shape *shapes)
{
    for (int i = 0; i < f->ncurves; i++) {
        if (f->curves[i].style == CURVE_BAND)
            put_band(g, &shapes[i], i);
        if (f->curves[i].style == CURVE_STEPS)
            put_fill(g, &shapes[i], i);
    }
    for (int i = 0; i < f->ncurves; i++) {
        if (f->curves[i].style != CURVE_POINTS)
            put_line(g, &shapes[i], i);
        if (f->curves[i].style == CURVE_STEPS)
            put_bin_bars(g, &f->curves[i], i);
    }
    for (int i = 0; i < f->ncurves; i++)
        if (f->curves[i].style == CURVE_POINTS)
            put_points(g, &shapes[i], i);
}

/* ---- legend ---------------------------------------------------------------------- */

enum { LEGEND_ROW = 17, LEGEND_MOST = 14 };

static bool inside(Box b, double x, double y)
{
    return x > b.left - 4 && x < b.left + b.width + 4 && y > b.top - 4 &&
           y < b.top + b.height + 4;
}

/* How much of the curves a legend there would hide, in points and samples
 * between them. */
static double hidden(const Svg *g, const Figure *f, const Shape *shapes, Box b)
{
    double n = 0;
    for (int i = 0; i < f->ncurves; i++) {
        const Shape *s = &shapes[i];
        for (int k = 0; k < s->n; k++) {
            Point p = s->points[k], q = k + 1 < s->n ? s->points[k + 1] : p;
            bool joined = f->curves[i].style != CURVE_POINTS && !q.gap;
            int samples = joined ? 1 + (int)(30 * (fabs(q.x - p.x) + fabs(q.y - p.y))) : 1;
            for (int j = 0; j < samples && !p.gap; j++) {
                double t = (double)j / samples, x = px_x(g, p.x + t * (q.x - p.x));
                n += inside(b, x, px_y(g, p.y + t * (q.y - p.y)));
                n += p.hi > p.lo && (inside(b, x, px_y(g, p.lo)) || inside(b, x, px_y(g, p.hi)));
            }
        }
    }
    return n;
}

static Box legend_place(const Svg *g, const Figure *f, const Shape *shapes, double w,
                        double h)
{
    Box in = g->box, best = {0};
    double least = INFINITY;
    static const double across[] = {1, 0, 0.5};
    for (int k = 0; k < 6; k++) {
        Box b = {in.left + 10 + across[k / 2] * (in.width - w - 20),
                 k % 2 ? in.top + in.height - h - 10 : in.top + 10, w, h};
        double n = hidden(g, f, shapes, b);
        if (n < least) {
            least = n;
            best = b;
        }
    }
    return best;
}

static void legend_key(Svg *g, const Curve *c, int i, double x, double y)
{
    bool area = c->style == CURVE_BAND || c->style == CURVE_STEPS;
    Text *out = g->out;
    if (area) {
        put_pair(out, "<path d=\"M", x, y - 5);
        text_printf(out, "h22v10h-22z\" fill=\"%s\" fill-opacity=\"0.22\"/>", colour(i));
    }
    if (c->style == CURVE_POINTS) {
        put_pair(out, "<path d=\"M", x + 11, y - 6);
        text_printf(out, "v12\" stroke=\"%s\" stroke-width=\"%s\"/><path fill=\"%s\" d=\"",
                    colour(i), c->error ? "1.2" : "0", colour(i));
        put_marker(out, i, x + 11, y);
        text_printf(out, "\"/>\n");
    } else {
        put_pair(out, "<path d=\"M", x, y);
        text_printf(out, "h22\" stroke=\"%s\" stroke-width=\"1.8\"%s/>\n", colour(i),
                    dashes(i));
    }
}

static void put_legend(Svg *g, const Figure *f, const Shape *shapes)
{
    int entries = 0, widest = 0;
    char buf[32];
    for (int i = 0; i < f->ncurves; i++) {
        const char *label = curve_label(f, i, buf);
        entries += label != NULL;
        widest = text_columns(label) > widest ? text_columns(label) : widest;
    }
    if (!entries)
        return;
    int rows = entries > LEGEND_MOST ? LEGEND_MOST : entries;
    double room = fmin(text_px(widest, FONT), 0.6 * g->box.width);
    Box b = legend_place(g, f, shapes, room + 42, rows * LEGEND_ROW + 8);
    text_printf(g->out, "<rect fill=\"#fff\" fill-opacity=\"0.8\" stroke=\"#ccc\""
                " stroke-width=\"0.8\" rx=\"2\"");
    put_attr(g->out, "x", b.left);
    put_attr(g->out, "y", b.top);
    put_attr(g->out, "width", b.width);
    put_attr(g->out, "height", b.height);
    text_printf(g->out, "/>\n");
    double y = b.top + 4 + LEGEND_ROW / 2.0;
    for (int i = 0, row = 0; i < f->ncurves && row < rows; i++) {
        const char *label = curve_label(f, i, buf);
        if (!label)
            continue;
        if (row == rows - 1 && entries > rows) {
            snprintf(buf, sizeof buf, "and %d more", entries - row);
            label = buf;
        } else {
            legend_key(g, &f->curves[i], i, b.left + 7, y);
        }
        put_label(g->out, label, b.left + 35, y + 4, room + 4, FONT, " fill=\"#222\"");
        y += LEGEND_ROW;
        row++;
    }
}

static void svg_curves(Svg *g, const Figure *f)
{
    Range rx, ry;
    AxisWish wx, wy;
    figure_ranges(f, &rx, &ry, &wx, &wy);
    axis_make(&g->ay, ry, wy);
    g->box = room_for(f, &g->ay, 22);
    axis_fit(&g->ax, rx, wx, (int)(g->box.width / text_px(1, FONT)));
    bool any = f->curves && f->ncurves > 0 && rx.any && ry.any;
    Shape *shapes = any ? lq_alloc((size_t)f->ncurves * sizeof *shapes) : NULL;
    for (int i = 0; any && i < f->ncurves; i++)
        shapes[i] = curve_shape(&f->curves[i], &g->ax, &g->ay, (int)g->box.width);
    if (any)
        put_curves(g, f, shapes);
    put_axes(g, f);
    if (any)
        put_legend(g, f, shapes);
    else
        put_label(g->out, "no data", g->box.left + g->box.width / 2,
                  g->box.top + g->box.height / 2, 200, 14,
                  " text-anchor=\"middle\" fill=\"#888\"");
    for (int i = 0; any && i < f->ncurves; i++)
        free(shapes[i].points);
    free(shapes);
}

/* ---- heat maps ------------------------------------------------------------------- */

enum { HEAT_CELLS = 256, HEAT_LEVELS = 256 };

/* One path per colour; units are cells.  level[k] < 0 where there is no value. */
static void put_cells(Text *out, const short *level, int rows, int cols)
{
    int n = rows * cols, count[HEAT_LEVELS + 1] = {0};
    int *order = lq_alloc((size_t)n * sizeof *order);
    for (int k = 0; k < n; k++)
        count[level[k] + 1]++;
    for (int k = 0, sum = 0; k <= HEAT_LEVELS; k++) {
        int here = count[k];
        count[k] = sum;
        sum += here;
    }
    for (int k = 0; k < n; k++)
        order[count[level[k] + 1]++] = k;
    /* now count[k] is the end of level k - 1, and its start the end before it */
    for (int l = 0; l < HEAT_LEVELS; l++) {
        if (count[l] == count[l + 1])
            continue;
        Rgb c = heat_colour((double)l / (HEAT_LEVELS - 1));
        text_printf(out, "<path fill=\"#%02x%02x%02x\" d=\"", c.r, c.g, c.b);
        for (int k = count[l]; k < count[l + 1];) {
            int first = order[k], run = 1; /* neighbours become one rectangle */
            while (k + run < count[l + 1] && order[k + run] == first + run &&
                   (first + run) % cols)
                run++;
            text_printf(out, "M%d %dh%dv1h-%dz", first % cols, first / cols, run, run);
            k += run;
        }
        text_printf(out, "\"/>\n");
    }
    free(order);
}

/* Large maps are averaged over blocks of cells, a few per pixel. */
static void put_heat(Svg *g, const Figure *f, const Axis *colours)
{
    int64_t fr = (f->heat_rows + HEAT_CELLS - 1) / HEAT_CELLS;
    int64_t fc = (f->heat_cols + HEAT_CELLS - 1) / HEAT_CELLS;
    int rows = (int)((f->heat_rows + fr - 1) / fr), cols = (int)((f->heat_cols + fc - 1) / fc);
    short *level = lq_alloc((size_t)rows * (size_t)cols * sizeof *level);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            int64_t r1 = (r + 1) * fr, c1 = (c + 1) * fc;
            double v = heat_mean(f, r * fr, r1 < f->heat_rows ? r1 : f->heat_rows,
                                 c * fc, c1 < f->heat_cols ? c1 : f->heat_cols);
            level[r * cols + c] = isnan(v) ? -1 : (short)lround(axis_at(colours, v) *
                                                                (HEAT_LEVELS - 1));
        }
    text_printf(g->out, "<rect fill=\"#bbb\"");
    put_attr(g->out, "x", g->box.left);
    put_attr(g->out, "y", g->box.top);
    put_attr(g->out, "width", g->box.width);
    put_attr(g->out, "height", g->box.height);
    long w = lround(1e5 * g->box.width / cols), h = lround(1e5 * g->box.height / rows);
    put_pair(g->out, "/>\n<g shape-rendering=\"crispEdges\" transform=\"translate(",
             g->box.left, g->box.top + g->box.height);
    text_printf(g->out, ") scale(%ld.%05ld -%ld.%05ld)\">\n", w / 100000, w % 100000,
                h / 100000, h % 100000);
    put_cells(g->out, level, rows, cols);
    text_printf(g->out, "</g>\n");
    free(level);
}

static void put_colour_bar(Svg *g, const Axis *colours)
{
    enum { STRIPS = 64 };
    Text *out = g->out;
    double x = g->box.left + g->box.width + 18, h = g->box.height / STRIPS;
    text_printf(out, "<g shape-rendering=\"crispEdges\">\n");
    for (int i = 0; i < STRIPS; i++) {
        Rgb c = heat_colour((i + 0.5) / STRIPS);
        text_printf(out, "<rect fill=\"#%02x%02x%02x\" width=\"16\"", c.r, c.g, c.b);
        put_attr(out, "x", x);
        put_attr(out, "y", g->box.top + g->box.height - (i + 1) * h);
        put_attr(out, "height", h + (i ? 0.3 : 0)); /* no seams */
        text_printf(out, "/>\n");
    }
    text_printf(out, "</g>\n<g fill=\"#222\">\n<rect fill=\"none\" stroke=\"#222\" width=\"16\"");
    put_attr(out, "x", x);
    put_attr(out, "y", g->box.top);
    put_attr(out, "height", g->box.height);
    text_printf(out, "/>\n");
    for (int i = 0; i < colours->nticks; i++) {
        const Tick *t = &colours->ticks[i];
        if (t->minor)
            continue;
        put_pair(out, "<path stroke=\"#222\" d=\"M", x + 16, px_y(g, t->at));
        text_printf(out, "h4\"/>");
        tick_label(out, t, x + 24, px_y(g, t->at) + 4, "start");
    }
    axis_note(out, colours, x, g->box.top - 7, "start");
    text_printf(out, "</g>\n");
}

static void svg_heat(Svg *g, const Figure *f)
{
    Axis colours;
    axis_make(&colours, heat_range(f), (AxisWish){.ticks = 6});
    AxisWish wish_x = {.integers = heat_counts(f->heat_x, f->heat_cols), .ticks = 8};
    AxisWish wish_y = {.integers = heat_counts(f->heat_y, f->heat_rows), .ticks = 8};
    Range rx = heat_span(f->heat_x, f->heat_cols);
    Range ry = heat_span(f->heat_y, f->heat_rows);
    axis_make(&g->ay, ry, wish_y);
    bool note = colours.exponent || *colours.offset;
    Box b = room_for(f, &g->ay, 56 + text_px(axis_widest(&colours), FONT) + (note ? 20 : 0));
    if (note && b.top < 52) {
        b.height -= 12;
        b.top += 12;
    }
    /* square cells, unless the map would be a ribbon */
    double aspect = (double)f->heat_cols / (double)f->heat_rows;
    if (aspect >= 0.3 && aspect <= 4) {
        double w = fmin(b.width, b.height * aspect), h = w / aspect;
        b = (Box){b.left + (b.width - w) / 2, b.top + (b.height - h) / 2, w, h};
    }
    g->box = b;
    axis_fit(&g->ax, rx, wish_x, (int)(b.width / text_px(1, FONT)));
    put_heat(g, f, &colours);
    put_axes(g, f);
    put_colour_bar(g, &colours);
}

/* ---- the file -------------------------------------------------------------------- */

void figure_svg(const Figure *f, Text *out)
{
    Svg g = {.out = out};
    text_printf(out,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\""
                " viewBox=\"0 0 %d %d\" font-size=\"%d\""
                " font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\">\n",
                WIDTH, HEIGHT, WIDTH, HEIGHT, FONT);
    if (f->title && *f->title) {
        text_printf(out, "<title>");
        put_text(out, f->title, 1000);
        text_printf(out, "</title>\n");
    }
    text_printf(out, "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n");
    if (figure_has_heat(f))
        svg_heat(&g, f);
    else
        svg_curves(&g, f);
    text_printf(out, "</svg>\n");
}

static int write_all(int fd, const char *s, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, s, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -1;
        s += k;
        n -= (size_t)k;
    }
    return fsync(fd) == 0 || errno == EINVAL ? 0 : -1; /* EINVAL: no such thing here */
}

/* A new file beside `path`, with the permissions the user wants for new files
 * (which mkstemp would not give). */
static int open_beside(const char *path, Text *temporary)
{
    for (int i = 0; i < 100; i++) {
        temporary->n = 0;
        text_printf(temporary, "%s.%ld-%d.tmp", path, (long)getpid(), i);
        int fd = open(temporary->s, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

static int write_whole(const char *path, const Text *svg, const char **step)
{
    Text temporary = {0};
    *step = "cannot create a file beside";
    int fd = open_beside(path, &temporary), rc = fd < 0 ? -1 : 0;
    if (rc == 0) {
        *step = "cannot write";
        rc = write_all(fd, svg->s, svg->n);
        int error = errno;
        if (close(fd) != 0 && rc == 0)
            rc = -1;
        else
            errno = error;
        if (rc == 0) {
            *step = "cannot replace";
            rc = rename(temporary.s, path);
        }
        error = errno;
        if (rc != 0 && unlink(temporary.s) != 0)
            *step = "cannot write, and cannot remove the temporary file beside";
        errno = error;
    }
    int error = errno;
    text_free(&temporary);
    errno = error;
    return rc;
}

int figure_write_svg(const Figure *f, const char *path, char *err, size_t errlen)
{
    Text svg = {0};
    const char *step;
    figure_svg(f, &svg);
    int rc = write_whole(path, &svg, &step);
    if (rc != 0 && err && errlen)
        snprintf(err, errlen, "%s '%s': %s", step, path, strerror(errno));
    text_free(&svg);
    return rc;
}
