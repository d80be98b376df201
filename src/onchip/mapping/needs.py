"""Memory, traffic and energy of a rule on a chip."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from onchip.chips.profile import Chip
from onchip.cost.energy.work import WORK
from onchip.learning.description import RuleDescription, SynapseDescription
from onchip.mapping.setting import Inputs, Setting
from onchip.mapping.verdict import Derivation, Energy, MemoryNeed, Traffic

__all__ = ["copies", "energy_of", "memory_of", "traffic_of"]

PRICED: Mapping[str, tuple[str, ...]] = {
    "synapse": ("acs_forward", "macs_forward", "acs_error", "macs_error"),
    "update": ("acs_update", "macs_update"),
    "neuron_active": ("spikes",),
    "neuron_idle": ("neuron_updates",),
    "spike": ("spikes",),
}
"""Counts of a bill that each price is for; idle neurons are updates less spikes."""

INCLUDED = {"writes_weights": "update", "state_updates": "neuron_idle"}
"""Counts of a bill that are part of what another price is for."""


def memory_of(
    rule: RuleDescription, chip: Chip, setting: Setting, inputs: Inputs, derivations: Sequence[Derivation]
) -> MemoryNeed:
    """Memory that the network, its feedback weights and the states of learning take.

    Args:
        rule: What the rule does.
        chip: The chip.
        setting: How it trains.
        inputs: Sizes of the layers.
        derivations: The updates; none for an unsupported rule, for which no tag is counted.
    """
    forward = {each.layer: math.prod(each.shape) for each in rule.synapses}
    feedback = sum(_feedback(each, rule, inputs) for each in rule.synapses)
    outputs = {each.layer: _neurons(each, inputs) for each in rule.synapses if not each.recurrent}
    by_layer = any(path.origin == "layer above" for each in rule.synapses for path in each.paths)
    tags = {each.layer: each.uses_tag for each in derivations}
    weight = _sum(chip.synapses.weight_bits.value, 1)
    tag = _sum(chip.synapses.state_bits.value, 1)
    trace_bits = chip.traces.bits.value
    synapse_bits = _sum(weight, tag if any(tags.values()) else 0)
    traces = max((len(each.program.traces) for each in derivations), default=0)
    neuron_bits = None if trace_bits is None else trace_bits * traces
    synapses, neurons = sum(forward.values()) + feedback, sum(outputs.values()) * (2 if by_layer else 1)
    total = None
    if weight is not None and tag is not None and neuron_bits is not None:
        total = sum(n * (weight + tag * tags.get(layer, False)) for layer, n in forward.items())
        total += feedback * weight + neurons * neuron_bits
    sequence = 0
    if any(each.update.history == "whole sequence" for each in rule.synapses):
        sequence = setting.steps * sum(outputs.values())
    return MemoryNeed(
        synapses, synapse_bits, neurons, neuron_bits, total, _cores(chip, synapses, weight, total, neurons), sequence
    )


def copies(rule: RuleDescription, chip: Chip) -> bool:
    """Whether forward weights are copied: they are not where errors pass the very synapses backwards."""
    transposed = chip.synapses.transposed.value is True
    return any(
        path.period is not None and not (transposed and path.through == "forward weights")
        for each in rule.synapses
        for path in each.paths
    )


def traffic_of(
    rule: RuleDescription, chip: Chip, setting: Setting, inputs: Inputs, bill: Mapping[str, float] | None
) -> Traffic:
    """What is sent in one training step of one sample besides spikes.

    Args:
        rule: What the rule does.
        chip: The chip.
        setting: Time steps.
        inputs: Sizes of the layers.
        bill: Counts of a step, by the names of `Ledger.summary`; None if unknown.
    """
    sizes = {each.layer: _neurons(each, inputs) for each in rule.synapses if not each.recurrent}
    order = list(sizes)
    outputs = sizes[order[-1]]
    errors = targets = 0.0
    for each in rule.synapses:
        for path in each.paths:
            if path.through == "nothing" or each.recurrent:
                continue
            above = sizes[order[min(order.index(each.layer) + 1, len(order) - 1)]]
            sent = setting.steps * path.per_step * {"layer above": above, "loss": 1}.get(path.origin, outputs)
            if path.origin == "target":
                targets += sent / outputs
            else:
                errors += sent
    weights = float(bill["weights_transported"]) if bill is not None and copies(rule, chip) else 0.0
    return Traffic(round(errors), round(targets), weights)


def energy_of(rule: RuleDescription, chip: Chip, bill: Mapping[str, float], *, stored: bool) -> Energy:
    """What a training step costs, by the prices of the chip.

    Args:
        rule: What the rule does.
        chip: The chip.
        bill: Counts of a step of one sample, by the names of `Ledger.summary`.
        stored: Whether activity is stored for the update, in place of traces.
    """
    counts = {name: float(sum(bill[count] for count in counted)) for name, counted in PRICED.items()}
    counts["neuron_idle"] -= bill["spikes"]
    prices = {name: getattr(chip.prices, name) for name in PRICED}
    parts = {name: price.value * counts[name] for name, price in prices.items() if price.known and counts[name]}
    covered = {count for name, counted in PRICED.items() if prices[name].known for count in counted}
    covered |= {count for count, name in INCLUDED.items() if prices[name].known}
    if not stored:
        covered.add("stored_activity")
    if not copies(rule, chip) and not any(path.learning for each in rule.synapses for path in each.paths):
        covered |= {"transport_value_bits", "transport_index_bits", "writes_feedback"}
    unpriced = {count: float(bill[count]) for count in WORK if bill[count] and count not in covered}
    return Energy(parts, unpriced, tuple(dict.fromkeys(prices[name].of for name in parts if prices[name].of)))


def _neurons(synapse: SynapseDescription, inputs: Inputs) -> int:
    return inputs.neurons.get(synapse.layer, synapse.shape[0])


def _feedback(synapse: SynapseDescription, rule: RuleDescription, inputs: Inputs) -> int:
    """Feedback weights to the neurons of a layer that are not the forward weights themselves."""
    if synapse.recurrent:
        return 0
    sizes = {each.layer: _neurons(each, inputs) for each in rule.synapses if not each.recurrent}
    order = list(sizes)
    position = order.index(synapse.layer)
    own, outputs = sizes[synapse.layer], sizes[order[-1]]
    above = sizes[order[min(position + 1, len(order) - 1)]]
    weights = 0
    for path in synapse.paths:
        if path.through in ("nothing", "forward weights", "noise"):
            continue
        both = 2 if path.origin == "local read-out" else 1  # the read-out itself, and the way back
        weights += own * {"layer above": above, "loss": 1}.get(path.origin, outputs) * both
    return weights


def _cores(chip: Chip, synapses: int, weight: int | None, total: int | None, neurons: int) -> int | None:
    """Cores by memory of synapses, or all memory, and by neurons; None if both are unknown."""
    memory = chip.memory.synapses_per_core.value or chip.memory.per_core.value
    needs = []
    if memory and total is not None:
        needs.append(math.ceil(total / memory))
    if chip.memory.neurons_per_core.value:
        needs.append(math.ceil(neurons / chip.memory.neurons_per_core.value))
    return max(needs, default=None)


def _sum(*bits: int | None) -> int | None:
    return None if None in bits else sum(each or 0 for each in bits)
