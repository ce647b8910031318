"""What crafting costs, told before it begins."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import torch

from cloakbench.attacks.families import attack, shares_path
from cloakbench.attacks.gradients import input_gradient
from cloakbench.attacks.losses import LOSSES
from cloakbench.attacks.problem import Source
from cloakbench.recognisers.recogniser import PRECISIONS, Recogniser, to_tensor

TIMED = 3  # gradients of which the fastest counts: what else the machine does only ever adds
LONG = 1.0  # seconds after which no further one is timed
SLOWER = 1.2  # times as long; less may be chance


def gradients(entry: dict, budgets: Iterable[int], links: Iterable[tuple[int, int]]) -> int:
    """Gradients that one face costs in each source, in all budgets together: 147 for BIM and the paper's six.

    entry: the attack, as in a config. links: the stretches of the path to every budget, each from a budget to a larger
    one, for families that share it.

    >>> bim, links = {"family": "iterative_sign", "goal": "untargeted", "step_size": 1}, [(0, 4), (4, 8)]
    >>> gradients(bim, [4, 8], links)  # 4 and 4 along the path, then 1 and 2: min(eps + 4, 1.25 eps) in each budget
    11
    """
    crafter = attack(**entry)
    if not shares_path(entry):
        return sum(map(crafter.gradients, budgets))
    walked = sum(crafter.shared(eps) - crafter.shared(previous) for previous, eps in links)
    return walked + sum(crafter.gradients(eps) - crafter.shared(eps) for eps in budgets)


class Crafting(NamedTuple):
    """What is to be crafted on one recogniser. entries: the attacks of each source that it is, or is a member of, as in
    a config; links: the stretches of the path to the budgets; faces: N; parts: jobs that a cell is spread over."""

    entries: Sequence[dict]
    budgets: Sequence[int]
    links: Sequence[tuple[int, int]]
    faces: int
    parts: int

    def gradients(self) -> int:
        return self.faces * sum(gradients(entry, self.budgets, self.links) for entry in self.entries)

    def files(self) -> int:
        """Each cell, and each state of a path."""
        return len(self.entries) * len(self.budgets) + len(self._sharing()) * len(self.links)

    def bytes(self, face: int) -> int:
        """On disk, of faces of as many bytes each: beside a picture the state of a path holds what momentum has
        gathered, in float32."""
        states = sum(5 if "momentum" in entry else 1 for entry in self._sharing()) * len(self.links)
        return self.faces * face * (len(self.entries) * len(self.budgets) + states)

    def _sharing(self) -> list[dict]:
        return [entry for entry in self.entries if shares_path(entry)]


def of_crafting(
    crafting: Crafting, recogniser: Recogniser, faces: np.ndarray, device: torch.device, fp32: Recogniser
) -> str:
    """Gradients, jobs, time and disk, from the time that a batch of (B, height, width, 3) `faces` takes here.

    fp32: the same recogniser in fp32. Where `recogniser` computes in less and takes longer, the line ends with that.
    """
    total, files, own = crafting.gradients(), crafting.files(), seconds_a_gradient(recogniser, faces, device)
    duration, disk = timedelta(seconds=math.ceil(total * own)), crafting.bytes(faces[0].nbytes)
    cost = (
        f"{total:,} gradients in {files * crafting.parts:,} jobs, about {duration} one after another on {device.type}"
    )
    cost += f", {disk / 1e6:,.0f} MB of faces"
    if recogniser.dtype == fp32.dtype:
        return cost
    times = own / seconds_a_gradient(fp32, faces, device)
    precision = next(name for name, dtype in PRECISIONS.items() if dtype == recogniser.dtype)
    return f"{cost}; {advice(precision, times, device)}" if times > SLOWER else cost


def of_looking(
    recogniser: Recogniser, cells: int, count: int, parts: int, face: np.ndarray, device: torch.device
) -> str:
    """Forwards, jobs and disk of showing `count` faces of each cell. face: one, (1, height, width, 3)."""
    with torch.inference_mode():
        width = recogniser.embeddings(to_tensor(face, device)).shape[1]
    disk = cells * count * (4 * width + 8)  # float32, and the share outside
    return f"{cells * count:,} pictures in {cells * parts:,} jobs, {disk / 1e6:,.1f} MB of outputs"


def advice(precision: str, times: float, device: torch.device) -> str:
    """What to do about a precision in which a gradient takes `times` as long as in fp32."""
    return f"{precision} takes {times:.1f} times as long as fp32 on this {device.type}: set compute.precision: fp32"


def seconds_a_gradient(recogniser: Recogniser, faces: np.ndarray, device: torch.device) -> float:
    """Seconds that the gradient of one of (B, height, width, 3) faces takes when B are computed at once."""
    x, classes = to_tensor(faces, device), torch.zeros(len(faces), dtype=torch.int64, device=device)
    source, loss = Source(recogniser, classes), LOSSES["untargeted"]

    def climbed(x: torch.Tensor) -> torch.Tensor:
        return loss.climbed(source, x, classes)

    input_gradient(climbed, x).cpu()  # the first one allocates and chooses kernels
    taken: list[float] = []
    while len(taken) < TIMED and sum(taken) < LONG:
        started = time.perf_counter()
        input_gradient(climbed, x).cpu()
        taken.append(time.perf_counter() - started)
    return min(taken) / len(faces)


def gradients_in(recognisers: Iterable[Recogniser]) -> str:
    """What the gradients of these are really computed in, keys of PRECISIONS: the config only asks. A network with its
    own graph stays in fp32 where bf16 is asked for, and a CPU or an older card knows no tf32."""
    return " and ".join(sorted(set(map(_gradients_in, recognisers))))


def _gradients_in(recogniser: Recogniser) -> str:
    if recogniser.dtype == torch.bfloat16:
        return "bf16"
    device = recogniser.mean.device
    knows_tf32 = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    return "tf32" if knows_tf32 and torch.backends.cuda.matmul.allow_tf32 else "fp32"
