"""The policy and its operations equal torchvision's own."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import v2

from onchip.data.autoaugment_policy import CIFAR10, LEVELS, Operation

THEIRS = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)
OPERATIONS = sorted({operation for pair in CIFAR10 for operation in pair}, key=repr)


def test_the_policy_is_the_published_one() -> None:
    ours = [tuple((one.name, one.probability, one.level) for one in pair) for pair in CIFAR10]
    assert ours == THEIRS._policies


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("operation", OPERATIONS, ids=repr)
def test_an_operation_does_what_torchvision_does(operation: Operation, backwards: bool) -> None:
    images = torch.randint(256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    magnitudes, signed = THEIRS._AUGMENTATION_SPACE[operation.name]
    magnitude = 0.0
    if operation.level is not None:
        magnitude = float(magnitudes(LEVELS, 32, 32)[operation.level])
    expected = [
        THEIRS._apply_image_or_video_transform(
            image, operation.name, -magnitude if signed and backwards else magnitude, THEIRS.interpolation, THEIRS._fill
        )
        for image in images
    ]
    # Theirs rounds magnitudes to 32 bits, which may turn a byte that lies between two the other way.
    apart = operation(images, backwards=backwards).int() - torch.stack(expected).int()
    assert apart.abs().max() <= 1
