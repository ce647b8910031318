"""Craft: the faces of one cell (source, attack, budget), batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from tqdm import tqdm

from cloakbench.attacks import IterativeSign, iterations
from cloakbench.models import Recogniser, batches, to_faces, to_tensor


def walk(
    recogniser: Recogniser,
    attack: IterativeSign,
    faces: np.ndarray,
    start: np.ndarray,
    labels: np.ndarray,
    eps: int,
    steps: int,
    crafted: np.ndarray,
    batch: int,
    device: torch.device,
) -> None:
    """Fill `crafted` with the faces `start` after `steps` iterations within `eps` grey levels of `faces`.

    All three are (N, size, size, 3) uint8; labels: (N,) the true classes.
    """
    with tqdm(total=steps * len(faces), desc=f"eps {eps}", unit="gradient", mininterval=1) as bar:
        for part in batches(faces, batch):
            clean, x = to_tensor(faces[part], device), to_tensor(start[part], device)
            aims = attack.aims(recogniser, clean, torch.from_numpy(labels[part]).to(device))
            ticking = ticks(bar, steps, len(x))
            crafted[part] = to_faces(attack.walk(recogniser, x, clean, aims, eps, ticking))


def ticks(bar: tqdm, steps: int, faces: int) -> Iterator[int]:
    """Count `steps`, moving the bar by a gradient a face each time."""
    for step in range(steps):
        yield step
        bar.update(faces)


def shared_steps(attack: IterativeSign, eps: int, previous: int) -> int:
    """Steps from the shared path's state at budget `previous` (0: the clean face) to its state at `eps`."""
    return attack.shared_steps(eps) - attack.shared_steps(previous)


def own_steps(attack: IterativeSign, eps: int) -> int:
    """Steps that budget eps does not share: from the path's state to the end, clipped to eps."""
    return iterations(eps) - attack.shared_steps(eps)
