"""Goals: which class the loss of an attack is taken for, and whether the attack climbs or descends it."""

from __future__ import annotations

from typing import Protocol

import torch

from cloakbench.attacks.problem import Source


class Goal(Protocol):
    """direction: +1 climbs the loss, -1 descends it."""

    direction: int

    def classes(self, source: Source, clean: torch.Tensor) -> torch.Tensor:
        """(B,), chosen once on the clean faces."""
        ...


class Untargeted:
    """Away from the true class: climb J(x, y_true)."""

    direction = +1

    def classes(self, source: Source, clean: torch.Tensor) -> torch.Tensor:
        return source.labels


class LeastLikely:
    """Towards the class that the clean face resembles least: descend J(x, y_LL), y_LL = argmin of its logits."""

    direction = -1

    def classes(self, source: Source, clean: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return source.logits(clean).argmin(dim=1)


GOALS: dict[str, Goal] = {"untargeted": Untargeted(), "least_likely": LeastLikely()}
