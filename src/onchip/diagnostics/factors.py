"""The three factors of every layer's last update."""

from onchip.learning.observers import FactorObserver
from onchip.learning.three_factors import ThreeFactors


class FactorRecorder(FactorObserver):
    """Keeps the factors of each layer's last update, by the layer's name.

    Example:
        >>> import torch
        >>> from onchip import Static, nn, rules
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3))
        >>> rule, factors = rules.dfa(model), FactorRecorder()
        >>> rule.observe_factors(factors)
        >>> rule.backward(rule.forward(Static(torch.rand(2, 4), steps=5)).square().mean())
        >>> found = factors.layers["0"]
        >>> found.pre.shape, found.local.shape, found.error.shape
        (torch.Size([5, 2, 4]), torch.Size([5, 2, 8]), torch.Size([5, 2, 8]))
        >>> update = torch.einsum("tbi,tbj->ij", found.local * found.error, found.pre)
        >>> torch.allclose(update, model[0].weight.grad, atol=1e-6)
        True

    Reference: the three-factor form of OTTT, Xiao et al. 2022 (NeurIPS), section 4.4.
    """

    def __init__(self) -> None:
        self.layers: dict[str, ThreeFactors] = {}

    def update(self, layer: str, factors: ThreeFactors) -> None:
        self.layers[layer] = factors
