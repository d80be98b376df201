from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from onchip.errors import RequestError
from onchip.losses import StepLoss, predict

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
