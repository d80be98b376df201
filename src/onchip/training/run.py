"""A run while it trains: all that changes, and its state for a checkpoint."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from onchip import kernels, nn
from onchip._types import converted
from onchip.cost.ledger import Ledger, merged
from onchip.devices.crossbar import Crossbar
from onchip.diagnostics.probes import Probes
from onchip.encoding import Encoder
from onchip.learning.ranks import Ranks
from onchip.learning.rule import Rule
from onchip.runs import provenance
from onchip.runs.config import RunConfig
from onchip.runs.provenance import Stretch
from onchip.runs.record import Epoch
from onchip.training import registry
from onchip.training.randomness import ENCODING, ORDER, OWN, spread
from onchip.training.resolved import Resolved

STATEFUL = "model", "rule", "optimizer", "ledger", "schedule"
PLAIN = "train_seconds", "seconds", "best", "selected_epoch"
"""Fields of a run: those with a `state_dict`, and those that a checkpoint stores as they are."""


@dataclass
class Run:
    """All that changes while a run trains.

    Args:
        resolved: The configuration.
        model: The network.
        rule: The rule that trains it.
        optimizer: Applies the rule's gradients; a `Crossbar` under `synapses`.
        ledger: Counts what the rule does.
        probes: Measures its gradients now and then.
        schedule: Sets the optimizer's learning rates.
        encode: Turns samples into signals.
        order: Draws the order of the samples, and in a single process their augmentation; always on the CPU.
        encoding: Draws what a random encoder needs; on the model's device.
        history: The epochs that are over.
        provenance: What trained them.
        train_seconds: Time in training steps.
        seconds: Time in the whole run, up to the last checkpoint.
        best: The weights that `select='best'` would take; None under `last`.
        selected_epoch: The epoch of these weights, or the last one.
        augmenting: Draws the augmentation of this process's samples; `order` in a single process.
        counted: State of the ledger from which those of several processes began; None at the start.
    """

    resolved: Resolved
    model: nn.Sequential
    rule: Rule
    optimizer: torch.optim.Optimizer
    ledger: Ledger
    probes: Probes
    schedule: LambdaLR
    encode: Encoder
    order: torch.Generator
    encoding: torch.Generator
    history: list[Epoch] = field(default_factory=list)
    provenance: list[Stretch] = field(default_factory=list)
    train_seconds: float = 0.0
    seconds: float = 0.0
    best: dict[str, Tensor] | None = None
    selected_epoch: int = 0
    augmenting: torch.Generator = field(default_factory=torch.Generator)
    counted: dict[str, Tensor] | None = None

    @property
    def ranks(self) -> Ranks:
        """The processes that share each batch."""
        return self.rule.ranks

    def augment(self, samples: Tensor, order: torch.Generator) -> Tensor:
        """Samples (B, ...) of this process changed at random, with draws of its own where there are several."""
        assert self.resolved.augment is not None
        return self.resolved.augment(samples, order if self.ranks.size == 1 else self.augmenting)

    def chip(self) -> dict[str, Any]:
        """What a record says of the chip whose bits the synapses have; nothing without one."""
        profile = self.optimizer.profile if isinstance(self.optimizer, Crossbar) else {}
        return {**profile, "bits": True} if profile else {}

    def bill(self) -> dict[str, int | float]:
        """What the ledger counted, and what the device did, if there is one."""
        written = self.optimizer.summary() if isinstance(self.optimizer, Crossbar) else {}
        ledger = self.ledger
        if self.ranks.size > 1:
            ledger = Ledger()
            ledger.load_state_dict(self._counts())
        return {**ledger.summary(), **written}

    def _counts(self) -> dict[str, Tensor]:
        """State of the ledger, as if there were one process."""
        if self.ranks.size == 1:
            return self.ledger.state_dict()
        return merged(self.ranks.gather(self.ledger.state_dict()), self.counted)

    def _own(self) -> dict[str, Any]:
        """The random numbers that differ between processes."""
        return {
            "random": self.ranks.streams.own,
            "encoding": self.encoding.get_state(),
            "augmenting": self.augmenting.get_state(),
        }

    def state(self) -> dict[str, Any]:
        """Everything that training on from here needs; of all processes, which must call it together."""
        device = self.encoding.device
        own = {"ranks": self.ranks.gather(self._own())} if self.ranks.size > 1 else {}
        return {
            **own,
            **{name: getattr(self, name).state_dict() for name in STATEFUL},
            "ledger": self._counts(),
            **{name: getattr(self, name) for name in PLAIN},
            "probes": self.probes.state(),
            "order": self.order.get_state(),
            "encoding": self.encoding.get_state(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
            "history": [dataclasses.asdict(epoch) for epoch in self.history],
            "provenance": [stretch.to_dict() for stretch in self.provenance],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned; raises whatever its parts raise for anything else.

        Noise goes on where it was if there are as many processes as before; else it begins anew, from the seed and the
        number of epochs. All else goes on in any number of processes.
        """
        if state["best"] is not None:
            self.model.load_state_dict(state["best"])  # which it takes at the end of training
        for name in STATEFUL:
            getattr(self, name).load_state_dict(state[name])
        for parameter, held in self.optimizer.state.items():
            if any(isinstance(each, Tensor) and each.ndim and each.shape != parameter.shape for each in held.values()):
                raise ValueError("the optimizer's state is of other shapes than the weights")  # which torch trusts
        for name in PLAIN:
            setattr(self, name, state[name])
        self.probes.restore(state["probes"])
        self.order.set_state(state["order"])
        self.encoding.set_state(state["encoding"])
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"], self.encoding.device)
        self.history = converted(state["history"], list[Epoch])
        self.provenance = converted(state["provenance"], list[Stretch])
        self.train_seconds, self.seconds = converted([self.train_seconds, self.seconds], tuple[float, float])
        self._restore_own(state.get("ranks"))
        if not 1 <= self.selected_epoch <= len(self.history):
            raise ValueError(f"epoch {self.selected_epoch} is selected of {len(self.history)}")

    def _restore_own(self, saved: list[dict[str, Any]] | None) -> None:
        ranks, seed = self.ranks, self.resolved.config.seed
        if ranks.size == 1:
            return
        self.counted = self.ledger.state_dict()
        self.ledger.begin_at(self.counted)
        if saved is not None and len(saved) == ranks.size:
            own = saved[ranks.rank]
            ranks.streams.own = own["random"]
            self.encoding.set_state(own["encoding"])
            self.augmenting.set_state(own["augmenting"])
            return
        part = (len(self.history), ranks.size, ranks.rank)
        ranks.streams.seed(seed, OWN, *part)
        self.encoding.manual_seed(spread(seed, ENCODING, *part))
        self.augmenting.manual_seed(spread(seed, ORDER, *part))

    def continues(self) -> None:
        """Note what trains from here on, unless it is what trained before."""
        now = _stretch(self.resolved.config, len(self.history) + 1, self.ranks.size)
        if not self.provenance or dataclasses.replace(now, epoch=self.provenance[-1].epoch) != self.provenance[-1]:
            self.provenance.append(now)


def _stretch(config: RunConfig, epoch: int, processes: int) -> Stretch:
    """What trains in this process, from an epoch on."""
    return Stretch(
        epoch,
        **dataclasses.asdict(provenance.code()),
        torch=torch.__version__,
        kernels=kernels.active(config.device),
        threads=torch.get_num_threads(),
        device_name=registry.device_name(config.device),
        processes=processes,
    )
