/* tables.c — costly values that are one of a few numbers at every point (KTable).
 *
 * Requires: the roots of a kernel; which arrays hold +1 and -1 only.
 * Keeps: every bit of the results: an entry of a table is what the expression gives for its
 *   numbers; an executor may compute the expression instead.
 *
 * The sum of the four neighbours of a spin is -4, -2, 0, 2 or 4, so exp(-β s Σ) is one of ten
 * numbers.  Found are whole numbers with few values (sums, differences and products of signs
 * and whole constants), and expressions that hold nothing but two of these at most. */
#include "kernel.h"
#include "../ir/schedule.h"

#include <stdlib.h>
#include <string.h>

enum {
    COSTLY = 20,             /* flops: an elementary function */
    MOST_TABLES = 8,
    MOST_NUMBER = 1 << 20    /* of the whole numbers considered */
};

/* What is known of a scalar, by position in the walk. */
typedef struct Known {
    KFew few;                /* n = 0: not known to be whole, or too many */
    int  nbase, base[2];     /* positions of what it depends on; -1: on other things too */
    int  cost;
    bool wanted;             /* by something that is no table */
} Known;

static int64_t gcd(int64_t a, int64_t b) {
    a = a < 0 ? -a : a, b = b < 0 ? -b : b;
    while (b) { int64_t t = a % b; a = b, b = t; }
    return a;
}

/* The numbers lo, lo + step, … hi. */
static KFew few(int64_t lo, int64_t hi, int64_t step) {
    if (lo == hi || step == 0) return (KFew){lo, 1, 1};
    int64_t n = (hi - lo) / step + 1;
    if (n > KERNEL_TABLE || lo < -MOST_NUMBER || hi > MOST_NUMBER) return (KFew){0};
    return (KFew){lo, step, (int)n};
}

static int64_t last(KFew a) { return a.lo + a.step * (a.n - 1); }
static int64_t step_of(KFew a) { return a.n == 1 ? 0 : a.step; }

static KFew few_sum(KFew a, KFew b) {
    if (!a.n || !b.n) return (KFew){0};
    return few(a.lo + b.lo, last(a) + last(b), gcd(step_of(a), step_of(b)));
}

static KFew few_negated(KFew a) { return a.n ? few(-last(a), -a.lo, step_of(a)) : a; }

static KFew few_product(KFew a, KFew b) {
    if (!a.n || !b.n) return (KFew){0};
    int64_t x[4] = {a.lo * b.lo, a.lo * last(b), last(a) * b.lo, last(a) * last(b)}, lo = x[0], hi = x[0];
    for (int i = 1; i < 4; i++) lo = x[i] < lo ? x[i] : lo, hi = x[i] > hi ? x[i] : hi;
    int64_t step = gcd(gcd(a.lo * step_of(b), b.lo * step_of(a)), step_of(a) * step_of(b));
    return few(lo, hi, step);
}

static KFew few_either(KFew a, KFew b) {
    if (!a.n || !b.n) return (KFew){0};
    int64_t hi = last(a) > last(b) ? last(a) : last(b), lo = a.lo < b.lo ? a.lo : b.lo;
    return few(lo, hi, gcd(gcd(step_of(a), step_of(b)), a.lo - b.lo));
}

typedef struct Search {
    const IrFunc *f;
    const Ir *ir;
    ScalarWalk *w;
    Known *known;
} Search;

static Known *of(const Search *s, Ref r) { return &s->known[s->w->place[r] - 1]; }

static KFew few_read(const Search *s, Ref r) {
    const Node *n = NODE(s->ir, r);
    bool zero = false;
    for (int i = 0; i < n->nidx; i++) zero |= NIDX(s->ir, r, i)->mode == IX_ZERO;
    if (n->boolean || n->nidx == 0 || !ir_holds_signs(s->f, NARG(s->ir, r, 0))) return (KFew){0};
    return zero ? few(-1, 1, 1) : few(-1, 1, 2);
}

static KFew few_of(const Search *s, Ref r) {
    const Node *n = NODE(s->ir, r);
    KFew a[3] = {{0}};
    if (n->boolean) return (KFew){0};
    if (n->op == SC_READ) return few_read(s, r);
    if (n->op == SC_CONST) {
        bool whole = ir_is_literal(s->ir, r, NULL) && n->val > -MOST_NUMBER && n->val < MOST_NUMBER && n->val == (double)(int64_t)n->val;
        return whole ? few((int64_t)n->val, (int64_t)n->val, 0) : (KFew){0};
    }
    for (uint32_t i = 0; i < n->nargs && i < 3; i++) a[i] = of(s, NARG(s->ir, r, i))->few;
    switch (n->op) {
    case SC_ADD: return few_sum(a[0], a[1]);
    case SC_SUB: return few_sum(a[0], few_negated(a[1]));
    case SC_NEG: return few_negated(a[0]);
    case SC_MUL: return few_product(a[0], a[1]);
    case SC_FMA: return few_sum(few_product(a[0], a[1]), a[2]);
    case SC_SELECT: return few_either(a[1], a[2]);
    default: return (KFew){0};
    }
}

/* Steps that are powers of two make places in a table exact. */
static bool is_base(KFew a) { return a.n > 1 && (a.step & (a.step - 1)) == 0; }

static bool add_base(const Search *s, Known *k, int base) {
    int64_t n = s->known[base].few.n;
    for (int i = 0; i < k->nbase; i++) {
        if (k->base[i] == base) return true;
        n *= s->known[k->base[i]].few.n;
    }
    if (k->nbase == 2 || n > KERNEL_TABLE) return false;
    k->base[k->nbase++] = base;
    return true;
}

static void look_at(const Search *s, int at) {
    Ref r = s->w->list.data[at];
    const Node *n = NODE(s->ir, r);
    Known *k = &s->known[at];
    bool good = n->op < SC_CONST;
    k->few = few_of(s, r);
    k->cost = op_cost((Op)n->op);
    for (uint32_t i = 0; i < n->nargs && n->op != SC_READ; i++) {
        const Known *a = of(s, NARG(s->ir, r, i));
        k->cost = k->cost + a->cost < MOST_NUMBER ? k->cost + a->cost : MOST_NUMBER;
        good &= a->nbase >= 0;
        for (int j = 0; j < a->nbase && good; j++) good = add_base(s, k, a->base[j]);
    }
    if (is_base(k->few)) k->nbase = 1, k->base[0] = at, k->cost = 0;
    else if (n->op != SC_CONST && !good) k->nbase = -1;
}

static bool is_table(const Search *s, int at) {
    const Known *k = &s->known[at];
    return k->nbase > 0 && k->cost >= COSTLY && !NODE(s->ir, s->w->list.data[at])->boolean;
}

static void want(const Search *s) {
    for (int i = 0; i < s->w->list.n; i++) {
        Ref r = s->w->list.data[i];
        for (uint32_t j = 0; j < NODE(s->ir, r)->nargs && NODE(s->ir, r)->op != SC_READ; j++)
            of(s, NARG(s->ir, r, j))->wanted |= !is_table(s, i);
    }
}

static KTable table_of(const Search *s, int at) {
    const Known *k = &s->known[at];
    KTable t = {.value = s->w->list.data[at], .nbase = k->nbase};
    for (int i = 0; i < k->nbase; i++) t.base[i] = s->w->list.data[k->base[i]], t.few[i] = s->known[k->base[i]].few;
    return t;
}

void kernel_tables(const IrFunc *f, KKernel *k, Arena *arena) {
    Search s = {.f = f, .ir = f->ir, .w = scalar_walk_new(f->ir)};
    Ref *roots = lq_alloc(((size_t)k->nroots + 1) * sizeof *roots);
    KTable found[MOST_TABLES];
    for (int i = 0; i < k->nroots; i++) roots[i] = k->roots[i].expr;
    scalar_walk(s.w, k->nroots, roots);
    s.known = lq_alloc(((size_t)s.w->list.n + 1) * sizeof *s.known);
    memset(s.known, 0, ((size_t)s.w->list.n + 1) * sizeof *s.known);
    for (int i = 0; i < s.w->list.n; i++) look_at(&s, i);
    want(&s);
    for (int i = 0; i < k->nroots; i++) of(&s, roots[i])->wanted = true;
    for (int i = 0; i < s.w->list.n && k->ntables < MOST_TABLES; i++)
        if (s.known[i].wanted && is_table(&s, i)) found[k->ntables++] = table_of(&s, i);
    k->tables = arena_alloc(arena, (size_t)k->ntables * sizeof *k->tables + 1);
    if (k->ntables) memcpy(k->tables, found, (size_t)k->ntables * sizeof *found);
    free(s.known);
    free(roots);
    scalar_walk_free(s.w);
}

const KTable *kernel_table(const KKernel *k, Ref r) {
    for (int i = 0; i < k->ntables; i++)
        if (k->tables[i].value == r) return &k->tables[i];
    return NULL;
}
