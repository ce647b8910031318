"""Studies that repeat each other: what kind of repeat, and its numbers by plain loops and published vectors."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from cloakbench.photos.sample import read_photos, write_photos
from cloakbench.report.repeats import repeated
from cloakbench.report.verify import differences
from cloakbench.statistics import repeats
from cloakbench.statistics.intervals import of_share
from conftest import TOY, forge, snakemake

CELL = {"source": "a", "attack": "bim", "eps": 4, "storage": "png", "target": "b"}


def ranks(hidden: list[int]) -> pd.DataFrame:
    rank = pd.array([9 * one for one in hidden], "Int64")
    return pd.DataFrame({"subject": range(len(hidden)), "photo": 0, **CELL, "detected": 1, "rank": rank})


def drawn(counts: list[int], size: int) -> pd.Series:
    return repeats.draws([ranks([1] * count + [0] * (size - count)) for count in counts], 1).iloc[0]


def test_draws_that_are_alike_are_one_sample():
    found = drawn([50, 46, 54, 48, 52], 62)
    assert (found["draws"], found["n"]) == (5, 310)
    assert found[["psr", "psr_low", "psr_high"]].tolist() == pytest.approx([80.645, 75.883, 84.657], abs=1e-3)
    assert found["p"] == pytest.approx(0.3883, abs=1e-4) and found["spread"] < 1
    assert found[["lowest", "highest"]].tolist() == pytest.approx([4600 / 62, 5400 / 62])


def test_draws_that_differ_have_the_interval_of_draws():
    counts = [50, 30, 58, 40, 61]
    found, rates = drawn(counts, 62), np.array(counts) / 0.62
    assert found["p"] == pytest.approx(2.4e-12, rel=0.02) and found["spread"] == pytest.approx(
        100 * 0.04013**0.5, abs=1e-2
    )
    reach = 2.776445 * rates.std(ddof=1) / 5**0.5  # Student's t of 4 degrees of freedom
    assert found["psr_low"] == pytest.approx(rates.mean() - reach, abs=1e-3)
    assert found["psr_high"] == pytest.approx(min(100, rates.mean() + reach), abs=1e-3)


def test_a_share_of_none_or_all_is_alike():
    assert drawn([0, 0], 9)["p"] == drawn([9, 9], 9)["p"] == 1
    assert drawn([0, 0], 9)["psr_high"] == pytest.approx(of_share([0] * 18, range(18))[1])


def test_noise_is_told_from_people():
    rows = ["111", "111", "000", "101", "001", "111", "000", "110"]
    studies = [ranks([int(row[repeat]) for row in rows]) for repeat in range(3)]
    found = repeats.noise(studies, 1).iloc[0]
    assert found["psr"] == pytest.approx(58.333, abs=1e-3) and found["changed"] == 100 * 3 / 8
    assert found["between"] == 0 and found["error"] == pytest.approx(100 * 0.022817**0.5, abs=1e-3)
    assert found[["lowest", "highest", "difference"]].tolist() == [50, 62.5, 12.5]


def test_photographs_of_one_person_are_no_independent_trials():
    """Each photograph three times over says no more: the same p, spread and errors."""
    thrice, counts = lambda one: pd.concat([one.assign(photo=photo) for photo in range(3)]), [50, 30, 58]
    shown = [ranks([1] * count + [0] * (62 - count)) for count in counts]
    once, often = repeats.draws(shown, 1).iloc[0], repeats.draws([*map(thrice, shown)], 1).iloc[0]
    assert often["n"] == 3 * once["n"] and often["psr"] == pytest.approx(once["psr"])
    # nearly: Student's t for the effective number of trials, and never fewer than there are people
    assert often["p"] == pytest.approx(once["p"], rel=0.1)
    assert often["spread"] == pytest.approx(once["spread"], rel=0.02)
    rows = ["111", "111", "000", "101", "001", "111", "000", "110"]
    shown = [ranks([int(row[repeat]) for row in rows]) for repeat in range(3)]
    once, often = repeats.noise(shown, 1).iloc[0], repeats.noise([*map(thrice, shown)], 1).iloc[0]
    told = ["psr", "between", "error", "changed", "lowest", "highest"]
    assert often[told].tolist() == pytest.approx(once[told].tolist())


def test_studies_without_a_common_cell_make_an_empty_table():
    """Whoever asked reads that there is none, whatever the kind of repeat."""
    apart = [ranks([1, 0]), ranks([1, 0]).assign(eps=8)]
    assert all(kind(apart, 1).empty for kind in (repeats.draws, repeats.noise, repeats.rounding))


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The first and the second of two draws, and the first with other random numbers, of one small grid."""
    directory = tmp_path_factory.mktemp("repeats")
    (directory / "small.yaml").write_text(
        "study: one\ndataset: {identities: 8, subjects: 2, draws: 2}\nmeasures: []\n"
        "matrix: {source: [resnet50], attack: [pgd1], eps: [4], target: [resnet50]}\ntop_k: [1]\n"
    )
    small = [directory, "--cores", 2, "--configfile", TOY, directory / "small.yaml", "--config"]
    for changes in ([], ["dataset={draw: 2}", "study=other"], ["noise=5", "study=noise"], ["study=again"]):
        run = snakemake(*small, "measures=[]", *changes)
        assert run.returncode == 0, run.stdout + run.stderr
    return directory / "results"


def test_draws_of_one_pool_have_nobody_in_common_and_one_gallery(studies):
    one, other = (pd.read_csv(studies / name / "subjects.csv") for name in ("one", "other"))
    both = pd.read_csv(studies / "one/drawn/subjects.csv")
    assert [*one["identity"], *other["identity"]] == [*both["identity"]] and [*other["subject"]] == [0, 1]
    galleries = [(studies / name / "enrolment.csv").read_bytes() for name in ("one", "other")]
    assert galleries[0] == galleries[1]
    assert "seed 0, draw 2 of 2, from" in (studies / "other/table1.md").read_text()
    crafted = [(studies / name / "crafted/resnet50/pgd1/eps4.npy").read_bytes() for name in ("one", "noise", "again")]
    assert crafted[0] != crafted[1] and crafted[0] == crafted[2]
    assert [*differences(studies / "other"), *differences(studies / "noise")] == []


@pytest.mark.parametrize("other, kind", [("other", "draws"), ("noise", "noise"), ("again", "rounding")])
def test_the_kind_is_what_differs(studies, other, kind):
    found, table, _ = repeated([studies / "one", studies / other], 1)
    assert found == kind and len(table) == 2  # clean and attacked
    assert table["n"].tolist() == [4, 4] if kind == "draws" else [2, 2]
    command = [sys.executable, "-m", "cloakbench", "repeats", studies / "one", studies / other]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout.count("config ") == 2, run.stderr
    assert "among" in run.stdout and "| pgd1" in run.stdout


def refusal(*named) -> str:
    run = subprocess.run([sys.executable, "-m", "cloakbench", "repeats", *named], capture_output=True, text=True)
    assert run.returncode == 1 and run.stderr.count("\n") == 1
    return run.stderr


def test_what_is_no_repeat_is_refused_in_one_line(studies):
    assert "one study repeats nothing" in refusal(studies / "one")
    shutil.copytree(studies / "one", studies / "mixed")
    one, other = (read_photos(studies / name / "subjects.csv") for name in ("one", "other"))
    write_photos(studies / "mixed/subjects.csv", pd.concat([one.iloc[:1], other.iloc[1:]], ignore_index=True))
    refused = refusal(studies / "one", studies / "mixed")
    assert "mixed: share 1 of 2 subjects; repeated draws have nobody in common (dataset.draws and draw)" in refused
    for name in ("fewer", "scaled"):
        shutil.copytree(studies / "other", studies / name)
    enrolled, facts = read_photos(studies / "one/enrolment.csv"), studies / "scaled/provenance.json"
    count = len(enrolled)
    write_photos(studies / "fewer/enrolment.csv", enrolled.iloc[1:])
    told = f"fewer: other gallery ({count} and {count - 1} enrolled photos, {count - 1} in both; dataset.draws keeps"
    assert told in refusal(studies / "one", studies / "fewer")
    scaled = json.loads(facts.read_text())
    scaled["config"]["models"]["resnet50"]["std"] = 2
    facts.write_text(json.dumps(scaled))
    forge(facts)
    assert "scaled: other models (resnet50)" in refusal(studies / "one", studies / "scaled")
    assert "some have the same random numbers" in refusal(*(studies / name for name in ("one", "noise", "again")))
