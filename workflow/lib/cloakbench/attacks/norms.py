"""Norms that a budget is held in. Grey levels: pictures are (B, 3, H, W), 0..255."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

Projection = Callable[[torch.Tensor], torch.Tensor]  # a picture -> the nearest one within the budget and 0..255
ROUNDING = 1 / 12  # mean square of what rounding to whole levels adds


class Norm(Protocol):
    def size(self, moved: torch.Tensor) -> torch.Tensor:
        """Of crafted minus clean, grey levels, (B,)."""
        ...

    def within(self, clean: torch.Tensor, eps: float) -> Projection:
        """What holds pictures within `eps` of `clean`."""
        ...

    def unit(self, direction: torch.Tensor) -> torch.Tensor:
        """The step of size 1 that goes furthest along a direction; none where there is no direction."""
        ...

    def whole(self, x: torch.Tensor, clean: torch.Tensor, eps: float) -> torch.Tensor:
        """Whole grey levels within `eps` of `clean`, next to x, which is."""
        ...


class Linf:
    """The largest change of any pixel: of the budgets of BIM."""

    def size(self, moved: torch.Tensor) -> torch.Tensor:
        """
        >>> Linf().size(torch.tensor([[[[1.0, -3.0]]], [[[0.0, 2.0]]]]))
        tensor([3., 2.])
        """
        return moved.abs().flatten(1).amax(dim=1)

    def within(self, clean: torch.Tensor, eps: float) -> Projection:
        lowest, highest = (clean - eps).clamp(min=0), (clean + eps).clamp(max=255)
        return lambda x: torch.clamp(x, lowest, highest)

    def unit(self, direction: torch.Tensor) -> torch.Tensor:
        return direction.sign()

    def whole(self, x: torch.Tensor, clean: torch.Tensor, eps: float) -> torch.Tensor:
        return self.within(clean, eps)(x.round())


class L2:
    """The root of the mean squared change, over all pixels and channels: comparable between sizes of pictures."""

    def size(self, moved: torch.Tensor) -> torch.Tensor:
        """
        >>> L2().size(torch.tensor([[[[1.0, -7.0]]], [[[0.0, 0.0]]]]))
        tensor([5., 0.], dtype=torch.float64)
        """
        return moved.double().flatten(1).square().mean(dim=1).sqrt()

    def within(self, clean: torch.Tensor, eps: float) -> Projection:
        def project(x: torch.Tensor) -> torch.Tensor:
            size = per_face(self.size(x - clean))
            return (clean + (x - clean) * (eps / size.clamp(min=eps)).float()).clamp(0, 255)

        return project

    def unit(self, direction: torch.Tensor) -> torch.Tensor:
        size = per_face(self.size(direction)).float()
        return torch.where(size > 0, direction / size, torch.zeros_like(direction))

    def whole(self, x: torch.Tensor, clean: torch.Tensor, eps: float) -> torch.Tensor:
        """Rounded to the nearest, with room for what rounding adds; where that was too little, towards the clean."""
        room = (eps**2 - 2 * ROUNDING) ** 0.5
        nearest = self.within(clean, room)(x).round()
        outside = per_face(self.size(nearest - clean)) > eps
        return torch.where(outside, clean + (x - clean).trunc(), nearest)


def per_face(numbers: torch.Tensor) -> torch.Tensor:
    """(B,) -> (B, 1, 1, 1)."""
    return numbers[:, None, None, None]


NORMS: dict[str, Norm] = {"linf": Linf(), "l2": L2()}
