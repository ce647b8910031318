"""Norms that a budget is held in. Grey levels: pictures are (B, 3, H, W), 0..255."""

from __future__ import annotations

from collections.abc import Callable

import torch


def box(clean: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The lowest and the highest picture within `eps` grey levels of `clean`, pixel by pixel, and within 0..255."""
    return (clean - eps).clamp(min=0), (clean + eps).clamp(max=255)


def linf(moved: torch.Tensor) -> torch.Tensor:
    """The largest change of any pixel, grey levels, (B,).

    >>> linf(torch.tensor([[[[1.0, -3.0]]], [[[0.0, 2.0]]]]))
    tensor([3., 2.])
    """
    return moved.abs().flatten(1).amax(dim=1)


NORMS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"linf": linf}  # crafted minus clean -> (B,)
