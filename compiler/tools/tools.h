/* tools.h — commands beside the running of models.
 *
 *   fmt.c       lqft fmt: files in the usual form
 *   doc.c       lqft doc: pages from doc comments; doc_write.c writes them (doc.h)
 *   list.c      lqft words: the words of the language, for editors */
#ifndef LQFT_TOOLS_H
#define LQFT_TOOLS_H

#include "../elab/elab.h"

/* Each returns an exit status. */
int list_words(FILE *out);
/* The arguments behind the command: files, `-`, --check. */
int fmt_command(int argc, char **argv, bool color);
/* Files, --stdlib, --format F, -o DIR, --check; library: the folder of the library. */
int doc_command(int argc, char **argv, const char *library, bool color);

#endif
