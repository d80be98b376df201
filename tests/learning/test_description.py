"""What a rule says that it does is what it does: its gradients follow from the description alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.errors import OnchipError, UnsupportedError
from onchip.learning.description import ErrorPath, RuleDescription, SynapseDescription, Term
from onchip.learning.feedback.base import DirectFeedback, LossSignals
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from tests.cases import CASES, agree, gradients, learn, loss_of, scaled, spikes, targets_of

STEPS, BATCH, CLASSES = 6, 2, 3
CONNECTION = next(name for name, _ in nn.Recurrent(nn.Linear(2, 2, bias=False), nn.LIF()).named_parameters())
"""Name of the weights of a recurrent connection inside its module."""

WRITTEN: list[tuple[str, dict[str, Any]]] = [
    ("ottt", {}),
    ("sltt", {}),
    ("s_tllr", {}),
    ("s_tllr", {"feedback": "dfa", "causal": 0.8, "noncausal": 0.3, "decay": 0.6, "post_decay": 0.4}),
    ("noisy_bp", {}),
    ("eprop", {}),
    ("eprop", {"feedback": "adaptive"}),
    ("ostl", {}),
    ("osttp", {}),
    ("dfa", {}),
    ("drtp", {}),
    ("etlp", {}),
    ("opzo", {}),
    ("opzo", {"local": True}),
    ("opzo", {"intermediate": 2}),
    ("opzo", {"intermediate": 2, "local": True}),
    ("anchored_dkp", {}),
    ("dkp", {}),
    ("dkp", {"local": True}),
    ("local_learning", {}),
    ("decolle", {}),
    ("decolle", {"concordant": True}),
    ("fa", {"temporal": Online()}),
    ("never", {"temporal": Online()}),
    ("fbp", {"temporal": Online(), "period": 1}),
    ("usf", {"temporal": Online()}),
    ("frsf", {"temporal": Online()}),
    ("kolen_pollack", {"temporal": Online()}),
    ("weight_mirror", {"temporal": Online()}),
]
"""Rules with a sum of products per time step, on networks of LIF neurons."""


def _network() -> nn.Sequential:
    second = nn.Recurrent(nn.Linear(7, 7, bias=False), nn.LIF(decay=0.3, threshold=0.8))
    layers = [nn.Linear(6, 8), nn.LIF(decay=0.7), nn.Linear(8, 7), second, nn.Linear(7, CLASSES)]
    return scaled(nn.Sequential(*layers), 2.0).double()


class Layer:
    """One layer run by hand: what went in, potentials, and what came out."""

    def __init__(self, weight: Tensor, bias: Tensor, decay: float, threshold: float, own: Tensor | None) -> None:
        self.weight, self.bias, self.decay, self.threshold, self.own = weight, bias, decay, threshold, own

    def run(self, signal: Tensor) -> Tensor:
        self.input = signal
        membrane = fired = torch.zeros(BATCH, len(self.weight), dtype=signal.dtype)
        potentials, activity, earlier = [], [], []
        for step in signal:
            earlier.append(fired)
            drive = step @ self.weight.t() + self.bias + (0.0 if self.own is None else fired @ self.own.t())
            potential = self.decay * membrane + drive
            fired = (potential >= self.threshold).double()
            membrane = potential - self.threshold * fired
            potentials.append(potential)
            activity.append(fired)
        self.earlier = torch.stack(earlier)
        chance = torch.sigmoid(4.0 * (torch.stack(potentials) - self.threshold))
        self.slope = 4.0 * chance * (1.0 - chance)
        return torch.stack(activity)


def _trace(values: Tensor, decay: float) -> Tensor:
    traced = [values[0]]
    for value in values[1:]:
        traced.append(decay * traced[-1] + value)
    return torch.stack(traced)


def _gradient(terms: Sequence[Term], pre: Tensor, factors: dict[str, Tensor]) -> Tensor:
    """The gradient (out, in) that terms describe, with every product written out."""
    total = torch.zeros(factors["error"].shape[-1], pre.shape[-1], dtype=pre.dtype)
    for term in terms:
        source = pre
        for decay in term.filters:
            source = _trace(source, decay)
        product = torch.full_like(factors["error"], term.scale)
        for factor in term.post:
            value = factors[factor.name]
            if factor.trace is not None:
                value = _trace(value, factor.trace)
            if factor.delay:
                value = torch.cat([torch.zeros_like(value[: factor.delay]), value[: -factor.delay]])
            product = product if factor.name == "error" and factor.trace is None else product * value
        eligible = product.unsqueeze(3) * source.unsqueeze(2)  # (T, B, out, in)
        for decay in term.eligibility:
            eligible = _trace(eligible, decay)
        total += (factors["error"].unsqueeze(3) * eligible).sum((0, 1))
    return total


def _arriving(path: ErrorPath, layers: list[Layer], index: int, signals: dict[str, Any]) -> Tensor:
    """Error at the activity of a hidden layer, from what the path says."""
    above = layers[index + 1] if index + 1 < len(layers) else None
    state = [signals["state"][name] for name in path.tensors]
    if path.origin == "layer above":
        weight = signals["readout"] if above is None else above.weight
        if path.through == "forward weights":
            feedback = weight
        else:
            feedback = torch.where(weight >= 0, state[0], -state[0]) if path.through == "signs" else state[0]
        return signals["delta"][index + 1] @ feedback
    if path.origin == "local read-out":
        own = signals["local"](path, index)
        matrix = state[0] if len(state) == 1 else state[0] * state[1]
        return own @ matrix.t()
    sent = signals["targets"] if path.origin == "target" else signals["error"]
    assert path.per_step == 1.0
    return sent @ (signals["readout"] if path.through == "forward weights" else state[0].t())


def _expected(rule: Rule, model: nn.Sequential, signal: Tensor, described: RuleDescription) -> dict[str, Tensor]:
    state = dict(rule.state_dict())
    weights = dict(model.named_parameters())
    first = Layer(weights["0.weight"], weights["0.bias"], 0.7, 1.0, None)
    second = Layer(weights["2.weight"], weights["2.bias"], 0.3, 0.8, weights[f"3.{CONNECTION}"])
    layers, readout = [first, second], weights["4.weight"]
    hidden = [first.run(signal)]
    hidden.append(second.run(hidden[0]))
    output = hidden[1] @ readout.t() + weights["4.bias"]

    def error_of(values: Tensor) -> Tensor:
        values = values.detach().requires_grad_()
        (error,) = torch.autograd.grad(loss_of(values), values)
        return error

    def local(path: ErrorPath, index: int) -> Tensor:
        name, place = path.tensors[0], index
        if name.startswith("lower"):  # an estimate from the read-out of the second layer
            name, place = "readouts.readout_3", 1
        return error_of(hidden[place] @ state[name])

    error = error_of(output)
    labels = torch.nn.functional.one_hot(targets_of(output), CLASSES).double()
    signals: dict[str, Any] = {
        "state": state,
        "readout": readout,
        "error": error,
        "targets": -labels.expand_as(error) / (STEPS * BATCH),
        "local": local,
        "delta": {2: error},
    }
    by_layer: dict[str, SynapseDescription] = {synapse.layer: synapse for synapse in described.synapses}
    found = {}
    for index in (1, 0):
        layer, synapse = layers[index], by_layer[str(2 * index)]
        error_here = sum((_arriving(path, layers, index, signals) for path in synapse.paths), torch.zeros(()))
        factors = {"error": error_here, "slope": layer.slope}
        signals["delta"][index] = error_here * layer.slope
        found[f"{2 * index}.weight"] = _gradient(synapse.update.terms, layer.input, factors)
        ones = torch.ones_like(layer.input[..., :1])
        found[f"{2 * index}.bias"] = _gradient(synapse.update.bias, ones, factors).squeeze(1)
        if layer.own is not None:
            recurrent = next(synapse for synapse in described.synapses if synapse.recurrent)
            found[f"{recurrent.layer}.weight"] = _gradient(recurrent.update.terms, layer.earlier, factors)
    last = by_layer["4"]
    found["4.weight"] = _gradient(last.update.terms, hidden[1], {"error": error})
    found["4.bias"] = _gradient(last.update.bias, torch.ones_like(hidden[1][..., :1]), {"error": error}).squeeze(1)
    return found


@pytest.mark.parametrize(("name", "options"), WRITTEN, ids=[":".join([name, *options]) for name, options in WRITTEN])
def test_gradients_follow_from_the_description(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(3)
    model = _network()
    signal = spikes(STEPS, BATCH, 6).double()
    rule = getattr(rules, name)(model, **options)
    rule.forward(signal)
    learn(rule)  # feedback that learns has now been estimated
    model.zero_grad()
    model.eval()  # without noise
    rule.forward(signal)
    learn(rule)
    described = rule.describe()
    agree(gradients(model), _expected(rule, model, signal, described))


def test_a_read_out_with_a_leak_filters_the_eligibility() -> None:
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(6, 8), nn.LIF(decay=0.7), nn.Linear(8, CLASSES), nn.LI(decay=0.6))
    scaled(model, 2.0).double()
    signal = spikes(STEPS, BATCH, 6).double()
    rule = rules.eprop(model)
    output = rule.forward(signal).detach().requires_grad_()
    (error,) = torch.autograd.grad(loss_of(output), output)
    learn(rule)
    hidden, readout = rule.describe().synapses
    layer = Layer(model.get_parameter("0.weight"), model.get_parameter("0.bias"), 0.7, 1.0, None)
    activity = layer.run(signal)
    arriving = error @ rule.state_dict()[hidden.paths[0].tensors[0]].t()
    factors = {"error": arriving, "slope": layer.slope}
    expected = {
        "0.weight": _gradient(hidden.update.terms, signal, factors),
        "0.bias": _gradient(hidden.update.bias, torch.ones_like(signal[..., :1]), factors).squeeze(1),
        "2.weight": _gradient(readout.update.terms, activity, {"error": error}),
        "2.bias": _gradient(readout.update.bias, torch.ones_like(activity[..., :1]), {"error": error}).squeeze(1),
    }
    assert hidden.update.terms[0].eligibility == (0.6,)
    agree(gradients(model), expected)


def test_counts_are_multiplied_once_per_sequence() -> None:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(6, 8), nn.Stochastic(), nn.Linear(8, CLASSES), nn.MeanReadout())
    rule = rules.ssnn_bp(model, gain=1.0)
    form = rule.describe().synapses[0].update
    assert form.per_sequence
    assert form.terms[0].input_mean
    assert rule.describe().errors == "spikes"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("name", rules.__all__)
def test_every_rule_describes_itself(name: str, case: Any) -> None:
    try:
        rule = getattr(rules, name)(case.build())
    except OnchipError:
        return  # refused, as other tests check
    described = rule.describe()
    assert [synapse.layer for synapse in described.synapses] == [layer.name for layer in rule.layers]
    rule.forward(case.signal())
    learn(rule)  # direct feedback is created at its first use
    state = rule.state_dict()
    for synapse in described.synapses:
        assert synapse.paths
        for path in synapse.paths:
            assert set(path.tensors) <= set(state)
            assert (path.period is not None) == (path.through in ("forward weights", "signs", "refreshed copy"))
        if synapse.update.history in ("whole sequence", "spike times"):
            assert not synapse.update.terms
        if synapse.update.history == "whole sequence":
            assert not rule.claims.online


def test_claims_agree_with_the_description() -> None:
    for name in rules.__all__:
        for case in CASES:
            try:
                rule = getattr(rules, name)(case.build())
            except OnchipError:
                continue
            paths = [path for synapse in rule.describe().synapses for path in synapse.paths]
            if rule.claims.no_weight_transport:
                assert all(path.period is None for path in paths)
            if rule.claims.batch_independent:
                assert not any(learning.over_batch for path in paths for learning in path.learning)
            if rule.claims.backward_unlocked:
                assert all(path.origin != "layer above" for path in paths)


def test_feedback_without_a_description_is_refused() -> None:
    class Silent(DirectFeedback):
        def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
            return torch.zeros_like(activity)

    rule = Rule("silent", _network(), feedback=Silent(), temporal=Online())
    with pytest.raises(UnsupportedError, match="Silent does not say where its errors come from"):
        rule.describe()


def _residual() -> nn.Sequential:
    body = nn.Sequential(nn.Linear(8, 8), nn.LIF(), nn.Linear(8, 8), nn.LIF())
    return nn.Sequential(nn.Linear(6, 8), nn.LIF(), nn.Residual(body), nn.Linear(8, CLASSES))


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (_network, {0: (1,), 1: (3,), 3: ()}),
        (_residual, {0: (1, 3), 1: (2,), 2: (3,), 3: ()}),
    ],
)
def test_consumers(build: Callable[[], nn.Sequential], expected: dict[int, tuple[int, ...]]) -> None:
    assert nn.graph_builder.build_graph(build()).consumers == expected
