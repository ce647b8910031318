"""What an attack may know, and what it has to be.

Grey levels throughout: pictures are float32 tensors (B, 3, H, W), 0..255, of the canvas: the pixels that are changed
and published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F

from cloakbench.attacks.draws import Draws
from cloakbench.recognisers.views import View, whole

Model = Callable[[torch.Tensor], torch.Tensor]  # grey levels of its own input -> logits (B, C)
State = dict[str, torch.Tensor]  # what a path carries: "x", the picture in whole grey levels, and what a family needs


@dataclass(frozen=True)
class Source:
    """A recogniser that faces are crafted on. view: what it sees of the canvas. labels: (B,), the true classes by its
    own count.

    For goals about embeddings the model is a Recogniser with a gallery. others: (B, D), of unit length, the template of
    each person's other photographs, where the attacker has those in place of the gallery's.
    """

    model: Model
    labels: torch.Tensor
    view: View = whole
    others: torch.Tensor | None = None

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Of pictures x on the canvas, (B, C)."""
        return self.model(self.view(x))

    def embeddings(self, x: torch.Tensor) -> torch.Tensor:
        """Of pictures x on the canvas, (B, D), of unit length."""
        return F.normalize(self.model.embeddings(self.view(x)))

    @property
    def templates(self) -> torch.Tensor:
        """(C, D), of unit length: what the recogniser compares embeddings with."""
        return self.model.head.templates

    def own(self) -> torch.Tensor:
        """(B, D): each person's own template, as far as the attacker has one."""
        return self.templates[self.labels] if self.others is None else self.others


@dataclass(frozen=True)
class Problem:
    """One batch of one cell: all that an attack may know of it.

    sources: one recogniser, or the members of an ensemble. clean: the faces. eps: the budget, in the unit of the
    family's norm. draws: random numbers. progress: passes the numbers of iterations on, and shows people where it is.
    whole: whether pictures are to be rounded to whole grey levels in the end, as those that are published are.
    """

    sources: Sequence[Source]
    clean: torch.Tensor
    eps: int
    draws: Draws
    progress: Callable[[range], Iterable[int]] = iter
    whole: bool = True


class Attack(Protocol):
    """Of whatever family. It holds nothing of a problem: what one batch has left says nothing to the next."""

    def gradients(self, eps: int) -> int:
        """How many gradients in each source a face costs, from the clean face to the end of budget eps."""
        ...

    def craft(self, problem: Problem, state: State | None = None) -> torch.Tensor:
        """The crafted faces, within the budget in the family's norm, in whole grey levels; if the problem wants them
        otherwise, the same ones before they are rounded.

        state: of a Sharing attack's path at the problem's budget, to go on from; None: from the clean faces.
        """
        ...


class Sharing(Attack, Protocol):
    """An attack all of whose budgets take the same first steps: they are walked once, along one path."""

    def shared(self, eps: int) -> int:
        """How many first gradients of budget eps are those of every larger budget as well."""
        ...

    def walk(self, problem: Problem, state: State | None, previous: int) -> State:
        """The path from where budget `previous` leaves it, with that state (None and 0: the clean faces), to where the
        problem's does."""
        ...
