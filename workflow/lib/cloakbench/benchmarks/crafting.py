"""How long crafting the paper's grid takes, here and with other people's libraries, on one network and the same faces.

All crafters take turns budget by budget, in an order that changes, so that a machine whose speed drifts is slow for
all of them. Times are wall-clock and CPU seconds of the attack alone: the network is loaded beforehand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

from cloakbench import attacks, craft
from cloakbench.architectures import build, outputs_of
from cloakbench.attacks import iterations
from cloakbench.benchmarks.opponents import Bim, installed
from cloakbench.enrol import templates
from cloakbench.files import open_faces, writing_faces
from cloakbench.models import Recogniser, load_recogniser, load_tensors, per_channel, save_tensors, to_faces, to_tensor
from cloakbench.render import render

BUDGETS = [4, 8, 16, 32, 64, 128]
GALLERY = 32  # rendered people among whom a face is recognised
FLOOR_GRADIENTS = 16  # of the bare loop, each turn
BIM = {"family": "iterative_sign", "goal": "untargeted", "step_size": 1}
COLUMNS = ["crafter", "repetition", "eps", "gradients", "seconds", "cpu_seconds", "recognised", "faces", "as_ours"]

Crafter = Callable[[int], np.ndarray]  # budget -> faces (N, size, size, 3) uint8


@dataclass(frozen=True)
class Setting:
    """One network, the faces to attack, their labels, and a folder for files."""

    model: Mapping  # arch, mean, std
    weights: Path
    gallery: Path
    faces: Path
    labels: np.ndarray
    batch: int
    directory: Path


def measure(model: Mapping, count: int, repetitions: int, batch: int, directory: Path) -> pd.DataFrame:
    """A row a crafter, repetition and budget (COLUMNS) of crafting `count` faces.

    gradients: evaluations a face; as_ours: share of bytes that equal the cell crafted here in fp32.
    model: `arch`, `size`, `mean`, `std` and `weights`, a converted checkpoint or None for seeded random ones.
    """
    setting = prepare(model, count, batch, directory)
    judge, device = load_recogniser(setting.model, setting.weights, setting.gallery), torch.device("cpu")
    rows = []
    for repetition in range(repetitions):
        crafters: dict[str, Crafter] = {
            "cloakbench fp32": shared_path(setting, judge, None, f"fp32-{repetition}", device),
            "cloakbench bf16": shared_path(setting, judge, torch.bfloat16, f"bf16-{repetition}", device),
            **{name: alone(bim, user_network(setting), setting) for name, bim in installed().items()},
            "bare loop": bare_loop(setting, judge),
        }
        for turn, eps in enumerate(BUDGETS):
            rows += taking_turns(crafters, turn + repetition, eps, repetition, setting, judge)
    return pd.DataFrame(rows, columns=COLUMNS)


def taking_turns(
    crafters: Mapping[str, Crafter], turn: int, eps: int, repetition: int, setting: Setting, judge: Recogniser
) -> Iterator[tuple]:
    names = list(crafters)
    first = turn % len(names)
    timed = {name: stopwatch(crafters[name], eps) for name in names[first:] + names[:first]}
    ours = timed["cloakbench fp32"][0]
    for name in names:
        faces, seconds, cpu = timed[name]
        recognised = int((judge(to_tensor(faces)).argmax(dim=1).numpy() == setting.labels).sum())
        gradients = gradients_of(name, eps)
        yield name, repetition, eps, gradients, seconds, cpu, recognised, len(faces), float((faces == ours).mean())


def stopwatch(crafter: Crafter, eps: int) -> tuple[np.ndarray, float, float]:
    """What the crafter makes, and the wall-clock and CPU seconds that it takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    faces = crafter(eps)
    return faces, time.perf_counter() - wall, time.process_time() - cpu


def gradients_of(name: str, eps: int) -> int:
    """Gradient evaluations a face that a crafter makes in the turn of budget eps."""
    attack, smaller = attacks.attack(**BIM), max((budget for budget in BUDGETS if budget < eps), default=0)
    if name == "bare loop":
        return FLOOR_GRADIENTS
    if name.startswith("cloakbench"):
        return craft.shared_steps(attack, eps, smaller) + craft.own_steps(attack, eps)
    return iterations(eps)


def shared_path(
    setting: Setting, recogniser: Recogniser, precision: torch.dtype | None, name: str, device: torch.device
) -> Crafter:
    """This software's own way: from the smaller budget's file along the path, then the budget's own steps, files
    written and read as in a study. To be called with rising budgets."""
    attack, start, previous = attacks.attack(**BIM), setting.faces, 0

    def walk(begin: Path, eps: int, steps: int, path: Path) -> Path:
        faces = open_faces(setting.faces)
        with (
            torch.autocast(device.type, precision or torch.bfloat16, enabled=precision is not None),
            writing_faces(path, len(faces), faces.shape[1]) as crafted,
        ):
            args = (attack, faces, open_faces(begin), setting.labels, eps, steps, crafted, setting.batch, device)
            craft.walk(recogniser, *args)
        return path

    def cell(eps: int) -> np.ndarray:
        nonlocal start, previous
        folder = setting.directory / name
        start = walk(start, eps, craft.shared_steps(attack, eps, previous), folder / f"path{eps}.npy")
        previous = eps
        return np.array(open_faces(walk(start, eps, craft.own_steps(attack, eps), folder / f"cell{eps}.npy")))

    return cell


def alone(bim: Bim, network: nn.Module, setting: Setting) -> Crafter:
    """A library's way: the budget from the clean face, all faces as one batch in [0, 1]."""
    faces, labels = to_tensor(open_faces(setting.faces)).contiguous() / 255, torch.from_numpy(setting.labels)
    bim(network, faces, labels, 1)  # imports and first-call costs are not what is measured
    return lambda eps: to_faces(255 * bim(network, faces, labels, eps).detach())


def bare_loop(setting: Setting, recogniser: Recogniser) -> Crafter:
    """The floor: forward and backward through the network that crafting uses, and nothing else."""
    faces, labels = open_faces(setting.faces), torch.from_numpy(setting.labels)
    parts = [slice(start, start + setting.batch) for start in range(0, len(faces), setting.batch)]

    def loop(eps: int) -> np.ndarray:
        for part in parts:
            x = to_tensor(faces[part]).requires_grad_()
            for _ in range(FLOOR_GRADIENTS):
                loss = nn.functional.cross_entropy(recogniser(x), labels[part], reduction="sum")
                torch.autograd.grad(loss, x)
        return np.array(faces)

    return loop


class In01(nn.Module):
    """The recogniser as a user of a library has it: pixels in [0, 1], parameters not frozen, batch norm as it is."""

    def __init__(self, recogniser: Recogniser):
        super().__init__()
        self.recogniser = recogniser

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        return self.recogniser(255 * faces)


def user_network(setting: Setting) -> nn.Module:
    state, _ = load_tensors(setting.weights)
    network = build(setting.model["arch"], outputs_of(setting.model["arch"], state))
    network.load_state_dict(state)
    recogniser = Recogniser(network, per_channel(setting.model["mean"]), per_channel(setting.model["std"]))
    recogniser.templates = load_tensors(setting.gallery)[0]["templates"]
    network.requires_grad_(True)
    return In01(recogniser).eval()


def prepare(model: Mapping, count: int, batch: int, directory: Path) -> Setting:
    """Weights, a gallery of GALLERY rendered people and the first `count` of its own faces, which are attacked.

    Random weights recognise nobody on another photo; on its enrolled photo everyone, so that PSR counts something.
    """
    weights, gallery, clean = (directory / name for name in ("weights.safetensors", "gallery.safetensors", "faces.npy"))
    if model.get("weights"):
        weights = Path(model["weights"])
    else:
        torch.manual_seed(0)
        save_tensors(weights, build(model["arch"], None).state_dict(), classes=[])
    facts = {**model, "head": "gallery"}
    faces = np.stack([face(identity, model["size"]) for identity in range(max(GALLERY, count))])
    people = [f"id{identity:04d}" for identity in range(len(faces))]
    network = load_recogniser(facts, weights, None)
    means, classes = templates(network, faces, people, batch, torch.device("cpu"))
    save_tensors(gallery, {"templates": means}, classes=classes)
    with writing_faces(clean, count, model["size"]) as file:
        file[:] = faces[:count]
    return Setting(facts, weights, gallery, clean, np.arange(count), batch, directory)


def face(identity: int, size: int) -> np.ndarray:
    """A rendered person's face, (size, size, 3) uint8."""
    return np.asarray(render(identity, 0).resize((size, size), Image.Resampling.BILINEAR))
