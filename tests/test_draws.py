"""Random numbers belong to their place: the same on every device, in any batch and order."""

from __future__ import annotations

import pytest
import torch

from cloakbench.attacks.draws import Draws

FIRST = 0x9E3779B97F4A7C15
WORD = 2**64


def slowly(seed: int, face: int, step: int, copy: int, element: int) -> float:
    """Python's own integers, cut to 64 bits by hand."""

    def mixed(z):
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WORD
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
        return z ^ (z >> 31)

    key = seed
    for part in (face, step, copy, element):
        key = mixed((key + FIRST * (part + 1)) % WORD)
    return (key >> 40) / 2**24


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_they_are_splitmix_of_their_place(seed):
    numbers = torch.tensor([0, 7, 5 * 2**20 + 3])
    found = Draws(seed, numbers).uniform(4, 2, (3, 5))
    for face, own in enumerate(numbers.tolist()):
        expected = [slowly(seed, own, 4, 2, element) for element in range(15)]
        assert found[face].flatten().tolist() == expected


def test_the_mixing_is_that_of_the_publication():
    """SplitMix64 from the seed 1234567, as its reference code gives it: nothing but the order of parts is our own."""
    state, numbers = 1234567, []
    for _ in range(3):
        state = (state + FIRST) % WORD
        z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % WORD
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
        numbers.append(z ^ (z >> 31))
    assert numbers == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_no_draw_depends_on_its_company():
    numbers = torch.tensor([3, 1, 4, 15])
    together = Draws(9, numbers).uniform(0, 1, (6,))
    for order in ([0], [3, 2], [1, 0, 3, 2]):
        assert torch.equal(Draws(9, numbers[order]).uniform(0, 1, (6,)), together[order])


def test_they_are_uniform_and_differ_in_each_part():
    draws = Draws(0, torch.arange(64))
    many = draws.uniform(0, 0, (4096,))
    assert many.min() >= 0 and many.max() < 1 and abs(many.mean() - 0.5) < 0.002 and abs(many.var() - 1 / 12) < 0.001
    shares = torch.histc(many, 32, 0, 1) / many.numel()
    assert (shares - 1 / 32).abs().max() < 0.001
    others = (
        draws.uniform(1, 0, (4096,)),
        draws.uniform(0, 1, (4096,)),
        Draws(1, draws.numbers).uniform(0, 0, (4096,)),
    )
    for other in (*others, many.roll(1, 0), many.roll(1, 1)):
        assert abs(torch.corrcoef(torch.stack([many.flatten(), other.flatten()]))[0, 1]) < 0.01
