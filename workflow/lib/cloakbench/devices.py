"""The device that a job computes on, and how many CPU threads it takes."""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from urllib.parse import quote

import torch

from cloakbench.errors import InputError
from cloakbench.private import own_folder

_claims: list[IO] = []  # held open, and so locked, until this process ends


def use(device: str, threads: int) -> torch.device:
    """Prepare torch and name the device. device: auto (a GPU if there is one), cpu or cuda.

    On a machine with several GPUs it is the one that the fewest jobs of this user compute on.

    The thread count is set outright, not taken from the machine: another split of a sum is another rounding, and
    the same study gives the same bytes whatever number of cores it runs on.
    Raises InputError if cuda is asked for and there is none.
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError(
            "compute.device: cuda, but torch finds no GPU here; accepted: auto, cpu, or a machine with one"
        )
    if device == "cpu" or not available:
        return torch.device("cpu")
    try:
        folder = own_folder()
    except OSError as error:
        raise InputError(f"{error}: not a folder of this user alone; set TMPDIR to a place that is") from None
    card = claim(visible_cards(torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")), folder)
    torch.cuda.set_device(card)
    return torch.device("cuda", card)


def visible_cards(count: int, visible: str | None) -> list[str]:
    """A name for each of the `count` GPUs that torch sees: the same for every process on this machine.

    visible: CUDA_VISIBLE_DEVICES as a scheduler or a user set it, of which torch's numbers are positions.
    """
    named = [name.strip() for name in visible.split(",")] if visible else []
    return named[:count] if len(named) >= count else [str(card) for card in range(count)]


def claim(cards: Sequence[str], folder: Path) -> int:
    """The position of the card that the fewest processes have claimed; it is claimed until this process ends.

    Neither Snakemake nor CUDA spreads the jobs of one machine over its cards. A claim is a locked file, one for each
    card and seat on it; a process that dies, however it dies, gives its claim back.
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
    raise AssertionError("unreachable")
