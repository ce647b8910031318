"""Roles: the same stages cloak the photographs that the attacked people have in a gallery."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from cloakbench.errors import InputError
from cloakbench.files.tensors import load_tensors
from cloakbench.photos.crops import cut
from cloakbench.photos.detectors import from_row
from cloakbench.photos.images import read_photo
from cloakbench.photos.sample import enrolled, read_photos
from cloakbench.publishing.cloaked import CloakedFaces
from cloakbench.recognisers.recogniser import load_recogniser, to_tensor
from conftest import TOY, digests, job_counts, snakemake
from test_faults import give_weights

CELL = "facenet/bim/eps5/jpeg75"
GIVEN = {"arch": "small_resnet", "head": "gallery", "mean": 127.5, "std": 128}
CROP = {"size": 112, "margin": 0.3}
CONFIG = """
dataset: {subjects: 2}
matrix: {source: [facenet], attack: [bim], eps: [5], target: [given]}
models: {given: {arch: small_resnet, weights: given.safetensors, head: gallery, crop: small, mean: 127.5, std: 128}}
crops: {small: {size: 112, margin: 0.3}}
top_k: [1]
measures: []
"""


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)], ids=["whole", "in parts"])
def study(request, tmp_path_factory) -> Path:
    """A finished study of two people, and then the gallery for which both had cloaked their photographs."""
    directory = tmp_path_factory.mktemp("roles")
    give_weights(directory / "given.safetensors")
    (directory / "two.yaml").write_text(f"{CONFIG}compute: {{chunks: {request.param}, batch: 1}}\n")
    asked = ["--cores", 2, "--configfile", TOY, directory / "two.yaml"]
    run = snakemake(directory, *asked)
    assert run.returncode == 0, run.stdout + run.stderr
    before = digests(directory, "results/**/*")
    gallery = f"results/toy/galleries/role=enrolled/{CELL}/given.safetensors"
    expected = {"enrolled": 1, "enrol_cloaked": 1}
    expected |= dict.fromkeys(("crop", "path", "craft", "store", "redetect"), request.param)
    assert job_counts(snakemake(directory, "-n", *asked, "--", gallery).stdout) == expected
    run = snakemake(directory, *asked, "--", gallery)
    assert run.returncode == 0, run.stdout + run.stderr
    assert {name: digest for name, digest in digests(directory, "results/**/*").items() if name in before} == before
    assert job_counts(snakemake(directory, "-n", *asked).stdout) == {}
    return directory / "results/toy"


def test_the_cloaked_photographs_are_the_attacked_peoples_enrolled_ones(study):
    subjects, enrolment = read_photos(study / "subjects.csv"), read_photos(study / "enrolment.csv")
    rows = read_photos(study / "enrolled.csv")
    attacked = subjects[subjects["subject"].notna()]
    assert list(rows["subject"]) == [0] * 4 + [1] * 4 and list(rows["photo"]) == [0, 1, 2, 3] * 2
    assert set(rows["file"]) == set(enrolment[enrolment["identity"].isin(attacked["identity"])]["file"])
    assert not set(rows["file"]) & set(attacked["file"])


def of_all_parts(study: Path, name: str, suffix: str) -> list[Path]:
    return [whole] if (whole := study / f"{name}{suffix}").exists() else sorted(study.glob(f"{name}/part?{suffix}"))


def test_they_obey_the_budget(study):
    names = ("enrolled/tight160", f"crafted/role=enrolled/{Path(CELL).parent}")
    clean, crafted = (np.concatenate([*map(np.load, of_all_parts(study, name, ".npy"))]).astype(int) for name in names)
    assert len(clean) == 8 and 0 < np.abs(crafted - clean).max() <= 5


def test_their_templates_are_those_of_the_published_pictures(study):
    """Written out slowly; everybody else's are untouched."""
    clean, facts = load_tensors(study / "galleries/given.safetensors")
    cloaked, others = load_tensors(study / f"galleries/role=enrolled/{CELL}/given.safetensors")
    assert facts["classes"] == others["classes"] and len(facts["classes"]) == 8
    rows = read_photos(study / "enrolled.csv")
    found = pd.concat(map(pd.read_csv, of_all_parts(study, f"redetected/role=enrolled/{CELL}", ".csv")))
    seen = {(row["subject"], row["photo"]): row for row in found.to_dict("records")}
    recogniser = load_recogniser(GIVEN, study / "weights/given.safetensors", None)
    for label, identity in enumerate(facts["classes"]):
        own = rows[rows["identity"] == identity]
        if own.empty:
            assert torch.equal(clean["templates"][label], cloaked["templates"][label])
            continue
        embeddings = []
        for photo in own.itertuples():
            row = seen[photo.subject, photo.photo]
            if row["detected"]:
                picture = read_photo(next(study.glob(f"stored/role=enrolled/{CELL}/**/{row['file']}")))
                face = to_tensor(cut(picture, from_row(row), CROP)[None])
                embeddings.append(F.normalize(recogniser.embeddings(face))[0].detach())
        template = F.normalize(torch.stack(embeddings).mean(dim=0), dim=0)
        torch.testing.assert_close(cloaked["templates"][label], template, atol=1e-5, rtol=0)
        assert (clean["templates"][label] - cloaked["templates"][label]).abs().max() > 1e-4


def table(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_what_is_not_found_again_is_not_enrolled(tmp_path):
    """And somebody of whom nothing is left is named, not missing in silence."""
    enrolment = table(identity=["a", "a", "b"], file=["a/1", "a/2", "b/1"])
    cloaked = table(subject=[0, 0], photo=[0, 1], file=["a/1", "a/2"])
    found = table(subject=[0, 0], photo=[0, 1], file=["x.png", "y.png"], sha256=["", ""], detected=[0, 1])
    faces = CloakedFaces(np.zeros((3, 4, 4, 3), np.uint8), enrolment, cloaked, [(tmp_path, found)], CROP)
    assert list(faces.rows) == [1, 2] and len(faces) == 2
    with pytest.raises(InputError, match="no cloaked photograph of a a face was found again"):
        none = found.assign(detected=0)
        CloakedFaces(np.zeros((3, 4, 4, 3), np.uint8), enrolment, cloaked, [(tmp_path, none)], CROP)


def test_people_have_the_numbers_that_they_have_as_subjects():
    numbers = {"subject": pd.array([0, 1, None], "Int64"), "photo": pd.array([0, 0, None], "Int64")}
    subjects = table(**numbers, identity=["b", "a", "c"])
    enrolment = table(identity=["a", "b", "b", "c"], file=["a/2", "b/2", "b/3", "c/1"])
    rows = enrolled(subjects, enrolment)
    assert rows.to_dict("list") == {
        "subject": [0, 0, 1],
        "photo": [0, 1, 0],
        "identity": ["b", "b", "a"],
        "file": ["b/2", "b/3", "a/2"],
    }
