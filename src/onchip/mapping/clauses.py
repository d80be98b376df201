"""What a rule may need and a chip may lack: one function for each clause.

A clause looks at a rule's update at the synapses of one layer, and yields a reason for each thing that the chip cannot
do. It decides by the description of the rule and the facts of the chip alone. An ability that is unknown counts as one
that the chip lacks, and the reason says so; a limit that is unknown does not bind. A new clause is one function in
`CLAUSES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from onchip.chips.facts import Fact
from onchip.chips.profile import FIXED, OUTER_PRODUCT, PROGRAMMABLE, SUM_OF_PRODUCTS, Chip
from onchip.learning.description import ErrorPath, RuleDescription, SynapseDescription
from onchip.mapping.setting import Received, Setting
from onchip.mapping.verdict import APPROXIMATE, UNSUPPORTED, Reason

__all__ = ["CLAUSES", "Case"]


@dataclass(frozen=True)
class Case:
    """A rule at the synapses of one layer, on a chip.

    Args:
        rule: The whole rule.
        synapse: The synapses.
        chip: The chip.
        setting: How it trains.
        received: What arrives at the synapses.
    """

    rule: RuleDescription
    synapse: SynapseDescription
    chip: Chip
    setting: Setting
    received: Received

    @property
    def free(self) -> bool:
        """Whether a program computes updates in any way, so that no form of an update is asked for."""
        return self.chip.engine.grammar.value == PROGRAMMABLE

    def lacks(self, clause: str, fact: Fact[Any], what: str, change: str) -> Reason:
        """A reason for a fact that is not so, or is unknown."""
        known = "" if fact.known else "; no source says that the chip can do it"
        return Reason(clause, UNSUPPORTED, what + known, change, (self.synapse.layer,))


def form_of_updates(case: Case) -> Iterator[Reason]:
    """Nothing can be derived where the form of an update is unknown."""
    fact = case.chip.engine.grammar
    if not fact.known:
        yield case.lacks("form of updates", fact, "an update must have a form", "a profile that states engine.grammar")


def fixed_rule(case: Case) -> Iterator[Reason]:
    """A fixed rule takes errors of its own kind, and has one product."""
    engine = case.chip.engine
    if engine.grammar.value != FIXED:
        return
    change = "a chip whose updates can be programmed"
    if not engine.origins.value:
        yield case.lacks("fixed rule", engine.origins, "the built-in rule takes no errors", change)
        return
    for path in case.synapse.paths:
        if path.origin not in engine.origins.value or path.through not in (engine.through.value or ()):
            what = f"the built-in rule takes no errors from {_article(path.origin)} {through(path)}"
            yield case.lacks("fixed rule", engine.through, what, change)
    if any(
        len(term.post) > 2 or any(each.delay or each.trace for each in term.post) for term in case.synapse.update.terms
    ):
        yield case.lacks("fixed rule", engine.rule, "the built-in rule is one trace times slope times error", change)


def learning_layers(case: Case) -> Iterator[Reason]:
    """Some engines change the last layer only."""
    if case.chip.engine.layers.value == "last" and not case.synapse.readout:
        yield case.lacks("last layer", case.chip.engine.layers, "only the last layer learns", "a network of one layer")


def through_time(case: Case) -> Iterator[Reason]:
    """Backpropagation through time needs the activity of the whole sequence."""
    fact = case.chip.engine.sequence
    if case.synapse.update.history == "whole sequence" and not fact.value:
        what = "errors go back through the time steps of a stored sequence, but the engine reads present traces only"
        yield case.lacks("through time", fact, what, "credit by traces, such as temporal=online where a rule has it")


def spike_times(case: Case) -> Iterator[Reason]:
    """Derivatives by spike times are no products of two sides."""
    if "spike times" in (case.synapse.update.history, case.synapse.signal) and not case.free:
        what = "the derivative by a spike time is no sum of products over time steps"
        yield case.lacks("spike times", case.chip.engine.grammar, what, "neurons over time steps, such as lif")


def presynaptic_trace(case: Case) -> Iterator[Reason]:
    """Updates need the presynaptic activity of each time step, wherever it is filtered."""
    fact = case.chip.traces.pre
    if fact.value == 0 and case.synapse.update.terms:
        what = "updates need the presynaptic trace at each time step, and no such trace is read"
        yield case.lacks(
            "presynaptic trace", fact, what, "a rule of correlations of spikes, of which there is none here"
        )


def state_per_synapse(case: Case) -> Iterator[Reason]:
    """Eligibilities that do not factorize need a state of each synapse."""
    update, fact = case.synapse.update, case.chip.synapses.state_bits
    if update.history != "state per synapse" or case.free:
        return
    if not update.terms:
        what = "an eligibility that is no product of two sides needs more states per synapse than the tag"
        yield case.lacks("state per synapse", fact, what, "neurons with one decay, such as lif, whose trace factorizes")
    elif not fact.value:
        what = "the eligibility is a state of each synapse, of which there is none"
        yield case.lacks("state per synapse", fact, what, "a read-out without a leak")


def sharing(case: Case) -> Iterator[Reason]:
    """A convolution sums updates over space."""
    fact = case.chip.synapses.convolution
    if case.synapse.shared and not fact.value:
        what = "one weight serves many pairs of neurons, but each synapse learns alone"
        yield case.lacks("sharing over space", fact, what, "dense layers instead of convolutions")


def transport(case: Case) -> Iterator[Reason]:
    """Errors through forward weights, or copies of them, need these weights at other synapses."""
    synapses = case.chip.synapses
    for path in case.synapse.paths:
        change = "fixed feedback weights, as dfa and fa have"
        if path.through == "forward weights" and not (synapses.transposed.value or synapses.copied.value):
            what = (
                "errors pass the forward weights, which cannot be read backwards; a host would copy them at every step"
            )
            yield case.lacks("weight transport", synapses.transposed, what, change)
        elif path.period is not None and path.through != "forward weights" and not synapses.copied.value:
            often = "at every step" if path.period <= 1 else f"every {path.period:.3g} steps"
            what = f"{path.scheme or 'weights'} must be copied to feedback weights {often}, which only a host can do"
            yield case.lacks("weight transport", synapses.copied, what, change)


def learned_feedback(case: Case) -> Iterator[Reason]:
    """A learning feedback synapse has the error on its presynaptic side, where traces may be unsigned."""
    fact = case.chip.traces.signed
    if case.free or fact.value:
        return
    for path in case.synapse.paths:
        if path.learning:
            ways = " and ".join(dict.fromkeys(each.by for each in path.learning))
            what = f"feedback weights learn by {ways}: their presynaptic trace would be a signed error"
            yield case.lacks("learned feedback", fact, what, "fixed feedback weights, as dfa, fa and decolle have")


def weight_decay(case: Case) -> Iterator[Reason]:
    """A share of a weight that is lost needs the weight as a factor."""
    fact = case.chip.engine.grammar
    if fact.value not in (OUTER_PRODUCT, FIXED):
        return
    if any(each.decay for path in case.synapse.paths for each in path.learning):
        what = "feedback weights lose a share of themselves at each step, which is no product of two sides"
        yield case.lacks("weight decay", fact, what, "decay=0 where a rule has it")


def batch_statistics(case: Case) -> Iterator[Reason]:
    """Means over other samples need these samples at once."""
    fact = case.chip.engine.batch
    if any(each.over_batch for path in case.synapse.paths for each in path.learning) and not fact.value:
        what = "feedback learns from the difference to the mean over a batch, but samples come one after another"
        yield case.lacks("batch statistics", fact, what, "an estimate that needs no other samples")


def noise(case: Case) -> Iterator[Reason]:
    """Estimates from noise need to know the noise of each neuron."""
    fact = case.chip.neurons.noise
    if case.rule.noise and not fact.value:
        what = "noise is added in training, and updates or feedback need its value at each neuron"
        yield replace(case.lacks("noise", fact, what, "a rule without noise"), layers=())


def real_errors(case: Case) -> Iterator[Reason]:
    """Errors that are real numbers need spikes that carry numbers."""
    fact = case.chip.neurons.graded_bits
    if case.chip.engine.grammar.value == FIXED:
        return
    travels = [path for path in case.synapse.paths if path.through != "nothing" and path.origin != "target"]
    if travels and case.rule.errors != "spikes" and not fact.value:
        what = "errors are real numbers, but spikes carry none"
        yield case.lacks("real-valued errors", fact, what, "errors as spikes, code=spikes where a rule has it")


def real_input(case: Case) -> Iterator[Reason]:
    """A presynaptic trace of numbers needs spikes that carry them, and numbers of one sign where it is unsigned."""
    if case.received == "spikes" or case.chip.engine.grammar.value in (PROGRAMMABLE, OUTER_PRODUCT):
        return
    change = "spikes as input, such as --encoder poisson"
    takes = case.chip.traces.real_input
    filters = {term.filters for term in case.synapse.update.terms}
    needed = sum(max(1, len(each)) for each in filters)
    if (takes.value or 0) < needed:
        what = f"the input of the layer is real-valued, in {needed} traces, but numbers reach {takes.text}"
        yield case.lacks("real-valued input", takes, what, change)
    elif case.received == "signed numbers" and not case.chip.traces.signed.value:
        what = "the input of the layer has both signs, but traces are unsigned"
        yield case.lacks("signed input", case.chip.traces.signed, what, change)


def slope(case: Case) -> Iterator[Reason]:
    """Slopes are computed by the neurons' program."""
    fact = case.chip.neurons.programmable
    if any(each.name != "error" for term in case.synapse.update.terms for each in term.post) and not fact.value:
        what = "the surrogate derivative needs a program of the neurons"
        yield case.lacks("surrogate derivative", fact, what, "a chip whose neurons can be programmed")


def optimizer(case: Case) -> Iterator[Reason]:
    """Other optimizers than plain SGD keep more states per synapse."""
    setting = case.setting
    if case.free or (setting.optimizer == "sgd" and not setting.momentum):
        return
    name = setting.optimizer if setting.optimizer != "sgd" else f"sgd with momentum {setting.momentum:g}"
    what = f"{name} keeps further numbers per synapse" + ("" if setting.optimizer == "sgd" else ", and divides by one")
    yield case.lacks("optimizer", case.chip.synapses.state_bits, what, "--optimizer sgd --momentum 0")


def unsigned_weights(case: Case) -> Iterator[Reason]:
    """Weights that cross zero need synapses of both signs."""
    if case.chip.synapses.signed.value is False:
        text = "a synapse keeps its sign, so that a weight of both signs takes two synapses, each of which ends at 0"
        yield Reason(
            "unsigned weights", APPROXIMATE, text, "a chip whose synapses take both signs", (case.synapse.layer,)
        )


def batches(case: Case) -> Iterator[Reason]:
    """Samples come one after another."""
    if case.setting.batch_size > 1 and not case.chip.engine.batch.value:
        text = f"weights change after each sample, not after {case.setting.batch_size}"
        yield Reason("batches", APPROXIMATE, text, "--batch-size 1", (case.synapse.layer,))


def depth(case: Case) -> Iterator[Reason]:
    """A chip of fixed topology has so many hidden layers."""
    fact = case.chip.memory.hidden_layers
    hidden = len({each.layer for each in case.rule.synapses if not each.readout and not each.recurrent})
    if fact.value is not None and hidden > fact.value:
        text = f"the network has {hidden} hidden layers, the chip {fact.text}"
        yield Reason("topology", UNSUPPORTED, text, f"a network of {fact.text} hidden layers at most")


def hops(case: Case) -> Iterator[Reason]:
    """A spike passes one layer in a time step of the chip, so that a time step of the network takes several of them."""
    fact = case.chip.engine.epoch
    needed = chip_steps(case.rule)
    if case.chip.engine.grammar.value == SUM_OF_PRODUCTS and fact.value is not None and needed > fact.value:
        text = f"a time step of the network takes {needed} of the chip, but an epoch has {fact.value} at most"
        yield Reason("epoch", UNSUPPORTED, text, "a network of fewer layers")


CLAUSES: tuple[Callable[[Case], Iterator[Reason]], ...] = (
    form_of_updates,
    fixed_rule,
    learning_layers,
    depth,
    through_time,
    spike_times,
    presynaptic_trace,
    state_per_synapse,
    sharing,
    transport,
    learned_feedback,
    weight_decay,
    batch_statistics,
    noise,
    real_errors,
    real_input,
    slope,
    optimizer,
    unsigned_weights,
    batches,
    hops,
)


def chip_steps(rule: RuleDescription) -> int:
    """Time steps of a chip for one of the network: a hop from layer to layer, and as many as errors take back."""
    layers = len({each.layer for each in rule.synapses if not each.recurrent})
    hidden = [each for each in rule.synapses if not each.readout]
    by_layer = any(path.origin == "layer above" for each in hidden for path in each.paths)
    return layers + ((layers - 1 if by_layer else 1) if hidden else 0)


def through(path: ErrorPath) -> str:
    """What an error passes, in words."""
    return "directly" if path.through == "nothing" else f"through {path.through}"


def _article(origin: str) -> str:
    return f"{'an' if origin[0] in 'aeiou' else 'the'} {origin}"
