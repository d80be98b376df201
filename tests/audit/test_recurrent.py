"""Cheats through a recurrent connection are caught; docs/certificates-recurrent.md has the audits of all rules."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.audit import audit
from onchip.certificates import Certificate, Claims
from onchip.learning.feedback.base import Feedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.online import Online
from onchip.nn.neurons.base import Neuron
from onchip.rules.dfa import RandomDirect
from tests.cases import scaled, spikes

LOCAL = Claims(separate_feedback=True, no_weight_transport=True, temporally_causal=True, online=True)


def recurrent() -> nn.Sequential:
    hidden = [nn.Linear(6, 8), nn.Recurrent(nn.Linear(8, 8, bias=False), nn.LIF())]
    return scaled(nn.Sequential(*hidden, nn.Linear(8, 3)), 2.0)


def audited(make: Callable[[nn.Sequential], Rule]) -> Certificate:
    return audit(make, recurrent, spikes(5, 3, 6), torch.tensor([0, 1, 2]), span=14)


def broken(certificate: Certificate) -> set[str]:
    return {result.claim for result in certificate.results if result.outcome == "BROKEN"}


def test_bp_transports_the_recurrent_weights_too() -> None:
    (finding,) = [each for each in audited(rules.bp).findings if each.name == "booked_transport"]
    assert finding.detail == f"{8 * 8 + 8 * 3} scalars for one update"


class Foreseeing(Online):
    """The spikes of the next step, not of the last, as what arrives at the recurrent synapses."""

    def presynaptic(
        self, signal: Tensor, neuron: Neuron, before: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        recurrent = signal.shape[-1] == 8 and not signal[0].any() and len(signal) > 1
        return super().presynaptic(signal.roll(-2, 0) if recurrent else signal, neuron, before)


class Returning(RandomDirect):
    """Errors through the recurrent weights as they are now, without a report."""

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        matrix = super().matrix(error, index, units)
        return matrix + self.layers[1].weight.t() @ matrix


class ReturningLate(RandomDirect):
    """Errors through the recurrent weights as they were one step ago, without a report."""

    kept: Tensor | None = None

    def step(self) -> None:
        super().step()
        self.kept = self.layers[1].weight.detach().clone()

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        matrix = super().matrix(error, index, units)
        return matrix if self.kept is None else matrix + self.kept.t() @ matrix


class Asking(RandomDirect):
    """Errors through the answers of the recurrent synapses to one-hot activity, without a report."""

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        matrix, layer = super().matrix(error, index, units), self.layers[1]
        return matrix + layer.synapse.apply(torch.eye(8), layer.weight, None) @ matrix


def making(feedback: type[Feedback], temporal: Temporal) -> Callable[[nn.Sequential], Rule]:
    return lambda model: Rule("cheat", model, feedback=feedback(), temporal=temporal, claims=LOCAL)


def test_an_honest_rule_of_the_same_form_is_not_accused() -> None:
    assert audited(making(RandomDirect, Online())).holds


def test_reading_the_future_through_the_recurrent_path_is_caught() -> None:
    certificate = audited(making(RandomDirect, Foreseeing()))
    assert broken(certificate) == {"temporally_causal"}
    (finding,) = [each for each in certificate.findings if each.name == "later_time_steps"]
    assert finding.detail == "layer 1.recurrent"


@pytest.mark.parametrize("cheat", [Returning, ReturningLate, Asking])
def test_transport_of_the_recurrent_weights_without_a_report_is_caught(cheat: type[Feedback]) -> None:
    certificate = audited(making(cheat, Online()))
    assert {"no_weight_transport", "transport_booked"} <= broken(certificate)
    (finding,) = [each for each in certificate.findings if each.name == "unbooked_transport"]
    assert "1.recurrent" in finding.detail


def test_errors_of_a_recurrent_layer_above_are_found() -> None:
    def deep() -> nn.Sequential:
        upper = [nn.Linear(8, 7), nn.Recurrent(nn.Linear(7, 7, bias=False), nn.LIF()), nn.Linear(7, 3)]
        return scaled(nn.Sequential(*list(recurrent())[:2], *upper), 2.0)

    certificate = audit(rules.bp, deep, spikes(5, 3, 6), torch.tensor([0, 1, 2]), span=1)
    (finding,) = [each for each in certificate.findings if each.name == "errors_above"]
    assert finding.detail.startswith("layer 0 depends on 2, 4; layer 1.recurrent depends on 2, 4; layer 2 depends on 4")
