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
    static const char *const what[] = {"axis", "grid", "lattice", "directions", "coordinate axis", "range"};
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

IndexSet *set_range(Elab *e, int64_t first, int64_t last, Span at) {
    IndexSet *s = set_new(e, SET_RANGE, arena_printf(e->arena, "%lld..%lld", (long long)first, (long long)last), at);
    s->ext[0] = last - first + 1;
    s->first = first;
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
