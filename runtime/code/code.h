/* code.h — machine code that was generated elsewhere, in this process: objects, with the constants
 * and the prepared calls that they know by name. The compiler loads what it has just made, or kept in
 * its cache; an executable what was built into it. */
#ifndef LQFT_CODE_H
#define LQFT_CODE_H

#include "../calls.h"
#include "../run/program.h"

/* An object with programs first … first+n-1 of the group. */
typedef struct CodePart { char *bytes; size_t size; int first, n; } CodePart;
/* A large constant of a program, in the order that the code expects; from lq_alloc_vectors. */
typedef struct CodeConstant {
    int     program, buffer;
    int64_t n;
    double *data;
    int     from;                     /* what it is computed from before the run, or 0: it never changes */
    int64_t row;                      /* its rows are split (row_place); 0: in order */
} CodeConstant;
/* The calls of a program, not prepared; from malloc. */
typedef struct CodeCalls { int program, n; LqCall *call; } CodeCalls;

/* The constants of a program that depend on settings; from malloc. */
typedef struct CodeSettings { int program, n; double *value; int *from; } CodeSettings;      /* from: who knows how they are computed gives them numbers */

typedef struct CodeGroup {
    int nprograms;
    int nparts;     CodePart *parts;
    int nconstants; CodeConstant *constants;
    int ncalls;     CodeCalls *calls;
    int nsettings;  CodeSettings *settings;
} CodeGroup;

typedef struct Code Code;

/* Takes the constants, calls and settings out of the group, for as long as the code; parts stay the caller's.
 * NULL and a message when the bytes are no such code. */
Code *code_load(CodeGroup *g, char *err, size_t errlen);
void  code_call(const Code *c, int program, const CallArgs *args);
/* Calls f for the constants that are computed from this. */
void  code_fill(Code *c, int from, void (*f)(CodeConstant *, const double *), const double *data);
void  code_free(Code *c);
void  code_group_free(CodeGroup *g);

/* ---- the names by which an object knows what it needs; programs are counted from 0 in an object --- */

enum { CODE_NAME = 64 };
static inline void code_constant_name(char out[CODE_NAME], int program, int buffer) { snprintf(out, CODE_NAME, "lqft_constant_%d_%d", program, buffer); }
static inline void code_calls_name(char out[CODE_NAME], int program) { snprintf(out, CODE_NAME, "lqft_calls_%d", program); }
static inline void code_settings_name(char out[CODE_NAME], int program) { snprintf(out, CODE_NAME, "lqft_settings_%d", program); }
static inline void code_function_name(char out[CODE_NAME], int program) { snprintf(out, CODE_NAME, "lqft_program_%d", program); }

#endif
