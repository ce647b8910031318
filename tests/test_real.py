"""The real FaceNet and EdgeFace on real photographs, when they are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from cloakbench.attacks import craft, families
from cloakbench.attacks.walk import Walk
from cloakbench.files.reading import open_faces
from cloakbench.photos.sample import attacked, read_photos
from cloakbench.recognisers.recogniser import load_recogniser, to_tensor
from cloakbench.recognisers.views import whole
from conftest import REAL, ROOT, needs_real, snakemake

pytestmark = [pytest.mark.slow, needs_real]
LADDER = ("pgd", "bim", "fgsm")  # from the strongest on
FACES = 3


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Few subjects of many."""
    directory = tmp_path_factory.mktemp("real")
    (directory / "weights").symlink_to(REAL / "weights")
    dataset = f"dataset: {{root: {REAL / 'lfw62x20'}, subjects: 6, enrol: 4}}"
    (directory / "small.yaml").write_text(f"study: real\nmatrix: {{eps: [4, 8]}}\n{dataset}\n")
    lfw = ROOT / "workflow/studies/lfw.yaml"
    run = snakemake(directory, "--cores", 2, "--configfile", lfw, directory / "small.yaml")
    assert run.returncode == 0, run.stdout + run.stderr
    return directory / "results/real"


def test_the_study_on_real_photographs(study):
    """Clean faces are recognised, white-box BIM protects, ILLC at eps 4 protects less."""
    psr = pd.read_csv(study / "psr.csv").query("top_k == 1").set_index(["attack", "eps"])
    own = psr[psr["source"] == psr["target"]]["psr"]
    assert psr.loc[("clean", 0), "psr"].max() <= 20  # at most one of six
    assert own.loc[("bim", 8)].min() >= 80
    assert own.loc[("illc", 4)].mean() <= own.loc[("bim", 4)].mean()


@pytest.mark.parametrize("eps", [2, 4, 8])
def test_the_ladder_of_a_white_box(study, eps):
    """On the source itself, before storage: the more an attack tries, the smaller the margin of the true identity."""
    facts = yaml.safe_load((ROOT / "workflow/studies/lfw.yaml").read_text())["models"]["facenet"]
    recogniser = load_recogniser(facts, study / "weights/facenet.safetensors", study / "galleries/facenet.safetensors")
    faces = np.array(open_faces(study / "subjects/tight160.npy")[:FACES])
    labels = recogniser.labels(attacked(read_photos(study / "subjects.csv"))["identity"])[:FACES]
    cell = craft.Cell(
        [craft.Member(recogniser, labels, whole)], faces, np.arange(FACES), eps, 0, FACES, torch.device("cpu")
    )
    ((_, problem),) = cell.problems(0)
    catalogue = yaml.safe_load((ROOT / "workflow/attacks.yaml").read_text())

    def run(name: str) -> torch.Tensor:
        walk: Walk = families.attack(**{"goal": "untargeted", **catalogue[name]})
        return walk.craft(problem)

    crafted = {name: run(name) for name in (*LADDER, "pgd1")}
    margins = [margin(recogniser, crafted[name], labels).mean() for name in LADDER]
    assert margins == sorted(margins), dict(zip(LADDER, margins, strict=True))
    assert margins[-1] < margin(recogniser, to_tensor(faces), labels).mean()
    losses = {name: loss(recogniser, crafted[name], labels) for name in ("pgd", "pgd1")}
    assert (losses["pgd"] >= losses["pgd1"]).all()


def margin(recogniser, x: torch.Tensor, labels: np.ndarray) -> torch.Tensor:
    """The true logit minus the best other, (B,)."""
    with torch.no_grad():
        logits = recogniser(x)
    true = logits[range(len(labels)), labels].clone()
    logits[range(len(labels)), labels] = -torch.inf
    return true - logits.amax(dim=1)


def loss(recogniser, x: torch.Tensor, labels: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        return torch.nn.functional.cross_entropy(recogniser(x), torch.tensor(labels), reduction="none")
