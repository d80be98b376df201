/* Scans over time: leaky integrate-and-fire neurons, their surrogate gradients.
 *
 * The numbers of surrogates (SIGMOID ...), of ways to the past (RESET_SOFT ...) and STATIC_STEPS come from
 * kernels/table.py, as macros.
 *
 * A tensor is T steps of n numbers in one order. Maps are in channels_last order: a step is B rows of images,
 * an image H rows of W pixels, a pixel C numbers. Each stretch of neurons runs through all steps while it
 * stays in the nearest cache. Products and sums round as torch's do, unless a comment says otherwise.
 */

#include <string.h>

#include "neuron.h"

/* Numbers of potentials that a thread stores at a time under a static drive. */
enum { ROOM = 1 << 12 };

/* One step of a stretch: potential over the drive's place, spike out, membrane on. A caller that does not need the potential
 * gives the membrane's place for it, which is written after it. */
INLINE void fire(int hard, const float *drive, float *potential, float *spikes, float *membrane, int64_t n, float decay,
                 float threshold, int add)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float u = muladd(decay, membrane[i], drive[i]), s = u >= threshold ? 1.0f : 0.0f;
        potential[i] = u;
        spikes[i] = add ? spikes[i] + s : s;
        membrane[i] = hard ? u - u * s : u - threshold * s;
    }
}

static void fire_flat(const float *drive, float *potentials, float *spikes, float *membrane, int64_t steps, int64_t n,
                      int is_static, int rested, int hard, float decay, float threshold)
{
#pragma omp parallel for schedule(static) if (steps * n > SMALL)
    for (int64_t at = 0; at < n; at += STRETCH) {
        const int64_t m = least(STRETCH, n - at);
        float *v = membrane + at;
        if (!rested)
            memset(v, 0, (size_t)m * sizeof(float));
        for (int64_t t = 0; t < steps; t++) {
            const float *in = drive + (is_static ? 0 : t * n) + at;
            float *u = potentials ? potentials + t * n + at : v, *out = spikes + t * n + at;
            if (hard)
                fire(1, in, u, out, v, m, decay, threshold, 0);
            else
                fire(0, in, u, out, v, m, decay, threshold, 0);
        }
    }
}

/* Neurons over time, on maps (batch, height, width, channels); out come spikes, or their averages over squares.
 * With `is_static` the drive is one step for all, and potentials may be NULL; `rested` membranes are a state to start
 * from, others are only written. */
int64_t onchip_forward(const float *drive, float *potentials, float *spikes, float *membrane, int64_t steps, int64_t batch,
                    int64_t height, int64_t width, int64_t channels, int64_t pool, int64_t is_static, int64_t rested,
                    int64_t hard, double decay, double threshold)
{
    const float keeps = (float)decay, level = (float)threshold, square = (float)(pool * pool);
    const int64_t rows = height / pool, cells = width / pool, row = width * channels;
    const int64_t n = batch * height * row, small = batch * rows * cells * channels;
    if (pool == 1) {
        fire_flat(drive, potentials, spikes, membrane, steps, n, is_static != 0, rested != 0, hard != 0, keeps, level);
        return 0;
    }
#pragma omp parallel for schedule(static) if (steps * n > SMALL)
    for (int64_t at = 0; at < batch * rows; at++) {
        if (!rested)
            memset(membrane + at * pool * row, 0, (size_t)(pool * row) * sizeof(float));
        for (int64_t cell = 0; cell < cells; cell++)
            for (int64_t t = 0; t < steps; t++) {
                float *out = spikes + t * small + (at * cells + cell) * channels;
                memset(out, 0, (size_t)channels * sizeof(float));
                for (int64_t y = 0; y < pool; y++)
                    for (int64_t x = 0; x < pool; x++) {
                        const int64_t pixel = (at * pool + y) * row + (cell * pool + x) * channels;
                        const float *in = drive + (is_static ? 0 : t * n) + pixel;
                        float *v = membrane + pixel, *u = potentials ? potentials + t * n + pixel : v;
                        if (hard)
                            fire(1, in, u, out, v, channels, keeps, level, 1);
                        else
                            fire(0, in, u, out, v, channels, keeps, level, 1);
                    }
#pragma omp simd
                for (int64_t c = 0; c < channels; c++)
                    out[c] /= square;
            }
    }
    return 0;
}

/* Errors of a stretch at the last step, or where nothing of the future counts. */
INLINE void now(int kind, float *potential, const float *error, float share, float *later, int64_t n,
                struct neuron a)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        potential[i] = later[i] = error_at(kind, NO_PAST, 0, potential[i], error[i] * share, 0.0f, a);
}

/* Errors of a stretch at a step, those of the step after it in `later`. */
INLINE void before(int kind, int past, float *potential, const float *error, float share, float *later,
                   int64_t n, struct neuron a)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        potential[i] = later[i] = error_at(kind, past, 0, potential[i], error[i] * share, later[i], a);
}

/* What errors run over: neurons that are no maps are one pixel of n channels, pooled by 1. */
struct maps {
    int64_t steps, channels, pool, error_step;
};

/* Part of a row: pixels from x0 to x1, and `wide` of their channels; where that part begins. */
struct part {
    float *potentials;
    const float *error;
    int64_t n, x0, x1, wide;
};

/* Kind and past are constants in each case of `errors`: an inner loop without branches is one of vectors. */
INLINE void adjoint(int kind, int past, struct part p, struct maps m, struct neuron a)
{
    const float share = (float)(1.0 / (double)(m.pool * m.pool));
    float later[STRETCH];
    for (int64_t t = m.steps - 1; t >= 0; t--)
        for (int64_t x = p.x0; x < p.x1; x++) {
            float *u = p.potentials + t * p.n + x * m.channels, *next = later + (x - p.x0) * m.channels;
            const float *g = p.error + t * m.error_step + x / m.pool * m.channels;
            if (past == NO_PAST || t == m.steps - 1)
                now(kind, u, g, share, next, p.wide, a);
            else
                before(kind, past, u, g, share, next, p.wide, a);
        }
}

static int errors(int64_t kind, int64_t past, struct part p, struct maps m, struct neuron a)
{
    switch (8 * kind + past) {
#define CASE(KIND, PAST)                                                                                               \
    case 8 * KIND + PAST:                                                                                              \
        adjoint(KIND, PAST, p, m, a);                                                                                  \
        return 0;
        FOR_SURROGATES(FOR_PASTS)
    }
    return 1;
}

/* Errors over the potentials' place, on maps (batch, height, width, channels); error on the pooled grid.
 * Returns 0, or 1 for a surrogate or a past that there is not. */
int64_t onchip_backward(float *potentials, const float *error, int64_t steps, int64_t batch, int64_t height,
                       int64_t width, int64_t channels, int64_t pool, int64_t error_step, int64_t past, int64_t kind,
                       double first, double second, double decay, double threshold)
{
    const struct maps m = {steps, channels, pool, error_step};
    const struct neuron a = neuron_of(first, second, decay, threshold);
    const int64_t rows = batch * height, row = width * channels, small = width / pool * channels;
    const int64_t pixels = channels < STRETCH ? STRETCH / channels : 1; /* that fit in a stretch */
    int unknown = 0;
#pragma omp parallel for schedule(static) collapse(3) reduction(| : unknown) if (steps * rows * row > SMALL)
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < width; x += pixels)
            for (int64_t channel = 0; channel < channels; channel += STRETCH) {
                const struct part p = {potentials + y * row + channel,
                                       error + y / pool * small + channel,
                                       rows * row,
                                       x,
                                       least(x + pixels, width),
                                       least(STRETCH, channels - channel)};
                unknown |= errors(kind, past, p, m, a);
            }
    return unknown;
}

/* Potentials of a stretch under a static drive, from rest: as `fire` has them, bit for bit. */
INLINE void charge(int hard, const float *drive, float *potentials, float *membrane, int64_t steps, int64_t n,
                   struct neuron a)
{
    memset(membrane, 0, (size_t)n * sizeof(float));
    for (int64_t t = 0; t < steps; t++) {
        float *to = potentials + t * n;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            const float u = muladd(a.decay, membrane[i], drive[i]), s = u >= a.threshold ? 1.0f : 0.0f;
            to[i] = u;
            membrane[i] = hard ? u - u * s : u - a.threshold * s;
        }
    }
}

/* As onchip_backward under a static drive (batch, height, width, channels), from rest, with potentials computed again and
 * errors summed over time: total = sum of weights[t] · error[t], and plain = sum of error[t] or NULL.
 * Returns 1 also for more than STATIC_STEPS steps. */
int64_t onchip_static_drive(const float *drive, const float *error, const float *weights, float *total, float *plain,
                    int64_t steps, int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t pool,
                    int64_t error_step, int64_t hard, int64_t past, int64_t kind, double first, double second,
                            double decay, double threshold)
{
    if (steps > STATIC_STEPS)
        return 1;
    const struct maps m = {steps, channels, pool, error_step};
    const struct neuron a = neuron_of(first, second, decay, threshold);
    const int64_t rows = batch * height, row = width * channels, small = width / pool * channels;
    const int64_t stretch = least(STRETCH, ROOM / steps), pixels = channels < stretch ? stretch / channels : 1;
    int unknown = 0;
#pragma omp parallel for schedule(static) collapse(3) reduction(| : unknown) if (steps * rows * row > SMALL)
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < width; x += pixels)
            for (int64_t channel = 0; channel < channels; channel += stretch) {
                float potentials[ROOM], membrane[STRETCH];
                const int64_t end = least(x + pixels, width), wide = least(stretch, channels - channel);
                const int64_t n = (end - x) * wide, at = y * row + x * channels + channel;
                if (hard)
                    charge(1, drive + at, potentials, membrane, steps, n, a);
                else
                    charge(0, drive + at, potentials, membrane, steps, n, a);
                /* A part of channels is a part of one pixel, so pixels of a stretch follow each other. */
                const float *g = error + y / pool * small + channel + x / pool * channels;
                const struct part p = {potentials - x % pool * channels, g, n, x % pool, x % pool + end - x, wide};
                unknown |= errors(kind, past, p, m, a);
                for (int64_t t = 0; t < steps; t++) {
                    const float *now = potentials + t * n, weight = weights[t];
#pragma omp simd
                    for (int64_t i = 0; i < n; i++)
                        total[at + i] = t ? muladd(weight, now[i], total[at + i]) : weight * now[i];
                    if (plain)
#pragma omp simd
                        for (int64_t i = 0; i < n; i++)
                            plain[at + i] = t ? plain[at + i] + now[i] : now[i];
                }
            }
    return unknown;
}

static int error_step(int64_t kind, int64_t past, int last, float *potential, const float *error, float *later, int64_t n,
                      struct neuron a)
{
    switch (8 * kind + past) {
#undef CASE
#define CASE(KIND, PAST)                                                                                               \
    case 8 * KIND + PAST:                                                                                              \
        if (last || PAST == NO_PAST)                                                                                   \
            now(KIND, potential, error, 1.0f, later, n, a);                                                            \
        else                                                                                                           \
            before(KIND, PAST, potential, error, 1.0f, later, n, a);                                                   \
        return 0;
        FOR_SURROGATES(FOR_PASTS)
    }
    return 1;
}

/* One step of onchip_backward for neurons (n) without a pool, over the potential's place: `later` holds the errors of the
 * step after it, and then those of this one; it is only written at the last step. */
int64_t onchip_step_back(float *potential, const float *error, float *later, int64_t n, int64_t last, int64_t past,
                         int64_t kind, double first, double second, double decay, double threshold)
{
    const struct neuron a = neuron_of(first, second, decay, threshold);
    int unknown = 0;
#pragma omp parallel for schedule(static) reduction(| : unknown) if (n > SMALL)
    for (int64_t at = 0; at < n; at += STRETCH)
        unknown |= error_step(kind, past, last != 0, potential + at, error + at, later + at, least(STRETCH, n - at), a);
    return unknown;
}
