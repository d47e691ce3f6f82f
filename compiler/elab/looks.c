/* looks.c — the settings of `plot` (language reference §8.4): labels, units, logarithmic axes,
 * how curves are drawn. */
#include "plan.h"

#include <string.h>

/* The number of a word among the choices, or -1 after a message. */
static int chosen(Elab *e, const Option *o, const char *const *choices, int n) {
    const Expr *x = o->value;
    for (int i = 0; i < n && x->kind == EX_NAME; i++)
        if (!strcmp(x->name, choices[i])) return i;
    Diag *d = elab_error(e, "E0321", x->at, "`%s` is one of the words %s", o->name, n == 3 ? "x, y and xy" : "points, line, band and steps");
    const char *near = x->kind == EX_NAME ? diag_nearest(x->name, choices, n) : NULL;
    if (near) diag_help(&e->front->sink, d, "did you mean `%s`?", near);
    return -1;
}

static void read_setting(Elab *e, const Option *o, PlotLook *look) {
    static const char *const names[] = {"title", "xlabel", "ylabel", "xunit", "yunit", "log", "style"};
    static const char *const logs[] = {"x", "y", "xy"}, *const styles[] = {"points", "line", "band", "steps"};
    const char **texts[] = {&look->title, &look->xlabel, &look->ylabel, &look->xunit, &look->yunit};
    for (int i = 0; i < LQ_COUNT(texts); i++) {
        if (strcmp(o->name, names[i]) != 0) continue;
        if (o->value->kind == EX_STR) *texts[i] = o->value->name;
        else elab_error(e, "E0321", o->value->at, "`%s` is a text in quotes", o->name);
        return;
    }
    if (!strcmp(o->name, "log")) {
        int which = chosen(e, o, logs, LQ_COUNT(logs));
        look->log_x = which == 0 || which == 2, look->log_y = which == 1 || which == 2;
    } else if (!strcmp(o->name, "style")) {
        look->style = (PlotStyle)(1 + chosen(e, o, styles, LQ_COUNT(styles)));
    } else {
        Diag *d = elab_error(e, "E0321", o->at, "`plot` has no setting `%s`", o->name);
        const char *near = diag_nearest(o->name, names, LQ_COUNT(names));
        if (near) diag_help(&e->front->sink, d, "did you mean `%s`?", near);
    }
}

PlotLook plan_look(Elab *e, const Decl *d) {
    PlotLook look = {0};
    for (int i = 0; i < d->nsettings; i++) read_setting(e, &d->settings[i], &look);
    return look;
}
