/* store.h — a run directory: what a run keeps, so that nothing is lost when it is stopped,
 * killed, or when the disk is full.
 *
 *   lock              held while a run is writing here
 *   run.json          the resolved program: what is run, with which parameters and seed
 *   log.jsonl         one event a line
 *   measurements.h5   /<group>/<column>[chain, draw, …], with dimension scales
 *   checkpoint/       the last two states, whole files with a checksum
 *   summary.json      results, when the run has ended
 *
 * Measurements are written first and made durable, then the checkpoint that counts them: after a
 * crash the run goes on from the newest checkpoint that is whole, and what lies in the
 * measurements beyond it is overwritten.  Every function that can fail returns 0 or an exit status
 * (65 bad data, 73 cannot create, 74 cannot write) with a message in err that names the path and
 * the cause; after a failure the directory is as its last checkpoint says. */
#ifndef LQFT_STORE_H
#define LQFT_STORE_H

#include "../base.h"
#include "../io/arrays.h"

typedef struct Store Store;

/* Creates the directory, or takes an empty one; with `resume` one that has a run in it too.
 * Refused: one that holds other files, one that another process writes to. */
int  store_open(const char *dir, bool resume, Store **out, char *err, size_t errlen);
/* Gives the lock back.  Everything is on disk already. */
void store_close(Store *s);
/* Was there a run already?  Then its run.json, and its newest checkpoint that is whole. */
bool store_is_resumed(const Store *s);

/* A whole file of the directory, replaced atomically: run.json, summary.json. */
int  store_write_text(Store *s, const char *name, const char *text, size_t n, char *err, size_t errlen);
/* The same read; NULL with err empty when there is none. From malloc. */
char *store_read_text(const Store *s, const char *name, size_t *n, char *err, size_t errlen);

/* A line of the log: {"time": …, "event": event, members}; members: the text of further members of
 * the JSON object, as "\"draw\": 10", or NULL. */
int  store_log(Store *s, const char *event, const char *members, char *err, size_t errlen);

/* ---- measurements.h5 --------------------------------------------------------------------------- */

/* One quantity: on each chain and draw an array of this shape. `stride`: it is kept on draws
 * 0, stride, 2 stride … */
typedef struct StoreColumn {
    const char *name;
    int     rank; int64_t shape[ARRAY_MAX_RANK];
    int64_t stride;
    const char *const *axes;              /* [rank] names of the dimension scales, entries or all NULL: numbered */
    const double *const *coords;          /* [rank] points of the axes, or NULL entries, or NULL */
    const char *about;                    /* a sentence for people, or NULL */
} StoreColumn;

/* The group of a task; at a resumed run it is looked up and checked (65 when it is another).
 * `about`: the attribute of the group that says what it is. Returns its number in *out. */
int  store_group(Store *s, const char *name, const char *about, int64_t chains, int ncolumns, const StoreColumn *columns, int *out,
                 char *err, size_t errlen);
/* Draws first … first+n-1 of all chains and columns.  data[c]: [chain][draws][elements], where row
 * `first/stride` of a chain begins at chain*chain_rows[c] + first/stride rows.  Draws from
 * `first` on that the file has are cut off before: never ones that the newest state which is whole
 * counts.  65 when draws before `first` are missing.  Written when it returns, and read again. */
int  store_append(Store *s, int group, int64_t first, int64_t n, const double *const *data, const int64_t *chain_rows,
                  char *err, size_t errlen);
/* So many draws are on disk and whole; at a resumed run at least those that its last checkpoint
 * counts.  Each is checked against its checksum when the directory is opened. */
int64_t store_draws(const Store *s, int group);
/* Draws 0 … n-1 back into the same arrays; 65 when the file has fewer or is damaged. */
int  store_read(Store *s, int group, int64_t n, double *const *data, const int64_t *chain_rows, char *err, size_t errlen);

/* ---- checkpoints --------------------------------------------------------------------------------- */

typedef struct StoreArray { const char *name; int64_t n; const double *data; } StoreArray;

/* What belongs to a state: a JSON text of the caller's, and arrays. */
int  store_checkpoint(Store *s, const char *about, int n, const StoreArray *arrays, char *err, size_t errlen);

/* The newest one that is whole; a damaged one is passed over, with a line in *warning (malloc, or
 * NULL). *out NULL: there is none yet. */
typedef struct Checkpoint { char *about; int n; StoreArray *arrays; } Checkpoint;
int  store_restore(Store *s, Checkpoint **out, char **warning, char *err, size_t errlen);
const StoreArray *checkpoint_find(const Checkpoint *c, const char *name);
void checkpoint_free(Checkpoint *c);

#endif
