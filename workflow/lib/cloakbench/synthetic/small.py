"""Small recognisers of the paper's three block families, cheap enough to train and attack on a laptop.

Each builder takes the number of classes and returns a network from normalised faces (N, 3, H, W) to logits
(N, classes). The stems reduce the picture by 8 at once: the cost of a gradient lies in the large maps.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

Builder = Callable[[int], nn.Module]

HEAD = "fc"  # the linear layer in which each of them ends


def small_inception_resnet(classes: int) -> nn.Module:
    """Inception-ResNet (Szegedy et al. 2017, Figures 10 to 13, fewer channels and blocks) for 160 x 160 faces."""
    network = nn.Sequential(
        _unit(3, 24, 5, stride=4, padding=2),
        nn.MaxPool2d(3, 2, padding=1),
        _unit(24, 48, 1),
        _inception_a(48, 12),
        _inception_a(48, 12),
        _Reduction(48, 64),
        _inception_b(112, 32),
        _inception_b(112, 32),
        _Reduction(112, 112),
        _inception_c(224, 48),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    network.add_module(HEAD, nn.Linear(224, classes))
    return network


def small_resnet(classes: int) -> nn.Module:
    """Bottleneck ResNet (He et al. 2016) for 224 x 224 faces."""
    return _bottlenecks(classes)


def small_seresnet(classes: int) -> nn.Module:
    """Bottleneck ResNet with squeeze-and-excitation (Hu et al. 2018) for 224 x 224 faces."""
    return _bottlenecks(classes, attn_layer="se")


def _bottlenecks(classes: int, **block_args: str) -> nn.Module:
    from timm.models.resnet import Bottleneck, ResNet  # slow to import

    network = ResNet(
        Bottleneck,
        layers=(1, 2, 2, 1),
        channels=(16, 32, 48, 80),
        stem_width=12,
        stem_type="deep",
        num_classes=classes,
        block_args=block_args,
    )
    network.conv1 = nn.Conv2d(3, 24, 7, stride=4, padding=3, bias=False)
    return network


def _unit(inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, padding: int | None = None):
    """Convolution, batch norm, ReLU; padded to keep the size unless told otherwise."""
    height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    same = (height // 2, width // 2) if padding is None else padding
    conv = nn.Conv2d(inputs, outputs, (height, width), stride, same, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class _Residual(nn.Module):
    """relu(x + scale * mix(concatenated branches of x)): an Inception-ResNet block with scaled residual."""

    def __init__(self, channels: int, branches: list[nn.Module], width: int, scale: float):
        super().__init__()
        self.branches, self.scale = nn.ModuleList(branches), scale
        self.mix = nn.Conv2d(width * len(branches), channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        joined = torch.cat([branch(x) for branch in self.branches], dim=1)
        return torch.relu(x + self.scale * self.mix(joined))


def _inception_a(channels: int, width: int) -> nn.Module:
    one = _unit(channels, width, 1)
    three = nn.Sequential(_unit(channels, width, 1), _unit(width, width, 3))
    five = nn.Sequential(_unit(channels, width, 1), _unit(width, width, 3), _unit(width, width, 3))
    return _Residual(channels, [one, three, five], width, scale=0.17)


def _inception_b(channels: int, width: int) -> nn.Module:
    return _crossed(channels, width, length=7, scale=0.1)


def _inception_c(channels: int, width: int) -> nn.Module:
    return _crossed(channels, width, length=3, scale=0.2)


def _crossed(channels: int, width: int, length: int, scale: float) -> nn.Module:
    """A 1 x 1 branch beside a length x length convolution taken apart into a row and a column."""
    row, column = _unit(width, width, (1, length)), _unit(width, width, (length, 1))
    crossed = nn.Sequential(_unit(channels, width, 1), row, column)
    return _Residual(channels, [_unit(channels, width, 1), crossed], width, scale)


class _Reduction(nn.Module):
    """Halve the map: max pooling beside a strided convolution; inputs + outputs channels leave."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.conv = _unit(inputs, outputs, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((self.pool(x), self.conv(x)), dim=1)


SMALL: dict[str, Builder] = {
    "small_inception_resnet": small_inception_resnet,
    "small_resnet": small_resnet,
    "small_seresnet": small_seresnet,
}
