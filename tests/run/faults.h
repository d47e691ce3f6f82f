/* faults.h — calls of the system that fail when a test wants it: the test program's own write,
 * fsync, rename, open, mkdir and malloc stand before those of the C library, for the runtime and
 * for libhdf5 alike, so that nothing in the runtime knows of it. */
#ifndef LQFT_TEST_FAULTS_H
#define LQFT_TEST_FAULTS_H

#include <stdbool.h>

enum { FAULT_WRITE, FAULT_SYNC, FAULT_RENAME, FAULT_OPEN, FAULT_MKDIR, FAULT_TRUNCATE, FAULT_READ, FAULT_MEMORY, FAULT_LIBRARY_MEMORY, FAULT_KINDS };
extern const char *const fault_names[FAULT_KINDS];

/* From now on the calls of each kind are counted from 1, and call `at` of `kind` fails with this
 * errno; and all later ones when it lasts.  at 0: none fails. */
void fault_set(int kind, long at, int cause, bool lasts);
long fault_count(int kind);
bool fault_happened(void);
/* No file is synced really: quick tests of what is not about power. */
extern bool fault_no_sync;

#endif
