"""Profiles of learning hardware: what its learning engine can do, its memory and its prices, each fact with a source.

A profile is a TOML file. A fact is an inline table of its `value`, its `source` and, if it is true of one generation
alone, `of`:

    [traces]
    bits = { value = "7 bits", source = "a paper, its table", of = "the second generation" }

What a file leaves out is unknown, as is a fact with the value "unknown"; a price may be "unpriced".
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

from onchip.chips.facts import UNPRICED, Fact, Kind, amount, choice, count, names, sentence, switch
from onchip.chips.grammar import POST_TRACES

__all__ = ["Chip", "Engine", "Memory", "Neurons", "Prices", "Synapses", "Traces"]

SUM_OF_PRODUCTS, PROGRAMMABLE, OUTER_PRODUCT, FIXED = "sum of products", "programmable", "outer product", "fixed"
"""Forms of an update."""

ORIGINS = ("output error", "target", "local read-out", "layer above", "loss")
THROUGH = (
    "nothing",
    "forward weights",
    "signs",
    "refreshed copy",
    "fixed weights",
    "learned weights",
    "estimate",
    "noise",
)
"""Words of `onchip.learning.description`."""

SIZES = {"bits": 1.0, "B": 8.0, "KiB": 8.0 * 2**10, "MiB": 8.0 * 2**20, "GiB": 8.0 * 2**30}
ENERGIES = {"pJ": 1.0, "fJ": 1e-3, "nJ": 1e3, "uJ": 1e6}

Bits = Annotated[Fact[int], amount("a number", {"bits": 1.0, "bit": 1.0}, "7 bits")]
Steps = Annotated[Fact[int], amount("a number", {"steps": 1.0, "step": 1.0}, "63 steps")]
Size = Annotated[Fact[int], amount("a size", SIZES, "128 KiB")]
Price = Annotated[Fact[float], amount("an energy", ENERGIES, "23.6 pJ", whole=False, missing=UNPRICED)]
Count = Annotated[Fact[int], count]
Switch = Annotated[Fact[bool], switch]
Text = Annotated[Fact[str], sentence]

UNKNOWN_FACT: Fact[Any] = Fact()
NO_PRICE: Fact[Any] = Fact(text=UNPRICED)


@dataclass(frozen=True)
class Engine:
    """What changes the synapses."""

    grammar: Annotated[Fact[str], choice(SUM_OF_PRODUCTS, PROGRAMMABLE, OUTER_PRODUCT, FIXED), "form of an update"] = (
        UNKNOWN_FACT
    )
    rule: Annotated[Text, "the form in words, or the rule if it is fixed"] = UNKNOWN_FACT
    epoch: Annotated[Steps, "time steps from one update to the next, at most"] = UNKNOWN_FACT
    spikes_per_epoch: Annotated[Count, "spikes of a neuron that count in an epoch, at most"] = UNKNOWN_FACT
    mantissa_bits: Annotated[Bits, "bits of a scale, its sign included, besides its power of 2"] = UNKNOWN_FACT
    layers: Annotated[Fact[str], choice("all", "last"), "layers that can learn"] = UNKNOWN_FACT
    origins: Annotated[Fact[tuple[str, ...]], names(*ORIGINS), "what a fixed rule makes errors from"] = UNKNOWN_FACT
    through: Annotated[Fact[tuple[str, ...]], names(*THROUGH), "what errors of a fixed rule pass on their way"] = (
        UNKNOWN_FACT
    )
    sequence: Annotated[Switch, "whether updates may read stored sequences of spikes and errors"] = UNKNOWN_FACT
    batch: Annotated[Switch, "whether one update may sum over several samples"] = UNKNOWN_FACT


@dataclass(frozen=True)
class Traces:
    """What a synapse can read of the neurons on both its sides."""

    pre: Annotated[Count, "traces of the presynaptic neuron"] = UNKNOWN_FACT
    post: Annotated[Count, "traces of the postsynaptic neuron"] = UNKNOWN_FACT
    bits: Annotated[Bits, "bits of a trace"] = UNKNOWN_FACT
    signed: Annotated[Switch, "whether a trace may be negative"] = UNKNOWN_FACT
    real_input: Annotated[Count, "presynaptic traces to which a spike adds the number that it carries"] = UNKNOWN_FACT


@dataclass(frozen=True)
class Synapses:
    """The synaptic variables, and how they are laid out."""

    weight_bits: Annotated[Bits, "bits of a weight, besides its sign"] = UNKNOWN_FACT
    signed: Annotated[Switch, "whether one synapse takes both signs"] = UNKNOWN_FACT
    rounding: Annotated[Fact[str], choice("stochastic", "nearest", "down", "analog"), "rounding of updates"] = (
        UNKNOWN_FACT
    )
    state_bits: Annotated[Bits, "bits of a second number of each synapse, besides its sign (a tag)"] = UNKNOWN_FACT
    convolution: Annotated[Switch, "whether synapses that share weights over space can learn"] = UNKNOWN_FACT
    transposed: Annotated[Switch, "whether the same synapses can carry errors backwards"] = UNKNOWN_FACT
    copied: Annotated[Switch, "whether the chip can copy learned weights to other synapses"] = UNKNOWN_FACT


@dataclass(frozen=True)
class Neurons:
    """What neurons can compute and send."""

    programmable: Annotated[Switch, "whether a neuron's program can compute a surrogate derivative"] = UNKNOWN_FACT
    written: Annotated[Fact[tuple[str, ...]], names(*POST_TRACES), "traces that the program writes"] = UNKNOWN_FACT
    noise: Annotated[Switch, "whether a neuron adds noise that its program can read"] = UNKNOWN_FACT
    graded_bits: Annotated[Bits, "bits of the number that a spike carries; 0 for spikes alone"] = UNKNOWN_FACT


@dataclass(frozen=True)
class Memory:
    """How much there is."""

    per_core: Annotated[Size, "memory of a core"] = UNKNOWN_FACT
    synapses_per_core: Annotated[Size, "memory of a core for synapses"] = UNKNOWN_FACT
    neurons_per_core: Annotated[Count, "neurons of a core, at most"] = UNKNOWN_FACT
    cores: Annotated[Count, "cores of a chip"] = UNKNOWN_FACT
    several_chips: Annotated[Switch, "whether several chips can run one network"] = UNKNOWN_FACT
    hidden_layers: Annotated[Count, "hidden layers, at most"] = UNKNOWN_FACT


@dataclass(frozen=True)
class Prices:
    """Energy of operations."""

    synapse: Annotated[Price, "a spike at a synapse"] = NO_PRICE
    update: Annotated[Price, "an update of a synapse"] = NO_PRICE
    neuron_active: Annotated[Price, "an update of a neuron that fires"] = NO_PRICE
    neuron_idle: Annotated[Price, "an update of a neuron that does not fire"] = NO_PRICE
    spike: Annotated[Price, "a spike sent"] = NO_PRICE


SECTIONS: Mapping[str, type[Any]] = {
    "engine": Engine,
    "traces": Traces,
    "synapses": Synapses,
    "neurons": Neurons,
    "memory": Memory,
    "prices": Prices,
}


@dataclass(frozen=True)
class Chip:
    """A profile.

    Args:
        name: Name on the command line.
        title: Name and maker.
        about: What it is, and which generation the facts are of.
        engine: What changes synapses.
        traces: What synapses read.
        synapses: Their variables.
        neurons: What neurons compute and send.
        memory: How much there is.
        prices: Energies.
    """

    name: str
    title: str
    about: str
    engine: Engine
    traces: Traces
    synapses: Synapses
    neurons: Neurons
    memory: Memory
    prices: Prices

    def facts(self) -> dict[str, dict[str, tuple[Fact[Any], str]]]:
        """All facts with what each is about, by section and name."""
        return {
            section: {
                name: (getattr(getattr(self, section), name), about) for name, (_, about) in specified(kind).items()
            }
            for section, kind in SECTIONS.items()
        }


def specified(section: type[Any]) -> dict[str, tuple[Kind, str]]:
    """What may stand in a section: the kind of each fact, and what it is about."""
    hints = get_type_hints(section, include_extras=True)
    return {field.name: hints[field.name].__metadata__ for field in dataclasses.fields(section)}
