"""`onchip.load_run`: what a comparison or a run left in its folder, its trained networks too."""

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from onchip import nn
from onchip._sealed import read_sealed
from onchip.errors import DataError, RequestError
from onchip.learning.rule import Rule
from onchip.runs import checkpoint
from onchip.runs.code import is_own, is_same, pinned, refuse_unnamed, short
from onchip.runs.config import RunConfig, from_mapping
from onchip.runs.directory import RunDirectory, feedback_file
from onchip.runs.grammar import parse
from onchip.runs.record import Record, read
from onchip.runs.sweep_config import SweepConfig
from onchip.training import registry
from onchip.training.objects import network_given
from onchip.training.randomness import own_randomness


def load_run(
    path: str | os.PathLike[str], *, net: str | torch.nn.Module | Callable[..., torch.nn.Module] | None = None
) -> "SavedRuns":
    """What `onchip.compare`, `onchip compare` or `onchip train` left in a folder.

    Args:
        path: The folder.
        net: What the network was made with if it was one of the user's: a name such as `my_net.py:build`, the text of
            whose file must be the one that the runs were made with, a function, or a network that gets the weights. A
            folder does not decide which code runs.

    Returns:
        Records and settings; networks are built, and weights read, when they are wanted.

    Raises:
        RequestError: The folder holds no run.
        DataError: A file in it is damaged.
    """
    directory = RunDirectory(Path(path))
    config = directory.config()
    if config is None:
        raise RequestError(f"{path} holds no run; expected a folder that compare or train wrote")
    return SavedRuns(Path(path), config, tuple(read(directory.records)), net)


@dataclass(frozen=True)
class SavedRuns:
    """The runs in a folder.

    Args:
        path: The folder.
        config: The rules, the seeds and the settings that the runs share.
        records: One record per finished run.
        net: The user's network, as given to `load_run`.
    """

    path: Path
    config: SweepConfig
    records: tuple[Record, ...]
    net: str | torch.nn.Module | Callable[..., torch.nn.Module] | None = None

    def record(self, rule: str | None = None, seed: int | None = None, *, bits: bool | None = None) -> Record:
        """The record of a run.

        Args:
            rule: The rule with its options as in `Record.label`; None for any.
            seed: The seed; None for any.
            bits: Whether the run had the bits of a chip; None for any.

        Raises:
            RequestError: No run has this rule and seed, or several have.
        """
        label = None if rule is None else str(parse(rule))
        found = [one for one in self.records if label in (None, one.label) and seed in (None, one.seed)]
        found = [one for one in found if bits in (None, bool(one.chip.get("bits")))]
        if len(found) != 1:
            runs = ", ".join(f"{one.title} with seed {one.seed}" for one in found or self.records) or "none"
            given = f"rule={rule!r}, seed={seed!r}" + ("" if bits is None else f", bits={bits}")
            raise RequestError(f"{self.path} got {given}; expected one run of: {runs}")
        return found[0]

    def model(self, rule: str | None = None, seed: int | None = None, *, bits: bool | None = None) -> nn.Sequential:
        """The network of a run with its final weights, on the CPU, in evaluation mode.

        Args:
            rule: As for `record`.
            seed: As for `record`.
            bits: As for `record`.

        Raises:
            RequestError: As for `record`, or the weights were not kept.
            DataError: The file of the weights is damaged, or of another run.
        """
        record = self.record(rule, seed, bits=bits)
        model = self._network(record, _settings(record))
        load_weights(model, record, self._weights(record))
        model.eval()
        return model

    def rule(self, rule: str | None = None, seed: int | None = None, *, bits: bool | None = None) -> Rule:
        """The rule of a run, attached to its network, both as they were after the last training step.

        With `select="best"`, the weights are those of the best epoch, and the feedback is that of the last one.

        Args:
            rule: As for `record`.
            seed: As for `record`.
            bits: As for `record`.

        Raises:
            RequestError: As for `record`, or the weights were not kept.
            DataError: A file is damaged, or of another run.

        Example:
            >>> import onchip, tempfile, torch
            >>> folder = tempfile.mkdtemp()
            >>> _ = onchip.compare("fa", seeds=1, net="mlp", train_size=50, epochs=1, out=folder, keep_weights=True)
            >>> onchip.load_run(folder).rule().forward(onchip.Static(torch.rand(2, 1, 8, 8), steps=4)).shape
            torch.Size([4, 2, 10])
        """
        record = self.record(rule, seed, bits=bits)
        config, path = _settings(record), self._weights(record)
        with own_randomness(config):
            model = self._network(record, config)
            attached: Rule = registry.part("rule", config.rule)(model)
        load_weights(model, record, path)
        try:
            attached.load_state_dict(checkpoint.load(feedback_file(path))["feedback"])
        except (DataError, LookupError, RequestError) as error:
            raise DataError(f"{feedback_file(path)} cannot be used: {error}; train that run again") from error
        return attached.in_bfloat16() if config.precision == "bfloat16" else attached

    def _network(self, record: Record, config: RunConfig) -> nn.Sequential:
        make_neuron, _ = registry.neuron(config.neuron)
        make = registry.network(config.net) if not is_own(config.net) else self._own_network(config.net)
        model: nn.Sequential = make(record.shape, record.classes, neuron=make_neuron)
        return model

    def _own_network(self, stored: str) -> Callable[..., nn.Sequential]:
        """The user's network, if it is the one that a record has."""
        refuse_unnamed({"net": stored}, {"net": self.net}, str(self.path))
        text, network = network_given(self.net)
        text = pinned(text) if network is None else text
        if not is_same(text, stored):
            raise RequestError(
                f"{self.path} got net={short(text)!r}; expected {short(stored)}, as it was when the runs were made"
            )
        return network or registry.network(text)

    def _weights(self, record: Record) -> Path:
        path = RunDirectory(self.path).kept_weights(_settings(record))
        if path is None:
            raise RequestError(
                f"{self.path} holds no weights of {record.label} with seed {record.seed}; train it again with "
                "keep_weights=True, or --keep-weights"
            )
        return path


def _settings(record: Record) -> RunConfig:
    """The settings of a run, for a CPU."""
    return dataclasses.replace(from_mapping(record.settings), device="cpu")


def load_weights(model: nn.Sequential, record: Record, path: Path) -> None:
    """Gives a network the weights in a file.

    Raises:
        DataError: The file is damaged, or of another run than the record.
    """
    try:
        tensors, metadata = read_sealed(path)
        made = Record.from_json(metadata.get("record", ""))
        if made.settings != record.settings:
            raise DataError(f"they are of another run, {made.label} with seed {made.seed}")
        model.load_state_dict(tensors)
    except (DataError, RuntimeError) as error:
        raise DataError(f"weights {path} cannot be used: {' '.join(str(error).split())}") from error
