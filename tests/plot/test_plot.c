/* test_plot.c — figures of ordinary and of hostile data: well-formed, finite,
 * inside their borders, and quick. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../runtime/plot/figure.h"
#include "../../runtime/plot/plot.h"

static int failures;

#define CHECK(condition, ...)                                     \
    do {                                                          \
        if (!(condition)) {                                       \
            failures++;                                           \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                         \
            fputc('\n', stderr);                                  \
        }                                                         \
    } while (0)

/* ---- a checker of XML, as much of it as figures use ------------------------------- */

typedef struct Names { char name[64][16]; int n; } Names;

static const char *entity(const char *s)
{
    static const char *const known[] = {"&lt;", "&gt;", "&amp;", "&quot;"};
    for (int i = 0; i < LQ_COUNT(known); i++)
        if (!strncmp(s, known[i], strlen(known[i])))
            return s + strlen(known[i]);
    return NULL;
}

/* Path data and coordinates are what may hold numbers. */
static bool number_free_of_words(const char *from, const char *to)
{
    for (const char *s = from; s + 2 < to; s++)
        if (!strncasecmp(s, "nan", 3) || !strncasecmp(s, "inf", 3))
            return false;
    return true;
}

static const char *attributes(const char *s)
{
    while (*s == ' ') {
        s += strspn(s, " ");
        size_t n = strcspn(s, "= >/\"");
        if (n == 0 || s[n] != '=' || s[n + 1] != '"')
            return NULL;
        const char *from = s + n + 2, *to = from + strcspn(from, "\"<&");
        if (*to != '"' || !number_free_of_words(from, to))
            return NULL;
        s = to + 1;
    }
    return s;
}

static const char *tag(const char *s, Names *open)
{
    if (s[1] == '/') {
        size_t n = strcspn(s + 2, ">");
        if (open->n == 0 || strlen(open->name[open->n - 1]) != n ||
            strncmp(open->name[open->n - 1], s + 2, n))
            return NULL;
        open->n--;
        return s + 2 + n + 1;
    }
    size_t n = strcspn(s + 1, " />");
    if (n == 0 || n > 15 || open->n == 64)
        return NULL;
    snprintf(open->name[open->n], 16, "%.*s", (int)n, s + 1);
    s = attributes(s + 1 + n);
    if (s && *s == '>') {
        open->n++;
        return s + 1;
    }
    return s && s[0] == '/' && s[1] == '>' ? s + 2 : NULL;
}

/* NULL when the text is well-formed, or where it is not. */
static const char *malformed(const Text *t)
{
    Names open = {.n = 0};
    if (strlen(t->s) != t->n || strncmp(t->s, "<?xml", 5))
        return t->s;
    for (const char *s = strstr(t->s, "?>") + 2; *s;) {
        const char *next;
        if (*s == '<') {
            next = tag(s, &open);
        } else if (*s == '&') {
            next = entity(s);
        } else { /* utf8_next must find nothing to replace */
            const char *at = s;
            uint32_t c = utf8_next(&at);
            bool replaced = c == 0xFFFD && strncmp(s, "\xEF\xBF\xBD", 3) != 0;
            next = replaced || ((unsigned char)*s < 32 && *s != '\n') ? NULL : at;
        }
        if (!next)
            return s;
        s = next;
    }
    return open.n ? t->s + t->n : NULL;
}

/* Every character width and escape sequence of a drawing. */
static void check_terminal(const char *name, const Figure *f, int columns, int rows,
                           bool unicode, bool color)
{
    Text t = {0};
    figure_terminal(f, columns, rows, unicode, color, &t);
    int wide = 0, high = 0;
    for (const char *s = t.s; s && *s;) {
        if (*s == '\n') {
            CHECK(wide <= columns, "%s at %d x %d: %d columns", name, columns, rows, wide);
            wide = 0;
            high++;
            s++;
        } else if (*s == '\033') {
            CHECK(color && s[1] == '[', "%s: escape sequence", name);
            s += strcspn(s, "m") + 1;
        } else {
            uint32_t c = utf8_next(&s);
            CHECK(unicode || c < 0x80, "%s: U+%04X in ASCII", name, c);
            wide += char_columns(c);
        }
    }
    CHECK(high > 0 && high <= rows, "%s: %d rows for %d", name, high, rows);
    text_free(&t);
}

static void check(const char *name, const Figure *f)
{
    Text a = {0}, b = {0};
    figure_svg(f, &a);
    figure_svg(f, &b);
    const char *bad = malformed(&a);
    CHECK(!bad, "%s: '%.60s'", name, bad);
    CHECK(a.n == b.n && !memcmp(a.s, b.s, a.n), "%s: differs from run to run", name);
    CHECK(a.n < 4000000, "%s: %zu bytes", name, a.n);
    text_free(&a);
    text_free(&b);
    static const int sizes[][2] = {{80, 24}, {132, 50}, {40, 12}, {20, 8}, {9, 5},
                                   {5, 3}, {3, 2}, {1, 1}, {200, 4}, {2, 60}};
    for (int i = 0; i < LQ_COUNT(sizes); i++)
        for (int mode = 0; mode < 4; mode++)
            check_terminal(name, f, sizes[i][0], sizes[i][1], mode & 1, mode & 2);
}

/* One set of arrays in every style and with every kind of axis. */
static void check_all(const char *name, const double *x, const double *y,
                      const double *e, int64_t n)
{
    for (int mode = 0; mode < 32; mode++) {
        Curve c[2] = {{"label", (CurveStyle)(mode & 3), x, y, e, n},
                      {NULL, CURVE_LINE, NULL, y, NULL, n}};
        Figure f = {.title = "title", .xlabel = "x", .ylabel = "y", .curves = c,
                    .ncurves = mode & 16 ? 2 : 1, .log_x = mode & 4, .log_y = mode & 8};
        check(name, &f);
    }
}

/* ---- data ------------------------------------------------------------------------ */

static void test_data(void)
{
    double x[64], y[64], e[64];
    for (int i = 0; i < 64; i++) {
        x[i] = i + 1;
        y[i] = exp(-0.1 * i);
        e[i] = 0.1 * y[i];
    }
    check_all("normal", x, y, e, 64);
    check_all("no errors", x, y, NULL, 64);
    check_all("empty", x, y, e, 0);
    check_all("no arrays", NULL, NULL, NULL, 5);
    check_all("negative n", x, y, e, -3);
    check_all("one point", x, y, e, 1);
    check_all("two points", x, y, e, 2);
    for (int i = 0; i < 64; i++)
        y[i] = i % 3 ? i : 0, e[i] = i % 7 ? 1 : -1;
    check_all("zeros", x, y, e, 64);
    for (int i = 0; i < 64; i++)
        x[i] = y[i] = i - 32;
    check_all("negative", x, y, e, 64);
    x[3] = y[5] = e[7] = NAN;
    x[9] = y[11] = e[13] = INFINITY;
    x[15] = y[17] = e[19] = -INFINITY;
    check_all("not finite", x, y, e, 64);
    for (int i = 0; i < 64; i++)
        x[i] = y[i] = e[i] = i % 2 ? NAN : INFINITY;
    check_all("nothing finite", x, y, e, 64);
}

static void test_magnitudes(void)
{
    static const double all[] = {0,      1,       -1,      1e-300,  5e-324, DBL_MAX,
                                 -DBL_MAX, 1e300, 1e15 + 1, 123456.7, 1e-5, DBL_MIN};
    double x[64], y[64], e[64];
    for (int k = 0; k < LQ_COUNT(all); k++) {
        for (int i = 0; i < 64; i++)
            x[i] = y[i] = e[i] = all[k];
        check_all("all equal", x, y, e, 64);
        for (int i = 0; i < 64; i++)
            y[i] = x[i] = all[k] * (1 + i * DBL_EPSILON);
        check_all("nearly equal", x, y, NULL, 64);
        for (int i = 0; i < 64; i++)
            y[i] = all[k] + all[(k + i) % LQ_COUNT(all)], x[i] = y[i];
        check_all("mixed", x, y, e, 64);
    }
    for (int i = 0; i < 64; i++) {
        x[i] = y[i] = pow(10, -300 + 600.0 * i / 63);
        e[i] = y[i];
    }
    check_all("1e-300 to 1e300", x, y, e, 64);
    y[0] = -DBL_MAX;
    y[1] = DBL_MAX;
    e[0] = e[1] = DBL_MAX;
    check_all("the whole range", x, y, e, 64);
}

static void test_heat(void)
{
    enum { N = 600 };
    double *v = lq_alloc(N * N * sizeof *v);
    for (int i = 0; i < N * N; i++)
        v[i] = sin(i * 0.37) * cos(i * 0.011);
    static const int sizes[][2] = {{1, 1}, {1, 50}, {50, 1}, {16, 16}, {8, 24}, {N, N}};
    for (int i = 0; i < LQ_COUNT(sizes); i++)
        check("heat", &(Figure){.title = "heat", .xlabel = "x", .ylabel = "t", .heat = v,
                                .heat_rows = sizes[i][0], .heat_cols = sizes[i][1]});
    double odd[] = {NAN, INFINITY, -INFINITY, DBL_MAX, -DBL_MAX, 5e-324, 0, 1, 2};
    check("odd heat", &(Figure){.heat = odd, .heat_rows = 3, .heat_cols = 3});
    check("no heat", &(Figure){.heat = odd, .heat_rows = 3, .heat_cols = 1});
    check("constant heat", &(Figure){.heat = odd + 7, .heat_rows = 1, .heat_cols = 1});
    check("coordinates", &(Figure){.heat = v, .heat_rows = 5, .heat_cols = 11, .heat_x = {0.05, 0.15}, .heat_y = {4, -4}});
    Text t = {0};
    figure_svg(&(Figure){.heat = v, .heat_rows = 5, .heat_cols = 11, .heat_x = {0.05, 0.15}, .heat_y = {4, 8}}, &t);
    CHECK(strstr(t.s, ">0.08<") && strstr(t.s, ">0.14<") && strstr(t.s, ">6<"), "axes of a map show coordinates");
    text_free(&t);
    double edges[][2] = {{NAN, 1}, {0, INFINITY}, {1, 0}, {-DBL_MAX, DBL_MAX}};
    for (int i = 0; i < LQ_COUNT(edges); i++)
        check("odd coordinates", &(Figure){.heat = v, .heat_rows = 5, .heat_cols = 5, .heat_x = {edges[i][0], edges[i][1]}});
    check("overflow", &(Figure){.heat = odd, .heat_rows = INT64_MAX, .heat_cols = 3});
    free(v);
}

static void test_text(void)
{
    static const char *const texts[] = {
        "<b>&amp; \"quoted\" 'x' ]]>", "φ⁴ in ℝ², 格子場の理論 — e\xCC\x81t\xC3\xA9 🎲",
        "\x01\x02\x1b[31mred\x07\x7f\r\n\t", "\xff\xfe\xC0\xAF\xED\xA0\x80\xEF\xBF\xBF\xE2\x80",
        "\xC2\x9B" "31m\xE2\x80\xAE", "", "inf nan",
        "a label that is much longer than the figure is wide, and which therefore must be "
        "made smaller, or cut where even that does not help, for it goes on and on and on",
    };
    double y[] = {1, 3, 2};
    for (int i = 0; i < LQ_COUNT(texts); i++) {
        Curve c[] = {{texts[i], CURVE_LINE, NULL, y, NULL, 3},
                     {texts[i], CURVE_POINTS, NULL, y, y, 3}};
        check(texts[i], &(Figure){.title = texts[i], .xlabel = texts[i],
                                  .ylabel = texts[i], .curves = c, .ncurves = 2});
    }
    Text t = {0};
    Curve c = {"a<b & c>\"d\"", CURVE_LINE, NULL, y, NULL, 3};
    figure_svg(&(Figure){.title = "φ < 1", .curves = &c, .ncurves = 1}, &t);
    CHECK(strstr(t.s, "a&lt;b &amp; c&gt;&quot;d&quot;"), "escaped legend");
    CHECK(strstr(t.s, "φ &lt; 1"), "escaped title");
    text_free(&t);
    Curve many[40];
    for (int i = 0; i < 40; i++)
        many[i] = (Curve){NULL, (CurveStyle)(i % 4), NULL, y, y, 3};
    check("many curves", &(Figure){.curves = many, .ncurves = 40});
}

/* ---- ticks ------------------------------------------------------------------------ */

static bool has_label(const Axis *a, const char *text)
{
    for (int i = 0; i < a->nticks; i++)
        if (!a->ticks[i].minor && !strcmp(a->ticks[i].text, text))
            return true;
    return false;
}

static void test_ticks(void)
{
    Axis a;
    AxisWish linear = {.ticks = 6}, log = {.log = true, .ticks = 6};
    axis_make(&a, (Range){0, 1, true}, linear);
    CHECK(has_label(&a, "0") && has_label(&a, "0.2") && has_label(&a, "1.0"), "0 to 1");
    axis_make(&a, (Range){-3e7, 3e7, true}, linear);
    CHECK(a.exponent == 7 && has_label(&a, "-2") && has_label(&a, "3"), "millions");
    axis_make(&a, (Range){1.23456789, 1.2345679, true}, linear);
    CHECK(!strncmp(a.offset, "1.234567", 8), "offset '%s'", a.offset);
    axis_make(&a, (Range){-DBL_MAX, DBL_MAX, true}, linear);
    CHECK(a.exponent == 308 && has_label(&a, "-1"), "all doubles");
    axis_make(&a, (Range){1e-8, 1e-2, true}, log);
    CHECK(axis_at(&a, 1e-5) > 0.499 && axis_at(&a, 1e-5) < 0.501, "middle decade");
    axis_make(&a, (Range){2, 6, true}, log);
    CHECK(has_label(&a, "3") && has_label(&a, "5"), "less than a decade");
    for (int e = -320; e <= 308; e += 4) { /* every label is where its value is */
        double unit = pow(10, e);
        axis_make(&a, (Range){-0.3 * unit, 0.9 * unit, true}, linear);
        for (int i = 0; i < a.nticks; i++) {
            double v = atof(a.ticks[i].text) * pow(10, a.exponent / 2) *
                       pow(10, a.exponent - a.exponent / 2);
            CHECK(a.ticks[i].minor || fabs(axis_at(&a, v) - a.ticks[i].at) < 1e-3,
                  "1e%d: %s", e, a.ticks[i].text);
        }
    }
}

/* ---- long curves ------------------------------------------------------------------- */

static double milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static void test_long(void)
{
    enum { N = 1000000 };
    double *x = lq_alloc(N * sizeof *x), *y = lq_alloc(N * sizeof *y);
    for (int i = 0; i < N; i++) {
        x[i] = i;
        y[i] = sin(i * 1.7) * cos(i * 1e-5);
    }
    y[123456] = 5; /* one point that must survive */
    for (int style = 0; style < 4; style++) {
        Curve c = {"long", (CurveStyle)style, x, y, NULL, N};
        Figure f = {.curves = &c, .ncurves = 1};
        Text t = {0};
        double before = milliseconds();
        figure_svg(&f, &t);
        double took = milliseconds() - before;
        CHECK(took < 200 || getenv("LQFT_SLOW_MACHINE"), "style %d: %.0f ms", style, took);
        CHECK(t.n < 3000000, "style %d: %zu bytes", style, t.n);
        CHECK(!malformed(&t), "style %d", style);
        text_free(&t);
        before = milliseconds();
        figure_terminal(&f, 80, 24, true, true, &t);
        CHECK(milliseconds() - before < 200 || getenv("LQFT_SLOW_MACHINE"), "terminal");
        text_free(&t);
        Axis ax, ay;
        axis_make(&ax, (Range){0, N, true}, (AxisWish){.ticks = 6});
        axis_make(&ay, (Range){-1, 5, true}, (AxisWish){.ticks = 6});
        Shape s = curve_shape(&c, &ax, &ay, 500);
        double highest = 0, lowest = 1;
        for (int i = 0; i < s.n; i++) {
            highest = fmax(highest, s.points[i].y);
            lowest = fmin(lowest, s.points[i].y);
        }
        CHECK(highest == 1 && lowest < 1e-3, "style %d lost its extremes", style);
        free(s.points);
    }
    for (int i = 0; i < N; i++)
        x[i] = cos(i * 0.1);
    check("back and forth", &(Figure){.curves = &(Curve){"", CURVE_LINE, x, y, NULL, N / 10},
                                      .ncurves = 1});
    for (int i = 0; i < N; i += 2)
        y[i] = NAN;
    check("every other", &(Figure){.curves = &(Curve){"", CURVE_BAND, NULL, y, x, N / 10},
                                   .ncurves = 1});
    free(x);
    free(y);
}

/* ---- histograms -------------------------------------------------------------------- */

static void check_histogram(const char *name, const double *v, int64_t n, int64_t nbins,
                            bool empty)
{
    double edges[201], density[200], error[200], sum = 0;
    int64_t bins = histogram_bins(v, n);
    CHECK(bins >= 10 && bins <= 200, "%s: %d bins", name, (int)bins);
    histogram(v, n, nbins, edges, density, error);
    for (int64_t i = 0; i < nbins; i++) {
        double width = edges[i + 1] - edges[i];
        CHECK(width > 0, "%s: edges %g %g", name, edges[i], edges[i + 1]);
        CHECK(isfinite(density[i]) && isfinite(error[i]) && density[i] >= 0, "%s", name);
        if (isfinite(width))
            sum += density[i] * width;
    }
    CHECK(fabs(sum - !empty) < 1e-9, "%s: normalised to %g", name, sum);
}

static void test_histogram(void)
{
    double v[4096];
    for (int i = 0; i < 4096; i++)
        v[i] = fmod(i * 0.6180339887498949, 1);
    check_histogram("uniform", v, 4096, 50, false);
    double edges[11], density[10], error[10];
    histogram(v, 4096, 10, edges, density, error);
    for (int i = 0; i < 10; i++) {
        CHECK(fabs(density[i] - 1) < 0.02, "bin %d: %g", i, density[i]);
        CHECK(fabs(error[i] - sqrt(0.1 * 0.9 / 4096) / 0.1) < 1e-3, "error %g", error[i]);
    }
    int64_t bins = histogram_bins(v, 4096); /* range 1, IQR 1/2: n^(1/3) */
    CHECK(bins >= 15 && bins <= 17, "%d bins", (int)bins);
    v[0] = NAN, v[1] = INFINITY, v[2] = -INFINITY;
    check_histogram("not finite", v, 4096, 200, false);
    check_histogram("nothing", v, 0, 10, true);
    check_histogram("nothing finite", v, 3, 10, true);
    check_histogram("one", v + 3, 1, 10, false);
    static const double extremes[][2] = {{0, 0}, {1, 1}, {-DBL_MAX, DBL_MAX / 2}, {DBL_MAX, DBL_MAX},
                                         {5e-324, 0}, {1, 1 + DBL_EPSILON}, {1e-310, 1e-309}};
    for (int k = 0; k < LQ_COUNT(extremes); k++)
        check_histogram("extremes", extremes[k], 2, 100, false);
    double four[] = {0, 1, 2, 2}; /* an edge belongs to the bin on its right */
    histogram(four, 4, 2, edges, density, NULL);
    CHECK(density[0] == 0.25 && density[1] == 0.75, "%g %g", density[0], density[1]);
}

/* ---- files -------------------------------------------------------------------------- */

static void test_files(void)
{
    char dir[] = P_tmpdir "/test_plot_XXXXXX", path[64], err[256] = "";
    double y[] = {1, 2};
    Curve c = {"y", CURVE_LINE, NULL, y, NULL, 2};
    Figure f = {.curves = &c, .ncurves = 1};
    if (!mkdtemp(dir)) {
        CHECK(false, "no temporary folder");
        return;
    }
    snprintf(path, sizeof path, "%s/figure.svg", dir);
    for (int i = 0; i < 2; i++) /* new, then replaced */
        CHECK(figure_write_svg(&f, path, err, sizeof err) == 0, "%s", err);
    struct stat st;
    CHECK(stat(path, &st) == 0 && st.st_size > 500, "the file");
    CHECK(unlink(path) == 0, "unlink");
    CHECK(mkdir(path, 0777) == 0, "mkdir"); /* a folder is not replaced */
    CHECK(figure_write_svg(&f, path, err, sizeof err) == -1 && *err, "over a folder");
    CHECK(rmdir(path) == 0, "rmdir");
    CHECK(rmdir(dir) == 0, "a temporary file was left behind");
    err[0] = 0;
    CHECK(figure_write_svg(&f, path, err, sizeof err) == -1 && strstr(err, path), "'%s'", err);
    CHECK(figure_write_svg(&f, path, NULL, 0) == -1, "no message");
}

int main(void)
{
    test_data();
    test_magnitudes();
    test_heat();
    test_text();
    test_ticks();
    test_long();
    test_histogram();
    test_files();
    if (failures)
        fprintf(stderr, "%d failures\n", failures);
    return failures != 0;
}
