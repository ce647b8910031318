"""Who crafts: this software as it runs in a study, other libraries as their users run them, and a bare loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.opponents import Bim
from cloakbench.attacks import craft
from cloakbench.attacks.families import shares_path
from cloakbench.files.reading import open_faces
from cloakbench.files.tensors import load_tensors, save_tensors
from cloakbench.files.writing import writing_faces
from cloakbench.recognisers.architectures import build, outputs_of
from cloakbench.recognisers.convert import convert
from cloakbench.recognisers.enrol import templates
from cloakbench.recognisers.heads import Gallery
from cloakbench.recognisers.recogniser import Recogniser, load_recogniser, per_channel, to_faces, to_tensor
from cloakbench.recognisers.views import whole
from cloakbench.study.grid import link
from cloakbench.synthetic.render import render

BIM = {"family": "iterative_sign", "goal": "untargeted", "step_size": 1}
GALLERY = 32  # rendered people among whom a face is recognised
FLOOR_GRADIENTS = 16  # of the bare loop, each turn
CPU = torch.device("cpu")

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

    def recogniser(self, precision: str = "fp32") -> Recogniser:
        return load_recogniser(self.model, self.weights, self.gallery, CPU, precision)


def shared_path(setting: Setting, precision: str, name: str, entry: Mapping = BIM) -> Crafter:
    """This software's own way: along the path from the state that a smaller budget left, then the budget's own steps,
    files written and read as in a study; from the clean face where an entry's budgets share none. To be called with
    rising budgets."""
    folder, faces = setting.directory / name, open_faces(setting.faces)
    members = [craft.Member(setting.recogniser(precision), setting.labels, whole)]

    def cell(eps: int) -> np.ndarray:
        problem = craft.Cell(members, faces, np.arange(len(faces)), eps, 0, setting.batch, CPU)
        state, previous = folder / f"path{eps}.npy", link(eps)
        if shares_path(entry):
            craft.walk(entry, problem, folder / f"path{previous}.npy" if previous else None, previous, state)
        craft.craft(entry, problem, state if shares_path(entry) else None, folder / f"cell{eps}.npy")
        return np.array(open_faces(folder / f"cell{eps}.npy"))

    return cell


def alone(bim: Bim, network: nn.Module, setting: Setting) -> Crafter:
    """A library's way: the budget from the clean face, all faces as one batch in [0, 1]."""
    faces, labels = to_tensor(open_faces(setting.faces)).contiguous() / 255, torch.from_numpy(setting.labels)
    bim(network, faces, labels, 1)  # imports and first-call costs are not what is measured
    return lambda eps: to_faces(255 * bim(network, faces, labels, eps).detach())


def bare_loop(setting: Setting) -> Crafter:
    """The floor: forward and backward through the network that crafting uses, and nothing else."""
    recogniser = setting.recogniser()
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
    recogniser.head = Gallery(load_tensors(setting.gallery)[0]["templates"])
    network.requires_grad_(True)
    return In01(recogniser).eval()


def prepare(model: Mapping, batch: int, directory: Path) -> Setting:
    """Weights, a gallery of GALLERY rendered people and the first of its own faces, which are attacked.

    Random weights recognise nobody on another photo; on its enrolled photo everyone, so that PSR counts something.
    """
    count = model["faces"]
    weights, gallery, clean = (directory / name for name in ("weights.safetensors", "gallery.safetensors", "faces.npy"))
    facts = {**model, "head": "gallery"}
    if model.get("weights"):
        convert(Path(model["weights"]), facts, "any", [], weights)
    else:
        torch.manual_seed(0)
        save_tensors(weights, build(model["arch"], None).state_dict(), classes=[])
    faces = np.stack([face(identity, model["size"]) for identity in range(max(GALLERY, count))])
    people = [f"id{identity:04d}" for identity in range(len(faces))]
    network = load_recogniser(facts, weights, None)
    means, classes = templates(network, faces, people, batch, CPU)
    save_tensors(gallery, {"templates": means}, classes=classes)
    with writing_faces(clean, count, (model["size"],) * 2) as file:
        file[:] = faces[:count]
    return Setting(facts, weights, gallery, clean, np.arange(count), batch, directory)


def face(identity: int, size: int) -> np.ndarray:
    """A rendered person's face, (size, size, 3) uint8."""
    return np.asarray(render(identity, 0).resize((size, size), Image.Resampling.BILINEAR))
