/* json.c — lqft repl --json: one object a line in, one a line out.
 *
 *   {"id": 1, "code": "param L = 8"}
 *   {"id": 1, "status": "ok", "text": "", "svg": [], "diagnostics": []}
 *
 * Further requests have a "type": complete and inspect (code, cursor), is_complete (code),
 * quit.  Whatever comes in, an object goes out. */
#include "repl.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_LINE = 64 << 20 };

typedef struct Speaker { Repl *r; FILE *out; int capture; json_t *diagnostics; } Speaker;

static Speaker *speaking;               /* for the messages of the front end */

/* ---- text ---------------------------------------------------------------------------------- */

/* What is no UTF-8 becomes question marks. */
static json_t *text_json(const char *s, size_t n) {
    json_t *j = json_stringn(s, n);
    if (j) return j;
    char *copy = lq_alloc(n + 1);
    for (size_t i = 0; i < n; i++) copy[i] = (unsigned char)s[i] < 0x80 && s[i] ? s[i] : '?';
    j = json_stringn(copy, n);
    free(copy);
    return j;
}

/* Standard output and standard error of a request lead into a file in memory. */
static void capture_begin(Speaker *s) {
    fflush(stdout), fflush(stderr);
    if (ftruncate(s->capture, 0) != 0 || lseek(s->capture, 0, SEEK_SET) != 0) return;
}

static json_t *capture_end(Speaker *s) {
    fflush(stdout), fflush(stderr);
    off_t size = lseek(s->capture, 0, SEEK_END);
    if (size <= 0) return json_string("");
    char *text = lq_alloc((size_t)size + 1);
    ssize_t n = pread(s->capture, text, (size_t)size, 0);
    json_t *j = text_json(text, n > 0 ? (size_t)n : 0);
    free(text);
    return j;
}

/* ---- messages --------------------------------------------------------------------------------- */

static void take_diagnostics(Repl *r, const Sink *sink) {
    static const char *const words[] = {"error", "warning", "note"};
    (void)r;
    for (int i = 0; i < sink->diags.n; i++) {
        const Diag *d = sink->diags.data[i];
        json_t *o = json_object();
        Span at = d->labels[0].at;
        if (at.file < (uint32_t)sink->sources->files.n) {
            int line, column;
            source_position(sink->sources, at.file, at.lo, &line, &column);
            const char *path = sink->sources->files.data[at.file]->path;
            json_object_set_new(o, "file", text_json(path, strlen(path)));
            json_object_set_new(o, "line", json_integer(line));
            json_object_set_new(o, "col", json_integer(column));
        }
        json_object_set_new(o, "code", json_string(d->code));
        json_object_set_new(o, "severity", json_string(words[d->severity]));
        json_object_set_new(o, "text", text_json(d->message, strlen(d->message)));
        if (d->help) json_object_set_new(o, "help", text_json(d->help, strlen(d->help)));
        json_array_append_new(speaking->diagnostics, o);
    }
}

/* ---- figures ------------------------------------------------------------------------------------- */

static json_t *figures(Repl *r) {
    json_t *list = json_array();
    for (int i = 0; i < r->svg.n; i++) {
        FILE *f = fopen(r->svg.data[i], "rb");
        Text t = {0};
        char buffer[65536];
        for (size_t n; f && (n = fread(buffer, 1, sizeof buffer, f)) > 0;) text_putn(&t, buffer, n);
        if (f) fclose(f);
        if (t.n) json_array_append_new(list, text_json(t.s, t.n));
        if (r->svg_folder && !strncmp(r->svg.data[i], r->svg_folder, strlen(r->svg_folder))) unlink(r->svg.data[i]);
        text_free(&t);
    }
    r->svg.n = 0;
    return list;
}

/* ---- requests --------------------------------------------------------------------------------------- */

static size_t bytes_of(const char *s, size_t n, json_int_t letters) {
    size_t at = 0;
    while (at < n && letters > 0) {
        at++;
        while (at < n && (s[at] & 0xC0) == 0x80) at++;
        letters--;
    }
    return at;
}

static json_int_t letters_of(const char *s, size_t n) {
    json_int_t count = 0;
    for (size_t i = 0; i < n; i++) count += (s[i] & 0xC0) != 0x80;
    return count;
}

static const char *execute_request(Speaker *s, const char *code, size_t n, json_t *reply) {
    if (eval_is_open(code, n)) {
        json_object_set_new(reply, "text", json_string("the text ends where more is wanted\n"));
        return "incomplete";
    }
    char name[32];
    snprintf(name, sizeof name, "input %d", ++s->r->ninputs);
    s->diagnostics = json_array();
    capture_begin(s);
    int status = eval_text(s->r, name, code, n);
    json_object_set_new(reply, "text", capture_end(s));
    json_object_set_new(reply, "svg", figures(s->r));
    json_object_set_new(reply, "diagnostics", s->diagnostics);
    return status ? "error" : "ok";
}

static const char *complete_request(Speaker *s, const char *code, size_t n, size_t cursor, json_t *reply) {
    Completions c;
    char *text = lq_alloc(n + 1);
    memcpy(text, code, n);
    text[n] = 0;
    complete(s->r, text, (int)cursor, &c);
    json_t *names = json_array();
    for (int i = 0; i < c.names.n; i++) json_array_append_new(names, text_json(c.names.data[i], strlen(c.names.data[i])));
    json_object_set_new(reply, "names", names);
    json_object_set_new(reply, "start", json_integer(letters_of(text, (size_t)c.start)));
    json_object_set_new(reply, "end", json_integer(letters_of(text, cursor)));
    completions_free(&c);
    free(text);
    return "ok";
}

static const char *inspect_request(Speaker *s, const char *code, size_t n, size_t cursor, json_t *reply) {
    size_t lo = cursor, hi = cursor;
    while (lo > 0 && !strchr(" \t\n()[]{},.;:+-*/^=<>~#\"", code[lo - 1])) lo--;
    while (hi < n && !strchr(" \t\n()[]{},.;:+-*/^=<>~#\"", code[hi])) hi++;
    Text t = {0};
    bool found = hi > lo && ask_doc(s->r, intern_n(code + lo, hi - lo), &t);
    json_object_set_new(reply, "found", json_boolean(found));
    json_object_set_new(reply, "text", text_json(t.s ? t.s : "", t.n));
    text_free(&t);
    return "ok";
}

static const char *answer(Speaker *s, const json_t *request, json_t *reply) {
    const char *type = json_string_value(json_object_get(request, "type"));
    const json_t *code = json_object_get(request, "code"), *at = json_object_get(request, "cursor");
    if (json_object_get(request, "type") && !type) type = "";
    if (type && !strcmp(type, "quit")) { s->r->stop = true; return "ok"; }
    const char *text = json_string_value(code);
    size_t n = json_string_length(code), cursor = json_is_integer(at) ? bytes_of(text ? text : "", n, json_integer_value(at)) : n;
    if (!text) json_object_set_new(reply, "text", json_string("a request has a text called \"code\""));
    else if (!type || !strcmp(type, "execute")) return execute_request(s, text, n, reply);
    else if (!strcmp(type, "is_complete")) return eval_is_open(text, n) ? "incomplete" : "complete";
    else if (memchr(text, 0, n)) json_object_set_new(reply, "text", json_string("a NUL byte is no text"));
    else if (!strcmp(type, "complete")) return complete_request(s, text, n, cursor, reply);
    else if (!strcmp(type, "inspect")) return inspect_request(s, text, n, cursor, reply);
    else json_object_set_new(reply, "text", json_string("a type is execute, complete, is_complete, inspect or quit"));
    return "error";
}

static void respond(Speaker *s, const char *line, size_t n) {
    json_error_t error;
    json_t *reply = json_object(), *request = n > MAX_LINE ? NULL : json_loadb(line, n, JSON_ALLOW_NUL, &error);
    const char *status = "error";
    json_object_set(reply, "id", json_is_object(request) && json_object_get(request, "id") ? json_object_get(request, "id") : json_null());
    if (json_is_object(request)) status = answer(s, request, reply);
    else json_object_set_new(reply, "text", json_string(n > MAX_LINE ? "this line is too long" : "a line is one JSON object"));
    json_object_set_new(reply, "status", json_string(status));
    if (json_dumpf(reply, s->out, JSON_COMPACT) != 0) fprintf(s->out, "{\"id\":null,\"status\":\"error\",\"text\":\"out of memory\"}");
    fputc('\n', s->out);
    fflush(s->out);
    json_decref(reply);
    json_decref(request);
}

int json_loop(Repl *r) {
    Speaker s = {.r = r};
    const char *tmp = getenv("TMPDIR");
    char *folder = arena_printf(r->arena, "%s/lqft-figures-XXXXXX", tmp && *tmp ? tmp : P_tmpdir);
    s.out = fdopen(dup(STDOUT_FILENO), "w");
    s.capture = memfd_create("lqft", MFD_CLOEXEC);
    if (!s.out || s.capture < 0 || dup2(s.capture, STDOUT_FILENO) < 0 || dup2(s.capture, STDERR_FILENO) < 0) return 70;
    r->svg_folder = mkdtemp(folder);
    r->on_diagnostics = take_diagnostics;
    r->o.run.quiet = true, r->o.run.color = false;
    speaking = &s;
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    while (!r->stop) {
        n = getline(&line, &room, stdin);
        if (n < 0) break;
        if (n > 0 && line[n - 1] == '\n') n--;
        if (n > 0) respond(&s, line, (size_t)n);
    }
    free(line);
    if (r->svg_folder) rmdir(r->svg_folder);
    int status = fclose(s.out) == 0 ? 0 : 74;
    close(s.capture);
    return status;
}
