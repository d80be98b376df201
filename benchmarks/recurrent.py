"""How fast are a training step and a forward pass of a recurrent network, compared with other libraries?

    python benchmarks/recurrent.py [--rounds 15] [--threads 1] [--steps 100] [--batch 64] [--keep] [--json FILE]

64 inputs, 128 LIF neurons with an all-to-all recurrent connection, 10 outputs. The plain loop computes the products and
the gradients of `bp` in torch and autograd, step by step; it is checked that the gradients are equal. The other
libraries (snnTorch, Norse, spikingjelly) are included where they are installed, each with its module for recurrent
layers. All contenders take one turn in each round, and ratios are taken inside a round. `--keep` makes the process keep
the memory that it frees, as the command line of `onchip` does (onchip.allocator).
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from _measure import Step, about, in_turns, parser, save, speed
from onchip import allocator, kernels, nn, rules
from onchip.surrogate import Sigmoid

INPUTS, HIDDEN, OUTPUTS = 64, 128, 10
INPUT_RATE = 0.1
RULES = ("bp", "ottt", "eprop")
LOOP = "plain loop"

Forward = Callable[[], Tensor]
"""The output (T, B, outputs)."""


class Fired(torch.autograd.Function):
    """Spikes of one step, with the derivative that our neurons have by default."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, distance: Tensor) -> Tensor:
        ctx.save_for_backward(distance)
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, error: Tensor) -> Tensor:
        (distance,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return Sigmoid().gate_(distance.clone(), error)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    recurrent = nn.Recurrent(nn.Linear(HIDDEN, HIDDEN, bias=False), nn.LIF())
    model = nn.Sequential(nn.Linear(INPUTS, HIDDEN), recurrent, nn.Linear(HIDDEN, OUTPUTS))
    with torch.no_grad():
        model[0].weight.mul_(3)  # torch's initial weights hardly cause spikes
    return model


def trained(forward: Forward, parameters: Iterator[torch.nn.Parameter], labels: Tensor) -> Step:
    """A training step by autograd."""
    optimizer = torch.optim.SGD(parameters, lr=1e-3)

    def step() -> None:
        torch.nn.functional.cross_entropy(forward().flatten(0, 1), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def ours(name: str, frames: Tensor, labels: Tensor) -> Step:
    """A training step of one of our rules."""
    rule = getattr(rules, name)(network())
    optimizer = torch.optim.SGD(rule.parameters(), lr=1e-3)

    def step() -> None:
        rule.backward(torch.nn.functional.cross_entropy(rule.forward(frames).flatten(0, 1), labels))
        optimizer.step()
        optimizer.zero_grad()
        rule.step()

    return step


def loop(model: nn.Sequential, frames: Tensor) -> Forward:
    """Step by step in torch."""
    first, (recurrent, _), last = model[0], model[1].children(), model[2]

    def forward() -> Tensor:
        drive, spikes = first(frames), []
        membrane = spike = torch.zeros_like(drive[0])
        for current in drive:
            potential = 0.5 * membrane + current + recurrent(spike)
            spike = Fired.apply(potential - 1.0)
            membrane = potential - spike
            spikes.append(spike)
        return last(torch.stack(spikes))

    return forward


def snntorch(frames: Tensor) -> tuple[torch.nn.Module, Forward]:
    """All inputs in one product, neurons step by step."""
    import snntorch as snn
    from snntorch import surrogate

    neurons = snn.RLeaky(beta=0.5, linear_features=HIDDEN, spike_grad=surrogate.sigmoid(slope=4))
    net = torch.nn.ModuleList([torch.nn.Linear(INPUTS, HIDDEN), neurons, torch.nn.Linear(HIDDEN, OUTPUTS)])

    def forward() -> Tensor:
        drive, (spike, membrane), spikes = net[0](frames), neurons.init_rleaky(), []
        for current in drive:
            spike, membrane = neurons(current, spike, membrane)
            spikes.append(spike)
        return net[2](torch.stack(spikes))

    return net, forward


def norse(frames: Tensor) -> tuple[torch.nn.Module, Forward]:
    """A cell with weights of the inputs and recurrent ones, step by step."""
    from norse import torch as snn

    constants = snn.LIFParameters(tau_mem_inv=torch.tensor(500.0), alpha=torch.tensor(4.0))
    net = torch.nn.ModuleList([snn.LIFRecurrentCell(INPUTS, HIDDEN, p=constants), torch.nn.Linear(HIDDEN, OUTPUTS)])

    def forward() -> Tensor:
        state, spikes = None, []
        for now in frames:
            spike, state = net[0](now, state)
            spikes.append(spike)
        return net[1](torch.stack(spikes))

    return net, forward


def spikingjelly(frames: Tensor) -> tuple[torch.nn.Module, Forward]:
    """The recurrent container around a layer, as its documentation shows it; it adds to the inputs of the layer."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    lif = neuron.LIFNode(2.0, False, 1.0, None, surrogate.Sigmoid(4.0))
    inner = torch.nn.Sequential(torch.nn.Linear(INPUTS, HIDDEN), lif)
    container = layer.LinearRecurrentContainer(inner, INPUTS, HIDDEN, step_mode="m")
    net = torch.nn.ModuleList([container, torch.nn.Linear(HIDDEN, OUTPUTS)])

    def forward() -> Tensor:
        functional.reset_net(net)
        return net[1](net[0](frames))

    return net, forward


PEERS = {"snnTorch": snntorch, "Norse": norse, "spikingjelly": spikingjelly}


def contenders(frames: Tensor, labels: Tensor) -> tuple[dict[str, Step], dict[str, Step]]:
    """Training steps and forward passes, by name."""
    model = network()
    training = {name: ours(name, frames, labels) for name in RULES}
    training[LOOP] = trained(loop(network(), frames), model.parameters(), labels)
    passes: dict[str, Forward] = {"onchip": lambda: model(frames), LOOP: loop(model, frames)}
    for name, make in PEERS.items():
        if importlib.util.find_spec(name.lower()):
            net, forward = make(frames)
            training[name] = trained(forward, net.parameters(), labels)
            passes[name] = forward

    def without_gradients(forward: Forward) -> Step:
        def step() -> None:
            with torch.no_grad():
                forward()

        return step

    return training, {name: without_gradients(forward) for name, forward in passes.items()}


def check(frames: Tensor, labels: Tensor) -> float:
    """Raises AssertionError unless `bp` and the plain loop have the same gradients; returns the rate of spikes."""
    one, other = network(), network()
    rule = rules.bp(one)
    rule.backward(torch.nn.functional.cross_entropy(rule.forward(frames).flatten(0, 1), labels))
    torch.nn.functional.cross_entropy(loop(other, frames)().flatten(0, 1), labels).backward()
    for left, right in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(left.grad, right.grad, rtol=1e-3, atol=1e-3 * float(right.grad.abs().max()))
    with torch.no_grad():
        return float(one[:2](frames).mean())


def measure(rounds: int, steps: int, batch: int) -> dict[str, object]:
    torch.manual_seed(0)
    frames = (torch.rand(steps, batch, INPUTS) < INPUT_RATE).float()
    labels = torch.randint(OUTPUTS, (steps * batch,))
    measured: dict[str, object] = {"spike_rate": check(frames, labels)}
    for what, works in zip(("training", "forward"), contenders(frames, labels), strict=True):
        times = in_turns(works, rounds, warm_up=2)
        first = next(iter(works))
        rows = {name: speed(times[LOOP], spent) for name, spent in times.items()}
        for name, row in rows.items():
            row["samples_per_second"] = batch / row["milliseconds"] * 1e3
            row["first_is_times_as_fast"] = speed(times[name], times[first])["times_as_fast"]
            print(f"{what:9s} {name:13s} {row['milliseconds']:8.1f} ms  {row['times_as_fast']:6.2f} times the loop")
        measured[what] = rows
    return measured


def main() -> None:
    arguments = parser(__doc__, 15, threads=1)
    arguments.add_argument("--steps", type=int, default=100, help="time steps T")
    arguments.add_argument("--batch", type=int, default=64, help="samples per step")
    arguments.add_argument("--keep", action="store_true", help="keep the memory that is freed")
    options = arguments.parse_args()
    if options.keep and not allocator.keep():
        arguments.error("--keep needs glibc, and an environment without settings of its own")
    torch.set_num_threads(options.threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the other libraries
        measured = measure(options.rounds, options.steps, options.batch)
    settings = about(steps=options.steps, batch=options.batch, rounds=options.rounds, keeps=options.keep)
    save(options.json, {**settings, "kernels": kernels.active(), **measured})


if __name__ == "__main__":
    main()
