"""Own photographs: what somebody has of himself, beside what is attacked and what the searcher has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cloakbench.files.tensors import load_tensors
from cloakbench.photos.crops import cut
from cloakbench.photos.detectors import from_row
from cloakbench.photos.images import read_photo
from cloakbench.photos.sample import read_photos
from cloakbench.recognisers.enrol import templates_of
from cloakbench.recognisers.recogniser import load_recogniser, to_tensor
from conftest import TOY, digests, job_counts, snakemake
from test_faults import give_weights

pytestmark = pytest.mark.slow
GIVEN = {"arch": "small_resnet", "head": "gallery", "mean": 127.5, "std": 128}
CONFIG = """
study: toy
gate: {clean_top1: 0}
compute: {device: cpu, batch: 2}
dataset: {loader: folder, root: PHOTOS, subjects: 2, enrol: 4}
matrix: {source: [given], attack: [bim], eps: [2], target: [given]}
models: {given: {arch: small_resnet, weights: given.safetensors, head: gallery, crop: small, mean: 127.5, std: 128}}
crops: {small: {size: 112, margin: 0.3}}
top_k: [1]
"""
OWN = "dataset: {own: 2}\nmatrix: {attack: [bim, away_own_photos]}"


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A finished study without own photographs, on rendered people of whom there are more than it takes."""
    directory = tmp_path_factory.mktemp("own")
    rendered = ["--cores", 2, "--configfile", TOY, "--config", "study=rendered", "dataset={enrol: 7, identities: 4}"]
    run = snakemake(directory, *rendered, "--", "results/rendered/photos")
    assert run.returncode == 0, run.stdout + run.stderr
    give_weights(directory / "given.safetensors")
    (directory / "folder.yaml").write_text(CONFIG.replace("PHOTOS", str(directory / "results/rendered/photos")))
    (directory / "own.yaml").write_text(OWN)
    run = snakemake(directory, "--cores", 2, "--configfile", directory / "folder.yaml")
    assert run.returncode == 0, run.stdout + run.stderr
    return directory


@pytest.fixture(scope="module")
def with_own(study) -> Path:
    """And then an attack that asks for them."""
    asked = ["--configfile", study / "folder.yaml", study / "own.yaml"]
    before = digests(study, "results/toy/**/*.npy", "results/toy/*.csv", "results/toy/ranks/**/*")
    added = {"own": 1, "crop_own": 1, "enrol_own": 1, "path": 1, "craft": 1, "store": 1, "redetect": 1, "look": 1}
    added |= {
        "measure": 1,
        "quality": 1,
        "faces": 1,
        "front": 1,
        "classify": 1,
        "aggregate": 1,
        "table": 1,
        "provenance": 1,
        "page": 1,
        "curves": 1,
        "examples": 1,
    }
    assert job_counts(snakemake(study, "-n", *asked).stdout) == added
    run = snakemake(study, "--cores", 2, *asked)
    assert run.returncode == 0, run.stdout + run.stderr
    after = digests(study, "results/toy/**/*.npy", "results/toy/*.csv", "results/toy/ranks/**/*")
    changed = {name for name, digest in before.items() if after[name] != digest}
    tables = ("psr", "strongest", "comparisons", "quality", "faces", "front", "needed", "table1")
    assert changed == {f"results/toy/{table}.csv" for table in tables}
    assert job_counts(snakemake(study, "-n", *asked).stdout) == {}
    # those of one attack alone are no more part of the study when it is taken out
    assert set(job_counts(snakemake(study, "-n", "--configfile", study / "folder.yaml").stdout)) <= {*added} - {
        "craft",
        "own",
        "look",
    }
    return study / "results/toy"


def test_they_are_others(with_own):
    own, subjects = read_photos(with_own / "own.csv"), read_photos(with_own / "subjects.csv")
    drawn = {*subjects["file"], *read_photos(with_own / "enrolment.csv")["file"]}
    assert len(own) == 4 and not {*own["file"]} & drawn
    assert sorted(own["identity"]) == sorted(2 * list(subjects[subjects["subject"].notna()]["identity"]))


def test_their_templates_by_hand(with_own, study):
    own, (tensors, facts) = read_photos(with_own / "own.csv"), load_tensors(with_own / "own/given.safetensors")
    recogniser = load_recogniser(GIVEN, with_own / "weights/given.safetensors", None)
    for label, identity in enumerate(facts["classes"]):
        embeddings = []
        for row in own[own["identity"] == identity].to_dict("records"):
            picture = read_photo(study / "results/rendered/photos" / row["file"])
            face = to_tensor(cut(picture, from_row(row), {"size": 112, "margin": 0.3})[None])
            embeddings.append(F.normalize(recogniser.embeddings(face))[0].detach())
        template = F.normalize(torch.stack(embeddings).mean(dim=0), dim=0)
        torch.testing.assert_close(tensors["templates"][label], template, atol=1e-5, rtol=0)
    first, second = facts["classes"]
    given = templates_of([second, first, second], with_own / "own/given.safetensors")
    np.testing.assert_array_equal(given, tensors["templates"][[1, 0, 1]])


def test_the_attack_moves_away_from_them_and_knows_no_gallery(with_own):
    crafted = {name: np.load(with_own / f"crafted/given/{name}/eps2.npy") for name in ("bim", "away_own_photos")}
    faces, subjects = np.load(with_own / "subjects/small.npy"), read_photos(with_own / "subjects.csv")
    people = subjects[subjects["subject"].notna()]["identity"]
    anchors = torch.from_numpy(templates_of(people, with_own / "own/given.safetensors"))
    recogniser = load_recogniser(GIVEN, with_own / "weights/given.safetensors", None)

    def likeness(pictures):
        with torch.no_grad():
            return (F.normalize(recogniser.embeddings(to_tensor(pictures))) * anchors).sum(dim=1)

    assert (likeness(crafted["away_own_photos"]) < likeness(faces)).all()
    rows = (with_own / "psr.csv").read_text().splitlines()
    told = {line.split(",")[1]: line.split(",")[-2:] for line in rows[1:]}
    assert told == {"clean": ["", "0"], "bim": ["gallery", "2"], "away_own_photos": ["own photos", "2"]}


def test_too_few_are_said_in_one_line(study, tmp_path):
    (tmp_path / "many.yaml").write_text("dataset: {own: 30}\nmatrix: {attack: [away_own_photos]}")
    asked = ["--configfile", study / "folder.yaml", tmp_path / "many.yaml"]
    run = snakemake(study, "--cores", 2, *asked, "--", "results/toy/own.csv")
    assert (
        run.returncode
        and "usable photos beside the attacked and the enrolled ones, dataset.own asks for 30" in run.stderr
    )
