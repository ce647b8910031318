"""Networks that no library builds, written here: dlib's ResNet."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

STAGES = {32: 3, 64: 3, 128: 2, 256: 2}  # channels: how many residual blocks after the one that halves the map


class DlibResNet(nn.Module):
    """dlib's face recogniser (D. King, 2017) as face-api.js lays it out: 29 convolutions, no batch norm.

    (B, 3, 150, 150) normalised RGB -> (B, outputs) embeddings, 128 in the published weights, not of unit length.
    Modules are called as that package's tensors are, with dots for slashes; its `scale` layers, a factor and a summand
    a channel, are part of the convolutions before them (`npm.py` multiplies them in). Other heights and widths from 103
    pixels on are taken too.
    """

    def __init__(self, outputs: int):
        super().__init__()
        self.conv32_down = nn.Conv2d(3, 32, 7, stride=2)
        self.blocks: list[str] = []  # in their order
        before = 32
        for channels, count in STAGES.items():
            if channels != before:
                self._append(f"conv{channels}_down", Halving(before, channels))
            for number in range(1, count + 1):
                self._append(f"conv{channels}_{number}", Residual(channels))
            before = channels
        self._append(f"conv{before}_down_out", Halving(before, before))
        self.fc = nn.Linear(before, outputs, bias=False)

    def _append(self, name: str, block: nn.Module) -> None:
        self.add_module(name, block)
        self.blocks.append(name)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(torch.relu(self.conv32_down(x)), 3, stride=2)
        for name in self.blocks:
            x = getattr(self, name)(x)
        return self.fc(x.mean((2, 3)))


class Residual(nn.Module):
    """relu(x + conv2(relu(conv1(x)))): (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv2(torch.relu(self.conv1(x))) + x)


class Halving(nn.Module):
    """A residual block whose shortcut is the mean of 2 x 2 pixels: (B, C, H, W) -> (B, D, H // 2, W // 2).

    D is C, or larger: the channels that the shortcut lacks are zeros. The first convolution pads nothing, so of an even
    height or width its branch is one pixel shorter than the shortcut: a row or column of zeros is appended.
    """

    def __init__(self, channels: int, outputs: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, outputs, 3, stride=2)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.lacking = outputs - channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch, shortcut = self.conv2(torch.relu(self.conv1(x))), F.avg_pool2d(x, 2)
        # by how much they differ, not whether: a condition on a shape cannot be traced
        missing = (0, shortcut.shape[3] - branch.shape[3], 0, shortcut.shape[2] - branch.shape[2])
        return torch.relu(F.pad(branch, missing) + F.pad(shortcut, (0, 0, 0, 0, 0, self.lacking)))
