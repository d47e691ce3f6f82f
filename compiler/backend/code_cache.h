/* code_cache.h — object code on disk, found again by its key. */
#ifndef LQFT_CODE_CACHE_H
#define LQFT_CODE_CACHE_H

#include "code_key.h"
#include "code_maker.h"

/* The objects of a key; false: not there, or not as they were written.  From malloc. */
bool code_cache_find(CodeKey key, CodeObject *out, int n);
/* Keeps them; when that is not possible, nothing is lost but time. */
void code_cache_keep(CodeKey key, const CodeObject *objects, int n);

#endif
