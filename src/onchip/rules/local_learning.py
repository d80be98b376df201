"""Local learning."""

from __future__ import annotations

from torch import nn

from onchip.learning.feedback.local import LocalReadouts
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS

__all__ = ["local_learning"]


def local_learning(model: nn.Module, *, temporal: Temporal = Online()) -> Rule:
    """Local learning: each hidden layer gets the error of a linear read-out of its own, which learns too.

        o_l = F_l^T h_l,   g_l = F_l e_l,   ∂F_l = sum_t,b h_l e_l^T,   e_l = ∂L(o_l, y)/∂o_l

    Nothing comes back from the network's output. `rule.outputs` holds the local outputs; make the loss of all:
    `rule.backward(sum(loss(out, labels) for out in rule.outputs))`. F begins as in `dfa`.

    Limit: on a network with one hidden layer the update of `ottt`, if F is the transposed read-out and the
        read-out has no bias.
    Cost: no weight is ever transported if a read-out can send errors back over its own weights; n_l · classes
        weights a layer, and for each as many products forward, to send the error and to learn; the label must
        reach every layer.

    Args:
        model: a network of `onchip.nn` whose neurons have a state over time.
        temporal: what of the past counts; `Online()` by default, or `ThroughTime()`.

    Raises:
        UnsupportedError: neurons with spike times.

    Reference: Kaiser, Mostafa, Neftci 2020 (DECOLLE), whose local read-outs are fixed; learnt, and with OTTT, as in
        Xiao et al. 2024 (OPZO, arXiv 2407.12516).
    """
    return Rule(
        "local_learning",
        model,
        feedback=LocalReadouts("local_learning"),
        temporal=temporal,
        trains=(TIME_STEPS,),
    )
