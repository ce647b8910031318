"""Gradients of what attacks climb, with respect to the picture."""

from __future__ import annotations

from collections.abc import Callable

import torch


def input_gradient(climbed: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """grad_x of what is climbed, a number a face, (B,). Summed over the batch, so that no face changes another's
    gradient: (B, 3, H, W)."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(climbed(x).sum(), x)[0]
