/* file.h — reading a file whole and replacing one safely: shared by the formats of
 * runtime/io. */
#ifndef LQFT_IO_FILE_H
#define LQFT_IO_FILE_H

#include <stdint.h>
#include <stdio.h>

/* All functions return 0, or -1 with a message (path and cause) in err. */

/* A file being written next to its final place. */
typedef struct NewFile {
    FILE *f;
    char *path, *temporary;
} NewFile;

int file_create(NewFile *nf, const char *path, char *err, size_t errlen);
/* Flushes, fsyncs, closes, renames onto path and fsyncs the directory.  On failure,
 * as after file_discard, path is as it was before. */
int file_commit(NewFile *nf, char *err, size_t errlen);
void file_discard(NewFile *nf);

/* The contents in memory from malloc, with a zero byte after them; regular files
 * only. */
int file_read(const char *path, char **data, int64_t *size, char *err, size_t errlen);

/* Writes "path: message" to err and returns -1. */
int file_error(char *err, size_t errlen, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
