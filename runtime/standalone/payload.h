/* payload.h — what `lqft build` appends to a stub: a program and its code.
 *
 *   the stub, an ELF file that does not change
 *   head: JSON text {"version", "cpu", "groups": […], "program": …}, its length before it
 *   blobs: for each group its objects, constants and calls, each aligned to 64 bytes
 *   tail: offset and length of the above, a checksum, a mark
 *
 * The ELF loader ignores what is appended. */
#ifndef LQFT_PAYLOAD_H
#define LQFT_PAYLOAD_H

#include "../code/code.h"

/* Functions that are called together, for one kind of processor and one layout. */
typedef struct PayloadGroup {
    int       sample;                 /* -1: reports, and the start of variables */
    bool      alone;                  /* for one replica */
    const char *cpu;                  /* x86-64-v2, …; "": the processor it was built on */
    RunLayout layout;
    int64_t   scratch; bool shared;   /* as RunEngine has it */
    CodeGroup code;
} PayloadGroup;

typedef struct Payload {
    RunProgram *program;
    bool native;                      /* built for the processor that it was built on */
    int  level;                       /* of x86-64, whose code is used: 2, 3, 4 */
    int ngroups; PayloadGroup *groups;
} Payload;

/* out: a copy of the stub with the payload, executable. 0, or 73/74 and a message. */
int payload_write(const char *stub, const char *out, const Payload *p, char *err, size_t errlen);
/* Of this file; NULL and a message: there is none, it is damaged, or for another processor.  Lives in
 * the arena, but for the code, which code_load takes. */
Payload *payload_read(const char *path, Arena *arena, char *err, size_t errlen);
void     payload_free(Payload *p);               /* but for what lies in the arena */

/* Which code is used: the best for this processor, or what the environment variable LQFT_CPU says. 0, or 2
 * and a message when it says something else, or more than this processor can do. */
int payload_processor(Payload *p, char *err, size_t errlen);

/* The payload as an engine. */
typedef struct PayloadEngine PayloadEngine;
RunEngine payload_engine(Payload *p, Arena *arena);
/* Loads what is called once, which is else done when it is called: false and a message when it cannot be. */
bool      payload_engine_ready(RunEngine *e, char *err, size_t errlen);
/* Settings have changed: what was loaded with them is loaded anew. */
void      payload_engine_renew(RunEngine *e);
/* The seed of the run: data may be drawn with it. */
void      payload_engine_seed(RunEngine *e, uint32_t seed);
void      payload_engine_free(RunEngine *e);       /* of the payload too */

#endif
