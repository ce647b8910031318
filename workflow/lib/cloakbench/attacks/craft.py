"""Craft: the faces of one cell (source, attack, budget), batch by batch."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import pairwise

import numpy as np
import torch
from tqdm import tqdm

from cloakbench.attacks.iterative import IterativeSign, input_gradient, iterations
from cloakbench.recognisers.recogniser import PRECISIONS, Recogniser, batches, to_faces, to_tensor

TIMED = 3  # gradients of which the fastest counts: what else the machine does only ever adds
LONG = 1.0  # seconds after which no further one is timed
SLOWER = 1.2  # times as long; less may be chance


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


def gradients_in(recogniser: Recogniser) -> str:
    """What its gradients are really computed in, a key of devices.PRECISIONS: the config only asks. A network with its
    own graph stays in fp32 where bf16 is asked for, and a CPU or an older card knows no tf32."""
    if recogniser.dtype == torch.bfloat16:
        return "bf16"
    device = recogniser.mean.device
    knows_tf32 = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    return "tf32" if knows_tf32 and torch.backends.cuda.matmul.allow_tf32 else "fp32"


def ticks(bar: tqdm, steps: int, faces: int) -> Iterator[int]:
    """Count `steps`, moving the bar by a gradient a face each time."""
    for step in range(steps):
        yield step
        bar.update(faces)


def shared_steps(attack: IterativeSign, eps: int, previous: int) -> int:
    """Steps from the shared path's state at budget `previous` (0: the clean face) to its state at `eps`."""
    return attack.shared_steps(eps) - attack.shared_steps(previous)


def gradients(attack: IterativeSign, budgets: Iterable[int]) -> int:
    """Gradients that one face costs in all budgets together: 147 for the paper's six at a step size of 1."""
    previous = [0, *sorted(budgets)]
    return sum(shared_steps(attack, eps, before) + own_steps(attack, eps) for before, eps in pairwise(previous))


def estimate(
    recogniser: Recogniser,
    attacks: Sequence[IterativeSign],
    budgets: Sequence[int],
    count: int,
    faces: np.ndarray,
    device: torch.device,
    fp32: Recogniser,
) -> str:
    """What crafting `count` faces costs, from the time that a batch of (B, size, size, 3) `faces` takes here.

    fp32: the same recogniser in fp32. Where `recogniser` computes in less and takes longer, the line ends with that.
    """
    total = count * sum(gradients(attack, budgets) for attack in attacks)
    own = seconds_a_gradient(recogniser, faces, device)
    seconds = total * own
    disk = 2 * count * len(attacks) * len(budgets) * faces[0].nbytes  # each cell and its state on the shared path
    duration = timedelta(seconds=math.ceil(seconds))
    cost = f"{total:,} gradients, about {duration} in one job on {device.type}, {disk / 1e6:,.0f} MB of faces"
    if recogniser.dtype == fp32.dtype:
        return cost
    times = own / seconds_a_gradient(fp32, faces, device)
    precision = next(name for name, dtype in PRECISIONS.items() if dtype == recogniser.dtype)
    return f"{cost}; {advice(precision, times, device)}" if times > SLOWER else cost


def advice(precision: str, times: float, device: torch.device) -> str:
    """What to do about a precision in which a gradient takes `times` as long as in fp32."""
    return f"{precision} takes {times:.1f} times as long as fp32 on this {device.type}: set compute.precision: fp32"


def seconds_a_gradient(recogniser: Recogniser, faces: np.ndarray, device: torch.device) -> float:
    """Seconds that the gradient of one of (B, size, size, 3) faces takes when B are computed at once."""
    x, classes = to_tensor(faces, device), torch.zeros(len(faces), dtype=torch.int64, device=device)
    input_gradient(recogniser, x, classes).cpu()  # the first one allocates and chooses kernels
    taken: list[float] = []
    while len(taken) < TIMED and sum(taken) < LONG:
        started = time.perf_counter()
        input_gradient(recogniser, x, classes).cpu()
        taken.append(time.perf_counter() - started)
    return min(taken) / len(faces)


def own_steps(attack: IterativeSign, eps: int) -> int:
    """Steps that budget eps does not share: from the path's state to the end, clipped to eps."""
    return iterations(eps) - attack.shared_steps(eps)
