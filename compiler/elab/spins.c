/* spins.c — a step of a sampler must leave spins +1 or -1.  That is proved from the text of
 * the step, not tried: a method that moves spins as real numbers samples another model. */
#include "elab.h"

#include <stdlib.h>

typedef VEC(Ref) Refs;

static bool signs(Elab *e, const Value *v, const Refs *known) {
    return !v->u.num.complex && ir_is_signs(e->ir, value_node(e, v, false), known->n, known->data);
}

/* The inputs that hold signs before every step: the spins, and of the sampler's own state what starts as
 * signs.  `dropped`: state variables found to become something else. */
static void known_signs(Elab *e, const SampleTask *t, const Value *q, const uint8_t *dropped, Refs *known) {
    known->n = 0;
    for (int i = 0; i < t->target.n; i++)
        if (t->target.fields[i]->kind == FIELD_SPIN) vec_push(known, value_node(e, value_item(q, i), false));
    Refs fields = *known;
    int nfields = known->n;
    for (int i = 0; i < t->frame.states.n; i++) {
        const StateVar *v = &t->frame.states.data[i];
        fields = (Refs){.data = known->data, .n = nfields};
        if (!dropped[i] && signs(e, v->init, &fields)) vec_push(known, value_node(e, v->in, false));
    }
}

/* Drops state variables until those left stay signs; true when none had to go. */
static bool drop(Elab *e, const SampleTask *t, uint8_t *dropped, const Refs *known) {
    bool stable = true;
    for (int i = 0; i < t->frame.states.n; i++) {
        const StateVar *v = &t->frame.states.data[i];
        if (dropped[i] || signs(e, v->out, known)) continue;
        dropped[i] = 1, stable = false;
    }
    return stable;
}

bool spins_stay(Elab *e, const SampleTask *t, const Value *q) {
    const FieldInfo *spins = NULL;
    for (int i = 0; i < t->target.n; i++)
        if (t->target.fields[i]->kind == FIELD_SPIN) spins = t->target.fields[i];
    if (!spins) return true;
    uint8_t *dropped = arena_alloc(e->arena, (size_t)t->frame.states.n + 1);
    Refs known = {0};
    do known_signs(e, t, q, dropped, &known);
    while (!drop(e, t, dropped, &known));
    const FieldInfo *bad = NULL;
    for (int i = 0; i < t->target.n && !bad; i++)
        if (t->target.fields[i]->kind == FIELD_SPIN && !signs(e, value_item(t->frame.q, i), &known)) bad = t->target.fields[i];
    vec_free(&known);
    if (!bad) return true;
    Diag *d = elab_error(e, "E0507", t->decl->method->at, "`%s` gives the spins `%s` values that need not be +1 or -1", t->sampler, bad->name);
    diag_label(&e->front->sink, d, bad->at, "declared here");
    diag_help(&e->front->sink, d, "choose a method that flips spins; one of your own may write `if … then -s else s`");
    return false;
}

void spins_mark(Elab *e, SampleTask *t) {
    IrFunc *f = &t->step;
    f->signs = arena_alloc(e->arena, (size_t)t->target.n * sizeof *f->signs + 1);
    for (int i = 0, at = 0; i < t->target.n; i++) {
        bool spins = t->target.fields[i]->kind == FIELD_SPIN;
        if (spins && ir_is_signs(e->ir, t->start.data[at], 0, NULL)) f->signs[f->nsigns++] = t->state_in.data[at];
        at += t->target.fields[i]->kind == FIELD_COMPLEX ? 2 : 1;
    }
}
