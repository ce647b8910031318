"""What a message advises works: whatever file of a finished study is lost or damaged, followed to the letter it ends in
the same tables and a study that `verify` is content with. And what is no fault stops nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloakbench.files.inspection import faults, inspect
from cloakbench.files.seals import read_seal, seal_of
from cloakbench.report.verify import differences
from conftest import ROOT, forge, job_counts
from test_faults import TINY as TINY_YAML
from test_faults import last_line, results, run, study, undisturbed  # noqa: F401

TINY = Path("results/tiny")
# a file of every kind that a study makes, in two halves: none is made from another of its half
KINDS = [
    [
        *("subjects.csv", "weights/facenet.safetensors", "galleries/given.safetensors", "path/facenet/bim/eps2.npy"),
        *("stored/facenet/bim/eps2/jpeg75", "manifests/facenet/clean/eps0/jpeg75.csv", "table1.csv"),
        *("ranks/facenet/bim/eps2/jpeg75/given.csv", "figures/psr/facenet/jpeg75.pdf", "figures/examples.png"),
    ],
    [
        *("enrolment.csv", "subjects/tight160.npy", "enrolment/tight160.npy", "weights/given.safetensors"),
        *("gate/given.json", "baseline/given.csv", "crafted/facenet/bim/eps2.npy", "psr.csv", "provenance.json"),
        *("manifests/facenet/bim/eps5/jpeg75.csv", "redetected/facenet/bim/eps2/jpeg75.csv"),
        *("figures/psr/facenet/jpeg75.png",),
    ],
]
FILES = sorted({"photos", "table1.md", "table1.tex", *KINDS[0], *KINDS[1]})


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def follow(advice: str) -> None:
    """What the line says, and nothing else."""
    folder = re.search(r"delete the folder (\S+) and run again", advice)
    assert folder or re.search(r"delete it(, it alone| and run again)", advice), advice
    remove(Path(folder[1]) if folder else Path(advice.split(": ")[0]))


@pytest.mark.parametrize("half", range(2))
def test_every_kind_of_file_that_is_deleted_is_made_again(study, half):  # noqa: F811
    """Though all that was made from it is there and newer than what it would be made from."""
    for name in KINDS[half]:
        remove(study / TINY / name)
        seal_of(study / TINY / name).unlink()
    jobs = run(study, "-n").stdout.split("\n\n")
    for name in KINDS[half]:
        (job,) = [job for job in jobs if re.search(rf"output: .*{re.escape(str(TINY / name))}\b", job)]
        assert re.search("reason: (Forced execution|Missing output files)", job), job


def test_photos_that_were_deleted_to_make_room_are_made_again_when_they_are_needed(study):  # noqa: F811
    shutil.rmtree(study / TINY / "photos")
    assert job_counts(run(study, "-n").stdout) == {}
    (study / TINY / "subjects/tight160.npy").unlink()
    assert {"render", "crop"} < set(job_counts(run(study, "-n").stdout))


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_and_a_damaged_seal_are_named_and_what_is_advised_ends_it(study, name):  # noqa: F811
    path = study / TINY / name
    for damage in ("content", "seal"):
        copy = shutil.copytree(study, study.with_name(damage)) / TINY
        victim = seal_of(copy / name) if damage == "seal" else copy / name
        if victim.is_dir():
            next(victim.rglob("*.jpg")).unlink()
        else:
            victim.write_bytes(victim.read_bytes()[:-1] + b"\0")
        (line,) = faults(copy)
        follow(line)
        assert list(faults(copy)) == [] and not (copy / name).exists() and path.exists()


CASES = ["crafted/facenet/bim/eps2.npy", "manifests/facenet/bim/eps2/jpeg75.csv", "figures/psr/facenet/jpeg75.pdf"]


@pytest.mark.parametrize("name", CASES)
def test_the_advice_for_a_damaged_file_gives_the_same_study(study, undisturbed, name, monkeypatch):  # noqa: F811
    with (study / TINY / name).open("ab") as file:
        file.write(b"\0")
    process = run(study)
    assert process.returncode != 0 and name in last_line(process)
    monkeypatch.chdir(study)
    follow(last_line(process).removeprefix("cloakbench: "))
    process = run(study)
    assert process.returncode == 0, process.stderr
    assert results(study) == results(undisturbed)
    assert list(differences(study / TINY)) == []


def test_a_seal_that_is_gone_is_missed_where_something_was_made_from_its_file(study):  # noqa: F811
    ranks = study / TINY / "ranks/facenet/bim/eps2/jpeg75/given.csv"
    seal_of(ranks).unlink()
    (line,) = faults(study / TINY)
    assert line.startswith(f"{ranks}: not written by a study, or its seal .given.csv.seal is gone; delete it")


# ------------------------------------------------------------------------------------------------ no fault


def copied_at(folder: Path, reverse: bool) -> None:
    """Dates as copying by name gives them, a second a file."""
    for number, path in enumerate(sorted(folder.rglob("*"), reverse=reverse)):
        os.utime(path, (1e9 + number, 1e9 + number))


def test_a_copied_folder_repeats_nothing(study):  # noqa: F811
    """By its content, whatever times the copying gave: new ones in any order, with Snakemake's records or without."""
    copied_at(study, reverse=False)
    assert job_counts(run(study, "-n").stdout) == {}
    shutil.rmtree(study / ".snakemake")
    (study / TINY / ".checked.json").unlink()
    copied_at(study, reverse=True)
    assert job_counts(run(study, "-n").stdout) == {}


def test_times_stay_as_they_are_in_a_study_that_nobody_touched(study):  # noqa: F811
    paths = [path for path in (study / TINY).rglob("*") if path.name not in (".checked.json", "tiny")]
    before = {path: path.stat().st_mtime_ns for path in paths if path.is_file()}
    for _ in range(2):
        assert run(study, "-n").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_what_was_made_from_something_else_is_made_again_in_a_copy_too(study):  # noqa: F811
    """Crafted anew with other steps, then touched: its time says nothing, what its followers' seals say does."""
    (study / "steps.yaml").write_text("attacks: {bim: {step_size: 2}}")
    assert run(study, study / "steps.yaml", "--until", "craft").returncode == 0
    for path in (study / TINY / "subjects").iterdir():
        path.touch()
    counts = job_counts(run(study, study / "steps.yaml", "-n").stdout)
    assert counts["store"] == 2 and "craft" not in counts and "path" not in counts


STRANGERS = ["Thumbs.db", ".DS_Store", "desktop.ini", "._00000_00.jpg", "00000_00.jpg~", "@eaDir/00000_00.jpg/t.jpg"]
STRANGERS += [".nfs00000001", "__MACOSX/._x", ".AppleDouble/00000_00.jpg", "Icon\r"]


def test_what_other_programs_leave_among_the_results_stops_nothing(study, undisturbed):  # noqa: F811
    for folder in ("", "photos", "photos/id0000", "stored/facenet/bim/eps2/jpeg75", "ranks/facenet/bim/eps2/jpeg75"):
        for name in STRANGERS:
            path = study / TINY / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"somebody else's")
    (study / TINY / "psr (conflicted copy).csv").write_text("another")
    process = run(study, "-n")
    assert process.returncode == 0 and job_counts(process.stdout) == {}, process.stderr
    assert list(differences(study / TINY)) == []


@pytest.mark.parametrize("name", ["README.txt", "00000_00 (conflicted copy).jpg"])
def test_what_was_added_to_pictures_is_named_alone(study, name, monkeypatch):  # noqa: F811
    added = study / TINY / "stored/facenet/bim/eps2/jpeg75" / name
    added.write_bytes(b"mine")
    (line,) = faults(study / TINY)
    assert line == f"{added}: added since the folder was written; move it away or delete it, it alone"
    follow(line)
    assert list(faults(study / TINY)) == []


def test_a_fault_is_in_the_way_of_no_cure(study):  # noqa: F811
    (study / TINY / "psr.csv").write_text("damaged")
    (study / TINY / "gate/given.json").write_text("damaged")
    assert run(study, "-n").returncode != 0
    for cure in ("--unlock", "--summary", "--list-rules", "--list-params-changes", "--dag", "--delete-all-output"):
        process = run(study, cure)
        assert process.returncode == 0, process.stderr
    assert not (study / TINY / "psr.csv").exists()


def test_what_vanishes_while_it_is_looked_at_was_not_there(study, monkeypatch):  # noqa: F811
    """As beside a study that runs: a job's old outputs are deleted, folders and all."""

    def vanishing(path: Path):
        remove(path) if path.name in ("psr.csv", "jpeg75") else None
        return read_seal(path)

    monkeypatch.setattr("cloakbench.files.inspection.read_seal", vanishing)
    found = inspect(study / TINY)
    assert found.faults == [] and study / TINY / "table1.csv" in found.seals


def test_nothing_is_inspected_beside_another_snakemake(study):  # noqa: F811
    """It has looked, and writes here: a seal without its file yet is no fault."""
    (study / TINY / "psr.csv").write_text("half")
    (study / ".snakemake/locks").mkdir(exist_ok=True)
    (study / ".snakemake/locks/0.output.lock").touch()
    assert run(study, "-n").returncode == 0


def test_pictures_cost_the_start_next_to_nothing(tmp_path):
    """Their names are looked at, and neither their times nor their content: 2,000 in a fiftieth of the second that
    100,000 may cost, ten times which no machine that tests run on needs."""
    from cloakbench.files.writing import writing

    with writing(tmp_path / "results/stored") as folder:
        folder.mkdir(parents=True)
        for number in range(2000):
            (folder / f"{number:05d}_00.jpg").write_bytes(b"")
    start = time.monotonic()
    assert list(faults(tmp_path / "results")) == []
    assert time.monotonic() - start < 0.2
    (tmp_path / "results/stored/00000_00.jpg").write_bytes(b"damaged")
    assert list(faults(tmp_path / "results")) == []
    (line,) = faults(tmp_path / "results", thorough=True)
    assert "00000_00.jpg: changed since it was written; delete the folder" in line


# ------------------------------------------------------------------------------------------------ lines and versions


@pytest.mark.parametrize("version", ["without settings", "with other code"])
def test_a_study_of_an_earlier_version_says_in_one_line_that_it_is_made_again(study, version):  # noqa: F811
    """Seals said nothing of settings at first, then named the hash of whole files of code."""
    for path in (study / TINY).rglob(".*.seal"):
        content = json.loads(path.read_text())
        if version == "without settings":
            del content["settings"]
        elif "code" in content["settings"]:
            content["settings"]["code"] = hashlib.sha256(path.name.encode()).hexdigest()
        path.write_text(json.dumps(content))
    facts = json.loads((study / TINY / "provenance.json").read_text())
    del facts["format"]
    (study / TINY / "provenance.json").write_text(json.dumps(facts))
    forge(study / TINY / "provenance.json")
    process = run(study, "-n")
    assert process.returncode == 0, process.stderr
    (line,) = [line for line in process.stderr.splitlines() if line.startswith("cloakbench: ")]
    assert line.endswith("; all that was made otherwise is made again") and len(line) < 300
    assert {"render", "craft", "provenance"} <= set(job_counts(process.stdout))
    assert all(len(line) < 1000 and "Traceback" not in line for line in differences(study / TINY))


def test_no_reason_and_no_command_is_a_page_long(study):  # noqa: F811
    """But for the names of files, of which an aggregate has many."""
    (study / "change.yaml").write_text("""
        top_k: [1, 2]
        attacks: {bim: {step_size: 2}}
        storages: {jpeg75: {quality: 50}}
        models: {given: {std: 100}}
        dataset: {subjects: 1}
    """)
    process = run(study, study / "change.yaml", "-n", "-p")
    lines = [line for line in (process.stdout + process.stderr).splitlines() if not line.startswith("    input: ")]
    assert process.returncode == 0 and any("--settings" in line for line in lines)
    assert max(map(len, lines)) < 1000
    assert not any("before: " in line and "stage" in line for line in lines)


def test_each_seal_is_read_once_at_the_start(study, tmp_path):  # noqa: F811
    """Counted in a dry run, in its own process."""
    (tmp_path / "counted").mkdir()
    (tmp_path / "counted/sitecustomize.py").write_text("""
import atexit, collections, pathlib
counts, read_text = collections.Counter(), pathlib.Path.read_text
def counted(self, *arguments, **options):
    counts[self.name] += self.name.endswith(".seal")
    return read_text(self, *arguments, **options)
pathlib.Path.read_text = counted
atexit.register(lambda: pathlib.Path("counts.txt").write_text(f"{sum(counts.values())}"))
""")
    command = [sys.executable, "-m", "snakemake", "-n", "--snakefile", ROOT / "Snakefile", "--configfile", TINY_YAML]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "counted")}
    process = subprocess.run(list(map(str, command)), cwd=study, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert int((study / "counts.txt").read_text()) == len(list((study / TINY).rglob(".*.seal")))
