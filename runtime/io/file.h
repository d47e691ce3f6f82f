/* file.h — opening files, also those below a folder only, reading one whole and
 * replacing one safely: shared by the formats of runtime/io. */
#ifndef LQFT_IO_FILE_H
#define LQFT_IO_FILE_H

#include <stdint.h>
#include <stdio.h>

/* All functions return 0, or -1 with a message (path and cause) in err. */

/* A file being written next to its final place. */
typedef struct NewFile {
    FILE *f;
    int dir;                        /* the folder, open */
    char *path, *name, *temporary;  /* path: for messages */
} NewFile;

int file_create(NewFile *nf, const char *path, char *err, size_t errlen);
/* Why a name is refused below a folder, whatever there is on disk; or NULL. */
const char *file_name_problem(const char *name);
/* The same for `name` below `folder`, whose missing parts below the folder are made.
 * Refused, without touching anything: an absolute name, a part `..`, and symbolic
 * links on the way or at the end. */
int file_create_below(NewFile *nf, const char *folder, const char *name, char *err,
                      size_t errlen);
/* Flushes, fsyncs, closes, renames onto path and fsyncs the directory.  On failure,
 * as after file_discard, path is as it was before. */
int file_commit(NewFile *nf, char *err, size_t errlen);
void file_discard(NewFile *nf);

/* The contents in memory from malloc, with a zero byte after them; regular files
 * only. */
int file_read(const char *path, char **data, int64_t *size, char *err, size_t errlen);

/* A regular file, open for reading, and its length. */
typedef struct OldFile {
    int fd;
    int64_t size;
} OldFile;

int file_open(OldFile *f, const char *path, char *err, size_t errlen);
/* `name` below `folder`; refused as for file_create_below.  1 and no message: there is
 * no such file, and nothing was wrong with the name. */
int file_open_below(OldFile *f, const char *folder, const char *name, char *err,
                    size_t errlen);
void file_close(OldFile *f);
/* All of it in memory, as file_read; path is for messages. */
int file_contents(const OldFile *f, const char *path, char **data, char *err, size_t errlen);

/* Writes "path: message" to err and returns -1. */
int file_error(char *err, size_t errlen, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
