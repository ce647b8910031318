"""The published table as a reference, a study beside it, and the paper's statements as tests of a table."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest

from cloakbench.errors import InputError
from cloakbench.measures.cells import columns
from cloakbench.paper.claims import CLAIMS, EVALUATED, Claim, evaluate
from cloakbench.paper.comparison import (
    CELL,
    COMPARED,
    at_least,
    at_most,
    compare,
    ordered,
    read_published,
)
from cloakbench.paper.page import comparison_markdown
from cloakbench.statistics.psr import hidden_by_cell, protection
from cloakbench.study.grid import PAPER as GRID
from cloakbench.study.keys import NAMES
from conftest import ROOT

TABLE = ROOT / "workflow/lib/cloakbench/paper/table1.csv"
IMPOSSIBLE = ("senet50", "illc", 32, "facenet", 25)


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return read_published(TABLE)


@pytest.fixture(scope="module")
def lookup(published: pd.DataFrame) -> dict[tuple, float]:
    return published.set_index(CELL)["psr"].to_dict()


def study(psr, n: int = 100, storage: str = "jpeg75") -> pd.DataFrame:
    """A psr.csv over the whole grid; `psr` is a number, or a function of source, attack, eps, target, k."""
    rows = [
        (
            source,
            attack,
            eps,
            storage,
            target,
            k,
            n,
            n,
            psr(source, attack, eps, target, k) if callable(psr) else psr,
            n,
        )
        for source, attack, eps, target, k in product(*(GRID[key] for key in CELL))
    ]
    columns = ["source", "attack", "eps", "storage", "target", "top_k", "n", "detected", "psr", "subjects"]
    return pd.DataFrame(rows, columns=columns)


def as_study(published: pd.DataFrame, n: int = 100) -> pd.DataFrame:
    return published.drop(columns="flag").assign(storage="jpeg75", n=n, detected=n, subjects=n)


def at(table: pd.DataFrame, *cell: object) -> pd.Series:
    return (table[CELL] == list(cell)).all(axis=1)


def altered(table: pd.DataFrame, cell: tuple, psr: float) -> pd.DataFrame:
    return table.assign(psr=table["psr"].mask(at(table, *cell), psr))


def result(psr: pd.DataFrame, name: str, n: int = 100) -> pd.Series:
    rows = evaluate([claim for claim in CLAIMS if claim.name == name], psr, n)
    assert len(rows) == 1
    return rows.iloc[0]


# --- the published table


def test_the_table_holds_every_cell_of_the_grid_once(published, lookup):
    assert len(published) == len(lookup) == 540
    assert set(lookup) == set(product(*(GRID[key] for key in CELL)))
    assert published["psr"].between(2, 100).all()
    assert (published["psr"] == published["psr"].round()).all()


def test_known_cells_are_as_printed(lookup):
    assert lookup["facenet", "illc", 4, "facenet", 1] == 68
    assert lookup["resnet50", "illc", 4, "resnet50", 1] == 39
    assert lookup["resnet50", "illc", 32, "facenet", 5] == 21
    assert lookup["facenet", "bim", 32, "resnet50", 50] == 89
    assert lookup["facenet", "bim", 32, "senet50", 50] == 91
    assert lookup["senet50", "bim", 128, "resnet50", 50] == 83


def test_oddities_of_the_table(published, lookup):
    assert (published["psr"] == 2).sum() == 16
    assert lookup[IMPOSSIBLE] == 2 and lookup[(*IMPOSSIBLE[:-1], 50)] == 18
    assert lookup["facenet", "bim", 64, "resnet50", 5] == 99
    assert lookup["facenet", "bim", 128, "resnet50", 5] == 98


def test_flags_follow_the_stated_rules(published, lookup):
    flags = {}
    for source, attack, eps, target, k in lookup:
        here = lookup[source, attack, eps, target, k]
        larger = [(other, lookup[source, attack, eps, target, other]) for other in GRID["top_k"] if other > k]
        smaller = [(other, lookup[source, attack, other, target, k]) for other in GRID["eps"] if other < eps]
        for other, psr in smaller:
            if psr > here:
                flags[source, attack, eps, target, k] = f"falls with eps: {psr} at eps {other}"
        for other, psr in larger:
            if psr > here:
                flags[source, attack, eps, target, k] = f"impossible: top-{other} is {psr}"
    printed = published[published["flag"] != ""].set_index(CELL)["flag"].to_dict()
    assert printed == flags
    assert printed[IMPOSSIBLE] == "impossible: top-50 is 18.0"
    assert len(printed) == 2


def test_bim_gains_over_illc(published):
    wide = published.pivot(index=["source", "eps", "target", "top_k"], columns="attack", values="psr")
    gain = (wide["bim"] - wide["illc"]).reset_index(name="gain")
    assert len(gain) == 270 and (gain["gain"] < 0).sum() == 2
    assert gain[gain["source"] != gain["target"]]["gain"].mean() == pytest.approx(14.3, abs=0.05)


# --- cell by cell


def test_a_study_equal_to_the_table_agrees_wherever_nothing_is_suspect(published):
    table = compare(as_study(published), published)
    assert list(table.columns) == COMPARED
    assert table["verdict"].value_counts().to_dict() == {"agrees": 538, "suspect": 2}
    assert (table["difference"] == 0).all()
    assert table[CELL].to_numpy().tolist() == published[CELL].to_numpy().tolist()


@pytest.mark.parametrize(("psr", "verdict"), [(10, "lower"), (40, "lower"), (60, "agrees"), (75, "higher")])
def test_an_altered_cell_is_reported(published, psr, verdict):
    cell = ("facenet", "bim", 8, "senet50", 1)  # published: 58
    table = compare(altered(as_study(published), cell, psr), published)
    assert table[at(table, *cell)]["verdict"].item() == verdict
    assert table[at(table, *cell)]["difference"].item() == psr - 58
    assert (table[~at(table, *cell)]["difference"] == 0).all()


def test_the_interval_is_newcombes(published):
    """56/70 against 48/80: 0.0524 to 0.3339 (Newcombe 1998, Statistics in Medicine 17: 873, method 10)."""
    one = published.iloc[:1].assign(psr=60.0)
    measured = as_study(one, n=70).assign(psr=80.0)
    table = compare(measured, one, published_n=80)
    assert table["low"].item() == pytest.approx(5.24, abs=0.005)
    assert table["high"].item() == pytest.approx(33.39, abs=0.005)


def test_few_faces_make_a_wide_interval(published):
    cell = ("facenet", "bim", 8, "senet50", 1)
    few, many = (
        compare(altered(as_study(published, n), cell, 75), published).pipe(lambda t: t[at(t, *cell)]).iloc[0]
        for n in (8, 100)
    )
    assert (few["verdict"], many["verdict"]) == ("agrees", "higher")
    assert few["low"] < many["low"] and few["high"] > many["high"]


def test_photos_of_one_subject_are_no_independent_trials(published):
    """Five photos a subject: against a table without noise of its own the interval is sqrt(5) wider than faces say."""
    cell = ("facenet", "bim", 8, "senet50", 1)
    one = published[at(published, *cell)]
    faces = pd.DataFrame(
        [
            (i // 5, i % 5, *cell[:3], "jpeg75", cell[3], 1, rank, 0, rank, 0.0, 64, None, None, None)
            for i, rank in enumerate([0, 9] * 250)
        ],
        columns=columns(NAMES),
    )
    psr = protection(faces, [1])
    assert psr[["n", "subjects", "psr"]].iloc[0].tolist() == [500, 100, 50]
    by_subject, by_face = (compare(table, one, 10**9).iloc[0] for table in (psr, psr.assign(subjects=psr["n"])))
    widths = [row["high"] - row["low"] for row in (by_subject, by_face)]
    assert widths[0] / widths[1] == pytest.approx(5**0.5, rel=0.02)
    assert (by_subject["verdict"], by_face["verdict"]) == ("agrees", "lower")  # 50 % where 58 % were published
    claims = [Claim("c", "t.", "s", at_least(55))]
    beyond = [evaluate(claims, table)["beyond_noise"].item() for table in (psr, psr.assign(subjects=psr["n"]))]
    assert beyond == [0, 1]


def test_a_suspect_cell_gets_no_other_verdict(published):
    table = compare(altered(as_study(published), IMPOSSIBLE, 90), published)
    row = table[at(table, *IMPOSSIBLE)].iloc[0]
    assert (row["published"], row["measured"], row["verdict"]) == (2, 90, "suspect")


def test_storages_are_compared_apart_and_strangers_left_out(published):
    jpeg = as_study(published)
    strangers = [
        jpeg.assign(attack="clean", eps=0).drop_duplicates([*CELL, "storage"]),
        jpeg.assign(source="edgeface").drop_duplicates([*CELL, "storage"]),
        jpeg[jpeg["eps"] == 4].assign(eps=5.5),
    ]
    table = compare(pd.concat([jpeg, jpeg.assign(storage="png", psr=100.0), *strangers]), published)
    assert table["storage"].value_counts().to_dict() == {"jpeg75": 540, "png": 540}
    assert set(table["attack"]) == {"bim", "illc"} and set(table["eps"]) == set(GRID["eps"])
    assert set(table[table["storage"] == "png"]["verdict"]) == {"agrees", "higher", "suspect"}


def test_cells_without_a_face_are_not_measured(published):
    empty = as_study(published)
    empty.loc[empty["eps"] == 128, ["n", "subjects", "psr"]] = [0, 0, np.nan]
    table = compare(empty, published)
    assert len(table) == 450 and 128 not in set(table["eps"])


def test_a_study_of_other_models_covers_nothing(published):
    other = as_study(published).query("source == 'facenet'").assign(source="edgeface")
    assert compare(other, published).empty
    assert set(evaluate(CLAIMS, other)["verdict"]) == {"not covered"}


# --- the statements


PUBLISHED_VERDICTS = {
    "falls-with-k": (432, 1, "contradicted"),
    "rises-with-eps": (450, 2, "contradicted within noise"),
    "transfer-rises-with-eps": (300, 2, "contradicted within noise"),
    "bim-over-illc": (270, 2, "contradicted within noise"),
    "bim-transfers-better": (180, 2, "contradicted within noise"),
    "own-model-highest": (360, 0, "supported"),
    "facenet-transfers-best": (120, 47, "contradicted"),
    "facenet-transfers-best-bim-32": (10, 1, "contradicted within noise"),
    "facenet-bim-32-top25": (2, 2, "contradicted within noise"),
    "facenet-illc-32-top25": (2, 1, "contradicted within noise"),
    "facenet-bim-32-top50-resnet": (1, 0, "supported"),
    "facenet-bim-32-top50-senet": (1, 0, "supported"),
    "largest-at-8-facenet": (2, 0, "supported"),
    "largest-at-8": (12, 2, "contradicted"),
    "illc-at-8-facenet": (2, 0, "supported"),
    "illc-at-8": (6, 2, "contradicted"),
    "resnet-worst-own": (4, 0, "supported"),
    "resnet-worst-facenet": (10, 0, "supported"),
    "resnet-transfers-worst": (120, 26, "contradicted"),
    "nothing-high-at-8-black-box": (24, 0, "supported"),
    "nothing-high-at-8": (36, 9, "contradicted"),
    "only-above-32": (48, 10, "contradicted"),
    "achievable-above-32": (20, 0, "supported"),
    "resizing-one-source": (120, 3, "contradicted within noise"),
    "resizing-one-target": (120, 65, "contradicted"),
}


def test_verdicts_on_the_published_table(published):
    table = evaluate(CLAIMS, published)
    assert list(table.columns) == EVALUATED
    found = {row.claim: (row.cells, row.violations, row.verdict) for row in table.itertuples()}
    assert found == PUBLISHED_VERDICTS


def test_a_study_equal_to_the_table_has_its_verdicts(published):
    columns = ["claim", "cells", "violations", "beyond_noise", "verdict"]
    pd.testing.assert_frame_equal(evaluate(CLAIMS, published)[columns], evaluate(CLAIMS, as_study(published))[columns])


def black_box_pairs() -> list[tuple[str, str]]:
    return [(s, t) for s, t in product(GRID["source"], GRID["target"]) if s != t]


def test_violations_are_those_of_plain_loops(lookup):
    """Every kind of statement counted again, cell by cell, without a data frame."""
    each = list(product(GRID["attack"], GRID["eps"], GRID["top_k"]))
    facenet = sum(
        lookup["facenet", a, e, target, k] < lookup[rival, a, e, target, k]
        for (target, rival), (a, e, k) in product([("resnet50", "senet50"), ("senet50", "resnet50")], each)
    )
    own = sum(
        lookup[source, a, e, source, k] < lookup[source, a, e, target, k]
        for (source, target), (a, e, k) in product(black_box_pairs(), each)
    )
    rising = sum(
        lookup[s, a, small, t, k] > lookup[s, a, large, t, k]
        for (small, large), s, a, t, k in product(
            pairwise(GRID["eps"]), GRID["source"], GRID["attack"], GRID["target"], GRID["top_k"]
        )
    )
    reaching = [
        (s, a, e, t)
        for (s, t), a, e in product(black_box_pairs(), GRID["attack"], [4, 8, 16, 32])
        if lookup[s, a, e, t, 1] >= 90
    ]
    one_target = sum(
        lookup[rival, a, e, target, k] < lookup["facenet", a, e, target, k]
        for (target, rival), (a, e, k) in product([("resnet50", "senet50"), ("senet50", "resnet50")], each)
    )
    assert (facenet, own, rising, len(reaching), one_target) == (47, 0, 2, 10, 65)
    assert sum(attack == "bim" for _, attack, _, _ in reaching) == 8


def test_names_are_unique_and_every_statement_has_its_place():
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS) == 25
    assert all(claim.text.endswith(".") and claim.section for claim in CLAIMS)
    assert set(PUBLISHED_VERDICTS) == {claim.name for claim in CLAIMS}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_each_claim_can_hold_and_can_fail(claim, published):
    """No claim that cannot fail, none that cannot hold: flat tables, and the published one upside down."""
    upside_down = published.assign(psr=100 - published["psr"])
    tables = [published, upside_down, study(0), study(50), study(100)]
    verdicts = {evaluate([claim], table)["verdict"].item() for table in tables}
    assert {"supported", "contradicted"} <= verdicts


@pytest.mark.parametrize(
    ("name", "cell", "psr"),
    [
        ("bim-over-illc", ("facenet", "illc", 16, "senet50", 5), 80),
        ("bim-transfers-better", ("resnet50", "bim", 16, "senet50", 5), 20),
        ("own-model-highest", ("resnet50", "bim", 16, "senet50", 5), 80),
        ("facenet-transfers-best", ("senet50", "bim", 16, "resnet50", 5), 80),
        ("rises-with-eps", ("facenet", "bim", 4, "facenet", 1), 80),
        ("transfer-rises-with-eps", ("facenet", "bim", 128, "senet50", 1), 20),
        ("falls-with-k", ("facenet", "bim", 4, "facenet", 50), 51),
        ("resnet-worst-own", ("resnet50", "illc", 4, "resnet50", 1), 90),
        ("resnet-worst-facenet", ("senet50", "illc", 32, "resnet50", 5), 20),
        ("resnet-transfers-worst", ("resnet50", "illc", 32, "facenet", 5), 90),
        ("resizing-one-source", ("senet50", "illc", 32, "facenet", 5), 90),
        ("resizing-one-target", ("facenet", "illc", 32, "senet50", 5), 90),
        ("largest-at-8", ("senet50", "bim", 8, "resnet50", 1), 89),
        ("only-above-32", ("senet50", "bim", 32, "resnet50", 1), 99),
        ("nothing-high-at-8", ("senet50", "bim", 8, "senet50", 1), 99),
        ("nothing-high-at-8-black-box", ("senet50", "bim", 8, "resnet50", 1), 99),
        ("largest-at-8-facenet", ("facenet", "bim", 8, "resnet50", 1), 70),
        ("facenet-transfers-best-bim-32", ("facenet", "bim", 32, "resnet50", 1), 20),
    ],
)
def test_one_cell_contradicts_a_flat_table(name, cell, psr):
    flat = study(50)
    assert result(flat, name)["verdict"] == "supported"
    found = result(altered(flat, cell, psr), name)
    assert found["violations"] >= 1 and found["verdict"].startswith("contradicted")


@pytest.mark.parametrize(
    ("name", "cell", "psr"),
    [
        ("largest-at-8", ("senet50", "bim", 8, "senet50", 1), 99),  # the own model is not meant
        ("only-above-32", ("senet50", "bim", 64, "resnet50", 1), 99),
        ("bim-transfers-better", ("senet50", "illc", 64, "senet50", 1), 99),
        (
            "facenet-transfers-best",
            ("resnet50", "bim", 16, "facenet", 5),
            99,
        ),  # FaceNet's own faces: no rival
        ("resizing-one-source", ("facenet", "bim", 16, "senet50", 5), 1),
        ("illc-at-8", ("senet50", "bim", 8, "resnet50", 1), 99),
    ],
)
def test_cells_that_a_claim_is_not_about_leave_it_alone(name, cell, psr):
    flat = study(30)
    assert result(altered(flat, cell, psr), name)["violations"] == 0


def test_a_bound_is_reached_or_missed():
    """90 is high, so "below 90" fails at 90, within noise; "at most" and "at least" hold at the bound."""
    assert result(study(90), "only-above-32")["verdict"] == "contradicted within noise"
    assert result(study(89), "only-above-32")["verdict"] == "supported"
    assert result(study(58), "largest-at-8")["verdict"] == "supported"
    assert result(study(59), "largest-at-8")["verdict"] == "contradicted within noise"
    assert result(study(95), "facenet-bim-32-top25")["verdict"] == "supported"
    assert result(study(94), "facenet-bim-32-top25")["verdict"] == "contradicted within noise"
    assert result(study(80), "facenet-bim-32-top25")["verdict"] == "contradicted"


def test_noise_depends_on_the_number_of_faces():
    assert result(study(90, n=20), "facenet-bim-32-top25")["verdict"] == "contradicted within noise"
    assert result(study(90, n=500), "facenet-bim-32-top25")["verdict"] == "contradicted"


def test_n_is_used_where_a_table_has_no_column_of_it(published):
    few = result(published, "facenet-transfers-best", n=5)
    many = result(published, "facenet-transfers-best", n=2000)
    assert few["violations"] == many["violations"] == 47
    assert few["beyond_noise"] == 0 and many["beyond_noise"] > 40


def test_two_proportions_are_tested_with_the_pooled_score():
    """60 of 100 against 46 of 100: z = 0.14 / sqrt(0.53 0.47 2 / 100) = 1.983; with 47 it is 1.842."""
    claim = Claim("c", "t.", "s", ordered(["attack"], {"attack": "bim"}, {"attack": "illc"}))
    cells = study(60).query("source == target == 'facenet' and eps == 4 and top_k == 1")
    for bim, beyond in ((46.0, 1), (47.0, 0)):
        row = evaluate([claim], cells.assign(psr=[bim, 60.0])).iloc[0]
        assert (row["cells"], row["violations"], row["beyond_noise"]) == (1, 1, beyond)


def ranked(attack: str, eps: int, ranks: list[int]) -> pd.DataFrame:
    """A cell's ranks file of FaceNet's own faces, as far as tables are made of it: a face a subject."""
    cell = {"source": "facenet", "attack": attack, "eps": eps, "storage": "jpeg75", "target": "facenet"}
    faces = pd.DataFrame({"subject": range(len(ranks)), "photo": 0, "rank": pd.array(ranks, "Int64")})
    return faces.assign(**cell, detected=1, label=0, predicted=0, outside=0.0, classes=100)


@pytest.mark.parametrize("people, beyond", [(62, 1), (1, 0)])
def test_cells_of_a_study_are_tested_on_the_same_faces(people, beyond):
    """ILLC hides 30 of 62 faces, BIM 22 of these and none beside: z is 1.45, the sign-flip test of 8 faces of 8 people
    says .0039; of one person it is no evidence."""
    bim, illc = ([9] * count + [0] * (62 - count) for count in (22, 30))
    ranks = pd.concat([ranked("clean", 0, [0] * 62), ranked("bim", 4, bim), ranked("illc", 4, illc)])
    ranks = ranks.assign(photo=ranks["subject"] // people, subject=ranks["subject"] % people)
    claim = Claim("c", "t.", "s", ordered(["attack"], {"attack": "bim"}, {"attack": "illc"}))
    psr = protection(ranks, [1]).assign(subjects=62)
    for faces, found in ((None, 0), (hidden_by_cell(ranks, [1]), beyond)):
        row = evaluate([claim], psr, faces=faces).iloc[0]
        assert (row["cells"], row["violations"], row["beyond_noise"]) == (1, 1, found)


def test_one_proportion_is_tested_against_its_bound():
    """z = (p - 0.5) / sqrt(0.25 / 100): 60 is 2.0 away, 59 is 1.8."""
    cell = study(0).query("source == target == 'facenet' and attack == 'bim' and eps == 4 and top_k == 1")
    for psr, beyond in ((60.0, 1), (59.0, 0)):
        row = evaluate([Claim("c", "t.", "s", at_most(50))], cell.assign(psr=psr)).iloc[0]
        assert (row["violations"], row["beyond_noise"]) == (1, beyond)
        row = evaluate([Claim("c", "t.", "s", at_least(50))], cell.assign(psr=100 - psr)).iloc[0]
        assert (row["violations"], row["beyond_noise"]) == (1, beyond)


def test_chance_alone_rarely_contradicts():
    """Tables without a difference between any cells, sampled at N = 100: noise is no contradiction."""
    claim = [claim for claim in CLAIMS if claim.name == "bim-over-illc"]
    random = np.random.default_rng(0)
    flat = study(50)
    found = [
        evaluate(claim, flat.assign(psr=random.binomial(100, 0.5, len(flat)).astype(float)))["verdict"].item()
        for _ in range(40)
    ]
    assert found.count("contradicted") <= 4
    assert found.count("contradicted within noise") >= 36


def test_a_wrong_order_in_k_is_never_noise():
    cell = ("facenet", "bim", 4, "facenet", 50)
    assert result(altered(study(50, n=5), cell, 60), "falls-with-k")["verdict"] == "contradicted"


def test_a_partial_study_is_judged_by_what_it_has(published):
    part = as_study(published).query("attack == 'bim' and source == 'facenet' and target == 'facenet'")
    table = evaluate(CLAIMS, part).set_index("claim")
    assert table.loc["rises-with-eps", ["cells", "verdict"]].tolist() == [25, "supported"]
    assert table.loc["nothing-high-at-8", ["cells", "verdict"]].tolist() == [2, "contradicted"]
    assert table.loc["bim-over-illc", ["cells", "violations", "verdict"]].tolist() == [0, 0, "not covered"]
    assert table.loc["facenet-transfers-best", "verdict"] == "not covered"


def test_budgets_left_out_are_bridged(published):
    part = as_study(published).query("eps in [4, 128] and top_k == 1")
    assert result(part, "rises-with-eps")["cells"] == 18


def test_storages_and_strangers_are_kept_apart(published):
    jpeg = as_study(published)
    worse = jpeg.assign(storage="png", psr=100 - jpeg["psr"])
    clean = jpeg.assign(attack="clean", eps=0).drop_duplicates([*CELL, "storage"])
    table = evaluate(CLAIMS, pd.concat([jpeg, worse, clean]))
    assert table["storage"].tolist() == ["jpeg75"] * len(CLAIMS) + ["png"] * len(CLAIMS)
    found = table[table["storage"] == "jpeg75"].set_index("claim")
    assert found.loc["rises-with-eps", "cells"] == 450 and found.loc["own-model-highest", "cells"] == 360


# --- the page


def test_the_page_counts_judges_and_lists(published):
    cell = ("facenet", "bim", 8, "senet50", 1)
    measured = altered(as_study(published), cell, 90)
    page = comparison_markdown(compare(measured, published), evaluate(CLAIMS, published), evaluate(CLAIMS, measured))
    lines = [[field.strip() for field in line.strip("|").split("|")] for line in page.splitlines() if "|" in line]
    counts = next(line for line in lines if line[0] == "jpeg75")
    assert counts[:6] == ["jpeg75", "540", "537", "1", "0", "2"]
    largest = next(line for line in lines if line[0] == "largest-at-8-facenet")
    assert largest[3:] == ["supported (0 of 2)", "contradicted (1 of 2, 1 beyond noise)"]
    one = next(line for line in lines if line[:6] == ["facenet", "bim", "8", "jpeg75", "senet50", "1"])
    assert one[6:9] == ["58.0", "90.0", "32.0"] and one[10] == "higher"
    assert "impossible: top-50 is 18.0" in page
    assert len([line for line in lines if line[0] in GRID["source"]]) == 540


def test_the_page_of_a_study_with_nothing_in_common_is_written(published):
    none = as_study(published).iloc[:0]
    page = comparison_markdown(compare(none, published), evaluate(CLAIMS, published), evaluate(CLAIMS, none))
    assert page.count("not covered") == len(CLAIMS)


# --- bad input


def test_tables_that_are_not_psr_tables_are_refused(published):
    good = as_study(published)
    bad = {
        "no column subjects": good.drop(columns="subjects"),
        "two rows for source facenet": pd.concat([good, good.iloc[:1]]),
        "outside 0..100": altered(good, IMPOSSIBLE, 101),
        "psr: .*high": good.astype({"psr": object}).replace({"psr": {2.0: "high"}}),
    }
    for message, table in bad.items():
        with pytest.raises(InputError, match=message):
            compare(table, published)


def test_published_files_that_are_not_tables_are_refused(tmp_path, published):
    with pytest.raises(InputError, match="no such table"):
        read_published(tmp_path / "none.csv")
    for text, message in (
        ("", "not a CSV table"),
        ("a,b\n1,2\n", "no column source"),
        (TABLE.read_text() + TABLE.read_text().splitlines()[1] + "\n", "two rows"),
        (
            TABLE.read_text().replace("facenet,illc,4,facenet,1,68.0,", "facenet,illc,4,facenet,1,,"),
            "no PSR in",
        ),
    ):
        (tmp_path / "table.csv").write_text(text)
        with pytest.raises(InputError, match=message):
            read_published(tmp_path / "table.csv")


def test_a_table_without_flags_has_no_suspects(tmp_path, published):
    published.assign(flag="").to_csv(tmp_path / "table.csv", index=False)
    table = read_published(tmp_path / "table.csv")
    assert set(compare(as_study(published), table)["verdict"]) == {"agrees"}
