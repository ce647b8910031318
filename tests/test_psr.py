"""Equation 5, intervals, undetected faces; damaged parts never become a table."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from cloakbench.errors import InputError
from cloakbench.files.seals import seal
from cloakbench.measures.cells import columns, read_cells
from cloakbench.measures.ranking import ranks
from cloakbench.statistics.intervals import Pairs, newcombe
from cloakbench.statistics.psr import protection
from cloakbench.statistics.searchers import named_by_any, unstored
from cloakbench.study.grid import cells
from cloakbench.study.keys import NAMES

MATRIX = {"source": ["a", "NA"], "attack": ["bim"], "eps": [8, 4], "storage": ["jpeg75"], "target": ["a", "b"]}


def one_cell(cell, ranks_, photos=1, classes=64) -> pd.DataFrame:
    rows = []
    for i, rank in enumerate(ranks_):
        said = (int(rank is not None), rank, 0, 0 if rank is not None else None, 0.0, classes, None, None, None)
        rows.append((i // photos, i % photos, *cell, *said))
    types = dict.fromkeys(columns([]), "Int64") | {"eps": "Int64"}
    types |= dict.fromkeys(["outside", "own_score", "other_score"], "float64")
    return pd.DataFrame(rows, columns=columns(NAMES)).astype(types)


@pytest.fixture
def study(rng) -> pd.DataFrame:
    def some():
        return [None if rng.random() < 0.2 else int(rng.integers(0, 30)) for _ in range(40)]

    return pd.concat([one_cell(cell.values(), some()) for cell in cells(MATRIX)], ignore_index=True)


@pytest.mark.parametrize("missed", ["protected", "drop"])
def test_every_cell_follows_from_its_ranks_by_equation_5(study, missed):
    psr = protection(study, [1, 5, 25], missed)
    assert len(psr) == 3 * len(list(cells(MATRIX)))
    for row in psr.itertuples():
        n = hits = detected = 0
        for face in study.itertuples():
            if all(getattr(face, key) == getattr(row, key) for key in NAMES):
                detected += face.detected
                if face.detected or missed == "protected":
                    n += 1
                    hits += bool(face.detected and face.rank < row.top_k)
        assert (row.n, row.detected, row.recognised) == (n, detected, hits)
        assert row.psr == pytest.approx(100 - 100 * hits / n, abs=1e-12)
        assert row.psr_detected == pytest.approx(100 - 100 * hits / detected, abs=1e-12)


def test_wilson_interval_in_percent():
    """The formula written out: centre (p + z2/2n) / (1 + z2/n), half width z/(1 + z2/n) sqrt(pq/n + z2/4n2)."""
    row = protection(one_cell(("a", "bim", 4, "jpeg75", "b"), [9] * 30 + [0] * 10), [1]).iloc[0]
    n, p, z = 40, 0.75, 1.959963984540054
    centre, half = p + z * z / 2 / n, z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    expected = [100 * (centre - half) / (1 + z * z / n), 100 * (centre + half) / (1 + z * z / n)]
    assert [row.psr_low, row.psr_high] == pytest.approx(expected, abs=1e-9)


def test_several_photos_of_a_subject_do_not_narrow_the_interval():
    once = protection(one_cell(("a", "bim", 4, "j", "b"), [0, 9] * 10), [1]).iloc[0]
    thrice = protection(one_cell(("a", "bim", 4, "j", "b"), [0, 0, 0, 9, 9, 9] * 10, photos=3), [1]).iloc[0]
    assert (thrice.psr_low, thrice.psr_high) == (once.psr_low, once.psr_high) and thrice.n == 3 * once.n
    assert once.subjects == thrice.subjects == 20


def test_a_cell_of_which_every_face_is_dropped_keeps_its_row():
    cells_ = [("a", "clean", 0), ("a", "bim", 4), ("a", "bim", 8)]
    some, none = [0, None, 9, 9], [None] * 4
    frame = pd.concat([one_cell((*cell, "j", "b"), none if cell[2] == 8 else some) for cell in cells_])
    psr = protection(frame, [1, 5], "drop").set_index(["attack", "eps", "top_k"])
    assert len(psr) == 6
    for k in (1, 5):
        row = psr.loc["bim", 8, k]
        assert (row["n"], row["subjects"], row["detected"], row["recognised"], row["n_clean"]) == (0, 0, 0, 0, 0)
        assert row[["psr", "psr_low", "psr_high", "psr_detected", "psr_clean"]].isna().all()
    assert psr["n"].dtype == psr["subjects"].dtype == int
    assert psr.loc["bim", 4, 1][["n", "subjects"]].tolist() == [3, 3]  # the dropped subject is none of them


def test_a_subject_counts_while_one_of_its_photos_does():
    frame = one_cell(("a", "bim", 4, "j", "b"), [0, None, None, None], photos=2)
    assert protection(frame, [1], "drop")[["n", "subjects"]].iloc[0].tolist() == [1, 1]


@pytest.mark.parametrize("k", [30, 31, 100])
def test_a_k_at_which_everybody_is_recognised_is_refused(k):
    frame = pd.concat(
        [
            one_cell(("a", "bim", 4, "j", "large"), [0, 9], classes=8631),
            one_cell(("a", "bim", 4, "j", "small"), [0, 29], classes=30),
        ]
    )
    with pytest.raises(InputError, match=f"top_k: {k}, but target small names 30 classes.* a k below 30"):
        protection(frame, [1, k])
    assert list(protection(frame, [1, 29])["recognised"]) == [1, 2, 1, 1]


def test_whole_crop_ranks_count_although_no_face_was_found():
    frame = one_cell(("a", "bim", 4, "j", "b"), [0, 0, 9])
    frame.loc[0, "detected"] = 0
    row = protection(frame, [1], "whole_crop").iloc[0]
    assert (row.n, row.detected, row.recognised) == (3, 2, 2)


def test_the_baseline_stands_beside_every_cell_of_its_target():
    cells_ = [("a", "bim", 4, "j", "b"), ("a", "bim", 4, "j", "c")]
    frame = pd.concat([one_cell(cell, [0, 9, None, 9]) for cell in cells_], ignore_index=True)
    frame["outside"] = [10.0, 30.0, np.nan, 50.0, 0.0, 0.0, np.nan, 0.0]
    psr = protection(frame, [1, 5], baseline={"b": [0, 0, 2, 7]}).set_index(["target", "top_k"])
    assert (psr.loc[("b", 1), "psr_photo"], psr.loc[("b", 5), "psr_photo"]) == (50.0, 25.0)
    assert psr.loc["c", "psr_photo"].isna().all()
    assert list(psr["outside"]) == [30.0, 30.0, 0.0, 0.0]


def test_psr_over_the_cleanly_recognised():
    frame = pd.concat(
        [one_cell(("a", "clean", 0, "j", "b"), [0, 0, 9, None]), one_cell(("a", "bim", 4, "j", "b"), [0, 9, 0, 9])]
    )
    bim = protection(frame, [1]).set_index("attack").loc["bim"]
    assert (bim.n_clean, bim.psr_clean) == (2, 50.0)


def test_a_cell_whose_faces_are_all_lost_is_protected():
    row = protection(one_cell(("a", "bim", 4, "j", "b"), [None] * 5), [1, 50]).iloc[0]
    assert (row.psr, row.detected) == (100, 0) and math.isnan(row.psr_detected)


@pytest.mark.parametrize("missed", ["protected", "drop", "whole_crop"])
def test_three_shares_add_to_a_hundred(study, missed):
    if missed == "whole_crop":
        study["rank"] = study["rank"].fillna(3)
    for row in protection(study, [1, 5, 25], missed).itertuples():
        counts = {"lost": 0, "unnamed": 0, "named": 0}
        for face in study.itertuples():
            if all(getattr(face, key) == getattr(row, key) for key in NAMES):
                counts["lost" if not face.detected else "named" if face.rank < row.top_k else "unnamed"] += 1
        assert [row.lost, row.unnamed, row.named] == pytest.approx([100 * n / 40 for n in counts.values()])
        assert row.lost + row.unnamed + row.named == pytest.approx(100, abs=1e-9) and row.classes == 64
        if missed == "protected":
            assert row.psr == pytest.approx(row.lost + row.unnamed)


@pytest.mark.parametrize("missed", ["protected", "drop"])
def test_the_gain_is_over_the_same_faces_without_a_cloak(missed):
    clean, cloaked = [0, 9, 0, None, 0, 0], [9, 9, None, 0, 0, 3]
    frame = pd.concat([one_cell(("a", "clean", 0, "j", "b"), clean), one_cell(("a", "bim", 4, "j", "b"), cloaked)])
    psr = protection(frame.reset_index(drop=True), [1, 5], missed).set_index(["attack", "top_k"])
    assert psr.loc["clean", ["gain", "gain_low", "gain_high"]].isna().all(axis=None)
    row = psr.loc["bim", 1]
    if missed == "protected":  # 4 of 6 hidden, 2 of 6 before; one face is named with the cloak only
        assert row["gain"] == pytest.approx(100 * (4 - 2) / 6)
        assert row[["gain_low", "gain_high"]].tolist() == pytest.approx([100 * x for x in newcombe(Pairs(1, 3, 1, 1))])
        assert psr.loc[("bim", 5), "gain"] == pytest.approx(100 * (3 - 2) / 6)
    else:  # four faces are found in both cells
        assert row["gain"] == pytest.approx(100 * (3 - 1) / 4)


def test_who_has_every_target_names_whom_any_of_them_names():
    cells_ = {("b", "clean", 0): [0, 0, 5], ("c", "clean", 0): [9, 0, 0], ("b", "bim", 4): [9, None, 0]}
    cells_ |= {("c", "bim", 4): [9, None, 3]}
    each = [one_cell(("a", attack, eps, "j", target), ranks_) for (target, attack, eps), ranks_ in cells_.items()]
    found = named_by_any(pd.concat(each, ignore_index=True))
    assert set(found["target"]) == {"b or c"}
    assert found[found["attack"] == "clean"]["rank"].tolist() == [0, 0, 0]
    cloaked = found[found["attack"] == "bim"]
    assert cloaked["rank"].isna().tolist() == [False, True, False] and cloaked["rank"].dropna().tolist() == [9, 0]
    psr = protection(found, [1], baseline=unstored({"b": pd.Series([0, 5, 1]), "c": pd.Series([2, 5, 0])}))
    psr = psr.set_index("attack")
    assert psr.loc["clean", "psr"] == 0 and psr.loc["bim", "psr"] == pytest.approx(100 - 100 / 3)
    assert psr["psr_photo"].tolist() == pytest.approx([100 - 200 / 3] * 2)


def test_ties_and_strictly_larger_logits():
    logits = torch.tensor([[1.0, 2.0, 3.0], [3.0, 3.0, 1.0], [5.0, 5.0, 5.0], [0.0, 1.0, 2.0]])
    labels = torch.tensor([1, 1, 2, 0])
    slow = [sum(value > row[label] for value in row.tolist()) for row, label in zip(logits, labels, strict=True)]
    np.testing.assert_array_equal(ranks(logits, labels), slow)


def test_damaged_ranks_never_become_a_table(study):
    with pytest.raises(InputError, match="twice"):
        protection(pd.concat([study, study.iloc[:1]]), [1])
    with pytest.raises(InputError, match="39 faces, not 40"):
        protection(study.iloc[1:], [1])
    for column, value in (("rank", -1), ("rank", 64), ("classes", None), ("detected", 2)):
        damaged = study.copy()
        damaged.loc[damaged["detected"].idxmax(), column] = value
        with pytest.raises(InputError, match="impossible row"):
            protection(damaged, [1])
    for ahead, rank in ((0.1, 2), (-0.1, 0)):  # scores that say otherwise than the rank
        first = study["detected"].idxmax()
        scored = study.assign(own_score=np.nan, other_score=np.nan)
        scored.loc[first, ["rank", "own_score", "other_score"]] = [rank, 0.5 + ahead, 0.5]
        with pytest.raises(InputError, match="impossible row"):
            protection(scored, [1])
        scored.loc[first, "own_score"] = 0.5
        protection(scored, [1])
    study.loc[study["source"] == "a", "classes"] = 65
    with pytest.raises(InputError, match="target a with 65 and 64 classes"):
        protection(study, [1])


def test_ranks_files_are_checked_as_they_are_read(study, tmp_path):
    for cell in cells(MATRIX):
        source, attack, eps, storage, target = cell.values()
        path = tmp_path / source / attack / f"eps{eps}" / storage / f"{target}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        study[(study[NAMES] == list(cell.values())).all(axis=1)].to_csv(path, index=False)
        seal(path)
    pd.testing.assert_frame_equal(read_cells(tmp_path, MATRIX), study, check_dtype=False)
    damaged = tmp_path / "a" / "bim" / "eps4" / "jpeg75" / "b.csv"
    for text in (
        "",
        "subject\n1",
        damaged.read_text().rpartition(",jpeg75")[0],
        damaged.with_name("a.csv").read_text(),
    ):
        damaged.write_text(text)
        with pytest.raises(InputError, match=r"eps4/jpeg75/b\.csv: changed since it was written"):
            read_cells(tmp_path, MATRIX)
        seal(damaged)  # the contents alone have to give it away
        with pytest.raises(InputError, match=r"eps4/jpeg75/b\.csv"):
            protection(read_cells(tmp_path, MATRIX), [1])
