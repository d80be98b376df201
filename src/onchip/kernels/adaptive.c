/* Scans over time of neurons with an adaptive threshold; kernels/alif.py has the equations, kernels/table.py the numbers
 * of surrogates and of ways to the past. A tensor is T steps of n numbers in one order. Each stretch of neurons runs
 * through all steps while it stays in the nearest cache. Products and sums round as torch's do, unless a comment says
 * otherwise.
 */

#include <string.h>

#include "neuron.h"

/* Neurons (n) over time: distances over the drive's place; potentials and adaptations before each step where those are not
 * NULL. Membrane and adaptation are the states to start from, and are left as they are after the last step. */
int64_t onchip_alif(float *distances, float *potentials, float *adaptations, float *spikes, float *membrane,
                    float *adaptation, int64_t steps, int64_t n, int64_t hard, double decay, double threshold, double rise,
                    double adaptation_decay)
{
    const float keeps = (float)decay, level = (float)threshold, lifts = (float)-rise, adapts = (float)adaptation_decay;
#pragma omp parallel for schedule(static) if (steps * n > SMALL)
    for (int64_t at = 0; at < n; at += STRETCH) {
        const int64_t m = least(STRETCH, n - at);
        float scratch[STRETCH], *v = membrane + at, *a = adaptation + at;
        for (int64_t t = 0; t < steps; t++) {
            float *x = distances + t * n + at, *s = spikes + t * n + at;
            float *u = potentials ? potentials + t * n + at : scratch;
            if (adaptations)
                memcpy(adaptations + t * n + at, a, (size_t)m * sizeof(float));
#pragma omp simd
            for (int64_t i = 0; i < m; i++) {
                const float now = muladd(keeps, v[i], x[i]), distance = muladd(lifts, a[i], now);
                const float fired = distance >= level ? 1.0f : 0.0f;
                u[i] = now;
                x[i] = distance;
                s[i] = fired;
                v[i] = hard ? now - now * fired : now - level * fired;
                a[i] = muladd(adapts, a[i], fired);
            }
        }
    }
    return 0;
}

/* Errors of a stretch at all steps, the last one first. Kind and past are constants in each case of `errors_of`. */
INLINE void adjoint(int kind, int past, float *distances, const float *potentials, const float *error, float *later,
                    float *alpha, int64_t steps, int64_t m, int64_t n, int64_t error_step, struct neuron a, float lifts,
                    float adapts)
{
    for (int64_t t = steps - 1; t >= 0; t--) {
        float *x = distances + t * n;
        const float *g = error + t * error_step, *u = past == RESET_HARD ? potentials + t * n : x;
#pragma omp simd
        for (int64_t i = 0; i < m; i++) {
            float carried = a.decay * later[i], e = g[i] + alpha[i];
            if (past == RESET_SOFT)
                e = muladd(-a.threshold, carried, e);
            if (past == RESET_HARD) /* torch rounds the product first */
                e = muladd(-u[i], carried, e);
            if (past == RESET_HARD || past == DETACHED_HARD)
                carried = x[i] >= a.threshold ? 0.0f : carried;
            const float through_spike = gated(kind, x[i] - a.threshold, e, a);
            alpha[i] = muladd(adapts, alpha[i], lifts * through_spike);
            x[i] = later[i] = through_spike + carried;
        }
    }
}

static int errors_of(int64_t kind, int64_t past, float *distances, const float *potentials, const float *error,
                     float *later, float *alpha, int64_t steps, int64_t m, int64_t n, int64_t error_step, struct neuron a,
                     float lifts, float adapts)
{
    switch (8 * kind + past) {
#define CASE(KIND, PAST)                                                                                               \
    case 8 * KIND + PAST:                                                                                              \
        adjoint(KIND, PAST, distances, potentials, error, later, alpha, steps, m, n, error_step, a, lifts, adapts);    \
        return 0;
        FOR_SURROGATES(FOR_RESETS)
    }
    return 1;
}

/* Errors over the distances' place, for errors at the spikes of which one step follows another by `error_step`. `later` and
 * `alpha` are the errors at the drive of the step after the last one and at the adaptation of the last one, and are left as
 * those of the first step and the step before it. Potentials may be NULL unless a hard reset is part of the derivative.
 * Returns 0, or 1 for a surrogate or a past that there is not. */
int64_t onchip_alif_back(float *distances, const float *potentials, const float *error, float *later, float *alpha,
                         int64_t steps, int64_t n, int64_t error_step, int64_t past, int64_t kind, double first,
                         double second, double decay, double threshold, double rise, double adaptation_decay)
{
    const struct neuron a = neuron_of(first, second, decay, threshold);
    const float lifts = (float)-rise, adapts = (float)adaptation_decay;
    int unknown = 0;
#pragma omp parallel for schedule(static) reduction(| : unknown) if (steps * n > SMALL)
    for (int64_t at = 0; at < n; at += STRETCH)
        unknown |= errors_of(kind, past, distances + at, potentials ? potentials + at : NULL, error + at, later + at,
                             alpha + at, steps, least(STRETCH, n - at), n, error_step, a, lifts, adapts);
    return unknown;
}
