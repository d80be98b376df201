/* The scans of scans.c, traces.c and signs.c for tensors of bfloat16, the upper half of a float.
 *
 * Membranes, sums and all arithmetic are of floats: a number is widened when it is read, and rounded once, when it is
 * written. A spike is decided by the potential as it is written, because errors are computed from that.
 */

#include <string.h>

#include "neuron.h"

typedef uint16_t half;

/* Numbers of potentials that a thread stores at a time under a static drive. */
enum { ROOM = 1 << 12 };

union word {
    float number;
    uint32_t bits;
};

INLINE float wide(half x)
{
    const union word w = {.bits = (uint32_t)x << 16};
    return w.number;
}

/* A number that bfloat16 has. */
INLINE half upper(float x)
{
    const union word w = {x};
    return (half)(w.bits >> 16);
}

/* The nearest number that bfloat16 has, of two the even one. A NaN of the processor's own, or one that was bfloat16 before,
 * stays NaN. */
INLINE half rounded(float x)
{
    const union word w = {x};
    return (half)((w.bits + 0x7fffu + (w.bits >> 16 & 1u)) >> 16);
}

/* The same as a float. */
INLINE float nearest(float x)
{
    const union word w = {x}, r = {.bits = (w.bits + 0x7fffu + (w.bits >> 16 & 1u)) & 0xffff0000u};
    return r.number;
}

static void widen(const half *from, float *to, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        to[i] = wide(from[i]);
}

static void narrow(const float *from, half *to, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        to[i] = rounded(from[i]);
}

/* One neuron at one step: membrane on, and the potential as it is written; out comes the spike. */
INLINE float fire(int hard, half drive, half *potential, float *membrane, float decay, float threshold)
{
    const float u = muladd(decay, *membrane, wide(drive)), written = nearest(u);
    const float s = written >= threshold ? 1.0f : 0.0f;
    *potential = upper(written);
    *membrane = hard ? u - u * s : u - threshold * s;
    return s;
}

INLINE void fire_stretch(int hard, const half *drive, half *potential, half *spikes, float *membrane, int64_t n,
                         float decay, float threshold)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        spikes[i] = upper(fire(hard, drive[i], potential + i, membrane + i, decay, threshold));
}

/* The same, with spikes counted for a pool. */
INLINE void count_stretch(int hard, const half *drive, half *potential, float *count, float *membrane, int64_t n,
                          float decay, float threshold)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        count[i] += fire(hard, drive[i], potential + i, membrane + i, decay, threshold);
}

static void fire_flat(const half *drive, half *potentials, half *spikes, float *membrane, int64_t steps, int64_t n,
                      int is_static, int rested, int hard, float decay, float threshold)
{
#pragma omp parallel for schedule(static) if (steps * n > SMALL)
    for (int64_t at = 0; at < n; at += STRETCH) {
        const int64_t m = least(STRETCH, n - at);
        half unread[STRETCH];
        float *v = membrane + at;
        if (!rested)
            memset(v, 0, (size_t)m * sizeof(float));
        for (int64_t t = 0; t < steps; t++) {
            const half *in = drive + (is_static ? 0 : t * n) + at;
            half *u = potentials ? potentials + t * n + at : unread, *out = spikes + t * n + at;
            if (hard)
                fire_stretch(1, in, u, out, v, m, decay, threshold);
            else
                fire_stretch(0, in, u, out, v, m, decay, threshold);
        }
    }
}

/* As onchip_forward. With a pool, a stretch is a part of a row of cells, whose rows of pixels are counted together first;
 * where not even one cell fits into a stretch, it is a part of the channels of a cell. */
int64_t onchip_forward_bfloat16(const half *drive, half *potentials, half *spikes, float *membrane, int64_t steps,
                                int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t pool,
                                int64_t is_static, int64_t rested, int64_t hard, double decay, double threshold)
{
    const float keeps = (float)decay, level = (float)threshold, square = (float)(pool * pool);
    const int64_t rows = height / pool, cells = width / pool, row = width * channels;
    const int64_t n = batch * height * row, small = batch * rows * cells * channels;
    const int64_t fit = STRETCH / (pool * channels), side = fit ? fit : 1; /* cells of a stretch */
    if (pool == 1) {
        fire_flat(drive, potentials, spikes, membrane, steps, n, is_static != 0, rested != 0, hard != 0, keeps, level);
        return 0;
    }
#pragma omp parallel for schedule(static) if (steps * n > SMALL)
    for (int64_t at = 0; at < batch * rows; at++) {
        float count[STRETCH];
        half unread[STRETCH];
        if (!rested)
            memset(membrane + at * pool * row, 0, (size_t)(pool * row) * sizeof(float));
        for (int64_t cell = 0; cell < cells; cell += side)
            for (int64_t channel = 0; channel < channels; channel += STRETCH)
                for (int64_t t = 0; t < steps; t++) {
                    const int64_t found = least(side, cells - cell), part = least(STRETCH, channels - channel);
                    const int64_t pieces = fit ? 1 : pool, m = fit ? found * pool * channels : part;
                    half *out = spikes + t * small + (at * cells + cell) * channels + channel;
                    memset(count, 0, (size_t)m * sizeof(float));
                    for (int64_t y = 0; y < pool; y++)
                        for (int64_t x = 0; x < pieces; x++) {
                            const int64_t pixel = (at * pool + y) * row + (cell * pool + x) * channels + channel;
                            const half *in = drive + (is_static ? 0 : t * n) + pixel;
                            half *u = potentials ? potentials + t * n + pixel : unread;
                            if (hard)
                                count_stretch(1, in, u, count, membrane + pixel, m, keeps, level);
                            else
                                count_stretch(0, in, u, count, membrane + pixel, m, keeps, level);
                        }
                    for (int64_t i = 0; i < found; i++) {
                        float *sum = count + i * pool * channels;
                        for (int64_t x = 1; x < pool && fit; x++)
#pragma omp simd
                            for (int64_t c = 0; c < channels; c++)
                                sum[c] += sum[x * channels + c];
#pragma omp simd
                        for (int64_t c = 0; c < part; c++)
                            out[i * channels + c] = rounded(sum[c] / square);
                    }
                }
    }
    return 0;
}

/* Errors that arrive at pixels x0 to x1 of a row, `part` of their channels each, from the pool's grid: each pixel has its
 * share of its cell's error. */
static void arriving(const half *cells, float *error, int64_t x0, int64_t x1, int64_t part, int64_t channels, int64_t pool)
{
    const float share = (float)(1.0 / (double)(pool * pool));
    for (int64_t x = x0; x < x1; x++, error += part) {
        const half *from = cells + x / pool * channels;
#pragma omp simd
        for (int64_t c = 0; c < part; c++)
            error[c] = wide(from[c]) * share;
    }
}

/* Errors of a stretch at one step; those of the step after it in `later`. They are rounded over the potentials' place, or
 * not at all and added to a sum where there is one. */
INLINE void back(int kind, int past, half *potentials, const float *error, float *later, float *sum, float weight,
                 int64_t n, struct neuron a)
{
    if (sum)
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            later[i] = error_at(kind, past, 1, wide(potentials[i]), error[i], later[i], a);
            sum[i] = muladd(weight, later[i], sum[i]);
        }
    else
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            later[i] = error_at(kind, past, 1, wide(potentials[i]), error[i], later[i], a);
            potentials[i] = rounded(later[i]);
        }
}

static int back_of(int64_t kind, int64_t past, half *potentials, const float *error, float *later, float *sum,
                   float weight, int64_t n, struct neuron a)
{
    switch (8 * kind + past) {
#define CASE(KIND, PAST)                                                                                               \
    case 8 * KIND + PAST:                                                                                              \
        back(KIND, PAST, potentials, error, later, sum, weight, n, a);                                                 \
        return 0;
        FOR_SURROGATES(FOR_PASTS)
    }
    return 1;
}

/* As onchip_backward. */
int64_t onchip_backward_bfloat16(half *potentials, const half *error, int64_t steps, int64_t batch, int64_t height,
                                 int64_t width, int64_t channels, int64_t pool, int64_t step_of_error, int64_t past,
                                 int64_t kind, double first, double second, double decay, double threshold)
{
    const struct neuron a = neuron_of(first, second, decay, threshold);
    const int64_t rows = batch * height, row = width * channels, small = width / pool * channels;
    const int64_t pixels = channels < STRETCH ? STRETCH / channels : 1; /* that fit in a stretch */
    int unknown = 0;
#pragma omp parallel for schedule(static) collapse(3) reduction(| : unknown) if (steps * rows * row > SMALL)
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < width; x += pixels)
            for (int64_t channel = 0; channel < channels; channel += STRETCH) {
                const int64_t end = least(x + pixels, width), part = least(STRETCH, channels - channel);
                float arrived[STRETCH], later[STRETCH];
                for (int64_t t = steps - 1; t >= 0; t--) {
                    half *place = potentials + (t * rows + y) * row + x * channels + channel;
                    const half *cells = error + t * step_of_error + y / pool * small + channel;
                    const int64_t now = t == steps - 1 ? NO_PAST : past; /* nothing follows the last step */
                    arriving(cells, arrived, x, end, part, channels, pool);
                    unknown |= back_of(kind, now, place, arrived, later, 0, 0.0f, (end - x) * part, a);
                }
            }
    return unknown;
}

/* Potentials of a stretch under a static drive, from rest, as they are written. */
INLINE void charge(int hard, const half *drive, half *potentials, float *membrane, int64_t steps, int64_t n,
                   struct neuron a)
{
    memset(membrane, 0, (size_t)n * sizeof(float));
    for (int64_t t = 0; t < steps; t++)
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            fire(hard, drive[i], potentials + t * n + i, membrane + i, a.decay, a.threshold);
}

/* As onchip_static_drive; sums are rounded, not the errors in them. */
int64_t onchip_static_drive_bfloat16(const half *drive, const half *error, const float *weights, half *total, half *plain,
                                     int64_t steps, int64_t batch, int64_t height, int64_t width, int64_t channels,
                                     int64_t pool, int64_t step_of_error, int64_t hard, int64_t past, int64_t kind,
                                     double first, double second, double decay, double threshold)
{
    if (steps > STATIC_STEPS)
        return 1;
    const struct neuron a = neuron_of(first, second, decay, threshold);
    const int64_t rows = batch * height, row = width * channels, small = width / pool * channels;
    const int64_t stretch = least(STRETCH, ROOM / steps), pixels = channels < stretch ? stretch / channels : 1;
    int unknown = 0;
#pragma omp parallel for schedule(static) collapse(3) reduction(| : unknown) if (steps * rows * row > SMALL)
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < width; x += pixels)
            for (int64_t channel = 0; channel < channels; channel += stretch) {
                const int64_t end = least(x + pixels, width), part = least(stretch, channels - channel);
                const int64_t n = (end - x) * part, at = y * row + x * channels + channel;
                half potentials[ROOM];
                float arrived[STRETCH], later[STRETCH], weighted[STRETCH] = {0.0f}, bare[STRETCH] = {0.0f};
                if (hard)
                    charge(1, drive + at, potentials, later, steps, n, a);
                else
                    charge(0, drive + at, potentials, later, steps, n, a);
                for (int64_t t = steps - 1; t >= 0; t--) {
                    const half *cells = error + t * step_of_error + y / pool * small + channel;
                    const int64_t now = t == steps - 1 ? NO_PAST : past;
                    arriving(cells, arrived, x, end, part, channels, pool);
                    unknown |= back_of(kind, now, potentials + t * n, arrived, later, weighted, weights[t], n, a);
                    if (plain)
#pragma omp simd
                        for (int64_t i = 0; i < n; i++)
                            bare[i] += later[i];
                }
                narrow(weighted, total + at, n);
                if (plain)
                    narrow(bare, plain + at, n);
            }
    return unknown;
}

/* As onchip_trace. */
int64_t onchip_trace_bfloat16(const half *signal, const half *before, half *traced, int64_t steps, int64_t n, double decay)
{
    const float keeps = (float)decay;
#pragma omp parallel for schedule(static) if (steps * n > SMALL)
    for (int64_t at = 0; at < n; at += STRETCH) {
        const int64_t m = least(STRETCH, n - at);
        float trace[STRETCH];
        if (before)
            widen(before + at, trace, m);
        for (int64_t t = 0; t < steps; t++) {
            const half *now = signal + t * n + at;
            if (!t && !before)
                widen(now, trace, m);
            else
#pragma omp simd
                for (int64_t i = 0; i < m; i++)
                    trace[i] = muladd(keeps, trace[i], wide(now[i]));
            narrow(trace, traced + t * n + at, m);
        }
    }
    return 0;
}

/* As onchip_weighted_sum. */
int64_t onchip_weighted_sum_bfloat16(const half *series, const float *weights, half *total, int64_t steps, int64_t n)
{
#pragma omp parallel for schedule(static) if (steps * n > SMALL)
    for (int64_t at = 0; at < n; at += STRETCH) {
        const int64_t m = least(STRETCH, n - at);
        float sum[STRETCH] = {0.0f};
        for (int64_t t = 0; t < steps; t++) {
            const half *now = series + t * n + at;
#pragma omp simd
            for (int64_t i = 0; i < m; i++)
                sum[i] = muladd(weights[t], wide(now[i]), sum[i]);
        }
        narrow(sum, total + at, m);
    }
    return 0;
}

/* As onchip_signs. */
int64_t onchip_signs_bfloat16(const uint8_t *bits, half *signs, int64_t n)
{
#pragma omp parallel for schedule(static) if (n > 1 << 18)
    for (int64_t at = 0; at < n / 8; at++) {
        const uint32_t clear = ~(uint32_t)bits[at];
#pragma omp simd
        for (int k = 0; k < 8; k++)
            signs[8 * at + k] = (half)(0x3f80u | (clear >> k & 1u) << 15); /* 1 and its sign */
    }
    for (int64_t i = n / 8 * 8; i < n; i++)
        signs[i] = (half)(0x3f80u | (~(uint32_t)bits[n / 8] >> (i % 8) & 1u) << 15);
    return 0;
}
