"""The two pages of a study, from one template: report.html with faces, summary.html without faces and names."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from matplotlib import colormaps

from cloakbench.page import faces, scales, views
from cloakbench.page.study import COUNTS, LABELS, RATE, Shown, chosen, encoded, read_study
from cloakbench.page.verdict import State, first_state, verdict
from cloakbench.statistics.psr import MISSED
from cloakbench.study.grid import CLEAN, keys_of, reference
from cloakbench.study.keys import DEFAULTS

HERE = Path(__file__).parent
MOST_SUMMARY = 1_400_000  # bytes: Chromium shows no larger page inside Snakemake's report
NOTICE = (
    "These are photographs of real people. Whether they may be shown, and to whom, is for their owners and the terms of "
    "their data set to say; summary.html holds no faces and no names and is the page to pass on."
)
LESS = (
    ("top_k", lambda values: [k for k in values if k in (1, 10)] or values[:1], "k of 1 and 10"),
    ("storage", lambda values: values[:1], "one storage"),
    ("attack", lambda values: values[:8], "eight attacks"),
)


def report(study: Path) -> str:
    """report.html of a finished study: everything, with as many faces as its config shows."""
    of = read_study(study)
    album = faces.Album(study, of)
    return _page(of, [], _faces(study, of, album))


def summary(study: Path) -> str:
    """summary.html: the same without faces and names. Where it would be larger than MOST_SUMMARY it gives up, in this
    order, all k but 1 and 10, all storages but the first, all attacks but eight, and says so."""
    of, said = read_study(study), []
    text = _page(of, said, None)
    for key, keep, what in LESS:
        if len(text.encode()) <= MOST_SUMMARY:
            break
        kept = keep(of.values[key])
        if key == "attack":  # the one that others are compared with stays
            kept = list(dict.fromkeys([reference(of.config), *kept]))[: len(kept)]
        if len(kept) < len(of.values[key]):
            of, said = _less(of, key, kept), [*said, what]
            text = _page(of, said, None)
    return text


def _less(of: Shown, key: str, kept: Sequence) -> Shown:
    def cut(table: pd.DataFrame) -> pd.DataFrame:
        spared = [*kept, *([CLEAN[key]] if key in CLEAN else [])]
        return table[table[key].isin(spared)].reset_index(drop=True) if key in table else table

    tables = {name: cut(table) if name != "claims.csv" else table for name, table in of.tables.items()}
    return Shown(cut(of.rates), tables, of.facts, of.any_target)


def _page(of: Shown, left_out: Sequence[str], shown: Mapping[str, Any] | None) -> str:
    """shown: the faces, if the page has any."""
    state = first_state(of)
    codes = _codes(of)
    script, style = (HERE / "page.js").read_text(encoding="utf-8"), (HERE / "page.css").read_text(encoding="utf-8")
    style += "\n".join(_heat_colours())
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    about, config = of.facts["about"], of.config
    first = of.row(state)
    axis = views.scatter_axis(of)
    tested = of.tables.get("comparisons.csv")
    context = {
        "study": config["study"],
        "kind": "rendered faces" if about["loader"] == "synthetic" else "photographs of real people",
        "people": about["subjects"]
        if about["photos"] == 1
        else f"{about['subjects']} people, {about['photos']} photographs each",
        "noun": "people" if about["photos"] == 1 else "photographs",
        "gallery": _gallery(of),
        "identity": of.facts["files"]["psr.csv"][:12],
        "state": state,
        "sentences": verdict(of, state),
        "controls": [
            {
                "key": key,
                "label": LABELS.get(key, key),
                "options": [name for name in values if name != of.any_target or key != "target"],
            }
            for key, values in of.values.items()
            if len(values) > 1
        ],
        "targets": _targets(of),
        "tiles": views.tiles(of, state),
        "quality": views.quality_of(of, state),
        "missed": f"{MISSED[about['missed']].capitalize()}.",
        "table1": [
            row | {"of": " ".join(str(codes[key].index(row[key])) for key in ("source", "attack", "eps"))}
            for row in views.table1(of, state)
        ],
        "heat": [one | {"place": codes["eps"].index(one["eps"])} for one in views.heat_maps(of, state)],
        "curves": [
            _panel(of, state, panel) | {"place": codes["attack"].index(panel["attack"])}
            for panel in views.curves(of, state)
        ],
        "budget_ticks": [
            {"x": scales.place(x), "text": eps} for eps, x in scales.along_budgets(of.values["eps"]).items()
        ],
        "picker": _picker(of, state, codes),
        "axis": axis,
        "scatter": views.scatter(of, state, axis) if axis else None,
        "front_k": of.tables["front.csv"]["top_k"].min() if axis else None,
        "ladder": _changes(views.ladder(of, state)) if "ladder.csv" in of.tables else None,
        "ladder_k": of.tables["ladder.csv"]["top_k"].min() if "ladder.csv" in of.tables else None,
        "compared": _changes(views.comparisons(of, state)) if tested is not None and len(tested) else None,
        "reference": reference(config),
        "tests": int(tested["tests"].max()) if tested is not None and len(tested) else 0,
        "claims": views.claims(of),
        "faces": shown["view"] if shown else None,
        "provenance": _provenance(of),
        "attacks": [(name, json.dumps(config["attacks"][name], sort_keys=True)) for name in of.values["attack"]],
        "hashes": [(name, digest) for name, digest in of.facts["files"].items() if "/" not in name],
        "limits": _limits(of, left_out, first),
        "data": _json(_data(of, state, codes, axis) | ({"faces": shown["data"]} if shown and shown["data"] else {})),
        "blocks": [_json(block) for block in shown["blocks"]] if shown else [],
        "script": script,
        "script_hash": _digest(script),
        "style": style,
        "style_hash": _digest(style),
        "s": scales,
    }
    return environment.get_template("page.html.jinja").render(context)


def plain(text: str) -> str:
    """A name as a page may hold it: what is no character, or rules the terminal or the line, is shown as one that is
    unknown.

    >>> plain("a\\x00b\\ud800c")
    'a\\ufffdb\\ufffdc'
    """
    return re.sub("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", "\ufffd", text)


def _json(value: Any) -> str:
    return htmlsafe_json_dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _codes(of: Shown) -> dict[str, list]:
    """By key all of its values; of attack and eps that of the clean cells stands first."""
    return {key: [*([CLEAN[key]] if key in CLEAN else []), *values] for key, values in of.values.items()}


def _targets(of: Shown) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "heading": views.heading_of(of, name),
            "look": views.look_of(of, name),
            "shape": views.shape_of(of, name),
            "place": number,
        }
        for number, name in enumerate(of.values["target"])
    ]


def _panel(of: Shown, state: State, panel: Mapping[str, Any]) -> dict[str, Any]:
    """With what the mark of each point says."""
    lines = []
    for line in panel["lines"]:
        target = next(name for name in of.values["target"] if views.heading_of(of, name) == line["heading"])
        rates = [
            (eps, views.rate_of(of.row(state, attack=panel["attack"], eps=eps, target=target)))
            for eps in of.values["eps"]
        ]
        rates = [(eps, rate) for eps, rate in rates if rate]
        points = [
            {"x": x, "y": y, "now": eps == state["eps"], "told": f"{line['heading']}, eps {eps}: {views.told(rate)}"}
            for (x, y), (eps, rate) in zip(line["points"], rates, strict=True)
        ]
        lines.append(line | {"points": points})
    return dict(panel) | {"lines": lines}


def _picker(of: Shown, state: State, codes: Mapping[str, list]) -> list[dict[str, Any]]:
    attacks, shown = of.values["attack"], views.facets(of, state)
    if len(attacks) <= views.FACETS:
        return []
    return [{"name": name, "place": codes["attack"].index(name), "shown": name in shown} for name in attacks]


def _changes(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(row) | {"change": views.change(row)} for row in rows]


def _gallery(of: Shown) -> str:
    """Among how many people each target looks."""
    sizes = {name: int(of.rows(target=name)["classes"].iloc[0]) for name in of.targets}
    if len({*sizes.values()}) == 1:
        return f"searched among {next(iter(sizes.values())):,} people"
    return "searched among " + ", ".join(f"{size:,} ({name})" for name, size in sizes.items()) + " people"


def _heat_colours() -> list[str]:
    """A class a level; the text is black or white, whichever stands out more."""
    rules = []
    for number in range(views.LEVELS + 1):
        colour = colormaps["cividis"](number / views.LEVELS)[:3]
        light = sum(
            share * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
            for share, c in zip((0.2126, 0.7152, 0.0722), colour, strict=True)
        )
        text = "#000" if light > 0.179 else "#fff"
        rules.append(
            f".heat{number} {{ background: #{''.join(f'{round(255 * c):02x}' for c in colour)}; color: {text}; }}"
        )
    return rules


def _provenance(of: Shown) -> list[tuple[str, str]]:
    facts, config = of.facts, of.config
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
    models = [
        f"{name}: {model['arch']}, {model['head']} head, weights {Path(model['weights']).name}"
        for name, model in sorted(facts["about"]["models"].items())
    ]
    return [
        ("commit", facts["commit"] or "unknown"),
        ("config", digest[:12]),
        ("seed", str(config["seed"])),
        ("photographs", facts["about"]["loader"]),
        ("computed on", "; ".join(f"{name}: {count} files" for name, count in facts["devices"].items()) or "unknown"),
        (
            "versions",
            ", ".join(f"{name} {', '.join(found)}" for name, found in facts["computed_with"].items() if found),
        ),
        ("recognisers", "; ".join(models)),
        ("mixed", "; ".join(facts["mixed"]) or "nothing: one device and one version of each library throughout"),
    ]


def _limits(of: Shown, left_out: Sequence[str], first: pd.Series | None) -> list[str]:
    lines = []
    if of.facts["about"]["loader"] == "synthetic":
        lines.append(
            "The people are rendered and the recognisers small: this says how the machinery behaves, nothing of real faces."
        )
    if left_out:
        lines.append(f"To stay small this page holds only: {'; '.join(left_out)}. The tables hold all.")
    return lines


def _data(of: Shown, state: State, codes: Mapping[str, list], axis: Mapping | None) -> dict[str, Any]:
    """All that the script draws from."""
    targets = _targets(of)
    budgets = scales.along_budgets(of.values["eps"])
    data = {
        "study": of.config["study"],
        "keys": of.keys,
        "names": codes,
        "choices": {
            key: [codes[key].index(value) for value in values if value != of.any_target]
            for key, values in of.values.items()
        },
        "state": {key: codes[key].index(value) for key, value in state.items()},
        "targets": targets,
        "own": [
            [one["place"] for one in targets if of.white_box(source, one["name"])] for source in of.values["source"]
        ],
        "budgets": [codes["eps"].index(eps) for eps in of.values["eps"]],
        "facets": [codes["attack"].index(name) for name in views.facets(of, state)],
        "scale": {
            "top": scales.TOP,
            "height": scales.HEIGHT - scales.TOP - scales.BOTTOM,
            "left": scales.across(0, 0, 1),
            "width": scales.across(1, 0, 1) - scales.across(0, 0, 1),
            "from": scales.LEFT,
            "to": scales.WIDTH - scales.RIGHT,
            "levels": views.LEVELS,
            "budgets": {codes["eps"].index(eps): x for eps, x in budgets.items()},
            "ssim": [axis["low"], axis["high"]] if axis else None,
        },
        "rates": encoded(of.rates, codes, [*RATE, *(name for name in COUNTS if name in of.rates)]),
    }
    if "quality.csv" in of.tables:
        table = of.tables["quality.csv"]
        wide = table[table["measure"].isin(["ssim", "psnr"])]
        keys = [key for key in of.keys if key in wide]
        wide = wide.pivot(index=keys, columns="measure", values="median").reset_index()
        data["quality"] = encoded(wide, codes, ["ssim", "psnr"])
    if axis:
        data["front"] = encoded(of.tables["front.csv"], codes, ["psr", "psr_low", "psr_high", "ssim", "front_ssim"])
    if "ladder.csv" in of.tables:
        table = of.tables["ladder.csv"].assign(rung=lambda rows: rows["rung"].map(views.RUNGS)).drop(columns="top_k")
        data["ladder"] = encoded(table, codes, ["rung", "judged_by", *views.STEP])
    if len(table := of.tables.get("comparisons.csv", ())):
        data["comparisons"] = encoded(table, codes, ["reference", *views.TESTED])
    return data


def _faces(study: Path, of: Shown, album: faces.Album) -> dict[str, Any]:
    """What report.html shows of faces: all rendered ones, of photographs as many as the config says."""
    synthetic, count = of.facts["about"]["loader"] == "synthetic", len(album.people)
    asked = of.config.get("report", {}).get("faces", "all" if synthetic else 0)
    wanted = count if asked == "all" else min(asked, count)
    view: dict[str, Any] = {"notice": "" if synthetic or not wanted else NOTICE, "said": [], "shown": []}
    if not wanted:
        view["said"].append(
            "No faces are shown: of photographs of people none is without being asked for. In the config, report: {faces: all} shows all, report: {faces: 10} the first ten; summary.html never has any."
        )
        return {"view": view, "data": None, "blocks": []}
    codes = _codes(of)
    stored = keys_of("store", of.config["matrix"])

    def key(cell: Mapping[str, Any]) -> str:
        return ",".join(str(codes[name].index(cell.get(name, DEFAULTS.get(name)))) for name in stored)

    shelf, found = faces.fitting(album, wanted, key, faces.MOST_BYTES)
    people = album.people.head(shelf.faces)
    state = first_state(of)
    plain_cell = key({name: value for name, value in {**state, **CLEAN}.items() if name in stored})
    judged = faces.judged(study, of, people, codes)
    told = [
        {"subject": int(row.subject), "photo": int(row.photo), "name": plain(row.identity)}
        for row in people.itertuples()
    ]
    called = {
        target: {label: person["name"] for label, person in zip(labels, told, strict=True) if label is not None}
        for target, labels in judged["labels"].items()
    }
    view["said"] += faces.told(shelf, wanted, of)
    view["said"].append(
        "Copies for display, 112 pixels; what was judged lies in stored/. A change is of the true pixels before storage, not of these copies."
    )
    view["shown"] = [
        person | {"clean": block["pictures"][plain_cell]} for person, block in zip(told, found, strict=True)
    ]
    factors = {str(eps): faces.factor(eps) for eps in of.values["eps"]}
    data = {"keys": stored, "people": told, "factor": factors, "called": called, **judged}
    return {"view": view, "data": data, "blocks": found}
