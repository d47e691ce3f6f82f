/* variants.c — which of the payloads of an executable runs. */
#include "variants.h"

#include <stdlib.h>
#include <string.h>

/* A line name=value; *next: the one behind it, NULL at the end. */
typedef struct Line { const char *name, *value; size_t name_n, value_n; } Line;

static bool next_line(const char **next, Line *l) {
    const char *s = *next, *end = s + strcspn(s, "\n"), *equals = memchr(s, '=', (size_t)(end - s));
    if (!equals) return false;
    *l = (Line){s, equals + 1, (size_t)(equals - s), (size_t)(end - equals - 1)};
    *next = end + (*end == '\n');
    return true;
}

static bool is_name(const Line *l, const char *name) { return strlen(name) == l->name_n && !memcmp(l->name, name, l->name_n); }

static bool same_value(const Line *l, const char *text) {
    char own[64], *end, *other;
    if (l->value_n >= sizeof own) return false;
    memcpy(own, l->value, l->value_n);
    own[l->value_n] = 0;
    double a = strtod(own, &end), b = strtod(text, &other);
    if (*own && !*end && *text && !*other) return a == b;
    return !strcmp(own, text);
}

/* "16, 32, 64"; NULL: all variants agree on it, or know nothing of it. */
static const char *values_of(const Payloads *all, const char *name, Arena *arena) {
    Text t = {0};
    Line l;
    for (int i = 0; i < all->n; i++)
        for (const char *s = all->variants[i].values; next_line(&s, &l);) {
            if (!is_name(&l, name)) continue;
            bool before = false;
            Line m;
            for (int k = 0; k < i && !before; k++)
                for (const char *q = all->variants[k].values; next_line(&q, &m);)
                    before |= is_name(&m, name) && m.value_n == l.value_n && !memcmp(m.value, l.value, l.value_n);
            if (!before) text_printf(&t, "%s%.*s", t.n ? ", " : "", (int)l.value_n, l.value);
        }
    const char *s = t.n ? arena_strndup(arena, t.s, t.n) : NULL;
    text_free(&t);
    return s;
}

static bool fits(const char *values, int n, const Given *given) {
    Line l;
    for (const char *s = values; next_line(&s, &l);)
        for (int i = 0; i < n; i++)
            if (is_name(&l, given[i].name) && !same_value(&l, given[i].text)) return false;
    return true;
}

int variant_choose(const Payloads *all, int n, const Given *given, Arena *arena, char *err, size_t errlen) {
    for (int i = 0; i < all->n; i++)
        if (fits(all->variants[i].values, n, given)) return i;
    Text t = {0};
    for (int i = 0; i < n; i++) {
        const char *values = values_of(all, given[i].name, arena);
        if (values) text_printf(&t, "%s`%s` is one of %s in this executable", t.n ? "; " : "", given[i].name, values);
    }
    snprintf(err, errlen, "%.*s", (int)t.n, t.s ? t.s : "");
    text_free(&t);
    return -1;
}

void variant_explain(const Payloads *all, RunProgram *p, Arena *arena) {
    for (int i = 0; i < p->nparams; i++) {
        const char *values = values_of(all, p->params[i].name, arena);
        if (values) p->params[i].fixed = arena_printf(arena, "one of %s: there is code for each", values);
    }
    for (int i = 0; i < p->nsettings; i++) {
        const char *values = values_of(all, p->settings[i].name, arena);
        if (values) p->settings[i].fixed = arena_printf(arena, "one of %s: there is code for each", values);
    }
}
