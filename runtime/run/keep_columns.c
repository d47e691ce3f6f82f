/* keep_columns.c — what the data sets of measurements.h5 are called, and their shapes. */
#include "keep_parts.h"

enum { MAX_NAME = 60 };

/* What is measured of a mean E[x] is x. */
static const char *measured(Arena *a, const char *text) {
    size_t n = strlen(text);
    return n > 3 && !strncmp(text, "E[", 2) && text[n - 1] == ']' ? arena_strndup(a, text + 2, n - 3) : text;
}

/* A name for a dataset: no slash in it, not too long, and nobody else's. */
static const char *column_name(Arena *a, const char *text, const StoreColumn *taken, int n) {
    Text t = {0};
    for (const char *c = text; *c && t.n < MAX_NAME; c++) {
        if (*c == '/') text_printf(&t, "∕");
        else if (*c == '\n' || *c == ' ') { if (t.n && t.s[t.n - 1] != ' ') text_putn(&t, " ", 1); }
        else text_putn(&t, c, 1);
    }
    while (t.n && (t.s[t.n - 1] & 0xC0) == 0x80 && text[t.n] && (text[t.n] & 0xC0) == 0x80) t.n--;     /* no letter cut in two */
    const char *base = t.n && strcmp(t.s, ".") ? arena_strndup(a, t.s, t.n) : "value", *name = base;
    text_free(&t);
    for (int k = 2, i = 0; i < n; i++)
        if (!strcmp(taken[i].name, name)) name = arena_printf(a, "%s.%d", base, k++), i = -1;
    return name;
}

/* Primaries, then monitors. */
StoreColumn *columns_of(Arena *a, const SampleData *d, int *n) {
    const RunSample *t = d->task;
    *n = d->nprimaries + d->nstats;
    StoreColumn *c = arena_alloc(a, (size_t)(*n + 1) * sizeof *c);
    for (int i = 0; i < d->nprimaries; i++) {
        const RunPrimary *p = &t->primaries[i];
        c[i] = (StoreColumn){.name = column_name(a, measured(a, p->at.text), c, i), .stride = d->primaries[i].stride, .about = p->at.text};
        if (p->complex) c[i].shape[c[i].rank++] = 2, c[i].about = arena_printf(a, "%s: real part, imaginary part", p->at.text);
        for (int k = 0; k < p->shape.rank; k++) c[i].shape[c[i].rank++] = p->shape.dim[k];
    }
    for (int i = 0; i < d->nstats; i++) {
        const char *name = i < t->nmonitors ? t->monitors[i].name : arena_printf(a, "monitor.%d", i);
        StoreColumn *s = &c[d->nprimaries + i];
        *s = (StoreColumn){.name = column_name(a, name, c, d->nprimaries + i), .stride = 1, .about = "what the method watches"};
    }
    return c;
}

const char *group_name(RunResult *r, int sample) {
    const RunSample *t = &r->program->samples[sample];
    const char *base = t->ntargets ? t->targets[0] : "sample";
    int before = 0;
    for (int i = 0; i < sample; i++)
        before += !strcmp(r->program->samples[i].ntargets ? r->program->samples[i].targets[0] : "sample", base);
    Text s = {0};
    for (const char *c = base; *c; c++) text_putn(&s, *c == '/' ? "_" : c, 1);
    const char *name = before ? arena_printf(r->arena, "%.*s.%d", (int)s.n, s.s, before + 1) : arena_strndup(r->arena, s.s, s.n);
    text_free(&s);
    return name;
}
