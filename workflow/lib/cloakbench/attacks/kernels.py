"""The kernel of TI: gradients of a shifted picture are a shifted picture's gradients, so they are averaged by one."""

from __future__ import annotations

import torch
import torch.nn.functional as F

WIDTH = 3.0  # standard deviations from the middle to the edge, as in the publication's code


def gaussian(side: int) -> torch.Tensor:
    """(side, side), of sum 1: a normal density's product with itself, at `side` places up to WIDTH from its middle."""
    line = torch.exp(-(torch.linspace(-WIDTH, WIDTH, side, dtype=torch.float64) ** 2) / 2)
    kernel = torch.outer(line, line)
    return (kernel / kernel.sum()).float()


def smoothed(g: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Each channel of (B, C, H, W) with the kernel moved over it; beyond the edge is nothing."""
    channels = g.shape[1]
    kernels = kernel.to(g).expand(channels, 1, *kernel.shape)
    return F.conv2d(g, kernels, padding=kernel.shape[0] // 2, groups=channels)
