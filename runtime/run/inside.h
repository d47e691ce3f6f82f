/* inside.h — what the parts of a run directory know of each other; private to this folder.
 *
 * Measurements are in two files.  measurements.h5 has the numbers, written by libhdf5.
 * checkpoint/index-<id> is ours: where in that file each chunk of numbers lies, and checksums.
 * What libhdf5 says about its own file is only sure when it closed it: a process that is killed,
 * a disk that is full or a machine that loses power leaves metadata of which any part may be
 * missing, and then nothing in the file can be found through the library.  The chunks themselves
 * have no filter, never move, and are never given back, so a number that was once written stays
 * where it is: with the index it is found without the library and whatever else happened to the
 * file.  Such a file is not repaired: its numbers are written into a new one, which replaces it. */
#ifndef LQFT_RUN_INSIDE_H
#define LQFT_RUN_INSIDE_H

#include "store.h"

#include <sys/types.h>

enum { BAD_DATA = 65, INTERNAL = 70, CANNOT_CREATE = 73, CANNOT_WRITE = 74 };

/* One data set.  A chunk has all elements, and either all chains and several rows or one row and
 * several chains. */
typedef struct Column {
    StoreColumn spec;
    int64_t elements;                     /* of one row: one draw that is kept, on one chain */
    int64_t block_chains, block_rows;     /* in one chunk */
    struct { uint64_t *data; int n, cap; } places; /* of the chunks in the file: [block of rows][block of chains] */
    struct { uint64_t *data; int n, cap; } sums; /* of the pieces that are being appended */
    int64_t set;                          /* libhdf5's name of it, or -1 */
    int64_t cached;                       /* the chunk that `cache` holds, or -1 */
    double *cache;
} Column;

typedef struct Group {
    const char *name, *about;
    int64_t chains;
    int ncolumns;
    Column *columns;
    int64_t draws;       /* so many are in the file, in the index, and have been read again */
    const char *problem; /* why later ones that the index knows are lost, or NULL */
    int nscales;
    struct Scale { int64_t stride, set; } *scales; /* the axes of draws */
} Group;

/* measurements.h5 and its index. */
typedef struct Measurements {
    Arena *arena;
    uint64_t id;         /* in both files: they belong together */
    uint64_t id_place;   /* where it stands in measurements.h5 */
    int data;            /* measurements.h5, for reading, or -1 */
    int index;           /* for appending, or -1 */
    int64_t index_size;  /* as far as it is whole */
    int64_t file;        /* libhdf5's name of the file while it is written, or -1 */
    int file_fd;         /* its descriptor */
    VEC(Group *) groups;
    bool unclean;        /* no process has closed the file */
    const char *problem; /* why nothing could be read, or NULL */
    int read_cause;      /* errno of the last read that failed, or 0 */
} Measurements;

struct Store {
    Arena *arena;
    char *dir, *path_data, *path_log, *path_checkpoints;
    int lock;
    dev_t device; ino_t inode; /* of the directory */
    struct Store *next;        /* that this process has open */
    bool resumed, begun;       /* run.json: was there, is there */
    Measurements *m;           /* not NULL once it is open */
    int64_t newest, previous;  /* numbers of checkpoints that are whole, or -1 */
};

/* Writes "path: message" to err, and gives `status`. */
int  store_failed(int status, char *err, size_t errlen, const char *path, const char *fmt, ...) LQ_PRINTF(5, 6);
/* "the directory/name", from the arena. */
char *store_path(const Store *s, const char *name);
/* fsync of a directory: 0 or 74. */
int  store_sync_directory(const char *path, char *err, size_t errlen);
/* Makes checkpoint/, which is there from the first thing on that lies in it. */
int  store_make_checkpoints(Store *s, char *err, size_t errlen);
/* run.json is the first file: a directory with other files and without it is none of ours. */
int  store_begun(const Store *s, const char *doing, char *err, size_t errlen);

/* States that were passed over, newer than the one that is used.  One that can be read after all
 * would count draws that are no longer there. */
void states_forget_damaged(const Store *s);

/* ---- index.c ---- */

Measurements *measurements_new(void);
void measurements_free(Measurements *m); /* closes what is open */
/* Closes those of s, and frees them. */
void measurements_close(Store *s);
/* Those that the directory has into s->m: 0 or 65. */
int  measurements_find(Store *s, char *err, size_t errlen);
/* Everything of them is on disk: 0 or 74. */
int  measurements_sync(const Store *s, char *err, size_t errlen);

int64_t rows_of(int64_t draws, int64_t stride); /* draws 0, stride, … below `draws` */
/* The rows [row, end) up to the end of the block in which `row` is. */
int64_t piece_end(const Column *c, int64_t row, int64_t end);
int64_t chain_blocks(const Group *g, const Column *c);
/* Shape, sizes of chunks; false when they are impossible. */
bool    column_shape(const Group *g, Column *c);

/* A caller's arrays: row r of a chain at data + (chain*chain_rows + r - first_row)*elements. */
typedef struct Rows { const double *data; int64_t chain_rows, first_row; } Rows;
/* The checksum of rows of one block: of memory; of the file (false: they cannot be read). */
uint64_t piece_checksum(const Group *g, const Column *c, const Rows *from, int64_t row, int64_t end);
bool     piece_checksum_read(Measurements *m, const Group *g, Column *c, int64_t row, int64_t end, uint64_t *sum);
/* Has the file these rows of one block? */
bool     piece_is_there(Measurements *m, const Group *g, Column *c, const Rows *from, int64_t row, int64_t end);
/* Rows [row, end) of all chains into data, where row r of a chain is as in Rows. */
bool     rows_read(Measurements *m, const Group *g, Column *c, double *data, int64_t chain_rows, int64_t first_row, int64_t row, int64_t end);

/* Begins checkpoint/index-<id>; adds what it says: 0, 73 or 74. */
int  index_create(const Store *s, Measurements *m, char *err, size_t errlen);
int  index_add_group(const Store *s, Measurements *m, const Group *g, char *err, size_t errlen);
int  index_add_draws(const Store *s, Measurements *m, int group, int64_t first, int64_t n, char *err, size_t errlen);
/* Removes the indices of other files; or this one. */
void index_remove(const Store *s, uint64_t id, bool others);

/* ---- measurements.c: the file by libhdf5 ---- */

/* Is the library there?  0, or 73. */
int  h5_ready(const Store *s, char *err, size_t errlen);
/* Creates a file at `path` with the groups of m, all without draws, and opens it for appending. */
int  h5_create(Measurements *m, const char *path, char *err, size_t errlen);
/* Appends rows, and has them in the file and their checksums in the columns when it returns: 0 or 74, and then the file is lost for writing. */
int  h5_append(Measurements *m, const char *path, Group *g, int64_t first, int64_t n, const Rows *rows, char *err, size_t errlen);
/* Closes it, cleanly where that is possible. */
void h5_close(Measurements *m);
/* Closes it without a further byte written to it. */
void h5_abandon(Measurements *m);

#endif
