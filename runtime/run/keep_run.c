/* keep_run.c — run.json: what a run directory is the run of, and whether it is this one. */
#include "keep_parts.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { FORMAT = 1 };

static json_t *params_of(const RunProgram *p) {
    json_t *o = json_object();
    for (int i = 0; i < p->nparams; i++)
        json_object_set_new(o, p->params[i].name, p->params[i].boolean ? json_boolean(p->params[i].value != 0) : json_number(p->params[i].value));
    return o;
}

static json_t *samples_of(const RunProgram *p) {
    json_t *list = json_array();
    for (int i = 0; i < p->nsamples; i++) {
        const RunSample *t = &p->samples[i];
        json_t *o = json_object(), *fields = json_array();
        for (int k = 0; k < t->ntargets; k++) json_array_append_new(fields, json_string(t->targets[k]));
        json_object_set_new(o, t->minimizes ? "over" : "fields", fields);
        json_object_set_new(o, "method", json_string(t->method));
        json_object_set_new(o, "precision", json_string(t->single ? "single" : "double"));
        json_object_set_new(o, "chains", json_integer(t->chains));
        json_object_set_new(o, "warmup", json_integer(t->warmup));
        json_object_set_new(o, "draws", json_integer(t->draws));
        json_object_set_new(o, "thin", json_integer(t->thin));
        json_array_append_new(list, o);
    }
    return list;
}

/* Of what command lines set: options of methods, by their texts. Parameters and sizes are above. */
static json_t *options_of(const RunResult *r) {
    static const char *const sizes[] = {"chains", "warmup", "draws", "thin", "precision"};
    json_t *o = r->settings->given ? json_loads(r->settings->given, 0, NULL) : NULL;
    if (!o) o = json_object();
    for (int i = 0; i < LQ_COUNT(sizes); i++) json_object_del(o, sizes[i]);
    for (int i = 0; i < r->program->nparams; i++) json_object_del(o, r->program->params[i].name);
    return o;
}

/* What makes it this run: on resuming, all of it must be the same. */
static json_t *identity(const RunResult *r) {
    char hash[20];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r->program->source);
    json_t *o = json_object();
    json_object_set_new(o, "source", json_string(hash));
    json_object_set_new(o, "seed", json_integer(r->settings->seed));
    json_object_set_new(o, "params", params_of(r->program));
    json_object_set_new(o, "tasks", samples_of(r->program));
    json_object_set_new(o, "options", options_of(r));
    return o;
}

/* Of all members but itself; a seed with one digit changed would be a seed too. */
static const char *checksum(Arena *a, const json_t *o) {
    json_t *rest = json_copy((json_t *)o);
    json_object_del(rest, "checksum");
    char *text = json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS);
    uint64_t h = text ? lq_hash(text, strlen(text), 0) : 0;
    free(text);
    json_decref(rest);
    return arena_printf(a, "%016llx", (unsigned long long)h);
}

static bool is_whole(Arena *a, const json_t *o) {
    const char *sum = json_string_value(json_object_get(o, "checksum"));
    return sum && !strcmp(sum, checksum(a, o));
}

static void add_time(json_t *o, const char *name) {
    char text[40];
    time_t t = time(NULL);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_object_set_new(o, name, json_string(text));
}

int run_json_write(RunResult *r, char *err, size_t errlen) {
    char host[256] = "";
    json_t *o = identity(r), *given = r->settings->given ? json_loads(r->settings->given, 0, NULL) : NULL;
    gethostname(host, sizeof host - 1);
    json_object_set_new(o, "format", json_integer(FORMAT));
    json_object_set_new(o, "program", json_string(r->program->path));
    char *model = realpath(r->program->path, NULL);       /* also from another folder */
    if (model) json_object_set_new(o, "model", json_string(model));
    free(model);
    json_object_set_new(o, "version", json_string(LQFT_VERSION));
    json_object_set_new(o, "given", given ? given : json_object());
    json_object_set_new(o, "host", json_string(host));
    add_time(o, "begun");
    json_object_set_new(o, "checksum", json_string(checksum(r->arena, o)));
    char *text = json_dumps(o, JSON_INDENT(2));
    json_decref(o);
    if (!text) return snprintf(err, errlen, "run.json: a name in the program is no UTF-8 text"), 65;
    int status = store_write_text(r->keeper->store, "run.json", text, strlen(text), err, errlen);
    free(text);
    return status;
}

/* The first member that differs, down to values that have no members; its name is added to `name`. */
static void first_difference(json_t **a, json_t **b, Text *name) {
    const char *key = NULL;
    json_t *x = NULL;
    size_t i;
    if (json_is_array(*a) && json_is_array(*b) && json_array_size(*a) == json_array_size(*b)) {
        for (i = 0; json_equal(json_array_get(*a, i), json_array_get(*b, i));) i++;
        text_printf(name, " number %zu", i + 1);
        x = json_array_get(*a, i), *b = json_array_get(*b, i);
    } else if (json_is_object(*a) && json_is_object(*b)) {
        json_object_foreach(*a, key, x)
            if (!json_equal(x, json_object_get(*b, key))) break;
        if (!key)                                          /* one that only b has */
            json_object_foreach(*b, key, x)
                if (!json_object_get(*a, key)) break;
        text_printf(name, " `%s`", key);
        x = json_object_get(*a, key), *b = json_object_get(*b, key);
    } else return;
    *a = x;
    first_difference(a, b, name);
}

/* A sentence about the first difference between the run in the directory and this one; empty: none. */
static void compare(const json_t *was, const json_t *is, char *out, size_t n) {
    static const struct { const char *key, *what; } parts[] = {
        {"source", "the text of the model, or of a library that it imports, has changed since it began"},
        {"seed", "it has another seed"}, {"params", "it has other parameters"}, {"tasks", "its samples have other sizes or methods"},
        {"options", "its methods have other options"}};
    *out = 0;
    for (int i = 0; i < LQ_COUNT(parts); i++) {
        json_t *a = json_object_get(was, parts[i].key), *b = json_object_get(is, parts[i].key);
        if (json_equal(a, b)) continue;
        Text name = {0};
        first_difference(&a, &b, &name);
        char *x = json_dumps(a, JSON_ENCODE_ANY | JSON_COMPACT), *y = json_dumps(b, JSON_ENCODE_ANY | JSON_COMPACT);
        if (i == 0) snprintf(out, n, "%s", parts[i].what);
        else snprintf(out, n, "%s:%.150s %.300s there, %.300s here", parts[i].what, name.n ? name.s : "", x ? x : "nothing", y ? y : "nothing");
        free(x), free(y);
        text_free(&name);
        return;
    }
}

int run_json_check(RunResult *r, char *err, size_t errlen) {
    size_t n;
    char *text = store_read_text(r->keeper->store, "run.json", &n, err, errlen), why[800];
    if (!text) return *err ? 65 : (snprintf(err, errlen, "%s has no run.json", r->settings->out), 65);
    json_t *was = json_loadb(text, n, 0, NULL), *is = identity(r);
    free(text);
    if (!is_whole(r->arena, was)) snprintf(why, sizeof why, "its run.json is damaged");
    else compare(was, is, why, sizeof why);
    json_decref(was), json_decref(is);
    if (!*why) return 0;
    snprintf(err, errlen, "cannot resume the run in %s: %s", r->settings->out, why);
    return 65;
}

/* ---- what another command learns of it ------------------------------------------------------------ */

const char *keep_program(const RunSettings *o, Arena *arena) {
    char path[4096];
    json_error_t error = {.text = "its name is too long"};
    json_t *was = (size_t)snprintf(path, sizeof path, "%s/run.json", o->out) < sizeof path ? json_load_file(path, 0, &error) : NULL;
    json_t *model = json_object_get(was, "model");
    const char *program = json_string_value(model ? model : json_object_get(was, "program")), *out = program ? arena_printf(arena, "%s", program) : NULL;
    if (!out) fprintf(stderr, "lqft: there is no run in %s: %s\n", o->out, was ? "its run.json names no program" : error.text);
    json_decref(was);
    return out;
}

int keep_recall(RunSettings *o, Arena *arena, int *n, Given **given) {
    char path[4096];
    *n = 0, *given = NULL;
    if (!o->out || !o->resume || (size_t)snprintf(path, sizeof path, "%s/run.json", o->out) >= sizeof path) return 0;
    if (access(path, F_OK) != 0) return 0;            /* store_open will say what is the matter */
    json_error_t error;
    json_t *was = json_load_file(path, 0, &error), *list = json_object_get(was, "given"), *text;
    const char *name;
    if (!json_is_object(list) || !is_whole(arena, was)) {
        fprintf(stderr, "lqft: cannot resume the run in %s: its run.json is damaged: %s\n", o->out, was ? "its checksum is another" : error.text);
        json_decref(was);
        return 65;
    }
    if (!o->seed_given) o->seed = (uint32_t)json_integer_value(json_object_get(was, "seed")), o->seed_given = true;
    *given = arena_alloc(arena, (json_object_size(list) + 1) * sizeof **given);
    json_object_foreach(list, name, text)
        if (json_is_string(text)) (*given)[(*n)++] = (Given){arena_printf(arena, "%s", name), arena_printf(arena, "%s", json_string_value(text))};
    json_decref(was);
    return 0;
}
