/* Neurons that fire at most once, at times in closed form; kernels/times.py has the same arithmetic in torch. */

#include <math.h>
#include <stdint.h>

enum { SMALL = 1 << 15 };

static inline float least(float a, float b)
{
    return a > b ? b : a; /* NaN in a stays */
}

/* Spike times (n), inf = silent, to planes: 1 where a neuron fired, and its time or 0. */
int64_t onchip_planes(const float *times, float *fired, float *values, int64_t n)
{
#pragma omp parallel for simd schedule(static) if (n > SMALL)
    for (int64_t i = 0; i < n; i++) {
        const float m = times[i] < INFINITY ? 1.0f : 0.0f;
        fired[i] = m;
        values[i] = least(times[i], 3.402823466e38f) * m; /* the largest number: an inf must not meet a factor 0 */
    }
    return 0;
}

/* The two sums (n) to spike times (n) and the times' partial derivatives by each sum, bounded by `clip`. */
int64_t onchip_cross(const float *total, const float *delay, float *times, float *by_sum, float *by_time, int64_t n,
                     double bound)
{
    const float clip = (float)bound;
#pragma omp parallel for simd schedule(static) if (n > SMALL)
    for (int64_t i = 0; i < n; i++) {
        const float S = total[i], I = delay[i];
        const float start = S - I >= 1.0f ? 1.0f : 0.0f, fires = I - 2.0f * S < 0.0f ? 1.0f : 0.0f;
        const float mid = (1.0f - start) * fires, slope = 1.0f / (S * mid + 1.0f), crossing = (2.0f + I) * slope;
        by_sum[i] = -(least(crossing * slope, clip) * mid);
        by_time[i] = least(slope, clip) * mid;
        const float late = crossing - 1.0f, relative = late < 0.0f ? 0.0f : least(late, 1.0f);
        times[i] = relative * mid + (1.0f / (mid + start) - 1.0f);
    }
    return 0;
}
