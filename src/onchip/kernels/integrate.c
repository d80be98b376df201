/* Integrate-and-fire units that send as much of their potential as a probability can be; kernels/integrate.py has the
 * same arithmetic in torch. */

#include <stdint.h>

enum { BLOCK = 1024 };

/* For each of n units and each of `steps` steps: what is sent, written over the drives (steps, n); whether the mean of
 * the drives so far is inside (0, 1), and whether what is sent is. `sums` and `potential` (n) are the state before the
 * first step, overwritten by that after the last one; the sums are of `begun` steps. */
int64_t onchip_integrate(float *drives, float *sums, float *potential, uint8_t *inside, uint8_t *sending, int64_t steps,
                         int64_t n, double begun)
{
#pragma omp parallel for schedule(static) if (steps * n > 1 << 15)
    for (int64_t first = 0; first < n; first += BLOCK) {
        const int64_t width = n - first < BLOCK ? n - first : BLOCK;
        float sum[BLOCK], left[BLOCK];
        for (int64_t j = 0; j < width; j++) {
            sum[j] = sums[first + j];
            left[j] = potential[first + j];
        }
        for (int64_t step = 0; step < steps; step++) {
            const float count = (float)(begun + (double)(step + 1));
            const int64_t here = step * n + first;
            for (int64_t j = 0; j < width; j++) {
                const float drive = drives[here + j];
                sum[j] += drive;
                left[j] += drive;
                const float above = left[j] < 0.0f ? 0.0f : left[j], sent = above > 1.0f ? 1.0f : above; /* NaN stays */
                left[j] -= sent;
                drives[here + j] = sent;
                inside[here + j] = (sum[j] > 0.0f) & (sum[j] < count);
                sending[here + j] = (sent > 0.0f) & (sent < 1.0f);
            }
        }
        for (int64_t j = 0; j < width; j++) {
            sums[first + j] = sum[j];
            potential[first + j] = left[j];
        }
    }
    return 0;
}

/* Errors at what was sent to those at the drives, both (steps, n): what is not sent in a step is sent in a later one. */
int64_t onchip_integrate_adjoint(const float *errors, const uint8_t *sending, float *at_drives, int64_t steps, int64_t n)
{
#pragma omp parallel for schedule(static) if (steps * n > 1 << 15)
    for (int64_t first = 0; first < n; first += BLOCK) {
        const int64_t width = n - first < BLOCK ? n - first : BLOCK;
        float later[BLOCK] = {0};
        for (int64_t step = steps; step-- > 0;)
            for (int64_t j = 0, here = step * n + first; j < width; j++, here++)
                at_drives[here] = later[j] = sending[here] ? errors[here] : later[j];
    }
    return 0;
}
