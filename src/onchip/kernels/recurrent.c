/* Scans over time of dense layers whose neurons receive their own spikes of the step before.
 *
 * A tensor is T steps of (batch, n) numbers; samples run through all steps one after the other. `current` and
 * `adaptation` are NULL for neurons without such a state.
 *
 *     i = current_decay · i + drive,   u = decay · v + i,   x = u - rise · a,   s = x >= threshold
 *     v = u after its reset,           a = adaptation_decay · a + s
 */

#include <string.h>

#include "neuron.h"

/* Samples and columns of a product that are computed at a time, with their sums in registers. */
enum { SAMPLES = 4, COLUMNS = 16 };

struct cell {
    struct neuron neuron;
    float current_decay, rise, adaptation_decay;
};

/* States or errors of one sample; NULL where there are none. */
struct sample {
    float *membrane, *current, *adaptation;
};

/* Adds the rows of weights (from, to) of the neurons in a list, in their order. */
INLINE void add_rows(const float *weights, const int64_t *from, int64_t count, float *to, int64_t n)
{
    int64_t k = 0;
    for (; k + 4 <= count; k += 4) { /* four at a time: the sum is loaded and stored once for all */
        const float *a = weights + from[k] * n, *b = weights + from[k + 1] * n;
        const float *c = weights + from[k + 2] * n, *d = weights + from[k + 3] * n;
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            to[i] = to[i] + a[i] + b[i] + c[i] + d[i];
    }
    for (; k < count; k++) {
        const float *row = weights + from[k] * n;
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            to[i] += row[i];
    }
}

/* One step of a sample: x over the drive's place, u where it is wanted. */
INLINE void advance(int hard, int filtered, int adaptive, float *x, float *potential, float *spikes, struct sample at,
                    int64_t n, struct cell c)
{
    const float decay = c.neuron.decay, threshold = c.neuron.threshold;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float drive = x[i];
        if (filtered)
            drive = at.current[i] = muladd(c.current_decay, at.current[i], drive);
        const float u = muladd(decay, at.membrane[i], drive);
        const float distance = adaptive ? muladd(-c.rise, at.adaptation[i], u) : u;
        const float s = distance >= threshold ? 1.0f : 0.0f;
        x[i] = distance;
        spikes[i] = s;
        at.membrane[i] = hard ? u - u * s : u - threshold * s;
        if (adaptive) {
            at.adaptation[i] = muladd(c.adaptation_decay, at.adaptation[i], s);
            if (potential)
                potential[i] = u;
        }
    }
}

static void step(int hard, float *x, float *potential, float *spikes, struct sample at, int64_t n, struct cell c)
{
    switch (4 * hard + 2 * (at.current != NULL) + (at.adaptation != NULL)) {
#define CASE(HARD, FILTERED, ADAPTIVE)                                                                                 \
    case 4 * HARD + 2 * FILTERED + ADAPTIVE:                                                                           \
        advance(HARD, FILTERED, ADAPTIVE, x, ADAPTIVE ? potential : NULL, spikes, at, n, c);                           \
        return;
        CASE(0, 0, 0) CASE(0, 0, 1) CASE(0, 1, 0) CASE(0, 1, 1)
        CASE(1, 0, 0) CASE(1, 0, 1) CASE(1, 1, 0) CASE(1, 1, 1)
#undef CASE
    }
}

/* Neurons over time. Weights are (from, to), and only rows of neurons that fired are added; before the first step of
 * `spikes` lie those of the step before it. States are those to start from, and then those after the last step. `fired`
 * is room for batch * n numbers. Potentials are only written of adaptive neurons, and may be NULL. */
int64_t onchip_recurrent(float *distances, float *potentials, const float *weights, float *spikes, float *membrane,
                         float *current, float *adaptation, int64_t *fired, int64_t steps, int64_t batch, int64_t n,
                         int64_t hard, double decay, double threshold, double current_decay, double rise,
                         double adaptation_decay)
{
    const struct cell c = {neuron_of(0.0, 0.0, decay, threshold), (float)current_decay, (float)rise,
                           (float)adaptation_decay};
#pragma omp parallel for schedule(static) if (steps * batch * n > SMALL)
    for (int64_t b = 0; b < batch; b++) {
        int64_t *list = fired + b * n;
        const struct sample at = {membrane + b * n, current ? current + b * n : NULL,
                                  adaptation ? adaptation + b * n : NULL};
        for (int64_t t = 0; t < steps; t++) {
            const int64_t place = (t * batch + b) * n;
            float *x = distances + place;
            const float *last = spikes + place - batch * n;
            int64_t count = 0;
            for (int64_t i = 0; i < n; i++) {
                list[count] = i; /* overwritten by the next one unless this one fired */
                count += last[i] != 0.0f;
            }
            add_rows(weights, list, count, x, n);
            step(hard != 0, x, potentials ? potentials + place : NULL, spikes + place, at, n, c);
        }
    }
    return 0;
}

/* to = base + from · weights, for rows (from, to) of the weights and a few samples, n numbers each. */
INLINE void add_product(int samples, const float *base, const float *from, const float *weights, float *to, int64_t n)
{
    int64_t k = 0;
    for (; k + COLUMNS <= n; k += COLUMNS) {
        float sums[SAMPLES][COLUMNS];
        for (int s = 0; s < samples; s++)
            memcpy(sums[s], base + s * n + k, sizeof sums[s]);
        for (int64_t j = 0; j < n; j++) {
            const float *row = weights + j * n + k;
#pragma omp simd
            for (int i = 0; i < COLUMNS; i++)
                for (int s = 0; s < samples; s++)
                    sums[s][i] = muladd(from[s * n + j], row[i], sums[s][i]);
        }
        for (int s = 0; s < samples; s++)
            memcpy(to + s * n + k, sums[s], sizeof sums[s]);
    }
    for (; k < n; k++)
        for (int s = 0; s < samples; s++) {
            float sum = base[s * n + k];
            for (int64_t j = 0; j < n; j++)
                sum = muladd(from[s * n + j], weights[j * n + k], sum);
            to[s * n + k] = sum;
        }
}

/* The error at the spikes, completed by what came later; and the later error at the membrane, past its reset. */
INLINE void reset_back(int past, int adaptive, float *error, const float *x, const float *u, struct sample later,
                       int64_t n, struct cell c)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float next = later.membrane[i];
        float e = error[i];
        if (adaptive)
            e += later.adaptation[i];
        if (past == RESET_HARD)
            e += -c.neuron.decay * u[i] * next;
        if (past == RESET_SOFT)
            e = muladd(-c.neuron.through, next, e);
        if (past == RESET_HARD || past == DETACHED_HARD)
            later.membrane[i] = x[i] >= c.neuron.threshold ? 0.0f : next;
        error[i] = e;
    }
}

/* The errors at the potential, over x, and at the adaptation, from that at the spikes. */
INLINE void spike_back(int kind, int adaptive, float *x, const float *error, struct sample later, int64_t n,
                       struct cell c)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float e = gated(kind, x[i] - c.neuron.threshold, error[i], c.neuron);
        x[i] = later.membrane[i] = muladd(c.neuron.decay, later.membrane[i], e);
        if (adaptive)
            later.adaptation[i] = muladd(c.adaptation_decay, later.adaptation[i], -c.rise * e);
    }
}

/* One step back of a sample. Returns 1 for a surrogate or a past that there is not. */
static int step_back(int64_t past, int64_t kind, float *x, const float *u, float *error, struct sample later, int64_t n,
                     struct cell c)
{
    switch (2 * past + (later.adaptation != NULL)) {
#define PAST(PAST)                                                                                                     \
    case 2 * PAST:                                                                                                     \
        reset_back(PAST, 0, error, x, u, later, n, c);                                                                 \
        break;                                                                                                         \
    case 2 * PAST + 1:                                                                                                 \
        reset_back(PAST, 1, error, x, u, later, n, c);                                                                 \
        break;
        PAST(RESET_SOFT) PAST(RESET_HARD) PAST(DETACHED_SOFT) PAST(DETACHED_HARD)
#undef PAST
    default:
        return 1;
    }
    switch (2 * kind + (later.adaptation != NULL)) {
#define KIND(KIND)                                                                                                     \
    case 2 * KIND:                                                                                                     \
        spike_back(KIND, 0, x, error, later, n, c);                                                                    \
        return 0;                                                                                                      \
    case 2 * KIND + 1:                                                                                                 \
        spike_back(KIND, 1, x, error, later, n, c);                                                                    \
        return 0;
        KIND(SIGMOID) KIND(ATAN) KIND(FAST_SIGMOID) KIND(TRIANGLE) KIND(RECTANGLE)
#undef KIND
    }
    return 1;
}

/* Errors at the drive, over the place of x, from those at the spikes. Weights are (from, to) of errors: (out, in).
 * `arrived` is room for a step, (batch, n); `membrane` and `adaptation`, of the same size, are errors that come from
 * after the last step, and are overwritten; `filtered` neurons have a current. Potentials, which only an adaptive neuron
 * with a hard reset needs beside x, may be NULL. Returns 1 for a surrogate or a past that there is not. */
int64_t onchip_recurrent_back(float *distances, const float *potentials, const float *error, const float *weights,
                              float *arrived, float *membrane, float *adaptation, int64_t steps, int64_t batch,
                              int64_t n, int64_t error_step, int64_t filtered, int64_t past, int64_t kind, double first,
                              double second, double decay, double threshold, double current_decay, double rise,
                              double adaptation_decay)
{
    const struct cell c = {neuron_of(first, second, decay, threshold), (float)current_decay, (float)rise,
                           (float)adaptation_decay};
    int unknown = 0;
#pragma omp parallel for schedule(static) reduction(| : unknown) if (steps * batch * n > SMALL)
    for (int64_t b = 0; b < batch; b += SAMPLES) {
        const int64_t end = least(b + SAMPLES, batch), size = (end - b) * n;
        for (int64_t t = steps - 1; t >= 0; t--) {
            float *x = distances + (t * batch + b) * n, *into = arrived + b * n;
            const float *g = error + t * error_step + b * n, *next = x + batch * n;
            if (t == steps - 1)
                memcpy(into, g, (size_t)size * sizeof(float));
            else if (size == SAMPLES * n)
                add_product(SAMPLES, g, next, weights, into, n);
            else
                for (int64_t s = 0; s < end - b; s++)
                    add_product(1, g + s * n, next + s * n, weights, into + s * n, n);
            for (int64_t s = 0; s < end - b; s++) {
                const int64_t place = (b + s) * n;
                const struct sample later = {membrane + place, NULL, adaptation ? adaptation + place : NULL};
                const float *u = potentials ? potentials + t * batch * n + place : x + s * n;
                unknown |= step_back(past, kind, x + s * n, u, into + s * n, later, n, c);
            }
            if (filtered && t < steps - 1)
#pragma omp simd
                for (int64_t i = 0; i < size; i++)
                    x[i] = muladd(c.current_decay, next[i], x[i]);
        }
    }
    return unknown;
}
