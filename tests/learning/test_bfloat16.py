"""Rules in bfloat16: what neurons write in it, and what comes of it for gradients and counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import kernels, nn, rules
from onchip.cost.ledger import Ledger
from onchip.encoding import Latency
from onchip.errors import UnsupportedError
from onchip.kernels import native
from onchip.learning.rule import Rule
from onchip.nn.signals import Signal, Static
from tests.cases import gradients, learn

pytestmark = pytest.mark.filterwarnings("ignore:.*no products in bfloat16", "ignore:.*is silent")

HALF = torch.bfloat16


@contextmanager
def float32_neurons() -> Iterator[None]:
    """Neurons take their drive in float32, so that bfloat16 is only in the products."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.LIF, "takes_bfloat16", lambda self: False)
        yield


def network(neuron: Callable[[], nn.Neuron] = nn.LIF) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        neuron(),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        neuron(),
        nn.Flatten(),
        nn.Linear(96, 16),
        neuron(),
        nn.Linear(16, 4),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0).add_(0.1 * parameter.std())
    return model


def signal(*, static: bool) -> Signal:
    torch.manual_seed(1)
    held = Static(torch.rand(8, 1, 8, 8) * 2, 4)
    return held if static else held.expand().contiguous()


def trained(rule: Rule, given: Signal) -> tuple[Tensor, dict[str, Tensor]]:
    """Output and gradients."""
    torch.manual_seed(2)
    output = rule.forward(given)
    learn(rule, lambda one: (one.mean(0) - torch.eye(4)[torch.arange(8) % 4]).square().mean())
    assert isinstance(rule.network, nn.Sequential)
    return output.detach(), gradients(rule.network)


def made(name: str, *, half: bool = True) -> Rule | None:
    """A rule that trains LIF neurons."""
    try:
        rule: Rule = getattr(rules, name)(network())
    except UnsupportedError:
        return None
    return rule.in_bfloat16() if half else rule


@contextmanager
def activities() -> Iterator[list[torch.dtype]]:
    """Collects the types of the activity that LIF neurons send, and of the errors that come back to them."""
    seen: list[torch.dtype] = []
    run = nn.LIF.run

    def watched(self: nn.LIF, *arguments: Any) -> Any:
        activity, saved, state = run(self, *arguments)
        seen.extend([activity.dtype, *(value.dtype for value in saved.values.values())])
        return activity, saved, state

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.LIF, "run", watched)
        yield seen


@pytest.mark.parametrize("name", rules.__all__)
def test_every_rule_has_the_gradients_of_float32_neurons(name: str) -> None:
    if (rule := made(name)) is None:
        return
    for static in (True, False):
        given = signal(static=static)
        with activities() as seen:
            output, got = trained(rule, given)
        with float32_neurons():
            _, expected = trained(made(name) or rule, given)
        _, exact = trained(made(name, half=False) or rule, given)
        assert output.dtype == torch.float32
        assert set(seen) == {HALF}
        assert all(value.dtype != HALF for value in rule.state_dict().values())
        assert got.keys() == expected.keys() == exact.keys()
        for key, gradient in got.items():
            assert gradient.dtype == torch.float32
            size = exact[key].norm()
            # As far from float32 as bfloat16 products alone are, give or take; a few neurons fire at other steps.
            assert (gradient - exact[key]).norm() <= 2 * (expected[key] - exact[key]).norm() + 0.03 * size + 1e-6
        rule = made(name) or rule


@pytest.mark.parametrize("name", ["bp", "ottt", "dfa", "opzo", "s_tllr", "eprop"])
@pytest.mark.skipif(native.active() != "native", reason="needs a C compiler")
def test_compiled_code_has_the_gradients_of_torch(name: str) -> None:
    for static in (True, False):
        results = []
        for kind in ("native", "torch"):
            with kernels.forced(kind):
                rule = made(name)
                assert rule is not None
                results.append(trained(rule, signal(static=static)))
        (output, got), (other, expected) = results
        assert torch.equal(output, other)
        for key, gradient in got.items():
            assert (gradient - expected[key]).norm() <= 0.01 * expected[key].norm()


def eighths(model: nn.Sequential) -> nn.Sequential:
    """Weights of whole eighths from -1/2 to 1/2."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-3, 5, parameter.shape) / 8)
    return model


def test_what_bfloat16_has_is_computed_exactly() -> None:
    """Spikes, outputs and the counts of the ledger are those of float32, bit for bit."""
    torch.manual_seed(0)
    frames = (torch.rand(3, 6, 20) < 0.4).float()  # T = 3: potentials are whole 32nds below 8, spikes 0 or 1
    outputs, counts = [], []
    for half in (False, True):
        torch.manual_seed(1)
        layers = nn.Linear(20, 12), nn.LIF(), nn.Linear(12, 10), nn.LIF(), nn.Linear(10, 4)
        rule = rules.bp(eighths(nn.Sequential(*layers)))
        rule = rule.in_bfloat16() if half else rule
        rule.observe(ledger := Ledger(every=1))
        outputs.append(rule.forward(frames))
        learn(rule)
        rule.step()
        counts.append(ledger.summary())
    assert torch.equal(*outputs)
    assert outputs[0].unique().numel() > 5
    assert counts[0] == counts[1]
    assert counts[0]["spikes"] > 0


def test_an_average_pool_of_spikes_is_exact() -> None:
    """A quarter of a whole number of spikes is a number of bfloat16; so is what the next layer multiplies."""
    drive = torch.randn(4, 3, 8, 6, 6).flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (4, 3))
    half, _, _ = nn.LIF().run(drive.to(HALF), None, 2)
    full, _, _ = nn.LIF().run(drive.to(HALF).float(), None, 2)
    assert half.dtype == HALF
    assert torch.equal(half.float(), full)
    assert set((4 * full).unique().tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}


@pytest.mark.parametrize(
    "neuron",
    [nn.ALIF, nn.CubaLIF, lambda: nn.LIF(learn_decay=True), lambda: nn.LIF(decay=torch.tensor(0.5).expand(1))],
    ids=["alif", "cuba", "learned", "own-decays"],
)
def test_other_neurons_get_float32(neuron: Callable[[], nn.Neuron]) -> None:
    assert not neuron().takes_bfloat16()


@pytest.mark.parametrize("name", ["bp", "ottt", "dfa"])
def test_mixed_neurons_agree_with_float32(name: str) -> None:
    """A layer whose neurons take float32 alone is between layers of bfloat16; errors change their type on their way."""
    found = []
    for half in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(20, 16), nn.LIF(), nn.Linear(16, 16), nn.ALIF(), nn.Linear(16, 16), nn.LIF(), nn.Linear(16, 4)
        )
        rule = getattr(rules, name)(eighths(model))  # of which bfloat16 makes the same spikes
        torch.manual_seed(1)
        found.append(trained(rule.in_bfloat16() if half else rule, (torch.rand(4, 8, 20) < 0.3).float())[1])
    for key, exact in found[0].items():
        assert (found[1][key] - exact).norm() <= 0.02 * exact.norm()


def test_recurrent_connections_and_streams_stay_in_float32() -> None:
    """A stream would round its traces at every step; both get their drive in float32."""
    recurrent = nn.Sequential(nn.Linear(6, 8), nn.Recurrent(nn.Linear(8, 8), nn.LIF()), nn.Linear(8, 4))
    forward = nn.Sequential(nn.Linear(6, 8), nn.LIF(), nn.Linear(8, 4))
    frames = torch.rand(4, 8, 6) * 3
    for rule, streams in ((rules.bp(recurrent), False), (rules.ottt(forward), True)):
        rule.in_bfloat16()
        with activities() as seen:
            if streams:
                for output in rule.stream(frames):
                    rule.backward(output.square().mean())
            else:
                trained(rule, frames)
        assert HALF not in seen


def test_padding_and_residuals_are_as_in_float32() -> None:
    lengths, frames = torch.tensor([4, 2, 3, 1, 4, 4, 2, 3]), torch.rand(4, 8, 6) * 3
    found = []
    for half in (False, True):
        torch.manual_seed(0)
        body = nn.Sequential(nn.Linear(8, 8), nn.LIF())
        rule = rules.ottt(nn.Sequential(nn.Linear(6, 8), nn.LIF(), nn.Residual(body), nn.Linear(8, 4)))
        rule = rule.in_bfloat16() if half else rule
        output = rule.forward(frames, lengths)
        present = torch.arange(4).unsqueeze(1) < lengths
        rule.backward((output.square() * present.unsqueeze(2)).mean())
        found.append(gradients(rule.network))
    for key, exact in found[0].items():
        assert (found[1][key] - exact).norm() <= 0.05 * exact.norm()


def test_what_is_computed_again_is_the_same() -> None:
    """Spikes in bfloat16 are stored as bits, and come back in their type."""
    found = []
    for again in (False, True):
        rule = made("bp")
        assert rule is not None
        found.append(trained(rule.recompute() if again else rule, signal(static=False))[1])
    assert all(torch.equal(gradient, found[1][key]) for key, gradient in found[0].items())


@pytest.mark.parametrize("name", rules.__all__)
def test_spike_times_are_exact_and_their_gradients_rounded(name: str) -> None:
    found = []
    for half in (False, True):
        torch.manual_seed(0)
        layers = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.TTFS(), nn.Flatten(), nn.Linear(256, 32, bias=False)
        model = nn.Sequential(*layers, nn.TTFS(), nn.Linear(32, 4, bias=False), nn.TTFSReadout())
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(2.0 / parameter[0].numel())  # so that neurons fire
        try:
            rule = getattr(rules, name)(model)
        except UnsupportedError:
            pytest.skip(f"{name} does not train spike times")
        torch.manual_seed(1)
        output = (rule.in_bfloat16() if half else rule).forward(Latency()(torch.rand(8, 1, 8, 8)))
        rule.backward(torch.nn.functional.cross_entropy(output, torch.arange(8) % 4))
        found.append((output.detach(), gradients(model)))
    (output, exact), (rounded_output, rounded) = found
    assert torch.equal(output, rounded_output)
    for key, gradient in rounded.items():
        assert gradient.dtype == torch.float32
        assert (gradient - exact[key]).norm() <= 0.01 * exact[key].norm()
    assert any(not torch.equal(gradient, exact[key]) for key, gradient in rounded.items())
