"""The ladder: steps by plain loops, the destruction rate by hand, the canvas as it was attacked."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch

from cloakbench.errors import InputError
from cloakbench.files.seals import read_seal
from cloakbench.files.writing import write_text
from cloakbench.measures.cells import read_photos_ranks
from cloakbench.measures.rungs import Stored, look_at_canvas
from cloakbench.publishing.store import store
from cloakbench.report.verify import differences
from cloakbench.statistics.intervals import of_difference, of_share
from cloakbench.statistics.ladder import COLUMNS, Rung, climb
from cloakbench.study.leftover import left_over
from conftest import TOY, job_counts, snakemake
from references.tables import recompute

CPU = torch.device("cpu")


def faces(*ranks: int | None, photos: int = 1) -> pd.DataFrame:
    """A row a face, so many of a subject; None: not found again."""
    rows = [
        {"subject": face // photos, "photo": face % photos, "detected": int(rank is not None), "rank": rank}
        for face, rank in enumerate(ranks)
    ]
    return pd.DataFrame(rows).astype({"rank": "Int64"})


CLEAN = faces(0, 0, 0, 0, 0, 7)
CRAFTED = faces(5, 5, 5, 5, 0, 7)
STORED = faces(5, 5, 5, 0, 0, 7)
FOUND = faces(5, None, 0, 0, 0, None)
OWN = [
    Rung(name, "a", shown, CLEAN)
    for name, shown in (("clean", CLEAN), ("crafted", CRAFTED), ("stored", STORED), ("found", FOUND))
]


def test_of_faces_that_a_cloak_hid_the_destroyed_ones_are_named():
    """Six by hand: the fifth is never hidden, the sixth never named; four are left that the cloak has hidden."""
    found = climb(OWN, [], k=1).set_index("rung")
    assert found["worked"].tolist() == [pd.NA, 4, 4, 4]
    assert math.isnan(found["destroyed"]["clean"])
    assert found["destroyed"].tolist()[1:] == [0, 25, 50]
    low, high = of_share([1, 1, 0, 0], range(4))
    assert found.loc["found", ["destroyed_low", "destroyed_high"]].tolist() == pytest.approx([low, high])


def test_a_step_is_told_on_the_same_faces():
    found = climb(OWN, [], k=1).set_index("rung")
    assert found["before"].tolist() == ["", "clean", "crafted", "stored"]
    assert found["hidden"].tolist() == [1, 5, 4, 3] and found["lost"].tolist() == [0, 0, 0, 2]
    assert found.loc["crafted", ["both", "only", "only_before", "neither"]].tolist() == [1, 4, 0, 1]
    assert found.loc["found", ["both", "only", "only_before", "neither"]].tolist() == [3, 0, 1, 2]
    assert found.loc["found", "difference"] == pytest.approx(-100 / 6)


@pytest.mark.parametrize(
    "missed, n, hidden, worked, destroyed",
    [("protected", 6, 3, 4, 50), ("drop", 4, 1, 3, 200 / 3), ("whole_crop", 6, 2, 4, 75)],
)
def test_a_lost_face_is_what_the_study_takes_it_for(missed, n, hidden, worked, destroyed):
    shown = FOUND.assign(rank=FOUND["rank"].fillna(0 if missed == "whole_crop" else pd.NA))
    shown.loc[5, "rank"] = 7 if missed == "whole_crop" else pd.NA
    row = climb([*OWN[:3], Rung("found", "a", shown, CLEAN)], [], k=1, missed=missed).iloc[-1]
    assert (row["n"], row["hidden"], row["lost"], row["worked"]) == (n, hidden, 2, worked)
    assert row["destroyed"] == pytest.approx(destroyed)
    assert row[["both", "only", "only_before", "neither"]].sum() == n


def test_another_target_has_clean_faces_of_its_own():
    """Whom it does not name when it is clean, nothing has destroyed; it is compared with the last own rung."""
    clean, shown = faces(0, 0, 3, 3, 0, 0), faces(0, 9, 0, 0, 9, 0)
    row = climb(OWN, [Rung("other", "b", shown, clean)], k=1).iloc[-1]
    assert (row["judged_by"], row["before"], row["worked"]) == ("b", "found", 3)
    assert row["destroyed"] == pytest.approx(200 / 3)
    assert row[["both", "only", "only_before", "neither"]].tolist() == [1, 1, 2, 2]
    row = climb(OWN[:3], [Rung("other", "b", shown, clean)], k=1).iloc[-1]
    assert row["before"] == "stored"  # where the source is no target


def test_of_faces_that_were_not_attacked_nothing_is_destroyed():
    found = climb([OWN[0], OWN[2]], [Rung("other", "b", STORED, CLEAN)], k=1)
    assert found["worked"].isna().all() and found["destroyed"].isna().all()
    assert found["before"].tolist() == ["", "clean", "stored"]


def test_any_rungs_by_plain_loops():
    """Three photographs a subject, 30 people, k 2, lost faces dropped."""
    rng = np.random.default_rng(4)
    shown = [rng.integers(0, 4, 90).tolist() for _ in range(4)]
    shown[3] = [None if lost else rank for rank, lost in zip(shown[3], rng.random(90) < 0.2, strict=True)]
    names = ("clean", "crafted", "stored", "found")
    frames = [faces(*ranks, photos=3) for ranks in shown]
    rungs = [Rung(name, "a", frame, frames[0]) for name, frame in zip(names, frames, strict=True)]
    table = climb(rungs, [], k=2, missed="drop")
    assert list(table) == COLUMNS
    for number, row in enumerate(table.itertuples()):
        kept = [face for face in range(90) if shown[number][face] is not None]
        hides = [[rank is not None and rank >= 2 for rank in ranks] for ranks in shown]
        now = [hides[number][face] for face in kept]
        assert (row.n, row.hidden, row.lost) == (len(kept), sum(now), 90 - len(kept))
        assert row.psr == pytest.approx(100 * sum(now) / len(kept))
        assert (row.psr_low, row.psr_high) == of_share(now, [face // 3 for face in kept])
        if number:
            before = [hides[number - 1][face] for face in kept]
            pairs = list(zip(now, before, strict=True))
            counts = [pairs.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))]
            assert [row.both, row.only, row.only_before, row.neither] == counts
            assert row.difference == pytest.approx(100 * (counts[1] - counts[2]) / len(kept))
            assert (row.low, row.high) == of_difference(now, before, [face // 3 for face in kept])
            worked = [face for face in kept if hides[1][face] and not hides[0][face]]
            assert row.worked == len(worked)
            named = sum(not hides[number][face] for face in worked)
            assert row.destroyed == pytest.approx(100 * named / len(worked))


def test_rungs_of_other_faces_are_refused():
    with pytest.raises(InputError, match=r"stored, judged by a: other faces than clean"):
        climb([OWN[0], Rung("stored", "a", faces(0, 0, 0, 0, 0), CLEAN)], [], k=1)


def test_ranks_of_another_recogniser_are_refused(tmp_path):
    write_text(tmp_path / "a.csv", "subject,photo,target,rank\n0,0,NA,3\n")
    assert read_photos_ranks(tmp_path / "a.csv", "NA")[["rank", "detected"]].to_numpy().tolist() == [[3, 1]]
    with pytest.raises(InputError, match=r"a\.csv: holds no ranks of b"):
        read_photos_ranks(tmp_path / "a.csv", "b")


@pytest.mark.parametrize("side", [16, 40])
def test_what_is_stored_without_loss_is_what_was_crafted(recogniser, tmp_path, side):
    """In the recogniser's own size, and where it sees an ensemble's canvas in another; JPEG shows something else."""
    canvases = np.random.default_rng(1).integers(0, 256, (5, side, side, 3), dtype=np.uint8)
    people = pd.DataFrame({"subject": range(5), "photo": 0})
    shown = {"crafted": [canvases[:2], canvases[2:]]}  # part by part
    for name, storage in (
        ("png", {"format": "png"}),
        ("jpeg", {"format": "jpeg", "quality": 75, "subsampling": "4:2:0"}),
    ):
        manifest = store(canvases, people, storage, tmp_path / name)
        shown[name] = [Stored(tmp_path / name, part) for part in (manifest[:2], manifest[2:])]
    for name, parts in shown.items():
        look_at_canvas(parts, recogniser, (16, 16), 2, CPU, tmp_path / f"{name}.npy")
    crafted, png, jpeg = (np.load(tmp_path / f"{name}.npy") for name in ("crafted", "png", "jpeg"))
    assert (crafted == png).all() and (crafted != jpeg).all() and len(crafted) == 5
    if side == 16:
        alone = recogniser(torch.from_numpy(canvases[:2]).permute(0, 3, 1, 2).float()).numpy()
        assert (crafted["logits"][:2] == alone).all()
    (tmp_path / "png" / manifest["file"][0].replace(".jpg", ".png")).write_bytes(b"x")
    with pytest.raises(InputError, match="changed since it was stored"):
        look_at_canvas(shown["png"], recogniser, (16, 16), 2, CPU, tmp_path / "again.npy")


@pytest.mark.slow
def test_what_rounding_costs_is_a_rung_of_attacks_that_round(tmp_path):
    """And of no others: what BIM makes is whole at every step."""
    study, asked = tmp_path / "results/small", ["--config", "matrix={attack: [bim, mi_paper], eps: [3]}"]
    small = [tmp_path, "--cores", 2, "--configfile", TOY.with_name("small.yaml")]
    run = snakemake(*small, *asked)
    assert run.returncode == 0, run.stdout + run.stderr
    run = snakemake(*small, *asked, "measures=[quality, ladder]")
    assert run.returncode == 0, run.stdout + run.stderr
    assert job_counts(run.stderr + run.stdout) == {
        **{"craft_unrounded": 1, "look_at_unrounded": 1, "rank_unrounded": 1},
        **{"look_at_crafted": 2, "rank_crafted": 2, "look_at_stored": 3, "rank_stored": 3},
        **{"ladder": 1, "provenance": 1, "page": 1},
    }
    table = pd.read_csv(study / "ladder.csv", keep_default_na=False)
    steps = {attack: list(rows["rung"]) for attack, rows in table.groupby("attack")}
    assert steps["mi_paper"] == ["clean", "unrounded", "crafted", "stored", "found"]
    assert steps["bim"] == ["clean", "crafted", "stored", "found"] and [*differences(study)] == []
    assert recompute(study)["ladder.csv"] > 0
    unrounded, crafted = (np.load(study / f"{name}/facenet/mi_paper/eps3.npy") for name in ("unrounded", "crafted"))
    assert unrounded.dtype == np.float32 and (unrounded != crafted).any() and (unrounded.round() == crafted).all()
    shown = [np.load(study / f"ladder/{name}/facenet/mi_paper/eps3/facenet.npy") for name in ("unrounded", "crafted")]
    assert (shown[0]["embedding"] != shown[1]["embedding"]).any()
    assert "crafted, before rounding" in (study / "summary.html").read_text()
    assert job_counts(snakemake(*small, "-n", *asked, "measures=[quality, ladder]").stdout) == {}
    left = left_over(json.loads((study / "provenance.json").read_text())["config"] | {"measures": ["quality"]})
    made = read_seal(study / "unrounded/facenet/mi_paper/eps3.npy")["settings"]
    assert left("unrounded/facenet/mi_paper/eps3.npy", made)


MODEL = {"head": "gallery", "crop": "tight", "weights": "b.pt"}
CONFIG = {
    "dataset": {"loader": "synthetic", "subjects": 9},
    "matrix": {"source": ["a", "both"], "attack": ["bim"], "eps": [2], "storage": ["png"], "target": ["b"]},
    "top_k": [1],
    "models": dict.fromkeys("abc", MODEL),
    "ensembles": {"both": {"members": ["b", "c"]}},
    "attacks": {"bim": {"family": "walk", "goal": "untargeted"}},
    "compute": {"chunks": 1},
    "measures": ["quality", "ladder"],
}
CELL = {"source": "both", "attack": "bim", "eps": "2"}
LADDERS = [
    {"stage": "look_at_crafted", "of": CELL | {"model": "c"}},
    {"stage": "rank_stored", "of": CELL | {"storage": "png", "model": "b"}},
    {"stage": "baseline", "of": {"model": "c"}},  # of no target
    {"stage": "look_at_photos", "of": {"model": "a"}},
    {"stage": "ladder", "of": {}},
]


@pytest.mark.parametrize("settings", LADDERS)
def test_its_files_are_left_over_where_nobody_asks_for_it(settings):
    assert not left_over(CONFIG)("any/name", settings)
    assert left_over(CONFIG | {"measures": ["quality"]})("any/name", settings)
    of_target = {"stage": "baseline", "of": {"model": "b"}}
    assert not left_over(CONFIG | {"measures": ["quality"]})("any/name", of_target)


def test_a_recogniser_that_was_taken_out_of_a_source_has_no_rungs():
    assert left_over(CONFIG)("any/name", {"stage": "rank_crafted", "of": CELL | {"model": "a"}})


@pytest.mark.slow
def test_outputs_of_its_rungs_may_go_once_they_are_judged(tmp_path):
    """A rung that is lost is shown again, and nothing else is."""
    study, lean = tmp_path / "results/small", ["--config", "keep={outputs: false}", "measures=[ladder]"]
    asked = [tmp_path, "--cores", 2, "--configfile", TOY.with_name("small.yaml")]
    run = snakemake(*asked, *lean)
    assert run.returncode == 0, run.stdout + run.stderr
    assert len([*study.glob("ladder/**/*.csv")]) == 3 and not [*study.glob("ladder/**/*.npy")]
    assert [*differences(study)] == []
    assert job_counts(snakemake(*asked, "-n", *lean).stdout) == {}
    told = (study / "ladder.csv").read_bytes()
    (study / "ladder/stored/facenet/bim/eps2/jpeg75/facenet.csv").unlink()
    assert any("facenet.csv: is gone" in line for line in differences(study))
    run = snakemake(*asked, *lean)
    assert job_counts(run.stderr + run.stdout) == {
        "look_at_stored": 1,
        "rank_stored": 1,
        "ladder": 1,
        "provenance": 1,
        "page": 1,
    }
    assert (study / "ladder.csv").read_bytes() == told and [*differences(study)] == []
