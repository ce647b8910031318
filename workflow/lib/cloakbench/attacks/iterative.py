"""Attacks: BIM and ILLC (Kurakin, Goodfellow, Bengio, arXiv 1607.02533) as one walk along the sign of the gradient.

Grey levels throughout: faces are float32 tensors (N, 3, H, W) that hold whole numbers 0..255.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F

Model = Callable[[torch.Tensor], torch.Tensor]  # grey levels (N, 3, H, W) -> logits (N, C)


class Goal(Protocol):
    """Which class the loss is taken for, and whether the attack climbs (+1) or descends (-1) it."""

    direction: int

    def classes(self, model: Model, clean: torch.Tensor, labels: torch.Tensor) -> torch.Tensor: ...


class Untargeted:
    """Away from the true class: climb J(x, y_true)."""

    direction = +1

    def classes(self, model: Model, clean: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return labels


class LeastLikely:
    """Towards the class that the clean face resembles least: descend J(x, y_LL), y_LL = argmin of its logits."""

    direction = -1

    def classes(self, model: Model, clean: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return model(clean).argmin(dim=1)


def iterations(eps: int) -> int:
    """min(eps + 4, 1.25 eps), rounded down: 5, 10, 20, 36, 68, 132 for eps 4, 8, 16, 32, 64, 128."""
    return int(min(eps + 4, 1.25 * eps))


@dataclass(frozen=True)
class IterativeSign:
    """x <- Clip(x + direction * alpha * sign(grad_x J(x, y))), from the clean face, with no random start.

    step_size: alpha, in whole grey levels, so that every iterate is a whole number and 8-bit storage exact.
    """

    goal: Goal
    step_size: int

    def shared_steps(self, eps: int) -> int:
        """How many first steps of budget eps are those of every larger budget as well.

        After i steps no pixel has moved by more than i * alpha, so the clip to eps is idle until then.
        """
        return min(eps // self.step_size, iterations(eps))

    def aims(self, model: Model, clean: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The class of each face that the loss is taken for, (N,), chosen once on the clean face."""
        with torch.no_grad():
            return self.goal.classes(model, clean, labels)

    def walk(
        self, model: Model, start: torch.Tensor, clean: torch.Tensor, aims: torch.Tensor, eps: int, steps: Iterable
    ) -> torch.Tensor:
        """One iteration for each of `steps`, from `start`, within eps of `clean`."""
        lowest, highest = (clean - eps).clamp(min=0), (clean + eps).clamp(max=255)
        x = start
        for _ in steps:
            step = self.goal.direction * self.step_size * input_gradient(model, x, aims).sign()
            x = torch.clamp(x + step, lowest, highest)
        return x


def input_gradient(model: Model, x: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """grad_x of the cross-entropy J(x, classes); summed over the batch, so no face changes another's gradient."""
    x = x.detach().requires_grad_()
    loss = F.cross_entropy(model(x), classes, reduction="sum")
    return torch.autograd.grad(loss, x)[0]


GOALS: dict[str, Goal] = {"untargeted": Untargeted(), "least_likely": LeastLikely()}
FAMILIES = {"iterative_sign": IterativeSign}


def attack(family: str, goal: str, **settings: int) -> IterativeSign:
    """The attack that a config entry describes; its names were checked by the config's schema."""
    return FAMILIES[family](goal=GOALS[goal], **settings)
