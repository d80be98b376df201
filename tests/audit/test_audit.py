"""Every rule keeps its claims, and rules that cheat are caught."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.audit import audit, isolation
from onchip.certificates import Certificate, Claims, Finding
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.centering import Antithetic
from onchip.learning.coding.base import ErrorCode
from onchip.learning.feedback.base import Feedback
from onchip.learning.feedback.stored import CopiedFeedback, RandomFeedback
from onchip.learning.feedback.transposed import TransposedFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.online import Online
from onchip.learning.temporal.through_time import ThroughTime
from onchip.nn.neurons.base import Neuron
from onchip.rules.dfa import RandomDirect
from onchip.transport import Transported
from tests.cases import CASES, Case, scaled, some_pairs, spikes

Make = Callable[[nn.Sequential], Rule]


def audited(make: Make, case: Case | None = None, *, span: int = 14) -> Certificate:
    """The certificate on a small network: three layers of LIF neurons where no case is given."""
    if case is None:
        return audit(make, dense, spikes(4, 3, 6), torch.tensor([0, 1, 2]), span=span)
    signal = case.signal()
    samples = len(signal) if case.name.startswith("ttfs") else signal.shape[1]
    return audit(make, case.build, signal, torch.arange(samples) % 3, span=span)


def dense() -> nn.Sequential:
    layers = [nn.Linear(6, 8), nn.LIF(), nn.Linear(8, 7), nn.LIF(), nn.Linear(7, 3)]
    return scaled(nn.Sequential(*layers), 3.0)


def rule(
    feedback: Callable[[], Feedback],
    claims: Claims,
    temporal: Temporal = Online(),
    code: ErrorCode | None = None,
) -> Make:
    return lambda model: Rule("cheat", model, feedback=feedback(), temporal=temporal, code=code, claims=claims)


def finding(certificate: Certificate, name: str) -> Finding:
    return next(found for found in certificate.findings if found.name == name)


def broken(certificate: Certificate) -> set[str]:
    """Names of the claims that the certificate calls broken."""
    broken_claims = {result.claim for result in certificate.results if result.outcome == "BROKEN"}
    assert bool(broken_claims) != certificate.holds
    return broken_claims


ON_PAGES = "lif-linear", "ttfs-linear", "stream-linear", "lif-recurrent", "stream-recurrent"
"""Networks like those of the pages of certificates, on which the tests of the command line audit every rule."""

OTHERS = [(name, case) for name, case in some_pairs() if case.name not in ON_PAGES]


@pytest.mark.parametrize(("name", "case"), OTHERS, ids=lambda part: getattr(part, "name", part))
def test_every_rule_keeps_its_claims(name: str, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    # Forks take as long as the training; test_cheats.py shows what they find in addition.
    monkeypatch.setattr(isolation, "ISOLATES", False)
    certificate = audited(getattr(rules, name), case)
    assert certificate.results, f"{name} claims nothing"
    assert not broken(certificate)


def test_backpropagation_is_not_local() -> None:
    certificate = audited(rules.bp)
    assert finding(certificate, "forward_weights_above").detail == "layer 0 depends on 2, 4; layer 2 depends on 4"
    assert finding(certificate, "forward_weights_below").found is False
    assert finding(certificate, "own_forward_weights").found is False
    assert finding(certificate, "errors_above").found
    assert finding(certificate, "later_time_steps").detail == "layer 0, 2"
    assert finding(certificate, "later_time_steps_in_stream").found
    assert finding(certificate, "other_samples").found is False
    weights = 8 * 7 + 7 * 3
    assert finding(certificate, "booked_transport").detail == f"{weights} scalars for one update"


@pytest.mark.parametrize("period", [1, 7, 100])
def test_a_refresh_is_found_and_on_the_bill(period: int) -> None:
    certificate = audited(lambda model: rules.fbp(model, period=period), span=max(period, 14))
    assert finding(certificate, "weight_transport").detail == f"first after step {period}"
    assert finding(certificate, "booked_transport").detail == f"{8 * 7 + 7 * 3} scalars after step {period}"
    assert finding(certificate, "forward_weights_above").found is False


def test_a_mirror_listens_and_does_not_copy() -> None:
    found = finding(audited(rules.weight_mirror), "weight_transport")
    assert found.answer == "no: only through the responses of the synapses, first after step 1"


def test_batch_statistics_are_found() -> None:
    certificate = audited(rules.opzo)
    assert finding(certificate, "other_samples").detail == "layer 0, 2"
    assert finding(certificate, "later_time_steps").found
    assert finding(certificate, "later_time_steps_in_stream").found is False


def test_options_that_need_several_steps_cannot_stream() -> None:
    certificate = audited(lambda model: rules.opzo(model, centering=Antithetic()))
    assert "cannot stream: Antithetic got T = 1" in finding(certificate, "later_time_steps_in_stream").detail
    assert not broken(certificate)


class BackwardInDisguise(RandomDirect):
    """Direct feedback that is the product of the forward weights above: backpropagation without its derivatives."""

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        product = torch.eye(error.shape[-1])
        for stage in self.layers[: index - 1 : -1]:
            product = stage.weight.t() @ product
        return product


class Stashed(BackwardInDisguise):
    """The same, but the weights are read before the forward pass, when nobody looks."""

    def begin(self) -> None:
        self.kept = [stage.weight.detach().clone() for stage in self.layers]

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        product = torch.eye(error.shape[-1])
        for weight in self.kept[: index - 1 : -1]:
            product = weight.t() @ product
        return product


@pytest.mark.parametrize("cheat", [BackwardInDisguise, Stashed])
def test_direct_feedback_that_reads_forward_weights_is_caught(cheat: type[RandomDirect]) -> None:
    claims = Claims(
        separate_feedback=True,
        no_weight_transport=True,
        backward_unlocked=True,
        temporally_causal=True,
        batch_independent=True,
    )
    assert not broken(audited(rule(RandomDirect, claims)))
    certificate = audited(rule(cheat, claims))
    assert broken(certificate) == {"separate_feedback", "no_weight_transport", "transport_booked"}
    assert finding(certificate, "forward_weights_above").detail == "layer 0 depends on 2, 4; layer 2 depends on 4"


class Foreseeing(Online):
    """A trace that runs backwards, from the end of the sequence."""

    def presynaptic(
        self, signal: Tensor, neuron: Neuron, before: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        factor, last = super().presynaptic(signal.flip(0), neuron, before)
        return factor.flip(0), last


def test_a_trace_that_reads_the_future_is_caught() -> None:
    claims = Claims(temporally_causal=True, online=True, batch_independent=True)
    assert not broken(audited(rule(TransposedFeedback, claims)))
    certificate = audited(rule(TransposedFeedback, claims, Foreseeing()))
    assert broken(certificate) == {"temporally_causal"}
    assert finding(certificate, "later_time_steps").detail == "layer 0, 2"  # the read-out has no memory, and no trace


class Shared(RandomDirect):
    """One matrix for all layers of a size, it says for each its own."""

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        return super().matrix(error, 1, units)


def equal_layers() -> nn.Sequential:
    layers = [nn.Linear(6, 8), nn.LIF(), nn.Linear(8, 8), nn.LIF(), nn.Linear(8, 3)]
    return scaled(nn.Sequential(*layers), 3.0)


def test_feedback_that_several_layers_hear_is_caught() -> None:
    claims = Claims(unshared_feedback=True, backward_unlocked=True)
    signal, labels = spikes(4, 3, 6), torch.tensor([0, 1, 2])
    assert not broken(audit(rule(RandomDirect, claims), equal_layers, signal, labels))
    certificate = audit(rule(Shared, claims), equal_layers, signal, labels)
    assert broken(certificate) == {"unshared_feedback"}
    assert finding(certificate, "shared_feedback").detail == "direct_1 is used by layer 0, 2"
    assert finding(audited(rules.fa), "shared_feedback").detail == "feedback_2 is used by layer 0, 2"
    assert finding(audited(rules.bp), "shared_feedback").found is False, "it has none of its own"


def test_layers_side_by_side_may_share_feedback() -> None:
    def build() -> nn.Sequential:
        ways = [nn.Sequential(nn.Linear(8, 7), nn.LIF()) for _ in range(2)]
        first, last = [nn.Linear(6, 8), nn.LIF()], [nn.Linear(7, 5), nn.LIF(), nn.Linear(5, 3)]
        return scaled(nn.Sequential(*first, nn.Residual(*ways), *last), 3.0)

    assert not broken(audit(rules.dfa, build, spikes(4, 3, 6), torch.tensor([0, 1, 2])))


def test_messages_that_are_no_spikes_are_found() -> None:
    assert finding(audited(rules.bp), "graded_activity").found is False
    assert finding(audited(rules.opzo), "graded_activity").found, "noise is added to them"
    assert finding(audited(rules.bp, CASES[1]), "graded_activity").found, "averages of spikes"
    timed = next(case for case in CASES if case.name == "ttfs-linear")
    assert finding(audited(rules.bp, timed), "graded_activity").found is None, "spike times"


def test_errors_that_come_back_through_time_are_caught() -> None:
    assert broken(audited(rule(TransposedFeedback, Claims(temporally_causal=True, online=True), ThroughTime()))) == {
        "temporally_causal",
        "online",
    }


class Refreshed(CopiedFeedback):
    """Random feedback, it says; in truth a copy now and then, and on no bill."""

    booked = False
    steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps % 50:
            return
        for index, stage in enumerate(self.layers[1:], start=1):
            self.weight(index).copy_(stage.weight)
            if self.booked:
                self.report_transport(index, Transported.whole(stage.weight))


class Honest(Refreshed):
    """The same, on the bill."""

    booked = True


def test_a_copy_in_step_is_caught() -> None:
    claims = Claims(separate_feedback=True, no_weight_transport=True)
    certificate = audited(rule(Refreshed, claims), span=50)
    assert broken(certificate) == {"no_weight_transport", "transport_booked"}
    assert finding(certificate, "weight_transport").detail == "first after step 50"
    assert broken(audited(rule(Honest, claims), span=50)) == {"no_weight_transport"}


class Tampered(RandomFeedback):
    """Adds forward weights to the gradients when nobody asks."""

    def learn(self) -> None:
        for stage in self.layers:
            assert stage.weight.grad is not None
            stage.weight.grad.add_(stage.weight)


def test_gradients_changed_after_the_fact_are_no_sums_over_steps_and_samples() -> None:
    certificate = audited(
        rule(Tampered, Claims(temporally_causal=True, batch_independent=True, no_weight_transport=True))
    )
    assert broken(certificate) == {"temporally_causal", "batch_independent", "no_weight_transport"}
    assert finding(certificate, "own_forward_weights").found
    assert "no sum" in finding(certificate, "later_time_steps").detail


def standardized() -> nn.Sequential:
    layers = [nn.WeightStandardizedConv2d(2, 4, 3), nn.LIF(), nn.WeightStandardizedConv2d(4, 5, 3), nn.LIF()]
    return scaled(nn.Sequential(*layers, nn.Flatten(), nn.Linear(20, 3)), 3.0)


def test_updates_of_weights_that_a_layer_computes_are_sums_over_steps_and_samples() -> None:
    def of(make: Make) -> Certificate:
        return audit(make, standardized, spikes(4, 3, 2, 6, 6), torch.tensor([0, 1, 2]), span=14)

    claims = Claims(temporally_causal=True, batch_independent=True)
    assert not broken(of(rule(TransposedFeedback, claims)))
    assert broken(of(rule(TransposedFeedback, claims, code=Centred()))) == {"batch_independent"}
    assert broken(of(rule(TransposedFeedback, claims, ThroughTime()))) == {"temporally_causal"}


class Centred(ErrorCode):
    """Errors less their mean over the batch."""

    def carry(self, delta: Tensor, depth: int) -> Tensor:
        return delta - delta.mean(1, keepdim=True)


class Signs(ErrorCode):
    """Errors of one size."""

    def carry(self, delta: Tensor, depth: int) -> Tensor:
        return delta.sign()


def test_claims_on_samples_layers_errors_and_their_sizes_are_tested() -> None:
    assert broken(audited(rule(TransposedFeedback, Claims(batch_independent=True), code=Centred()))) == {
        "batch_independent"
    }
    assert broken(audited(rule(TransposedFeedback, Claims(ternary_errors=True)))) == {"ternary_errors"}
    assert not broken(audited(rule(TransposedFeedback, Claims(ternary_errors=True), code=Signs())))
    assert broken(audited(rule(RandomFeedback, Claims(backward_unlocked=True, update_unlocked=True)))) == {
        "backward_unlocked",
        "update_unlocked",
    }


def test_a_rule_without_claims_is_only_described() -> None:
    certificate = audited(rule(TransposedFeedback, Claims()))
    assert certificate.holds
    assert not certificate.results
    assert finding(certificate, "forward_weights_above").found


def test_the_same_audit_gives_the_same_certificate_and_draws_nothing() -> None:
    before = torch.get_rng_state()
    signal = spikes(4, 3, 6)
    torch.set_rng_state(before)
    one, other = (audit(rules.brsf, dense, signal, torch.tensor([0, 1, 2])) for _ in range(2))
    assert one == other
    assert torch.equal(torch.get_rng_state(), before)


def frozen() -> nn.Sequential:
    model = dense()
    model[0].requires_grad_(False)
    return model


def test_what_tells_nothing_is_refused() -> None:
    labels = torch.tensor([0, 1, 2])
    with pytest.raises(RequestError, match="at least 2 time steps and samples"):
        audit(rules.bp, dense, spikes(1, 3, 6), labels)
    with pytest.raises(RequestError, match="at least 2 time steps and samples"):
        audit(rules.bp, dense, spikes(4, 1, 6), labels[:1])
    with pytest.raises(RequestError, match="3 labels for 2 samples"):
        audit(rules.bp, dense, spikes(4, 2, 6), labels)
    with pytest.raises(RequestError, match="layer '0' gets no update"):
        audit(rules.bp, frozen, spikes(4, 3, 6), labels)
    count = itertools.count(1)
    with pytest.raises(RequestError, match="start anew"):
        audit(rules.bp, lambda: scaled(dense(), next(count)), spikes(4, 3, 6), labels)
    with pytest.raises(UnsupportedError, match="ottt cannot train TTFS"):
        audited(rules.ottt, next(case for case in CASES if case.name == "ttfs-linear"))
