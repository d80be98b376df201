"""Networks by name, for any image size: a new one is a line here and its name in `__all__`."""

from onchip.models.layout import Layout
from onchip.models.residual import ResNet

__all__ = [
    "conv4",
    "conv5",
    "conv9",
    "conv9_narrow",
    "conv_deep",
    "conv_dense",
    "conv_small",
    "conv_wide",
    "mlp",
    "mlp_narrow",
    "mlp_tapered",
    "mlp_wide",
    "recurrent",
    "resnet8",
    "resnet18",
    "resnet34",
    "vgg7",
    "vgg11",
]

mlp = Layout("F256-F256")
mlp_wide = Layout("F800-F800", "Xiao et al. 2024 (OPZO, arXiv 2407.12516), MNIST")
mlp_narrow = Layout("F200", "Biswas et al. 2023 (SSNN-BP, arXiv 2207.09755)")
mlp_tapered = Layout("F200-F100", "`mlp-narrow` with one more layer")

recurrent = Layout("R128", "a recurrent layer for sequences")

conv_small = Layout("16C3-P2-32C3-P2")
conv_wide = Layout("32C3-P2-64C3-P2")
conv_deep = Layout("16C3-16C3-P2-32C3-32C3-P2")
conv_dense = Layout("16C3-P2-32C3-P2-F128", "`conv-small` with a hidden layer of many inputs before the read-out")

conv4 = Layout("64C3WS-P2-128C3WS-P2-256C3WS-P2")
conv5 = Layout(
    "128C3WS-P2-256C3WS-P2-512C3WS-P2-512C3WS",
    "Xiao et al. 2024 (OPZO, arXiv 2407.12516), CIFAR-10; the widths are from memory",
)
conv9 = Layout(
    "64C3WS-128C3WS-P2-256C3WS-256C3WS-P2-512C3WS-512C3WS-P2-512C3WS-512C3WS",
    "Xiao et al. 2022 (OTTT, NeurIPS), CIFAR-10, who call it VGG; the widths are from memory",
)
conv9_narrow = Layout(
    "16C3WS-32C3WS-P2-64C3WS-64C3WS-P2-128C3WS-128C3WS-P2-128C3WS-128C3WS",
    "`conv9` with a quarter of its maps per layer and a sixteenth of its work: nine layers for a CPU",
)

vgg7 = Layout("64C3-128C3-P2-256C3-256C3-P2-512C3-512C3-P2", "Goupy et al. 2025 (arXiv 2505.13741), CIFAR-10")
vgg11 = Layout(
    "128C3-128C3-128C3-P2-256C3-256C3-256C3-P2-512C3-512C3-512C3-512C3-P2",
    "Goupy et al. 2025 (arXiv 2505.13741), CIFAR-100",
)

resnet8 = ResNet(16, (1, 1, 1), "He et al. 2016 (CVPR), section 4.2 with n = 1, for a CPU")
resnet18 = ResNet(64, (2, 2, 2, 2), "He et al. 2016 (CVPR), table 1, with the stem of their CIFAR-10 networks")
resnet34 = ResNet(64, (3, 4, 6, 3), "He et al. 2016 (CVPR), table 1, with the stem of their CIFAR-10 networks")
