/* doc.h — what lqft doc knows of a module: read by doc.c, written by doc_write.c. */
#ifndef LQFT_DOC_H
#define LQFT_DOC_H

#include "../run/run.h"

typedef enum PieceKind { PIECE_TEXT, PIECE_CODE, PIECE_EXAMPLE } PieceKind;

/* A paragraph, lines that are set as they are, or a program. */
typedef struct Piece { PieceKind kind; const char *text; } Piece;
typedef struct Pieces { Piece *data; int n, cap; } Pieces;

typedef struct DocEntry {
    const char *name, *word;   /* the keyword that declares it */
    const char *signature;
    const char *note;          /* what the checker found out, or NULL */
    Pieces      pieces;
    bool        documented, example;
    Span        at;
} DocEntry;

typedef struct DocModule {
    const char *name;          /* "samplers.nuts", or the name of a model file without its suffix */
    const char *import;        /* how a program gets it, or NULL */
    const char *path;
    Pieces      intro;
    VEC(DocEntry) entries;
} DocModule;

typedef VEC(DocModule) DocModules;

typedef enum DocFormat { DOC_HTML, DOC_MARKDOWN, DOC_MAN } DocFormat;

/* The page of one module, and the list of all. */
void doc_page(DocFormat format, const DocModules *all, const DocModule *m, Text *out);
void doc_index(DocFormat format, const DocModules *all, Text *out);
/* "samplers.nuts.html", "lqft-samplers.nuts.7" */
const char *doc_file_name(Arena *a, DocFormat format, const char *module);

#endif
