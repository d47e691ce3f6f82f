/* doc_write.c — pages of lqft doc as HTML, Markdown and man pages.  One list of elements
 * (title, heading, paragraph, …), each said in the three formats. */
#include "doc.h"

#include <ctype.h>
#include <string.h>

typedef struct Page {
    DocFormat format;
    const DocModules *all;
    const DocModule *here;
    Text *out;
} Page;

/* ---- letters ------------------------------------------------------------------------------ */

static void put_html(Text *t, const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *e = s[i] == '&' ? "&amp;" : s[i] == '<' ? "&lt;" : s[i] == '>' ? "&gt;" : s[i] == '"' ? "&quot;" : NULL;
        if (e) text_printf(t, "%s", e);
        else text_putn(t, s + i, 1);
    }
}

/* roff: a backslash is \e, a minus is \-, and no line begins with a request. */
static void put_roff(Text *t, const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool begins = t->n == 0 || t->s[t->n - 1] == '\n';
        if (begins && (s[i] == '.' || s[i] == '\'')) text_printf(t, "\\&");
        if (s[i] == '\\') text_printf(t, "\\e");
        else if (s[i] == '-') text_printf(t, "\\-");
        else text_putn(t, s + i, 1);
    }
}

static void put_markdown(Text *t, const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool begins = i == 0 || s[i - 1] == '\n';
        if (strchr("\\*_<>[]|`~", s[i]) || (begins && strchr("#+-=", s[i]))) text_putn(t, "\\", 1);
        text_putn(t, s + i, 1);
    }
}

static void put_letters(const Page *p, const char *s, size_t n) {
    if (p->format == DOC_HTML) put_html(p->out, s, n);
    else if (p->format == DOC_MAN) put_roff(p->out, s, n);
    else put_markdown(p->out, s, n);
}

static void put(const Page *p, const char *s) { put_letters(p, s, strlen(s)); }

/* The module that defines a name: this one first. */
static const DocModule *module_of(const Page *p, const char *name, size_t n) {
    for (int i = -1; i < p->all->n; i++) {
        const DocModule *m = i < 0 ? p->here : &p->all->data[i];
        for (int k = 0; m && k < m->entries.n; k++)
            if (strlen(m->entries.data[k].name) == n && !memcmp(m->entries.data[k].name, name, n)) return m;
    }
    return NULL;
}

/* Code within a line: `x`. */
static void put_code_span(const Page *p, const char *s, size_t n) {
    Text *t = p->out;
    if (p->format == DOC_MARKDOWN) {
        text_printf(t, "`%.*s`", (int)n, s);
    } else if (p->format == DOC_MAN) {
        text_printf(t, "\\fB");
        put_roff(t, s, n);
        text_printf(t, "\\fR");
    } else {
        const DocModule *m = module_of(p, s, n);
        if (m) text_printf(t, "<a href=\"%s%s#%.*s\">", m == p->here ? "" : m->name, m == p->here ? "" : ".html", (int)n, s);
        text_printf(t, "<code>");
        put_html(t, s, n);
        text_printf(t, m ? "</code></a>" : "</code>");
    }
}

static void put_text(const Page *p, const char *s) {
    for (const char *tick; (tick = strchr(s, '`')) != NULL;) {
        const char *end = strchr(tick + 1, '`');
        if (!end) break;
        put_letters(p, s, (size_t)(tick - s));
        put_code_span(p, tick + 1, (size_t)(end - tick - 1));
        s = end + 1;
    }
    put(p, s);
}

/* ---- elements -------------------------------------------------------------------------------- */

static void block(const Page *p, const char *text, const char *class) {
    Text *t = p->out;
    if (p->format == DOC_HTML) {
        text_printf(t, "<pre class=\"%s\">", class);
        put_html(t, text, strlen(text));
        text_printf(t, "</pre>\n");
    } else if (p->format == DOC_MAN) {
        text_printf(t, ".PP\n.nf\n.RS 4\n");
        put_roff(t, text, strlen(text));
        text_printf(t, "\n.RE\n.fi\n");
    } else if (!strcmp(class, "example")) {
        text_printf(t, "```lqft run\n%s\n```\n\n", text);
    } else {
        for (const char *s = text; s && *s;) {
            const char *end = strchr(s, '\n');
            int n = end ? (int)(end - s) : (int)strlen(s);
            text_printf(t, "%s%.*s\n", n ? "    " : "", n, s);
            s = end ? end + 1 : NULL;
        }
        text_printf(t, "\n");
    }
}

static void paragraph(const Page *p, const char *text) {
    static const char *const before[] = {"<p>", "", ".PP\n"}, *const after[] = {"</p>\n", "\n\n", "\n"};
    text_printf(p->out, "%s", before[p->format]);
    put_text(p, text);
    text_printf(p->out, "%s", after[p->format]);
}

static void heading(const Page *p, const char *name) {
    Text *t = p->out;
    if (p->format == DOC_MARKDOWN) {
        text_printf(t, "## `%s`\n\n", name);
    } else if (p->format == DOC_MAN) {
        text_printf(t, ".SS \"");
        put(p, name);
        text_printf(t, "\"\n");
    } else {
        text_printf(t, "<h2 id=\"");
        put(p, name);
        text_printf(t, "\"><code>");
        put(p, name);
        text_printf(t, "</code></h2>\n");
    }
}

static const char style[] =
    "body{max-width:50em;margin:2em auto;padding:0 1em;font:16px/1.5 system-ui,sans-serif;color:#222;background:#fff}"
    "pre{background:#f4f4f2;padding:.6em 1em;overflow-x:auto}pre.signature{border-left:4px solid #47a;white-space:pre-wrap}"
    "code,pre{font-family:ui-monospace,monospace;font-size:.92em}h2{margin-top:2em;border-top:1px solid #ddd;padding-top:.6em}"
    ".note{color:#666}a{color:#258}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#242424}a{color:#8bd}}";

/* Up to the first full stop. */
static size_t first_sentence(const char *s) {
    for (size_t i = 0; s[i]; i++)
        if (s[i] == '.' && (!s[i + 1] || isspace((unsigned char)s[i + 1]))) return i;
    return strlen(s);
}

static const char *summary(const DocModule *m) {
    for (int i = 0; i < m->intro.n; i++)
        if (m->intro.data[i].kind == PIECE_TEXT) return m->intro.data[i].text;
    return "";
}

static void put_summary(const Page *p, const DocModule *m) {
    const char *s = summary(m);
    Text one = {0};
    for (size_t i = 0, n = first_sentence(s); i < n; i++) text_putn(&one, s[i] == '\n' ? " " : s + i, 1);
    put_text(p, one.s ? one.s : "");
    text_free(&one);
}

static void title(const Page *p, const DocModule *m, const char *name) {
    Text *t = p->out;
    if (p->format == DOC_MARKDOWN) {
        text_printf(t, "# %s%s%s\n\n", m ? "`" : "", name, m ? "`" : "");
    } else if (p->format == DOC_MAN) {
        text_printf(t, ".TH \"");
        for (const char *s = name; *s; s++) text_printf(t, "%c", toupper((unsigned char)*s));
        text_printf(t, "\" 7 \"\" \"lqft\" \"lqft library\"\n.SH NAME\n");
        put(p, name);
        text_printf(t, " \\- ");
        if (m) put_summary(p, m);
        text_printf(t, "\n.SH DESCRIPTION\n");
    } else {
        text_printf(t, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
        put(p, name);
        text_printf(t, "</title>\n<style>%s</style></head><body>\n", style);
        if (m && p->all->n > 1) text_printf(t, "<p><a href=\"index.html\">all modules</a></p>\n");
        text_printf(t, "<h1>");
        put(p, name);
        text_printf(t, "</h1>\n");
    }
}

static void pieces(const Page *p, const Pieces *list) {
    for (int i = 0; i < list->n; i++) {
        const Piece *q = &list->data[i];
        if (q->kind == PIECE_TEXT) paragraph(p, q->text);
        else if (q->kind == PIECE_CODE) block(p, q->text, "code");
        else {
            Text whole = {0};
            if (p->here->import) text_printf(&whole, "import %s\n", p->here->import);
            text_printf(&whole, "%s", q->text);
            if (p->format == DOC_MAN) text_printf(p->out, ".PP\nExample:\n");
            block(p, whole.s, "example");
            text_free(&whole);
        }
    }
}

static void entry(const Page *p, const DocEntry *e) {
    heading(p, e->name);
    block(p, e->signature, "signature");
    if (e->note) {
        if (p->format == DOC_HTML) text_printf(p->out, "<p class=\"note\">");
        else if (p->format == DOC_MAN) text_printf(p->out, ".PP\n");
        put_text(p, e->note);
        text_printf(p->out, p->format == DOC_HTML ? "</p>\n" : p->format == DOC_MAN ? "\n" : "\n\n");
    }
    pieces(p, &e->pieces);
}

void doc_page(DocFormat format, const DocModules *all, const DocModule *m, Text *out) {
    Page page = {format, all, m, out}, *p = &page;
    title(p, m, m->name);
    if (m->import) {
        Text line = {0};
        text_printf(&line, "import %s", m->import);
        block(p, line.s, "signature");
        text_free(&line);
    }
    pieces(p, &m->intro);
    if (format == DOC_MAN && m->entries.n) text_printf(out, ".SH NAMES\n");
    for (int i = 0; i < m->entries.n; i++) entry(p, &m->entries.data[i]);
    if (format == DOC_MAN) text_printf(out, ".SH SEE ALSO\n.BR lqft (1)\n");
    if (format == DOC_HTML) text_printf(out, "</body></html>\n");
}

void doc_index(DocFormat format, const DocModules *all, Text *out) {
    Page page = {format, all, NULL, out}, *p = &page;
    if (format == DOC_MAN) return;
    title(p, NULL, "Modules");
    for (int i = 0; i < all->n; i++) {
        const DocModule *m = &all->data[i];
        if (format == DOC_MARKDOWN) text_printf(out, "- [`%s`](%s.md): ", m->name, m->name);
        else text_printf(out, "<p><a href=\"%s.html\"><code>%s</code></a>: ", m->name, m->name);
        put_summary(p, m);
        text_printf(out, format == DOC_MARKDOWN ? "\n" : "<br>");
        for (int k = 0; k < m->entries.n && format == DOC_HTML; k++)
            text_printf(out, " <a href=\"%s.html#%s\"><code>%s</code></a>", m->name, m->entries.data[k].name, m->entries.data[k].name);
        if (format == DOC_HTML) text_printf(out, "</p>\n");
    }
    if (format == DOC_HTML) text_printf(out, "</body></html>\n");
}

const char *doc_file_name(Arena *a, DocFormat format, const char *module) {
    if (format == DOC_MAN) return arena_printf(a, "lqft-%s.7", module ? module : "library");
    return arena_printf(a, "%s.%s", module ? module : "index", format == DOC_HTML ? "html" : "md");
}
