/* show.c — lqft show FILE WHAT: what the compiler derived and what it made of it. */
#include "run.h"
#include "../ir/notation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The names of the axes of an array over the sets of a field: x for lattices. */
static int field_axes(const FieldInfo *f, NotationAxis *axes) {
    static const char *const letters[] = {"x", "y", "z", "u", "v", "w", "s", "t"};
    int n = 0;
    for (int i = 0; i < f->nsets; i++)
        for (int k = 0; k < f->sets[i]->rank; k++)
            axes[n++] = (NotationAxis){letters[i], k, f->sets[i]->kind == SET_LATTICE && f->sets[i]->rank > 1 ? f->sets[i]->rank : 0};
    return n;
}

static void print_force(Elab *e, const Decl *d, const FieldInfo *f, const Value *grad) {
    static const char *const part_name[] = {"", "Re ", "Im "};
    for (int p = 0; p < (grad->u.num.complex ? 2 : 1); p++) {
        Ref node = value_node(e, grad, p);
        simplify_roots(e->ir, 1, &node);
        NotationAxis axes[IR_MAX_RANK];
        NotationNames names = {axes, field_axes(f, axes)};
        Text t = {0};
        notation_print(e->ir, node, &names, &t);
        printf("%sd%s/d%s", part_name[grad->u.num.complex ? p + 1 : 0], d->name, f->name);
        if (f->nsets) printf("[");
        for (int i = 0, k = 0; i < f->nsets; k += f->sets[i]->rank, i++) printf("%s%s", i ? ", " : "", axes[k].name);
        printf("%s = %s\n", f->nsets ? "]" : "", t.s ? t.s : "0");
        text_free(&t);
    }
}




static void show_force(Session *s) {
    Elab *e = s->model->elab;
    for (int i = 0; i < s->model->decls.n; i++) {
        const Decl *d = s->model->decls.data[i];
        const Value *point[16];
        const FieldInfo *fields[16];
        if (d->kind != DC_ACTION || d->nparams > 16) continue;
        const Value *g = action_gradient(e, d, point, fields);
        if (!g || g->kind == VK_ERROR) continue;
        for (int k = 0; k < d->nparams; k++) print_force(e, d, fields[k], g->kind == VK_TUPLE ? g->u.tuple.items[k] : g);
    }
}

static void show_functions(Session *s, const RunOptions *o, const char *what) {
    for (int i = 0; i < s->plan->tasks.n; i++) {
        const Task *t = s->plan->tasks.data[i];
        if (t->kind != TASK_SAMPLE) continue;
        const IrFunc *f[] = {&t->sample->init, &t->sample->step, &t->sample->measure};
        KProgram *programs[LQ_COUNT(f)];
        KLanes lanes;
        for (int k = 0; k < LQ_COUNT(f) && !strcmp(what, "ir"); k++) ir_print_func(f[k], stdout);
        if (!strcmp(what, "ir")) continue;
        const char *broken = fuse_together(f, LQ_COUNT(f), t->sample->chains, o, s->arena, programs, &lanes);
        if (broken) fprintf(stderr, "lqft: internal error: %s\n", broken);
        if (broken) continue;
        if (!strcmp(what, "kernels")) {
            for (int k = 0; k < LQ_COUNT(f); k++) kernel_print(programs[k], stdout);
            printf("%s\n", o->lanes == LANES_CHEAPEST ? lanes.why : lanes.sites ? "lanes are sites, as was asked for" : "lanes are chains, as was asked for");
            continue;
        }
        char err[512] = "";
        BackendOptions b = {.lanes = lanes.lanes, .sites = lanes.sites, .optimize = 1, .dump = true};
        Compiled *c = backend_native.compile(programs, LQ_COUNT(f), &b, err, sizeof err);
        if (c) backend_native.release(c);
        else fprintf(stderr, "lqft: %s\n", err);
    }
}

static void show_ast(Session *s) {
    Program p = {0};
    for (int i = 0; i < s->model->decls.n; i++) vec_push(&p.decls, (Decl *)s->model->decls.data[i]);
    for (int i = 0; i < s->model->tasks.n; i++) vec_push(&p.decls, (Decl *)s->model->tasks.data[i]);
    ast_print(&p, stdout);
    vec_free(&p.decls);
}

void show_session(Session *s, const RunOptions *o, const char *what) {
    if (!strcmp(what, "force")) show_force(s);
    else if (!strcmp(what, "ast")) show_ast(s);
    else show_functions(s, o, what);
}

int show_model(const RunOptions *o, const char *what) {
    static const char *const known[] = {"ast", "force", "ir", "kernels", "llvm"};
    bool found = false;
    for (int i = 0; i < LQ_COUNT(known); i++) found |= !strcmp(what, known[i]);
    if (!found) {
        const char *near = diag_nearest(what, known, LQ_COUNT(known));
        fprintf(stderr, "lqft: `show` knows ast, force, ir, kernels and llvm, not `%s`%s%s%s\n", what,
                near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
        return 2;
    }
    Session s;
    session_open(&s, o, false);
    int status = session_check(&s, o);
    if (status == 0) show_session(&s, o, what);
    session_close(&s);
    return status;
}
