"""A run's configuration with every name in it looked up."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from onchip.data import Dataset, batches
from onchip.encoding import Encoder
from onchip.errors import RequestError
from onchip.losses import Loss
from onchip.nn.signals import SignalKind
from onchip.runs.config import RunConfig
from onchip.training import registry
from onchip.training.networks import Network, network_of
from onchip.training.own_network import OwnNetwork
from onchip.training.randomness import EVALUATION, own_randomness, spread


@dataclass(frozen=True)
class Resolved:
    """A run's configuration with every name in it looked up, once: by `resolve`.

    Args:
        config: The configuration.
        data: The data set that it names.
        rule: Attaches the rule to a network.
        network: The network.
        loss: What is minimized.
        augment: Changes training images at random; None for none.
        device: Where to compute.
        encoder_name: The encoder with its options.
    """

    config: RunConfig
    data: Dataset
    rule: registry.Part
    network: Network
    loss: Loss
    augment: Callable[[Tensor, torch.Generator], Tensor] | None
    device: torch.device
    encoder_name: str

    @property
    def kind(self) -> SignalKind:
        """The kind of signal that the neurons exchange."""
        return self.network.kind

    @property
    def steps(self) -> int | None:
        """Time steps T per sample, of sequences those of the longest to train on; None for spike times."""
        own = self.data.kind.own_steps
        return (self.data.steps if own else self.config.steps) if self.kind.over_time else None

    def encoder(self, stream: int = EVALUATION, rank: int = 0) -> tuple[Encoder, torch.Generator]:
        """What turns samples into signals, and its generator at the beginning of a stream of draws of a process."""
        generator = torch.Generator(self.device).manual_seed(spread(self.config.seed, stream, rank))
        return _encoder(self.config, self.data, self.kind, generator)[0], generator


@dataclass(frozen=True)
class Given:
    """What was passed as an object, in place of the name that the configuration has for it.

    Args:
        network: Builds the network; None for the one that is named.
        rule: Attaches the rule; None for the one that is named.
        attached: Whether the rule is attached already, and can be used once.
    """

    network: OwnNetwork | None = None
    rule: registry.Part | None = None
    attached: bool = False


def resolve(config: RunConfig, data: Dataset, given: Given = Given()) -> Resolved:
    """Look up every name in a configuration.

    Args:
        config: The configuration.
        data: The data set that it names.
        given: Objects in place of names.

    Raises:
        RequestError: The settings do not fit each other or the data.
        MemoryLimitError: The device's memory is full.
    """
    if data.name != config.data:
        raise RequestError(f"a run on {config.data!r} got the data set {data.name!r}; load the one it names")
    if data.train.batch_size not in (None, config.batch_size):
        raise RequestError(
            f"got batch_size={config.batch_size} for a DataLoader with batches of {data.train.batch_size}; expected "
            f"the same. Use --batch-size {data.train.batch_size}, or batch_size={data.train.batch_size} in Python"
        )
    rule, augment = given.rule or registry.part("rule", config.rule), registry.augmentation(config.augment)
    if augment is not None:
        augment(torch.zeros(0, *data.train.sample_shape), torch.Generator())  # refuses samples that it cannot change
    seeded = partial(own_randomness, config)
    network = network_of(config, data.shape, data.n_classes, seeded=seeded, given=given.network)
    kind = network.kind
    loss = registry.loss(config.loss, kind)
    device = registry.device(config.device)
    encode, encoder_name = _encoder(config, data, kind, torch.Generator())
    if network.own is not None:
        samples, _ = next(batches(data.train, 1, shuffle=False))
        with own_randomness(config):
            network.own.check_output(network.make(), encode(samples.cpu()), data.n_classes)
    return Resolved(config, data, rule, network, loss, augment, device, encoder_name)


def _encoder(config: RunConfig, data: Dataset, kind: SignalKind, generator: torch.Generator) -> tuple[Encoder, str]:
    return registry.encoder(config.encoder, kind, steps=config.steps, generator=generator, samples=data.kind)
