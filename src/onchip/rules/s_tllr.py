"""A temporal local learning rule after spike-timing dependent plasticity."""

from typing import Literal

from torch import nn

from onchip._types import checked
from onchip.learning.feedback.transposed import TransposedFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.spike_timing import SpikeTiming
from onchip.nn.signals import TIME_STEPS
from onchip.rules.dfa import RandomDirect


@checked
def s_tllr(
    model: nn.Module,
    *,
    feedback: Literal["bp", "dfa"] = "bp",
    causal: float = 1.0,
    noncausal: float = -1.0,
    decay: float | None = None,
    post_decay: float = 0.2,
    last: int | None = None,
) -> Rule:
    """S-TLLR: a trace of each side of a synapse, so that inputs after a neuron's activity count, too.

        ΔW = sum_t g[t] (α ψ[t] a[t] + β x[t] p[t-1]),   a[t] = λ a[t-1] + x[t],   p[t] = μ p[t-1] + ψ[t]

    ψ[t] is the surrogate derivative at u[t], and g[t] the error of the same time step, from layer to layer or directly
    from the output. Read-outs, which have no threshold, and biases have the causal term alone. The authors use
    λ = 0.75, μ = 0.2 and β = -1 for gestures, λ = 1, μ = 0.5 and β = 1 for spoken digits, the surrogate
    `FastSigmoid(100)`, and an error only at the last steps of a sequence.

    Limit: equal to `ottt`, or to `dfa`, for α = 1, β = 0 and the neurons' own decay as λ.
    Cost: weight transport as in `bp`, or none with `feedback="dfa"`; two products per synapse and time step, and a
        trace per neuron on either side; stored activity does not grow with T (`rule.stream`).

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.
        feedback: How errors reach a layer: through the forward weights above it (`bp`), or through fixed random weights
            from the output (`dfa`).
        causal: α, weight of inputs up to the neuron's activity.
        noncausal: β, weight of inputs after it.
        decay: λ, decay of the trace of the inputs, in [0, 1]; None for that of the neurons.
        post_decay: μ, decay of the trace of the neuron's surrogate derivative, in [0, 1].
        last: Time steps at the end of a sequence at which there is an error, at least 1; None for all. Not for streams,
            where `rule.backward` need not be called at every step, nor for sequences of unequal length, where a loss
            with labels per step says the same.

    Raises:
        RequestError: an option is out of range.
        UnsupportedError: the neurons have spike times.

    Reference: Apolinario, Roy 2025 (S-TLLR, TMLR; arXiv 2306.15220), equations 10 and 11.
    """
    temporal = SpikeTiming(causal=causal, noncausal=noncausal, decay=decay, post_decay=post_decay, last=last)
    errors = TransposedFeedback() if feedback == "bp" else RandomDirect("s_tllr")
    return Rule("s_tllr", model, feedback=errors, temporal=temporal, trains=(TIME_STEPS,))
