"""A family for the tests, with all that the interface has room for: state beside the picture, draws, several sources.

m <- mu m + g / mean |g|, x <- x + sign(m) over eps steps of one grey level, g at x + noise * uniform draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from cloakbench.attacks.gradients import input_gradient
from cloakbench.attacks.problem import Problem, State


def make(mu: float, noise: float = 0) -> Drifting:
    return Drifting(mu, noise)


@dataclass(frozen=True)
class Drifting:
    mu: float
    noise: float

    def gradients(self, eps: int) -> int:
        return eps

    def shared(self, eps: int) -> int:
        return eps

    def walk(self, problem: Problem, state: State | None, previous: int) -> State:
        return self._iterated(problem, state, range(previous, problem.eps))

    def craft(self, problem: Problem, state: State | None = None) -> torch.Tensor:
        return self._iterated(problem, state, range(problem.eps if state else 0, problem.eps))["x"]

    def _iterated(self, problem: Problem, state: State | None, steps: range) -> State:
        x, m = (state["x"], state["m"]) if state else (problem.clean, torch.zeros_like(problem.clean))
        for step in problem.progress(steps):
            point = x + self.noise * problem.draws.uniform(step, 0, x.shape[1:])
            g = input_gradient(lambda at: self._loss(problem, at), point)
            size = g.abs().mean(dim=(1, 2, 3), keepdim=True)
            m = torch.where(size > 0, self.mu * m + g / size, m)
            x = (x + m.sign()).clamp(0, 255)
        return {"x": x, "m": m}

    def _loss(self, problem: Problem, x: torch.Tensor) -> torch.Tensor:
        return sum(F.cross_entropy(source.logits(x), source.labels, reduction="none") for source in problem.sources)
