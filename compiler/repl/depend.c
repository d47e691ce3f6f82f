/* depend.c — on what the result of a task depends, so that it is known whether an older one still
 * holds.  Too much is safe, too little would show wrong numbers: whatever a name could mean counts.
 *
 * A task depends on the declarations whose names it mentions, on what these mention, and so on;
 * on the chains whose means it takes; on tasks above that give values to variables it mentions; on the
 * texts of all imported files, the seed, the values set by hand, and the numbers of the random
 * draws that its functions make.  The key of a result is a hash of all that. */
#include "repl.h"

#include <stdlib.h>
#include <string.h>

/* ---- fingerprints --------------------------------------------------------------------------- */

typedef struct Printing {
    const Ir *ir;
    uint64_t *h;                  /* by node */
    int      *loop; int nloops;   /* loops in the order in which they are met */
} Printing;

static uint64_t mix(uint64_t h, uint64_t v) { return lq_hash(&v, sizeof v, h); }

static uint64_t loop_number(Printing *p, uint32_t loop) {
    if (!p->loop[loop]) p->loop[loop] = ++p->nloops;
    return (uint64_t)p->loop[loop];
}

static uint64_t aux_of(Printing *p, const Node *n) {
    const Ir *ir = p->ir;
    switch (n->op) {
    case AR_INPUT: { const char *s = ir->slot_names.data[n->aux]; return lq_hash(s, strlen(s), 1); }
    case AR_CONST: { const ConstData *c = &ir->consts.data[n->aux]; return lq_hash(c->data, (size_t)c->n * sizeof *c->data, 2); }
    case AR_LOOP: return mix(loop_number(p, n->aux), (uint64_t)ir->loops.data[n->aux].trip);
    case AR_CARRY: return loop_number(p, n->aux);
    default: return n->aux;
    }
}

static void print_node(void *ctx, Ref r) {
    Printing *p = ctx;
    const Ir *ir = p->ir;
    const Node *n = NODE(ir, r);
    uint64_t bits, h = mix((uint64_t)n->op << 32 | (uint64_t)n->rank << 24 | (uint64_t)n->nred << 16 | (uint64_t)n->boolean << 1 | n->uniform, aux_of(p, n));
    memcpy(&bits, &n->val, sizeof bits);
    h = mix(h, bits);
    for (int i = 0; i < n->rank + n->nred; i++) h = mix(h, (uint64_t)NDIM(ir, r, i));
    for (uint32_t i = 0; i < n->nargs; i++) h = mix(h, p->h[NARG(ir, r, i)]);
    for (int i = 0; i < n->nidx; i++) {
        const Index *x = NIDX(ir, r, i);
        const Affine *f = aff_get(ir, x->aff);
        uint64_t terms = 0;                          /* in any order: loops have other numbers elsewhere */
        for (int k = 0; k < f->n; k++) {
            uint64_t sym = f->t[k].sym >= SYM_LOOP ? SYM_LOOP + loop_number(p, f->t[k].sym - SYM_LOOP) : f->t[k].sym;
            terms += mix(sym, (uint64_t)f->t[k].c);
        }
        h = mix(mix(mix(h, terms), (uint64_t)f->k), (uint64_t)x->mode << 48 ^ (uint64_t)x->n);
    }
    p->h[r] = h;
}

uint64_t fingerprint(const Ir *ir, Ref root) {
    Printing p = {.ir = ir};
    p.h = calloc((size_t)ir->nodes.n + 1, sizeof *p.h);
    p.loop = calloc((size_t)ir->loops.n + 1, sizeof *p.loop);
    if (!p.h || !p.loop) lq_out_of_memory((size_t)ir->nodes.n * sizeof *p.h);
    ir_walk(ir, 1, &root, print_node, &p);
    uint64_t h = p.h[root];
    free(p.h), free(p.loop);
    return h;
}

typedef struct Draws { const Ir *ir; uint64_t h; } Draws;

static void add_draw(void *ctx, Ref r) {
    Draws *d = ctx;
    if (NODE(d->ir, r)->op == SC_RAND) d->h += mix(7, NODE(d->ir, r)->aux);
}

uint64_t fingerprint_draws(const IrFunc *f) {
    Draws d = {.ir = f->ir};
    if (f->ir && f->nout) ir_walk(f->ir, f->nout, f->out, add_draw, &d);
    return d.h;
}

/* ---- who needs whom --------------------------------------------------------------------------- */

typedef struct Names { const Build *b; bool *seen; int n; int *list; } Names;

static void need(Names *s, int i) {
    if (i < 0 || s->seen[i]) return;
    s->seen[i] = true;
    s->list[s->n++] = i;
}

/* Does the task give values to what is called so? */
static bool gives(const Entry *e, const char *name) {
    return (e->kind == DC_MINIMIZE || e->kind == DC_LOAD || e->kind == DC_KEEP || e->kind == DC_REPORT) && entry_declares(e, name);
}

/* A scan has names of its own inside. */
static bool scan_gives(const Entry *e, const char *name) {
    for (int i = 0; e->kind == DC_SCAN && i < e->mentions.n; i++)
        if (e->mentions.data[i] == name) return true;
    return false;
}

/* The entries that a name in entry `from` may mean; of tasks, those above the task `task`. */
static void need_name(Names *s, const char *name, int task) {
    for (int i = 0; i < s->b->entries.n; i++) {
        const Entry *e = s->b->entries.data[i];
        if (!entry_is_task(e)) {
            if (entry_declares(e, name)) need(s, i);
        } else if (i < task && (gives(e, name) || scan_gives(e, name))) need(s, i);
    }
}

/* The chains that the tasks of entry j are computed from. */
static void need_chains(Names *s, int j) {
    Task *tasks[512];
    int n = build_tasks(s->b, j, tasks, LQ_COUNT(tasks));
    for (int k = 0; k < n && k < LQ_COUNT(tasks); k++) {
        Wishes w = {0};
        wishes_of(tasks[k], &w);
        for (int i = 0; i < w.n; i++) need(s, build_entry_at(s->b, w.data[i].sample->decl->at));
        vec_free(&w);
    }
}

/* Entries that give another meaning to a name of an imported file: every task may feel it. */
static bool hides_import(const Build *b, const Entry *e) {
    for (int k = 0; k < b->s.model->decls.n; k++) {
        const Decl *d = b->s.model->decls.data[k];
        if (build_entry_at(b, d->at) >= 0) continue;
        if (d->name && entry_declares(e, d->name)) return true;
        for (int i = 0; i < d->nnames; i++)
            if (entry_declares(e, d->names[i])) return true;
    }
    return false;
}

/* Everything that the entry is made from, itself left out. */
static void close_over(const Build *b, int i, bool *row, int *list) {
    Names s = {.b = b, .seen = row, .list = list};
    need(&s, i);
    for (int k = 0; k < s.n; k++) {
        int j = list[k];
        const Entry *e = b->entries.data[j];
        for (int m = 0; m < e->mentions.n; m++) need_name(&s, e->mentions.data[m], entry_is_task(b->entries.data[i]) ? i : 0);
        if (entry_is_task(e)) need_chains(&s, j);
    }
    if (entry_is_task(b->entries.data[i]))
        for (int k = 0; k < b->entries.n; k++)
            if (!row[k] && !entry_is_task(b->entries.data[k]) && hides_import(b, b->entries.data[k])) row[k] = true;
    row[i] = false;
}

/* ---- keys ------------------------------------------------------------------------------------------ */

static uint64_t imported(const Build *b, uint64_t h) {
    const Sources *ss = &b->s.front.sources;
    for (int i = 0; i < ss->files.n; i++) {
        const Source *src = ss->files.data[i];
        if (!strcmp(src->path, b->s.model->path) || !strcmp(src->path, "command line")) continue;
        h = lq_hash(src->text, src->len, h);
    }
    return h;
}

/* What was set by hand: a parameter counts where it is used, anything else for all chains. */
static uint64_t set_by_hand(const Repl *r, const Build *b, int i, uint64_t h) {
    for (int k = 0; k < r->o.noverrides; k++) {
        const Override *o = &r->o.overrides[k];
        DeclKind kind = b->entries.data[i]->kind;
        bool param = param_named(b->s.model->elab, o->name) != NULL;
        bool used = !param && (kind == DC_SAMPLE || kind == DC_MINIMIZE || kind == DC_SCAN);
        for (int j = 0; j < b->entries.n; j++)
            used |= (b->needs[i][j] || j == i) && (entry_declares(b->entries.data[j], o->name) || b->entries.data[j]->kind == DC_IMPORT);
        if (!used) continue;
        h = lq_hash(o->name, strlen(o->name), h);
        h = lq_hash(o->text, strlen(o->text), h);
    }
    return h;
}

/* Files may change: what was read from one counts as it is now. */
static uint64_t contents(const Build *b, const Entry *e, uint64_t h) {
    Elab *el = b->s.model->elab;
    for (int i = 0; e->kind == DC_DATA && i < e->names.n; i++) {
        const Value *v = env_find(el->globals, e->names.data[i]);
        if (!v || v->kind != VK_NUM) continue;
        for (int p = 0; p < (v->u.num.complex ? 2 : 1); p++) h = mix(h, fingerprint(el->ir, value_node(el, v, p)));
    }
    return h;
}

/* The random numbers that a task begins with: their numbers count draws of the whole program. */
static uint64_t starts(const Variables *v) {
    uint64_t h = 0;
    for (int i = 0; i < v->n; i++) h += fingerprint_draws(&v->data[i]->start);
    return h;
}

static uint64_t drawn(const Task *t) {
    if (t->kind == TASK_REPORT) return starts(&t->report->uses);
    if (t->kind != TASK_SAMPLE) return 0;
    const SampleTask *s = t->sample;
    return mix(fingerprint_draws(&s->init), fingerprint_draws(&s->step) + starts(&s->init_uses) + starts(&s->step_uses));
}

static uint64_t key_of(const Repl *r, const Build *b, int i) {
    uint64_t h = imported(b, mix(b->entries.data[i]->hash, r->o.run.seed));
    for (int j = 0; j < b->entries.n; j++)
        if (b->needs[i][j]) h = contents(b, b->entries.data[j], mix(h, entry_is_task(b->entries.data[j]) ? b->key[j] : b->entries.data[j]->hash));
    Task *tasks[512];
    int n = build_tasks(b, i, tasks, LQ_COUNT(tasks));
    for (int k = 0; k < n && k < LQ_COUNT(tasks); k++) h = mix(h, drawn(tasks[k]));
    return set_by_hand(r, b, i, h) | 1;
}

void depend_all(Repl *r, Build *b) {
    int n = b->entries.n;
    b->needs = arena_alloc(b->s.arena, ((size_t)n + 1) * sizeof *b->needs);
    b->key = arena_alloc(b->s.arena, ((size_t)n + 1) * sizeof *b->key);
    int *list = arena_alloc(b->s.arena, ((size_t)n + 1) * sizeof *list);
    for (int i = 0; i < n; i++) {
        b->needs[i] = arena_alloc(b->s.arena, (size_t)n * sizeof **b->needs);
        close_over(b, i, b->needs[i], list);
    }
    for (int i = 0; i < n; i++)
        if (entry_is_task(b->entries.data[i])) b->key[i] = key_of(r, b, i);
}
