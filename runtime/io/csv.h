/* csv.h — columns of numbers as text. */
#ifndef LQFT_IO_CSV_H
#define LQFT_IO_CSV_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Replaces path by a header line of names (none when names is NULL) and nrows lines
 * of ncols numbers, comma separated, 17 significant digits: reading them back gives
 * the same doubles.  columns[c][row].  A name with a comma, quote or line end is
 * quoted (RFC 4180).  Returns 0, or -1 with a message in err. */
int csv_write(const char *path, int ncols, const char *const *names, int64_t nrows,
              const double *const *columns, char *err, size_t errlen);

/* The same into an open file. */
void csv_put(FILE *f, int ncols, const char *const *names, int64_t nrows, const double *const *columns);

typedef struct CsvTable {
    int ncols;
    int64_t nrows;
    char **names;     /* ncols of them, or NULL without a header */
    double **columns; /* columns[c][row] */
} CsvTable;

/* Reads numbers separated by commas, semicolons or blanks: the first line decides.
 * '#' starts a comment, empty lines are skipped, a first line that is not all numbers
 * is the header.  nan and inf are numbers, an empty field is nan.  Returns 0, or -1
 * with a message (with the line number) in err. */
int csv_read(const char *path, CsvTable *out, char *err, size_t errlen);
/* The same for text in memory, which ends with a zero byte and is cut to pieces. */
int csv_parse(char *text, int64_t size, const char *path, CsvTable *out, char *err, size_t errlen);
void csv_free(CsvTable *t);

#endif
