/* front_main.c — parses files and prints what it found: messages to stderr, the
 * tree with --ast, the tokens and comments with --tokens.  With --expr the argument is one expression, printed back. */
#include "../../compiler/front/front.h"

#include <stdlib.h>
#include <string.h>

static bool add_file(Front *f, const char *path, uint32_t *file)
{
    FILE *in = fopen(path, "rb");
    if (!in) return false;
    Text text = {0};
    char buffer[1 << 16];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, in)) > 0;) text_putn(&text, buffer, n);
    fclose(in);
    *file = source_add(&f->sources, path, text.s ? text.s : "", text.n);
    text_free(&text);
    return true;
}

static void print_tokens(Front *f, uint32_t file)
{
    static const char *const names[] = {"name", "keyword", "number", "string", "sign", "comment"};
    const char *text = f->sources.files.data[file]->text;
    Lexemes l = lexemes(f, file);
    for (int i = 0; i < l.n; i++)
        printf("%u %u %s %.*s\n", l.data[i].lo, l.data[i].hi, names[l.data[i].class],
               (int)(l.data[i].hi - l.data[i].lo), text + l.data[i].lo);
    vec_free(&l);
}

int main(int argc, char **argv)
{
    bool ast = false, tokens = false, expr = false, color = false;
    Front f;
    front_init(&f);
    for (int i = 1; i < argc; i++) {
        uint32_t file;
        if (!strcmp(argv[i], "--ast")) ast = true;
        else if (!strcmp(argv[i], "--tokens")) tokens = true;
        else if (!strcmp(argv[i], "--expr")) expr = true;
        else if (!strcmp(argv[i], "--color")) color = true;
        else if (!strcmp(argv[i], "--explain") && i + 1 < argc) {
            const char *page = diag_explain(argv[++i]);
            fputs(page ? page : "no such code\n", stdout);
        } else if (expr) {
            file = source_add(&f.sources, "<expression>", argv[i], strlen(argv[i]));
            Expr *e = parse_expr(&f, file);
            Text t = {0};
            if (e) ast_print_expr(e, &t);
            if (e) printf("%s\n", t.s);
            text_free(&t);
        } else if (add_file(&f, argv[i], &file)) {
            if (tokens) {
                print_tokens(&f, file);
                continue;
            }
            Program *p = parse_file(&f, file);
            if (ast) ast_print(p, stdout);
        } else {
            fprintf(stderr, "cannot read %s\n", argv[i]);
            return 2;
        }
    }
    diag_print_all(&f.sink, stderr, color);
    int status = f.sink.nerrors > 0;
    front_free(&f);
    return status;
}
