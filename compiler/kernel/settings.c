/* settings.c — the constants of a program that depend on settings: executors read them from a table
 * in this order, which depends on the program alone and not on their values. */
#include "kernel.h"
#include "../ir/schedule.h"

#include <stdlib.h>

typedef struct Collecting { KProgram *p; ScalarWalk *w; Arena *arena; VEC(Ref) found; } Collecting;

int kernel_setting(const KProgram *p, Ref r) {
    for (int i = 0; i < p->nsettings; i++)
        if (p->settings[i] == r) return i;
    return -1;
}

static void collect(Collecting *c, const KStmt *s, int n) {
    for (int i = 0; i < n; i++) {
        if (s[i].kind == KS_LOOP) collect(c, s[i].u.loop.body, s[i].u.loop.nbody);
        if (s[i].kind != KS_KERNEL) continue;
        VEC(Ref) roots = {0};
        for (int k = 0; k < s[i].u.kernel.nroots; k++) vec_push(&roots, s[i].u.kernel.roots[k].expr);
        scalar_walk(c->w, roots.n, roots.data);
        vec_free(&roots);
        for (int k = 0; k < c->w->list.n; k++) {
            Ref r = c->w->list.data[k];
            bool known = !ir_recipe(c->p->ir, r);
            for (int j = 0; j < c->found.n && !known; j++) known = c->found.data[j] == r;
            if (!known) vec_push(&c->found, r);
        }
    }
}

void kernel_collect_settings(KProgram *p, Arena *arena) {
    Collecting c = {.p = p, .w = scalar_walk_new(p->ir), .arena = arena};
    collect(&c, p->stmts, p->nstmts);
    p->nsettings = c.found.n;
    p->settings = arena_alloc(arena, (size_t)(c.found.n + 1) * sizeof *p->settings);
    for (int i = 0; i < c.found.n; i++) p->settings[i] = c.found.data[i];
    vec_free(&c.found);
    scalar_walk_free(c.w);
}
