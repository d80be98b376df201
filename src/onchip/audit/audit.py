"""An audit: what do a rule's updates read, and does it keep what it claims?"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from onchip import nn
from onchip.audit.findings import findings
from onchip.audit.trial import Setup
from onchip.certificate import Certificate, certify
from onchip.errors import RequestError
from onchip.learning.rule import Rule

__all__ = ["audit"]


def audit(
    make: Callable[[nn.Sequential], Rule],
    build: Callable[[], nn.Sequential],
    signal: Tensor,
    labels: Tensor,
    *,
    seed: int = 0,
    label: str | None = None,
    about: str = "",
) -> Certificate:
    """Repeats one training step from the same state with one thing changed, and sees which updates change.

    Nothing is believed: neither the rule's name nor the parts it is made of. Each layer in turn holds other
    weights all through the step except in its forward product; its neurons send another error; later time
    steps, other samples or all labels change; feedback is watched while the weights are others. Updates, or
    the factors they are products of, are then compared bit for bit. Torch's random state is left as it was.

    Args:
        make: attaches the rule to a network; called many times.
        build: makes the network, its weights drawn from torch's global generator; called as often.
        signal: (T, B, features...) or spike times (B, features...), with T and B of at least 2.
        labels: classes (B,).
        seed: of the network, the rule's draws and the changes.
        label: what the certificate calls the rule; its own name if None.
        about: what the certificate says of network and input.

    Returns:
        The certificate.

    Raises:
        RequestError: too few samples or steps, or a layer that gets no update, of which nothing can be told.
        UnsupportedError: a network that the rule cannot train.

    Example:
        >>> from onchip import rules
        >>> build = lambda: nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3))
        >>> certificate = audit(rules.bp, build, torch.rand(4, 3, 4), torch.tensor([0, 1, 2]))
        >>> certificate.holds, certificate.findings[0].answer
        (True, 'yes: layer 0 reads 2')

    Reference: ours; the interventions follow what Xiao et al. 2024 (OPZO, arXiv 2407.12516) and Goupy et al. 2025
        (arXiv 2505.13741) ask of hardware.
    """
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        rule = make(build())
        timed = rule.layers[0].neuron.signal.over_time
        sizes = signal.shape[:2] if timed else signal.shape[:1]
        if min(sizes) < 2:
            what = "time steps and samples" if timed else "samples"
            raise RequestError(f"audit got a signal of shape {tuple(signal.shape)}; expected at least 2 {what}")
        if len(labels) != sizes[-1]:
            raise RequestError(f"audit got {len(labels)} labels for {sizes[-1]} samples; expected one each")
        found = findings(Setup(make, build, signal, labels, seed))
    return certify(label or rule.name, about, found, rule.claims)
