"""A class head that was taken off judges what its network puts out, to the last bit as the network itself would."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from cloakbench.errors import InputError
from cloakbench.files.tensors import save_tensors
from cloakbench.measures.classify import classify
from cloakbench.measures.clean_scores import clean_scores
from cloakbench.measures.look import look
from cloakbench.publishing.store import store
from cloakbench.recognisers.architectures import build
from cloakbench.recognisers.heads import Gallery, Softmax, load_head
from cloakbench.recognisers.recogniser import Recogniser, folded, load_recogniser, to_tensor

CPU = torch.device("cpu")
SIZES = {"inception_resnet_v1": 96, "resnet50": 64, "senet50": 64, "dlib_resnet": 110} | dict.fromkeys(
    ("small_inception_resnet", "small_resnet", "small_seresnet", "timm/resnet10t", "timm/mobilenetv3_small_050"), 64
)
CLASSES = [f"person {label}" for label in range(7)]


def model(arch: str, head: str = "softmax") -> dict:
    return {"arch": arch, "head": head, "mean": [120.0, 110.0, 100.0], "std": 64.0}


def weights_of(arch: str, path) -> torch.nn.Module:
    torch.manual_seed(3)
    network = build(arch, len(CLASSES))
    save_tensors(path, network.state_dict(), classes=CLASSES)
    return network


@pytest.mark.parametrize("arch", SIZES)
def test_embeddings_and_head_are_the_network(arch, tmp_path, rng):
    network = weights_of(arch, tmp_path / "weights")
    faces = to_tensor(rng.integers(0, 256, (3, SIZES[arch], SIZES[arch], 3), dtype=np.uint8))
    recogniser = load_recogniser(model(arch), tmp_path / "weights", None)
    whole = Recogniser(folded(network).to(memory_format=torch.channels_last), [120.0, 110.0, 100.0], [64.0] * 3)
    embeddings = recogniser.embeddings(faces)
    torch.testing.assert_close(recogniser(faces), whole(faces), rtol=1e-4, atol=1e-4)  # convolutions are merged in one
    head, classes = load_head(model(arch), recogniser.outputs, tmp_path / "weights", None)
    assert classes == CLASSES == recogniser.classes
    assert torch.equal(head(embeddings), recogniser(faces))
    if recogniser.outputs == "embedding":
        assert isinstance(recogniser.head, Softmax) and embeddings.shape[1] != len(CLASSES)
    else:
        assert arch.startswith("timm/") and torch.equal(embeddings, recogniser(faces))


@pytest.mark.parametrize("arch", [arch for arch in SIZES if not arch.startswith("timm/")])
def test_of_the_studys_own_architectures_each_gives_its_head_away(arch, tmp_path):
    weights_of(arch, tmp_path / "weights")
    assert load_recogniser(model(arch), tmp_path / "weights", None).outputs == "embedding"


def test_the_gradient_is_that_of_the_whole_network(tmp_path, rng):
    """What an attack climbs has not changed by the head being apart."""
    network = weights_of("small_resnet", tmp_path / "weights")
    faces = to_tensor(rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8))
    apart = load_recogniser(model("small_resnet"), tmp_path / "weights", None)
    apart.network = folded(build("small_resnet", len(CLASSES)))  # unmerged, to compare bits
    whole = Recogniser(folded(network), [120.0, 110.0, 100.0], [64.0] * 3)
    apart.network.load_state_dict(whole.network.state_dict())
    apart.network.fc, layer = torch.nn.Identity(), apart.network.fc
    apart.head = Softmax(layer)
    found = []
    for one in (apart.requires_grad_(False), whole):
        x = faces.clone().requires_grad_()
        F.cross_entropy(one(x), torch.tensor([1, 2]), reduction="sum").backward()
        found.append(x.grad)
    assert torch.equal(*found)


def test_a_gallery_is_judged_without_the_network(tmp_path, rng):
    weights_of("small_resnet", tmp_path / "weights")
    save_tensors(tmp_path / "gallery", {"templates": F.normalize(torch.randn(4, 7))}, classes=["a", "b", "c", "d"])
    faces = to_tensor(rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8))
    entry = model("small_resnet", "gallery")
    recogniser = load_recogniser(entry, tmp_path / "weights", tmp_path / "gallery")
    bare = load_recogniser(entry, tmp_path / "weights", None)
    assert bare.outputs == "embedding" and torch.equal(bare.embeddings(faces), recogniser.embeddings(faces))
    head, classes = load_head(entry, "embedding", tmp_path / "weights", tmp_path / "gallery")
    assert isinstance(head, Gallery) and classes == ["a", "b", "c", "d"]
    assert torch.equal(head(bare.embeddings(faces)), recogniser(faces))


@pytest.fixture
def cell(tmp_path, rng):
    """Five stored faces, of which the second and the last were not found again."""
    subjects = pd.DataFrame({"subject": range(5), "photo": 0})
    faces = rng.integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    rows = store(faces, subjects, {"format": "png"}, tmp_path / "stored").assign(
        detected=[1, 0, 1, 1, 0], left=2.0, top=1.0, right=60.0, bottom=63.0, confidence=1.0
    )
    rows.loc[rows["detected"] == 0, ["left", "top", "right", "bottom"]] = np.nan
    weights_of("small_resnet", tmp_path / "weights")
    return tmp_path, rows, load_recogniser(model("small_resnet"), tmp_path / "weights", None)


@pytest.mark.parametrize("missed", ["protected", "whole_crop"])
@pytest.mark.parametrize("batch", [1, 2, 16])
def test_ranks_follow_from_outputs_as_from_logits(cell, missed, batch):
    """Written out: each batch is shown, of those faces that the target sees, and ranked by plain comparison."""
    folder, rows, recogniser = cell
    crop, labels = {"size": 64, "margin": 0}, np.array([3, 1, 0, 6, 2])
    look(rows, folder / "stored", recogniser, crop, missed, batch, CPU, folder / "outputs.npy")
    outputs = np.load(folder / "outputs.npy")
    found = classify(rows, outputs, recogniser.head, 7, labels, missed, batch)
    for index, row in found.iterrows():
        if missed == "protected" and not rows["detected"][index]:
            assert pd.isna(row["rank"]) and pd.isna(row["outside"]) and np.isnan(outputs["embedding"][index]).all()
            continue
        with torch.inference_mode():
            logits = recogniser.head(torch.from_numpy(outputs["embedding"][index].copy())[None])[0]
        assert row["rank"] == sum(1 for logit in logits if logit > logits[labels[index]])
        assert row["predicted"] == int(logits.argmax()) and row["classes"] == 7


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_scores_are_cosines_with_templates(cell, batch):
    """Written out: with the own template, and the largest with another person's."""
    folder, rows, recogniser = cell
    crop, labels = {"size": 64, "margin": 0}, np.array([3, 1, 0, 5, 2])
    look(rows, folder / "stored", recogniser, crop, "drop", batch, CPU, folder / "outputs.npy")
    outputs = np.load(folder / "outputs.npy")
    templates = torch.randn(6, outputs["embedding"].shape[1], generator=torch.Generator().manual_seed(3))
    templates[labels[2]] = torch.from_numpy(outputs["embedding"][2].copy())  # one face is its own template
    recogniser.head = Gallery(F.normalize(templates), 7.5)
    found = classify(rows, outputs, recogniser.head, 6, labels, "drop", batch)
    for index, row in found.iterrows():
        if not rows["detected"][index]:
            assert row[["own_score", "other_score", "other"]].isna().all()
            continue
        seen, templates = outputs["embedding"][index].astype(float), recogniser.head.templates.double().numpy()
        cosines = [float(seen @ template) / float(np.linalg.norm(seen)) for template in templates]
        others = {label: cosine for label, cosine in enumerate(cosines) if label != labels[index]}
        assert row["other"] == max(others, key=others.get)
        assert row["own_score"] == pytest.approx(cosines[labels[index]], abs=2e-6)
        assert row["other_score"] == pytest.approx(max(others.values()), abs=2e-6)
        assert (row["rank"] == 0) == (row["own_score"] >= row["other_score"])
    assert (
        classify(rows, outputs, torch.nn.Linear(recogniser.head.templates.shape[1], 6), 6, labels, "drop", batch)[
            "own_score"
        ]
        .isna()
        .all()
    )


def test_a_cell_without_a_face_has_outputs_of_the_same_kind(cell):
    folder, rows, recogniser = cell
    crop = {"size": 64, "margin": 0}
    none = rows.assign(detected=0)
    look(none, folder / "stored", recogniser, crop, "drop", 2, CPU, folder / "none.npy")
    look(rows, folder / "stored", recogniser, crop, "drop", 2, CPU, folder / "some.npy")
    outputs = np.load(folder / "none.npy")
    assert outputs.dtype == np.load(folder / "some.npy").dtype and len(outputs) == 5
    assert np.isnan(outputs["embedding"]).all() and np.isnan(outputs["outside"]).all()
    assert classify(none, outputs, recogniser.head, 7, np.zeros(5, np.int64), "drop", 2)["rank"].isna().all()


def test_outputs_that_are_not_finite_end_the_job(cell):
    folder, rows, recogniser = cell
    recogniser.network.register_forward_hook(lambda *_: torch.full((2, 5), torch.inf))
    with pytest.raises(InputError, match="outputs are not finite numbers"):
        look(rows, folder / "stored", recogniser, {"size": 64, "margin": 0}, "drop", 2, CPU, folder / "out.npy")


def test_clean_scores_count_every_comparison(rng):
    """By plain loops over faces and templates; a score that is a whole thousandth lies in the bin that it opens."""
    templates = F.normalize(torch.from_numpy(rng.standard_normal((5, 8)).astype("float32")))
    faces, whose = rng.standard_normal((7, 8)).astype("float32"), rng.integers(0, 5, 7)
    faces[0], whose[0] = templates[3], 3
    table = clean_scores(faces, [4, 3], Gallery(templates), whose, 2).set_index("score")
    assert table["mated"].sum() == 7 and table["non_mated"].sum() == 7 * 4
    counts = Counter()
    for face, own in zip(faces.astype(float), whose, strict=True):
        for person, template in enumerate(templates.double().numpy()):
            cosine = round(float(face @ template / np.sqrt((face**2).sum() * (template**2).sum())), 6)
            counts[math.floor(cosine * 1000 + 1e-6) / 1000, "mated" if person == own else "non_mated"] += 1
    assert counts[1.0, "mated"] == table.loc[1.0, "mated"] == 1
    for (score, column), count in counts.items():
        assert table.loc[score, column] == count
