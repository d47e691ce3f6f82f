/* isolate.h — work in a process of its own, whose crash, hunger for memory or endless
 * loop costs nothing but an error message: for libraries that read files nobody vouches
 * for. */
#ifndef LQFT_IO_ISOLATE_H
#define LQFT_IO_ISOLATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Isolated {
    int in;      /* what the work writes arrives here */
    pid_t child;
} Isolated;

/* Starts work(out, context) in a copy of this process, which may use `memory` bytes more
 * than this one and seconds of processor time in proportion, writes no files, and says nothing.
 * What it writes to `out` is read with isolated_read.  False: no process could be made. */
bool isolated_begin(Isolated *p, void (*work)(int out, void *context), void *context, int64_t memory);
/* n bytes; false when the work ended before. */
bool isolated_read(Isolated *p, void *to, int64_t n);
/* Waits, or ends work that is still busy; NULL when it came to its end by itself, or what
 * happened. */
const char *isolated_end(Isolated *p);

/* For the work: writes n bytes, or ends the process. */
void isolated_write(int out, const void *from, int64_t n);
/* For the work: from here on it opens no file. */
void isolated_close_doors(void);

#endif
