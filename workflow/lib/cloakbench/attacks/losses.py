"""What each goal climbs. J is the cross-entropy of a recogniser's logits, f(x) its embedding, of unit length."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F

from cloakbench.attacks.draws import Draws
from cloakbench.attacks.problem import Source

TARGETS = -2  # the iteration, as draws count them, whose numbers choose targets


class Loss(Protocol):
    def aims(self, source: Source, clean: torch.Tensor, draws: Draws) -> torch.Tensor:
        """(B, ...): whom or what each face is to be taken for, or no longer for. Chosen once, on the clean faces."""
        ...

    def climbed(self, source: Source, x: torch.Tensor, aims: torch.Tensor) -> torch.Tensor:
        """(B,): what the attack climbs, of pictures x (B, 3, H, W) in grey levels."""
        ...


class Untargeted:
    """Away from the true class: J(x, y_true)."""

    def aims(self, source: Source, clean: torch.Tensor, draws: Draws) -> torch.Tensor:
        return source.labels

    def climbed(self, source: Source, x: torch.Tensor, aims: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(source.logits(x), aims, reduction="none")


class LeastLikely:
    """Towards the class that the clean face resembles least: -J(x, y_LL), y_LL = argmin of its logits."""

    def aims(self, source: Source, clean: torch.Tensor, draws: Draws) -> torch.Tensor:
        return source.logits(clean).argmin(dim=1)

    def climbed(self, source: Source, x: torch.Tensor, aims: torch.Tensor) -> torch.Tensor:
        return -F.cross_entropy(source.logits(x), aims, reduction="none")


class Target(LeastLikely):
    """Towards a class that is drawn for each face, any but the true one."""

    def aims(self, source: Source, clean: torch.Tensor, draws: Draws) -> torch.Tensor:
        others = source.logits(clean[:1]).shape[1] - 1
        drawn = (draws.uniform(TARGETS, 0, (1,))[:, 0] * others).long()
        return drawn + (drawn >= source.labels)


class Margin:
    """Past the border to the nearest other class: max_{j != y} z_j - z_y, which no softmax saturates (Carlini, Wagner,
    arXiv 1608.04644)."""

    def aims(self, source: Source, clean: torch.Tensor, draws: Draws) -> torch.Tensor:
        return source.labels

    def climbed(self, source: Source, x: torch.Tensor, aims: torch.Tensor) -> torch.Tensor:
        logits = source.logits(x)
        others = logits.scatter(1, aims[:, None], -torch.inf).amax(dim=1)
        return others - logits.gather(1, aims[:, None])[:, 0]


class Away:
    """Away from the person's own template t: -cos(f(x), t)."""

    def aims(self, source: Source, clean: torch.Tensor, draws: Draws) -> torch.Tensor:
        return source.own()

    def climbed(self, source: Source, x: torch.Tensor, aims: torch.Tensor) -> torch.Tensor:
        return -(source.embeddings(x) * aims).sum(dim=1)


class AwayClean(Away):
    """Away from the clean picture itself: -cos(f(x), f(clean)), whose gradient there is zero: it needs a start."""

    def aims(self, source: Source, clean: torch.Tensor, draws: Draws) -> torch.Tensor:
        return source.embeddings(clean)


class Towards:
    """Towards the other person whom the clean face resembles most: cos(f(x), t)."""

    def aims(self, source: Source, clean: torch.Tensor, draws: Draws) -> torch.Tensor:
        return source.templates[likeness_to_others(source, clean).argmax(dim=1)]

    def climbed(self, source: Source, x: torch.Tensor, aims: torch.Tensor) -> torch.Tensor:
        return (source.embeddings(x) * aims).sum(dim=1)


class Triplet:
    """From the own template t towards the person u whom the clean face resembles least: |f(x) - t|^2 - |f(x) - u|^2.

    The triplet loss with the cloaked face as anchor, turned round (Ulixes: Cilloni et al., PETS 2022), without a hinge.
    """

    def aims(self, source: Source, clean: torch.Tensor, draws: Draws) -> torch.Tensor:
        others = likeness_to_others(source, clean)
        others[others == -torch.inf] = torch.inf
        return torch.stack([source.own(), source.templates[others.argmin(dim=1)]], dim=1)

    def climbed(self, source: Source, x: torch.Tensor, aims: torch.Tensor) -> torch.Tensor:
        from_own, from_other = (source.embeddings(x)[:, None] - aims).square().sum(dim=2).T
        return from_own - from_other


def likeness_to_others(source: Source, x: torch.Tensor) -> torch.Tensor:
    """(B, C): cosines between faces and templates; their own is below all."""
    return (source.embeddings(x) @ source.templates.T).scatter(1, source.labels[:, None], -torch.inf)


LOSSES: dict[str, Loss] = {
    "untargeted": Untargeted(),
    "least_likely": LeastLikely(),
    "target": Target(),
    "margin": Margin(),
    "away": Away(),
    "away_own_photos": Away(),
    "away_clean": AwayClean(),
    "towards": Towards(),
    "triplet": Triplet(),
}
