/* front_fuzz.c — any bytes are parsed as a file: no crash, no leak, every message
 * prints, an expression that was read prints as text that reads the same, and a text that
 * parses is formatted: to the same program, and a second time to the same text. */
#include "../../compiler/front/front.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const Expr *e)
{
    Front f;
    Text once = {0}, twice = {0};
    if (!e) return;
    ast_print_expr(e, &once);
    front_init(&f);
    uint32_t file = source_add(&f.sources, "<expression>", once.s, once.n);
    const Expr *again = parse_expr(&f, file);
    if (again) ast_print_expr(again, &twice);
    if (!again || twice.n != once.n || memcmp(once.s, twice.s, once.n)) {
        fprintf(stderr, "printed:    %s\nread again: %s\n", once.s, twice.s ? twice.s : "(nothing)");
        diag_print_all(&f.sink, stderr, false);
        abort();
    }
    text_free(&once);
    text_free(&twice);
    front_free(&f);
}

static void formatted_twice(Front *f, uint32_t file)
{
    Text once = {0}, twice = {0};
    Formatted done = format_file(f, file, &once);
    if (done == FORMAT_DONE) {
        uint32_t again = source_add(&f->sources, "formatted", once.s ? once.s : "", once.n);
        done = format_file(f, again, &twice);
        if (done == FORMAT_DONE && (once.n != twice.n || memcmp(once.s, twice.s, once.n))) done = FORMAT_FAILED;
        else if (done == FORMAT_ERRORS) diag_print_all(&f->sink, stderr, false), done = FORMAT_FAILED;
    }
    if (done == FORMAT_FAILED) {
        fprintf(stderr, "formatted once:\n%s\nand again:\n%s\n", once.s ? once.s : "", twice.s ? twice.s : "");
        abort();
    }
    text_free(&once);
    text_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Front f;
    char *printed = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&printed, &length);
    if (!out) return 0;
    front_init(&f);
    uint32_t file = source_add(&f.sources, "fuzz.lqft", (const char *)data, size);
    Program *p = parse_file(&f, file);
    ast_print(p, out);
    for (int i = 0; i < p->decls.n && f.sink.nerrors == 0; i++)
        if (p->decls.data[i]->kind != DC_REPORT || size < 4096) round_trip(p->decls.data[i]->value);
    formatted_twice(&f, file);
    parse_expr(&f, file);
    diag_print_all(&f.sink, out, size % 2);
    fclose(out);
    free(printed);
    front_free(&f);
    return 0;
}
