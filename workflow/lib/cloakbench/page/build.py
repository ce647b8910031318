"""The two pages of a study, from one template: report.html with faces, summary.html without faces and names."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from matplotlib import colormaps

from cloakbench.page import data, faces, scales, views
from cloakbench.page.study import LABELS, Shown, read_study
from cloakbench.page.verdict import first_state, verdict
from cloakbench.statistics.psr import MISSED
from cloakbench.study.grid import CLEAN, keys_of, reference
from cloakbench.study.keys import DEFAULTS

HERE = Path(__file__).parent
MOST_SUMMARY = 1_400_000  # bytes: Chromium shows no larger page inside Snakemake's report
NOTICE = (
    "These are photographs of real people. Whether they may be shown, and to whom, is for their owners and the terms "
    "of their data set to say; summary.html holds no faces and no names and is the page to pass on."
)
NO_FACES = (
    "No faces are shown: those of photographs are only where they are asked for. In the config, report: {faces: all} "
    "shows all, report: {faces: 10} the first ten; summary.html never has any."
)
COPIES = (
    "Copies for display, 112 pixels; what was judged lies in stored/. A change is of the true pixels before storage, "
    "not of these copies."
)


class Given(NamedTuple):
    """What a summary gives up when it is too large: a table, or all values of a key but those that `kept` admits."""

    what: str
    told: str
    kept: Callable[[list], list] | None = None


GIVEN_UP = (
    Given("groups.csv", "no groups of faces"),
    Given("top_k", "only k of 1 and 10", lambda values: [k for k in values if k in (1, 10)] or values[:1]),
    Given("storage", "only the first storage", lambda values: values[:1]),
    Given("attack", "only eight attacks", lambda values: values[:8]),
)


def report(study: Path) -> str:
    """report.html of a finished study: everything, with as many faces as its config shows.

    Raises InputError for a file that is not what was written.
    """
    of = read_study(study)
    return _page(of, faces=_faces(study, of))


def summary(study: Path) -> str:
    """summary.html: the same without faces and names. Where it would be larger than MOST_SUMMARY it gives up, in the
    order of GIVEN_UP, and says so. Raises InputError for a file that is not what was written."""
    of, left = read_study(study), []
    text = _page(of)
    for given in GIVEN_UP:
        if len(text.encode()) <= MOST_SUMMARY:
            break
        if (less := _less(of, given)) is not of:
            of, left = less, [*left, given.told]
            text = _page(of, left)
    return text


def _less(of: Shown, given: Given) -> Shown:
    """The study without that; itself where it has it not."""
    if given.kept is None:
        tables = {name: table for name, table in of.tables.items() if name != given.what}
        return replace(of, tables=tables) if len(tables) < len(of.tables) else of
    values = given.kept(of.values[given.what])
    if given.what == "attack":  # the one that others are compared with stays
        values = list(dict.fromkeys([reference(of.config), *values]))[: len(values)]
    return _only(of, given.what, values) if len(values) < len(of.values[given.what]) else of


def _only(of: Shown, key: str, kept: Sequence) -> Shown:
    """The study as if a key had these values alone."""
    spared = [*kept, *([CLEAN[key]] if key in CLEAN else [])]

    def cut(name: str, table: pd.DataFrame) -> pd.DataFrame:
        other = name == "claims.csv" or key not in table
        return table if other else table[table[key].isin(spared)].reset_index(drop=True)

    tables = {name: cut(name, table) for name, table in of.tables.items()}
    return Shown(cut("psr.csv", of.rates), tables, of.facts, of.any_target)


def _page(of: Shown, left: Sequence[str] = (), faces: Mapping[str, Any] | None = None) -> str:
    """left: what the page has given up; faces: what `_faces` says of them, for the page that shows them."""
    state, known, config = first_state(of), data.codes(of), of.config
    axis = views.scatter_axis(of)
    told = data.for_script(of, state, axis) | ({"faces": faces["data"]} if faces and faces["data"] else {})
    script = (HERE / "page.js").read_text(encoding="utf-8")
    style = (HERE / "page.css").read_text(encoding="utf-8") + "\n".join(_heat_colours())
    tests = of.tables.get("comparisons.csv", pd.DataFrame(columns=["reference", "tests"]))
    controls = [
        {"key": key, "label": LABELS.get(key, key), "options": options}
        for key, options in data.choices(of).items()
        if len(options) > 1
    ]
    context = {
        "study": config["study"],
        **_about(of),
        "state": state,
        "sentences": verdict(of, state),
        "controls": controls,
        "targets": data.targets(of),
        "tiles": views.tiles(of, state),
        "quality": views.quality_of(of, state),
        "table1": [
            row | {"places": [known[key].index(row[key]) for key in ("source", "attack", "eps")]}
            for row in views.table1(of, state)
        ],
        "one_source": views.one_source(of),
        "heat": [one | {"place": known["eps"].index(one["eps"])} for one in views.heat_maps(of, state)],
        "curves": [one | {"place": known["attack"].index(one["attack"])} for one in views.curves(of, state)],
        "budgets": {eps: scales.place(x) for eps, x in scales.along_budgets(of.values["eps"]).items()},
        "picker": _picker(of, views.facets(of, state), known["attack"]),
        "axis": axis,
        "scatter": views.scatter(of, state, axis) if axis else None,
        "front_k": of.tables["front.csv"]["top_k"].min() if axis else None,
        "ladder": views.ladder(of, state) if "ladder.csv" in of.tables else None,
        "ladder_k": of.tables["ladder.csv"]["top_k"].min() if "ladder.csv" in of.tables else None,
        "compared": views.comparisons(of, state) if len(tests) else None,
        "groups": views.groups(of, state) if "groups.csv" in of.tables else None,
        "groups_k": of.tables["groups.csv"]["top_k"].min() if "groups.csv" in of.tables else None,
        "change": views.change,
        "tests": [(name, int(rows["tests"].iloc[0])) for name, rows in tests.groupby("reference", sort=False)],
        "claims": views.claims(of),
        "faces": faces["view"] if faces else None,
        "provenance": list(_provenance(of)),
        "attacks": [(name, json.dumps(config["attacks"][name], sort_keys=True)) for name in of.values["attack"]],
        "hashes": [(name, digest) for name, digest in of.facts["files"].items() if "/" not in name],
        "limits": list(_limits(of, left)),
        "data": _json(told),
        "blocks": [_json(block) for block in faces["blocks"]] if faces else [],
        "script": script,
        "script_hash": _digest(script),
        "style": style,
        "style_hash": _digest(style),
        "s": scales,
    }
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.jinja").render(context)


def plain(text: str) -> str:
    """A name as a page may hold it: what is no character, or rules the terminal or the line, is shown as one that is
    unknown.

    >>> plain("a\\x00b\\ud800c")
    'a\\ufffdb\\ufffdc'
    """
    return re.sub("[\x00-\x1f\x7f\ud800-\udfff]", "\ufffd", text)


def _json(value: Any) -> str:
    """With nothing in it that could end a script element."""
    return htmlsafe_json_dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _digest(text: str) -> str:
    """As a content policy names a script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _about(of: Shown) -> dict[str, str]:
    """The head of the page."""
    about = of.facts["about"]
    several = about["photos"] > 1
    return {
        "kind": "rendered faces" if about["loader"] == "synthetic" else "photographs of real people",
        "people": f"{about['subjects']} people" + (f", {about['photos']} photographs each" if several else ""),
        "noun": "photographs" if several else "people",
        "gallery": _gallery(of),
        "identity": of.facts["files"]["psr.csv"][:12],
        "missed": f"{MISSED[about['missed']].capitalize()}.",
    }


def _gallery(of: Shown) -> str:
    """Among how many people each target looks."""
    sizes = {name: int(of.rows(target=name)["classes"].iloc[0]) for name in of.targets}
    if len({*sizes.values()}) == 1:
        return f"searched among {next(iter(sizes.values())):,} people"
    return "searched among " + ", ".join(f"{size:,} ({name})" for name, size in sizes.items()) + " people"


def _picker(of: Shown, shown: Sequence[str], attacks: list) -> list[dict[str, Any]]:
    """The attacks among which the curves are chosen, where they are too many to show at once."""
    if len(of.values["attack"]) <= views.FACETS:
        return []
    return [{"name": name, "place": attacks.index(name), "shown": name in shown} for name in of.values["attack"]]


def _heat_colours() -> Iterator[str]:
    """A class a level; its text is black or white, whichever stands out more (WCAG's relative luminance)."""
    for number in range(views.LEVELS + 1):
        colour = colormaps["cividis"](number / views.LEVELS)[:3]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        ground, text = "".join(f"{round(255 * c):02x}" for c in colour), "000" if luminance > 0.179 else "fff"
        yield f".heat{number} {{ background: #{ground}; color: #{text}; }}"


def _provenance(of: Shown) -> Iterator[tuple[str, str]]:
    facts, config = of.facts, of.config
    yield "commit", facts["commit"] or "unknown"
    yield "config", hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
    yield "seed", str(config["seed"])
    yield "photographs", facts["about"]["loader"]
    yield "computed on", "; ".join(f"{name}: {count} files" for name, count in facts["devices"].items()) or "unknown"
    yield "versions", ", ".join(f"{name} {', '.join(found)}" for name, found in facts["computed_with"].items() if found)
    for name, model in sorted(facts["about"]["models"].items()):
        yield name, f"{model['arch']}, {model['head']} head, weights {Path(model['weights']).name}"
    yield "mixed", "; ".join(facts["mixed"]) or "nothing: one device and one version of each library throughout"


def _limits(of: Shown, left: Sequence[str]) -> Iterator[str]:
    if of.facts["about"]["loader"] == "synthetic":
        yield "People are rendered, recognisers small: this says how the machinery behaves, nothing of real faces."
    if left:
        yield f"To stay small this page has {'; '.join(left)}. The tables hold all."


def _faces(study: Path, of: Shown) -> dict[str, Any]:
    """What report.html shows of faces: all rendered ones, of photographs as many as the config says."""
    album, synthetic = faces.Album(study, of), of.facts["about"]["loader"] == "synthetic"
    asked = of.config.get("report", {}).get("faces", "all" if synthetic else 0)
    wanted = len(album.people) if asked == "all" else min(asked, len(album.people))
    if not wanted:
        return {"view": {"notice": "", "said": [NO_FACES], "shown": []}, "data": None, "blocks": []}
    known, matrix = data.codes(of), of.config["matrix"]

    def key(cell: Mapping[str, Any]) -> str:
        """The places of a cell's values: of a stored one, or of a crafted one, which has fewer."""
        names = keys_of("store" if "storage" in cell else "craft", matrix)
        return ",".join(str(known[name].index(cell.get(name, DEFAULTS.get(name)))) for name in names)

    shelf, blocks = faces.fitting(album, wanted, key, faces.MOST_BYTES)
    rows = album.people.head(shelf.faces)
    people = [
        {"subject": int(row.subject), "photo": int(row.photo), "name": plain(row.identity)} for row in rows.itertuples()
    ]
    judged = faces.judged(study, of, rows, known)
    called = {
        target: {label: person["name"] for label, person in zip(labels, people, strict=True)}
        for target, labels in judged["labels"].items()
    }
    clean = key(first_state(of) | CLEAN)
    shown = [person | {"clean": block["pictures"][clean]} for person, block in zip(people, blocks, strict=True)]
    said = [*faces.told(shelf, wanted, of), COPIES]
    factors = {str(eps): faces.factor(eps) for eps in of.values["eps"]}
    return {
        "view": {"notice": "" if synthetic else NOTICE, "said": said, "shown": shown},
        "data": {
            "stored": keys_of("store", matrix),
            "crafted": keys_of("craft", matrix),
            "people": people,
            "factor": factors,
            "called": called,
        }
        | judged,
        "blocks": blocks,
    }
