/* tools.h — commands beside the running of models.
 *
 *   fmt.c       lqft fmt: files in the usual form
 *   list.c      lqft words: the words of the language, for editors */
#ifndef LQFT_TOOLS_H
#define LQFT_TOOLS_H

#include "../elab/elab.h"

/* Each returns an exit status. */
int list_words(FILE *out);
/* The arguments behind the command: files, `-`, --check. */
int fmt_command(int argc, char **argv, bool color);

#endif
