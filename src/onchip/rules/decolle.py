"""Deep continuous local learning."""

from torch import nn

from onchip._types import checked
from onchip.learning.feedback.local import FixedReadouts
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS


@checked
def decolle(model: nn.Module, *, concordant: bool = False) -> Rule:
    """Deep continuous local learning: each hidden layer has a fixed random read-out, and learns from its error.

        o_l[t] = G_l^T h_l[t],   g_l[t] = G_l e_l[t],   e_l[t] = ∂L/∂o_l[t],   ΔW = sum_t (ψ(u[t]) g_l[t]) ⊗ a[t]

    G ~ U(-1/√n_l, 1/√n_l), of shape (n_l, classes), is drawn once. With `concordant`, the error returns through
    G ∘ ω, ω ~ N(1, 1/4), in place of G. The loss is the sum over the local outputs and the output:
    `rule.backward(sum(loss(out, labels) for out in rule.outputs))`. The paper classifies by the read-out of the last
    hidden layer; here the network ends with a read-out that learns from its own error. Its penalties on membranes that
    are too high or too low are left out.

    Limit: the update of `local_learning` before its read-outs learn.
    Cost: no weight is ever transported if a read-out can send errors through its own weights, or is `concordant`;
        n_l · classes fixed weights per layer (twice as many if concordant), each with a product forward and one for
        the error; every layer needs the label.

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.
        concordant: Whether errors return through other weights, with the signs of the read-out (but for the 2% of ω
            below 0).

    Raises:
        UnsupportedError: the neurons have spike times.

    Reference: Kaiser, Mostafa, Neftci 2020 (DECOLLE, Frontiers in Neuroscience 14, 424).
    """
    feedback = FixedReadouts("decolle", concordant=concordant)
    return Rule("decolle", model, feedback=feedback, temporal=Online(), trains=(TIME_STEPS,))
