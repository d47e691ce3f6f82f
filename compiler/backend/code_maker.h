/* code_maker.h — what the library of llvm*.c offers to native.c: object code. */
#ifndef LQFT_CODE_MAKER_H
#define LQFT_CODE_MAKER_H

#include "backend.h"

typedef struct CodeObject { char *bytes; size_t size; } CodeObject;    /* from malloc */

typedef struct CodeMaker {
    /* Why nothing can be made here, or NULL. */
    const char *(*problem)(void);
    /* Object code.  whole: void lqft_<name>(const CallArgs *) for each program, which stands
     * by itself, but for `const LqCall lqft_calls_<name>[]`, its calls, prepared.  Otherwise the functions are called by number, names need not differ, and
     * large constants, and the calls, prepared, are symbols: code_…_name of runtime/code/code.h. */
    bool (*make)(KProgram *const *programs, int n, const BackendOptions *o, bool whole, CodeObject *out,
                 char *err, size_t errlen);
} CodeMaker;

extern const CodeMaker lqft_code_maker;

/* Constants of more doubles than this are symbols; programs are counted from 0 in an object. */
enum { NATIVE_LARGE = 4096 };
/* So are those that depend on settings or the seed. */
static inline bool native_is_symbol(const KBuf *b) { return b->kind == KB_CONST && (b->n > NATIVE_LARGE || b->source); }

#endif
