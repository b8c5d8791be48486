/* Layers on tensors of floats, channels last. Written by eeaug; the same for every network. */
#include "@{prefix}_kernels.h"

#include <math.h>
#include <stddef.h>

/* Where a multiply-add is one instruction. */
#if defined(__FP_FAST_FMAF)
#define MULTIPLY_ADD(a, b, sum) fmaf(a, b, sum)
#else
#define MULTIPLY_ADD(a, b, sum) ((a) * (b) + (sum))
#endif
