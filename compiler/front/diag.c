/* diag.c — the sink for messages, and their printed form. */
#include "front.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

extern const char lq_errors_md[];     /* grammar/errors.md */

static const struct { const char *code, *title; } codes[] = {
#define X(code, title) {#code, title},
#include "diag.def"
#undef X
};

/* Names and texts of the user may be megabytes long: the middle is left out. */
static const char *shortened(char *text)
{
    enum { MOST = 700, HEAD = 400, TAIL = 250 };
    size_t n = strlen(text);
    if (n <= MOST) return text;
    size_t head = HEAD, tail = n - TAIL;
    while (head > 0 && ((unsigned char)text[head] & 0xC0) == 0x80) head--;
    while (tail < n && ((unsigned char)text[tail] & 0xC0) == 0x80) tail++;
    memcpy(text + head, "…", 3);
    memmove(text + head + 3, text + tail, n - tail + 1);
    return text;
}

/* ==== collecting ============================================================== */

static Diag *add(Sink *s, Severity severity, const char *code, Span at, const char *fmt, va_list ap)
{
    const char *known = NULL;
    for (int i = 0; i < LQ_COUNT(codes) && !known; i++)
        if (!strcmp(codes[i].code, code)) known = codes[i].code;
    if (!known) {
        fprintf(stderr, "internal error: diagnostic code %s is not in diag.def\n", code);
        abort();
    }
    if (severity == SEV_ERROR) s->nerrors++;
    if (severity == SEV_ERROR ? s->nerrors > s->limit : s->diags.n > 2 * s->limit) {
        s->surplus = (Diag){0};
        return &s->surplus;
    }
    Diag *d = arena_alloc(s->arena, sizeof *d);
    *d = (Diag){.severity = severity, .code = known, .nlabels = 1};
    d->message = shortened(arena_vprintf(s->arena, fmt, ap));
    d->labels[0].at = at;
    vec_push(&s->diags, d);
    return d;
}

Diag *diag_error(Sink *s, const char *code, Span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    Diag *d = add(s, SEV_ERROR, code, at, fmt, ap);
    va_end(ap);
    return d;
}

Diag *diag_warning(Sink *s, const char *code, Span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    Diag *d = add(s, SEV_WARNING, code, at, fmt, ap);
    va_end(ap);
    return d;
}

#define FORMATTED(s, fmt, text)                          \
    va_list ap;                                          \
    va_start(ap, fmt);                                   \
    const char *text = shortened(arena_vprintf((s)->arena, fmt, ap)); \
    va_end(ap)

void diag_here(Sink *s, Diag *d, const char *fmt, ...)
{
    if (d == &s->surplus) return;
    FORMATTED(s, fmt, text);
    d->labels[0].text = text;
}

void diag_label(Sink *s, Diag *d, Span at, const char *fmt, ...)
{
    if (d == &s->surplus || d->nlabels == LQ_COUNT(d->labels)) return;
    FORMATTED(s, fmt, text);
    d->labels[d->nlabels++] = (DiagLabel){at, text};
}

void diag_help(Sink *s, Diag *d, const char *fmt, ...)
{
    if (d == &s->surplus) return;
    FORMATTED(s, fmt, text);
    d->help = text;
}

/* ==== display width ============================================================= */

enum { TAB = 4, WIDE_LINE = 160, BEFORE = 60, SHOWN = 150 };

/* One code point at s; a byte that is none counts as one that prints as U+FFFD. */
static int next_code(const char *s, const char *end, uint32_t *code)
{
    const unsigned char *u = (const unsigned char *)s;
    int n = *u < 0x80 ? 1 : *u < 0xC2 ? 0 : *u < 0xE0 ? 2 : *u < 0xF0 ? 3 : *u < 0xF5 ? 4 : 0;
    *code = 0xFFFD;
    if (n == 0 || end - s < n) return 1;
    uint32_t c = n == 1 ? *u : *u & (0x7Fu >> n);
    for (int i = 1; i < n; i++) {
        if ((u[i] & 0xC0) != 0x80) return 1;
        c = c << 6 | (u[i] & 0x3Fu);
    }
    bool odd = c < 0x20 ? c != '\t' : c == 0x7F || (c >= 0x80 && c < 0xA0) || c == 0xFEFF ||
               (c >= 0x200B && c < 0x2010) || (c >= 0x2028 && c < 0x202F) ||
               (c >= 0x2060 && c < 0x2070) || (c >= 0xD800 && c < 0xE000);
    bool overlong = (n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10FFFF));
    if (overlong) return 1;
    *code = odd ? 0xFFFD : c;
    return n;
}

static int code_width(uint32_t c)
{
    static const struct { uint32_t lo, hi; } zero[] = {
        {0x300, 0x36F}, {0x483, 0x489}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x20D0, 0x20FF},
        {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xE0100, 0xE01EF}},
      wide[] = {
        {0x1100, 0x115F}, {0x2E80, 0x303E}, {0x3041, 0x4DBF}, {0x4E00, 0xA4CF}, {0xAC00, 0xD7A3},
        {0xF900, 0xFAFF}, {0xFE30, 0xFE6F}, {0xFF00, 0xFF60}, {0xFFE0, 0xFFE6},
        {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
    for (int i = 0; i < LQ_COUNT(zero); i++)
        if (c >= zero[i].lo && c <= zero[i].hi) return 0;
    for (int i = 0; i < LQ_COUNT(wide); i++)
        if (c >= wide[i].lo && c <= wide[i].hi) return 2;
    return 1;
}

/* ==== printing =================================================================== */

typedef struct Printer {
    const Sink *sink;
    FILE       *out;
    bool        color;
    int         gutter;       /* digits */
} Printer;

#define RESET "\033[0m"
#define BOLD  "\033[1m"
#define RED   "\033[1;31m"
#define BLUE  "\033[1;34m"
#define GREEN "\033[1;32m"
#define MAUVE "\033[1;35m"

static const char *paint(const Printer *p, const char *code)
{
    return p->color ? code : "";
}

/* The part of a line that is shown: bytes [lo, hi) of the text. */
typedef struct Window { const Source *src; uint32_t lo, hi; bool cut_left, cut_right; } Window;

static uint32_t line_end(const Source *s, int line)
{
    uint32_t hi = line < s->line_starts.n ? s->line_starts.data[line] - 1 : (uint32_t)s->len;
    uint32_t lo = s->line_starts.data[line - 1];
    while (hi > lo && (s->text[hi - 1] == '\r' || s->text[hi - 1] == '\n')) hi--;
    return hi;
}

/* Walks at most `columns` from lo; returns where it stopped. */
static uint32_t walk(const Source *s, uint32_t lo, uint32_t hi, int columns)
{
    int col = 0;
    while (lo < hi) {
        uint32_t c;
        int n = next_code(s->text + lo, s->text + hi, &c);
        col += c == '\t' ? TAB - col % TAB : code_width(c);
        if (col > columns) break;
        lo += (uint32_t)n;
    }
    return lo;
}

static Window window_of(const Source *s, int line, uint32_t place)
{
    Window w = {.src = s, .lo = s->line_starts.data[line - 1], .hi = line_end(s, line)};
    if (walk(s, w.lo, w.hi, WIDE_LINE) == w.hi) return w;
    uint32_t lo = place < w.hi ? place : w.hi;
    for (int i = 0; i < BEFORE && lo > w.lo; i++)
        do lo--; while (lo > w.lo && ((unsigned char)s->text[lo] & 0xC0) == 0x80);
    w.cut_left = lo > w.lo;
    w.lo = lo;
    lo = walk(s, w.lo, w.hi, SHOWN);
    w.cut_right = lo < w.hi;
    w.hi = lo;
    return w;
}

/* Column of a byte in a shown line; prints the line as well when `out`. */
static int show(const Window *w, uint32_t upto, FILE *out)
{
    int col = w->cut_left;
    const char *s = w->src->text;
    if (out && w->cut_left) fputs("…", out);
    for (uint32_t i = w->lo; i < w->hi && i < upto;) {
        uint32_t c;
        int n = next_code(s + i, s + w->hi, &c);
        if (c == '\t') {
            int k = TAB - col % TAB;
            col += k;
            if (out) fprintf(out, "%*s", k, "");
        } else {
            col += code_width(c);
            if (out && c == 0xFFFD) fputs("\xEF\xBF\xBD", out);
            else if (out) fwrite(s + i, 1, (size_t)n, out);
        }
        i += (uint32_t)n;
    }
    if (out && w->cut_right) fputs("…", out);
    return col;
}

typedef struct Mark { int from, to; const DiagLabel *label; bool primary; } Mark;

static void gutter(const Printer *p, int line)
{
    if (line) fprintf(p->out, "%s%*d |%s ", paint(p, BLUE), p->gutter, line, paint(p, RESET));
    else fprintf(p->out, "%s%*s |%s ", paint(p, BLUE), p->gutter, "", paint(p, RESET));
}

/* The text of a label; its own lines stay to the right of the gutter. */
static void label_text(const Printer *p, const Mark *m)
{
    fprintf(p->out, "%s%s%s\n", paint(p, m->primary ? RED : BLUE), m->label->text, paint(p, RESET));
}

/* One row of carets and dashes, then one row for each text that did not fit. */
static void print_marks(const Printer *p, Mark *marks, int n)
{
    for (int i = 1; i < n; i++)                       /* by column */
        for (int j = i; j > 0 && marks[j].from < marks[j - 1].from; j--) {
            Mark m = marks[j];
            marks[j] = marks[j - 1], marks[j - 1] = m;
        }
    int last = -1, right = 0, width = 0;              /* whose text stands on the row itself */
    for (int i = 0; i < n; i++) {
        if (marks[i].to > width) width = marks[i].to;
        if (marks[i].to >= right) right = marks[i].to, last = i;
    }
    gutter(p, 0);
    const char *now = "";
    for (int col = 0; col < width; col++) {
        const Mark *m = NULL;
        for (int i = 0; i < n; i++)
            if (col >= marks[i].from && col < marks[i].to && (!m || marks[i].primary)) m = &marks[i];
        const char *want = !m ? RESET : m->primary ? RED : BLUE;
        if (p->color && now != want) fputs(want, p->out), now = want;
        fputc(!m ? ' ' : m->primary ? '^' : '-', p->out);
    }
    if (p->color) fputs(RESET, p->out);
    if (last >= 0 && marks[last].label->text) fputc(' ', p->out), label_text(p, &marks[last]);
    else fputc('\n', p->out);
    for (int i = n - 1; i >= 0; i--) {
        if (i == last || !marks[i].label->text) continue;
        gutter(p, 0);
        fprintf(p->out, "%*s", marks[i].from, "");
        label_text(p, &marks[i]);
    }
}

static int line_of(const Printer *p, Span at)
{
    int line, column;
    source_position(p->sink->sources, at.file, at.lo, &line, &column);
    return line;
}

/* The source line of label i with every label on it that fits; marks them done. */
static void print_line(const Printer *p, const Diag *d, int i, bool *done)
{
    Span at = d->labels[i].at;
    int line = line_of(p, at), n = 0;
    Window w = window_of(p->sink->sources->files.data[at.file], line, at.lo);
    Mark marks[LQ_COUNT(d->labels)];
    for (int k = i; k < d->nlabels; k++) {
        Span s = d->labels[k].at;
        if (done[k] || s.file != at.file || s.lo < w.lo || s.lo > w.hi || line_of(p, s) != line)
            if (k != i) continue;
        int from = show(&w, s.lo, NULL), to = show(&w, s.hi, NULL);
        marks[n++] = (Mark){from, to > from ? to : from + 1, &d->labels[k], k == 0};
        done[k] = true;
    }
    gutter(p, line);
    show(&w, UINT32_MAX, p->out);
    fputc('\n', p->out);
    print_marks(p, marks, n);
}

void diag_print_one(const Sink *s, const Diag *d, FILE *out, bool color)
{
    static const char *const words[] = {"error", "warning", "note"};
    static const char *const colors[] = {RED, MAUVE, BLUE};
    Printer printer = {.sink = s, .out = out, .color = color, .gutter = 1}, *p = &printer;
    bool done[LQ_COUNT(d->labels)] = {false};
    Span at = d->labels[0].at;
    bool placed = at.file < (uint32_t)s->sources->files.n;
    if (placed) {
        int line, column;
        source_position(s->sources, at.file, at.lo, &line, &column);
        fprintf(out, "%s%s:%d:%d:%s ", paint(p, BOLD), s->sources->files.data[at.file]->path, line,
                column, paint(p, RESET));
    }
    fprintf(out, "%s%s[%s]:%s %s%s%s\n", paint(p, colors[d->severity]), words[d->severity], d->code,
            paint(p, RESET), paint(p, BOLD), d->message, paint(p, RESET));
    for (int i = 0; i < d->nlabels && placed; i++) {
        int digits = snprintf(NULL, 0, "%d", line_of(p, d->labels[i].at));
        if (digits > p->gutter) p->gutter = digits;
    }
    uint32_t file = at.file;
    for (int i = 0; i < d->nlabels && placed; i++) {
        if (done[i]) continue;
        if (d->labels[i].at.file != file) {
            file = d->labels[i].at.file;
            fprintf(out, "%*s in %s\n", p->gutter, "", s->sources->files.data[file]->path);
        }
        print_line(p, d, i, done);
    }
    if (d->help) fprintf(out, "%shelp:%s %s\n", paint(p, GREEN), paint(p, RESET), d->help);
}

void diag_print_all(Sink *s, FILE *out, bool color)
{
    for (int i = 1; i < s->diags.n; i++)
        for (int j = i; j > 0; j--) {
            Diag **v = s->diags.data, *d = v[j];
            Span a = v[j - 1]->labels[0].at, b = d->labels[0].at;
            if (a.file < b.file || (a.file == b.file && a.lo <= b.lo)) break;
            v[j] = v[j - 1], v[j - 1] = d;
        }
    for (int i = 0; i < s->diags.n; i++) {
        if (i) fputc('\n', out);
        diag_print_one(s, s->diags.data[i], out, color);
    }
    if (s->nerrors > s->limit)
        fprintf(out, "\n%d further errors are not shown\n", s->nerrors - s->limit);
}

/* ==== pages and near names ========================================================= */

/* The page from its heading to the next one. */
const char *diag_explain(const char *code)
{
    static char *page;
    char heading[16];
    if (strlen(code) > 8) return NULL;
    snprintf(heading, sizeof heading, "## %s", code);
    for (char *c = heading; *c; c++) *c = (char)toupper((unsigned char)*c);
    size_t n = strlen(heading);
    const char *at = lq_errors_md;
    while ((at = strstr(at, heading)) && ((at > lq_errors_md && at[-1] != '\n') || at[n] != ' ')) at++;
    if (!at) return NULL;
    const char *end = strstr(at, "\n## ");
    size_t len = end ? (size_t)(end + 1 - at) : strlen(at);
    while (len > 1 && at[len - 1] == '\n' && at[len - 2] == '\n') len--;
    page = lq_realloc(page, len + 1);
    memcpy(page, at, len);
    page[len] = '\0';
    return page;
}

const char *diag_nearest(const char *name, const char *const *candidates, int n) { return lq_nearest(name, candidates, n); }
