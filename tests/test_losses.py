from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from onchip.errors import RequestError
from onchip.losses import StepLoss, Winner, predict

LABELS = torch.tensor([2, 0, 1])


def test_equals_its_formula_step_by_step() -> None:
    out = torch.randn(5, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    onehot = F.one_hot(LABELS, 4).double()
    expected = torch.stack([0.7 * F.cross_entropy(o, LABELS) + 0.3 * ((o - onehot) ** 2).mean() for o in out]).mean()
    torch.testing.assert_close(StepLoss(mix=0.3)(out, LABELS), expected)


def test_is_cross_entropy_without_time_steps() -> None:
    out = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(StepLoss()(out, LABELS), F.cross_entropy(out, LABELS))


def test_error_of_each_step_has_its_share_of_the_time() -> None:
    out = torch.zeros(6, 3, 4, requires_grad=True)
    StepLoss(mix=0.0)(out, LABELS).backward()
    assert out.grad is not None
    expected = (torch.full((3, 4), 0.25) - F.one_hot(LABELS, 4)) / (6 * 3)  # dL/do[t] of softmax cross-entropy
    torch.testing.assert_close(out.grad, expected.expand(6, 3, 4))


@pytest.mark.parametrize("shape", [(5, 3, 4), (3, 4)])
def test_the_loss_is_the_mean_of_each_samples(shape: tuple[int, ...]) -> None:
    out = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    each = StepLoss(mix=0.3).each(out, LABELS)
    assert each.shape == shape[:-1]
    torch.testing.assert_close(each.mean(), StepLoss(mix=0.3)(out, LABELS))
    first = StepLoss(mix=0.3)(out[..., :1, :], LABELS[:1])
    torch.testing.assert_close(each[..., 0].mean(), first)


def test_prediction_sums_over_time() -> None:
    out = torch.tensor([[[3.0, 0.0]], [[0.0, 2.0]], [[0.0, 2.0]]])  # (T=3, B=1, classes=2)
    assert predict(out).tolist() == [1]
    assert predict(out[0]).tolist() == [0]


def test_prediction_is_of_the_sum_or_of_the_last_step() -> None:
    out = torch.tensor([[[5.0, 0.0]], [[0.0, 2.0]], [[0.0, 2.0]]])
    assert predict(out).tolist() == [0]
    assert predict(out, last=True).tolist() == [1]


@pytest.mark.parametrize("mix", [-0.1, 1.1, float("nan")])
def test_refuses_a_mix_out_of_range(mix: float) -> None:
    with pytest.raises(RequestError, match="mix="):
        StepLoss(mix=mix)


def test_refuses_other_shapes() -> None:
    with pytest.raises(RequestError, match=r"\(4,\)"):
        StepLoss()(torch.zeros(4), LABELS)


TARGETS = torch.tensor([[2, -1, -1], [-1, 0, 1], [2, 0, -1], [-1, -1, -1]])  # (T=4, B=3)


def test_a_mean_is_over_the_steps_with_a_target() -> None:
    out = torch.randn(4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    own = [(t, b) for t in range(4) for b in range(3) if TARGETS[t, b] >= 0]
    terms = []
    for t, b in own:
        onehot = F.one_hot(TARGETS[t, b], 5).double()
        terms.append(0.7 * F.cross_entropy(out[t, b], TARGETS[t, b]) + 0.3 * ((out[t, b] - onehot) ** 2).mean())
    loss, each = StepLoss(mix=0.3)(out, TARGETS), StepLoss(mix=0.3).each(out, TARGETS)
    torch.testing.assert_close(loss, torch.stack(terms).mean())
    torch.testing.assert_close(each.mean(), loss)
    for (t, b), term in zip(own, terms, strict=True):
        torch.testing.assert_close(each[t, b], term * 12 / len(own))
    assert torch.equal(each != 0, TARGETS >= 0)
    (got,) = torch.autograd.grad(loss, out)
    (expected,) = torch.autograd.grad(torch.stack(terms).mean(), out)
    torch.testing.assert_close(got, expected)
    assert torch.equal((got != 0).any(2), TARGETS >= 0)


def test_targets_at_every_step_are_one_per_sample() -> None:
    out = torch.randn(4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for loss in (StepLoss(), Winner()):
        torch.testing.assert_close(loss(out, LABELS.expand(4, 3)), loss(out, LABELS))
        torch.testing.assert_close(loss.each(out, LABELS.expand(4, 3)), loss.each(out, LABELS))


def test_without_any_target_there_is_no_loss_and_no_error() -> None:
    out = torch.randn(4, 3, 5, requires_grad=True)
    for loss in (StepLoss(), Winner()):
        value = loss(out, torch.full((4, 3), -1))
        (error,) = torch.autograd.grad(value, out)
        assert value.item() == 0.0
        assert error.abs().max() == 0.0


def test_a_drawn_error_is_a_spike_pair_at_each_target_and_its_share_of_them() -> None:
    out = torch.zeros(4, 3, 5, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(0)
    loss = Winner()(out, TARGETS)
    torch.testing.assert_close(loss, torch.tensor(5.0).double().log())
    (error,) = torch.autograd.grad(loss, out)
    assert set((error * 5).round(decimals=9).unique().tolist()) == {-1.0, 0.0, 1.0}, "5 steps have a target"
    assert bool((error[TARGETS < 0] == 0).all())
    draws = []
    for _ in range(400):
        draws.append(torch.autograd.grad(Winner()(out, TARGETS), out)[0])
    onehot = F.one_hot(TARGETS.clamp(min=0), 5)
    expected = torch.where(TARGETS[..., None] >= 0, (0.2 - onehot) / 5, 0.0)
    assert (torch.stack(draws).mean(0) - expected).abs().max() < 5 * 0.4 / 5 / 20  # 5 standard deviations


def test_prediction_is_of_the_steps_that_count() -> None:
    out = torch.tensor([[[9.0, 0.0], [0.0, 9.0]], [[0.0, 1.0], [3.0, 1.0]], [[2.0, 0.0], [0.0, 1.0]]])  # (3, 2, 2)
    where = torch.tensor([[False, True], [True, True], [True, False]])
    assert predict(out, where=where).tolist() == [0, 1]
    assert predict(out, where=where, last=True).tolist() == [0, 0]
    where = torch.tensor([[False, False], [True, True], [False, True]])
    assert predict(out, where=where).tolist() == [1, 0]
    assert predict(out, where=where, last=True).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("out", "labels", "said"),
    [
        (
            torch.zeros(4, 3, 5),
            torch.zeros(3, 4).long(),
            r"labels of shape \(3, 4\) .*\(3,\) or, per time step, \(4, 3\)",
        ),
        (torch.zeros(4, 3, 5), torch.zeros(4).long(), r"labels of shape \(4,\)"),
        (torch.zeros(3, 5), torch.zeros(4, 3).long(), r"labels of shape \(4, 3\) .*expected one per sample, \(3,\)$"),
    ],
)
def test_refuses_labels_of_other_shapes(out: torch.Tensor, labels: torch.Tensor, said: str) -> None:
    for loss in (StepLoss(), StepLoss().each, Winner()):
        with pytest.raises(RequestError, match=said):
            loss(out, labels)
