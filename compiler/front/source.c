/* source.c — the texts of a program and places in them. */
#include "front.h"

#include <string.h>

uint32_t source_add(Sources *ss, const char *path, const char *text, size_t len)
{
    Source *s = arena_alloc(ss->arena, sizeof *s);
    s->path = arena_strndup(ss->arena, path, strlen(path));
    s->text = arena_alloc(ss->arena, len + 1);
    if (len) memcpy(s->text, text, len);
    s->text[len] = '\0';
    s->len = len;
    vec_push(&s->line_starts, 0u);
    for (const char *at = s->text, *end = at + len;;) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        if (!nl) break;
        at = nl + 1;
        vec_push(&s->line_starts, (uint32_t)(at - s->text));
    }
    vec_push(&ss->files, s);
    return (uint32_t)(ss->files.n - 1);
}

/* Lines and columns count from 1; a column is one code point. */
void source_position(const Sources *ss, uint32_t file, uint32_t offset, int *line, int *column)
{
    const Source *s = ss->files.data[file];
    if (offset > s->len) offset = (uint32_t)s->len;
    int lo = 0, hi = s->line_starts.n;      /* the last line that starts at or before */
    while (hi - lo > 1) {
        int mid = lo + (hi - lo) / 2;
        if (s->line_starts.data[mid] <= offset) lo = mid;
        else hi = mid;
    }
    int col = 1;
    for (uint32_t i = s->line_starts.data[lo]; i < offset; i++)
        col += ((unsigned char)s->text[i] & 0xC0) != 0x80;
    *line = lo + 1;
    *column = col;
}

Span span_join(Span a, Span b)
{
    if (a.file != b.file) return a;
    return (Span){a.file, a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}
