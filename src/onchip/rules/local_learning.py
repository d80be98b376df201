"""Local learning."""

from torch import nn

from onchip._types import checked
from onchip.learning.feedback.local import LocalReadouts
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS


@checked
def local_learning(model: nn.Module, *, temporal: Temporal = Online(), grid: int | None = None) -> Rule:
    """Local learning: each hidden layer receives the error of its own linear read-out, which also learns.

        o_l = F_l^T h_l,   g_l = F_l e_l,   ∂F_l = sum_t,b h_l e_l^T,   e_l = ∂L(o_l, y)/∂o_l

    No error is sent from the network's output. The loss is the sum over the local outputs and the output:
    `rule.backward(sum(loss(out, labels) for out in rule.outputs))`. F is initialized as in `dfa`.

    Limit: equal to `ottt` on a network with one hidden layer if F is the transposed read-out, without a bias.
    Cost: no weight is ever transported if a read-out can send errors through its own weights; n_l · classes weights per
        layer, each with as many products forward as to send the error and to learn; every layer needs the label.

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.
        temporal: Temporal credit assignment: `Online()` by default, or `ThroughTime()`.
        grid: Side of the coarse grid (lowest spatial frequencies) of the feature maps that read-outs see; None for all
            pixels.

    Raises:
        RequestError: the grid is out of range.
        UnsupportedError: the neurons have spike times.

    Reference: Kaiser, Mostafa, Neftci 2020 (DECOLLE), whose local read-outs are fixed; learned, and with OTTT, as in
        Xiao et al. 2024 (OPZO, arXiv 2407.12516).
    """
    feedback = LocalReadouts("local_learning", grid)
    return Rule("local_learning", model, feedback=feedback, temporal=temporal, trains=(TIME_STEPS,))
