"""No neuron, synapse, layer or node is forgotten: each has a converter, or a written reason."""

from __future__ import annotations

import inspect

import nir
import pytest
import torch

from onchip import interop, nn
from onchip.errors import UnsupportedError
from onchip.interop import file
from onchip.interop.parts import CONVERTERS, OF_LAYER, OF_NODE
from onchip.interop.parts.base import NeuronWriter, NodeReader, SynapseWriter, WeightlessWriter
from onchip.interop.parts.unsaid import LAYERS, NODES
from onchip.interop.readers.base import CONNECTIONS, Reader
from onchip.nn import neurons, synapses
from onchip.nn.graph_builder import build_graph
from onchip.nn.signals import SPIKE_TIMES, SPIKE_TRAINS, TIME_STEPS
from onchip.nn.synapses import Synapse
from tests.cases import CASES, Case

NEURONS = [*(getattr(neurons, name) for name in neurons.__all__), *neurons.READOUTS]
SYNAPSES = [
    each
    for name in synapses.__all__
    if inspect.isclass(each := getattr(synapses, name)) and issubclass(each, Synapse) and each is not Synapse
]
WEIGHTLESS = list(dict.fromkeys((*TIME_STEPS.weightless, *SPIKE_TRAINS.weightless, *SPIKE_TIMES.weightless)))
KINDS = [name for name in nir.ir.__all__ if inspect.isclass(getattr(nir, name)) and name != "NIRNode"]


@pytest.mark.parametrize("neuron", NEURONS)
def test_every_neuron_is_written_or_has_a_reason(neuron: type) -> None:
    assert isinstance(OF_LAYER.get(neuron), NeuronWriter) != (neuron in LAYERS)


@pytest.mark.parametrize("synapse", SYNAPSES)
def test_every_synapse_is_written_or_has_a_reason(synapse: type) -> None:
    assert isinstance(OF_LAYER.get(synapse), SynapseWriter) != (synapse in LAYERS)


@pytest.mark.parametrize("layer", WEIGHTLESS)
def test_every_layer_without_weights_is_written_or_has_a_reason(layer: type) -> None:
    assert isinstance(OF_LAYER.get(layer), WeightlessWriter) != (layer in LAYERS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_node_is_read_or_has_a_reason(kind: str) -> None:
    structural = kind in ("Input", "Output", "NIRGraph")
    assert [isinstance(OF_NODE.get(kind), NodeReader), kind in NODES, structural].count(True) == 1
    assert kind in file.KINDS


def test_nothing_is_converted_twice_or_for_nobody() -> None:
    layers = [layer for each in CONVERTERS for layer in each.layers]
    assert len(layers) == len(set(layers))
    assert set(layers) | set(LAYERS) == {*NEURONS, *SYNAPSES, *WEIGHTLESS}
    assert {*OF_NODE, *NODES} == set(KINDS) - {"Input", "Output", "NIRGraph"}


@pytest.mark.parametrize("reader", interop.READERS.values(), ids=lambda reader: reader.name)
def test_a_reader_names_nodes_and_connections_that_exist(reader: Reader) -> None:
    written = {*OF_NODE, *CONNECTIONS} - {"I"}
    assert set(reader.support) <= written
    assert all(reason for word, reason in reader.support.values() if word != "faithful")
    for kind in written:
        word, reason = reader.supports(kind)
        assert word == "faithful" or reason


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_network_gets_verdicts_and_is_written_as_they_say(case: Case) -> None:
    model, shape = case.build(), tuple(case.signal().shape)
    features = shape[2:] if build_graph(model).kind.over_time else shape[1:]
    verdicts = interop.verdicts(model, features)
    assert verdicts
    if any(verdict.word == "unsupported" for verdict in verdicts):
        with pytest.raises(UnsupportedError, match="is unsupported"):
            interop.to_nir(model, features, approximate=True)
    else:
        graph, told = interop.to_nir(model, features, approximate=True)
        assert told == verdicts
        assert {verdict.node for verdict in told if verdict.node} == set(graph.nodes) - {"input", "output"}


def test_a_neuron_of_the_users_own_has_no_converter() -> None:
    class Own(nn.LIF):
        """Something else."""

    verdicts = interop.verdicts(nn.Sequential(nn.Linear(2, 2), Own(), nn.Linear(2, 1)), (2,))
    assert verdicts[1].word == "unsupported"
    assert "no converter knows Own" in verdicts[1].reason


def test_what_is_unsupported_has_that_reason_alone() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.LIF(reset="hard"))
    verdict = interop.verdicts(model, (1, 8, 8), reader="sinabs")[1]
    assert (verdict.word, verdict.reason) == ("unsupported", "sinabs 3.1.3 takes no neurons in maps (C, H, W)")


def test_an_unknown_layer_is_refused_by_its_name() -> None:
    with pytest.raises(UnsupportedError, match=r"MaxPool2d '2' is unsupported: NIR has no max-pooling"):
        interop.to_nir(nn.Sequential(nn.Conv2d(1, 2, 3), nn.LIF(), torch.nn.MaxPool2d(2)), (1, 8, 8))
