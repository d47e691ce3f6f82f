/* settings.c — what may be set of a program that is compiled: the sizes of its samples, on which no
 * code depends, and parameters that are open. */
#include "settings.h"

#include "../ops.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

typedef struct Size { const char *name, *what; int64_t lo, hi; size_t at; } Size;
static const Size sizes[] = {
    {"chains", "independent chains of each sample", 1, 1 << 20, offsetof(RunSample, chains)},
    {"warmup", "steps before the first draw", 0, 1000000000, offsetof(RunSample, warmup)},
    {"draws", "measured configurations of each chain", 1, 1000000000, offsetof(RunSample, draws)},
    {"thin", "steps from one draw to the next", 1, 1000000000, offsetof(RunSample, thin)},
};

static int64_t *size_of(RunSample *s, const Size *z) { return (int64_t *)((char *)s + z->at); }

static const RunParam *param_named(const RunProgram *p, const char *name) {
    for (int i = 0; i < p->nparams; i++)
        if (!strcmp(p->params[i].name, name)) return &p->params[i];
    return NULL;
}

static int set_size(RunProgram *p, const Size *z, const char *value, char *err, size_t errlen) {
    int64_t v;
    if (!argument_count(value, z->lo, z->hi, &v))
        return snprintf(err, errlen, "`%s` is a whole number from %lld to %lld, not `%.60s`", z->name, (long long)z->lo, (long long)z->hi, value), 2;
    bool any = false;
    for (int i = 0; i < p->nsamples; i++)
        if (!p->samples[i].minimizes) *size_of(&p->samples[i], z) = v, any = true;
    return any ? 0 : (snprintf(err, errlen, "there is no sample whose `%s` could be set", z->name), 2);
}

static bool parse_value(const RunParam *q, const char *text, double *v) {
    char *end;
    if (q && q->boolean && (!strcmp(text, "true") || !strcmp(text, "false"))) return *v = *text == 't', true;
    if (isspace((unsigned char)*text)) return false;
    *v = strtod(text, &end);
    return end != text && !*end && isfinite(*v);
}

void settings_compute(const RunProgram *p, double *values) {
    for (int i = 0; i < p->nrecipes; i++) {
        const RunRecipe *r = &p->recipes[i];
        const RunSetting *s = r->setting < 0 ? NULL : &p->settings[r->setting];
        if (s) values[i] = s->given || s->dflt < 0 ? s->value : values[s->dflt];
        else if (r->op) values[i] = lq_op_value(r->op, values[r->arg[0]], values[r->arg[1]], values[r->arg[2]]);
        else values[i] = r->value;
        if (values[i] == 0) values[i] = 0;                /* one zero, as in the compiler */
    }
}

static bool is_inside(const RunParam *q, double v) {
    return !q->bounds || ((q->lo_open ? v > q->lo : v >= q->lo) && (q->hi_open ? v < q->hi : v <= q->hi));
}

int settings_settle(RunProgram *p, char *err, size_t errlen) {
    double *values = lq_alloc(((size_t)p->nrecipes + 1) * sizeof *values);
    int status = 0;
    settings_compute(p, values);
    for (int i = 0; i < p->nrecipes; i++) {
        RunParam *q = p->recipes[i].setting < 0 ? NULL : (RunParam *)param_named(p, p->settings[p->recipes[i].setting].name);
        if (!q) continue;
        q->value = values[i];
        if (status || is_inside(q, q->value)) continue;
        status = 2;
        snprintf(err, errlen, "`%s` = %.10g lies outside its bounds %s", q->name, q->value, q->bounds);
    }
    free(values);
    return status;
}

int settings_keep(const RunProgram *p, char *err, size_t errlen) {
    for (int i = 0; i < p->ntasks; i++) {
        const RunTask *t = &p->tasks[i];
        if (t->kind != TASK_KEEP) continue;
        const RunSample *s = &p->samples[t->sample];
        const RunVariable *v = &p->variables[t->variables.at[0]];
        int64_t each = shape_elements(&s->primaries[t->kept].shape), kept = v->n / (each ? each : 1);
        if (kept > s->chains * s->draws)
            return snprintf(err, errlen, "`%s` keeps %lld configurations, and the sample has %lld: take more draws, or more chains", v->name, (long long)kept, (long long)(s->chains * s->draws)), 2;
    }
    return 0;
}

static int refuse(const RunParam *q, const char *name, double is, const char *why, const char *value, char *err, size_t errlen) {
    if (q && q->boolean) snprintf(err, errlen, "`%s` is %s in this executable: a truth value decides what is compiled", name, is != 0 ? "true" : "false");
    else snprintf(err, errlen, "`%s` is %.10g in this executable, and cannot be %.60s: %s", name, is, value, why ? why : "it was fixed when it was built");
    return 2;
}

/* All settings of that name: several methods may have an option of one name. */
static int set_number(RunProgram *p, const RunParam *q, const char *name, const char *value, char *err, size_t errlen) {
    double v;
    int found = 0;
    if (!parse_value(q, value, &v)) return snprintf(err, errlen, "`%s` is a %s, not `%.60s`", name, q && q->boolean ? "truth value" : "finite number", value), 2;
    if (q && q->boolean) return v == q->value ? 0 : refuse(q, name, q->value, q->fixed, value, err, errlen);
    for (int i = 0; i < p->nsettings; i++) {
        RunSetting *s = &p->settings[i];
        if (strcmp(s->name, name)) continue;
        if (s->fixed && v != s->value) return refuse(q, name, s->value, s->fixed, value, err, errlen);
        s->value = v, s->given = true, found++;
    }
    if (!found && q && v != q->value) return refuse(q, name, q->value, q->fixed, value, err, errlen);
    return 0;
}

static bool has_setting(const RunProgram *p, const char *name) {
    for (int i = 0; i < p->nsettings; i++)
        if (!strcmp(p->settings[i].name, name)) return true;
    return false;
}

/* The name that was meant, or all that there are. */
static int unknown(const RunProgram *p, const char *name, char *err, size_t errlen) {
    VEC(const char *) names = {0};
    for (int i = 0; i < LQ_COUNT(sizes); i++) vec_push(&names, sizes[i].name);
    for (int i = 0; i < p->nparams; i++) vec_push(&names, p->params[i].name);
    for (int i = 0; i < p->nsettings; i++)
        if (!param_named(p, p->settings[i].name)) vec_push(&names, p->settings[i].name);
    const char *near = lq_nearest(name, names.data, names.n);
    Text t = {0};
    text_printf(&t, "there is nothing called `%.60s`; ", name);
    if (near) text_printf(&t, "did you mean `%s`?", near);
    else text_printf(&t, "there are");
    for (int i = 0; i < names.n && !near; i++) text_printf(&t, " %s", names.data[i]);
    snprintf(err, errlen, "%s", t.s);
    text_free(&t);
    vec_free(&names);
    return 2;
}

int setting_set(RunProgram *p, const char *name, const char *value, char *err, size_t errlen) {
    for (int i = 0; i < LQ_COUNT(sizes); i++)
        if (!strcmp(sizes[i].name, name)) return set_size(p, &sizes[i], value, err, errlen);
    const RunParam *q = param_named(p, name);
    if (q || has_setting(p, name)) return set_number(p, q, name, value, err, errlen);
    return unknown(p, name, err, errlen);
}

double setting_value(const RunProgram *p, const RunSample *s, const char *name) {
    const RunParam *q = param_named(p, name);
    for (int i = 0; i < LQ_COUNT(sizes); i++)
        if (!strcmp(sizes[i].name, name)) return (double)*size_of((RunSample *)s, &sizes[i]);
    if (q) return q->value;
    for (int i = 0; i < p->nsettings; i++)
        if (!strcmp(p->settings[i].name, name)) return p->settings[i].value;
    return NAN;
}

/* A doc comment, its lines below each other. */
static void list_doc(const char *doc, FILE *out) {
    while (doc && *doc) {
        size_t n = strcspn(doc, "\n");
        fprintf(out, "      %.*s\n", (int)n, doc);
        doc += n + (doc[n] == '\n');
    }
}

static const char *fixed_reason(const RunProgram *p, const char *name) {
    for (int i = 0; i < p->nsettings; i++)
        if (!strcmp(p->settings[i].name, name) && p->settings[i].fixed) return p->settings[i].fixed;
    return NULL;
}

/* Why there is no other value; or which there are (variants.c). */
static void list_fixed(const char *why, FILE *out) {
    if (why) fprintf(out, "      %s%s\n", strncmp(why, "one of ", 7) ? "fixed: " : "", why);
}

static void list_param(const RunProgram *p, const RunParam *q, FILE *out) {
    const char *fixed = q->fixed ? q->fixed : q->boolean ? "truth values decide what is compiled" : fixed_reason(p, q->name);
    if (q->boolean) fprintf(out, "  %s=%s", q->name, q->value != 0 ? "true" : "false");
    else fprintf(out, "  %s=%.10g", q->name, q->value);
    fprintf(out, "    %s%s%s\n", q->boolean ? "truth value" : "real", q->bounds ? " in " : "", q->bounds ? q->bounds : "");
    list_doc(q->doc, out);
    list_fixed(fixed, out);
}

/* Options of methods, each name once. */
static void list_option(const RunProgram *p, int k, FILE *out) {
    const RunSetting *s = &p->settings[k];
    for (int i = 0; i < k; i++)
        if (!strcmp(p->settings[i].name, s->name)) return;
    const char *fixed = fixed_reason(p, s->name);
    fprintf(out, "  %s=%.10g    option of a method\n", s->name, s->value);
    list_fixed(fixed, out);
}

void settings_list(const RunProgram *p, FILE *out) {
    for (int i = 0; i < p->nparams; i++) list_param(p, &p->params[i], out);
    for (int i = 0; i < p->nsettings; i++)
        if (!param_named(p, p->settings[i].name)) list_option(p, i, out);
    for (int i = 0; i < LQ_COUNT(sizes); i++) {
        const RunSample *s = NULL;
        for (int k = 0; k < p->nsamples && !s; k++)
            if (!p->samples[k].minimizes) s = &p->samples[k];
        if (s) fprintf(out, "  %s=%lld    %s\n", sizes[i].name, (long long)*size_of((RunSample *)s, &sizes[i]), sizes[i].what);
    }
}
