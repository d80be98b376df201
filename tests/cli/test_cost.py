"""`onchip cost`: what it prints, what it leaves out, and what it refuses."""

from __future__ import annotations

import json
import time

import pytest

from onchip.cli.shared.pricelist import header
from onchip.cost.energy import NO_WORK, WORK, known_tables, table
from onchip.rules import __all__ as every_rule
from tests.cli.conftest import Onchip


def row(out: str, rule: str, hardware: str = "horowitz-45nm") -> dict[str, str]:
    """A row of the table, by the heads of the columns."""
    line = next(line for line in out.splitlines() if line.startswith(f"| {rule} "))
    return dict(zip(header(table(hardware)), (cell.strip() for cell in line.strip("|").split("|")), strict=True))


def test_all_rules_that_can_train_are_priced_and_the_others_named(onchip: Onchip) -> None:
    result = onchip("cost")
    assert result.code == 0, result.err
    for name in every_rule:
        label = name.replace("_", "-")
        assert (f"| {label} " in result.out) != (f"left out: {name} cannot train LIF" in result.err)
    assert "horowitz-45nm" in result.out, "the table's name beside the joules"


def test_frozen_backpropagation_shows_its_thousandth_and_what_it_hides(onchip: Onchip) -> None:
    result = onchip("cost", "bp", "fbp:period=100;transport=top:0.1", "--net", "mlp", "--neuron", "ttfs")
    bp, fbp = row(result.out, "bp"), row(result.out, "fbp:period=100;transport=top:0.1")
    assert (bp["weights transported / step"], fbp["weights transported / step"]) == ("68.1k", "68.1")
    assert (bp["fewer than bp"], fbp["fewer than bp"]) == ("1x", "1,000x")
    assert (fbp["bits / step"], fbp["of these index"], fbp["compares / step"]) == ("2.86k", "681", "681")
    assert bp["feedback memory"] == "0"


def test_json_holds_every_count(onchip: Onchip) -> None:
    result = onchip("cost", "bp", "dfa", "--json", "--batch-size", "7", "--hardware", "loihi", "--steps", "3")
    found = [json.loads(line) for line in result.out.splitlines()]
    assert [price["rule"] for price in found] == ["bp", "dfa"]
    assert found[0]["energy"]["table"] == "loihi"
    assert found[0]["energy"]["scope"] == "synapses and neurons with their spikes"
    assert found[0]["energy"]["unpriced"] == ["stored_activity", "writes_feedback", "transport_value_bits"]
    assert found[1]["energy"]["unpriced"] == ["stored_activity"]
    assert found[0]["times_fewer_weights_than_bp"] == 1.0
    assert found[1]["times_fewer_weights_than_bp"] is None
    assert found[0]["step"]["phases_per_step"] == 5.0
    assert found[0]["step"]["products_update"] == found[0]["step"]["products_forward"]


@pytest.mark.parametrize("name", known_tables())
def test_all_work_of_a_bill_is_in_the_energy_or_named_as_unpriced(onchip: Onchip, name: str) -> None:
    words = ("cost", "fbp:transport=top:0.1", "opzo", "--net", "mlp", "--steps", "2", "--hardware", name)
    for line in onchip(*words, "--json").out.splitlines():
        price = json.loads(line)
        energy, step = price["energy"], price["step"]
        done = {count for count, number in step.items() if number and count not in NO_WORK}
        assert done <= WORK.keys()
        assert done == {count for count in energy["priced"] if step[count]} | set(energy["unpriced"])
        assert not set(energy["priced"]) & set(energy["unpriced"])
        assert energy["total_pj"] == pytest.approx(
            table(name).energy({**step, **dict.fromkeys(energy["unpriced"], 0)}).total_pj
        )


def test_the_energy_of_a_chip_with_one_price_is_that_of_its_synaptic_operations(onchip: Onchip) -> None:
    words = ("cost", "bp", "dfa", "--net", "mlp", "--hardware", "seneca")
    result, prices = onchip(*words), [json.loads(line) for line in onchip(*words, "--json").out.splitlines()]
    for price in prices:
        step = price["step"]
        assert price["energy"]["total_pj"] == pytest.approx(
            2.8 * (step["operations_forward"] + step["operations_error"])
        )
        shown = row(result.out, price["rule"], "seneca")["energy of synaptic operations only (seneca)"]
        assert shown == f"{price['energy']['total_pj'] / 32 / 1000:.3g} nJ"
        assert not any(name.startswith("energy") for name in step)
    assert "operations alone" not in result.out, "there is no memory traffic to leave out"
    assert (
        "- Unpriced by seneca, and in no sum: operations of updates, updates of neurons, sending of spikes, storage of "
        "activity, writes of weights (all rules); writes of feedback weights, transport of weights (bp).\n"
    ) in result.out


def test_options_change_what_they_should(onchip: Onchip) -> None:
    def step(*options: str) -> dict[str, float]:
        return json.loads(onchip("cost", "bp", "--net", "mlp", "--json", *options).out)["step"]

    usual = step()
    assert step("--batch-size", "64")["products_forward"] == 2 * usual["products_forward"]
    assert step("--steps", "8")["products_error"] == 2 * usual["products_error"]
    assert step("--bits", "8")["transport_value_bits"] == usual["transport_value_bits"] / 4
    assert step("--data", "1x16x16")["writes_weights"] > usual["writes_weights"]
    assert step("--classes", "20")["weights_transported"] == usual["weights_transported"] + 10 * 256


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--hardware", "abacus"], "unknown hardware table 'abacus'"),
        (["--hardware", "loihi2"], "no energy of a synaptic operation is published"),
        (["--bits", "5"], "no prices of 5-bit arithmetic; expected 8, 16, 32"),
        (["nonsense"], "unknown rule 'nonsense'"),
        (["dkp", "--neuron", "ttfs"], "dkp cannot train TTFS"),
        (["--net", "vgg7"], "need at least 8x8"),
        (["--data", "3x0x8"], "data got '3x0x8'; expected CxHxW"),
        (["--data", "nowhere"], "unknown data set or size CxHxW: 'nowhere'"),
        (["--steps", "0"], "steps got 0; expected 1 to 2,147,483,647"),
        (["--train-steps", "0"], "train-steps got 0"),
        (["--classes", "1"], "classes got 1; expected 2 to 100,000"),
        (["fbp:transport=threshold:0.1"], "which only training shows"),
    ],
)
def test_wrong_requests_are_refused_in_one_line(onchip: Onchip, words: list[str], message: str) -> None:
    if "vgg7" in words:
        words = [*words, "--data", "1x4x4"]
    result = onchip("cost", *words)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("neuron", ["lif", "ttfs"])
def test_vgg11_is_priced_in_seconds(onchip: Onchip, neuron: str) -> None:
    """All 25 rules together, in less than 30 times what `bp` alone takes."""
    words = "--net", "vgg11", "--neuron", neuron, "--data", "3x32x32", "--batch-size", "1"
    seconds = []
    for rules_of in (("bp",), ("bp",), ()):  # the first one imports what all need
        begin = time.process_time()
        assert onchip("cost", *rules_of, *words).code == 0
        seconds.append(time.process_time() - begin)
    assert seconds[2] < 30 * seconds[1]


def test_the_memory_of_a_step_is_printed_by_part(onchip: Onchip) -> None:
    asked = ("cost", "--memory", "bp", "dfa", "--net", "F32", "--steps", "3", "--batch-size", "50")
    found = [json.loads(line) for line in onchip(*asked, "--json", "--memory-limit", "1MiB").out.splitlines()]
    assert [need["rule"] for need in found] == ["bp", "dfa"]
    for need in found:
        parts = ("weights", "optimizer", "feedback", "batch", "gradients", "activity", "working")
        assert need["peak"] == pytest.approx(sum(need[part] for part in parts), abs=7)
        assert need["weights"] == 4 * (64 * 32 + 32 + 32 * 10 + 10)
        assert need["limit"] == 2**20
        assert need["largest_batch"] > 50
    assert found[1]["feedback"] - found[0]["feedback"] == 4 * 32 * 10
    table = onchip(*asked).out
    assert "| rule |" in table
    assert "| dfa " in table


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--memory-limit", "8GiB"), "memory-limit got 8GiB; expected --memory beside it"),
        (("--chunk", "8"), "chunk got 8; expected --memory beside it"),
        (("--memory", "--memory-limit", "-3"), "memory-limit got '-3'; expected a size above 0 such as 8GiB"),
        (("--memory", "--memory-limit", "1e400"), "memory-limit got '1e400'; expected a size above 0"),
        (("--memory", "--chunk", "0"), "chunk got 0; expected at least 1 sample"),
        (("--memory", "--optimizer", "adm"), "'adm'"),
    ],
)
def test_wrong_requests_for_memory_are_refused(onchip: Onchip, words: tuple[str, ...], message: str) -> None:
    result = onchip("cost", "bp", "--net", "F8", *words)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.splitlines()) == 1
