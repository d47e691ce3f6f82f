/* payload.h — what `lqft build` appends to a carrier: a program and its code, or several for different
 * values of what has to be known when code is made.
 *
 *   the carrier, an ELF file that does not change
 *   for each variant:
 *     its values, as lines name=value; head: JSON text {"version", "cpu", "groups": […], "program": …};
 *     the lengths of both stand before them
 *     blobs: for each group its objects, constants and calls, each aligned to 64 bytes
 *     tail: offset and length of the above, where the tail before ends, a checksum, a mark
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
    const char *values;               /* that make this variant, lines name=value; "": there are no others */
    RunProgram *program;
    bool native;                      /* built for the processor that it was built on */
    int  level;                       /* of x86-64, whose code is used: 2, 3, 4 */
    int ngroups; PayloadGroup *groups;
} Payload;

/* The carrier, then each payload, then the file, which can be executed: 0, or 65, 66, 73, 74 and a message. */
int payload_begin(Text *all, const char *carrier, char *err, size_t errlen);
int payload_add(Text *all, const Payload *p, char *err, size_t errlen);
int payload_write(const Text *all, const char *out, char *err, size_t errlen);

/* What was appended to a file; the first variant is the one of the defaults. */
typedef struct Variant { const char *values, *bytes; size_t size, head; } Variant;
typedef struct Payloads { int n; Variant *variants; char *map; size_t size; } Payloads;
/* NULL and a message: there is none, or it is damaged.  Payloads that were read do not need it. */
Payloads *payloads_open(const char *path, Arena *arena, char *err, size_t errlen);
void payloads_close(Payloads *all);
/* NULL and a message: it is damaged, or for another processor.  Lives in the arena, but for the code,
 * which code_load takes. */
Payload *payload_read(const Payloads *all, int variant, Arena *arena, char *err, size_t errlen);
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
