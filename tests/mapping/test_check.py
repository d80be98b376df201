"""Verdicts: what forbids a rule on a chip, and that nothing but descriptions and facts decides it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch

from onchip import nn, rules
from onchip.chips import Chip, Fact, chip
from onchip.chips.profile import ORIGINS, THROUGH
from onchip.cost.energy.work import WORK
from onchip.learning import description
from onchip.learning.description import FeedbackLearning, RuleDescription
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.mapping import Setting, Verdict, check, inputs_of, judge
from onchip.mapping.clauses import CLAUSES, chip_steps

LOIHI = chip("loihi")


def mlp(**neuron: Any) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), nn.LIF(**neuron), nn.Linear(8, 7), nn.LIF(**neuron), nn.Linear(7, 3))


def convolutional() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.LIF(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3))


def described(name: str, model: nn.Sequential | None = None, **options: Any) -> RuleDescription:
    rule: Rule = getattr(rules, name)(mlp() if model is None else model, **options)
    return rule.describe()


def clauses(verdict: Verdict) -> dict[str, tuple[str, ...]]:
    return {reason.clause: reason.layers for reason in verdict.reasons}


def fact(value: Any) -> Fact[Any]:
    return Fact(value, str(value), "a test")


def changed(engine: Chip, section: str, **facts: Any) -> Chip:
    new: Any = {name: fact(value) for name, value in facts.items()}
    sections: Any = {section: replace(getattr(engine, section), **new)}
    return replace(engine, **sections)


FAITHFUL: list[tuple[str, dict[str, Any]]] = [
    ("dfa", {}),
    ("drtp", {}),
    ("etlp", {}),
    ("eprop", {}),
    ("osttp", {}),
    ("decolle", {}),
    ("s_tllr", {"feedback": "dfa"}),
    ("fa", {"temporal": Online()}),
    ("never", {"temporal": Online()}),
]

FORBIDDEN: list[tuple[str, dict[str, Any], set[str]]] = [
    ("bp", {}, {"through time", "weight transport"}),
    ("ottt", {}, {"weight transport"}),
    ("sltt", {}, {"weight transport"}),
    ("ostl", {}, {"weight transport"}),
    ("s_tllr", {}, {"weight transport"}),
    ("fbp", {}, {"through time", "weight transport"}),
    ("fbp", {"temporal": Online()}, {"weight transport"}),
    ("usf", {}, {"through time", "weight transport"}),
    ("brsf", {}, {"through time", "weight transport"}),
    ("frsf", {}, {"through time", "weight transport"}),
    ("fa", {}, {"through time"}),
    ("never", {}, {"through time"}),
    ("noisy_bp", {}, {"weight transport", "noise"}),
    ("opzo", {}, {"learned feedback", "batch statistics", "noise"}),
    ("zeroth_order", {}, {"noise"}),
    ("kolen_pollack", {"temporal": Online()}, {"learned feedback"}),
    ("dkp", {}, {"learned feedback"}),
    ("local_learning", {}, {"learned feedback"}),
    ("weight_mirror", {}, {"through time", "learned feedback"}),
]


@pytest.mark.parametrize(("name", "options"), FAITHFUL)
def test_rules_that_loihi_can_run(name: str, options: dict[str, Any]) -> None:
    verdict = judge(described(name, **options), LOIHI)
    assert (verdict.word, verdict.reasons) == ("faithful", ())
    assert [each.layer for each in verdict.derivations] == ["0", "2", "4"]
    assert {each.timing for each in verdict.derivations} == {"closing time step"}
    assert not verdict.changes


@pytest.mark.parametrize(("name", "options", "expected"), FORBIDDEN)
def test_rules_that_loihi_cannot_run(name: str, options: dict[str, Any], expected: set[str]) -> None:
    verdict = judge(described(name, **options), LOIHI)
    assert verdict.word == "unsupported"
    assert set(clauses(verdict)) == expected
    assert not verdict.derivations
    assert verdict.energy is None
    assert all(reason.change for reason in verdict.reasons)
    for reason in verdict.reasons:
        assert {*reason.layers} <= {"0", "2"}, "the read-out is faithful under every rule"


@pytest.mark.parametrize("name", ["dfa", "ottt", "opzo"])
def test_no_rule_is_judged_by_its_name(name: str) -> None:
    rule = described(name)
    renamed = judge(replace(rule, rule="another"), LOIHI)
    assert replace(renamed, rule=name) == judge(rule, LOIHI)


def test_each_fact_lifts_its_own_clause() -> None:
    ottt, opzo = described("ottt"), described("opzo")
    assert judge(ottt, changed(LOIHI, "synapses", transposed=True)).word == "faithful"
    assert judge(ottt, changed(LOIHI, "synapses", copied=True)).word == "faithful"
    signed = changed(LOIHI, "traces", signed=True)
    assert set(clauses(judge(opzo, signed))) == {"batch statistics", "noise"}
    many = changed(signed, "engine", batch=True)
    assert set(clauses(judge(opzo, many))) == {"noise"}
    assert judge(opzo, changed(many, "neurons", noise=True)).word == "faithful"


def test_facts_that_are_unknown_forbid_and_say_so() -> None:
    verdict = judge(described("zeroth_order"), LOIHI)
    (reason,) = verdict.reasons
    assert "no source says that the chip can do it" in reason.text


def test_each_clause_forbids_something() -> None:
    dfa, decolle = described("dfa"), described("decolle")
    assert clauses(judge(dfa, changed(LOIHI, "neurons", graded_bits=0))) == {"real-valued errors": ("0", "2")}
    assert judge(described("drtp"), changed(LOIHI, "neurons", graded_bits=0)).word == "faithful", "targets are spikes"
    assert clauses(judge(dfa, changed(LOIHI, "neurons", programmable=False))) == {"surrogate derivative": ("0", "2")}
    assert clauses(judge(dfa, changed(LOIHI, "engine", layers="last"))) == {"last layer": ("0", "2")}
    assert clauses(judge(dfa, changed(LOIHI, "memory", hidden_layers=1))) == {"topology": ()}
    assert clauses(judge(dfa, changed(LOIHI, "engine", epoch=3))) == {"epoch": ()}
    assert clauses(judge(dfa, changed(LOIHI, "traces", pre=0))) == {"presynaptic trace": ("0", "2", "4")}
    assert clauses(judge(dfa, changed(LOIHI, "traces", post=1))) == {"form of the update": ("0", "2", "4")}
    assert clauses(judge(dfa, chip("akida"))).keys() >= {"fixed rule", "last layer"}
    one_core = changed(changed(LOIHI, "memory", cores=1, neurons_per_core=9), "memory", several_chips=False)
    assert clauses(judge(decolle, one_core)) == {"memory": ()}
    assert clauses(judge(dfa, changed(LOIHI, "synapses", signed=False))) == {"unsigned weights": ("0", "2", "4")}
    blank = replace(LOIHI, engine=replace(LOIHI.engine, grammar=Fact()))
    assert clauses(judge(dfa, blank)) == {"form of updates": ("0", "2", "4")}
    decaying = described("dkp")
    assert set(clauses(judge(decaying, chip("crossbar")))) == {"weight decay"}
    setting = Setting(optimizer="adam", batch_size=4)
    assert clauses(judge(dfa, LOIHI, setting=setting)).keys() == {"optimizer", "batches"}
    assert judge(dfa, LOIHI, setting=Setting(momentum=0.9)).word == "unsupported"
    assert judge(dfa, LOIHI, setting=Setting(batch_size=4)).word == "approximate"
    assert len({clause.__name__ for clause in CLAUSES}) == len(CLAUSES)


def test_convolutions_are_shared_over_space() -> None:
    rule = described("dfa", convolutional())
    assert clauses(judge(rule, LOIHI)) == {"sharing over space": ("0",)}
    assert judge(rule, changed(LOIHI, "synapses", convolution=True)).word == "faithful"


def test_spike_times_and_states_per_synapse_are_no_products() -> None:
    layers = [nn.Linear(6, 8, bias=False), nn.TTFS(), nn.Linear(8, 3, bias=False), nn.TTFSReadout()]
    times = nn.Sequential(*layers)
    assert set(clauses(judge(described("bp", times), LOIHI))) == {"spike times", "weight transport"}
    assert "spike times" in clauses(judge(described("dfa", nn.Sequential(*layers)), LOIHI))
    adaptive = nn.Sequential(nn.Linear(6, 8), nn.ALIF(), nn.Linear(8, 3))
    assert clauses(judge(described("eprop", adaptive), LOIHI)) == {"state per synapse": ("0",)}
    equal = nn.Sequential(nn.Linear(6, 8), nn.CubaLIF(decay=0.5, current_decay=0.5), nn.Linear(8, 3))
    (reason,) = judge(described("dfa", equal), LOIHI).reasons
    assert reason.clause == "form of the update"
    assert "different decays" in reason.text
    unequal = nn.Sequential(nn.Linear(6, 8), nn.CubaLIF(decay=0.5, current_decay=0.75), nn.Linear(8, 3))
    assert judge(described("dfa", unequal), LOIHI).word == "faithful"


def test_a_leaky_read_out_leaves_no_tag_to_collect_the_sum() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.LIF(), nn.Linear(8, 3), nn.LI(decay=0.75))
    rule = described("eprop", model)
    verdict = judge(rule, LOIHI, setting=Setting(lr=2.0**-7))
    assert (verdict.word, clauses(verdict)) == ("approximate", {"updates within the sequence": ("0",)})
    assert judge(rule, LOIHI, setting=Setting(update="step")).word == "faithful"
    uneven = nn.Sequential(nn.Linear(6, 8), nn.LIF(), nn.Linear(8, 3), nn.LI(decay=0.9))
    assert set(clauses(judge(described("eprop", uneven), LOIHI))) >= {"engine's grammar"}


def test_recurrent_connections_learn_as_others_do() -> None:
    recurrent = nn.Sequential(nn.Linear(6, 8), nn.Recurrent(nn.Linear(8, 8, bias=False), nn.LIF()), nn.Linear(8, 3))
    verdict = judge(described("eprop", recurrent), LOIHI)
    assert verdict.word == "faithful"
    assert len(verdict.derivations) == 3


def test_real_input_takes_the_one_trace_that_numbers_reach() -> None:
    model = mlp()
    rule = rules.dfa(model)
    inputs = inputs_of(model, rule, nn.Static(torch.rand(2, 6), steps=3))
    assert inputs.received["0"] == "numbers"
    assert inputs.received["2"] == inputs.received["4"] == "spikes"
    assert inputs.neurons == {"0": 8, "2": 7, "4": 3}
    verdict = check(rule, LOIHI, inputs=inputs)
    assert verdict.word == "faithful"
    assert any("real-valued" in note for note in verdict.notes)
    assert clauses(judge(described("s_tllr", feedback="dfa"), LOIHI, inputs=inputs)) == {"real-valued input": ("0",)}
    none = changed(LOIHI, "traces", real_input=0)
    assert clauses(check(rule, none, inputs=inputs)) == {"real-valued input": ("0",)}
    signed = inputs_of(model, rule, nn.Static(torch.randn(2, 6), steps=3))
    assert clauses(check(rule, LOIHI, inputs=signed)) == {"signed input": ("0",)}
    spikes = inputs_of(model, rule, (torch.rand(3, 2, 6) < 0.5).float())
    assert set(spikes.received.values()) == {"spikes"}


def test_pooled_maps_are_numbers() -> None:
    model = convolutional()
    with torch.no_grad():
        next(model.parameters()).fill_(0.3)
    seen = inputs_of(model, rules.dfa(model), nn.Static(torch.rand(2, 1, 8, 8), steps=4))
    assert seen.received["4"] == "numbers"
    assert seen.neurons["0"] == 4 * 6 * 6


def test_looking_at_inputs_leaves_the_network_as_it_was() -> None:
    model = mlp().train()
    rule = rules.dfa(model)
    before = [parameter.clone() for parameter in model.parameters()]
    inputs_of(model, rule, nn.Static(torch.rand(2, 6), steps=3))
    assert model.training
    assert all(map(torch.equal, before, model.parameters()))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_crossbar_reads_backwards_and_a_fixed_engine_takes_its_own_error() -> None:
    crossbar, reckon = chip("crossbar"), chip("reckon")
    for name in ("bp", "ottt", "dfa"):
        verdict = judge(described(name), crossbar)
        assert (verdict.word, verdict.traffic.weights) == ("faithful", 0.0)
    assert judge(described("usf"), crossbar).word == "unsupported"
    one = nn.Sequential(nn.Linear(6, 8), nn.LIF(), nn.Linear(8, 3))
    symmetric = described("eprop", one, feedback="symmetric")
    assert set(clauses(judge(symmetric, reckon))) == {"updates within the sequence"}
    assert judge(symmetric, reckon, setting=Setting(update="step")).word == "faithful"


def test_programs_run_everything() -> None:
    for name in ("spinnaker2", "digital"):
        for each in ("bp", "fbp", "opzo", "kolen_pollack", "weight_mirror", "local_learning"):
            assert judge(described(each), chip(name)).word == "faithful", (name, each)


def test_memory_and_traffic_by_hand() -> None:
    setting = Setting(steps=5)
    forward = 6 * 8 + 8 * 7 + 7 * 3
    dfa = judge(described("dfa"), LOIHI, setting=setting)
    assert dfa.memory.synapses == forward + 3 * 8 + 3 * 7
    assert (dfa.memory.synapse_bits, dfa.memory.neuron_bits) == (9 + 9, 4 * 7)
    assert dfa.memory.total_bits == forward * 18 + (3 * 8 + 3 * 7) * 9 + (8 + 7 + 3) * 28
    assert (dfa.memory.cores, dfa.memory.sequence) == (1, 0)
    assert (dfa.traffic.errors, dfa.traffic.targets) == (5 * 3 * 2, 0)
    drtp = judge(described("drtp"), LOIHI, setting=setting)
    assert (drtp.traffic.errors, drtp.traffic.targets) == (0, 5 * 2)
    fa = judge(described("fa", temporal=Online()), LOIHI, setting=setting)
    assert fa.memory.synapses == forward + 8 * 7 + 7 * 3
    assert fa.memory.neurons == 2 * (8 + 7 + 3)
    assert fa.traffic.errors == 5 * (7 + 3)
    decolle = judge(described("decolle"), LOIHI, setting=setting)
    assert decolle.memory.synapses == forward + 2 * (3 * 8 + 3 * 7)
    bp = judge(described("bp"), chip("spinnaker2"), setting=setting)
    assert bp.memory.sequence == 5 * (8 + 7 + 3)
    assert bp.memory.synapses == forward


def test_cores_are_counted_by_memory_and_by_neurons() -> None:
    rule = described("dfa")
    by_neurons = judge(rule, changed(LOIHI, "memory", neurons_per_core=5))
    assert by_neurons.memory.cores == 4
    by_memory = judge(rule, changed(LOIHI, "memory", synapses_per_core=1000))
    assert by_memory.memory.cores == -(-(by_memory.memory.total_bits or 0) // 1000)
    assert judge(rule, chip("digital")).memory.cores is None


BILL = dict.fromkeys([*WORK, "weights_transported"], 0.0)


def test_energy_is_a_sum_only_if_everything_has_a_price() -> None:
    bill = BILL | {"acs_forward": 10, "macs_error": 5, "acs_update": 2, "neuron_updates": 8, "spikes": 3}
    bill |= {"stored_activity": 7, "writes_weights": 4, "state_updates": 8}
    energy = judge(described("dfa"), LOIHI, bill=bill).energy
    assert energy is not None
    assert energy.parts_pj == pytest.approx(
        {"synapse": 15 * 23.6, "update": 240.0, "neuron_active": 3 * 81.0, "neuron_idle": 5 * 52.0, "spike": 3 * 1.7}
    )
    assert energy.total_pj == pytest.approx(15 * 23.6 + 240 + 243 + 260 + 5.1)
    drawn = judge(described("dfa"), LOIHI, bill=bill | {"random_draws": 6}).energy
    assert drawn is not None
    assert drawn.unpriced == {"random_draws": 6.0}
    assert drawn.total_pj is None
    some = judge(described("dfa"), chip("spinnaker2"), bill=bill).energy
    assert some is not None
    assert some.parts_pj == {"synapse": 150.0}
    assert set(some.unpriced) == {
        "acs_update",
        "neuron_updates",
        "spikes",
        "stored_activity",
        "writes_weights",
        "state_updates",
    }
    assert some.total_pj is None


def test_weights_that_are_copied_are_traffic_where_they_cannot_be_read_backwards() -> None:
    bill = BILL | {"weights_transported": 77, "transport_value_bits": 99, "writes_feedback": 77}
    assert judge(described("ottt"), LOIHI, bill=bill).traffic.weights == 77.0
    read = judge(described("ottt"), changed(LOIHI, "synapses", transposed=True), bill=bill)
    assert read.traffic.weights == 0.0
    assert read.energy is not None
    assert not read.energy.unpriced
    copied = judge(described("fbp"), chip("digital"), bill=bill)
    assert copied.traffic.weights == 77.0
    assert copied.energy is not None
    assert set(copied.energy.unpriced) == {"transport_value_bits", "writes_feedback"}


def test_time_steps_of_the_chip() -> None:
    assert chip_steps(described("dfa")) == 3 + 1
    assert chip_steps(described("fa")) == 3 + 2
    assert chip_steps(described("bp", nn.Sequential(nn.Linear(6, 3)))) == 1


def test_learned_feedback_of_any_kind_needs_a_signed_trace() -> None:
    rule = described("dfa")
    learning = (FeedbackLearning("response to spikes"),)
    synapses = tuple(
        replace(each, paths=tuple(replace(path, learning=learning) for path in each.paths))
        for each in rule.synapses[:2]
    )
    assert set(clauses(judge(replace(rule, synapses=(*synapses, rule.synapses[2])), LOIHI))) == {"learned feedback"}


def test_words_of_profiles_are_those_of_descriptions() -> None:
    assert set(ORIGINS) == set(get_args(description.Origin))
    assert set(THROUGH) == set(get_args(description.Through))


def test_a_verdict_becomes_plain_values() -> None:
    plain = judge(described("dfa"), LOIHI, bill=BILL).to_dict()
    assert plain["word"] == "faithful"
    assert plain["derivations"][0]["program"][-1] == "dw = u0 * y3 * t"
    assert plain["derivations"][0]["written"]["y1"] == "max(ψ·e, 0)"
    assert plain["energy"]["total_pj"] == 0.0
    assert judge(described("bp"), LOIHI).to_dict()["changes"]
