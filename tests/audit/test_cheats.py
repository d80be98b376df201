"""Rules that read forward weights and deny it are caught, wherever the copy waits; what is not caught is said."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from onchip import nn
from onchip.audit import audit
from onchip.audit.isolation import ISOLATES
from onchip.audit.setup import RATE
from onchip.certificates import Certificate, Claims
from onchip.learning.feedback.base import Feedback
from tests.cases import scaled, spikes

from .cheats import CHEATS
from .cheats.base import LOCAL, Layered, making
from .cheats.conditions import AfterManySteps
from .cheats.outputs import OUTPUTS, Targets
from .cheats.places import AsideInStep, InClass, InGlobalOnce

SPAN = 14  # every condition once
ONLY_ISOLATED = (InGlobalOnce, InClass)


def dense() -> nn.Sequential:
    layers = [nn.Linear(6, 8), nn.LIF(), nn.Linear(8, 7), nn.LIF(), nn.Linear(7, 3)]
    return scaled(nn.Sequential(*layers), 3.0)


def audited(feedback: type[Feedback], span: int, claims: Claims = LOCAL) -> Certificate:
    return audit(making(feedback, claims), dense, spikes(4, 3, 6), torch.tensor([0, 1, 2]), span=span)


def outcomes(certificate: Certificate) -> dict[str, str]:
    return {result.claim: result.outcome for result in certificate.results}


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: cheat.__name__)
def test_a_read_of_the_weights_is_caught(cheat: type[Feedback]) -> None:
    if cheat in ONLY_ISOLATED and not ISOLATES:
        pytest.skip("trainings share one process on this system")
    certificate = audited(cheat, 22 if issubclass(cheat, AfterManySteps) else SPAN)
    assert outcomes(certificate)["no_weight_transport"] == "BROKEN", certificate.findings
    assert outcomes(certificate)["transport_booked"] == "BROKEN", certificate.findings


def test_an_honest_rule_of_the_same_form_is_not_accused() -> None:
    assert audited(Layered, SPAN).holds


def test_what_begins_after_the_span_is_not_found_in_it() -> None:
    assert audited(AfterManySteps, 18).holds
    assert not audited(AfterManySteps, 22).holds


class Integrating(Layered):
    """Knows the first weights and adds up their updates, as Kolen and Pollack's rule does: it reads no weights."""

    def attach(self) -> None:
        super().attach()
        self.take(self.weights())

    def learn(self) -> None:
        self.updates: list[Tensor | None] = [layer.parameter.grad for layer in self.layers]

    def step(self) -> None:
        for index in range(1, len(self.layers)):
            if self.updates[index] is not None:
                self.weight(index).sub_(RATE * self.updates[index])  # type: ignore[operator] # it is not None


def test_integration_of_updates_from_known_weights_reads_no_weights() -> None:
    assert audited(Integrating, SPAN).holds


def standardized() -> nn.Sequential:
    layers = [nn.WeightStandardizedConv2d(2, 4, 3), nn.LIF(), nn.WeightStandardizedConv2d(4, 5, 3), nn.LIF()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(20, 3))


class OfParameters(Layered):
    """Reads the parameters from which a layer computes its weights."""

    def step(self) -> None:
        self.weight(1).copy_(self.layers[1].parameter)


def test_weights_that_a_layer_computes_are_hidden_with_their_parameters() -> None:
    signal, labels = spikes(4, 3, 2, 6, 6), torch.tensor([0, 1, 2])
    assert audit(making(Layered), standardized, signal, labels, span=SPAN).holds
    for cheat in (AsideInStep, OfParameters):
        certificate = audit(making(cheat), standardized, signal, labels, span=SPAN)
        assert outcomes(certificate)["no_weight_transport"] == "BROKEN", cheat


@pytest.mark.parametrize("cheat", OUTPUTS, ids=lambda cheat: cheat.__name__)
def test_a_projection_of_targets_that_waits_for_the_output_is_caught(cheat: type[Targets]) -> None:
    certificate = audited(cheat, 1, Targets.claims)
    found = {name for name, outcome in outcomes(certificate).items() if outcome == "BROKEN"}
    assert found == {"update_unlocked"}, certificate.results


def test_an_honest_projection_of_targets_is_not_accused() -> None:
    certificate = audited(Targets, SPAN, Targets.claims)
    assert certificate.holds
    assert outcomes(certificate)["update_unlocked"] == "holds"
