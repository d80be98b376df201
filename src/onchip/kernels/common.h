/* What several scans share. */

#pragma once

#include <math.h> /* for FP_FAST_FMAF, too */
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

/* Neurons that stay in the nearest cache for all steps; numbers below which one thread is as fast as several. */
enum { STRETCH = 1024, SMALL = 1 << 15 };

INLINE float muladd(float a, float b, float c)
{
#ifdef FP_FAST_FMAF
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

INLINE int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
