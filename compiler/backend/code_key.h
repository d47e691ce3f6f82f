/* code_key.h — what generated code depends on, as a number. */
#ifndef LQFT_CODE_KEY_H
#define LQFT_CODE_KEY_H

#include "backend.h"

typedef struct CodeKey { uint64_t a, b; } CodeKey;

/* Of the programs with everything in them but the contents of large constants, the
 * options, this machine's processor, and the files of this program and of the code
 * maker (so that a new build of either does not meet old code). */
CodeKey code_key(KProgram *const *programs, int n, const BackendOptions *o, const char *maker);

/* Of some bytes. */
CodeKey code_key_of_bytes(const char *bytes, size_t n);

#endif
