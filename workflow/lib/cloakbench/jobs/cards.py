"""Which GPU of a machine a job computes on: neither Snakemake nor CUDA spreads jobs over the cards."""

from __future__ import annotations

import fcntl
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from urllib.parse import quote

_claims: list[IO] = []  # held open, and so locked, until this process ends


def visible_cards(count: int, visible: str | None) -> list[str]:
    """A name for each of the `count` GPUs that torch sees: the same for every process on this machine.

    visible: CUDA_VISIBLE_DEVICES as a scheduler or a user set it, of which torch's numbers are positions.
    """
    named = [name.strip() for name in visible.split(",")] if visible else []
    return named[:count] if len(named) >= count else [str(card) for card in range(count)]


def claim(cards: Sequence[str], folder: Path) -> int:
    """The position of the card that the fewest processes have claimed; it is claimed until this process ends.

    A claim is a locked file, one for each card and seat on it; a process that dies, however it dies, gives it back.
    """
    for seat in itertools.count():
        for position, card in enumerate(cards):
            lock = (folder / f"card{quote(card, safe='')}.seat{seat}").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            _claims.append(lock)
            return position
