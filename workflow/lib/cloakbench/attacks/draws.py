"""Random numbers that are a function of (seed, face, step, copy, element), and of nothing else.

A generator hands them out in the order of asking: another batch, part or device would be another draw. Here each is
hashed from where it belongs (the finaliser of SplitMix64: Steele, Lea, Flood, OOPSLA 2014), in 64-bit integers that
wrap around on every device alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

GOLDEN = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15, 2^64 over the golden ratio, as a signed number
ROUNDS = ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15))  # 0xBF58476D1CE4E5B9 and 0x94D049BB133111EB
BITS = 24  # of a float32 number between 0 and 1: every one of them is exact


@dataclass(frozen=True)
class Draws:
    """Draws for a batch of faces. numbers: (B,) int64, which face of the study each is: see `number`."""

    seed: int
    numbers: torch.Tensor

    def uniform(self, step: int, copy: int, shape: tuple[int, ...]) -> torch.Tensor:
        """(B, *shape) float32 numbers in [0, 1), for the iteration `step` and the `copy`th draw of it."""
        key = torch.full_like(self.numbers, self.seed)
        for part in (self.numbers, torch.tensor(step), torch.tensor(copy)):
            key = _mixed(key + GOLDEN * (part + 1))
        element = torch.arange(1, math.prod(shape) + 1, device=key.device)
        bits = _shifted(_mixed(key[:, None] + GOLDEN * element), 64 - BITS)
        return (bits.float() / 2**BITS).reshape(len(key), *shape)


def number(subject: torch.Tensor, photo: torch.Tensor) -> torch.Tensor:
    """One number for each face of a study, (B,) int64, from the columns of that name."""
    return subject * 2**20 + photo


def _mixed(z: torch.Tensor) -> torch.Tensor:
    for shift, factor in ROUNDS:
        z = (z ^ _shifted(z, shift)) * factor
    return z ^ _shifted(z, 31)


def _shifted(z: torch.Tensor, by: int) -> torch.Tensor:
    """z >> by as if it had no sign."""
    return (z >> by) & (2 ** (64 - by) - 1)
