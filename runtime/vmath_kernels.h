/* vmath_kernels.h — the texts of vmath_text.h and vmath_special.h in plain C and double precision: k_exp(x)
 * and so on, for loops that vectorise.  Private to runtime/. */
#ifndef LQFT_VMATH_KERNELS_H
#define LQFT_VMATH_KERNELS_H

#undef VM_SINGLE
#define VM_SINGLE 0
#include "vmath_machine.h"
#include "vmath_text.h"
#include "vmath_special.h"

#endif
