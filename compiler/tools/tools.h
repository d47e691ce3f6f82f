/* tools.h — commands beside the running of models.
 *
 *   fmt.c       lqft fmt: files in the usual form
 *   doc.c       lqft doc: pages from doc comments; doc_write.c writes them (doc.h)
 *   help.c      --help, man pages, completions of shells, from options.def
 *   list.c      lqft words: the words of the language, for editors */
#ifndef LQFT_TOOLS_H
#define LQFT_TOOLS_H

#include "../elab/elab.h"

/* Each returns an exit status. */
int list_words(FILE *out);
/* The arguments behind the command: files, `-`, --check. */
int fmt_command(int argc, char **argv, bool color);

/* help.c: false when there is no such command or shell. */
void help_usage(FILE *out);
bool help_command(FILE *out, const char *name);
bool help_man(FILE *out, const char *name);          /* NULL: lqft itself */
bool help_completion(FILE *out, const char *shell);
bool help_has_option(const char *command, const char *arg);
bool help_knows(const char *name);                   /* is it a command? */
int  help_commands(const char **out, int most);

/* Files, --stdlib, --format F, -o DIR, --check; library: the folder of the library. */
int doc_command(int argc, char **argv, const char *library, bool color);

#endif
