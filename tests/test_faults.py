"""Faults injected into a study: it heals to the same bytes, or it stops and names the file. Never a wrong table."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from cloakbench.files.inspection import faults
from cloakbench.recognisers.architectures import build
from cloakbench.report.verify import differences
from conftest import ROOT, checkout_copy, digests, forge, job_counts, snakemake

pytestmark = pytest.mark.slow

TINY = ROOT / "tests/faults.yaml"
STAGES = [
    *("render", "detect", "draw", "crop", "train", "convert", "enrol", "gate", "baseline", "path", "craft"),
    *(
        "store",
        "redetect",
        "look",
        "look_at_photos",
        "classify",
        "clean_scores",
        "measure",
        "quality",
        "faces",
        "front",
        "aggregate",
        "table",
        "provenance",
        "page",
        "curves",
        "examples",
    ),
]
# those of measures that are made on request
ASKED = ["measures=[quality, ladder, properties]", "dataset={attributes: people.csv}"]
PEOPLE = "identity,sex\n" + "".join(f"id{number:04},f\n" for number in range(5))
REQUESTED = ["look_at_crafted", "look_at_stored", "rank_crafted", "rank_stored", "ladder"]
REQUESTED += ["margins", "properties", "attributes", "groups"]


def run(directory: Path, *arguments: object, root: Path = ROOT) -> subprocess.CompletedProcess:
    return snakemake(directory, "--cores", 2, "--configfile", TINY, *arguments, root=root)


def results(directory: Path) -> dict[str, str]:
    """Hashes of everything that a study makes; provenance.json has the version of the code, which the tests edit, and
    the pages say what stands there."""
    found = digests(directory / "results/tiny", "**/[!.]*")
    told = ("provenance.json", "report.html", "summary.html")
    return {name: digest for name, digest in found.items() if name not in told}


def give_weights(path: Path, seed: int = 0) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        save_file(build("small_resnet", 5).state_dict(), path)


def last_line(process: subprocess.CompletedProcess) -> str:
    return process.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("undisturbed")
    give_weights(directory / "given.safetensors")
    process = run(directory)
    assert process.returncode == 0, process.stdout + process.stderr
    assert list(differences(directory / "results/tiny")) == []
    return directory


@pytest.fixture
def study(undisturbed, tmp_path) -> Path:
    """A copy of the finished study; names and dates as in the original."""
    return shutil.copytree(undisturbed, tmp_path / "study")


# ------------------------------------------------------------------------------------------------ killed

# appended to a copy of the project: a job is killed once in every stage, then, when Snakemake tries it again, Snakemake
# itself. The moment is the worst one: the last output is whole and has its seal, but not yet its name.
KILLER = """

import contextlib, signal, sys, time
# outputs of a stage, where there is more than one
LAST = {"draw": 2, "store": 2, "table": 3, "curves": 4, "aggregate": 3, "front": 4, "page": 2}
_count, _seal = 0, seal


def seal(path, written=None):
    global _count
    _seal(path, written)
    _count += 1
    stage = Path(sys.argv[sys.argv.index("--log") + 1]).with_suffix("").parts[2]
    if not Path("killed").is_dir() or _count < LAST.get(stage, 1):
        return
    for victim in (os.getpid(), int(Path("snakemake.pid").read_text())):
        try:
            Path("killed", f"{stage} {'job' if victim == os.getpid() else 'snakemake'}").mkdir()
        except FileExistsError:
            continue
        with contextlib.suppress(ProcessLookupError):  # another job was faster
            os.kill(victim, signal.SIGKILL)
        time.sleep(0.5)  # then the job goes on without Snakemake
        return
"""


def start(directory: Path, root: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "snakemake", "--snakefile", root / "Snakefile", "--directory", directory]
    command += ["--cores", "2", "--configfile", TINY, *arguments]
    with (directory / "output.txt").open("a") as output:
        environment = os.environ | {"PYTHONPATH": ""}
        process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output, env=environment)
    (directory / "snakemake.pid").write_text(str(process.pid))
    return process


def test_kill_minus_nine_of_a_job_and_of_snakemake_in_every_stage(undisturbed, tmp_path):
    root, directory = checkout_copy(tmp_path / "project"), tmp_path / "study"
    with (root / "workflow/lib/cloakbench/files/seals.py").open("a") as file:
        file.write(KILLER)
    (directory / "killed").mkdir(parents=True)
    give_weights(directory / "given.safetensors")
    (directory / "people.csv").write_text(PEOPLE)
    killed: set[str] = set()
    while start(directory, root, "--rerun-incomplete", "--retries", "1", "--config", *ASKED).wait(timeout=300) != 0:
        marks = {mark.name for mark in (directory / "killed").iterdir()}
        assert marks > killed, (directory / "output.txt").read_text()  # nothing else may fail
        time.sleep(0.7)  # an orphan that is still writing
        if not killed:
            refused = run(directory, root=root)
            assert refused.returncode != 0 and "Incomplete files:\nresults/tiny/" in refused.stderr
            assert run(directory, "--unlock", root=root).returncode == 0
        shutil.rmtree(directory / ".snakemake/locks", ignore_errors=True)  # what --unlock does
        killed = marks
    killed = {mark.name for mark in (directory / "killed").iterdir()}
    assert killed == {f"{stage} {victim}" for stage in STAGES + REQUESTED for victim in ("job", "snakemake")}
    assert results(directory).items() > results(undisturbed).items()  # and what was asked for, which verify derives
    assert list(differences(directory / "results/tiny")) == []
    assert not list((directory / "results").rglob("*.part"))


# ------------------------------------------------------------------------------------------------ damaged


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_no_table_comes_from_a_damaged_file(study, undisturbed):
    """A stored JPEG is cut in half, another is garbage, a rank is edited, weights are exchanged."""
    tiny = Path("results/tiny")
    stored, ranks = tiny / "stored/facenet/bim/eps5/jpeg75", tiny / "ranks/facenet/bim/eps2/jpeg75/given.csv"
    weights = tiny / "weights/facenet.safetensors"
    damages = {
        stored / "00000_00.jpg": lambda path: halve(path),
        tiny / "stored/facenet/bim/eps2/jpeg75/00001_00.jpg": lambda path: path.write_bytes(b"garbage"),
        ranks: lambda path: path.write_text(path.read_text().replace("\n0,0,", "\n1,0,")),
        weights: lambda path: shutil.copy2(path.with_name("given.safetensors"), path),
    }
    for path, damage in damages.items():
        damage(study / path)
    process = run(study)
    # pictures are not read at the start, but by whoever needs one, and by `verify`
    assert process.returncode != 0 and "(and 1 more: cloakbench verify results/tiny)" in last_line(process)
    for path in damages:
        remedy = path.parent if path.suffix == ".jpg" else path
        found = faults(study / tiny, thorough=True)
        assert [line for line in found if line.startswith(f"{study / path}: changed since")]
        shutil.rmtree(study / remedy) if path.suffix == ".jpg" else (study / path).unlink()
    process = run(study)
    assert process.returncode == 0, process.stderr
    assert results(study) == results(undisturbed)


def test_a_damaged_file_is_named_by_a_dry_run_too(study):
    psr = study / "results/tiny/psr.csv"
    psr.write_text(psr.read_text().replace(",50.0,", ",60.0,"))
    process = run(study, "-n")
    assert process.returncode != 0
    assert (
        last_line(process) == "cloakbench: results/tiny/psr.csv: changed since it was written; delete it and run again"
    )


def test_every_file_of_a_study_is_watched(study):
    """By size and time where that will do, and by content where they lie; pictures when everything is read."""
    tiny = study / "results/tiny"
    assert list(faults(tiny)) == []
    files = [path for path in sorted(tiny.rglob("[!.]*")) if path.is_file() and ".checked" not in path.name]
    assert len(files) > 60
    for path in files:
        original, times = path.read_bytes(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
        path.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        picture = path.relative_to(tiny).parts[0] in ("photos", "stored")
        assert [line.split(": ")[0] for line in faults(tiny, thorough=picture)] == [str(path)]
        path.write_bytes(original)
        assert list(faults(tiny)) == []  # touched, but the same
        os.utime(path, ns=times)


def test_a_seal_that_is_damaged_or_gone_counts_as_damage(study):
    tiny = study / "results/tiny"
    halve(tiny / ".psr.csv.seal")
    assert "its seal .psr.csv.seal is damaged" in next(faults(tiny))
    (tiny / ".psr.csv.seal").unlink()
    process = run(study, "--forcerun", "table")
    assert process.returncode != 0 and "its seal .psr.csv.seal is gone" in last_line(process)


# ------------------------------------------------------------------------------------------------ swapped


def test_other_weights_under_the_same_name_are_noticed_whatever_their_date(study):
    give_weights(study / "given.safetensors", seed=1)
    os.utime(study / "given.safetensors", (1e9, 1e9))  # older than every result
    counts = job_counts(run(study, "-n").stdout)
    assert {job: counts.get(job) for job in ("convert", "enrol", "gate", "look", "classify", "craft")} == {
        **{"convert": 1, "enrol": 1, "gate": 1, "look": 3, "classify": 3},
        "craft": None,
    }


def test_other_weights_than_the_pinned_ones_stop_the_study(study, undisturbed):
    pinned = digests(undisturbed, "given.safetensors")["given.safetensors"]
    give_weights(study / "given.safetensors", seed=1)
    (study / "pinned.yaml").write_text(f"models: {{given: {{sha256: {pinned}}}}}")
    process = run(study, study / "pinned.yaml")
    assert process.returncode != 0
    line = next(line for line in process.stderr.splitlines() if line.startswith("cloakbench convert: error:"))
    assert "given.safetensors: sha256 is" in line and f"the config says {pinned}" in line
    give_weights(study / "given.safetensors")
    assert run(study, study / "pinned.yaml").returncode == 0
    assert results(study) == results(undisturbed)


# ------------------------------------------------------------------------------------------------ forgotten

CHANGES = {
    "seed: 1": "render",
    "dataset: {subjects: 1}": "draw",
    "crops: {tight160: {margin: 0.1}}": "crop",
    "training: {epochs: 2}": "train",
    "attacks: {bim: {step_size: 2}}": "path",
    "compute: {precision: bf16}": "path",
    "compute: {batch: 1}": "enrol",
    "storages: {jpeg75: {quality: 5}}": "store",
    "models: {given: {std: 100}}": "enrol",
    "detection: {missed: drop}": "look",
    "top_k: [1, 2]": "aggregate",
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_file_was_made_with_is_known_without_snakemakes_records(study, change):
    """What reruns is the same with .snakemake, without it (a cure for locks that forums give) and by dates alone."""
    (study / "change.yaml").write_text(change)
    remembered = job_counts(run(study, study / "change.yaml", "-n").stdout)
    assert CHANGES[change] in remembered
    assert job_counts(run(study, study / "change.yaml", "-n", "--rerun-triggers", "mtime").stdout) == remembered
    shutil.rmtree(study / ".snakemake")
    process = run(study, study / "change.yaml", "-n")
    assert job_counts(process.stdout) == remembered
    assert re.search(r"cloakbench: results/tiny/\S+: made with other \w+", process.stderr)


def test_a_gate_that_is_raised_above_what_was_measured_stops_the_study(study):
    gate = study / "results/tiny/gate/given.json"
    measured = json.loads(gate.read_text())["clean_top1"]
    assert measured < 100
    before = results(study)
    (study / "gate.yaml").write_text("gate: {clean_top1: 100}")
    process = run(study, study / "gate.yaml")
    assert process.returncode != 0 and results(study) == before
    assert re.search(
        r"gate/\w+\.json: \w+ names [\d.]+ % of the clean faces, and gate.clean_top1 is 100: lower it", process.stderr
    )
    for path in gate.parent.glob("*.json"):
        path.unlink()
    process = run(study, study / "gate.yaml")
    assert process.returncode != 0 and "of the clean faces, at least 100 % wanted" in process.stderr
    assert run(study).returncode == 0 and results(study) == before


def test_no_table_mixes_settings(study, undisturbed):
    shutil.rmtree(study / ".snakemake")
    assert job_counts(run(study, "-n").stdout) == {}
    (study / "more.yaml").write_text("storages: {jpeg75: {quality: 5}}\nmatrix: {eps: [2, 5, 7]}")
    assert run(study, study / "more.yaml").returncode == 0
    assert list(differences(study / "results/tiny")) == []
    pictures = [Image.open(path) for path in (study / "results/tiny/stored").rglob("*.jpg")]
    assert len({str(picture.quantization) for picture in pictures}) == 1 and len(pictures) == 8
    shutil.rmtree(study / ".snakemake")
    assert run(study).returncode == 0
    kept = {name: digest for name, digest in results(study).items() if "eps7" not in name}
    assert kept == results(undisturbed)


def test_a_study_of_an_earlier_version_is_made_again_and_says_so(study):
    for path in (study / "results/tiny").rglob(".*.seal"):
        content = json.loads(path.read_text())
        del content["settings"]
        path.write_text(json.dumps(content))
    process = run(study, "-n")
    assert set(job_counts(process.stdout)) == set(STAGES) | {"crop_enrolled"}
    assert process.stderr.count("made with an earlier version of cloakbench; all that was made otherwise") == 1
    (line,) = [line for line in lines(study) if "its seal does not say what it was made with" in line]
    assert "an earlier version of cloakbench or by hand; run the study again" in line


def test_a_mix_that_was_made_by_hand_is_named_and_gets_no_provenance(study):
    tiny = study / "results/tiny"
    manifest = tiny / "manifests/facenet/bim/eps2/.jpeg75.csv.seal"
    manifest.write_text(manifest.read_text().replace('"quality": 75', '"quality": 5'))
    (line,) = [line for line in lines(study) if "made with another" in line]
    assert line.startswith("manifests/facenet/bim/eps2/jpeg75.csv: made with another storage than the study's config")
    process = run(study, "--allowed-rules", "provenance", "--forcerun", "provenance")
    assert process.returncode != 0 and "jpeg75.csv: made with another storage" in process.stderr


# ------------------------------------------------------------------------------------------------ out of time


def test_results_left_over_behind_a_clock_that_was_set_back_are_named(study, undisturbed):
    """A cell is crafted anew, the clock says yesterday, and Snakemake would not see that what follows is older."""
    (study / "steps.yaml").write_text("attacks: {bim: {step_size: 2}}")
    assert run(study, study / "steps.yaml", "--until", "craft").returncode == 0
    for part in ("path", "crafted"):
        for file in (study / "results/tiny" / part).rglob("*.npy"):
            os.utime(file, (1e9, 1e9))
    process = run(study, study / "steps.yaml")
    assert process.returncode != 0
    assert re.search(r"made from another results/tiny/\S+ than the one that is there", last_line(process))
    left_over = {Path(line.split(": ")[0]) for line in faults(study / "results/tiny")}
    assert {path.name for path in left_over} == {
        *("jpeg75", "jpeg75.csv", "examples.png", "provenance.json", "report.html")
    }
    for path in left_over:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert run(study).returncode == 0  # the first step size again
    assert results(study) == results(undisturbed)


@pytest.mark.parametrize("days", [-3650, 3650])
def test_files_from_another_time_change_nothing(study, undisturbed, days):
    for path in (study / "results/tiny").rglob("*.csv"):
        os.utime(path, (time.time() + days * 86400,) * 2)
    process = run(study)
    if process.returncode == 0:
        assert results(study) == results(undisturbed)
    else:  # Snakemake cannot tell what is new
        assert "older modification time" in process.stderr and "results/tiny/" in process.stderr


# ------------------------------------------------------------------------------------------------ two at once


def test_of_two_snakemakes_at_once_one_runs(study, undisturbed):
    """The first is stopped when it holds its locks, so that the second does come at once."""
    first, locks = start(study, ROOT, "--forcerun", "craft"), study / ".snakemake/locks"
    while len(list(locks.glob("*"))) < 2:
        assert first.poll() is None, (study / "output.txt").read_text()
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)
    second = run(study, "--forcerun", "craft")
    first.send_signal(signal.SIGCONT)
    assert second.returncode != 0 and "Directory cannot be locked" in second.stderr
    assert first.wait(timeout=300) == 0, (study / "output.txt").read_text()
    assert results(study) == results(undisturbed)
    assert list(differences(study / "results/tiny")) == []


# ------------------------------------------------------------------------------------------------ full, read-only


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path):
    """A study's folder whose results lie on a tmpfs of 300 kB."""
    directory = tmp_path / "small"
    (directory / "results").mkdir(parents=True)
    give_weights(directory / "given.safetensors")
    try:
        mount("-t", "tmpfs", "-o", "size=300k", "none", directory / "results")
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("SKIPPED, NOTHING WAS CHECKED: no permission to mount a small disk")
    yield directory
    subprocess.run(["umount", directory / "results"], check=True)


def test_a_full_disk_stops_with_the_file_and_heals_with_more_room(small_disk, undisturbed):
    lines: list[str] = []
    for size in ("300k", "1m", "2m", "4m", "64m"):
        mount("-o", f"remount,size={size}", small_disk / "results")
        process = run(small_disk, "--rerun-incomplete")
        lines += [line for line in process.stderr.splitlines() if line.startswith("cloakbench ")]
    assert process.returncode == 0, process.stderr
    named = {
        re.search(r"error: (results/tiny/\S+): cannot be written .*No space left on device", line)[1] for line in lines
    }
    assert len(named) >= 3 and {"weights", "enrolment"} <= {Path(name).parts[2] for name in named}
    assert results(small_disk) == results(undisturbed)


def test_a_read_only_results_folder_stops_with_its_name(small_disk, undisturbed):
    mount("-o", "remount,size=64m", small_disk / "results")
    shutil.copytree(undisturbed / "results", small_disk / "results", dirs_exist_ok=True)
    shutil.copytree(undisturbed / ".snakemake", small_disk / ".snakemake")
    mount("-o", "remount,ro", small_disk / "results")
    assert run(small_disk).returncode == 0  # there is nothing to be done, and reading is allowed
    process = run(small_disk, "--forcerun", "table")
    assert process.returncode != 0
    assert re.search(r"Write-protected output files.*results/tiny/", process.stderr, re.DOTALL)
    mount("-o", "remount,rw", small_disk / "results")
    assert run(small_disk, "--forcerun", "table").returncode == 0
    assert results(small_disk) == results(undisturbed)


# ------------------------------------------------------------------------------------------------ verify


def lines(study: Path) -> list[str]:
    return [line.replace(f"{study}/results/tiny/", "") for line in differences(study / "results/tiny")]


def edit(path: Path, old: str, new: str) -> None:
    """A forger's edit: the seal fits it."""
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    forge(path)


def test_verify_finds_what_a_seal_cannot_show(study):
    tiny = study / "results/tiny"
    assert lines(study) == []
    edit(tiny / "psr.csv", ",2,", ",3,")
    found = "\n".join(lines(study))
    assert "psr.csv: is not the file that provenance.json names" in found
    assert "psr.csv: differs from what its sources give" in found
    assert "table1.csv: differs from what its sources give" in found


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("stored/facenet/bim/eps2/jpeg75/00000_00.jpg", "the picture that was stored"),
        ("photos/id0000/0000.jpg", "the photo that was drawn"),
        ("weights/given.safetensors", "the file that provenance.json names"),
    ],
)
def test_verify_compares_every_hash(study, file, name):
    path = study / "results/tiny" / file
    if file.startswith("photos"):
        row = (study / "results/tiny/enrolment.csv").read_text().splitlines()[1]
        path = study / "results/tiny/photos" / row.split(",")[1]
    path.write_bytes(path.read_bytes() + b"\0")
    forge(path if path.suffix == ".safetensors" else path.parent if "stored" in file else study / "results/tiny/photos")
    assert any(line.startswith(str(path.relative_to(study / "results/tiny"))) and name in line for line in lines(study))


def test_verify_is_a_command(undisturbed, study):
    command = [sys.executable, "-m", "cloakbench", "verify", "results/tiny"]
    process = subprocess.run(command, cwd=undisturbed, capture_output=True, text=True)
    assert process.returncode == 0 and "every table follows from the ranks" in process.stdout
    (study / "results/tiny/table1.md").unlink()
    process = subprocess.run(command, cwd=study, capture_output=True, text=True)
    assert process.returncode == 1 and "results/tiny/table1.md: is gone" in process.stdout
