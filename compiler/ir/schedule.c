/* schedule.c — order of evaluation: see schedule.h.
 * Requires a graph that ir_verify accepts, or the part of it already checked. */
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

/* ---- sets of loops ------------------------------------------------------------ */

static const LoopSet no_loops;

bool loopset_has(const LoopSet *s, uint32_t loop)
{
    for (int i = 0; i < s->n; i++)
        if (s->loop[i] == loop) return true;
    return false;
}

static bool subset(const LoopSet *a, const LoopSet *b)
{
    for (int i = 0; i < a->n; i++)
        if (!loopset_has(b, a->loop[i])) return false;
    return true;
}

static LoopSet *new_set(Schedule *s, int cap)
{
    return arena_alloc(s->arena, sizeof(LoopSet) + (size_t)cap * sizeof(uint32_t));
}

/* Nearly always one set contains the other, so that nodes share few sets. */
static const LoopSet *set_union(Schedule *s, const LoopSet *a, const LoopSet *b)
{
    if (subset(b, a)) return a;
    if (subset(a, b)) return b;
    LoopSet *u = new_set(s, a->n + b->n);
    for (int i = 0, j = 0; i < a->n || j < b->n;) {
        uint32_t x = i < a->n ? a->loop[i] : UINT32_MAX, y = j < b->n ? b->loop[j] : UINT32_MAX;
        u->loop[u->n++] = x < y ? x : y;
        i += x <= y, j += y <= x;
    }
    return u;
}

static const LoopSet *set_with(Schedule *s, const LoopSet *a, uint32_t loop)
{
    if (loopset_has(a, loop)) return a;
    LoopSet *one = new_set(s, 1);
    one->n = 1, one->loop[0] = loop;
    return set_union(s, a, one);
}

static const LoopSet *set_without(Schedule *s, const LoopSet *a, uint32_t loop)
{
    if (!loopset_has(a, loop)) return a;
    LoopSet *rest = new_set(s, a->n);
    for (int i = 0; i < a->n; i++)
        if (a->loop[i] != loop) rest->loop[rest->n++] = a->loop[i];
    return rest;
}

/* ---- what each node depends on -------------------------------------------------- */

static const LoopSet *deps_of(Schedule *s, Ref r)
{
    const Ir *ir = s->ir;
    const Node *n = NODE(ir, r);
    if (n->op == AR_CARRY) return set_with(s, &no_loops, n->aux);
    const LoopSet *deps = &no_loops;
    for (uint32_t i = 0; i < n->nargs; i++) {
        const LoopSet *d = s->deps[PLACE(s, NARG(ir, r, i))];
        bool next = n->op == AR_LOOP && i >= n->nargs / 2;
        deps = set_union(s, deps, next ? set_without(s, d, n->aux) : d);
    }
    for (int i = 0; i < n->nidx; i++) {
        const Affine *f = aff_get(ir, NIDX(ir, r, i)->aff);
        for (int j = 0; j < f->n; j++)
            if (f->t[j].sym >= SYM_LOOP) deps = set_with(s, deps, f->t[j].sym - SYM_LOOP);
    }
    return deps;
}

static void visit(void *ctx, Ref r)
{
    Schedule *s = ctx;
    vec_push(&s->nodes, r);
    s->place[r] = (uint32_t)s->nodes.n;
}

/* ---- sections ------------------------------------------------------------------- */

/* Nesting depth by loop number.  Outer loops stand after what is inside them, so
 * going backwards meets them first. */
static int *loop_depths(const Schedule *s)
{
    const Ir *ir = s->ir;
    int *depth = arena_alloc(s->arena, (size_t)ir->loops.n * sizeof *depth);
    for (int i = s->nodes.n - 1; i >= 0; i--) {
        const Node *n = NODE(ir, s->nodes.data[i]);
        if (n->op != AR_LOOP) continue;
        int outer = 0;
        for (int j = 0; j < s->deps[i]->n; j++) {
            int d = depth[s->deps[i]->loop[j]];
            if (d > outer) outer = d;
        }
        if (depth[n->aux] <= outer) depth[n->aux] = outer + 1;
    }
    return depth;
}

static bool belongs_to(const LoopSet *deps, uint32_t loop, const int *depth)
{
    for (int i = 0; i < deps->n; i++)
        if (depth[deps->loop[i]] > depth[loop]) return false;
    return loopset_has(deps, loop);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static Section section_of(Schedule *s, int n, uint32_t *positions)
{
    Section out = {arena_alloc(s->arena, (size_t)n * sizeof(Ref)), n};
    if (n) qsort(positions, (size_t)n, sizeof *positions, by_number);
    for (int i = 0; i < n; i++) out.node[i] = s->nodes.data[positions[i]];
    return out;
}

/* The nodes between the loop's next values and whatever does not depend on it.
 * seen[position] == the loop's own position + 1 marks nodes already met. */
static Section loop_section(Schedule *s, Ref loop, const int *depth, uint32_t *seen)
{
    const Ir *ir = s->ir;
    uint32_t number = NODE(ir, loop)->aux, nargs = NODE(ir, loop)->nargs;
    VEC(uint32_t) stack = {0}, found = {0};
    for (uint32_t i = nargs / 2; i < nargs; i++) vec_push(&stack, PLACE(s, NARG(ir, loop, i)));
    while (stack.n) {
        uint32_t at = stack.data[--stack.n];
        if (seen[at] == s->place[loop] || !loopset_has(s->deps[at], number)) continue;
        seen[at] = s->place[loop];
        Ref r = s->nodes.data[at];
        if (ir_is_array(ir, r) && belongs_to(s->deps[at], number, depth)) vec_push(&found, at);
        for (uint32_t i = 0; i < NODE(ir, r)->nargs; i++)
            vec_push(&stack, PLACE(s, NARG(ir, r, i)));
    }
    Section body = section_of(s, found.n, found.data);
    vec_free(&stack);
    vec_free(&found);
    return body;
}

static void find_sections(Schedule *s)
{
    const Ir *ir = s->ir;
    int *depth = loop_depths(s);
    uint32_t *seen = arena_alloc(s->arena, (size_t)s->nodes.n * sizeof *seen);
    VEC(uint32_t) top = {0};
    for (int i = 0; i < s->nodes.n; i++) {
        Ref r = s->nodes.data[i];
        if (!ir_is_array(ir, r)) continue;
        if (s->deps[i]->n == 0) vec_push(&top, (uint32_t)i);
        if (NODE(ir, r)->op == AR_LOOP) s->body[i] = loop_section(s, r, depth, seen);
    }
    s->top = section_of(s, top.n, top.data);
    vec_free(&top);
}

Schedule *schedule_new(const Ir *ir, int n, const Ref *roots)
{
    Schedule *s = lq_alloc(sizeof *s);
    *s = (Schedule){.ir = ir, .arena = arena_new()};
    s->place = calloc((size_t)ir->nodes.n, sizeof *s->place);
    if (!s->place) lq_out_of_memory((size_t)ir->nodes.n * sizeof *s->place);
    ir_walk(ir, n, roots, visit, s);
    s->deps = arena_alloc(s->arena, (size_t)s->nodes.n * sizeof *s->deps);
    s->body = arena_alloc(s->arena, (size_t)s->nodes.n * sizeof *s->body);
    for (int i = 0; i < s->nodes.n; i++) s->deps[i] = deps_of(s, s->nodes.data[i]);
    find_sections(s);
    return s;
}

void schedule_free(Schedule *s)
{
    if (!s) return;
    vec_free(&s->nodes);
    free(s->place);
    arena_free(s->arena);
    free(s);
}

/* ---- bodies ---------------------------------------------------------------------- */

ScalarWalk *scalar_walk_new(const Ir *ir)
{
    ScalarWalk *w = lq_alloc(sizeof *w);
    *w = (ScalarWalk){.ir = ir};
    w->place = calloc((size_t)ir->nodes.n, sizeof *w->place);
    if (!w->place) lq_out_of_memory((size_t)ir->nodes.n * sizeof *w->place);
    return w;
}

void scalar_walk_free(ScalarWalk *w)
{
    if (!w) return;
    free(w->place);
    vec_free(&w->list);
    vec_free(&w->stack);
    free(w);
}

void scalar_walk(ScalarWalk *w, int n, const Ref *roots)
{
    const Ir *ir = w->ir;
    for (int i = 0; i < w->list.n; i++) w->place[w->list.data[i]] = 0;
    w->list.n = w->stack.n = 0;
    for (int i = n - 1; i >= 0; i--) vec_push(&w->stack, roots[i]);
    while (w->stack.n) {
        Ref r = w->stack.data[w->stack.n - 1];
        int depth = w->stack.n;
        if (!w->place[r])
            for (int i = (int)NODE(ir, r)->nargs - 1; i >= 0; i--) {
                Ref a = NARG(ir, r, i);
                if (!ir_is_array(ir, a) && !w->place[a]) vec_push(&w->stack, a);
            }
        if (w->stack.n > depth) continue;   /* arguments first */
        w->stack.n--;
        if (w->place[r]) continue;
        vec_push(&w->list, r);
        w->place[r] = (uint32_t)w->list.n;
    }
}
