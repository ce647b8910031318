"""Craft: the faces of one cell (source, attack, budget), batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from cloakbench.attacks import families
from cloakbench.attacks.draws import Draws
from cloakbench.attacks.families import attack
from cloakbench.attacks.norms import NORMS
from cloakbench.attacks.problem import Problem, Sharing, Source
from cloakbench.attacks.states import restored, stored
from cloakbench.files.records import RecordFile, open_records
from cloakbench.files.writing import writing, writing_faces
from cloakbench.recognisers.recogniser import batches, to_faces, to_tensor
from cloakbench.recognisers.views import View

FLOAT = 1e-3  # grey levels by which float32 may leave a budget before it is rounded


class Member(NamedTuple):
    """A recogniser of a cell's source. labels: (N,) int64, the true classes of all faces by its own count. others:
    (N, D) float32, the templates of their other photographs, where an attack asks for them."""

    model: Callable[[torch.Tensor], torch.Tensor]
    labels: np.ndarray
    view: View
    others: np.ndarray | None = None

    def source(self, part: slice, device: torch.device) -> Source:
        """As the faces of one batch have it."""
        others = None if self.others is None else torch.from_numpy(self.others[part]).to(device)
        return Source(self.model, torch.from_numpy(self.labels[part]).to(device), self.view, others)


class Cell(NamedTuple):
    """What is crafted. faces: (N, H, W, 3) uint8, the clean ones on the canvas; numbers: (N,) int64, which face of the
    study each is; eps: the budget; whole: whether pictures are rounded in the end."""

    members: Sequence[Member]
    faces: np.ndarray
    numbers: np.ndarray
    eps: int
    seed: int
    batch: int
    device: torch.device
    whole: bool = True

    def problems(self, gradients: int) -> Iterator[tuple[slice, Problem]]:
        """Batch by batch, which faces and their problem. gradients: what each face will cost, for the bar."""
        with tqdm(total=gradients * len(self.faces), desc=f"eps {self.eps}", unit="gradient", mininterval=1) as bar:
            for part in batches(self.faces, self.batch):
                clean = to_tensor(self.faces[part], self.device)
                sources = [member.source(part, self.device) for member in self.members]
                draws = Draws(self.seed, torch.from_numpy(self.numbers[part]).to(self.device))
                yield part, Problem(sources, clean, self.eps, draws, partial(ticks, bar, len(clean)), self.whole)


def craft(entry: dict, cell: Cell, start: Path | None, output: Path) -> None:
    """Write the crafted faces, (N, H, W, 3) uint8, or float32 grey levels where these are not rounded. entry: the
    attack, as in a config; start: the state at this budget's end of the path, None to begin at the clean faces."""
    crafter, norm = attack(**entry), NORMS[families.norm(entry)]
    states = open_records(start) if start else None
    gradients = crafter.gradients(cell.eps) - (crafter.shared(cell.eps) if start else 0)
    with writing_faces(
        output, len(cell.faces), cell.faces.shape[1:3], np.uint8 if cell.whole else np.float32
    ) as crafted:
        for part, problem in cell.problems(gradients):
            x = crafter.craft(problem, restored(states[part], cell.device) if start else None)
            if (norm.size(x - problem.clean) > cell.eps + (0 if cell.whole else FLOAT)).any():
                raise ValueError(f"family {entry['family']} has left its budget of {cell.eps}")
            crafted[part] = to_faces(x) if cell.whole else x.permute(0, 2, 3, 1).cpu().numpy()


def walk(entry: dict, cell: Cell, start: Path | None, previous: int, output: Path) -> None:
    """Write the states of a Sharing attack where this budget leaves the path. start: those at budget `previous`."""
    crafter: Sharing = attack(**entry)
    states = open_records(start) if start else None
    with writing(output) as temporary:
        written = RecordFile(temporary, len(cell.faces))
        for part, problem in cell.problems(crafter.shared(cell.eps) - crafter.shared(previous)):
            state = restored(states[part], cell.device) if start else None
            written[part] = stored(crafter.walk(problem, state, previous))


def ticks(bar: tqdm, faces: int, steps: Iterable[int]) -> Iterator[int]:
    """Count `steps`, moving the bar by a gradient a face each time."""
    for step in steps:
        yield step
        bar.update(faces)
