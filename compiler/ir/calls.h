/* calls.h — how executors learn what a call of the IR asks of the runtime. */
#ifndef LQFT_IR_CALLS_H
#define LQFT_IR_CALLS_H

#include "ir.h"

#include "../../runtime/calls.h"

/* Not yet prepared. `single`: of a function in single precision. */
void ir_call_describe(const Ir *ir, Ref call, bool single, LqCall *out);

#endif
