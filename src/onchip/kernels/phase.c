/* Spike trains of integrate-and-fire units that begin at a random phase. */

#include <math.h>
#include <stdint.h>

enum { BLOCK = 1024 };

/* For each of n units and each of `steps` steps, sum += number and a spike for each whole number passed, -1 going
 * down. `numbers` are (steps, n), or (n) for all steps where `is_static`. `phase` (n) is the sum before the first
 * step; the fraction of the last sum is written over it. */
int64_t onchip_phase(const float *numbers, float *phase, float *spikes, int64_t steps, int64_t n, int64_t is_static)
{
#pragma omp parallel for schedule(static) if (steps * n > 1 << 15)
    for (int64_t first = 0; first < n; first += BLOCK) {
        const int64_t width = n - first < BLOCK ? n - first : BLOCK;
        float sum[BLOCK], passed[BLOCK];
        for (int64_t j = 0; j < width; j++) {
            sum[j] = phase[first + j];
            passed[j] = floorf(sum[j]);
        }
        for (int64_t step = 0; step < steps; step++) {
            const float *number = numbers + (is_static ? 0 : step * n) + first;
            float *spike = spikes + step * n + first;
            for (int64_t j = 0; j < width; j++) {
                sum[j] += number[j];
                const float whole = floorf(sum[j]);
                spike[j] = whole - passed[j];
                passed[j] = whole;
            }
        }
        for (int64_t j = 0; j < width; j++)
            phase[first + j] = sum[j] - passed[j];
    }
    return 0;
}
