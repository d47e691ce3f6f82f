/* figure_term.c — figures as characters: braille dots (2 x 4 to a cell) or ASCII.
 * Everything is put into a grid of cells first, so that nothing can be wider or
 * higher than what was asked for. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot.h"

enum { PLAIN = 0, DIM = 244, TAIL = 0xFFFFFFFF /* the right half of a wide character */ };

typedef struct Cell {
    uint32_t c, mark; /* a character, and one that combines with it */
    unsigned char dots, ink, back; /* colours of the 256-colour palette; 0: none */
} Cell;

typedef struct Grid {
    int w, h;
    bool unicode, color;
    Cell *cells;
    int left, top, pw, ph; /* inside the axes */
} Grid;

static const char symbols[] = "*+ox#@%&";

static char symbol(int i)
{
    return symbols[i % (LQ_COUNT(symbols) - 1)];
}

static unsigned char ink(int i) /* near the colours of the SVG, on any background */
{
    static const unsigned char inks[] = {32, 166, 36, 175, 178, 74, 248};
    return inks[i % LQ_COUNT(inks)];
}

/* ---- cells ----------------------------------------------------------------------- */

static Cell *cell(Grid *g, int x, int y)
{
    return x >= 0 && y >= 0 && x < g->w && y < g->h ? &g->cells[y * g->w + x] : NULL;
}

static void put(Grid *g, int x, int y, uint32_t c, unsigned char colour)
{
    Cell *k = cell(g, x, y);
    if (k)
        *k = (Cell){.c = c, .ink = colour, .back = k->back};
}

/* The text in at most `room` columns, and the columns it took. */
static int put_text(Grid *g, int x, int y, const char *s, int room, unsigned char colour)
{
    int at = 0, wide = text_columns(s);
    while (s && *s) {
        uint32_t c = utf8_next(&s);
        int n = char_columns(c);
        if (at + n > room - (wide > room)) {
            if (at < room && n)
                put(g, x + at++, y, g->unicode ? 0x2026 : '~', colour);
            return at;
        }
        Cell *before = cell(g, x + at - 1, y);
        if (n == 0) {
            if (g->unicode && at && before && before->c != TAIL)
                before->mark = c;
            continue;
        }
        put(g, x + at, y, g->unicode || c < 0x80 ? c : '?', colour);
        if (n == 2)
            put(g, x + at + 1, y, g->unicode ? TAIL : ' ', colour);
        at += n;
    }
    return at;
}

static void put_centred(Grid *g, int x, int y, int room, const char *s)
{
    int n = text_columns(s);
    put_text(g, x + (n < room ? (room - n) / 2 : 0), y, s, room, PLAIN);
}

static void put_colour(Text *out, const Cell *k)
{
    text_printf(out, "\033[0");
    if (k->ink)
        text_printf(out, ";38;5;%d", k->ink);
    if (k->back)
        text_printf(out, ";48;5;%d", k->back);
    text_printf(out, "m");
}

static bool blank(const Cell *k, bool color)
{
    return (!k->c || k->c == ' ') && !k->dots && !k->mark && !(color && k->back);
}

static void write_row(const Grid *g, const Cell *row, Text *out)
{
    int n = g->w;
    unsigned char now_ink = 0, now_back = 0;
    while (n > 0 && blank(&row[n - 1], g->color))
        n--;
    for (const Cell *k = row; k < row + n; k++) {
        if (k->c == TAIL)
            continue;
        if (g->color && (k->back != now_back || (k->ink != now_ink && !blank(k, true)))) {
            put_colour(out, k);
            now_ink = k->ink;
            now_back = k->back;
        }
        utf8_put(out, k->c ? k->c : k->dots ? 0x2800u + k->dots : ' ');
        if (k->mark)
            utf8_put(out, k->mark);
    }
    if (now_ink || now_back)
        text_printf(out, "\033[0m");
    text_putn(out, "\n", 1);
}

/* ---- axes ------------------------------------------------------------------------ */

static void put_exponent(Text *t, int exponent, bool unicode)
{
    static const uint32_t raised[] = {0x2070, 0xB9,   0xB2,   0xB3,   0x2074,
                                      0x2075, 0x2076, 0x2077, 0x2078, 0x2079};
    char digits[16];
    snprintf(digits, sizeof digits, "%d", exponent);
    for (const char *s = digits; *s; s++)
        utf8_put(t, !unicode ? (uint32_t)*s : *s == '-' ? 0x207B : raised[*s - '0']);
}

static void tick_text(const Tick *t, bool unicode, Text *out)
{
    out->n = 0;
    if (!t->power) {
        text_printf(out, "%s", t->text);
    } else if (unicode) {
        text_printf(out, "%s%s10", t->text, *t->text ? "×" : "");
        put_exponent(out, t->exponent, true);
    } else {
        text_printf(out, "%se%d", *t->text ? t->text : "1", t->exponent);
    }
}

/* " ×10^n + offset", or nothing. */
static void note_text(const Axis *a, bool unicode, Text *out)
{
    out->n = 0;
    text_printf(out, "%s", "");
    if (a->exponent) {
        text_printf(out, unicode ? "×10" : "x1e");
        put_exponent(out, a->exponent, unicode);
    }
    if (*a->offset)
        text_printf(out, "%s+ %s", a->exponent ? " " : "", a->offset);
}

static int column_of(const Grid *g, double t)
{
    return g->left + (int)fmin(t * g->pw, g->pw - 1);
}

static int row_of(const Grid *g, double t)
{
    return g->top + g->ph - 1 - (int)fmin(t * g->ph, g->ph - 1);
}

static void put_y_axis(Grid *g, const Axis *a)
{
    Text t = {0};
    int below = g->h; /* the last row with a label */
    for (int y = 0; y < g->ph; y++)
        put(g, g->left - 1, g->top + y, g->unicode ? 0x2502 : '|', DIM);
    for (int i = 0; i < a->nticks; i++) {
        int y = row_of(g, a->ticks[i].at);
        if (a->ticks[i].minor || y >= below)
            continue;
        tick_text(&a->ticks[i], g->unicode, &t);
        int room = g->left - 2, n = text_columns(t.s);
        put_text(g, room > n ? room - n : 0, y, t.s, room, PLAIN);
        put(g, g->left - 1, y, g->unicode ? 0x2524 : '+', DIM);
        below = y;
    }
    text_free(&t);
}

static void put_x_axis(Grid *g, const Axis *a)
{
    Text t = {0};
    int y = g->top + g->ph, before = -1;
    put(g, g->left - 1, y, g->unicode ? 0x2514 : '+', DIM);
    for (int x = 0; x < g->pw; x++)
        put(g, g->left + x, y, g->unicode ? 0x2500 : '-', DIM);
    for (int i = 0; i < a->nticks; i++) {
        if (a->ticks[i].minor)
            continue;
        int x = column_of(g, a->ticks[i].at);
        put(g, x, y, g->unicode ? 0x252C : '+', DIM);
        tick_text(&a->ticks[i], g->unicode, &t);
        int n = text_columns(t.s), start = x - n / 2;
        start = start + n > g->w ? g->w - n : start < 0 ? 0 : start;
        if (start <= before)
            continue;
        put_text(g, start, y + 1, t.s, g->w - start, PLAIN);
        before = start + n;
    }
    text_free(&t);
}

/* ---- the rows around the axes ------------------------------------------------------ */

typedef struct Rows { bool title, ylabel, xlabel; int legend; } Rows;

static void choose_rows(Grid *g, Rows *r)
{
    enum { LEAST = 4 };
    int left = g->h - 2 - LEAST; /* the axis and its labels */
    bool *const order[] = {&r->ylabel, &r->xlabel, &r->title};
    for (int i = 0; i < 3; i++) {
        *order[i] = *order[i] && left > 0;
        left -= *order[i];
    }
    r->legend = r->legend > left / 2 ? (left + 1) / 2 : r->legend;
    r->legend = r->legend > 0 ? r->legend : 0;
    g->top = r->title + r->ylabel;
    g->ph = g->h - 2 - r->title - r->ylabel - r->xlabel - r->legend;
    if (g->ph < 1)
        g->ph = g->h - g->top;
}

static void choose_columns(Grid *g, const Axis *ay)
{
    int labels = axis_widest(ay);
    g->left = labels + 2 <= g->w / 2 ? labels + 2 : 1;
    g->pw = g->w - g->left - 1;
    if (g->pw < 1) {
        g->left = 0;
        g->pw = g->w;
    }
}

static bool some(const char *s)
{
    return s && *s;
}

static void put_labels(Grid *g, const Figure *f, Rows r, const Axis *ax, const Axis *ay)
{
    Text note = {0};
    if (r.title)
        put_centred(g, g->left, 0, g->pw, f->title);
    if (r.ylabel) {
        int n = put_text(g, 0, r.title, f->ylabel, g->w * 2 / 3, PLAIN);
        note_text(ay, g->unicode, &note);
        put_text(g, n ? n + 2 : 0, r.title, note.s, g->w - n - 2, DIM);
    }
    if (r.xlabel) {
        int y = g->top + g->ph + 2;
        note_text(ax, g->unicode, &note);
        int n = text_columns(note.s), room = g->pw - (n ? n + 2 : 0);
        put_centred(g, g->left, y, room, f->xlabel);
        put_text(g, g->left + g->pw - n, y, note.s, n, DIM);
    }
    text_free(&note);
}

/* ---- curves ---------------------------------------------------------------------- */

typedef struct Pen { Grid *g; int curve; int dw, dh; /* dots a cell */ } Pen;

static void dot(Pen p, int x, int y)
{
    static const unsigned char bits[4][2] = {{1, 8}, {2, 16}, {4, 32}, {64, 128}};
    Cell *k = cell(p.g, p.g->left + x / p.dw, p.g->top + y / p.dh);
    if (!k || x < 0 || y < 0)
        return;
    k->ink = ink(p.curve);
    if (p.g->unicode) {
        k->c = 0;
        k->dots |= bits[y % 4][x % 2];
    } else {
        k->c = (uint32_t)symbol(p.curve);
    }
}

static int dot_x(Pen p, double t)
{
    int n = p.g->pw * p.dw;
    return (int)fmin(t * n, n - 1);
}

static int dot_y(Pen p, double t)
{
    int n = p.g->ph * p.dh;
    return n - 1 - (int)fmin(t * n, n - 1);
}

static void segment(Pen p, double xa, double ya, double xb, double yb)
{
    int x0 = dot_x(p, xa), y0 = dot_y(p, ya), dx = dot_x(p, xb) - x0, dy = dot_y(p, yb) - y0;
    int n = abs(dx) > abs(dy) ? abs(dx) : abs(dy);
    for (int i = 0; i <= n; i++) {
        double t = n ? (double)i / n : 0;
        dot(p, x0 + (int)lround(t * dx), y0 + (int)lround(t * dy));
    }
}

static void bar(Pen p, const Point *q)
{
    int x = dot_x(p, q->x), lo = dot_y(p, q->lo), hi = dot_y(p, q->hi);
    for (int y = hi; y <= lo; y++) {
        Cell *k = cell(p.g, p.g->left + x / p.dw, p.g->top + y / p.dh);
        if (p.g->unicode)
            dot(p, x, y);
        else if (k && !k->c)
            *k = (Cell){.c = '|', .ink = ink(p.curve)};
    }
}

/* Without colours, lines are told apart by a symbol here and there. */
static void put_symbols(Pen p, const Shape *s, int ncurves)
{
    int stride = p.g->pw / 6 > 4 ? p.g->pw / 6 : 4;
    int next = p.curve * stride / (ncurves > 0 ? ncurves : 1);
    for (int i = 0; i < s->n; i++) {
        int x = dot_x(p, s->points[i].x) / p.dw;
        if (s->points[i].gap || x < next)
            continue;
        put(p.g, p.g->left + x, row_of(p.g, s->points[i].y), (uint32_t)symbol(p.curve),
            ink(p.curve));
        next = (x / stride + 1) * stride + p.curve * stride / ncurves;
    }
}

static void put_line(Pen p, const Shape *s, bool band)
{
    for (int i = 0; i < s->n; i++) {
        const Point *a = &s->points[i], *b = i + 1 < s->n && !a[1].gap ? a + 1 : a;
        if (a->gap)
            continue;
        if (band && p.g->unicode && a->hi > a->lo) {
            segment(p, a->x, a->lo, b->x, b->lo);
            segment(p, a->x, a->hi, b->x, b->hi);
        } else if (band && a->hi > a->lo) {
            bar(p, a);
        }
        segment(p, a->x, a->y, b->x, b->y);
    }
}

static void put_points(Pen p, const Shape *s)
{
    bool cloud = s->n > 2 * p.g->pw;
    for (int i = 0; i < s->n; i++)
        if (!s->points[i].gap && !cloud && s->points[i].hi > s->points[i].lo)
            bar(p, &s->points[i]);
    for (int i = 0; i < s->n; i++) {
        const Point *q = &s->points[i];
        if (!q->gap && cloud)
            dot(p, dot_x(p, q->x), dot_y(p, q->y));
        else if (!q->gap)
            put(p.g, column_of(p.g, q->x), row_of(p.g, q->y), (uint32_t)symbol(p.curve),
                ink(p.curve));
    }
}

static void put_curve(Grid *g, const Figure *f, int i, const Axis *ax, const Axis *ay)
{
    const Curve *c = &f->curves[i];
    Pen p = {g, i, g->unicode ? 2 : 1, g->unicode ? 4 : 1};
    Shape s = curve_shape(c, ax, ay, g->pw * p.dw);
    if (c->style == CURVE_POINTS) {
        put_points(p, &s);
    } else {
        put_line(p, &s, c->style == CURVE_BAND);
        if (g->unicode && !g->color && f->ncurves > 1)
            put_symbols(p, &s, f->ncurves);
    }
    free(s.points);
}

/* Puts the legend into rows from y on, or only counts the rows it needs. */
static int put_legend(Grid *g, const Figure *f, int y, int rows)
{
    int x = 0, row = 0;
    char buf[32];
    for (int i = 0; f->curves && i < f->ncurves; i++) {
        const char *label = curve_label(f, i, buf);
        if (!label)
            continue;
        bool marks = !g->unicode || f->curves[i].style == CURVE_POINTS ||
                     (!g->color && f->ncurves > 1);
        int n = text_columns(label);
        n = n > g->w - 3 ? g->w - 3 : n;
        if (x && x + 3 + n > g->w) {
            x = 0;
            row++;
        }
        if (row < rows) {
            for (int k = 0; k < 2; k++)
                put(g, x + k, y + row, g->unicode ? 0x2812 : '-', ink(i));
            if (marks)
                put(g, x, y + row, (uint32_t)symbol(i), ink(i));
            if (marks)
                put(g, x + 1, y + row, ' ', PLAIN);
            put_text(g, x + 3, y + row, label, n, PLAIN);
        }
        x += n + 6;
    }
    return x ? row + 1 : row;
}

static void term_curves(Grid *g, const Figure *f)
{
    Range rx, ry;
    AxisWish wx, wy;
    Axis ax, ay;
    figure_ranges(f, &rx, &ry, &wx, &wy);
    axis_make(&ay, ry, wy);
    axis_make(&ax, rx, wx);
    Rows r = {some(f->title), some(f->ylabel) || ay.exponent || *ay.offset,
              some(f->xlabel) || ax.exponent || *ax.offset, put_legend(g, f, 0, 0)};
    choose_rows(g, &r);
    wy.ticks = g->ph / 3 < 6 ? g->ph / 3 + 1 : 6;
    axis_make(&ay, ry, wy);
    choose_columns(g, &ay);
    axis_fit(&ax, rx, wx, g->pw);
    bool any = rx.any && ry.any;
    for (int i = 0; any && i < f->ncurves; i++)
        if (f->curves[i].style != CURVE_POINTS)
            put_curve(g, f, i, &ax, &ay);
    for (int i = 0; any && i < f->ncurves; i++) /* on top of the lines */
        if (f->curves[i].style == CURVE_POINTS)
            put_curve(g, f, i, &ax, &ay);
    if (!any)
        put_centred(g, g->left, g->top + g->ph / 2, g->pw, "no data");
    put_y_axis(g, &ay);
    put_x_axis(g, &ax);
    put_labels(g, f, r, &ax, &ay);
    put_legend(g, f, g->h - r.legend, r.legend);
}

/* ---- heat maps ------------------------------------------------------------------- */

/* The colour cube of terminals has levels 0, 95, 135, 175, 215, 255. */
static unsigned char cube(Rgb c)
{
    int v[] = {c.r, c.g, c.b}, n = 0;
    for (int i = 0; i < 3; i++)
        n = 6 * n + (v[i] < 48 ? 0 : v[i] < 115 ? 1 : (v[i] - 35) / 40);
    return (unsigned char)(16 + n);
}

/* The value of pixel (x, y) of w x h, y downwards. */
static double pixel(const Figure *f, int x, int y, int w, int h)
{
    int64_t r0 = (int64_t)(h - 1 - y) * f->heat_rows / h;
    int64_t r1 = (int64_t)(h - y) * f->heat_rows / h;
    int64_t c0 = (int64_t)x * f->heat_cols / w, c1 = (int64_t)(x + 1) * f->heat_cols / w;
    return heat_mean(f, r0, r1 > r0 ? r1 : r0 + 1, c0, c1 > c0 ? c1 : c0 + 1);
}

static void put_shade(Grid *g, int x, int y, double t)
{
    static const uint32_t blocks[] = {0x2591, 0x2592, 0x2593, 0x2588};
    static const char ascii[] = ".:-=+*#%@";
    if (!cell(g, x, y))
        return;
    if (g->color)
        *cell(g, x, y) = (Cell){.c = ' ', .back = cube(heat_colour(t))};
    else if (g->unicode)
        put(g, x, y, blocks[(int)fmin(t * 4, 3)], PLAIN);
    else
        put(g, x, y, (uint32_t)ascii[(int)fmin(t * 9, 8)], PLAIN);
}

static void put_heat(Grid *g, const Figure *f, const Axis *colours)
{
    bool halves = g->unicode && g->color; /* two pixels to a cell */
    for (int y = 0; y < g->ph; y++)
        for (int x = 0; x < g->pw; x++) {
            int h = halves ? 2 * g->ph : g->ph, at = halves ? 2 * y : y;
            double upper = pixel(f, x, at, g->pw, h);
            double lower = halves ? pixel(f, x, at + 1, g->pw, h) : upper;
            Cell *k = cell(g, g->left + x, g->top + y);
            if (isnan(upper) || isnan(lower) || !k) {
                put(g, g->left + x, g->top + y, '?', DIM);
            } else if (halves) {
                k->c = 0x2580;
                k->ink = cube(heat_colour(axis_at(colours, upper)));
                k->back = cube(heat_colour(axis_at(colours, lower)));
            } else {
                put_shade(g, g->left + x, g->top + y, axis_at(colours, upper));
            }
        }
}

static void put_scale(Grid *g, Range r, int y)
{
    enum { SHADES = 12 };
    char lo[32], hi[32];
    snprintf(lo, sizeof lo, "%.4g", r.lo);
    snprintf(hi, sizeof hi, "%.4g", r.hi);
    int x = g->left + put_text(g, g->left, y, lo, g->pw, PLAIN) + 1;
    for (int i = 0; i < SHADES && x + i < g->w; i++)
        put_shade(g, x + i, y, (i + 0.5) / SHADES);
    put_text(g, x + SHADES + 1, y, hi, g->w - x - SHADES - 1, PLAIN);
}

static void term_heat(Grid *g, const Figure *f)
{
    Range r = heat_range(f), rx = heat_span(f->heat_x, f->heat_cols);
    Range ry = heat_span(f->heat_y, f->heat_rows);
    Axis ax, ay, colours;
    AxisWish wish_x = {.integers = heat_counts(f->heat_x, f->heat_cols), .ticks = 8};
    AxisWish wish_y = {.integers = heat_counts(f->heat_y, f->heat_rows), .ticks = 6};
    Rows rows = {some(f->title), some(f->ylabel), some(f->xlabel), r.any};
    axis_make(&colours, r, (AxisWish){.ticks = 6});
    choose_rows(g, &rows);
    axis_make(&ay, ry, wish_y);
    choose_columns(g, &ay);
    /* square sites where they fit: a cell is twice as high as wide */
    double aspect = (double)f->heat_cols / (double)f->heat_rows;
    int pw = (int)lround(2 * g->ph * aspect), ph = (int)lround(g->pw / (2 * aspect));
    if (pw < g->pw && pw >= 8) {
        g->pw = pw;
    } else if (ph < g->ph && ph >= 3) {
        g->h -= g->ph - ph;
        g->ph = ph;
    }
    wish_y.ticks = g->ph / 2 < 6 ? g->ph / 2 + 1 : 6;
    axis_make(&ay, ry, wish_y);
    axis_fit(&ax, rx, wish_x, g->pw);
    put_heat(g, f, &colours);
    put_y_axis(g, &ay);
    put_x_axis(g, &ax);
    put_labels(g, f, rows, &ax, &ay);
    if (rows.legend)
        put_scale(g, r, g->h - 1);
}

void figure_terminal(const Figure *f, int columns, int rows, bool unicode, bool color,
                     Text *out)
{
    enum { MOST = 1000 };
    Grid g = {.w = columns <= 0 ? 80 : columns < MOST ? columns : MOST,
              .h = rows <= 0 ? 24 : rows < MOST ? rows : MOST,
              .unicode = unicode, .color = color};
    size_t size = (size_t)g.w * (size_t)g.h * sizeof *g.cells;
    g.cells = lq_alloc(size);
    memset(g.cells, 0, size);
    if (figure_has_heat(f))
        term_heat(&g, f);
    else
        term_curves(&g, f);
    for (int y = 0; y < g.h; y++)
        write_row(&g, &g.cells[y * g.w], out);
    free(g.cells);
}
