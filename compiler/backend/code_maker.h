/* code_maker.h — what the library of llvm*.c offers to native.c: object code. */
#ifndef LQFT_CODE_MAKER_H
#define LQFT_CODE_MAKER_H

#include "backend.h"

typedef struct CodeObject { char *bytes; size_t size; } CodeObject;    /* from malloc */

typedef struct CodeMaker {
    /* Why nothing can be made here, or NULL. */
    const char *(*problem)(void);
    /* Object code with void lqft_<name>(const CallArgs *) for each program.  whole: with all
     * constants in it; otherwise large ones are symbols, see native_constant_name. */
    bool (*make)(KProgram *const *programs, int n, const BackendOptions *o, bool whole, CodeObject *out,
                 char *err, size_t errlen);
} CodeMaker;

extern const CodeMaker lqft_code_maker;

/* Constants of more doubles than this are symbols of this name. */
enum { NATIVE_LARGE = 4096 };
static inline void native_constant_name(char *out, size_t n, const KProgram *p, int buf) {
    snprintf(out, n, "lqft_constant_%s_%d", p->name, buf);
}

#endif
