/* sets.c — index sets: what `axis`, `grid` and `lattice` declare, and the sets that
 * belong to a lattice (its directions, its coordinate axes). */
#include "elab.h"

#include <math.h>
#include <string.h>

int64_t set_size(const IndexSet *s) {
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++) n *= s->ext[i];
    return n;
}

bool set_is_static(const IndexSet *s) { return s->kind == SET_DIRS; }

const char *set_describe(Arena *a, const IndexSet *s) {
    static const char *const what[] = {"axis", "grid", "lattice", "directions", "coordinate axis", "range", "window"};
    Text t = {0};
    text_printf(&t, "%s `%s` (", what[s->kind], s->name);
    for (int i = 0; i < s->rank; i++) text_printf(&t, "%s%lld", i ? " x " : "", (long long)s->ext[i]);
    text_printf(&t, s->kind == SET_LATTICE ? " sites)" : " elements)");
    char *out = arena_strndup(a, t.s, t.n);
    text_free(&t);
    return out;
}

static IndexSet *set_new(Elab *e, SetKind kind, const char *name, Span at) {
    IndexSet *s = arena_alloc(e->arena, sizeof *s);
    s->kind = kind, s->name = name, s->at = at, s->rank = 1;
    s->mode[0] = IX_ZERO;
    return s;
}

IndexSet *set_axis(Elab *e, const char *name, Span at, int64_t n) {
    IndexSet *s = set_new(e, SET_AXIS, name, at);
    s->ext[0] = n;
    return s;
}

/* Sets that need no declaration are equal when they are made alike. */
static IndexSet *find_derived(Elab *e, SetKind kind, const IndexSet *of, int64_t n, int64_t first) {
    for (int i = 0; i < e->derived.n; i++) {
        IndexSet *s = e->derived.data[i];
        const IndexSet *from = kind == SET_WINDOW ? s->lattice : s->fine;
        if (s->kind == kind && from == of && s->first == first && (kind == SET_LATTICE ? s->factor : s->ext[0]) == n) return s;
    }
    return NULL;
}

IndexSet *set_range(Elab *e, int64_t first, int64_t last, Span at) {
    IndexSet *known = find_derived(e, SET_RANGE, NULL, last - first + 1, first);
    if (known) return known;
    IndexSet *s = set_new(e, SET_RANGE, arena_printf(e->arena, "%lld..%lld", (long long)first, (long long)last), at);
    s->ext[0] = last - first + 1;
    s->first = first;
    vec_push(&e->derived, s);
    return s;
}

IndexSet *set_window(Elab *e, IndexSet *lattice, int64_t width, int64_t first, Span at) {
    IndexSet *s = find_derived(e, SET_WINDOW, lattice, width, first);
    if (s) return s;
    s = set_new(e, SET_WINDOW, arena_printf(e->arena, "window(%s, %lld)", lattice->name, (long long)width), at);
    s->rank = lattice->rank, s->lattice = lattice, s->first = first;
    for (int i = 0; i < s->rank; i++) s->ext[i] = width, s->mode[i] = IX_ZERO;
    vec_push(&e->derived, s);
    return s;
}

IndexSet *set_coarse(Elab *e, IndexSet *fine, int64_t factor, Span at) {
    IndexSet *s = find_derived(e, SET_LATTICE, fine, factor, 0);
    int64_t ext[IR_MAX_RANK];
    if (s || factor == 1) return s ? s : fine;
    for (int i = 0; i < fine->rank; i++) {
        if (fine->ext[i] % factor) return NULL;
        ext[i] = fine->ext[i] / factor;
    }
    s = set_lattice(e, arena_printf(e->arena, "coarse(%s, %lld)", fine->name, (long long)factor), at, fine->rank, ext, fine->mode);
    s->fine = fine, s->factor = factor;
    vec_push(&e->derived, s);
    return s;
}

/* linspace: equal spacing, every point with that weight (the rule of the papers,
 * arXiv:2106.08168: a plain sum times the spacing).  logspace: equal ratios, weight
 * x ln(ratio): the same rule in ln x. */
IndexSet *set_grid(Elab *e, const char *name, Span at, double lo, double hi, int64_t n, bool logarithmic) {
    IndexSet *s = set_new(e, SET_GRID, name, at);
    s->ext[0] = n;
    s->coords = arena_alloc(e->arena, (size_t)n * sizeof(double));
    s->weights = arena_alloc(e->arena, (size_t)n * sizeof(double));
    double h = n > 1 ? (logarithmic ? log(hi / lo) : hi - lo) / (double)(n - 1) : 0;
    for (int64_t i = 0; i < n; i++) {
        double u = n > 1 ? (double)i / (double)(n - 1) : 0;
        s->coords[i] = logarithmic ? lo * pow(hi / lo, u) : lo + (hi - lo) * u;
        s->weights[i] = logarithmic ? s->coords[i] * h : h;
    }
    s->step = logarithmic ? 0 : h;
    return s;
}

/* Given points, whose weights are those of the trapezium rule. */
IndexSet *set_points(Elab *e, const char *name, Span at, int64_t n, const double *points) {
    IndexSet *s = set_new(e, SET_GRID, name, at);
    s->ext[0] = n;
    s->coords = arena_alloc(e->arena, (size_t)n * sizeof(double));
    s->weights = arena_alloc(e->arena, (size_t)n * sizeof(double));
    memcpy(s->coords, points, (size_t)n * sizeof *points);
    for (int64_t i = 0; i + 1 < n; i++) {
        s->weights[i] += (points[i + 1] - points[i]) / 2;
        s->weights[i + 1] += (points[i + 1] - points[i]) / 2;
    }
    return s;
}

IndexSet *set_lattice(Elab *e, const char *name, Span at, int rank, const int64_t *ext, const uint32_t *mode) {
    IndexSet *s = set_new(e, SET_LATTICE, name, at);
    s->rank = rank;
    memcpy(s->ext, ext, (size_t)rank * sizeof *ext);
    memcpy(s->mode, mode, (size_t)rank * sizeof *mode);
    s->dirs = set_new(e, SET_DIRS, arena_printf(e->arena, "%s.dirs", name), at);
    s->dirs->ext[0] = rank;
    s->dirs->lattice = s;
    s->axes = arena_alloc(e->arena, (size_t)rank * sizeof *s->axes);
    for (int i = 0; i < rank; i++) {
        if (rank == 1) { s->axes[0] = s; break; }
        IndexSet *c = set_new(e, SET_COORD, arena_printf(e->arena, "%s.axes[%d]", name, i), at);
        c->ext[0] = ext[i], c->mode[0] = mode[i], c->lattice = s, c->coord = i;
        s->axes[i] = c;
    }
    return s;
}
