/* Constants of neurons, and their surrogate derivatives. The numbers SIGMOID ... come from kernels/table.py, as macros. */

#pragma once

#include "common.h"

/* Cases of a switch on 8 * kind + past, by a macro CASE(KIND, PAST): FOR_SURROGATES(FOR_PASTS) or (FOR_RESETS). */
#define FOR_SURROGATES(CASES) CASES(SIGMOID) CASES(ATAN) CASES(FAST_SIGMOID) CASES(TRIANGLE) CASES(RECTANGLE)
#define FOR_RESETS(KIND)                                                                                               \
    CASE(KIND, RESET_SOFT) CASE(KIND, RESET_HARD) CASE(KIND, DETACHED_SOFT) CASE(KIND, DETACHED_HARD)
#define FOR_PASTS(KIND) FOR_RESETS(KIND) CASE(KIND, NO_PAST)

struct neuron {
    float decay, threshold;
    float through;       /* decay · threshold, what a soft reset passes on */
    float first, second; /* constants of the surrogate */
};

/* exp(-x) for x >= 0, to 2 units in the last place down to exp(-87); NaN stays NaN. */
INLINE float decaying(float x)
{
    const float magic = 12582912.0f; /* 3 · 2^22: what is added to it is rounded to a whole number */
    x = x > 87.0f ? 87.0f : x;
    const float shifted = muladd(x, 1.44269504f, magic), n = shifted - magic;
    const float s = muladd(n, -2.12194440e-4f, muladd(n, 0.693359375f, -x)); /* ln 2 in two parts: Cephes, expf */
    float e = 1.9875691500e-4f;
    e = muladd(e, s, 1.3981999507e-3f);
    e = muladd(e, s, 8.3334519073e-3f);
    e = muladd(e, s, 4.1665795894e-2f);
    e = muladd(e, s, 1.6666665459e-1f);
    e = muladd(e, s, 5.0000001201e-1f);
    e = muladd(e * s, s, s) + 1.0f;
    union { float number; uint32_t bits; } power, scale;
    power.number = shifted;
    scale.bits = (127u << 23) - (power.bits << 23); /* 2^-n */
    return e * scale.number;
}

/* ψ(x) · error */
INLINE float gated(int kind, float x, float error, struct neuron a)
{
    switch (kind) {
    case SIGMOID: { /* from exp(-|kx|), which loses no digits to 1 - σ as torch's formula does */
        const float e = decaying(fabsf(x * a.first)), q = 1.0f + e;
        return error * (e / (q * q)) * a.first;
    }
    case ATAN:
        x *= a.first;
        return error / (x * x + 1.0f) * a.second;
    case FAST_SIGMOID:
        x = fabsf(x) * a.first + 1.0f;
        return error / (x * x);
    case TRIANGLE:
        x = fabsf(x) * a.first + 1.0f;
        return (x < 0.0f ? 0.0f : x) * error * a.second;
    default: /* RECTANGLE */
        return (fabsf(x) < a.first ? 1.0f : 0.0f) * error * a.second;
    }
}

/* exp(-x) for x >= 0 to 1e-4, down to 2^-125; NaN stays NaN. */
INLINE float decaying_coarsely(float x)
{
    const float magic = 12582912.0f; /* as in `decaying` */
    float powers = x * 1.44269504f;
    powers = 125.0f < powers ? 125.0f : powers;
    union { float number; uint32_t bits; } whole, e;
    whole.number = powers + magic;
    const float s = (whole.number - magic) - powers; /* 2^s, s in [-1/2, 1/2], with the least relative error */
    e.number = muladd(muladd(muladd(5.5171493e-2f, s, 2.4261093e-1f), s, 6.9326097e-1f), s, 9.9992806e-1f);
    e.bits -= whole.bits << 23;
    return e.number;
}

/* ψ(x) · error, for results of a type with few digits if `coarse`. */
INLINE float gated_to(int coarse, int kind, float x, float error, struct neuron a)
{
    if (!coarse || kind != SIGMOID)
        return gated(kind, x, error, a);
    const float e = decaying_coarsely(fabsf(x * a.first)), q = 1.0f + e;
    return error * (e / (q * q)) * a.first;
}

/* Error at the drive at one step, from u, the error at the spike and the error at the drive of the step after. */
INLINE float error_at(int kind, int past, int coarse, float u, float error, float next, struct neuron a)
{
    const float x = u - a.threshold;
    float carried = next;
    if (past == NO_PAST)
        return gated_to(coarse, kind, x, error, a);
    if (past == RESET_HARD || past == DETACHED_HARD)
        carried = u >= a.threshold ? 0.0f : next;
    if (past == RESET_HARD)
        error += -a.decay * u * next;
    if (past == RESET_SOFT)
        error = muladd(-a.through, next, error);
    return muladd(a.decay, carried, gated_to(coarse, kind, x, error, a));
}

INLINE struct neuron neuron_of(double first, double second, double decay, double threshold)
{
    return (struct neuron){(float)decay, (float)threshold, (float)(decay * threshold), (float)first, (float)second};
}
