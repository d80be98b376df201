/* Random bits as numbers -1 and 1. */

#include <stdint.h>

/* signs[i] is 1 where bit i is set, of the least in each byte first. */
int64_t onchip_signs(const uint8_t *bits, uint32_t *signs, int64_t n)
{
#pragma omp parallel for schedule(static) if (n > 1 << 18)
    for (int64_t at = 0; at < n / 8; at++) {
        const uint32_t clear = ~(uint32_t)bits[at];
#pragma omp simd
        for (int k = 0; k < 8; k++)
            signs[8 * at + k] = 0x3f800000u | (clear >> k & 1u) << 31; /* 1.0f and its sign */
    }
    for (int64_t i = n / 8 * 8; i < n; i++)
        signs[i] = 0x3f800000u | (~(uint32_t)bits[n / 8] >> (i % 8) & 1u) << 31;
    return 0;
}
