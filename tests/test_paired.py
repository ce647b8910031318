"""Paired comparison: published vectors, slow counting of every case, and the table by hand."""

from __future__ import annotations

import itertools
import sys
from fractions import Fraction
from math import comb

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from cloakbench import __main__ as command
from cloakbench.errors import InputError
from cloakbench.statistics.intervals import Pairs, newcombe, of_difference
from cloakbench.statistics.paired import (
    ALPHA,
    can_be_told,
    compare,
    comparisons,
    holm,
    least_significant,
    sign_flips,
)


@pytest.mark.parametrize("b, c", [(5, 0), (6, 0), (8, 1), (10, 2), (15, 5), (4, 3), (0, 0), (3, 3), (1, 20)])
def test_one_photo_each_is_mcnemars_mid_p(b, c):
    n, least = b + c, min(b, c)
    exact = Fraction(sum(comb(n, i) for i in range(least + 1)), 2**n) * 2
    expected = 1 if b == c else min(1, exact - Fraction(comb(n, least), 2**n))
    assert sign_flips([1] * b + [-1] * c) == pytest.approx(float(expected), abs=1e-12)
    if b != c:
        table = [[0, b], [c, 0]]
        assert sign_flips([1] * b + [-1] * c) < mcnemar(table, exact=True).pvalue


@pytest.mark.parametrize(
    "differences", [[3, 2, 2, 1, 1, 0, 0, -1, 0, 1], [3, 3, 2, -1, 0, 0], [1, -1], [5], [], [2, 2, -3]]
)
def test_every_choice_of_signs_is_counted(differences):
    sums = [abs(sum(np.multiply(signs, differences))) for signs in itertools.product([1, -1], repeat=len(differences))]
    reached = abs(sum(differences))
    weights = [1 if total > reached else 0.5 if total == reached else 0 for total in sums]
    expected = sum(weights) / len(sums) if reached else 1
    assert sign_flips(differences) == pytest.approx(expected, abs=1e-12)


def test_holm_among_those_that_can_be_significant():
    ps = [0.012939, 0.039062, 0.03125, 0.21875, 1, 1]
    assert holm(ps, [0] * 6) == pytest.approx([0.077634, 0.15625, 0.15625, 0.65625, 1, 1], abs=1e-5)
    assert holm([0.02] * 3, [0] * 3) == pytest.approx([0.06] * 3) and holm([], []) == []
    discordant = [0, 0, 3, 5, 8, 12, 20]  # of which three can reach 0.05 / 3
    least = [min(1, 2 * 0.5**count) for count in discordant]
    assert holm(least, least)[:4] == [1] * 4 and holm(least, least)[4] == pytest.approx(least[4])
    rng = np.random.default_rng(0)
    for size in (1, 6, 40):
        ps = (rng.integers(1, 30, size) / 300).tolist()  # some of them equal
        assert holm(ps, [0] * size) == multipletests(ps, method="holm")[1].tolist()


def test_the_least_difference_that_can_be_significant():
    for subjects, faces, tests in ((62, 62, 1), (62, 62, 10), (100, 100, 5), (62, 310, 5)):
        discordant = round(least_significant(subjects, faces, tests) * faces / 100)
        assert sign_flips([1] * discordant) <= 0.05 / tests < sign_flips([1] * (discordant - 1))
    assert least_significant(6, 60, 5) > 100  # 2 ** -6 is all that six subjects can come to


def test_it_is_said_beforehand():
    assert "11.3 points" in can_be_told(62, 62, 5, "bim") and "8.1" in can_be_told(62, 62, 1, "bim")
    few = "3 subjects are too few to tell a difference to bim from chance (2 tests)"
    assert can_be_told(3, 30, 2, "bim") == few


def test_the_least_difference_is_significant_in_any_family_in_one_direction():
    """Ten of 62, where twelve are asked for, may be; and thirteen against one, the same difference, are not."""
    for discordant, alone in ((12, True), (10, False)):
        for others in (0.001, 0.2, 1.0):
            ps, least = [sign_flips([1] * discordant), *[others] * 119], [sign_flips([1] * discordant), *[1e-9] * 119]
            found = holm(ps, least)[0]
            assert (found <= ALPHA) or not alone
    few_could_be = [sign_flips([1] * 10), *[1.0] * 119]
    assert holm(few_could_be, few_could_be)[0] < ALPHA
    assert least_significant(62, 62, 120) == pytest.approx(100 * 12 / 62)
    assert holm([sign_flips([1] * 13 + [-1]), *[1.0] * 119], [1e-9] * 120)[0] > ALPHA


def cells(hidden: dict[str, list], subjects=None, eps=8) -> pd.DataFrame:
    """A ranks frame: by attack, whether each face is hidden at k = 1; None: not found again."""
    rows = []
    for attack, faces in hidden.items():
        for face, one in enumerate(faces):
            subject = face if subjects is None else subjects[face]
            row = {"subject": subject, "photo": face if subjects else 0, "source": "a", "attack": attack, "eps": eps}
            row |= {"storage": "png", "target": "b", "detected": int(one is not None), "classes": 10}
            rows.append(row | {"rank": pd.NA if one is None else 3 * one})
    return pd.DataFrame(rows).astype({"rank": "Int64"})


HIDDEN = {
    "clean": [0] * 8,
    "bim": [1, 1, 0, 0, 0, 0, 0, None],
    "mi": [1, 1, 1, 1, 1, 1, 0, 0],
    "di": [0, 1, 0, 0, 0, 0, 0, 1],
}


def test_the_table_by_hand():
    found = compare(cells(HIDDEN), "bim", 1).set_index("attack")
    assert list(found.index) == ["mi", "di"]
    assert found.loc["mi", ["faces", "both", "only", "only_reference", "neither"]].tolist() == [8, 2, 4, 1, 1]
    assert found.loc["mi", ["psr", "psr_reference", "difference"]].tolist() == [75, 37.5, 37.5]
    assert found.loc["mi", "p"] == pytest.approx(sign_flips([1] * 4 + [-1]))
    assert found.loc["mi", "p_exact"] == pytest.approx(2 * 6 / 2**5) and (found["classes"] == 10).all()
    assert found.loc["mi", ["low", "high"]].tolist() == pytest.approx([100 * x for x in newcombe(Pairs(2, 4, 1, 1))])
    assert found.loc["di", ["both", "only", "only_reference"]].tolist() == [2, 0, 1]
    dropped = compare(cells(HIDDEN), "bim", 1, "drop").set_index("attack")
    assert dropped.loc["mi", ["faces", "only", "only_reference"]].tolist() == [7, 4, 0]


def test_several_photos_a_subject_are_no_independent_faces():
    subjects = [0, 0, 0, 1, 1, 1, 2, 2]
    found = compare(cells(HIDDEN, subjects), "bim", 1).set_index("attack").loc["mi"]
    hidden = [[bool(one) or one is None for one in HIDDEN[name]] for name in ("mi", "bim")]
    assert found[["low", "high"]].tolist() == pytest.approx(of_difference(*hidden, subjects))
    assert found["p"] == pytest.approx(sign_flips([1, 3, -1]))


def test_all_comparisons_with_one_attack_are_a_family():
    both = pd.concat([cells(HIDDEN), cells(HIDDEN, eps=16)])
    found = compare(both, "bim", 1)
    assert list(found["eps"]) == [8, 8, 16, 16] and (found["tests"] == 4).all()
    assert found["p_adjusted"].tolist() == holm(found["p"].to_list(), [sign_flips([1] * 5), 1.0] * 2)
    assert (found["least"] == least_significant(8, 8, 4)).all()


def test_no_cloak_is_a_reference_too():
    found = compare(pd.concat([cells(HIDDEN), cells(HIDDEN | {"clean": [0] * 8}, eps=16)[8:]]), "clean", 1)
    assert list(found["attack"]) == ["bim", "mi", "di"] * 2 and (found["psr_reference"] == 0).all()
    assert (found["difference"] == found["psr"]).all() and (found["only_reference"] == 0).all()
    table = comparisons(cells(HIDDEN), "bim")
    assert list(table["reference"]) == ["bim", "bim", "clean", "clean", "clean"]
    assert list(table["tests"]) == [2, 2, 3, 3, 3] and (table["top_k"] == 1).all()


def test_one_attack_has_nothing_beside_it_but_no_cloak():
    table = comparisons(cells({name: HIDDEN[name] for name in ("clean", "bim")}), "bim")
    assert list(table["reference"]) == ["clean"]
    assert list(table) == list(comparisons(cells(HIDDEN), "bim"))


def test_what_is_not_there_is_refused():
    with pytest.raises(InputError, match="attack 'fgsm' is not in this study; known: bim, mi, di"):
        compare(cells(HIDDEN), "fgsm", 1)
    with pytest.raises(InputError, match="top-10: a target names 10 classes"):
        compare(cells(HIDDEN), "bim", 10)


def test_the_command_prints_it(monkeypatch, capsys, tmp_path):
    facts = {"config": {"matrix": {}, "detection": {"missed": "protected"}, "study": "x", "seed": 0}}
    facts |= {"commit": "abc", "devices": {"cpu": 1}, "about": {"subjects": 8}}
    monkeypatch.setattr("cloakbench.report.verify.facts_of", lambda study: facts)
    monkeypatch.setattr("cloakbench.measures.cells.read_cells", lambda folder, matrix: cells(HIDDEN))
    monkeypatch.setattr(sys, "argv", ["cloakbench", "compare", str(tmp_path), "--reference", "di"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    printed = capsys.readouterr().out
    assert ended.value.code == 0 and "| a " in printed and "only di" in printed
    p = compare(cells(HIDDEN), "di", 1).set_index("attack").loc["mi", "p"]
    assert f"{p:.2g}" in next(line for line in printed.splitlines() if "| mi " in line)
    assert printed.splitlines()[-1].endswith(
        "study x, N = 8, seed 0; commit abc, config " + printed.split("config ")[-1].strip()
    )
