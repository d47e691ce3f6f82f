/* backend.h — what an executor offers.  A compiled program runs blocks of W
 * replicas; it holds no state and may be called from several threads at once,
 * each with its own scratch space. */
#ifndef LQFT_BACKEND_H
#define LQFT_BACKEND_H

#include "../kernel/kernel.h"
#include "../../runtime/code/code.h"      /* CallArgs: scratch is KProgram.scratch * W doubles */

typedef struct Compiled Compiled;

typedef struct BackendOptions {
    int  lanes;                  /* W: 1, 2, 4, 8 or 16 */
    bool sites;                  /* the lanes are 8 parts of the rows of one replica */
    int  optimize;               /* 0: none, 1: the pass pipeline */
    bool dump;                   /* print the generated code on stderr */
    bool keep;                   /* look for the code on disk, and keep it there */
    const char *cpu;             /* code for another processor than this one: x86-64-v2, -v3, -v4; NULL: this one */
} BackendOptions;

typedef struct Backend {
    const char *name;
    bool (*available)(void);
    /* Several programs compiled together; NULL and a message after a failure. */
    Compiled *(*compile)(KProgram *const *programs, int n, const BackendOptions *o,
                         char *err, size_t errlen);
    void (*call)(const Compiled *c, int program, const CallArgs *args);
    void (*release)(Compiled *c);
    /* The same code, to be loaded in another process (runtime/code/code.h). */
    bool (*group)(KProgram *const *programs, int n, const BackendOptions *o, CodeGroup *out, char *err, size_t errlen);
    /* Object code with the same functions: void lqft_<name>(const CallArgs *). */
    bool (*emit_object)(KProgram *const *programs, int n, const BackendOptions *o,
                        const char *path, char *err, size_t errlen);
} Backend;

extern const Backend backend_native;     /* backend/native.c */

#endif
