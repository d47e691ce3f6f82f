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
     * large constants are symbols: see below. */
    bool (*make)(KProgram *const *programs, int n, const BackendOptions *o, bool whole, CodeObject *out,
                 char *err, size_t errlen);
} CodeMaker;

extern const CodeMaker lqft_code_maker;

/* Constants of more doubles than this are symbols; programs are counted from 0 in an object. */
enum { NATIVE_LARGE = 4096, NATIVE_NAME = 64 };
static inline void native_constant_name(char out[NATIVE_NAME], int program, int buf) {
    snprintf(out, NATIVE_NAME, "lqft_constant_%d_%d", program, buf);
}
/* The calls of a program, prepared, are one too: an array of LqCall. */
static inline void native_calls_name(char out[NATIVE_NAME], int program) { snprintf(out, NATIVE_NAME, "lqft_calls_%d", program); }
static inline void native_function_name(char out[NATIVE_NAME], int program) { snprintf(out, NATIVE_NAME, "lqft_program_%d", program); }

#endif
