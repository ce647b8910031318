"""The workflow as a user runs it: a toy study through every stage, what reruns, and the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from cloakbench.attacks.families import shares_path
from cloakbench.attacks.goals import GOALS
from cloakbench.files.inspection import sealed
from cloakbench.files.seals import read_seal
from cloakbench.report.results import FROM_QUALITY
from cloakbench.report.results import FROM_RANKS as FROM_RANKS_ALONE
from cloakbench.report.verify import differences
from cloakbench.study.leftover import left_over
from conftest import ROOT, TOY, checkout_copy, digests, forge, job_counts, snakemake
from references.tables import recompute

TABLES = {"faces": 1, "front": 1, "aggregate": 1, "table": 1, "provenance": 1, "page": 1, "curves": 2}
FROM_RANKS = {table: count for table, count in TABLES.items() if table != "faces"}
CELLS = ["source", "attack", "eps", "storage", "target"]


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("toy")
    run = snakemake(directory, "--cores", 2, "--configfile", TOY)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("quality.csv: ms_ssim: empty of facenet (below 161 pixels") == 1  # and nothing is lost
    return directory


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Path:
    return checkout_copy(tmp_path_factory.mktemp("checkout") / "cloakbench")


def would_run(toy, *arguments, root=ROOT) -> dict[str, int]:
    run = snakemake(toy, "-n", "--configfile", TOY, *arguments, root=root)
    assert run.returncode == 0, run.stdout + run.stderr
    return job_counts(run.stdout)


def test_a_finished_study_reruns_nothing(toy):
    assert would_run(toy) == {}


def test_every_number_of_the_tables_follows_from_the_leaf_files(toy):
    compared = recompute(toy / "results/toy")
    assert set(compared) == {*FROM_RANKS_ALONE, *FROM_QUALITY, "quality.csv"}
    table = pd.read_csv(toy / "results/toy/psr.csv")
    said = {*CELLS, "top_k", "knows", "gradients"}  # what a cell is, and what its attack is
    assert compared["psr.csv"] == len(table) * len({*table} - said)


def test_an_export_names_nobody(toy, tmp_path, monkeypatch):
    """And its tables follow from its ranks."""
    monkeypatch.chdir(tmp_path)
    study, output = toy / "results/toy", tmp_path / "export/toy"
    command = [sys.executable, "-m", "cloakbench", "export", study]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout.startswith("export/toy: "), run.stderr
    photos = pd.concat([pd.read_csv(study / name) for name in ("subjects.csv", "enrolment.csv")])
    hidden = {*photos["identity"], *photos["file"], *photos["sha256"], str(toy), *map(str, ROOT.parents[:-1])}
    for path in (path for path in output.rglob("*") if path.is_file()):
        text = path.read_text()
        assert not [word for word in hidden if word in text], path
    assert recompute(output) == recompute(study)
    one, other = (pd.read_csv(folder / "ranks/facenet/bim/eps5/jpeg75/senet50.csv") for folder in (study, output))
    anew = ["label", "predicted", "other"]
    pd.testing.assert_frame_equal(one.drop(columns=anew), other.drop(columns=anew))
    assert [*other["label"]] == [*range(len(other))]  # one after another, wherever they stand in the class list
    assert ((one["label"] == one["predicted"]) == (other["label"] == other["predicted"])).all()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 1 and "is there already; give another --output" in again.stderr


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (["psr.csv", "attack=bim", "top_k=1", "--columns", "eps", "psr"], "| eps   | psr"),
        (["needed.csv", "share=50", "attack=bim,illc"], "needed.csv of study toy, N = 3, seed 0; commit "),
        (
            ["faces.csv", "eps=5", "--columns", "rank", "own_score"],
            "own_score: empty of facenet, senet50 (a class head",
        ),
        (["quality.csv", "eps=5"], "ms_ssim: empty of facenet (below 161 pixels"),
        (["psr.csv", "colour=red"], "no column 'colour'; known: source, attack"),
        (["psr.csv", "eps=6"], "psr.csv: no row with eps=6"),
        (["psr.tsv"], "psr.tsv: no table of this study; known: comparisons.csv, "),
        (["scores/facenet.csv"], "scores/facenet.csv: facenet has a class head, whose logits"),
    ],
)
def test_rows_of_a_table_are_shown(toy, asked, answer):
    command = [sys.executable, "-m", "cloakbench", "show", toy / "results/toy", *asked]
    run = subprocess.run(command, capture_output=True, text=True)
    assert answer in (run.stderr if run.returncode else run.stdout)


def test_scores_that_nobody_has_are_refused_in_one_line(toy):
    """A class head has none; of a recogniser that is no target nobody asks."""
    run = snakemake(toy, "results/toy/scores/facenet.csv", "-n", "--configfile", TOY)
    line = run.stderr.splitlines()[-1]
    assert run.returncode == 1 and line.startswith(
        "cloakbench: results/toy/scores/facenet.csv: facenet has a class head"
    )
    assert line.endswith("its ranks stand, in results/toy/ranks/") and "Exception" not in run.stderr


def test_a_checkout_that_touches_every_file_reruns_nothing(toy, checkout):
    assert would_run(toy, root=checkout) == {}


MEASURED = {"measure": 10, "quality": 1}
ALL_CELLS = {"store": 10, "redetect": 10, "look": 20, "classify": 20} | MEASURED | TABLES
CRAFT = {"path": 8, "craft": 8, "examples": 1}
EIGHT_CELLS = {"store": 8, "redetect": 8, "look": 16, "classify": 16, "measure": 8, "quality": 1}
FOUR_CELLS = {"path": 4, "craft": 4, "store": 4, "redetect": 4, "look": 8, "classify": 8, "measure": 4, "quality": 1}
ONE_ATTACK = FOUR_CELLS | {"examples": 1}
NO_PATH = {job: count for job, count in ONE_ATTACK.items() if job != "path"}
SENET = {"train": 1, "gate": 1, "look_at_photos": 1, "baseline": 1, "look": 10, "classify": 10} | TABLES
# what is written in place of what, in which file: the jobs of a finished study that it repeats
EDITS = {
    # nothing that a job runs: comments, docstrings, wording for people, what carries a job, what another study runs
    ("measures/ranking.py", "    true = ", "    # the true one\n    true = "): {},
    ("measures/ranking.py", "Number of classes with strictly larger", "How many classes have larger"): {},
    ("attacks/craft.py", 'desc=f"eps {self.eps}"', 'desc=f"budget {self.eps}"'): {},
    ("jobs/command.py", '"done in {', '"took {'): {},
    ("jobs/command.py", '"also write progress, warnings', '"write progress, warnings'): {},
    ("../../../scripts/craft.py", 'help="clean faces on the canvas"', 'help="the clean faces"'): {},
    ("files/seals.py", "indent=0", "indent=1"): {},
    ("recognisers/enrol.py", "F.normalize(sums).float()", "F.normalize(sums.double()).float()"): {},  # no gallery
    ("photos/datasets.py", '"<root>/<Name>/<Name>_0001.jpg"', '"<root>/<Name>/<Name>_1.jpg"'): {},  # of lfw
    ("publishing/store.py", 'picture.save(file, "PNG")', 'picture.save(file, "PNG", optimize=True)'): {},
    ("recognisers/foreign/onnx_graph.py", "import torch\n", "import torch\n\nTORCH = torch\n"): {},
    # what a job runs, and nobody else
    ("measures/ranking.py", "(logits > true)", "(logits >= true)"): {"baseline": 2, "classify": 20} | TABLES,
    ("measures/look.py", "np.stack(faces)", "np.array(faces)"): {"look": 20, "classify": 20} | TABLES,
    ("report/figures.py", "dpi=150", "dpi=151"): {"curves": 2, "examples": 1, "front": 1, "provenance": 1, "page": 1},
    ("attacks/losses.py", "(clean).argmin(dim=1)", "(clean).argmin(1)"): ONE_ATTACK | TABLES,  # ILLC's goal
    ("attacks/losses.py", "others - logits.gather", "others + 0 - logits.gather"): {},  # of a goal that it has not
    ("attacks/transforms.py", "/ 2**copy", "/ 2.0**copy"): {},  # of a view that it has not
    ("attacks/walk.py", "min(eps + 4,", "min(4 + eps,"): CRAFT | EIGHT_CELLS | TABLES,
    ("measures/quality.py", "SIGMA**2", "SIGMA * SIGMA"): MEASURED
    | {"faces": 1, "front": 1, "provenance": 1, "page": 1},
    ("statistics/spread.py", '"p5": 5', '"p5": 5.0'): {"quality": 1, "front": 1, "provenance": 1, "page": 1},
    ("statistics/psr.py", "100 - 100 / len(recognised)", "100.0 - 100 / len(recognised)"): FROM_RANKS,
    ("publishing/store.py", 'picture.save(file, "JPEG"', 'picture.save(file, "JPEG", optimize=True'): ALL_CELLS,
    ("synthetic/small.py", 'attn_layer="se"', 'attn_layer="ese"'): SENET,
    # recognisers are gated anew; training normalises by itself
    ("recognisers/recogniser.py", "(faces - self.mean) / self.std", "(faces - self.mean) / (self.std)" + "+ 0"): CRAFT
    | EIGHT_CELLS
    | {"gate": 3, "look_at_photos": 2, "baseline": 2, "look": 20, "classify": 20}
    | TABLES,
    ("synthetic/render.py", "SIDE = 240", "SIDE = 241"): {
        "render": 1,
        "detect": 1,
        "draw": 1,
        "crop": 2,
        "crop_enrolled": 2,
        "train": 3,
        "gate": 3,
        "look_at_photos": 2,
        "baseline": 2,
    }
    | CRAFT
    | ALL_CELLS,
}


@pytest.mark.parametrize("edit", EDITS)
def test_edited_code_reruns_exactly_what_runs_it(toy, checkout, edit):
    module, old, new = edit
    path = checkout / "workflow/lib/cloakbench" / module
    original = path.read_text()
    assert old in original
    path.write_text(original.replace(old, new))
    try:
        assert would_run(toy, root=checkout) == EDITS[edit]
    finally:
        path.write_text(original)


KEY = """    Key("direction", "classify", default="evasion"),
)
NAMES"""


def test_a_key_with_a_default_repeats_nothing(toy, checkout, tmp_path):
    """Another value of it is a folder before the storage's, and asks for its own cells and the tables alone."""
    keys, schema = checkout / "workflow/lib/cloakbench/study/keys.py", checkout / "workflow/schemas/config.schema.yaml"
    originals = {path: path.read_text() for path in (keys, schema)}
    target = "      target: {$ref"
    assert target in originals[schema]
    keys.write_text(originals[keys].replace(")\nNAMES", KEY))
    schema.write_text(originals[schema].replace(target, f"      direction: {{$ref: '#/$defs/names'}}\n{target}"))
    try:
        assert would_run(toy, root=checkout) == {}
        (tmp_path / "said.yaml").write_text("matrix: {direction: [evasion]}")
        assert would_run(toy, tmp_path / "said.yaml", root=checkout) == {}
        (tmp_path / "both.yaml").write_text("matrix: {direction: [evasion, enrolled]}")
        run = snakemake(toy, "-n", "-p", "--configfile", TOY, tmp_path / "both.yaml", root=checkout)
        assert job_counts(run.stdout) == {"look": 20, "classify": 20} | TABLES, run.stderr
        assert run.stdout.count("/eps5/direction=enrolled/jpeg75/senet50.csv --threads") == 4
        assert '"direction": "enrolled", ' in run.stdout
    finally:
        for path, text in originals.items():
            path.write_text(text)


CHANGES = {
    "top_k: [1, 2]": FROM_RANKS,
    "detection: {missed: drop}": {"look": 20, "classify": 20, "examples": 1} | TABLES,
    "attacks: {illc: {step_size: 2}}": ONE_ATTACK | TABLES,
    "matrix: {attack: [bim, illc, mi]}": ONE_ATTACK | TABLES,  # of the catalogue, by name
    "matrix: {attack: [bim, illc, pgd_paper]}": NO_PATH | TABLES,  # its budgets share none
    "storages: {jpeg75: {quality: 90}}": ALL_CELLS,
    # a further budget, between two others or not, is on nobody's way: 16 is reached by 4 and 8, which are no cells
    "matrix: {eps: [2, 3, 5]}": CRAFT | FOUR_CELLS | TABLES,
    "matrix: {eps: [2, 5, 7]}": CRAFT | FOUR_CELLS | TABLES,
    "matrix: {eps: [2, 5, 16]}": CRAFT | FOUR_CELLS | {"path": 12} | TABLES,
    # an ensemble is one more source; a recogniser that was none is measured anew, for what crafting on it costs
    "ensembles: {both: {members: [resnet50, senet50]}}\nmatrix: {source: [facenet, resnet50, both]}": CRAFT
    | {"path": 4, "craft": 4, "gate": 1, "store": 5, "redetect": 5, "look_at_photos": 1, "baseline": 1}
    | {"look": 20, "classify": 20, "measure": 5, "quality": 1}
    | TABLES
    | {"curves": 3},
    "matrix: {eps: [2]}": TABLES | {"examples": 1, "quality": 1},
    "models: {senet50: {std: 2}}": SENET,
}


def test_quality_is_measured_where_it_is_asked_for(toy, tmp_path):
    (tmp_path / "less.yaml").write_text("measures: []")
    assert would_run(toy, tmp_path / "less.yaml") == {"faces": 1, "provenance": 1, "page": 1}
    run = snakemake(tmp_path, "-n", "--configfile", TOY, tmp_path / "less.yaml")
    assert {"measure", "quality", "front"}.isdisjoint(job_counts(run.stdout))


LADDER = {"look_at_crafted": 8, "rank_crafted": 8, "look_at_stored": 10, "rank_stored": 10, "ladder": 1}
LADDER |= {"look_at_photos": 1, "baseline": 1, "provenance": 1, "page": 1}  # of the source that is no target


@pytest.fixture(scope="session")
def laddered(toy, tmp_path_factory) -> Path:
    """The ladder added to the finished study."""
    study = shutil.copytree(toy, tmp_path_factory.mktemp("laddered") / "toy", symlinks=True)
    (study / "ladder.yaml").write_text("measures: [quality, ladder]")
    assert would_run(study, study / "ladder.yaml") == LADDER
    run = snakemake(study, "--cores", 2, "--configfile", TOY, study / "ladder.yaml")
    assert run.returncode == 0, run.stdout + run.stderr
    return study


def test_the_ladder_is_a_judgement_of_its_own(laddered):
    """It repeats nothing of a study, and leaves it as it was when nobody asks for it any more."""
    study = laddered / "results/toy"
    assert would_run(laddered, laddered / "ladder.yaml") == {} and list(differences(study)) == []
    assert would_run(laddered) == {"provenance": 1, "page": 1}
    facts = json.loads((study / "provenance.json").read_text())
    over = left_over(facts["config"] | {"measures": ["quality"]})
    left = {path.relative_to(study) for path in sealed(study)}
    left = {str(path) for path in left if over(path.as_posix(), read_seal(study / path)["settings"])}
    own = {str(path.relative_to(study)) for path in (study / "ladder").rglob("[!.]*.*")}
    assert left == own | {"ladder.csv", "baseline/resnet50.npy", "baseline/resnet50.csv"} and len(own) == 36
    assert left <= {*facts["files"]} | {name for name in left if name.endswith(".npy")}
    with (study / "ladder.csv").open("a") as file:
        file.write("\n")
    forge(study / "ladder.csv")
    assert any("ladder.csv: differs from what its sources give" in line for line in differences(study))
    (study / "ladder.csv").unlink()
    run = snakemake(laddered, "--cores", 1, "--configfile", TOY, laddered / "ladder.yaml")
    assert run.returncode == 0 and list(differences(study)) == []


def test_the_ladder_follows_from_the_leaf_files(laddered):
    table = pd.read_csv(laddered / "results/toy/ladder.csv", keep_default_na=False)
    assert list(table.groupby("source").size()) == [4 + 4 * 5, 4 + 4 * 5]  # found, or one more target
    assert recompute(laddered / "results/toy")["ladder.csv"] == 7 * 48 + 7 * 38 + 4 * 32  # rates, steps, destruction


def test_a_crafted_face_is_judged_as_it_was_attacked(laddered):
    """The first rung is what the photograph's face is to the source, and the cloak of ILLC leads away from it."""
    study = laddered / "results/toy"
    clean = np.load(study / "baseline/facenet.npy")["embedding"]
    for attack in ("bim", "illc"):
        moved = [
            np.load(study / f"ladder/crafted/facenet/{attack}/eps{eps}/facenet.npy")["embedding"] - clean
            for eps in (2, 5)
        ]
        assert 0 < np.linalg.norm(moved[0]) < np.linalg.norm(moved[1])


def test_every_attack_of_the_catalogue_is_planned(toy, tmp_path):
    """Beside those that are finished, each asks for its own cells, and for a path where its budgets share one."""
    catalogue = yaml.safe_load((ROOT / "workflow/attacks.yaml").read_text())
    entries = {name: {"goal": "untargeted", **entry} for name, entry in catalogue.items() if "norm" not in entry}
    names = [name for name, entry in entries.items() if not GOALS[entry["goal"]].embedding]
    new = {*names} - {"bim", "illc"}
    (tmp_path / "all.yaml").write_text(f"matrix: {{attack: [{', '.join(names)}]}}")
    counts = would_run(toy, tmp_path / "all.yaml")
    assert counts["craft"] == 4 * len(new) and len(new) > 15
    assert counts["path"] == 4 * sum(shares_path(entries[name]) for name in new)
    assert not {"train", "gate", "convert"} & {*counts}


LOOKER = """# From outputs to a score a face: a judgement that somebody has added.
rule scores:
    input:
        outputs=of_probes(rules.look.output.outputs),
    output:
        scores=f"{STUDY}/scores/{JUDGED_AS}.csv",
    shell:
        "cp {input.outputs:q} {output.scores:q}"
"""


def test_a_new_judgement_repeats_no_network(toy, tmp_path):
    """A rule that reads outputs and the line that asks for its files: in a finished study it alone has to run."""
    root = checkout_copy(tmp_path / "cloakbench")
    (root / "workflow/rules/scores.smk").write_text(LOOKER)
    snakefile = root / "Snakefile"
    last = 'include: "workflow/rules/report.smk"\n'
    text = snakefile.read_text().replace(last, f'{last}include: "workflow/rules/scores.smk"\n')
    text = text.replace(
        "        FIGURES,\n", '        FIGURES,\n        every_cell(rules.scores.output.scores, "classify"),\n'
    )
    snakefile.write_text(text)
    assert would_run(toy, root=root) == {"scores": 20}


@pytest.mark.slow
def test_outputs_that_are_not_kept_are_not_missed(toy, tmp_path):
    """They go once the ranks are there, and nothing asks for them again; a change of what made them does."""
    (tmp_path / "lean.yaml").write_text("keep: {outputs: false}")
    lean = ["--configfile", TOY, tmp_path / "lean.yaml"]
    assert would_run(toy, tmp_path / "lean.yaml") == {
        "provenance": 1,
        "page": 1,
    }  # in a finished study it repeats nothing
    run = snakemake(tmp_path, "--cores", 2, *lean)
    assert run.returncode == 0, run.stdout + run.stderr
    study = tmp_path / "results/toy"
    assert not list(study.glob("outputs/**/*.npy")) and list((toy / "results/toy").glob("outputs/**/*.npy"))
    assert digests(study, "ranks/**/*", "psr.csv") == digests(toy / "results/toy", "ranks/**/*", "psr.csv")
    assert job_counts(snakemake(tmp_path, "-n", *lean).stdout) == {}
    assert list(differences(study)) == []
    (tmp_path / "other.yaml").write_text("detection: {missed: drop}")
    repeated = {"look": 20, "classify": 20, "examples": 1} | TABLES
    assert job_counts(snakemake(tmp_path, "-n", *lean, tmp_path / "other.yaml").stdout) == repeated
    kept = job_counts(snakemake(tmp_path, "-n", "--configfile", TOY).stdout)
    assert kept == {"look": 20, "classify": 20} | TABLES  # asked for again they are made again


@pytest.mark.slow
def test_an_ensemble_is_crafted_on_all_of_its_members(toy, tmp_path):
    """The second sees the same pixels in its own size."""
    (tmp_path / "both.yaml").write_text("""
ensembles: {both: {members: [resnet50, half]}}
models: {half: {arch: small_seresnet, weights: trained, head: softmax, crop: loose112, mean: 120, std: 60}}
crops: {loose112: {size: 112, margin: 0.3, short_side: 128}}
matrix: {source: [resnet50, both], attack: [bim], eps: [5], target: [half]}
measures: [quality, ladder]
""")
    study = tmp_path / "study"
    shutil.copytree(toy, study, symlinks=True)
    run = snakemake(study, "--cores", 2, "--configfile", TOY, tmp_path / "both.yaml")
    assert run.returncode == 0, run.stdout + run.stderr
    clean = np.load(study / "results/toy/subjects/loose224.npy").astype(int)
    one, both = (np.load(study / f"results/toy/crafted/{name}/bim/eps5.npy") for name in ("resnet50", "both"))
    assert both.shape == clean.shape and np.abs(both - clean).max() == 5 and (one != both).mean() > 0.05
    ranks = pd.read_csv(study / "results/toy/ranks/both/bim/eps5/jpeg75/half.csv")
    assert set(ranks["source"]) == {"both"} and len(ranks) == 3
    ladder = pd.read_csv(study / "results/toy/ladder.csv").query("source == 'both' and attack == 'bim'")
    assert list(zip(ladder["member"], ladder["rung"], ladder["judged_by"], strict=True)) == [
        *(("resnet50", rung, "resnet50") for rung in ("clean", "crafted", "stored")),
        ("resnet50", "other", "half"),  # resnet50 is no target: nobody finds the face for it
        *(("half", rung, "half") for rung in ("clean", "crafted", "stored", "found")),
    ]
    assert list(differences(study / "results/toy")) == []


@pytest.fixture(scope="session")
def drifting(toy, checkout, tmp_path_factory) -> tuple[Path, Path, Path]:
    """A new family in a copy of the project, a file, a schema and a line, and an entry of it in a finished study."""
    directory = tmp_path_factory.mktemp("drifting")
    root, study = checkout_copy(directory / "cloakbench"), directory / "study"
    shutil.copy(ROOT / "tests/drifting.py", root / "workflow/lib/cloakbench/attacks/drifting.py")
    (root / "workflow/schemas/attacks/drifting.schema.yaml").write_text(DRIFTING)
    registry = root / "workflow/lib/cloakbench/attacks/families.py"
    line = '    "drifting": Family("cloakbench.attacks.drifting", norm="linf", shares_path=True),\n}'
    assert registry.read_text().count("\n}") == 1
    registry.write_text(registry.read_text().replace("}", line, 1))
    (directory / "more.yaml").write_text(
        "attacks: {drift: {family: drifting, mu: 1}}\nmatrix: {attack: [bim, illc, drift]}"
    )
    shutil.copytree(toy, study, symlinks=True)
    return root, study, directory / "more.yaml"


DRIFTING = """
$schema: "https://json-schema.org/draft/2020-12/schema"
type: object
additionalProperties: false
required: [family, mu]
properties: {family: {const: drifting}, mu: {type: number}, noise: {type: number, default: 2}}
"""


def test_an_attack_is_local(drifting):
    """Adding it asks for its own jobs alone; then its code repeats its cells alone, and one more budget no other cell.
    Its path carries what it remembers: forced in the middle it comes out the same."""
    root, study, more = drifting
    assert would_run(study, more, root=root) == ONE_ATTACK | TABLES
    run = snakemake(study, "--cores", 2, "--configfile", TOY, more, root=root)
    assert run.returncode == 0, run.stdout + run.stderr
    assert would_run(study, more, root=root) == {}
    (more.parent / "budgets.yaml").write_text("matrix: {eps: [2, 5, 9]}")
    added = {"path": 18, "craft": 6, "store": 6, "redetect": 6, "look": 12, "classify": 12, "examples": 1} | TABLES
    added |= {"measure": 6, "quality": 1}
    assert would_run(study, more, more.parent / "budgets.yaml", root=root) == added
    state = np.load(study / "results/toy/path/facenet/drift/eps5.npy")
    assert state.dtype.names == ("x", "m") and state["x"].dtype == np.uint8 and state["m"].dtype == np.float32
    before = digests(study, "results/toy/crafted/**/*")
    cell = "results/toy/crafted/facenet/drift/eps5.npy"
    once = {"craft": 1, "store": 1, "redetect": 1, "look": 2, "classify": 2, "measure": 1, "quality": 1}
    once |= {"examples": 1} | TABLES
    assert would_run(study, more, "--forcerun", cell, root=root) == once
    for forced in (cell, cell.replace("crafted", "path")):
        run = snakemake(study, "--cores", 2, "--configfile", TOY, more, "--forcerun", forced, root=root)
        assert run.returncode == 0, run.stderr
        assert digests(study, "results/toy/crafted/**/*") == before
    module = root / "workflow/lib/cloakbench/attacks/drifting.py"
    module.write_text(module.read_text().replace("size > 0", "size > 1e-9"))
    assert would_run(study, more, root=root) == ONE_ATTACK | TABLES


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_setting_reruns_exactly_what_depends_on_it(toy, change, tmp_path):
    (tmp_path / "change.yaml").write_text(change)
    assert would_run(toy, tmp_path / "change.yaml") == CHANGES[change]


def test_one_cell_is_redone_alone(toy):
    """And what depends on it; the bytes do not change."""
    study = toy / "results/toy"
    cell = "results/toy/crafted/facenet/bim/eps2.npy"
    once = {"craft": 1, "store": 1, "redetect": 1, "look": 2, "classify": 2, "measure": 1, "quality": 1}
    once |= {"examples": 1} | TABLES
    assert would_run(toy, "--forcerun", cell) == once
    before = digests(study, "crafted/**/*", "stored/**/*", "ranks/**/*", "*.csv")
    run = snakemake(toy, "--cores", 2, "--configfile", TOY, "--forcerun", cell)
    assert run.returncode == 0, run.stderr
    assert digests(study, "crafted/**/*", "stored/**/*", "ranks/**/*", "*.csv") == before
    (study / "ranks/facenet/bim/eps2/jpeg75/senet50.csv").unlink()
    assert would_run(toy) == {"classify": 1} | TABLES
    assert snakemake(toy, "--cores", 2, "--configfile", TOY).returncode == 0
    assert digests(study, "crafted/**/*", "stored/**/*", "ranks/**/*", "*.csv") == before


def test_the_same_config_gives_the_same_bytes_on_one_core(toy, tmp_path):
    run = snakemake(tmp_path, "--cores", 1, "--configfile", TOY)
    assert run.returncode == 0, run.stdout + run.stderr
    patterns = ["*.csv", "table1.*", *(f"{part}/**/*" for part in ("weights", "crafted", "stored", "ranks", "figures"))]
    found = digests(tmp_path / "results/toy", *patterns)
    assert found == digests(toy / "results/toy", *patterns) and len(found) > 60


def test_the_same_config_gives_the_same_bytes_in_any_number_of_chunks(laddered, tmp_path):
    (tmp_path / "chunks.yaml").write_text("compute: {chunks: 2}\nmeasures: [quality, ladder]")
    run = snakemake(tmp_path, "--cores", 2, "--configfile", TOY, tmp_path / "chunks.yaml")
    assert run.returncode == 0, run.stdout + run.stderr
    scattered, whole = tmp_path / "results/toy", laddered / "results/toy"
    for pattern in ("*.csv", "table1.*", "ranks/**/[!.]*", "ladder/**/[!.]*", "figures/**/[!.]*.p*"):
        found = digests(scattered, pattern)
        assert found == digests(whole, pattern) and found
    parts = sorted(scattered.glob("crafted/facenet/bim/eps5/part?.npy"))
    assert len(parts) == 2
    together = np.concatenate([np.load(part) for part in parts])
    np.testing.assert_array_equal(together, np.load(whole / "crafted/facenet/bim/eps5.npy"))
    pictures = [path.name for path in sorted(scattered.glob("stored/facenet/bim/eps5/jpeg75/part?/*.jpg"))]
    assert pictures == [path.name for path in sorted(whole.glob("stored/facenet/bim/eps5/jpeg75/*.jpg"))]


def test_psr_follows_from_the_ranks_files(toy):
    study = toy / "results/toy"
    psr = pd.read_csv(study / "psr.csv")
    assert set(zip(psr["attack"], psr["eps"], strict=True)) == {
        ("clean", 0),
        ("bim", 2),
        ("bim", 5),
        ("illc", 2),
        ("illc", 5),
    }
    for row in psr.itertuples():
        file = f"ranks/{row.source}/{row.attack}/eps{row.eps}/{row.storage}/{row.target}.csv"
        faces = pd.read_csv(study / file)
        columns = ["detected", "rank", "label", "predicted", "outside", "classes", "own_score", "other_score", "other"]
        assert list(faces) == ["subject", "photo", *CELLS, *columns]
        assert (faces["classes"] == 8).all() and row.subjects == 3
        recognised = sum(1 for rank in faces["rank"] if rank < row.top_k)
        assert (row.n, row.detected, row.recognised) == (3, faces["detected"].sum(), recognised)
        assert row.psr == pytest.approx(100 - 100 / 3 * recognised)


def test_quality_follows_from_the_pictures(toy):
    study = toy / "results/toy"
    table = pd.read_csv(study / "quality.csv")
    cells = table.groupby(["source", "attack", "eps", "storage"])
    assert len(cells) == 10 and set(cells.size()) == {14}
    for (source, attack, eps, storage), rows in cells:
        faces = pd.read_csv(study / f"quality/{source}/{attack}/eps{eps}/{storage}.csv")
        assert list(faces["subject"]) == [0, 1, 2]
        for row in rows.itertuples():
            known = sorted(faces[row.measure].dropna())
            assert row.faces == len(known)
            assert not known or (row.p5, row.median, row.p95) == (known[0], known[1], known[2])
        pictures = [
            np.asarray(Image.open(study / f"stored/{source}/{of}/{storage}/00001_00.jpg"), int)
            for of in (f"{attack}/eps{eps}", "clean/eps0")
        ]
        assert faces["linf"][1] == np.abs(np.subtract(*pictures)).max()
        assert faces["rmse"][1] == pytest.approx(np.sqrt(np.square(np.subtract(*pictures)).mean()), abs=1e-6)


def test_faces_are_those_of_the_cells(toy):
    study = toy / "results/toy"
    table = pd.read_csv(study / "faces.csv")
    assert len(table) == 20 * 3 and not table.duplicated([*CELLS, "subject", "photo"]).any()
    for (source, attack, eps, storage, target), rows in table.groupby(CELLS):
        place = f"{source}/{attack}/eps{eps}/{storage}"
        ranks = pd.read_csv(study / f"ranks/{place}/{target}.csv")
        quality = pd.read_csv(study / f"quality/{place}.csv")
        expected = ranks.merge(quality, on=["subject", "photo", *CELLS[:-1]], validate="1:1")
        pd.testing.assert_frame_equal(rows.reset_index(drop=True), expected, check_dtype=False)


def test_comparisons_follow_from_the_ranks(toy):
    study = toy / "results/toy"
    table = pd.read_csv(study / "comparisons.csv")
    assert list(table["reference"].value_counts()[["bim", "clean"]]) == [8, 16]
    for row in table.itertuples():
        other = f"clean/eps0/{row.storage}" if row.reference == "clean" else f"bim/eps{row.eps}/{row.storage}"
        places = f"{row.attack}/eps{row.eps}/{row.storage}", other
        one, beside = (pd.read_csv(study / f"ranks/{row.source}/{place}/{row.target}.csv") for place in places)
        hidden = [(not a < 1, not b < 1) for a, b in zip(one["rank"], beside["rank"], strict=True)]
        counts = [hidden.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))]
        assert [row.both, row.only, row.only_reference, row.neither] == counts
        assert row.difference == pytest.approx(100 * (counts[1] - counts[2]) / 3)


def test_crafted_faces_obey_their_budget(toy):
    study = toy / "results/toy"
    crops = {"facenet": "tight160", "resnet50": "loose224"}
    for file in (study / "crafted").rglob("*.npy"):
        source, _, eps = file.relative_to(study / "crafted").with_suffix("").parts
        moved = np.load(file).astype(int) - np.load(study / f"subjects/{crops[source]}.npy")
        assert np.load(file).dtype == np.uint8 and 0 < np.abs(moved).max() <= int(eps[3:])


def test_tables_name_their_study(toy):
    study = toy / "results/toy"
    markdown, latex = (study / "table1.md").read_text(), (study / "table1.tex").read_text()
    for text in (markdown, latex):
        assert "synthetic faces" in text and "N = 3" in text and "seed 0" in text and "counts as protected" in text
    table = pd.read_csv(study / "table1.csv")
    assert list(table)[:3] == ["source", "attack", "eps"] and "senet50 top-3" in table and len(table) == 10


def test_provenance_hashes_what_is_there(toy):
    study = toy / "results/toy"
    facts = json.loads((study / "provenance.json").read_text())
    assert facts["config"]["study"] == "toy" and "torch" in facts["versions"]
    assert facts["gradients"] == {"fp32": 16}  # path and craft
    assert facts["files"]["psr.csv"] == hashlib.sha256((study / "psr.csv").read_bytes()).hexdigest()
    assert "crafted/facenet/bim/eps2.npy" in facts["files"] and facts["weights"]["senet50"]["classes"] == 8


def test_what_a_study_no_longer_makes_stops_nothing(toy, tmp_path):
    """A source, an attack, a budget and a target are taken out, and a table that was made once is there; whatever
    becomes of these files, the study is finished and verified without them."""
    study = shutil.copytree(toy, tmp_path / "toy", symlinks=True) / "results/toy"
    config = json.loads((study / "provenance.json").read_text())["config"]
    over = left_over(config)
    assert [
        path for path in sealed(study) if over(path.relative_to(study).as_posix(), read_seal(path)["settings"])
    ] == []
    (tmp_path / "less.yaml").write_text(
        "matrix: {source: [facenet], attack: [bim], eps: [2], target: [facenet]}\ntop_k: [1]"
    )
    (study / "comparison.md").write_text("of another psr.csv")
    seal = {
        "files": {".": hashlib.sha256(b"of another psr.csv").hexdigest()},
        "made_from": {"psr.csv": "0"},
        "settings": {"stage": "compare", "of": {}},
        "facts": {},
    }
    (study / ".comparison.md.seal").write_text(json.dumps(seal))
    (study / "stored/resnet50/bim/eps2/jpeg75/00000_00.jpg").unlink()
    for name in (
        "crafted/facenet/illc/eps2.npy",
        "path/facenet/bim/eps5.npy",
        "ranks/facenet/bim/eps2/jpeg75/senet50.csv",
        "weights/senet50.safetensors",
        "figures/psr/resnet50/jpeg75.png",
    ):
        (study / name).write_bytes(b"changed")
    less = ["--configfile", TOY, tmp_path / "less.yaml"]
    run = snakemake(tmp_path / "toy", "--cores", 2, *less)
    assert run.returncode == 0, run.stdout + run.stderr
    assert set(pd.read_csv(study / "psr.csv")["source"]) == {"facenet"}
    facts = json.loads((study / "provenance.json").read_text())
    over = left_over(facts["config"])
    made = [name for name in facts["files"] if (study / name).exists()]
    assert [name for name in made if over(name, read_seal(study / name)["settings"])] == []
    assert list(facts["weights"]) == ["facenet"] and facts["gradients"] == {"fp32": 2}
    assert list(differences(study)) == []
    (study / "crafted/facenet/bim/eps2.npy").write_bytes(b"changed")  # what it does make is watched as ever
    assert "eps2.npy: changed" in snakemake(tmp_path / "toy", "-n", *less).stderr


def device() -> str:
    return f"cpu, {platform.machine()}"


def test_every_job_leaves_a_log(toy):
    logs = toy / "logs/toy"
    assert "train: 100%" in (logs / "train/facenet.log").read_text()
    assert "eps 5: 100%" in (logs / "craft/facenet/bim/eps5.log").read_text()
    assert "peak memory" in (logs / "craft/facenet/bim/eps5.log").read_text()


def test_the_report_is_made(toy):
    run = snakemake(toy, "--configfile", TOY, "--report", toy / "report.html")
    assert run.returncode == 0, run.stderr
    html = (toy / "report.html").read_text()
    assert "PSR against budget" in html and "Example faces" in html and "Table 1" in html


def test_a_job_that_fails_says_why_in_one_line(toy):
    """Last, for it leaves the study damaged. A seal that fits the damage: the manifest still gives it away."""
    stored = toy / "results/toy/stored/facenet/bim/eps2/jpeg75/00000_00.jpg"
    stored.write_bytes(b"garbage")
    forge(stored.parent)
    cell = "results/toy/redetected/facenet/bim/eps2/jpeg75.csv"
    run = snakemake(toy, "--cores", 1, "--configfile", TOY, "--forcerun", cell, "--", cell)
    assert run.returncode != 0
    line = next(line for line in run.stderr.splitlines() if line.startswith("cloakbench redetect: error:"))
    assert "changed since it was stored" in line and "logs/toy/redetect/facenet/bim/eps2/jpeg75.log" in line
    assert not (toy / cell).exists()
