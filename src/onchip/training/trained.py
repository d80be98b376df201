"""`onchip.load`: a trained network and its rule, from the two files that training leaves."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onchip import nn
from onchip.errors import DataError, RequestError
from onchip.learning.rule import Rule
from onchip.runs.code import is_same, pinned, refuse_unnamed, short
from onchip.runs.model_file import NAME, WEIGHTS, InputFacts, ModelFile, RuleFacts, read_model_file
from onchip.runs.record import Record
from onchip.training import model_folder, registry
from onchip.training.objects import network_given, rule_given
from onchip.training.prediction import Prediction, predict

Net = str | torch.nn.Module | Callable[..., torch.nn.Module]
GivenRule = str | Callable[[torch.nn.Module], Rule]


def load(path: str | os.PathLike[str], *, net: Net | None = None, rule: GivenRule | None = None) -> TrainedModel:
    """A trained network and its rule, from the folder that `onchip train --out` or `onchip.fit(out=...)` wrote.

    Args:
        path: The folder, which holds `model.json` and `model.safetensors`.
        net: What built the network, if it has layers that a file cannot describe: a name such as `my_net.py:build`, the
            text of whose file must be the one that the network was made with, a function, or a network, of which a copy
            gets the weights. A file does not decide which code runs.
        rule: What attaches the rule, if it was a function or an object of the user's.

    Raises:
        RequestError: The folder holds no such files, or they need code that was not named.
        DataError: A file is damaged, of another version, or not of the other one.

    Example:
        >>> import onchip, tempfile, torch
        >>> folder = tempfile.mkdtemp()
        >>> inputs, labels = torch.rand(40, 6), torch.arange(40) % 2
        >>> network = onchip.nn.Sequential(onchip.nn.Linear(6, 8), onchip.nn.LIF(), onchip.nn.Linear(8, 2))
        >>> _ = onchip.fit(network, "dfa", train=(inputs, labels), test=(inputs, labels), epochs=1, out=folder)
        >>> saved = onchip.load(folder)
        >>> saved.predict(inputs[:3]).classes.shape
        torch.Size([3])
        >>> saved.rule.forward(onchip.Static(inputs, steps=4)).shape
        torch.Size([4, 40, 2])
    """
    folder = Path(path)
    try:
        file = read_model_file(folder / NAME)
    except OSError as error:
        also = ""
        if (folder / "run.json").exists():
            also = ". It holds runs, which onchip.load_run reads; training one run leaves a model"
        raise RequestError(
            f"{folder} holds no trained model: {NAME} cannot be read ({error.strerror}); expected a folder that "
            f"`onchip train --out` or onchip.fit(out=...) wrote{also}"
        ) from error
    return TrainedModel(folder, file, net, rule)


class TrainedModel:
    """A trained network, with the rule that trained it and what is known of its input and output.

    Args:
        path: The folder of its files.
        file: The content of `model.json`.
        net: As for `load`.
        rule: As for `load`.

    Raises:
        RequestError: It needs code that was not named.
        DataError: A file is damaged.
    """

    model: nn.Sequential
    """The network, on the CPU, in evaluation mode."""

    def __init__(self, path: Path, file: ModelFile, net: Net | None = None, rule: GivenRule | None = None) -> None:
        self.path, self.file = path, file
        self._net, self._rule = net, rule
        self._tensors, self._state = model_folder.read_tensors(path, file)
        self.record = _record(path, file)
        self.model = self._network()
        self.model.eval()

    @property
    def input(self) -> InputFacts | None:
        """How samples become the network's input; None where that was not said."""
        return self.file.input

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the outputs."""
        return self.file.output.classes

    @cached_property
    def rule(self) -> Rule:
        """The rule with its feedback, to go on training.

        It is attached to a network of its own with the same weights, in training mode, which `rule.detach()` returns.

        Raises:
            RequestError: The files hold no rule, or one of the user's that was not passed.
            DataError: The feedback is that of another rule.
        """
        facts = self._rule_facts()
        attach = self._attach(facts)
        with torch.random.fork_rng(devices=[]):
            attached: Rule = attach(self._network())
        try:
            attached.load_state_dict(self._state)
        except RequestError as error:
            raise DataError(f"{self.path / WEIGHTS} has no feedback of {facts.text}: {error!s:.300}") from error
        return attached.in_bfloat16() if facts.precision == "bfloat16" else attached

    def predict(
        self,
        samples: Any,
        *,
        lengths: Tensor | None = None,
        batch_size: int | None = None,
        steps: int | None = None,
    ) -> Prediction:
        """The class of each sample, computed as in the test of the run that trained the network.

        Args:
            samples: A tensor or array of samples as they were before any scaling, (N, ...): pictures (N, C, H, W) as
                bytes or as floats in [0, 1], features (N, n) in [0, 1], recordings (N, F, C, H, W) as bytes, or
                sequences (N, T, features...); or an `onchip.data.Split`, which has been scaled when it was loaded.
            lengths: Time steps of each sequence, (N,) int64; None where all have T.
            batch_size: Samples at a time; None for as many as in the test. Encoders that draw random numbers draw
                others for other batches.
            steps: Time steps for which each sample is presented; None for as many as in training. Longer spike trains
                are less noisy; a network of `Stochastic` neurons gains most.

        Raises:
            RequestError: The samples are not such as the network takes, they have no such number of time steps, or
                nobody said how they become its input.
        """
        if self.input is None:
            raise RequestError(
                f"{self.path / NAME} does not say how samples become the network's input; pass `encoder` and so on to "
                "onchip.save, or call .model with a signal"
            )
        options: dict[str, Any] = {"lengths": lengths, "batch_size": batch_size, "steps": steps}
        return predict(self.model, self.input, self.classes, samples, **options)

    def _rule_facts(self) -> RuleFacts:
        if self.file.rule is None:
            raise RequestError(f"{self.path} holds a network without a rule; attach one, such as onchip.rules.bp")
        return self.file.rule

    def _attach(self, facts: RuleFacts) -> Callable[[torch.nn.Module], Rule]:
        if self._rule is not None:
            text, part = rule_given(self._rule)
            return part or registry.part("rule", text)
        if facts.own:
            raise RequestError(
                f"{self.path} has a rule of a program's own, {facts.text!r:.80}; pass the function that attaches it: "
                "onchip.load(..., rule=...)"
            )
        try:
            return registry.part("rule", facts.text)
        except RequestError as error:
            raise DataError(f"{self.path / NAME} cannot be used: {error}") from error

    def _network(self) -> nn.Sequential:
        """The network with its weights, in training mode."""
        network = self.file.network
        if network.layers is not None and self._net is None:
            model = model_folder.network_of(self.path, network, self._tensors)
        else:
            model = self._own_network()
            try:
                model.load_state_dict(self._tensors)
            except RuntimeError as error:
                reason = " ".join(str(error).split())
                raise DataError(f"{self.path / WEIGHTS} are the weights of another network: {reason:.300}") from error
        assert isinstance(model, nn.Sequential)
        return model

    def _own_network(self) -> nn.Sequential:
        """A new network of the user's function, if it is the one that the files were made with."""
        facts, source = self.file.network, str(self.path / NAME)
        if facts.layers is None:
            refuse_unnamed({"net": facts.code}, {"net": self._net}, source)
        if self._net is None:
            raise RequestError(f"{source} describes no layers ({facts.undescribed!s:.200}); pass net=...")
        text, network = network_given(self._net)
        text = pinned(text) if network is None else text
        if facts.code is not None and not is_same(text, facts.code):
            raise RequestError(
                f"{self.path} got net={short(text)!r}; expected {short(facts.code)}, as it was when the model was made"
            )
        make = network or registry.network(text)
        neuron, _ = registry.neuron(facts.neuron)
        shape = () if self.input is None else self.input.shape
        with torch.random.fork_rng(devices=[]):
            made: nn.Sequential = make(shape, len(self.classes), neuron=neuron)
        return made if network is None or network.fresh else copy.deepcopy(made)


def _record(path: Path, file: ModelFile) -> Record | None:
    if file.record is None:
        return None
    try:
        return Record.from_json(json.dumps(file.record))
    except DataError as error:
        raise DataError(f"{path / NAME} cannot be used: {error!s:.300}") from error
