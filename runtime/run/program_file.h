/* program_file.h — a program (program.h) as JSON text, and back. */
#ifndef LQFT_PROGRAM_FILE_H
#define LQFT_PROGRAM_FILE_H

#include "program.h"

/* From malloc; NULL: a name in it is no UTF-8 text. */
char *program_write(const RunProgram *p);
/* In the arena; NULL when the text is no such program. */
RunProgram *program_read(const char *text, size_t n, Arena *arena);

#endif
