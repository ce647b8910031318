"""One walk with parts: from the clean face, or from somewhere within the budget, uphill along a goal's gradient.

BIM and ILLC (Kurakin, Goodfellow, Bengio, arXiv 1607.02533) are the walk without further parts. With momentum it is
MI (Dong et al., 1710.06081), with a look ahead NI and with scaled copies SI-NI (Lin et al., 1908.06281), with views DI
(Xie et al., 1803.06978), with a kernel TI (Dong et al., 1904.02884), from a random start PGD (Madry et al., 1706.06083)
or, in one step, R+FGSM (Tramer et al., 1705.07204) and without a start FGSM (Goodfellow et al., 1412.6572).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch

from cloakbench.attacks.gradients import input_gradient
from cloakbench.attacks.kernels import gaussian, smoothed
from cloakbench.attacks.losses import LOSSES, Loss
from cloakbench.attacks.norms import NORMS, Norm
from cloakbench.attacks.problem import Problem, State
from cloakbench.attacks.starts import STARTS, Start
from cloakbench.attacks.transforms import TRANSFORMS, Transform

RESTART = 2**20  # iterations, as draws count them, between one restart and the next


def make(
    goal: str,
    step_size: int = 1,
    step_fraction: float | None = None,
    steps: int | None = None,
    momentum: float | None = None,
    nesterov: bool = False,
    kernel: int | None = None,
    views: Sequence[Mapping[str, Mapping]] = (),
    copies: int = 1,
    start: str = "clean",
    restarts: int = 1,
    norm: str = "linf",
) -> Walk:
    """The settings of workflow/schemas/attacks/walk.schema.yaml."""
    transforms = [TRANSFORMS[name](**settings) for view in views for name, settings in view.items()]
    size = (step_size, 0.0) if step_fraction is None else (0, step_fraction)
    ahead = (nesterov and momentum) or 0.0
    smoothing = None if kernel is None else gaussian(kernel)
    parts = (momentum, ahead, smoothing, transforms, copies, STARTS[start], restarts)
    return Walk(LOSSES[goal], NORMS[norm], *size, steps, *parts)


def iterations(eps: int) -> int:
    """Kurakin's min(eps + 4, 1.25 eps), rounded down.

    >>> [iterations(eps) for eps in (4, 8, 16, 32, 64, 128)]
    [5, 10, 20, 36, 68, 132]
    """
    return int(min(eps + 4, 1.25 * eps))


@dataclass(frozen=True)
class Walk:
    """x <- P(x + alpha u(m)), m <- mu m + g / mean |g|, g = K * sum over views v of grad_x L(v(x + ahead alpha m)).

    L is what the goal climbs, u the unit step of the norm (linf: the sign), P the projection onto the budget, K the
    kernel. Without momentum m is g. alpha is step_size, in grey levels, or step_fraction of the budget; `steps` None:
    as many as `iterations`. With whole steps from the clean face every iterate is a whole number, and storage exact.
    """

    loss: Loss
    norm: Norm
    step_size: int
    step_fraction: float
    steps: int | None
    momentum: float | None
    ahead: float
    kernel: torch.Tensor | None
    views: Sequence[Transform]
    copies: int
    start: Start
    restarts: int

    def gradients(self, eps: int) -> int:
        return self._count(eps) * self.copies * self.restarts

    def shared(self, eps: int) -> int:
        """After i steps no pixel has moved by more than i * alpha, so the clip to eps is idle until then."""
        return self._together(eps) * self.copies

    def walk(self, problem: Problem, state: State | None, previous: int) -> State:
        steps = range(self._together(previous), self._together(problem.eps))
        return self._iterated(problem, self._aims(problem), state or self._begun(problem, 0), steps)

    def craft(self, problem: Problem, state: State | None = None) -> torch.Tensor:
        aims, count = self._aims(problem), self._count(problem.eps)
        if state:
            return self._iterated(problem, aims, state, range(self._together(problem.eps), count))["x"]
        best, highest = problem.clean, None
        for first in range(0, self.restarts * RESTART, RESTART):
            walked = self._iterated(problem, aims, self._begun(problem, first), range(first, first + count))["x"]
            x = self.norm.whole(walked, problem.clean, problem.eps)
            given = x if problem.whole else walked
            if self.restarts == 1:
                return given
            with torch.no_grad():
                loss = self._climbed(problem, aims, x)
            higher = torch.ones_like(loss, dtype=torch.bool) if highest is None else loss > highest
            best = torch.where(higher[:, None, None, None], given, best)
            highest = loss if highest is None else torch.maximum(loss, highest)
        return best

    def _count(self, eps: int) -> int:
        return iterations(eps) if self.steps is None else self.steps

    def _together(self, eps: int) -> int:
        return min(eps // self.step_size, self._count(eps))

    def _aims(self, problem: Problem) -> list[torch.Tensor]:
        with torch.no_grad():
            return [self.loss.aims(source, problem.clean, problem.draws) for source in problem.sources]

    def _climbed(self, problem: Problem, aims: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Of several sources the losses are added."""
        each = zip(problem.sources, aims, strict=True)
        return reduce(add, (self.loss.climbed(source, x, aim) for source, aim in each))

    def _begun(self, problem: Problem, first: int) -> State:
        """Before the iteration `first`, which no draw of another restart is for."""
        x = self.norm.within(problem.clean, problem.eps)(self.start(problem, first))
        return {"x": x} if self.momentum is None else {"x": x, "m": torch.zeros_like(x)}

    def _iterated(self, problem: Problem, aims: Sequence[torch.Tensor], state: State, steps: range) -> State:
        alpha, within = self.step_size or self.step_fraction * problem.eps, self.norm.within(problem.clean, problem.eps)
        x, m = state["x"], state.get("m")
        for step in steps:
            g = self._gradient(problem, aims, x + self.ahead * alpha * m if self.ahead else x, step)
            if m is None:
                x = within(x + alpha * self.norm.unit(g))
            else:
                m = self.momentum * m + normalised(g)
                x = within(x + alpha * self.norm.unit(m))
        return {"x": x} if m is None else {"x": x, "m": m}

    def _gradient(self, problem: Problem, aims: Sequence[torch.Tensor], point: torch.Tensor, step: int) -> torch.Tensor:
        """Summed over the copies, each through views of its own, and smoothed."""

        def climbed(copy: int, x: torch.Tensor) -> torch.Tensor:
            for place, view in enumerate(self.views, start=copy * len(self.views)):
                x = view(x, copy, lambda *shape, place=place: problem.draws.uniform(step, place, shape))
            return self._climbed(problem, aims, x)

        copies = problem.progress(range(self.copies))
        g = reduce(add, (input_gradient(lambda x, copy=copy: climbed(copy, x), point) for copy in copies))
        return g if self.kernel is None else smoothed(g, self.kernel)


def normalised(g: torch.Tensor) -> torch.Tensor:
    """g / mean |g| of each face, 0 where there is no gradient."""
    size = g.abs().mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(size > 0, g / size, torch.zeros_like(g))
