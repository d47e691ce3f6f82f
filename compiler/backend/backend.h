/* backend.h — what an executor offers.  A compiled program runs blocks of W
 * replicas; it holds no state and may be called from several threads at once,
 * each with its own scratch space. */
#ifndef LQFT_BACKEND_H
#define LQFT_BACKEND_H

#include "../kernel/kernel.h"

typedef struct CallArgs {
    /* Per replica element e at [e*W + l], uniform at [e]; of single precision, and so floats,
     * where the program's buffer is (KBuf.single). */
    const double *const *in;     /* [nin] */
    double *const *out;          /* [nout] */
    double *scratch;             /* KProgram.scratch * W doubles, 64-byte aligned */
    uint32_t seed, step;
    const uint32_t *chains;      /* W chain numbers */
} CallArgs;

typedef struct Compiled Compiled;

typedef struct BackendOptions {
    int  lanes;                  /* W: 1, 2, 4, 8 or 16 */
    bool sites;                  /* the lanes are 8 parts of the rows of one replica */
    int  optimize;               /* 0: none, 1: the pass pipeline */
    bool dump;                   /* print the generated code on stderr */
    bool keep;                   /* look for the code on disk, and keep it there */
} BackendOptions;

typedef struct Backend {
    const char *name;
    bool (*available)(void);
    /* Several programs compiled together; NULL and a message after a failure. */
    Compiled *(*compile)(KProgram *const *programs, int n, const BackendOptions *o,
                         char *err, size_t errlen);
    void (*call)(const Compiled *c, int program, const CallArgs *args);
    void (*release)(Compiled *c);
    /* Object code with the same functions: void lqft_<name>(const CallArgs *). */
    bool (*emit_object)(KProgram *const *programs, int n, const BackendOptions *o,
                        const char *path, char *err, size_t errlen);
} Backend;

extern const Backend backend_native;     /* backend/native.c */

#endif
