"""A study's pages, without a browser: what the verdict says, what large studies give up, whose faces are shown."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import yaml

from cloakbench.errors import InputError
from cloakbench.files.reading import open_faces
from cloakbench.page import build, faces, scales
from cloakbench.page.build import report, summary
from cloakbench.page.study import read_study
from cloakbench.page.verdict import black_box, first_state, verdict
from cloakbench.statistics.paired import ALPHA
from conftest import ROOT, complete
from made_up import HOSTILE, PAPER, make

RATE = re.compile(r"([\d.]+) % \((\d+)-(\d+)\)")
POINTS = re.compile(r"([+-][\d.]+) points(?: \(([+-]\d+) to ([+-]\d+)\))?.*?, adjusted p ([\d.e-]+)")


def rows(study: Path) -> pd.DataFrame:
    """As a page has them: with one target nobody tries several."""
    both = pd.concat([pd.read_csv(study / name) for name in ("psr.csv", "strongest.csv")])
    return both.drop_duplicates(["source", "attack", "eps", "storage", "target", "top_k"])


def only(table: pd.DataFrame, **fixed: object) -> pd.Series:
    found = table[(table[list(fixed)] == list(fixed.values())).all(axis=1)]
    assert len(found) == 1, (fixed, len(found))
    return found.iloc[0]


# of the 200: how many sources, targets, attacks, budgets; how many people; how much is hidden, and of whom
RANDOM = np.random.default_rng(14)
SHAPES = [
    {
        "people": int(RANDOM.choice([3, 8, 16, 62])),
        "sources": PAPER[: RANDOM.integers(1, 3)],
        "targets": PAPER[RANDOM.integers(0, 2) :][: RANDOM.integers(1, 4)],
        "attacks": ["bim", "illc", "mi"][RANDOM.integers(0, 2) :][: RANDOM.integers(1, 4)],
        "budgets": sorted(map(int, RANDOM.choice([2, 4, 8, 16, 32], RANDOM.integers(1, 4), replace=False))),
        "shares": {name: float(RANDOM.choice([0, 0.3, 1, 4])) for name in (*PAPER, "bim", "illc", "mi")}
        | {"clean": float(RANDOM.choice([0, 1, 20, 45]))},
        "top_k": [1, 5],
        "seed": seed,
    }
    for seed in range(200)
]


@pytest.mark.parametrize("first", [0, *(pytest.param(first, marks=pytest.mark.slow) for first in range(25, 200, 25))])
def test_the_verdict_says_what_the_tables_say(tmp_path, first):
    said = {"more": 0, "fewer": 0, "not ruled out": 0}
    for shape in SHAPES[first : first + 25]:
        study = make(tmp_path / str(shape["seed"]), measures=(), **shape)
        for word in check_verdict(study):
            said[word] += 1
    assert said["not ruled out"] and sum(said.values()) > 20


def check_verdict(study: Path) -> list[str]:
    """Every number of every sentence against the tables; which words for a difference were used."""
    of = read_study(study)
    state, words = first_state(of), []
    table, tested, needed = rows(study), pd.read_csv(study / "comparisons.csv"), pd.read_csv(study / "needed.csv")
    cell = {key: state[key] for key in ("source", "attack", "eps", "storage", "top_k")}
    plain = {**cell, "attack": "clean", "eps": 0}
    for sentence in verdict(of, state):
        target = re.search(r"(?:Judged by|from) (\w+)[,.:; ]", sentence)
        target = target[1] if target else of.any_target
        rates = [tuple(map(float, found)) for found in RATE.findall(sentence)]
        if sentence.startswith("Judged by"):
            assert (target == state["source"]) == ("on which it was crafted" in sentence)
            row, clean = only(table, target=target, **cell), only(table, target=target, **plain)
            assert rates == [shown(row), shown(clean)]
            assert f"hid {row['n'] - row['recognised']} of {row['n']} " in sentence
            assert f"a cloak {clean['n'] - clean['recognised']} of {clean['n']} are hidden," in sentence
            if points := POINTS.search(sentence):
                against = {**cell, "target": target, "reference": "clean"}
                words.append(check_points(sentence, points, only(tested, **against)))
            else:
                assert target == state["source"]
        elif sentence.startswith("A searcher who tries all"):
            row, clean = only(table, target=of.any_target, **cell), only(table, target=of.any_target, **plain)
            assert rates == [shown(row), shown(clean)] and f"names {row['recognised']} of {row['n']}:" in sentence
        elif sentence.startswith("Of "):
            others = table[(table["target"] == target) & (table["attack"] != "clean")]
            fixed = {key: state[key] for key in ("source", "eps", "storage", "top_k")}
            others = others[(others[list(fixed)] == list(fixed.values())).all(axis=1)]
            assert rates[0][0] == round(others["psr"].max(), 1)
            if points := POINTS.search(sentence):
                leader = others[others["psr"] == others["psr"].max()]["attack"].iloc[0]
                base = "bim" if "bim" in {*others["attack"]} else others["attack"].iloc[0]
                against = {**cell, "attack": leader, "target": target, "reference": base}
                words.append(check_points(sentence, points, only(tested, **against)))
        elif sentence.startswith("Half of these faces"):
            row = only(needed, share=50, target=target, **{key: cell[key] for key in ("source", "attack", "storage")})
            assert all(number in sentence for number in re.findall(r"[\d.]+", str(row["eps"])))
            assert ("at about eps" in sentence) == str(row["eps"])[:1].isdigit()
        elif sentence.startswith("To the eye"):
            assert re.search(r"SSIM 0\.\d{3} \(1: the same\) and PSNR \d+\.\d dB", sentence)
        else:
            assert sentence.startswith(("No recogniser judges", "Nobody judges")), sentence
    assert bool(black_box(of, state)) == any("never saw" in sentence for sentence in verdict(of, state))
    return words


def shown(row: pd.Series) -> tuple[float, float, float]:
    return float(f"{row['psr']:.1f}"), float(f"{row['psr_low']:.0f}"), float(f"{row['psr_high']:.0f}")


def check_points(sentence: str, points: re.Match, row: pd.Series) -> str:
    """A word for more or fewer stands only where the paired test says so."""
    assert points[1] == f"{row['difference']:+.1f}" and points[4].rstrip(".") == f"{row['p_adjusted']:.2g}"
    assert points[2] is None or (points[2], points[3]) == (f"{row['low']:+.0f}", f"{row['high']:+.0f}")
    words = [word for word in ("more than", "hides more", "hides fewer", "not ruled out") if word in sentence]
    words = [word.split()[1] if word.startswith("hides") else word for word in words if word != "more than"] or ["more"]
    assert len(words) == 1
    assert (words[0] == "not ruled out") == (row["p_adjusted"] >= ALPHA)
    assert words[0] != "more" or row["difference"] > 0
    assert words[0] != "fewer" or row["difference"] < 0
    return words[0]


def test_protection_below_clean_is_called_fewer(tmp_path):
    """A cloak that makes faces easier to name."""
    shares = {"clean": 45, "bim": 0.0}
    study = make(tmp_path, people=62, targets=PAPER[:2], attacks=["bim"], budgets=[4], top_k=[1], shares=shares)
    assert any("hides fewer than no cloak does: -" in sentence for sentence in said(study))


def said(study: Path) -> list[str]:
    of = read_study(study)
    return verdict(of, first_state(of))


def test_one_cell_alone_and_a_source_that_judges_nowhere(tmp_path):
    alone = make(tmp_path / "alone", sources=["facenet"], targets=["facenet"], attacks=["bim"], budgets=[8], top_k=[1])
    assert any("of other recognisers this study says nothing" in sentence for sentence in said(alone))
    page = summary(alone)
    assert "data-key" not in page.split("<script")[0] and "all together" not in page.split("<script")[0]
    away = make(tmp_path / "away", sources=["facenet"], targets=["senet50"], budgets=[8], top_k=[1])
    assert any("No recogniser judges here that facenet's cloaks" in sentence for sentence in said(away))
    assert "the judge is what it was crafted on" in summary(away)
    assert not re.search(r'<td class="heat\d+ white">', summary(away)) and re.search(
        r'<td class="heat\d+">', summary(away)
    )
    assert re.search(r'<td class="heat\d+ white">', page)


# ------------------------------------------------------------------------------------------------ what is shown


def picture_count(page: str) -> int:
    return page.count('<img alt="subject')


def test_faces_of_photographs_are_shown_only_where_asked_for(tmp_path):
    """Rendered people are shown; of real ones nobody, all, or the first so many, and with a notice."""
    small = {"people": 4, "sources": ["facenet"], "targets": ["facenet"], "budgets": [8], "side": 32, "names": HOSTILE}
    pages = {}
    for faces_asked in (None, 0, 2, 9, "all"):
        study = make(tmp_path / str(faces_asked), loader="folder", faces=faces_asked, **small)
        pages[faces_asked] = report(study)
    assert {asked: picture_count(page) for asked, page in pages.items()} == {None: 0, 0: 0, 2: 2, 9: 4, "all": 4}
    for asked, page in pages.items():
        shows = asked not in (None, 0)
        assert ("photographs of real people. Whether they may be shown" in page) == shows
        assert ("report: {faces: all}" in page) == (not shows)
        assert ("javascript:alert(1)" in page) == (asked in (9, "all") and len(HOSTILE[:4]) > 4)
    assert picture_count(report(make(tmp_path / "rendered", **small))) == 4


@pytest.mark.parametrize(
    "asked, wrong", [("some", True), (-1, True), (1.5, True), ("all", False), (0, False), (7, False)]
)
def test_the_config_says_how_many(asked, wrong):
    config = yaml.safe_load((ROOT / "config.yaml").read_text()) | {"report": {"faces": asked}}
    if wrong:
        with pytest.raises(InputError, match="report"):
            complete(config)
    else:
        assert complete(config)["report"] == {"faces": asked}


def test_pictures_lie_in_parts_too(tmp_path):
    """As where the faces of a cell are computed in parts: the same pictures."""
    small = {
        "people": 5,
        "sources": ["facenet"],
        "targets": ["facenet"],
        "attacks": ["bim"],
        "budgets": [8],
        "side": 32,
    }
    whole = make(tmp_path, **small)
    of = read_study(whole)
    pictures = faces.Album(whole, of)
    cell = {"source": "facenet", "attack": "bim", "eps": 8, "storage": "jpeg75"}
    one = [pictures.published(number, cell) + pictures.change(number, cell) for number in range(5)]
    in_parts(whole)
    of.facts["config"]["compute"]["chunks"] = 2
    pictures = faces.Album(whole, of)
    assert [pictures.published(number, cell) + pictures.change(number, cell) for number in range(5)] == one


def in_parts(study: Path) -> None:
    from cloakbench.files.writing import write_text, writing_faces

    for path in [study / "subjects/canvas.npy", study / "crafted/facenet/bim/eps8.npy"]:
        array = np.array(open_faces(path))
        for part, rows_of in enumerate((array[:3], array[3:])):
            with writing_faces(path.with_suffix("") / f"part{part}.npy", len(rows_of), rows_of.shape[1:3]) as written:
                written[:] = rows_of
    manifest = study / "manifests/facenet/bim/eps8/jpeg75.csv"
    listed = pd.read_csv(manifest)
    for part, rows_of in enumerate((listed[:3], listed[3:])):
        write_text(manifest.with_suffix("") / f"part{part}.csv", rows_of.to_csv(index=False))
        folder = study / f"stored/facenet/bim/eps8/jpeg75/part{part}"
        folder.mkdir()
        for file in rows_of["file"]:
            (folder.parent / file).rename(folder / file)


def test_a_page_that_would_be_too_large_gives_up_in_order(tmp_path):
    small = {"sources": ["facenet"], "targets": ["facenet"], "attacks": ["bim"], "top_k": [1]}
    study = make(tmp_path, people=8, storages=["jpeg75", "png"], side=48, **small)
    count, shelves = 8, []
    whole = sum(map(len, re.findall(r'id="face-\d+">(.*?)</script>', report(study))))
    for room in (whole * 2, whole * 3 // 4, whole // 2, whole // 4, whole // 12, 1):
        with patch.object(faces, "MOST_BYTES", room):
            page = report(study)
        shelves.append((picture_count(page), re.findall(r"this page holds (.*?)\. All lie", page)))
        blocks = re.findall(r'<script type="application/json" id="face-\d+">(.*?)</script>', page)
        assert sum(map(len, blocks)) <= room + 300 * len(blocks)  # and the braces
    assert shelves[0] == (count, []) and shelves[-1][0] == 0
    assert "pictures as stored by jpeg75" in shelves[1][1][0] and shelves[1][0] == count
    assert [shown for shown, _ in shelves] == sorted((shown for shown, _ in shelves), reverse=True)
    assert all(text for _, text in shelves[1:])


def test_a_large_summary_gives_up_k_then_storages_then_attacks(tmp_path):
    attacks = ["bim", *(f"attack{number}" for number in range(9))]
    asked = {"measures": ["properties"]}
    study = make(tmp_path, 6, ["facenet"], PAPER[:2], attacks, [4, 8], ["jpeg75", "png"], **asked)
    whole = summary(study)
    said = []
    for most in (len(whole) - 1, len(whole) // 2, len(whole) // 3, len(whole) // 5, 1):
        with patch.object(build, "MOST_SUMMARY", most):
            page = summary(study)
        said.append("".join(re.findall(r"this page has (.*?)\. The tables", page)))
        assert "bim" in page.split('id="controls"')[1]
        assert 'id="groups"' not in page
    assert "To stay small" not in whole and 'id="groups"' in whole
    assert said[0] == "no groups of faces"
    assert said[-1] == "no groups of faces; only k of 1 and 10; only the first storage; only eight attacks"
    assert said == sorted(said, key=len)


def test_a_shown_number_is_the_table_s_and_pages_repeat(tmp_path):
    study = make(tmp_path, people=5, sources=PAPER[:2], budgets=[4, 16], names=HOSTILE, side=32)
    assert report(study) == report(study) and summary(study) == summary(study)
    page = summary(study)
    digest = hashlib.sha256((study / "psr.csv").read_bytes()).hexdigest()
    assert digest in page and f"tables {digest[:12]}" in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    table = rows(study).reset_index(drop=True)
    assert len(data["rates"]["psr"]) == len(table)
    for name in ("source", "attack", "eps", "storage", "target", "top_k"):
        assert [data["names"][name][place] for place in data["rates"][name]] == table[name].to_list()
    assert data["rates"]["psr"] == [float(f"{value:.1f}") for value in table["psr"]]
    assert data["rates"]["psr_low"] == [int(f"{value:.0f}") for value in table["psr_low"]]


def test_damage_becomes_no_page(tmp_path):
    study = make(tmp_path, people=5, sources=PAPER[:1], budgets=[8])
    with (study / "psr.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(InputError, match="changed since it was written"):
        summary(study)


def test_tables_of_two_studies_become_no_page(tmp_path):
    few = {"people": 5, "sources": PAPER[:1], "top_k": [1]}
    study, other = (make(tmp_path / name, budgets=[eps], **few) for name, eps in (("one", 4), ("other", 8)))
    for name in ("psr.csv", ".psr.csv.seal"):
        (study / name).write_bytes((other / name).read_bytes())
    with pytest.raises(InputError, match=r"has eps 4, of which psr\.csv says nothing"):
        summary(study)


def test_an_axis_holds_what_is_on_it():
    for low, high in ((0.62, 0.99), (0.0, 0.0), (1.0, 1.0), (3e-4, 9e-4), (17.0, 48.2)):
        first, last, marks = scales.along(pd.Series([low, high]))
        assert first <= low and last >= high and 1 <= len(marks) <= 12 and marks == sorted(set(marks))


def test_a_key_that_comes_later_is_a_control(tmp_path):
    """A further key of the cells, of which the page knows nothing."""
    study = make(tmp_path, people=5, budgets=[8], top_k=[1])
    code = f"""
import pandas as pd
from pathlib import Path
from cloakbench.study import keys
keys.NAMES.insert(4, "direction")
keys.KEYS = (*keys.KEYS[:4], keys.Key("direction", "classify", default="evasion"), *keys.KEYS[4:])
keys.DEFAULTS["direction"] = "evasion"
from cloakbench.files.writing import write_text
study = Path({str(study)!r})
for name in ("psr.csv", "strongest.csv"):
    table = pd.read_csv(study / name)
    both = pd.concat([table.assign(direction=way) for way in ("evasion", "enrolled")])
    columns = [*table.columns[:4], "direction", *table.columns[4:]]
    write_text(study / name, both[columns].to_csv(index=False))
from cloakbench.page.build import summary
print(summary(study))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert 'data-key="direction"' in run.stdout and "<option>enrolled</option>" in run.stdout
