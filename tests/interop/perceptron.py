"""A small network to export, for tests."""

from onchip import nn


def perceptron() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), nn.LIF(reset="hard"), nn.Linear(8, 3))
