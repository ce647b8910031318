"""The walk along the sign of the gradient: BIM and ILLC (Kurakin, Goodfellow, Bengio, arXiv 1607.02533)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from cloakbench.attacks.goals import GOALS, Goal
from cloakbench.attacks.gradients import input_gradient
from cloakbench.attacks.norms import box
from cloakbench.attacks.problem import Problem, State


def make(goal: str, step_size: int) -> Walk:
    """step_size: grey levels."""
    return Walk(GOALS[goal], step_size)


def iterations(eps: int) -> int:
    """min(eps + 4, 1.25 eps), rounded down.

    >>> [iterations(eps) for eps in (4, 8, 16, 32, 64, 128)]
    [5, 10, 20, 36, 68, 132]
    """
    return int(min(eps + 4, 1.25 * eps))


@dataclass(frozen=True)
class Walk:
    """x <- Clip(x + direction * alpha * sign(grad_x J(x, y))), from the clean face, with no random start.

    step_size: alpha, in whole grey levels, so that every iterate is a whole number and 8-bit storage exact.
    """

    goal: Goal
    step_size: int

    def gradients(self, eps: int) -> int:
        return iterations(eps)

    def shared(self, eps: int) -> int:
        """After i steps no pixel has moved by more than i * alpha, so the clip to eps is idle until then."""
        return min(eps // self.step_size, iterations(eps))

    def walk(self, problem: Problem, state: State | None, previous: int) -> State:
        return self._iterated(problem, state, range(self.shared(previous), self.shared(problem.eps)))

    def craft(self, problem: Problem, state: State | None = None) -> torch.Tensor:
        begun = self.shared(problem.eps) if state else 0
        return self._iterated(problem, state, range(begun, iterations(problem.eps)))["x"]

    def _iterated(self, problem: Problem, state: State | None, steps: range) -> State:
        lowest, highest = box(problem.clean, problem.eps)
        aims = [self.goal.classes(source, problem.clean) for source in problem.sources]
        x = state["x"] if state else problem.clean
        for _ in problem.progress(steps):
            step = self.goal.direction * self.step_size * input_gradient(problem.sources, x, aims).sign()
            x = torch.clamp(x + step, lowest, highest)
        return {"x": x}
