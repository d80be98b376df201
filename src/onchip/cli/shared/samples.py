"""A network and a few samples for it, to look at what a training step does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onchip.cli.shared.sizes import Size

if TYPE_CHECKING:
    from torch import Tensor

    from onchip import nn
    from onchip.nn.signals import Signal, SignalKind
    from onchip.training.networks import Network

SAMPLES = 2
"""Samples of the step that is counted: estimates of feedback center the output over them."""


def sample_of(
    network: Network, data: str, size: Size, encoder: str | None, steps: int
) -> tuple[nn.Sequential, Signal, Tensor]:
    """The network and a few samples with labels, all of one seed."""
    import torch

    from onchip.training import registry

    generator = torch.Generator().manual_seed(0)
    encode, _ = registry.encoder(encoder, network.kind, steps=steps, generator=generator, samples=size.samples)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = network.make()
    if data == "digits":
        from onchip.data import load

        split = load("digits").train
        samples, labels = split.samples[:SAMPLES].float() / 255, split.labels[:SAMPLES] % size.classes
    elif size.data is not None:
        from onchip.data import batches

        samples, _ = next(batches(size.data.train, SAMPLES, shuffle=False))
        samples, labels = samples[:SAMPLES], size.data.train.sample_labels[:SAMPLES]
    else:
        over_time = (steps,) if size.samples.over_time else ()
        samples = torch.rand(SAMPLES, *over_time, *size.shape, generator=generator)
        labels = torch.randint(size.classes, (SAMPLES,), generator=generator)
    signal = encode(samples)
    if network.own is not None:
        network.own.check_output(model, signal, size.classes)
    return model, signal, labels


def random_batch(
    shape: tuple[int, ...], classes: int, sizes: tuple[int, int], kind: SignalKind, seed: int
) -> tuple[Tensor, Tensor]:
    """Random input and labels: another current or spike at each step, or spike times of which some never come.

    Args:
        shape: Of an input, without time and batch.
        classes: Number of classes.
        sizes: Time steps and samples.
        kind: The kind of signal.
        seed: Seed of all draws.
    """
    import torch

    steps, batch = sizes
    generator = torch.Generator().manual_seed(seed)
    leading = (steps, batch) if kind.over_time else (batch,)
    signal = kind.random(torch.Size((*leading, *shape)), generator)
    return signal, torch.randint(classes, (batch,), generator=generator)
