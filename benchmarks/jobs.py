"""Real jobs of the workflow on small made-up inputs of any N, to be run by hand and watched."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from cloakbench.files.seals import sha256
from cloakbench.files.tensors import save_tensors
from cloakbench.files.writing import write_text
from cloakbench.photos.detectors import Detection, to_row
from cloakbench.publishing.store import encode
from cloakbench.recognisers.architectures import build
from cloakbench.synthetic.render import render

SIDE = 48  # pixels: MTCNN still finds the face, and 10,000 are quick
IDENTITIES = 100  # the same at any N: a wider network would need more memory for another reason
BATCH = 16
CROP = {"size": SIDE, "margin": 0}
JPEG = {"format": "jpeg", "quality": 75, "subsampling": "4:2:0"}
MODEL = {"arch": "small_resnet", "head": "softmax", "mean": 127.5, "std": 128}
BIM = {"family": "iterative_sign", "goal": "untargeted", "step_size": 1}
CELL = {"source": "a", "attack": "bim", "eps": 1, "storage": "jpeg75", "target": "a"}

DRAWN = {"subjects": "subjects.csv"}
RECOGNISER = {"weights": "weights.safetensors", "model": MODEL}
SOURCE = {"weights": "weights.safetensors", "sources": [MODEL], "seed": 0}
JUDGING = {"threads": 1, "batch": BATCH}
COMPUTE = {"device": "cpu", "threads": 1, "batch": BATCH}
# script to its options, in the order of the study: files of a folder, or what is passed as JSON
JOBS: dict[str, Mapping] = {
    "crop": {"photos": "subjects.csv", "root": ".", "crop": CROP, "output": "faces.npy"},
    "enrol": {"photos": "enrolment.csv", "faces": "faces.npy", "output": "gallery.safetensors"} | RECOGNISER | COMPUTE,
    "craft": DRAWN | SOURCE | COMPUTE
    | {"faces": "faces.npy", "attack": BIM, "eps": 1, "output": "crafted.npy"},
    "store": DRAWN
    | {"faces": "crafted.npy", "storage": JPEG, "output": "stored", "output-manifest": "manifest.csv"},
    "redetect": {"stored": "stored", "manifest": "manifest.csv", "output": "redetected.csv"} | COMPUTE,
    "look": RECOGNISER | COMPUTE
    | {"stored": "stored", "redetected": "redetected.csv", "crop": CROP, "missed": "protected"}
    | {"output": "outputs.npy"},
    "classify": DRAWN | RECOGNISER | JUDGING
    | {"redetected": "redetected.csv", "outputs": "outputs.npy", "missed": "protected", "cell": CELL}
    | {"output": "ranks.csv"},
}  # fmt: skip


def script(stage: str) -> Path:
    """The script of a stage; the workflow says where they are."""
    return Path(os.environ["CLOAKBENCH_SCRIPTS"]) / f"{stage}.py"


def command(stage: str) -> list[str]:
    """The job's script with its options, to be run in a folder of `make_inputs`."""
    options = (
        (f"--{name}", json.dumps(value) if isinstance(value, Mapping | list) else str(value))
        for name, value in JOBS[stage].items()
    )
    return [str(script(stage)), *(word for option in options for word in option)]


def make_inputs(directory: Path, count: int) -> None:
    """What sampling and conversion would have left for `count` faces: photos, subjects, enrolment, weights."""
    face = np.asarray(render(0, 0).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    (directory / "face.jpg").write_bytes(encode(face, JPEG))
    identities = [f"id{index % IDENTITIES:04d}" for index in range(count)]
    drawn = pd.DataFrame({"subject": range(count), "photo": 0, "identity": identities, "file": "face.jpg"})
    drawn = drawn.assign(sha256=sha256(directory / "face.jpg"), **to_row(Detection(0.0, 0.0, SIDE, SIDE, 1.0)))
    write_text(directory / "subjects.csv", drawn.assign(passed_over="").to_csv(index=False))
    write_text(directory / "enrolment.csv", drawn.drop(columns=["subject", "photo"]).to_csv(index=False))
    torch.manual_seed(0)
    classes = [f"id{index:04d}" for index in range(IDENTITIES)]
    save_tensors(directory / "weights.safetensors", build(MODEL["arch"], IDENTITIES).state_dict(), classes=classes)
