/* Neurons that fire at most once, at times in closed form; kernels/times.py has the same arithmetic in torch. */

#include "neuron.h"

static inline float smaller(float a, float b)
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
        values[i] = smaller(times[i], 3.402823466e38f) * m; /* the largest number: an inf must not meet a factor 0 */
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
        by_sum[i] = -(smaller(crossing * slope, clip) * mid);
        by_time[i] = smaller(slope, clip) * mid;
        const float late = crossing - 1.0f, relative = late < 0.0f ? 0.0f : smaller(late, 1.0f);
        times[i] = relative * mid + (1.0f / (mid + start) - 1.0f);
    }
    return 0;
}

INLINE void add_firing(int kind, const float *total, const float *delay, float *by_sum, float *by_time, int64_t n,
                       struct neuron a)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float firing = gated(kind, 2.0f * total[i] - delay[i], 1.0f, a);
        by_sum[i] -= 2.0f * firing;
        by_time[i] += firing;
    }
}

/* Adds the derivative of firing to the partial derivatives (n) of spike times, from the two sums (n).
 * Returns 0, or 1 for a surrogate that there is not. */
int64_t onchip_add_firing(const float *total, const float *delay, float *by_sum, float *by_time, int64_t n,
                          int64_t kind, double first, double second)
{
    const struct neuron a = neuron_of(first, second, 0.0, 0.0);
    int64_t unknown = 0;
    /* The switch within the stretch: a parallel loop would make a variable of the kind, and of each case a branch. */
#pragma omp parallel for schedule(static) reduction(| : unknown) if (n > SMALL)
    for (int64_t at = 0; at < n; at += STRETCH)
        switch (kind) {
#define ADD(KIND)                                                                                                      \
    case KIND:                                                                                                         \
        add_firing(KIND, total + at, delay + at, by_sum + at, by_time + at, least(STRETCH, n - at), a);                \
        break;
            FOR_SURROGATES(ADD)
#undef ADD
        default:
            unknown = 1;
        }
    return unknown;
}

/* The earliest time of each pool x pool square of maps (batch, height, width, channels), and which of its pixels had
 * it: the first of equals, and the first where all are silent. */
int64_t onchip_earliest(const float *times, float *earliest, uint8_t *which, int64_t batch, int64_t height,
                        int64_t width, int64_t channels, int64_t pool)
{
    const int64_t rows = batch * (height / pool), cells = width / pool;
#pragma omp parallel for schedule(static) if (batch * height * width * channels > SMALL)
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < cells; x++)
            for (int64_t first = 0; first < channels; first += STRETCH) {
                const int64_t n = channels - first < STRETCH ? channels - first : STRETCH;
                float *best = earliest + (y * cells + x) * channels + first;
                int32_t winner[STRETCH];
                for (int64_t c = 0; c < n; c++) {
                    best[c] = INFINITY;
                    winner[c] = 0;
                }
                for (int32_t k = 0; k < pool * pool; k++) {
                    const int64_t pixel = (y * pool + k / pool) * width + x * pool + k % pool;
                    const float *now = times + pixel * channels + first;
#pragma omp simd
                    for (int64_t c = 0; c < n; c++) {
                        const float t = now[c];
                        const int wins = (t < best[c]) | (t != t); /* NaN wins, and is kept */
                        best[c] = wins ? t : best[c];
                        winner[c] = wins ? k : winner[c];
                    }
                }
                for (int64_t c = 0; c < n; c++)
                    which[(y * cells + x) * channels + first + c] = (uint8_t)winner[c];
            }
    return 0;
}

/* The error of that, to the pixel which had the earliest time. */
int64_t onchip_earliest_backward(const float *error, const uint8_t *which, float *spread, int64_t batch, int64_t height,
                                int64_t width, int64_t channels, int64_t pool)
{
    const int64_t rows = batch * (height / pool), cells = width / pool;
#pragma omp parallel for schedule(static) if (batch * height * width * channels > SMALL)
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < cells; x++) {
            const float *from = error + (y * cells + x) * channels;
            const uint8_t *winner = which + (y * cells + x) * channels;
            for (int32_t k = 0; k < pool * pool; k++) {
                const int64_t pixel = (y * pool + k / pool) * width + x * pool + k % pool;
                float *to = spread + pixel * channels;
#pragma omp simd
                for (int64_t c = 0; c < channels; c++)
                    to[c] = winner[c] == k ? from[c] : 0.0f;
            }
        }
    return 0;
}
