"""`onchip.fit`: one model, one rule and a program's own data."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from onchip import report
from onchip.data.loading import divided
from onchip.errors import OnchipError, RequestError
from onchip.learning.ranks import Ranks, only_given
from onchip.learning.rule import Rule
from onchip.runs.config import from_mapping
from onchip.runs.directory import RunDirectory
from onchip.runs.record import Epoch, Record
from onchip.runs.sweep_config import SweepConfig
from onchip.training import sweep
from onchip.training.objects import network_given, rule_given, splits_given
from onchip.training.progress import ProgressListener
from onchip.training.randomness import own_randomness
from onchip.training.resolved import Given, resolve
from onchip.training.saved import load_weights


@dataclass(frozen=True)
class FitResult:
    """What a training run gave; `print` shows it as a table.

    Args:
        model: The network with its trained weights, in evaluation mode.
        record: The record of the run: settings, accuracies, counts and versions.
    """

    model: nn.Module
    record: Record

    @property
    def accuracy(self) -> float:
        """Test accuracy, in [0, 1]."""
        assert self.record.test_accuracy is not None, "a record of a run that succeeded has one"
        return self.record.test_accuracy

    @property
    def history(self) -> tuple[Epoch, ...]:
        """Loss, validation accuracy and seconds of each epoch."""
        return self.record.history

    @property
    def bill(self) -> dict[str, int | float]:
        """What training did, in the counts of docs/costs.md: operations, bits moved, memory, energy."""
        return self.record.ledger

    def __str__(self) -> str:
        return report.as_markdown([self.record])

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return str(self)


def fit(
    model: nn.Module | Callable[..., nn.Module] | str,
    rule: str | Rule | Callable[[nn.Module], Rule] = "bp",
    *,
    train: Any,
    test: Any,
    validation: Any = None,
    classes: int | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Callable[[], ProgressListener] = ProgressListener,
    log: str | None = None,
    ranks: Ranks | None = None,
    **settings: Any,
) -> FitResult:
    """Trains a model under a rule on a program's own data, and tests it once.

    Samples are a torch `Dataset`, a `DataLoader`, an `onchip.data.Split`, or tensors (inputs, labels), of which
    sequences may have their lengths as a third one: images (B, C, H, W) as bytes or as floats in [0, 1], features
    (B, n) in [0, 1], or sequences (B, T, features...) of any numbers. Labels are classes (B,), or (B, T) where they
    are per time step, with -1 where there is none.

    A `Dataset` or a `DataLoader` is read once before training, to count and check its samples, and then once per epoch;
    no more than a batch is in memory. Torch's random draws in it come from the seed of the run, also its order: so a
    run that is resumed after any epoch meets the same batches. What other generators draw, such as NumPy's, does not.

    Args:
        model: A network of `onchip.nn`, which is trained in place; a function that builds one, as for `--net`; or a
            name, as for `--net`.
        rule: A name with options, such as "fbp:period=100"; a function from a network to a rule, such as
            `onchip.rules.eprop`; or a rule that is attached to the network, which is detached at the end.
        train: Samples to train on. A `DataLoader` decides on batches and order.
        test: Samples for the accuracy.
        validation: Samples, or the share of `train` to set aside, which a `DataLoader` cannot; None for none.
        classes: Number of classes; None for the largest label and one more.
        out: Folder for record, settings, weights, checkpoints, table, page and figure, which `onchip.load_run` and
            `onchip report` read. None stores nothing.
        resume: Continue the run in `out` after its last whole epoch; all else must be given as before.
        force: Replace an earlier run in `out`.
        progress: Makes the listener of the run, such as the bars of `onchip.bars`.
        log: "tensorboard" writes curves for that program into `out`, while the run trains; None writes none.
        ranks: The processes that train together, from `onchip.Ranks.join`; None for this one alone.
        settings: The other settings of the command line, with underscores: `epochs`, `lr`, `batch_size`, `steps`,
            `encoder`, `seed` and so on; see `onchip.runs.config.RunConfig`.

    Returns:
        The trained network with its record.

    Raises:
        RequestError: A setting, the samples or the network are wrong, or do not fit each other.
        UnsupportedError: The rule cannot train this network.
        DataError: Samples could not be read.
        OnchipError: Training failed, for example because the loss was no longer finite; the record says so.

    Example:
        >>> import onchip, torch
        >>> from onchip import nn
        >>> inputs, labels = torch.rand(40, 6, 3), torch.arange(40) % 2  # 40 sequences of 6 steps
        >>> model = nn.Sequential(nn.Linear(3, 16), nn.LIF(), nn.Linear(16, 2))
        >>> result = onchip.fit(model, "ottt", train=(inputs, labels), test=(inputs, labels), epochs=2)
        >>> len(result.history), result.bill["steps"]
        (2, 4)
    """
    ranks = only_given(ranks)
    if out is None and (resume or force or log is not None):
        raise RequestError("resume, force and log need out, the folder of the run; got None")
    net, network = network_given(model)
    label, attach = rule_given(rule)
    share = validation if isinstance(validation, int | float) and not isinstance(validation, bool) else None
    data_text, parts = splits_given(train, test, None if share is not None else validation, classes)
    if parts.validation is not None:
        share = len(parts.validation) / (len(parts.train) + len(parts.validation))
    if parts.train.batch_size is not None:
        settings = {"batch_size": parts.train.batch_size, **settings}
    named = {"net": net, "data": data_text, "rule": label, "validation": float(share or 0.0)}
    for name in named.keys() & settings.keys():
        raise RequestError(f"fit got the setting {name!r}, which its other arguments decide; leave it out")
    config = from_mapping({**settings, **named})
    data = divided(data_text, parts, train_size=config.train_size, validation=config.validation)
    given = Given(network, attach, attached=isinstance(rule, Rule))
    request = SweepConfig(config, (label,), (config.seed,), keep_weights=True)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()) if out is None else out)
        runs = sweep.compare(
            request, data, folder, given=given, resume=resume, force=force, progress=progress, log=log, ranks=ranks
        )
        (record,) = stack.enter_context(contextlib.closing(runs))
        if out is not None and ranks.first:
            report.write(folder, [record])
        if record.status != "ok":
            raise OnchipError(f"{record.label}, seed {record.seed}: {record.error}")
        ran = from_mapping(record.settings)
        with own_randomness(ran):
            trained = resolve(dataclasses.replace(ran, device="cpu"), data, given).network.make()
        with ranks.together():
            if ranks.first:
                weights = RunDirectory(folder).kept_weights(ran)
                assert weights is not None, "the run keeps them"
                load_weights(trained, record, weights)
        ranks.equalize([*trained.parameters(), *trained.buffers()])
    result = model if isinstance(model, nn.Module) else trained
    result.eval()
    return FitResult(result, record)
