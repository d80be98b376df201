"""OPZO: the estimate approaches the derivative that it stands for, and no error passes from layer to layer."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from onchip import Static, nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.centering import Antithetic, Causal, Centering, LeaveOneOut, Uncentered
from onchip.learning.noise import Gaussian, Noise, Rademacher, Sphere
from onchip.learning.rule import Rule

STEPS, BATCH, CLASSES = 6, 64, 5


def network() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 40), nn.LIF(), nn.Linear(40, 30), nn.LIF(), nn.Linear(30, CLASSES))
    with torch.no_grad():
        for layer in (model[0], model[2]):
            assert isinstance(layer, nn.Linear)
            layer.weight.mul_(3.0)
        readout = model[4]
        assert isinstance(readout, nn.Linear)
        readout.bias.copy_(torch.tensor([3.0, -3.0, 2.0, -2.0, 1.0]))  # as trained networks have, classes differ
    return model


def signal(seed: int) -> Static:
    return Static(torch.rand(BATCH, 20, generator=torch.Generator().manual_seed(seed)), STEPS)


def probe(rule: Rule, batches: int) -> dict[str, Tensor]:
    """The estimates after some batches on frozen weights."""
    for seed in range(batches):
        rule.forward(signal(seed))
    return rule.state_dict()


def cosine(a: Tensor, b: Tensor) -> float:
    return F.cosine_similarity(a.flatten(), b.flatten(), 0).item()


def estimated(centering: Centering, noise: Noise = Rademacher()) -> float:
    """Cosine of the last hidden layer's estimate to the transposed read-out after 100 batches."""
    model = network()
    state = probe(rules.opzo(model, centering=centering, noise=noise), 100)
    readout = model[4].weight
    assert isinstance(readout, Tensor)
    return cosine(state["estimate_2"], readout.detach().t())


@pytest.mark.parametrize("noise", [Gaussian(), Rademacher(), Sphere()])
def test_the_estimate_of_the_last_hidden_layer_approaches_the_readout(noise: Noise) -> None:
    assert estimated(LeaveOneOut(), noise) > 0.9


def test_leave_one_out_is_clearly_better_than_no_centering() -> None:
    assert estimated(LeaveOneOut()) > estimated(Uncentered()) + 0.02


@pytest.mark.parametrize("centering", [Causal(), Antithetic()])
def test_other_centerings_approach_it_too(centering: Centering) -> None:
    assert estimated(centering) > 0.9


@pytest.mark.parametrize("centering", [LeaveOneOut(), Causal(), Uncentered()])
def test_the_corrected_estimate_has_the_size_of_the_readout(centering: Centering) -> None:
    """A wrong scale would hide behind Adam; the projection along the true direction does not."""
    model = network()
    momentum, batches = 0.99, 200
    state = probe(rules.opzo(model, momentum=momentum, centering=centering), batches)
    readout = model[4].weight
    assert isinstance(readout, Tensor)
    along = float((state["estimate_2"] * readout.detach().t()).sum() / readout.detach().square().sum())
    assert along == pytest.approx(1.0, abs=0.1)


def test_estimate_and_update_equal_their_formulas() -> None:
    """One sequence, written out step by step with the noise that the rule drew."""
    model = network()
    momentum, scale = 0.9, 0.3
    rule = rules.opzo(model, momentum=momentum, scale=scale, noise=Gaussian())
    rest = torch.random.get_rng_state()
    out = rule.forward(signal(0))
    rule.backward(out.square().sum())
    torch.random.set_rng_state(rest)
    noise = [torch.randn(STEPS, BATCH, n) for n in (40, 30)]

    weights = [layer.weight.detach() for layer in (model[0], model[2], model[4]) if isinstance(layer, nn.Linear)]
    biases = [layer.bias.detach() for layer in (model[0], model[2], model[4]) if isinstance(layer, nn.Linear)]
    x = signal(0).expand()
    received, traces, potentials = [x], [], []
    for layer in range(2):
        trace = membrane = torch.zeros(1)
        kept_traces, kept_potentials, sent = [], [], []
        for t in range(STEPS):
            trace = 0.5 * trace + received[-1][t]
            potential = 0.5 * membrane + received[-1][t] @ weights[layer].t() + biases[layer]
            spikes = (potential >= 1).float()
            membrane = potential - spikes
            kept_traces.append(trace)
            kept_potentials.append(potential)
            sent.append(spikes + scale * noise[layer][t])
        traces.append(torch.stack(kept_traces))
        potentials.append(torch.stack(kept_potentials))
        received.append(torch.stack(sent))
    output = received[2] @ weights[2].t() + biases[2]
    torch.testing.assert_close(out.detach(), output, rtol=1e-4, atol=1e-4)

    centered = (output - output.mean(1, keepdim=True)) * BATCH / (BATCH - 1)
    centered = (centered - centered.mean(0)) * STEPS / (STEPS - 1)
    error = 2 * output
    for index, trained in ((1, model[0]), (2, model[2])):
        assert isinstance(trained, nn.Linear)
        estimate = torch.einsum("tbn,tbm->nm", noise[index - 1], centered) / (scale * STEPS * BATCH)
        gate = torch.sigmoid(4 * (potentials[index - 1] - 1))
        delta = 4 * gate * (1 - gate) * torch.einsum("nm,tbm->tbn", estimate, error)
        update = torch.einsum("tbn,tbm->nm", delta, traces[index - 1])
        torch.testing.assert_close(rule.state_dict()[f"estimate_{index}"], estimate, rtol=1e-3, atol=1e-5)
        assert trained.weight.grad is not None
        torch.testing.assert_close(trained.weight.grad, update, rtol=1e-3, atol=1e-3 * float(update.abs().max()))


def test_the_last_hidden_layers_update_approaches_ottts() -> None:
    model = network()
    rule = rules.opzo(model, momentum=0.99)
    probe(rule, 200)
    model.eval()  # the estimate is there; now no noise
    rule.backward(rule.forward(signal(1000)).square().mean())
    layer = model[2]
    assert isinstance(layer, nn.Linear)
    ours = layer.weight.grad
    rule.detach()
    model.zero_grad()
    truth = rules.ottt(model)
    truth.backward(truth.forward(signal(1000)).square().mean())
    assert ours is not None
    assert layer.weight.grad is not None
    assert cosine(ours, layer.weight.grad) > 0.9


def test_no_error_passes_from_layer_to_layer() -> None:
    rule, ledger = rules.opzo(network()), Ledger()
    rule.observe(ledger)
    rule.backward(rule.forward(signal(0)).square().mean())
    bill = ledger.summary()
    assert bill["products_backward"] == bill["weights_transported"] == 0
    assert bill["products_direct"] == STEPS * BATCH * (40 + 30) * CLASSES


def test_noise_falls_silent_when_asked() -> None:
    model = network()
    rule = rules.opzo(model, quiet_after=1)
    rule.backward(rule.forward(signal(0)).square().mean())
    rule.step()
    with torch.no_grad():
        clean = model(signal(1))
    assert torch.equal(rule.forward(signal(1)).detach(), clean)


def test_a_checkpoint_keeps_the_estimate() -> None:
    outcomes = []
    for restored in (False, True):
        model = network()
        rule = rules.opzo(model)
        torch.manual_seed(1)
        rule.backward(rule.forward(signal(0)).square().mean())
        rule.step()
        model.zero_grad()
        if restored:
            state = {key: value.clone() for key, value in rule.state_dict().items()}
            rule.detach()
            rule = rules.opzo(model)
            rule.load_state_dict(state)
        torch.manual_seed(2)
        rule.backward(rule.forward(signal(1)).square().mean())
        outcomes.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))


def test_it_streams() -> None:
    model = network()
    rule = rules.opzo(model, centering=Causal())
    for out in rule.stream(signal(0)):
        rule.backward(out.square().mean())
    layer = model[0]
    assert isinstance(layer, nn.Linear)
    assert layer.weight.grad is not None
    assert bool(layer.weight.grad.isfinite().all())


def test_one_step_is_centred_over_the_batch_and_says_so() -> None:
    rule = rules.opzo(network(), noise=Gaussian(), momentum=0.0)
    torch.manual_seed(1)
    with pytest.warns(UserWarning, match="LeaveOneOut got one time step at a time.*Causal"):
        out = rule.forward(Static(torch.rand(BATCH, 20), 1))
    torch.manual_seed(1)
    torch.rand(BATCH, 20)
    torch.randn(BATCH * 40)
    noise = torch.randn(BATCH, 30)
    output = out.detach()[0]
    centered = (output - output.mean(0)) * BATCH / (BATCH - 1)
    expected = noise.t() @ centered / (0.2 * BATCH)
    torch.testing.assert_close(rule.state_dict()["estimate_2"], expected, rtol=1e-3, atol=1e-4)


class Replayed(Noise):
    """The same noise for a sequence at once and step by step."""

    def __init__(self) -> None:
        self.kept: dict[int, Tensor] = {}
        self.place: dict[int, int] = {}

    def __call__(self, like: Tensor) -> Tensor:
        units = like.shape[-1]
        if units not in self.kept:
            self.kept[units] = torch.randn(STEPS, BATCH, units, dtype=like.dtype)
        begin = self.place.get(units, 0)
        self.place[units] = (begin + len(like)) % STEPS
        return self.kept[units][begin : begin + len(like)].clone()


@pytest.mark.parametrize("centering", [Causal(), Uncentered()])
def test_streams_add_up_to_the_whole_sequence_with_an_estimate_a_step(centering: Centering) -> None:
    model = network().double()
    frames = signal(0).expand().double()
    slope = torch.linspace(-1.0, 1.0, STEPS * BATCH * CLASSES, dtype=torch.float64).view(STEPS, BATCH, CLASSES)
    noise, outcomes = Replayed(), []
    for streamed in (False, True):
        rule = rules.opzo(model, noise=noise, centering=centering, momentum=0.9, each_step=True)
        model.zero_grad()
        if streamed:
            for t, out in enumerate(rule.stream(frames)):
                rule.backward((out * slope[t : t + 1]).sum())
        else:
            rule.backward((rule.forward(frames) * slope).sum())
        state = [value.clone() for name, value in rule.state_dict().items() if name.startswith("estimate")]
        outcomes.append([p.grad.clone() for p in model.parameters() if p.grad is not None] + state)
        rule.detach()
    for whole, stream in zip(*outcomes, strict=True):
        assert bool(whole.any())
        torch.testing.assert_close(whole, stream)


def test_a_look_in_mid_stream_changes_nothing() -> None:
    model, updates = network(), []
    for looks in (False, True):
        torch.manual_seed(3)
        rule = rules.opzo(model, centering=Causal())
        model.zero_grad()
        for out in rule.stream(signal(0)):
            rule.backward(out.square().mean())
            if looks:
                with torch.no_grad():
                    state = torch.get_rng_state()
                    rule.forward(signal(1))
                    torch.set_rng_state(state)
        updates.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
        rule.detach()
    assert all(torch.equal(a, b) for a, b in zip(*updates, strict=True))


def test_noise_before_neurons_that_do_nothing_is_noise_after_them() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 30), nn.Linear(30, 30), nn.Linear(30, CLASSES))
    updates = []
    for place in ("after", "before"):
        rule = rules.opzo(model, place=place)
        model.zero_grad()
        torch.manual_seed(1)
        rule.backward(rule.forward(signal(0)).square().mean())
        updates.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
        rule.detach()
    assert len(updates[0]) == 6
    torch.testing.assert_close(*updates)


def test_noise_before_the_neurons_finds_their_mean_derivative() -> None:
    """The last hidden layer's estimate is the read-out's transpose, times how much each neuron heeds its drive."""
    model = network()
    rule = rules.opzo(model, place="before", momentum=0.99)
    state = probe(rule, 300)
    readout = model[4].weight
    assert isinstance(readout, Tensor)
    estimate, transposed = state["estimate_2"], readout.detach().t()
    heeds = (estimate * transposed).sum(1) / transposed.square().sum(1)  # one number a neuron
    assert float((heeds > 0).float().mean()) > 0.9
    assert cosine(estimate, heeds.unsqueeze(1) * transposed) > 0.9


def test_noise_before_the_neurons_learns_before_the_pool() -> None:
    torch.manual_seed(0)
    first = [nn.Conv2d(1, 4, 3, padding=1), nn.LIF(threshold=0.3), nn.AvgPool2d(2)]
    model = nn.Sequential(*first, nn.Flatten(), nn.Linear(64, CLASSES))
    rule, ledger = rules.opzo(model, place="before"), Ledger()
    rule.observe(ledger)
    images = Static(torch.rand(8, 1, 8, 8), STEPS)
    rule.backward(rule.forward(images).square().mean())
    assert rule.state_dict()["estimate_1"].shape == (4 * 8 * 8, CLASSES)
    assert ledger.summary()["products_backward"] == 0
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(rule.forward(images), model(images))


def test_refusals() -> None:
    model = network()
    for options in ({"scale": 0.0}, {"scale": math.nan}, {"momentum": 1.0}, {"quiet_after": 0}):
        with pytest.raises(RequestError, match=next(iter(options))):
            rules.opzo(model, **options)
    with pytest.raises(UnsupportedError, match="TTFS"):
        rules.opzo(nn.Sequential(nn.Linear(4, 3, bias=False), nn.TTFS(), nn.Linear(3, 2, bias=False), nn.TTFSReadout()))
    rule = rules.opzo(model, centering=Antithetic())
    with pytest.raises(RequestError, match="even number"):
        rule.forward(Static(torch.rand(2, 20), 5))
    rule.detach()
    rule = rules.opzo(model)
    model.eval()
    out = rule.forward(signal(0))
    with pytest.raises(RequestError, match="not probed"):
        rule.backward(out.square().mean())
