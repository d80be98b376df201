"""The group `learning`: the rule goes with its network, and makes the next step that it would have made."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import onchip
from onchip import interop, nn, rules, surrogate
from onchip._sealed import digest as seal
from onchip.audit import audit
from onchip.errors import DataError, RequestError, UnsupportedError
from onchip.interop import file
from onchip.interop.learning.document import Document
from onchip.interop.trees import digest, leaves
from onchip.learning.rule import Rule
from onchip.runs.grammar import command_name
from onchip.training import registry
from tests.cases import learn, scaled, spikes

nir = pytest.importorskip("nir")
h5py = pytest.importorskip("h5py")

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, betas=(0.8, 0.99)),
}
RULES = [
    *(command_name(name) for name in rules.__all__ if name not in ("ssnn_bp", "own_noise_mirror")),
    *("fbp:period=2;transport=top:0.2", "eprop:feedback=adaptive", "s_tllr:feedback=dfa", "decolle:concordant=true"),
    *(
        "opzo:local=true;centering=causal",
        "anchored_dkp:quiet_after=2",
        "kolen_pollack:temporal=online",
        "etlp:rate=0.5",
    ),
]
"""All rules that train neurons of NIR, and some options with states of their own."""


def _dense() -> nn.Sequential:
    layers = [nn.Linear(6, 8), nn.LIF(learn_decay=True), nn.Linear(8, 7), nn.IF(reset="hard"), nn.Linear(7, 3)]
    return scaled(nn.Sequential(*layers), 3.0)


def _recurrent() -> nn.Sequential:
    connected = nn.Recurrent(nn.Linear(8, 8, bias=False), nn.CubaLIF())
    return scaled(nn.Sequential(nn.Linear(6, 8), connected, nn.Linear(8, 3), nn.LI()), 2.0)


def _maps() -> nn.Sequential:
    first = [nn.Conv2d(2, 4, 3, padding=1), nn.LIF(reset="hard", surrogate=surrogate.ATan(3.0)), nn.AvgPool2d(2)]
    body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.LIF())
    layers = [*first, nn.Residual(body), nn.Conv2d(4, 5, 3), nn.LIF(), nn.Flatten(), nn.Linear(20, 3)]
    return scaled(nn.Sequential(*layers), 3.0)


NETWORKS = {"dense": (_dense, (6,)), "recurrent": (_recurrent, (6,)), "maps": (_maps, (2, 8, 8))}


def _step(rule: Rule, optimizer: torch.optim.Optimizer, signal: Tensor) -> None:
    rule.forward(signal)
    learn(rule)
    optimizer.step()
    optimizer.zero_grad()


def _trained(rule: Rule, optimizer: str, signals: list[Tensor]) -> torch.optim.Optimizer:
    rule.forward(signals[0])
    learn(rule)  # feedback is created at its first use, and an optimizer wants its parameters
    made = OPTIMIZERS[optimizer](rule.parameters())
    made.zero_grad()
    rule.step_after(made)
    for signal in signals:
        _step(rule, made, signal)
    return made


@pytest.mark.parametrize(
    ("text", "network", "optimizer"),
    [(*pair, list(OPTIMIZERS)[turn % 2]) for turn, pair in enumerate(itertools.product(RULES, NETWORKS))],
)
def test_the_next_steps_are_those_of_the_original(text: str, network: str, optimizer: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    build, shape = NETWORKS[network]
    model = build()
    try:
        rule = registry.part("rule", text)(model)
    except UnsupportedError as error:
        assert network != "dense"
        pytest.skip(str(error))
    signals = [spikes(5, 3, *shape) for _ in range(4)]
    made = _trained(rule, optimizer, signals[:2])
    path, learning = tmp_path / "net.nir", interop.Learning(rule, text, made)
    interop.export(path, model, shape, approximate=True, learning=learning)
    restored = interop.read(path).restored()
    assert restored.optimizer is not None
    before = copy.deepcopy(model.state_dict())
    for signal in signals[2:]:
        _step(rule, made, signal)
    torch.set_rng_state(restored.random_state)
    for signal in signals[2:]:
        _step(restored.rule, restored.optimizer, signal)
    assert any(not torch.equal(before[name], value) for name, value in model.state_dict().items())
    _same(model.state_dict(), restored.model.state_dict())
    _same(rule.state_dict(), restored.rule.state_dict())


def _same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def _exported(path: Path, text: str = "fbp:period=3", **options: Any) -> tuple[nn.Sequential, Rule]:
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(6, 5), nn.LIF(reset="hard"), nn.Linear(5, 3))
    rule = rules.fbp(model, period=3)
    interop.export(path, model, (6,), learning=interop.Learning(rule, text, **options))
    return model, rule


def test_the_document_says_what_the_rule_does(tmp_path: Path) -> None:
    _, rule = _exported(tmp_path / "net.nir")
    document = interop.read(tmp_path / "net.nir").document
    assert document is not None
    assert document.description == rule.describe()
    assert document.nodes == {"0": "affine", "2": "affine_1"}
    assert document.rule == "fbp:period=3"
    assert document.options["period"] == 3
    assert document.claims == tuple(claim.name for claim in rule.claims.stated())
    assert document.precision == {"weights": "float32", "products": "float32"}
    assert document.optimizer is None
    assert Document.from_json(document.to_json()) == document


def test_every_layer_and_nothing_else_has_a_node(tmp_path: Path) -> None:
    model = _maps()
    rule = rules.dfa(model)
    # For norse, the average pool is written as a convolution, which holds no weights of the network.
    learning = interop.Learning(rule, "dfa")
    interop.export(tmp_path / "net.nir", model, (2, 8, 8), reader="norse", approximate=True, learning=learning)
    document = interop.read(tmp_path / "net.nir").document
    assert document is not None
    assert list(document.nodes) == [layer.name for layer in rule.layers]
    graph = nir.read(tmp_path / "net.nir", type_check=False)
    for layer in rule.layers:
        np.testing.assert_array_equal(graph.nodes[document.nodes[layer.name]].weight, layer.weight.detach().numpy())


def test_other_readers_do_not_open_the_group(tmp_path: Path) -> None:
    model, _ = _exported(tmp_path / "net.nir")
    interop.export(tmp_path / "plain.nir", model, (6,))
    with h5py.File(tmp_path / "net.nir") as with_rule, h5py.File(tmp_path / "plain.nir") as plain:
        assert set(with_rule) - set(plain) == {"learning"}
    theirs, plain = nir.read(tmp_path / "net.nir"), nir.read(tmp_path / "plain.nir")
    assert set(theirs.nodes) == set(plain.nodes)
    assert interop.read(tmp_path / "plain.nir").document is None


def test_the_certificate_of_an_audit_goes_with_the_rule(tmp_path: Path) -> None:
    def build() -> nn.Sequential:
        return scaled(nn.Sequential(nn.Linear(6, 5), nn.LIF(), nn.Linear(5, 3)), 3.0)

    certificate = audit(rules.fbp, build, spikes(4, 3, 6), torch.tensor([0, 1, 2]), span=2)
    _exported(tmp_path / "net.nir", certificate=certificate)
    document = interop.read(tmp_path / "net.nir").document
    assert document is not None
    assert document.certificate == json.loads(json.dumps(certificate.to_dict()))


def test_products_in_bfloat16_are_restored(tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 5), nn.LIF(reset="hard"), nn.Linear(5, 3))
    rule = rules.dfa(model).in_bfloat16()
    learning = interop.Learning(rule, "dfa")
    interop.export(tmp_path / "net.nir", model, (6,), learning=learning)
    signal = torch.rand(4, 2, 6)
    restored = interop.read(tmp_path / "net.nir").restored()
    assert torch.equal(rule.forward(signal), restored.rule.forward(signal))
    assert not torch.equal(model(signal), rule.forward(signal))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fbp:period=4", "does something else"),
        ("dfa", "does something else"),
        ("fbq", "fbq"),
    ],
)
def test_a_text_that_makes_another_rule_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=message):
        _exported(tmp_path / "net.nir", text)
    assert not list(tmp_path.iterdir())


def test_a_rule_of_another_network_is_refused(tmp_path: Path) -> None:
    one, other = (nn.Sequential(nn.Linear(6, 5), nn.LIF(reset="hard"), nn.Linear(5, 3)) for _ in range(2))
    with pytest.raises(RequestError, match="trains another network"):
        interop.export(tmp_path / "net.nir", one, (6,), learning=interop.Learning(rules.dfa(other), "dfa"))


def test_optimizers_that_a_file_cannot_hold_are_refused(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.LIF(reset="hard"), nn.Linear(5, 3))
    rule = rules.dfa(model)
    path, parameters = tmp_path / "net.nir", list(rule.parameters())
    for optimizer, message in (
        (torch.optim.RMSprop(parameters), "cannot hold the optimizer RMSprop"),
        (torch.optim.SGD([{"params": parameters[:1]}, {"params": parameters[1:]}], lr=0.1), "2 groups"),
        (torch.optim.SGD(parameters[:2], lr=0.1), "trains other parameters"),
    ):
        with pytest.raises(UnsupportedError, match=message):
            interop.export(path, model, (6,), learning=interop.Learning(rule, "dfa", optimizer))


def _change(path: Path, change: Any) -> None:
    with h5py.File(path, "r+") as opened:
        change(opened)


def _set(opened: Any, name: str, value: Any) -> None:
    del opened[name]
    opened[name] = value


def _weight(opened: Any) -> None:
    opened["node/nodes/affine/weight"][0, 0] += 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_weight, "written for another graph"),
        (lambda f: f["learning/tensors/network/0.weight"].__setitem__((0, 0), 9.0), "damaged"),
        (lambda f: _set(f, "learning/document", "{}"), "damaged"),
        (lambda f: _set(f, "learning/document", 3), "has no 'document'"),
        (lambda f: f.__delitem__("learning/document"), "has no 'document'"),
        (lambda f: f.__delitem__("learning/tensors/feedback"), "damaged"),
        (lambda f: _set(f, "learning/tensors/random", "text"), "no array of numbers"),
        (lambda f: f.__setitem__("learning/away", h5py.ExternalLink("other.h5", "/")), "link to somewhere else"),
    ],
)
def test_groups_that_were_changed_are_refused(change: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    _exported(path)
    _change(path, change)
    with pytest.raises(DataError, match=message):
        interop.read(path)


def _resealed(path: Path, edit: Any) -> None:
    """Another document under a digest that fits, as a stranger may write it."""
    held = file.read(path)
    tree = dict(held.groups["learning"])
    document = json.loads(tree["document"])
    edit(document)
    text = json.dumps(document)
    tensors = leaves(tree["tensors"])
    made = {name: torch.from_numpy(value) for name, value in tensors}
    with h5py.File(path, "r+") as opened:
        _set(opened, "learning/document", text)
        _set(opened, "learning/sha256", seal(made, {"document": text}))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d.update(version=2), "version 2"),
        (lambda d: d.update(version="one"), "version 'one'"),
        (lambda d: d.update(rule=3), "cannot be read"),
        (lambda d: d["description"].update(synapses=4), "cannot be read"),
    ],
)
def test_documents_of_another_form_are_refused(edit: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    _exported(path)
    _resealed(path, edit)
    with pytest.raises(DataError, match=message):
        interop.read(path)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d.update(rule="fbq"), "cannot be restored"),
        (lambda d: d.update(rule="dfa:scale=3"), "cannot be restored"),
        (lambda d: d.update(rule="bp"), "cannot be restored"),
        (lambda d: d.update(network=d["network"][:2]), "weights are not those"),
        (lambda d: d.update(optimizer={"name": "LBFGS", "options": {}, "state": False}), "LBFGS"),
        (lambda d: d.update(optimizer={"name": "SGD", "options": {"lr": "x"}, "state": False}), "does not fit"),
        (lambda d: d.update(optimizer={"name": "SGD", "options": {}, "state": False}), "does not fit"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(edit: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    _exported(path)
    _resealed(path, edit)
    with pytest.raises(DataError, match=message):
        interop.read(path).restored()


def test_a_file_without_the_group_has_no_rule(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.LIF(reset="hard"), nn.Linear(5, 3))
    interop.export(tmp_path / "net.nir", model, (6,))
    with pytest.raises(DataError, match="no group 'learning'"):
        interop.read(tmp_path / "net.nir").restored()


def test_the_digest_is_the_one_of_the_page() -> None:
    tree = {"b": np.array([[1.0, 2.0]], dtype=np.float32), "a": {"type": "LIF", "edges": np.array([b"x", b"yz"], "O")}}
    expected = hashlib.sha256()
    for header, content in (
        ("a/edges\nstring\n[2]\n4\n", b"x\0yz"),
        ("a/type\nstring\n[]\n3\n", b"LIF"),
        ("b\nfloat32\n[1, 2]\n8\n", np.array([1.0, 2.0], dtype="<f4").tobytes()),
    ):
        expected.update(header.encode() + content)
    assert digest(tree) == expected.hexdigest()


def test_the_precision_of_a_rule_that_is_stored_by_hand_is_the_rule_s(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.LIF(reset="hard"), nn.Linear(5, 3))
    rule = rules.dfa(model)
    onchip.save(tmp_path / "full", model, rule, made="dfa")
    onchip.save(tmp_path / "half", model, rule.in_bfloat16(), made="dfa")
    assert not onchip.load(tmp_path / "full").rule.bfloat16
    assert onchip.load(tmp_path / "half").rule.bfloat16


def test_the_document_has_the_types_of_double_precision(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.LIF(reset="hard"), nn.Linear(5, 3)).double()
    interop.export(tmp_path / "net.nir", model, (6,), learning=interop.Learning(rules.dfa(model), "dfa"))
    document = interop.read(tmp_path / "net.nir").document
    assert document is not None
    assert document.precision == {"weights": "float64", "products": "float64"}
