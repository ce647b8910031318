"""Groups of faces: properties by plain loops, a user's attributes, rates and differences by hand, and all of it in a
study with enough people for a rate in each third."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from torch import nn

from cloakbench.errors import InputError
from cloakbench.files.seals import sha256
from cloakbench.measures.margins import margins
from cloakbench.measures.properties import properties, sharpness, yaw
from cloakbench.photos.attributes import of_faces
from cloakbench.photos.detectors import Detection, to_row
from cloakbench.recognisers.heads import Gallery, Softmax
from cloakbench.report.verify import differences
from cloakbench.statistics.groups import COLUMNS, FEW, Group, by_group, categories, tertiles
from cloakbench.statistics.psr import FACE
from cloakbench.statistics.unpaired import Estimate, apart
from cloakbench.study.attributes import read_attributes
from cloakbench.study.leftover import left_over
from conftest import ROOT, digests, forge, job_counts, snakemake
from references.tables import newcombe, recompute, wilson
from test_faults import give_weights

# ------------------------------------------------------------------------------------------------ what is measured

EYES = ((30.0, 40.0), (70.0, 40.0))


def looking(*points: tuple[float, float]) -> Detection:
    return Detection(0, 0, 112, 112, 0.9, points)


def test_properties_by_plain_loops(tmp_path, rng):
    """Of a photograph that is the face, of the size in which faces are measured: nothing is resized."""
    pixels = rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    face = looking(*EYES, (40.0, 60.0), (35.0, 80.0), (65.0, 80.0))
    row = {"subject": 3, "photo": 1, "file": "a.png", "sha256": sha256(tmp_path / "a.png")} | to_row(face)
    (found,) = properties(pd.DataFrame([row]), tmp_path).to_dict("records")
    luma = [[0.299 * r + 0.587 * g + 0.114 * b for r, g, b in line] for line in pixels.tolist()]
    values = [value for line in luma for value in line]
    mean = sum(values) / len(values)
    edges = [
        luma[i - 1][j] + luma[i + 1][j] + luma[i][j - 1] + luma[i][j + 1] - 4 * luma[i][j]
        for i in range(1, 111)
        for j in range(1, 111)
    ]
    wanted = {"subject": 3, "photo": 1, "height": 112, "confidence": 0.9, "brightness": mean}
    wanted["contrast"] = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    middle = sum(edges) / len(edges)
    wanted["sharpness"] = sum((edge - middle) ** 2 for edge in edges) / len(edges)
    wanted["yaw"] = abs(math.log(math.dist((40, 60), (30, 40)) / math.dist((40, 60), (70, 40))))
    assert list(found) == list(wanted) and found == pytest.approx(wanted, abs=1e-6)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes() + b"\0")
    with pytest.raises(InputError, match=r"a\.png: changed since it was sampled"):
        properties(pd.DataFrame([row]), tmp_path)


def test_what_is_blurred_is_less_sharp_and_what_is_flat_is_not_at_all(rng):
    noise = rng.normal(128, 30, (60, 60))
    blurred = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, (1, 1), (0, 1))) / 4
    assert sharpness(blurred) < sharpness(noise) / 4
    assert sharpness(np.full((9, 9), 77.0)) == 0


def test_a_turned_face_is_turned_to_either_side_alike_and_tilting_is_no_turning():
    left, right = looking(*EYES, (40.0, 60.0), (0, 0), (0, 0)), looking(*EYES, (60.0, 60.0), (0, 0), (0, 0))
    further = looking(*EYES, (35.0, 60.0), (0, 0), (0, 0))
    assert 0 < yaw(left) < yaw(further) and yaw(left) == pytest.approx(yaw(right))
    turn = np.array([[math.cos(0.4), -math.sin(0.4)], [math.sin(0.4), math.cos(0.4)]])
    tilted = [tuple(turn @ np.array(point)) for point in left.points]
    assert yaw(looking(*tilted)) == pytest.approx(yaw(left))
    assert math.isnan(yaw(Detection(0, 0, 9, 9, 1.0))) and math.isnan(yaw(looking(*EYES, EYES[0], (0, 0), (0, 0))))


@pytest.mark.parametrize("parts", [[7], [4, 3]])
def test_margins_by_plain_loops(parts, rng):
    """Cosines of a gallery, logits of a class head."""
    seen, labels = rng.normal(size=(7, 5)).astype(np.float32), rng.integers(0, 4, 7)
    outputs = np.zeros(7, dtype=[("embedding", np.float32, 5)])
    outputs["embedding"] = seen
    templates = rng.normal(size=(4, 5)).astype(np.float32)
    templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    linear = nn.Linear(5, 4)
    heads = {
        Gallery(torch.from_numpy(templates)): lambda face, c: face @ templates[c] / np.linalg.norm(face),
        Softmax(linear): lambda face, c: float(linear.weight[c].detach().numpy() @ face + linear.bias[c].item()),
    }
    for head, score in heads.items():
        wanted = []
        for face, own in zip(seen, labels, strict=True):
            wanted.append(score(face, own) - max(score(face, c) for c in range(4) if c != own))
        found = margins(outputs, parts, head, labels, batch=2)
        assert found.tolist() == pytest.approx(wanted, abs=2e-6) and (np.sign(found) == np.sign(wanted)).all()


# ------------------------------------------------------------------------------------------------ what a user knows

WRONG = {
    b"": "empty; expected a header with identity or file",
    b"name,sex\na,f\n": "line 1: 'name, sex'; expected a header with identity or file, as in subjects.csv",
    b"identity;sex\na;f\n": "line 1: 'identity;sex'; expected",
    b"identity\na\n": "line 1: 'identity'; expected a header with identity or file",
    b"identity,file,sex\na,a/1.jpg,f\n": "line 1: both identity and file; keep the one",
    b"identity,sex,sex\na,f,f\n": "line 1: column 'sex'; every column needs a name of its own",
    b"identity,sex,\na,f,\n": "line 1: column ''; every column",
    b"identity,=HYPERLINK()\na,f\n": "line 1: column '=HYPERLINK()'; every column",
    b"identity,yaw\na,f\n": "line 1: yaw is measured by the study itself",
    b"identity,sex\n\n": "a header and no rows; expected a row for each identity",
    b"identity,sex\na,f,m\n": "line 2: 3 fields under 2 columns",
    b"identity,sex\n,f\n": "line 2: no identity; leave the row out",
    b"identity,sex\na,f\n\na ,m\n": "line 4: 'a' is on line 2 already",
    "identity,sex\nJosé,f\nJose\u0301,m\n".encode(): "line 3: 'Jos\\xe9' is on line 2 already",
    b'identity,sex\n"a,f\n': "no comma-separated values (unexpected end of data)",
    b"\x89PNG\r\n\x1a\n\0\0\0": "line 1: not UTF-8 text",
    b"identity,sex\n\0\0,f\n": "line 2: not UTF-8 text",
    bytes(range(97, 123)) * 40: "...'; expected a header with identity or file",
}


@pytest.mark.parametrize("content", WRONG, ids=range(len(WRONG)))
def test_a_file_that_says_nothing_is_refused_in_one_line(content, tmp_path):
    (tmp_path / "people.csv").write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_attributes(tmp_path / "people.csv")
    message = str(refused.value)
    assert message.startswith(f"{tmp_path}/people.csv") and WRONG[content] in message
    assert message.isprintable() and len(message) < len(str(tmp_path)) + 250


def test_whom_and_what_a_file_tells(tmp_path):
    """A byte order mark, spaces, quotes, empty lines and fields, names in either form of Unicode."""
    text = '\ufeffsex, identity ,age group\r\nf,Jose\u0301,\r\n\r\n m ,NA,"40, or more"\r\n=1+1,nobody,x\r\n'
    (tmp_path / "people.csv").write_bytes(text.encode())
    found = read_attributes(tmp_path / "people.csv")
    assert (found.who, found.names) == ("identity", ("sex", "age group"))
    assert found.rows == {"José": ("f", ""), "NA": ("m", "40, or more"), "nobody": ("=1+1", "x")}
    subjects = pd.DataFrame({"subject": [0, 0, 1, 2], "photo": [0, 1, 0, 0], "identity": ["NA", "NA", "bo", "nobody"]})
    told = of_faces(found, subjects)
    assert list(told) == ["subject", "photo", "sex", "age group"]
    assert told["sex"].tolist() == ["m", "m", "", "'=1+1"] and told["age group"][2] == ""
    with pytest.raises(
        InputError, match="none of the file's 3 rows is about one of the 1 attacked people; give each identity"
    ):
        of_faces(found, subjects[2:3])
    by_file = found._replace(who="file", rows={"bo/1.jpg": ("f", "")})
    files = subjects.assign(file=["NA/1.jpg", "NA/2.jpg", "bo/1.jpg", "x.jpg"])
    assert of_faces(by_file, files)["sex"].tolist() == ["", "", "f", ""]


# ------------------------------------------------------------------------------------------------ groups


def faces_of(count: int, photos: int = 1) -> pd.MultiIndex:
    return pd.MultiIndex.from_tuples([(face // photos, face % photos) for face in range(count)], names=FACE)


@pytest.mark.parametrize("count", [3, 31, 32, 33, 62, 99])
def test_thirds_are_as_even_as_they_can_be(count, rng):
    values = pd.Series(rng.permutation(count).astype(float), faces_of(count))
    groups = list(tertiles("height", values))
    sizes = [len(group.faces) for group in groups]
    assert sum(sizes) == count and max(sizes) - min(sizes) <= 1 and [*sizes] == sorted(sizes, reverse=True)
    assert all(one.highest < other.lowest for one, other in pairwise(groups))
    assert [(group.name, group.than) for group in groups] == [("low", ""), ("middle", ""), ("high", "low")]
    assert groups[2].others.equals(groups[0].faces)
    assert (groups[0].lowest, groups[2].highest) == (0, count - 1)


def test_equal_values_stay_together_and_no_value_is_unknown():
    values = pd.Series([5.0, np.nan, 5.0, 5.0, 7.0, np.nan, 5.0], faces_of(7))
    found = [(group.name, len(group.faces), group.lowest) for group in tertiles("yaw", values)]
    assert found[0] == ("low", 4, 5.0) and found[1] == ("high", 1, 7.0) and found[2][:2] == ("unknown", 2)
    assert [group.name for group in tertiles("yaw", pd.Series([np.nan] * 3, faces_of(3)))] == ["unknown"]


def test_a_category_of_few_people_is_not_named():
    """It may be the name of a person. Two photographs of one of nine make no tenth."""
    values = pd.Series([*["f"] * 20, *["m"] * 20, *["Ana"] * 2, *["x"] * 18, "", "unknown"], faces_of(62, photos=2))
    groups = {group.name: group for group in categories("sex", values)}
    assert {name: len(group.faces) for name, group in groups.items()} == {"f": 20, "m": 20, FEW: 20, "unknown": 2}
    assert groups["f"].than == "rest" and len(groups["f"].others) == 40
    assert groups[FEW].others is None and groups["unknown"].others is None


def shown(ranks: list[int | None]) -> pd.DataFrame:
    frame = pd.DataFrame({"subject": range(len(ranks)), "photo": 0, "rank": ranks}).astype({"rank": "Int64"})
    return frame.assign(detected=frame["rank"].notna().astype(int))


def test_a_difference_of_groups_is_of_newcombes_unpaired_interval():
    """Against published numbers, plain Wilson limits and statsmodels' own."""
    for (a, m), (b, n) in (((18, 30), (27, 32)), ((62, 62), (0, 62)), ((0, 62), (0, 62)), ((61, 62), (1, 62))):
        one, other = (Estimate(x / y, *proportion_confint(x, y, method="wilson")) for x, y in ((a, m), (b, n)))
        found = apart(one, other)
        assert found.value == pytest.approx(a / m - b / n)
        assert found[1:] == pytest.approx(confint_proportions_2indep(a, m, b, n, method="newcomb", compare="diff"))
    published = {((62, 62), (0, 62)): (0.91749, 1), ((0, 62), (0, 62)): (-0.05834, 0.05834)}
    published |= {((61, 62), (1, 62)): (0.86912, 0.98652), ((18, 30), (27, 32)): (-0.441, -0.021)}
    for ((a, m), (b, n)), limits in published.items():
        found = apart(Estimate(a / m, *wilson(a, m)), Estimate(b / n, *wilson(b, n)))
        assert found[1:] == pytest.approx(limits, abs=6e-4 if m == 30 else 6e-6)


def test_rates_of_a_group_by_plain_counting():
    """Twelve low and ten high faces: a gain is of the same faces, a difference of others."""
    now = shown([5] * 6 + [0] * 6 + [5] * 9 + [0] + [5])
    clean = shown([5] * 2 + [0] * 10 + [0] * 9 + [5] + [0])
    values = pd.Series([1.0] * 12 + [2.0] * 10 + [np.nan], faces_of(23))
    low = Group("height", "low", values[values == 1].index, 1, 1)
    high = Group("height", "high", values[values == 2].index, 2, 2, "low", low.faces)
    table = by_group(now, clean, [low, high], k=1)
    assert list(table) == COLUMNS and table["hidden"].tolist() == [6, 9] and table["n"].tolist() == [12, 10]
    pairs = {"low": (2, 4, 0, 6), "high": (0, 9, 1, 0)}  # hidden in both, cloaked alone, clean alone, in neither
    limits = {}
    for row in table.itertuples():
        both, only, only_clean, neither = pairs[row.group]
        assert row.psr == pytest.approx(100 * (both + only) / row.n)
        assert (row.psr_low, row.psr_high) == pytest.approx([100 * x for x in wilson(both + only, row.n)])
        assert row.gain == pytest.approx(100 * (only - only_clean) / row.n)
        limits[row.group] = 100 * np.array(newcombe(both, only, only_clean, neither))
        assert (row.gain_low, row.gain_high) == pytest.approx(limits[row.group])
    first, last = table.iloc[0], table.iloc[1]
    assert first["than"] == "" and pd.isna(first["difference"]) and pd.isna(first["gain_difference"])
    assert (last["than"], last["difference"]) == ("low", pytest.approx(90 - 50))
    wanted = confint_proportions_2indep(9, 10, 6, 12, method="newcomb", compare="diff")
    assert (last["difference_low"], last["difference_high"]) == pytest.approx([100 * x for x in wanted])
    delta = 80 - 100 / 3
    below = math.hypot(80 - limits["high"][0], limits["low"][1] - 100 / 3)
    above = math.hypot(limits["high"][1] - 80, 100 / 3 - limits["low"][0])
    found = last[["gain_difference", "gain_difference_low", "gain_difference_high"]].tolist()
    assert found == pytest.approx([delta, delta - below, delta + above])


def test_of_fewer_than_ten_subjects_no_rate_is_told_and_none_follows():
    now, clean = shown([5] * 21), shown([0] * 21)
    small, large = (Group("sex", name, faces_of(21)[part]) for name, part in (("m", slice(9)), ("f", slice(9, 21))))
    rows = [small._replace(than="rest", others=large.faces), large._replace(than="rest", others=small.faces)]
    few, many = by_group(now, clean, rows, k=1).to_dict("records")
    told = {"by": "sex", "group": "m", "than": "rest", "top_k": 1, "subjects": 9, "n": 9, "note": FEW}
    assert {name: value for name, value in few.items() if not pd.isna(value)} == told
    assert many["psr"] == 100 and many["note"] == "rest: fewer than 10 subjects" and math.isnan(many["difference"])


@pytest.mark.parametrize("missed, n, psr", [("protected", 12, 50), ("drop", 10, 40)])
def test_a_lost_face_is_what_the_study_takes_it_for(missed, n, psr):
    group = Group("sex", "f", faces_of(12))
    now, clean = shown([None] * 2 + [5] * 4 + [0] * 6), shown([0] * 11 + [None])
    (row,) = by_group(now, clean, [group], k=1, missed=missed).to_dict("records")
    assert (row["n"], row["psr"]) == (n, pytest.approx(psr))
    assert row["gain"] == pytest.approx({"protected": 100 * 5 / 12, "drop": 100 * 4 / 9}[missed])


def test_two_photographs_of_a_person_are_no_two_people():
    """Ten people, twenty faces, both of a person alike: as sure as of ten faces."""
    now = pd.DataFrame({"subject": np.repeat(range(10), 2), "photo": [0, 1] * 10, "detected": 1})
    now = now.assign(rank=np.repeat([5] * 4 + [0] * 6, 2))
    row = by_group(now, None, [Group("sex", "f", faces_of(20, photos=2))], k=1).iloc[0]
    assert (row["subjects"], row["n"], row["hidden"], row["psr"]) == (10, 20, 8, 40)
    alone = [100 * limit for limit in wilson(4, 10)]
    assert row["psr_low"] <= alone[0] and row["psr_high"] >= alone[1]


def test_clean_cells_have_no_gain():
    row = by_group(shown([5] * 12), None, [Group("sex", "f", faces_of(12))], k=1).iloc[0]
    assert row["psr"] == 100 and pd.isna(row["gain"])


# ------------------------------------------------------------------------------------------------ a study

CONFIG = {
    "dataset": {"loader": "folder", "subjects": 9, "attributes": "people.csv"},
    "matrix": {"source": ["a"], "attack": ["bim"], "eps": [2], "storage": ["png"], "target": ["b"]},
    "top_k": [1],
    "models": {name: {"head": "gallery", "crop": "tight", "weights": "b.pt"} for name in "ab"},
    "compute": {"chunks": 1},
    "measures": ["properties"],
}


@pytest.mark.parametrize("stage", ["margins", "properties", "attributes", "groups"])
def test_its_files_are_left_over_where_nobody_asks_for_them(stage):
    settings = {"stage": stage, "of": {"model": "b"} if stage == "margins" else {}}
    assert not left_over(CONFIG)("any/name", settings)
    assert left_over(CONFIG | {"measures": ["quality"]})("any/name", settings)
    without = CONFIG | {"dataset": {"loader": "folder", "subjects": 9}}
    assert left_over(without)("any/name", settings) == (stage == "attributes")
    assert left_over(CONFIG)("any/name", {"stage": "margins", "of": {"model": "a"}})  # no target


STUDY = """
study: people
dataset: {identities: 36, subjects: 33, enrol: 2}
matrix: {source: [facenet], attack: [bim], eps: [2, 8], target: [facenet, given]}
models:
  given: {arch: small_resnet, weights: given.safetensors, head: gallery, crop: tight160, mean: 127.5, std: 128}
top_k: [1, 3]
training: {epochs: 4}
gate: {clean_top1: 0}
compute: {device: cpu, batch: 8}
"""
ASKED = "measures: [quality, properties]\ndataset: {attributes: people.csv}\n"
ADDED = {"margins": 2, "properties": 1, "attributes": 1, "groups": 1, "provenance": 1, "page": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A study of 33 people, to whom properties and attributes are added when it is finished."""
    directory = tmp_path_factory.mktemp("people")
    give_weights(directory / "given.safetensors")
    (directory / "study.yaml").write_text(STUDY)
    (directory / "asked.yaml").write_text(ASKED)
    rows = "".join(f"id{i:04},{'fm'[i % 2]},{'Zoe' if i == 3 else '' if i > 25 else 'dark'}\n" for i in range(34))
    (directory / "people.csv").write_text(f"identity,sex,hair\n{rows}")
    run = snakemake(directory, "--cores", 2, "--configfile", directory / "study.yaml")
    assert run.returncode == 0, run.stdout + run.stderr
    return directory


@pytest.fixture(scope="module")
def grouped(finished) -> tuple[Path, dict[str, str]]:
    """And what its tables were before."""
    before = digests(finished / "results/people", "**/[!.]*")
    assert counts(finished) == ADDED
    run = asked(finished, "--cores", 2)
    assert run.returncode == 0, run.stdout + run.stderr
    return finished / "results/people", before


def asked(directory: Path, *arguments: object) -> subprocess.CompletedProcess:
    return snakemake(directory, *arguments, "--configfile", directory / "study.yaml", directory / "asked.yaml")


def counts(directory: Path) -> dict[str, int]:
    run = asked(directory, "-n")
    assert run.returncode == 0, run.stdout + run.stderr
    return job_counts(run.stdout)


@pytest.mark.slow
def test_groups_are_a_judgement_of_their_own(grouped):
    """They repeat nothing of a finished study and change none of its tables; another file repeats only them."""
    study, before = grouped
    after = digests(study, "**/[!.]*")
    added = {*after} - {*before}
    assert added == {"groups.csv", "properties.csv", "attributes.csv", "margins/facenet.csv", "margins/given.csv"}
    assert {name for name in before if after[name] != before[name]} == {
        "provenance.json",
        "report.html",
        "summary.html",
    }
    directory = study.parents[1]
    assert counts(directory) == {} and list(differences(study)) == []
    given = directory / "people.csv"
    text = given.read_text()
    given.write_text(text.replace("id0001,m", "id0001,f"))
    assert counts(directory) == {"attributes": 1, "groups": 1, "provenance": 1, "page": 1}
    given.write_text("identity,sex\nsomebody,f\n")
    assert asked(directory, "--cores", 1).returncode != 0
    assert digests(study, "**/[!.]*").items() <= after.items()  # nothing is lost but what is to be made anew
    given.write_text(text)
    assert asked(directory, "--cores", 1).returncode == 0 and digests(study, "**/[!.]*") == after
    (directory / "asked.yaml").write_text(ASKED.replace("people.csv", "elsewhere.csv"))
    given.rename(directory / "elsewhere.csv")
    assert counts(directory) == {"provenance": 1, "page": 1}  # a file that has moved
    (directory / "elsewhere.csv").rename(given)
    (directory / "asked.yaml").write_text(ASKED)


@pytest.mark.slow
def test_every_number_of_the_groups_follows_from_the_leaf_files(grouped):
    study, _ = grouped
    table = pd.read_csv(study / "groups.csv", keep_default_na=False, na_values=[""])
    assert recompute(study)["groups.csv"] == 19 * len(table) > 2000
    assert set(table["by"]) == {*("height", "confidence", "brightness", "contrast", "sharpness", "yaw", "margin")} | {
        "sex",
        "hair",
    }
    assert set(table.loc[table["by"] == "hair", "group"]) == {"dark", FEW, "unknown"}  # and nobody is called Zoe
    told = table[table["subjects"] >= 10]
    assert len(told) > 100 and told["psr"].notna().all() and told["hidden"].notna().all()
    few = table[table["subjects"] < 10]
    assert len(few) >= 6 and few[["hidden", "psr", "gain", "difference"]].isna().all(axis=None)
    assert (few["note"] == FEW).all()
    with (study / "groups.csv").open("a") as file:
        original = (study / "groups.csv").read_bytes()
        file.write("\n")
    forge(study / "groups.csv")
    assert any("groups.csv: differs from what its sources give" in line for line in differences(study))
    (study / "groups.csv").write_bytes(original)
    forge(study / "groups.csv")


@pytest.mark.slow
def test_margins_say_who_is_named(grouped):
    study, _ = grouped
    table = pd.read_csv(study / "properties.csv")
    for target in ("facenet", "given"):
        named = pd.read_csv(study / f"baseline/{target}.csv")["rank"] == 0
        assert ((table[f"margin_{target}"] >= 0) == named).all() and 0 < named.sum() < len(named)


@pytest.mark.slow
def test_nobody_is_named_and_an_export_leaves_attributes_out(grouped, tmp_path):
    study, _ = grouped
    facts = json.loads((study / "provenance.json").read_text())
    assert facts["attributes"] == sha256(study.parents[1] / "people.csv")
    words = [*(f"id{i:04}" for i in range(36)), "Zoe"]
    for name in ("groups.csv", "properties.csv", "attributes.csv", "provenance.json"):
        text = (study / name).read_text()
        assert not [word for word in words if word in text and (name, word) != ("attributes.csv", "Zoe")], name
    command = [sys.executable, "-m", "cloakbench", "export", study, "--output", tmp_path / "export"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    files = {path.relative_to(tmp_path / "export").as_posix() for path in (tmp_path / "export").rglob("*.csv")}
    assert {"groups.csv", "properties.csv"} <= files and not {"attributes.csv", "subjects.csv"} & files
    everything = "".join(path.read_text() for path in (tmp_path / "export").rglob("*") if path.is_file())
    assert not [word for word in [*words, "people.csv", facts["attributes"]] if word in everything]
    assert recompute(tmp_path / "export")["groups.csv"] > 2000  # but for the attributes'


@pytest.mark.slow
@pytest.mark.parametrize(
    "content, said",
    [
        (
            "identity,sex\nsomebody,f\n",
            "none of the file's 1 rows is about one of the 33 attacked people; give each identity",
        ),
        ("file,sex\nid0001,f\n", "none of the file's 1 rows is about one of the 33 attacked photos; give each file"),
    ],
)
def test_a_file_about_nobody_stops_before_crafting_and_costs_nothing(finished, tmp_path, content, said):
    (tmp_path / "study.yaml").write_text(STUDY)
    give_weights(tmp_path / "given.safetensors")
    (tmp_path / "people.csv").write_text(content)
    (tmp_path / "asked.yaml").write_text(ASKED)
    run = asked(tmp_path, "--cores", 1)
    assert run.returncode != 0 and f"attributes: error: dataset.attributes: {said}" in run.stderr, run.stderr
    left = tmp_path / "results/people"
    assert (left / "subjects.csv").exists() and not any((left / name).exists() for name in ("gate", "path", "crafted"))
    (tmp_path / "people.csv").write_text("identity,sex\nid0001,f\n")
    assert asked(tmp_path, "-n").returncode == 0 and "draw" not in counts(tmp_path)


@pytest.mark.parametrize(
    "text, said",
    [
        ("dataset: {attributes: nowhere.csv}\nmeasures: [properties]", "no file 'nowhere.csv'; expected CSV"),
        ("dataset: {attributes: people.csv}\nmeasures: [properties]", "people.csv, line 2: 1 fields under 2 columns"),
        ("dataset: {attributes: people.csv}", "'people.csv' would not be used (there are no groups without properties"),
        ("measures: [property]", "measures[0]"),
    ],
)
def test_what_cannot_be_used_is_said_before_any_work(tmp_path, text, said):
    (tmp_path / "people.csv").write_text("identity,sex\nid0001\n")
    (tmp_path / "asked.yaml").write_text(text)
    run = snakemake(tmp_path, "-n", "--configfile", ROOT / "tests/toy.yaml", tmp_path / "asked.yaml")
    last = run.stderr.strip().splitlines()[-1]
    assert run.returncode != 0 and last.startswith("cloakbench: config: ") and said in last
    assert not (tmp_path / "results").exists()
