"""Checks of whole runs on two processes, for ranks_worker.py: records, checkpoints, and what they refuse."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from onchip import nn, rules
from onchip.data import Dataset
from onchip.errors import OnchipError
from onchip.learning.observers import UpdateSink
from onchip.learning.ranks import ALONE, Ranks
from onchip.runs.config import RunConfig
from onchip.runs.record import Record
from onchip.runs.sweep_config import SweepConfig
from onchip.training.builder import load_data
from onchip.training.comparison import compare
from onchip.training.fit import fit
from onchip.training.loop import train
from onchip.training.sweep import compare as sweep
from tests.training.stopping import StopAfter

SMALL = RunConfig(rule="dfa", net="mlp", train_size=41, steps=2, epochs=2, batch_size=20, validation=0.02, clip=1.0)
"""The last batch of an epoch has one sample, so that the second process has none."""


def close(one: Record, two: Record) -> list[str]:
    """Where the records of one process and of two differ."""
    found = []
    for epoch, other in zip(one.history, two.history, strict=True):
        if abs(epoch.train_loss - other.train_loss) > 1e-4 * epoch.train_loss:
            found.append(f"loss {epoch.train_loss} and {other.train_loss}")
        if epoch.validation_accuracy != other.validation_accuracy:
            found.append(f"validation {epoch.validation_accuracy} and {other.validation_accuracy}")
    if one.test_accuracy != two.test_accuracy:
        found.append(f"test {one.test_accuracy} and {two.test_accuracy}")
    for look, other_look in zip(one.probes, two.probes, strict=True):
        for layer, values in look.layers.items():
            for name, value in values.items():
                got = other_look.layers[layer][name]
                if (value is None) != (got is None) or (value and got and abs(value - got) > 1e-3 * abs(value) + 1e-4):
                    found.append(f"probe {layer} {name} {value} and {got}")
    for name, count in one.ledger.items():
        if abs(count - two.ledger[name]) > 0.01 * count and name != "stored_activity_peak":  # a chunk in each process
            found.append(f"bill {name} {count} and {two.ledger[name]}")
    return found


def same_record(ranks: Ranks, data: Dataset, folder: Path) -> list[str]:
    config = dataclasses.replace(SMALL, probe=2, select="best", chunk=3)
    two = train(config, data, ranks=ranks)
    found = close(train(config, data), two) if ranks.first else []
    return found + ([] if two.provenance[0].processes == 2 else ["the record does not say that there were two"])


def resumed_exactly(ranks: Ranks, data: Dataset, folder: Path) -> list[str]:
    """A run with noise and augmentation, interrupted and resumed, beside one that is not; and by one process."""
    config = dataclasses.replace(SMALL, rule="opzo", encoder="poisson", augment="crop:1")
    saved = folder / "checkpoint"
    whole = train(config, data, weights=folder / "whole", ranks=ranks)
    with contextlib.suppress(KeyboardInterrupt):
        train(config, data, save_to=saved, watch=StopAfter(1), ranks=ranks)
    alone = ranks.at_first(lambda: train(config, data, save_to=copied(saved), resume=True).status)
    parts = train(config, data, save_to=saved, resume=True, weights=folder / "parts", ranks=ranks)
    if not ranks.first:
        return []
    found = [] if alone == "ok" else ["one process cannot go on"]
    one, other = load_file(folder / "whole"), load_file(folder / "parts")
    found += [name for name in one if not torch.equal(one[name], other[name])]
    return found + [name for name in whole.ledger if whole.ledger[name] != parts.ledger[name]]


def copied(path: Path) -> Path:
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    return copy


def resumed_by_another_number(ranks: Ranks, data: Dataset, folder: Path) -> list[str]:
    """Without noise, one epoch on one process and one on two give what two epochs on one process do, and vice versa."""
    found = []
    whole = train(SMALL, data) if ranks.first else None
    for number, (before, after) in enumerate([(ALONE, ranks), (ranks, ALONE)]):
        saved = folder / f"moved-{number}"
        if before is ranks or ranks.first:
            with contextlib.suppress(KeyboardInterrupt):
                train(SMALL, data, save_to=saved, watch=StopAfter(1), ranks=before)
        ranks.gather(None)
        if after is ranks or ranks.first:
            record = train(SMALL, data, save_to=saved, resume=True, ranks=after)
            found += close(whole, record) if whole is not None else []
    return found


def noise_differs(ranks: Ranks, data: Dataset, folder: Path) -> list[str]:
    torch.manual_seed(3)
    ranks.streams.seed(5, ranks.rank)
    with ranks.apart():
        own = torch.rand(3).tolist()
        with ranks.alike():
            shared = torch.rand(3).tolist()
    outside = torch.rand(3).tolist()
    found = [] if len({str(drawn) for drawn in ranks.gather(own)}) == 2 else ["equal noise"]
    return found + ([] if len({str(drawn) for drawn in ranks.gather((shared, outside))}) == 1 else ["other draws"])


def refused(ranks: Ranks, said: str, call: Callable[[], Any]) -> list[str]:
    """Nothing if all processes raise the same error with these words."""
    try:
        call()
        message = "nothing"
    except OnchipError as error:
        message = str(error)
    heard = ranks.gather(message)
    return [] if len(set(heard)) == 1 and said in heard[0] else heard


def refuses_other_settings(ranks: Ranks, data: Dataset, folder: Path) -> list[str]:
    config = dataclasses.replace(SMALL, lr=0.01 + 0.01 * ranks.rank)
    request = SweepConfig(config, ("dfa",), (0,))
    said = "the setting lr of process 1 is 0.02, of process 0 0.01; expected"
    return refused(ranks, said, lambda: sweep(request, data, folder / "settings", ranks=ranks))


def refuses_other_data(ranks: Ranks, data: Dataset, folder: Path) -> list[str]:
    stored = data.train.samples.clone()
    stored[-1, 0, 0, 0] += ranks.rank
    changed = dataclasses.replace(data, train=dataclasses.replace(data.train, stored=stored))
    request = SweepConfig(SMALL, ("dfa",), (0,))
    said = "the digest of the train samples of process 1 is"
    return refused(ranks, said, lambda: sweep(request, changed, folder / "data", ranks=ranks))


def refuses_few_samples(ranks: Ranks, data: Dataset, folder: Path) -> list[str]:
    one = dataclasses.replace(data, train=data.train.take(torch.tensor([0])))
    said = "2 processes share 1 training samples; expected at least one for each"
    return refused(ranks, said, lambda: train(SMALL, one, ranks=ranks))


def refuses_jobs(ranks: Ranks, data: Dataset, folder: Path) -> list[str]:
    request = SweepConfig(SMALL, ("dfa",), (0,))
    return refused(ranks, "Use --jobs 1", lambda: sweep(request, data, folder / "jobs", jobs=2, ranks=ranks))


def refuses_other_weights(ranks: Ranks, data: Dataset, folder: Path) -> list[str]:
    model = nn.Sequential(nn.Linear(4, 5), nn.LIF(), nn.Linear(5, 2))
    rule = rules.dfa(model).divide(ranks)
    rule.require_equal()
    with torch.no_grad():
        next(reversed(list(model.parameters())))[0] += 1e-6 * ranks.rank
    return refused(ranks, "the values of '2.bias' of process 1 differ from those of process 0", rule.require_equal)


def refuses_sinks_of_one_process(ranks: Ranks, data: Dataset, folder: Path) -> list[str]:
    class Sink(UpdateSink):
        counts = False

        def take(self, *_: Any) -> None: ...

    rule = rules.dfa(nn.Sequential(nn.Linear(4, 5), nn.LIF(), nn.Linear(5, 2))).divide(ranks)
    return refused(ranks, "Sink takes the updates of one process, and 2 share each batch", lambda: rule.deliver(Sink()))


def one_raises_for_all(ranks: Ranks, data: Dataset, folder: Path) -> list[str]:
    def fails() -> None:
        with ranks.together():
            if not ranks.first:
                raise OnchipError("of the second process")

    return refused(ranks, "of the second process", fails)


def diverges_together(ranks: Ranks, data: Dataset, folder: Path) -> list[str]:
    config = dataclasses.replace(SMALL, rule="bp", lr=1e6, optimizer="sgd", clip=None)
    return refused(ranks, "diverged in epoch 2, step 2", lambda: train(config, data, ranks=ranks))


def trains_from_python(ranks: Ranks, data: Dataset, folder: Path) -> list[str]:
    """`fit` and `compare`: the same weights and records everywhere."""
    inputs, labels = torch.rand(40, 6, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.LIF(), nn.Linear(8, 2))
    pair = inputs, labels
    said = "is one of 2 that were started to train together; pass ranks="
    found = refused(ranks, said, lambda: fit(model, "dfa", train=pair, test=pair, epochs=1))
    fit(model, "dfa", train=pair, test=pair, epochs=1, steps=2, ranks=ranks, out=folder / "fit")
    weights = ranks.gather([value.tolist() for value in model.parameters()])
    found += [] if weights[0] == weights[1] else ["fit leaves other weights in the second process"]
    options: dict[str, Any] = {"net": "mlp", "data": (pair, pair), "epochs": 1, "steps": 2, "seeds": 1}
    records = compare(["bp", "opzo"], ranks=ranks, **options)
    results = ranks.gather(json.dumps([(record.label, record.test_accuracy, record.ledger) for record in records]))
    return found + ([] if results[0] == results[1] and len(records) == 2 else results)


def runs_the_example(ranks: Ranks, data: Dataset, folder: Path) -> list[str]:
    """The loop in docs/torchrun.md."""
    page = (Path(__file__).parents[2] / "docs" / "torchrun.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    weights = ranks.gather(names["model"][1].weight.tolist())
    lines = len(code.strip().splitlines())
    return [f"{lines} lines"] * (lines > 25) + ["other weights"] * (weights[0] != weights[1])


CHECKS = (
    runs_the_example,
    same_record,
    resumed_exactly,
    resumed_by_another_number,
    noise_differs,
    refuses_other_settings,
    refuses_other_data,
    refuses_few_samples,
    refuses_jobs,
    refuses_other_weights,
    refuses_sinks_of_one_process,
    one_raises_for_all,
    diverges_together,
    trains_from_python,
)


def data() -> Dataset:
    return load_data(SMALL)
