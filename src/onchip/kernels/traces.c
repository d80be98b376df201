/* Traces of signals and weighted sums over time. A tensor is T steps of n numbers in one order; each stretch of them
 * runs through all steps while it stays in the nearest cache. Products and sums round as torch's do.
 */

#include <string.h>

#include "common.h"

/* Trace a[t] = decay · a[t-1] + x[t]; `before` is a at the start, or NULL for none. */
int64_t onchip_trace(const float *signal, const float *before, float *traced, int64_t steps, int64_t n, double decay)
{
    const float keeps = (float)decay;
#pragma omp parallel for schedule(static) if (steps * n > SMALL)
    for (int64_t at = 0; at < n; at += STRETCH) {
        const int64_t m = least(STRETCH, n - at);
        const float *last = before ? before + at : 0;
        for (int64_t t = 0; t < steps; t++) {
            const float *now = signal + t * n + at;
            float *to = traced + t * n + at;
            if (!last)
                memcpy(to, now, (size_t)m * sizeof(float));
            else
#pragma omp simd
                for (int64_t i = 0; i < m; i++)
                    to[i] = muladd(keeps, last[i], now[i]);
            last = to;
        }
    }
    return 0;
}

/* Errors of a trace, from the last step to the first: error[t] + decay · error[t+1], over the errors' place. */
int64_t onchip_trace_adjoint(float *error, int64_t steps, int64_t n, double decay)
{
    const float keeps = (float)decay;
#pragma omp parallel for schedule(static) if (steps * n > SMALL)
    for (int64_t at = 0; at < n; at += STRETCH) {
        const int64_t m = least(STRETCH, n - at);
        for (int64_t t = steps - 2; t >= 0; t--) {
            const float *next = error + (t + 1) * n + at;
            float *to = error + t * n + at;
#pragma omp simd
            for (int64_t i = 0; i < m; i++)
                to[i] = muladd(keeps, next[i], to[i]);
        }
    }
    return 0;
}

/* Sum over t of weights[t] · series[t]. */
int64_t onchip_weighted_sum(const float *series, const float *weights, float *total, int64_t steps, int64_t n)
{
#pragma omp parallel for schedule(static) if (steps * n > SMALL)
    for (int64_t at = 0; at < n; at += STRETCH) {
        const int64_t m = least(STRETCH, n - at);
        for (int64_t t = 0; t < steps; t++) {
            const float *now = series + t * n + at, weight = weights[t];
            float *to = total + at;
            if (t == 0)
#pragma omp simd
                for (int64_t i = 0; i < m; i++)
                    to[i] = now[i] * weight;
            else
#pragma omp simd
                for (int64_t i = 0; i < m; i++)
                    to[i] = muladd(weight, now[i], to[i]);
        }
    }
    return 0;
}
