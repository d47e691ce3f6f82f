/* fmt.c — lqft fmt: puts files into the usual form (front/format.c).  A file is replaced
 * whole or left as it is; one that does not parse is left as it is. */
#include "tools.h"

#include "../../runtime/io/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct Fmt {
    bool check, color;
} Fmt;

/* The worse of two exit statuses: what cannot be done counts more than what is wrong. */
static int worse(int a, int b) { return a > b ? a : b; }

static int write_back(const char *path, const Text *text) {
    char err[1024];
    char *real = realpath(path, NULL);          /* a link stays a link */
    struct stat st;
    NewFile nf;
    int status = 0;
    if (!real || stat(real, &st) != 0 || file_create(&nf, real, err, sizeof err) != 0) {
        if (!real) snprintf(err, sizeof err, "%s: %s", path, strerror(errno));
        status = 73;
    } else {
        bool written = fwrite(text->s, 1, text->n, nf.f) == text->n && fchmod(fileno(nf.f), st.st_mode & 07777) == 0;
        if (!written) {
            snprintf(err, sizeof err, "%s: cannot write: %s", path, strerror(errno));
            file_discard(&nf);
        } else if (file_commit(&nf, err, sizeof err) == 0) {
            free(real);
            return 0;
        }
        status = 74;
    }
    free(real);
    fprintf(stderr, "lqft: %s\n", err);
    return status;
}

/* path NULL: the text came from standard input and goes to standard output. */
static int deliver(const Fmt *o, const char *path, const char *old, size_t n, const Text *new) {
    bool same = n == new->n && (n == 0 || !memcmp(old, new->s, n));
    if (o->check) {
        if (!same) printf("%s\n", path ? path : "-");
        return same ? 0 : 1;
    }
    if (!path) return fwrite(new->s ? new->s : "", 1, new->n, stdout) == new->n ? 0 : 74;
    return same ? 0 : write_back(path, new);
}

static int format_text(const Fmt *o, const char *path, const char *text, size_t n) {
    Front f;
    front_init(&f);
    uint32_t file = source_add(&f.sources, path ? path : "-", text, n);
    Text out = {0};
    int status;
    switch (format_file(&f, file, &out)) {
    case FORMAT_DONE:
        status = deliver(o, path, text, n, &out);
        break;
    case FORMAT_ERRORS:
        diag_print_all(&f.sink, stderr, o->color);
        status = 1;
        break;
    default:
        fprintf(stderr, "lqft: internal error: %s would become another program; it is left as it is\n", path ? path : "-");
        status = 70;
    }
    text_free(&out);
    front_free(&f);
    return status;
}

static int format_path(const Fmt *o, const char *path) {
    char err[1024];
    char *text;
    int64_t n;
    if (file_read(path, &text, &n, err, sizeof err) != 0) {
        fprintf(stderr, "lqft: %s\n", err);
        return 66;
    }
    int status = format_text(o, path, text, (size_t)n);
    free(text);
    return status;
}

static int format_input(const Fmt *o) {
    enum { MOST = 65 << 20 };                   /* more than a program may have: refused by the parser */
    Text text = {0};
    char buffer[1 << 16];
    size_t n;
    while (text.n < MOST && (n = fread(buffer, 1, sizeof buffer, stdin)) > 0) text_putn(&text, buffer, n);
    int status;
    if (ferror(stdin)) {
        fprintf(stderr, "lqft: cannot read standard input: %s\n", strerror(errno));
        status = 66;
    } else {
        status = format_text(o, NULL, text.s ? text.s : "", text.n);
    }
    text_free(&text);
    return status;
}

int fmt_command(int argc, char **argv, bool color) {
    Fmt o = {.color = color};
    int files = 0, status = 0;
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--check")) o.check = true;
        else if (argv[i][0] == '-' && argv[i][1]) {
            fprintf(stderr, "lqft: fmt has no option %s\nusage: lqft fmt [--check] FILE …\n", argv[i]);
            return 2;
        } else files++;
    }
    if (!files) {
        fprintf(stderr, "lqft: fmt which file? `-` is standard input\nusage: lqft fmt [--check] FILE …\n");
        return 2;
    }
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "-")) status = worse(status, format_input(&o));
        else if (argv[i][0] != '-') status = worse(status, format_path(&o, argv[i]));
    }
    return status;
}
