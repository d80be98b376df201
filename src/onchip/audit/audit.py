"""An audit: what do the updates of a rule depend on, and do its claims hold?"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from onchip import nn
from onchip.audit.findings import findings
from onchip.audit.isolation import isolated
from onchip.audit.setup import Setup
from onchip.audit.weights import SPAN
from onchip.certificates import Certificate, certify
from onchip.errors import RequestError, require
from onchip.learning.rule import Rule


def audit(
    make: Callable[[nn.Sequential], Rule],
    build: Callable[[], nn.Sequential],
    signal: Tensor,
    labels: Tensor,
    *,
    seed: int = 0,
    span: int = SPAN,
    label: str | None = None,
    about: str = "",
) -> Certificate:
    """Repeats training from the same state with one thing changed, and compares what became of it bit for bit.

    Neither the name of the rule nor its parts are trusted. Reads of forward weights: over `span` training steps, among
    them steps with unusual weights, losses, batches and streams, everything but the network's own forward product sees
    other weights in their place, from the forward pass to the end of `rule.step`. Other dependencies: in one step,
    the errors that neurons send, later time steps, other samples or the labels are replaced.

    On Linux each training runs in a fork of this process, so that nothing that one leaves behind, wherever it is kept,
    reaches another. Not found are: reads that begin after `span` steps or under a condition that does not occur; the
    sum of a rule's own updates from known first weights, which reads nothing; a rule that recognizes the audit.

    Args:
        make: attaches the rule to a network; it is called many times.
        build: makes the network, with weights from torch's global generator; it is called as often.
        signal: (T, B, features...) or spike times (B, features...), with T and B of at least 2.
        labels: classes (B,).
        seed: the seed of the network, of the rule's random numbers and of the replacements.
        span: training steps in which reads of forward weights are searched for, at least 1. What begins later is
            not found.
        label: the name of the rule in the certificate; `rule.name` if None.
        about: the description of network and input in the certificate.

    Returns:
        The certificate.

    Raises:
        RequestError: too few samples or steps, or a layer that gets no update, so that nothing can be compared.
        UnsupportedError: a network that the rule cannot train.

    Example:
        >>> from onchip import rules
        >>> build = lambda: nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3))
        >>> certificate = audit(rules.bp, build, torch.rand(4, 3, 4), torch.tensor([0, 1, 2]))
        >>> certificate.holds, certificate.findings[0].answer
        (True, 'yes: layer 0 depends on 2')

    Reference: ours; the interventions follow what Xiao et al. 2024 (OPZO, arXiv 2407.12516) and Goupy et al. 2025
        (arXiv 2505.13741) require of hardware.
    """
    require(span >= 1, "audit", "span", span, "at least 1 training step")
    (certificate,) = isolated([partial(_audited, Setup(make, build, signal, labels, seed), span, label, about)])
    return certificate


def _audited(setup: Setup, span: int, label: str | None, about: str) -> Certificate:
    signal, labels = setup.signal, setup.labels
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        rule = setup.make(setup.build())
        timed = rule.layers[0].neuron.signal.over_time
        sizes = signal.shape[:2] if timed else signal.shape[:1]
        if min(sizes) < 2:
            what = "time steps and samples" if timed else "samples"
            raise RequestError(f"audit got a signal of shape {tuple(signal.shape)}; expected at least 2 {what}")
        if len(labels) != sizes[-1]:
            raise RequestError(f"audit got {len(labels)} labels for {sizes[-1]} samples; expected one each")
        results = findings(setup, span)
    return certify(label or rule.name, about, results, rule.claims)
