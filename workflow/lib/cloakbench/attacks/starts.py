"""Where a walk begins, by name. Each is a function of the problem and of the iteration that it comes before."""

from __future__ import annotations

from collections.abc import Callable

import torch

from cloakbench.attacks.problem import Problem

BEFORE = -1  # the iteration, as draws count them, before the first

Start = Callable[[Problem, int], torch.Tensor]


def clean(problem: Problem, first: int) -> torch.Tensor:
    """At the clean face."""
    return problem.clean


def uniform(problem: Problem, first: int) -> torch.Tensor:
    """Anywhere within the budget, in fractions of grey levels, as PGD was published."""
    return problem.clean + problem.eps * (2 * _drawn(problem, first) - 1)


def integers(problem: Problem, first: int) -> torch.Tensor:
    """At a whole number of grey levels within the budget, each as likely."""
    return problem.clean + torch.floor(_drawn(problem, first) * (2 * problem.eps + 1)) - problem.eps


def signs(problem: Problem, first: int) -> torch.Tensor:
    """Half of the budget up or down: R+FGSM's alpha sign(N(0, 1))."""
    return problem.clean + problem.eps / 2 * torch.where(_drawn(problem, first) < 0.5, -1, 1)


def ones(problem: Problem, first: int) -> torch.Tensor:
    """A grey level up, down or none, whatever the budget: enough to leave a place where there is no gradient."""
    return problem.clean + torch.floor(_drawn(problem, first) * 3) - 1


def _drawn(problem: Problem, first: int) -> torch.Tensor:
    return problem.draws.uniform(first + BEFORE, 0, tuple(problem.clean.shape[1:]))


STARTS: dict[str, Start] = {"clean": clean, "uniform": uniform, "integers": integers, "signs": signs, "ones": ones}
