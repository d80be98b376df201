"""Units that send a number, or the share of steps in which a train for it has a spike."""

from __future__ import annotations

import torch

from onchip import nn
from onchip.nn.spike_train import BernoulliTrain


def test_what_is_printed_names_the_train_where_there_is_one() -> None:
    assert repr(nn.Rate()) == "Rate()"
    assert repr(nn.Rate(trials=8, train=BernoulliTrain())) == "Rate(trials=8, train=BernoulliTrain())"


def test_activity_is_the_drive_between_0_and_1_or_a_share_of_trials() -> None:
    drive = torch.tensor([[[-1.0, 0.0, 0.3, 1.0, 7.0]]])
    assert torch.equal(nn.Rate()(drive), drive.clamp(0, 1))
    shares = nn.Rate(trials=10)(drive.expand(50, 4, 5))
    assert set((shares * 10).round().flatten().tolist()) <= {0.0, 3.0, 10.0}
    torch.testing.assert_close(shares * 10, (shares * 10).round())
