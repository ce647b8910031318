"""Table 1 and its captions: the paper's layout, and names that would do harm elsewhere."""

from __future__ import annotations

import io
import json
import runpy
from argparse import Namespace

import numpy as np
import pandas as pd
import pytest

from cloakbench.errors import InputError
from cloakbench.files.writing import writing_faces
from cloakbench.report import tables
from cloakbench.report.empty import why_empty
from cloakbench.report.figures import FACETS, LOOKS, against_quality, cmc, curves, panels
from conftest import ROOT

ABOUT = {
    "study": "s_1",
    "loader": "folder",
    "root": r"/photos & \input{x} <script>|`a`",
    "subjects": 5,
    "photos": 1,
    "seed": 3,
    "missed": "drop",
    "precision": "bf16",
    "models": {"a_b": {"arch": "resnet50", "weights": "w_1.pt", "head": "softmax"}},
}


@pytest.fixture
def psr() -> pd.DataFrame:
    rows = [
        (source, attack, eps, "jpeg75", target, k, 10 * k + eps)
        for source in ("z", "a_b")
        for attack, eps in (("clean", 0), ("bim", 4), ("bim", 16), ("illc", 4), ("illc", 16))
        for target in ("z", "a_b")
        for k in (1, 5)
    ]
    frame = pd.DataFrame(rows, columns=["source", "attack", "eps", "storage", "target", "top_k", "psr"])
    return frame.assign(psr_photo=frame["top_k"] - 1.0, outside=frame["target"].map({"z": 0.0, "a_b": 12.5}))


def test_rows_and_columns_keep_the_studys_order(psr):
    table = pd.read_csv(io.StringIO(tables.to_csv(tables.table1(psr))))
    assert list(table) == ["source", "attack", "eps", "z top-1", "z top-5", "a_b top-1", "a_b top-5"]
    block = [("clean", 0), ("bim", 4), ("bim", 16), ("illc", 4), ("illc", 16)]
    assert list(table[["source", "attack", "eps"]].itertuples(index=False, name=None)) == [
        (source, *row) for source in ("z", "a_b") for row in block
    ]
    assert (table["a_b top-5"] == 50 + table["eps"]).all()


def test_two_clean_numbers_stand_beside_each_target(psr):
    clean = tables.clean_faces(psr)
    assert clean.to_dict("records")[1] == {
        **{"storage": "jpeg75", "source": "z", "target": "a_b"},
        **{"from the photograph": 100, "through the stored crop": 90, "outside": 12.5},
    }
    assert len(clean) == 4
    page = tables.to_markdown(tables.table1(psr), clean, ABOUT)
    assert "through the stored crop" in page.split("Clean faces that each target names")[1]


def test_several_storages_are_told_apart(psr):
    both = pd.concat([psr, psr.assign(storage="png")])
    table = tables.to_csv(tables.table1(both))
    assert table.startswith("storage,source") and table.count("\npng,") == 10


def test_hostile_names_are_text_in_every_format(psr):
    table = tables.table1(psr)
    clean = tables.clean_faces(psr)
    latex, markdown = tables.to_latex(table, clean, ABOUT), tables.to_markdown(table, clean, ABOUT)
    assert r"\input{x}" not in latex and r"\textbackslash{}input\{x\}" in latex and r"a\_b" in latex
    assert "<script>" not in markdown and r"\<script\>\|\`a\`" in markdown and r"a\_b" in markdown


@pytest.mark.parametrize("whole_row", [True, False])
def test_a_cell_without_a_face_is_empty_everywhere(psr, whole_row):
    """With missed faces dropped; a gap in the curve, and what is left of it is drawn."""
    none = (psr["source"] == "z") & (psr["eps"] == 16) & (whole_row | (psr["target"] == "z"))
    psr = psr.assign(psr=psr["psr"].mask(none), psr_low=psr["psr"].mask(none), psr_high=psr["psr"].mask(none))
    table = tables.table1(psr)
    assert len(table) == 10
    lines = tables.to_csv(table).splitlines()
    assert lines[3].startswith("z,bim,16,,,") and lines[3].endswith(",,," if whole_row else ",26.0,66.0")
    clean = tables.clean_faces(psr.assign(classes=62))
    markdown, latex = tables.to_markdown(table, clean, ABOUT), tables.to_latex(table, clean, ABOUT)
    assert markdown.count(" -- |") == latex.count("& --") == (8 if whole_row else 4)
    assert "nan |" not in markdown and "nan &" not in latex and " 14.0 |" in markdown
    figure = curves(psr, "z", "jpeg75", ABOUT)
    lines = [line for axis in figure.axes for line in axis.lines if line.get_label() in ("z", "a_b")]
    assert {tuple(line.get_xdata()) for line in lines} == {(4, 16)}
    assert sum(bool(np.isnan(line.get_ydata()[1])) for line in lines) == (8 if whole_row else 4)
    assert all(np.isfinite(line.get_ydata()[0]) for line in lines)
    figure.canvas.draw()


@pytest.mark.parametrize("missed, base", [("protected", 4), ("drop", 3)])
def test_identification_rates_are_drawn_at_every_k(missed, base):
    """Ranks 0, 2 and 5 and a face that was lost; the curve ends below 100 where it counts."""
    clean = [0, 0, 1, 0]
    cloaked = pd.concat(
        [
            pd.DataFrame(
                {"subject": range(4), "photo": 0, "source": "a", "attack": attack, "eps": eps, "storage": "png"}
            ).assign(target="b", detected=[1, 1, 1, lost], rank=pd.array(ranks, "Int64"), classes=9)
            for attack, eps, ranks, lost in (("clean", 0, clean, 1), ("x", 4, [0, 2, 5, None], 0))
        ]
    )
    figure = cmc(cloaked, missed, ABOUT)
    drawn = {line.get_label(): [*line.get_ydata()] for line in figure.axes[0].lines}
    assert [*figure.axes[0].lines[0].get_xdata()] == [*range(1, 9)]
    assert drawn["clean"] == [75, *[100] * 7]
    assert drawn["eps 4"] == pytest.approx([100 * n / base for n in (1, 1, 2, 2, 2, 3, 3, 3)])
    figure.canvas.draw()


def test_of_many_attacks_each_has_one_panel(psr):
    """No row of panels each, and no wall of lines: twenty attacks, a panel each at the smallest k, a line a target."""
    attacks = [f"a{number}" for number in range(20)]
    cloaked = psr[psr["attack"] == "bim"]
    rows = pd.concat([psr[psr["attack"] == "clean"], *(cloaked.assign(attack=name) for name in attacks)])
    figure = curves(rows.assign(psr_low=0.0, psr_high=100.0), "z", "jpeg75", ABOUT)
    assert [axis.get_title() for axis in figure.axes] == [f"{name}, top-1" for name in attacks]
    for axis in figure.axes:
        drawn = {line.get_label(): [*line.get_ydata()] for line in axis.lines}
        assert drawn["z"] == drawn["a_b"] == [14, 26]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["z", "a_b"]
    assert len({(line.get_linestyle(), line.get_marker()) for line in figure.axes[0].lines[:3:2]}) == 2
    figure.canvas.draw()
    labelled = [
        axis.get_title() for axis in figure.axes if any(tick.label1.get_visible() for tick in axis.xaxis.majorTicks)
    ]
    assert labelled == [f"{name}, top-1" for name in attacks[-4:]]


def test_of_many_attacks_identification_rates_are_of_one_budget():
    ranks = {
        ("clean", 0): [0, 0, 1, 0],
        **{(f"a{n}", eps): [0, eps, 2, 5] for n in range(FACETS + 1) for eps in (4, 6, 9)},
    }
    cells = [
        pd.DataFrame({"subject": range(4), "photo": 0, "source": "a", "attack": attack, "eps": eps}).assign(
            storage="png", target=target, detected=1, rank=pd.array(found, "Int64"), classes=9
        )
        for (attack, eps), found in ranks.items()
        for target in ("b", "c")
    ]
    figure = cmc(pd.concat(cells), "protected", ABOUT)
    assert [axis.get_title() for axis in figure.axes] == [f"a{n}" for n in range(FACETS + 1)]
    for axis in figure.axes:
        b, clean, *_ = (list(line.get_ydata()) for line in axis.lines)
        assert b == [25, 25, 50, 50, 50, 75, 100, 100] and clean == [75, *[100] * 7] and len(axis.lines) == 4
    assert "eps 6, dotted: clean" in figure.get_suptitle()
    figure.canvas.draw()
    (below,) = [axis for axis in figure.axes[:4] if axis.xaxis.majorTicks[0].label1.get_visible()][:1]
    assert below is figure.axes[3]  # below it nothing is drawn


def test_of_many_cloaks_those_are_told_apart_that_lead():
    names = [f"a{number:02}" for number in range(20)]
    rows = [
        {"source": "z", "attack": name, "eps": eps, "storage": "png", "target": target, "top_k": 1}
        | {"psr": number + eps, "ssim": 1 - eps / 100, "front_ssim": number >= 15}
        for number, name in enumerate(names)
        for target in ("z", "b")
        for eps in (4, 8)
    ]
    figure = against_quality(pd.DataFrame(rows), ABOUT)
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(told) == len(LOOKS) + 1 and {f"{name}, on z" for name in names[15:]} < {*told}
    assert told[-1] == "12 others, less often on the front"
    grey = [line for line in figure.axes[0].lines if line.get_label() == told[-1]]
    assert len(grey) == 12 and {line.get_color() for line in grey} == {"0.75"} and len(figure.axes[0].lines) == 21
    few = against_quality(pd.DataFrame([row for row in rows if row["attack"] < "a08"]), ABOUT)
    assert [text.get_text() for text in few.legends[0].get_texts()] == [f"{name}, on z" for name in names[:8]]


def test_captions_say_what_a_reader_needs():
    text = tables.caption(ABOUT)
    assert "Gradients were asked for in bf16; provenance.json tells" in text  # a table sees no job
    assert "Gradients" not in tables.caption(ABOUT | {"precision": "fp32"})
    for part in ("N = 5", "seed 3", "folder photos", "left out", "a_b: resnet50, weights w_1.pt, softmax head"):
        assert part in text
    assert "synthetic faces" in tables.title(ABOUT | {"loader": "synthetic"})


def test_panels_are_the_papers_where_they_can_be():
    assert panels([1, 5, 10, 25, 50]) == [1, 5, 25]
    assert panels([1, 3]) == [1, 3] and panels([2]) == [2] and panels([1, 2, 3, 4]) == [1, 3, 4]


def test_the_faces_stand_in_the_order_of_their_budgets(tmp_path, rng, monkeypatch):
    """As the job is told them, which is not that of their names."""
    names = ["clean", "eps 4", "eps 16", "eps 128"]
    for name in names:
        with writing_faces(tmp_path / f"{name}.npy", 1, (16, 16)) as faces:
            faces[:] = rng.integers(0, 256, (1, 16, 16, 3))
    columns = [[name, str(tmp_path / f"{name}.npy")] for name in names]
    told = json.loads(json.dumps([["a bim", columns]], sort_keys=True))
    drawn = []
    monkeypatch.setattr("cloakbench.report.figures.save", lambda figure, *paths: drawn.append(figure))
    options = Namespace(rows=told, about={"study": "toy", "loader": "synthetic"}, output=tmp_path / "examples.png")
    runpy.run_path(str(ROOT / "scripts/examples.py"))["main"](options)
    assert [axis.get_title() for axis in drawn[0].axes] == names


def test_the_summary_has_a_row_a_source_target_and_attack(psr):
    whole = psr.assign(n=5, psr_low=psr["psr"] - 1, psr_high=psr["psr"] + 1)
    lines = tables.summary(whole, 1).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["crafted on", "judged by", "attack", "photograph", "clean", "eps 4", "eps 16"]
    assert cells[2] == ["z", "z", "bim", "0.0", "10.0 (9-11)", "14.0 (13-15)", "26.0 (25-27)"] and len(cells) == 2 + 8
    any_ = whole[whole["target"] == "z"].assign(target="z or a_b", classes=62)
    lines = tables.summary(whole.assign(classes=62), 1, any_).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0][:4] == ["crafted on", "judged by", "among", "attack"]
    assert [row[:3] for row in cells[2::2]] == [
        *(["z", target, "62"] for target in ("z", "z or a\\_b", "a\\_b")),
        *(["a\\_b", target, "62"] for target in ("a\\_b", "z or a\\_b", "z")),
    ]
    with pytest.raises(InputError, match=r"top-3 is not in psr\.csv; known: 1, 5"):
        tables.summary(whole, 3)
    both, any_ = whole[whole["source"] == "z"].assign(source="both"), any_[any_["source"] == "z"].assign(source="both")
    for members, order in (["z"], ["z", "z or a\\_b", "a\\_b"]), (["z", "a_b"], ["z", "a\\_b", "z or a\\_b"]):
        page = tables.summary(both, 1, any_, {"ensembles": {"both": {"members": members}}})
        judges = [line.split("|")[2].strip() for line in page.splitlines()[2:]]
        assert [*dict.fromkeys(judges)] == order


def test_a_face_that_was_not_found_explains_no_empty_column():
    faces = pd.DataFrame({"target": ["a", "a"], "rank": pd.array([0, None], "Int64"), "own_score": [0.9, None]})
    assert [*why_empty(faces, ["own_score"])] == []
    (line,) = why_empty(faces.assign(own_score=None), ["own_score", "rank"])
    assert line.startswith("own_score: empty of a (a class head")
    assert [*why_empty(faces.assign(own_score=None), ["rank"])] == []  # nobody sees it


def test_counts_stay_whole_where_some_are_unknown():
    table = pd.DataFrame(
        {"rung": ["clean", "other"], "classes": [5745, None], "psr": [12.3456, 100], "p": [None, None]}
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in tables.plain(table).splitlines()]
    assert rows[2:] == [["clean", "5745", "12.3", "--"], ["other", "--", "100", "--"]]
