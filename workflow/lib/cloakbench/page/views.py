"""What each view of a page shows in a state, as the template writes it down; the script does the same on the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from cloakbench.page import scales
from cloakbench.page.study import Shown, chosen, shown_number, told
from cloakbench.page.verdict import State, best, black_box, may_be_chance, median, worst
from cloakbench.study.grid import CLEAN

LEVELS = 20  # of a heat map's colours
MOST_CELLS = 600  # of Table 1
FACETS = 6  # attacks whose curves are shown at first
ANYBODY = "all together"  # hidden from


def rounded(row: Mapping, names: Sequence[str]) -> dict[str, Any]:
    return {name: shown_number(row[name], name) for name in names}


def rate_of(row: Mapping | None) -> dict[str, Any] | None:
    """What is shown of a row of rates; None where there is none, or no face."""
    if row is None or not row["n"]:
        return None
    return rounded(row, ["psr", "psr_low", "psr_high", "n", "detected", "recognised"])


def change(row: Mapping, name: str = "difference") -> str:
    """A difference in points with its interval, where it has one.

    >>> change({"difference": -1.5, "low": -9, "high": 6}), change({"gain": 2.0, "gain_low": None}, "gain")
    ('-1.5 (-9 to +6)', '+2.0')
    """
    low, high = ("low", "high") if name == "difference" else (f"{name}_low", f"{name}_high")
    if row[name] is None:
        return "\u2013"
    return f"{row[name]:+.1f}" + ("" if row[low] is None else f" ({row[low]:+d} to {row[high]:+d})")


def heading_of(of: Shown, target: str) -> str:
    """A target's name; that of the searcher who tries all of them is short."""
    return ANYBODY if target == of.any_target else target


def look_of(of: Shown, target: str) -> str:
    """The class that gives a target its colour, dash and mark."""
    return "any" if target == of.any_target else f"look{of.targets.index(target) % scales.LOOKS}"


def tiles(of: Shown, state: State) -> list[dict[str, Any]]:
    """The figures beside the verdict."""
    others = black_box(of, state)
    own = [name for name in of.targets if of.white_box(state["source"], name)][:1]
    told = [("white box", name) for name in own]
    told += [(f"black box{', fewest hidden here' if len(others) > 1 else ''}", worst(others))] if others else []
    told += [("black box, most hidden here", best(others))] if len(others) > 1 else []
    told += [("hidden from all at once", of.any_target)] if of.any_target else []
    found = []
    for kind, target in told:
        clean = rate_of(of.row(state, **CLEAN, target=target))
        found.append(
            {"kind": kind, "target": target, "rate": rate_of(of.row(state, target=target)), "clean": clean}
            | {"heading": heading_of(of, target), "chance": may_be_chance(of, state, target)}
        )
    return found


def quality_of(of: Shown, state: State) -> dict[str, float] | None:
    """The medians of a cell's pictures."""
    seen = {name: median(of, state, name) for name in ("ssim", "psnr")}
    return {name: shown_number(value, name) for name, value in seen.items()} if None not in seen.values() else None


def one_source(of: Shown) -> bool:
    """Whether Table 1 would be too much for a page with the rows of all sources."""
    values = of.values
    cells = (1 + len(values["attack"]) * len(values["eps"])) * len(values["source"]) * len(values["target"])
    return cells > MOST_CELLS


def table1(of: Shown, state: State) -> list[dict[str, Any]]:
    """Of the state's k and storage, a row a source, attack and budget, clean faces first, with a rate a target; of a
    large study those of the state's source."""
    fixed = {key: value for key, value in state.items() if key not in ("source", "attack", "eps", "target")}
    rows = of.rows(**fixed)
    cells = {tuple(row[key] for key in ("source", "attack", "eps", "target")): row for row in rows.to_dict("records")}
    found = []
    for source in [state["source"]] if one_source(of) else of.values["source"]:
        for attack, eps in _cloaks(of):
            rates = [rate_of(cells.get((source, attack, eps, target))) for target in of.values["target"]]
            if any(rates) or any((source, attack, eps, target) in cells for target in of.values["target"]):
                found.append({"source": source, "attack": attack, "eps": eps, "rates": rates})
    return found


def _cloaks(of: Shown) -> Iterator[tuple[str, int]]:
    yield CLEAN["attack"], CLEAN["eps"]
    for attack in of.values["attack"]:
        for eps in of.values["eps"]:
            yield attack, eps


def heat_maps(of: Shown, state: State) -> list[dict[str, Any]]:
    """A map a budget of the state's attack: rows sources, columns targets."""
    return [
        {
            "eps": eps,
            "rows": [
                {
                    "source": source,
                    "cells": [_heat(of, {**state, "source": source, "eps": eps}, target) for target in targets],
                }
                for source in of.values["source"]
            ],
        }
        for targets in [of.values["target"]]
        for eps in of.values["eps"]
    ]


def _heat(of: Shown, state: State, target: str) -> dict[str, Any]:
    rate, clean = rate_of(of.row(state, target=target)), rate_of(of.row(state, **CLEAN, target=target))
    white = of.white_box(state["source"], target)
    return {"rate": rate, "clean": clean, "level": level(rate), "white": white}


def level(rate: Mapping | None) -> str:
    """The class that colours a rate."""
    return f"heat{int(rate['psr'] / 100 * LEVELS)}" if rate else "none"


def facets(of: Shown, state: State) -> list[str]:
    """The attacks whose curves are shown: the state's, and as many others as FACETS admits, in the study's order."""
    attacks = of.values["attack"]
    others = [name for name in attacks if name != state["attack"]][: FACETS - 1]
    return [name for name in attacks if name in (*others, state["attack"])]


def curves(of: Shown, state: State) -> list[dict[str, Any]]:
    """A panel an attack, a line a target: PSR against the budget with the band of its interval, dotted the clean
    faces."""
    places = scales.along_budgets(of.values["eps"])
    panels = []
    for attack in facets(of, state):
        lines = [line for name in of.values["target"] if (line := _line(of, {**state, "attack": attack}, name, places))]
        panels.append({"attack": attack, "lines": lines, "told": _curves_told(of, state, attack, lines)})
    return panels


def _line(of: Shown, state: State, target: str, places: Mapping[int, float]) -> dict[str, Any] | None:
    rates = {eps: rate for eps in of.values["eps"] if (rate := rate_of(of.row(state, eps=eps, target=target)))}
    clean = rate_of(of.row(state, **CLEAN, target=target))
    if not rates:
        return None

    def at(eps: int, percent: float) -> str:
        return f"{scales.place(places[eps])} {scales.place(scales.height_of(percent))}"

    upper = [at(eps, rate["psr_high"]) for eps, rate in rates.items()]
    lower = [at(eps, rate["psr_low"]) for eps, rate in rates.items()]
    heading = heading_of(of, target)
    return {
        "look": look_of(of, target),
        "heading": heading,
        "band": f"M{'L'.join([*upper, *lower[::-1]])}Z",
        "line": f"M{'L'.join(at(eps, rate['psr']) for eps, rate in rates.items())}",
        "clean": scales.place(scales.height_of(clean["psr"])) if clean else "",
        "points": [
            {"at": at(eps, rate["psr"]), "now": eps == state["eps"], "told": f"{heading}, eps {eps}: {told(rate)}"}
            for eps, rate in rates.items()
        ],
        "shape": shape_of(of, target),
        "ends": [rate["psr"] for rate in (*rates.values(),)][:: max(1, len(rates) - 1)],
    }


def shape_of(of: Shown, target: str) -> str:
    places = {name: number for number, name in enumerate(of.values["target"])}
    return scales.SHAPES[places[target] % scales.LOOKS]


def _curves_told(of: Shown, state: State, attack: str, lines: Sequence[Mapping]) -> str:
    """The panel for who does not see it."""
    budgets = of.values["eps"]
    ends = "; ".join(f"{line['heading']} {line['ends'][0]:.1f} to {line['ends'][-1]:.1f} %" for line in lines)
    return f"{attack} crafted on {state['source']}, eps {budgets[0]} to {budgets[-1]}: {ends}"


def scatter_axis(of: Shown) -> dict[str, Any] | None:
    """Of the median SSIM, the dearest cloak at the right; None for a study that has measured none."""
    if "front.csv" not in of.tables or of.tables["front.csv"]["ssim"].dropna().empty:
        return None
    low, high, marks = scales.along(of.tables["front.csv"]["ssim"].dropna())
    ticks = {f"{mark:g}": scales.place(scales.across(mark, high, low)) for mark in marks}
    return {"low": low, "high": high, "ticks": ticks}


def scatter(of: Shown, state: State, axis: Mapping) -> dict[str, Any]:
    """Each attack's way through SSIM and PSR as budgets grow, for one source, target and storage at the smallest k.
    Points are full that no other cloak of that target and storage beats, from whatever source: `best` lists them."""
    alike = {key: value for key, value in state.items() if key not in ("source", "attack", "eps", "top_k")}
    rows = [(row, _point(row, axis)) for row in chosen(of.tables["front.csv"], alike).to_dict("records")]
    rows = sorted(((row, point) for row, point in rows if point), key=lambda pair: pair[0]["eps"])
    ways = []
    for attack in of.values["attack"]:
        points = [point for row, point in rows if (row["source"], row["attack"]) == (state["source"], attack)]
        line = f"M{'L'.join('{x} {y}'.format(**point) for point in points)}" if points else ""
        ways.append({"attack": attack, "line": line, "points": points, "now": attack == state["attack"]})
    best = [point | {key: row[key] for key in ("source", "attack")} for row, point in rows if point["front"]]
    return {"ways": ways, "best": sorted(best, key=lambda point: (-point["psr"], -point["ssim"]))}


def _point(row: Mapping, axis: Mapping) -> dict[str, Any] | None:
    if pd.isna(row["ssim"]) or pd.isna(row["psr"]):
        return None
    shown = rounded(row, ["psr", "psr_low", "psr_high", "ssim"])
    x = scales.place(scales.across(shown["ssim"], axis["high"], axis["low"]))
    return shown | {
        "eps": row["eps"],
        "x": x,
        "y": scales.place(scales.height_of(shown["psr"])),
        "front": bool(row["front_ssim"]),
    }


RUNGS = {
    "clean": "clean, cut from the photograph",
    "unrounded": "crafted, before rounding",
    "crafted": "crafted",
    "stored": "stored",
    "found": "found again by the detector",
    "other": "shown to another recogniser",
}
STEP = ["n", "hidden", "psr", "psr_low", "psr_high", "only", "only_before", "difference", "low", "high"]


def ladder(of: Shown, state: State) -> list[dict[str, Any]]:
    """The steps of the state's cell."""
    cell = {key: value for key, value in state.items() if key not in ("target", "top_k")}
    rows = chosen(of.tables["ladder.csv"], cell).to_dict("records")
    return [{"rung": RUNGS[row["rung"]], "judged_by": row["judged_by"], **rounded(row, STEP)} for row in rows]


TESTED = ["psr", "psr_reference", "only", "only_reference", "difference", "low", "high", "p", "p_adjusted"]


def comparisons(of: Shown, state: State) -> list[dict[str, Any]]:
    """Paired tests of all attacks at the state's source, budget, storage and target."""
    cell = {key: value for key, value in state.items() if key not in ("attack", "top_k")}
    rows = chosen(of.tables["comparisons.csv"], cell).to_dict("records")
    return [{"attack": row["attack"], "reference": row["reference"], **rounded(row, TESTED)} for row in rows]


GROUP = ["subjects", "n", "hidden", "psr", "psr_low", "psr_high", "gain", "gain_low", "gain_high"]
GROUP += ["gain_difference", "gain_difference_low", "gain_difference_high"]


def groups(of: Shown, state: State) -> list[dict[str, Any]]:
    """The state's cell by groups of its faces."""
    cell = {key: value for key, value in state.items() if key != "top_k"}
    rows = chosen(of.tables["groups.csv"], cell).to_dict("records")
    return [group_of(row) | rounded(row, GROUP) for row in rows]


def group_of(row: Mapping) -> dict[str, str]:
    """What a row of groups.csv is of: by what, which group, from and to which value, and with whom it is compared.

    >>> group_of({"by": "height", "group": "low", "lowest": 80.0, "highest": 112.25, "than": None})
    {'by': 'height', 'group': 'low', 'values': '80 to 112', 'than': ''}
    """
    known = {name: "" if pd.isna(row[name]) else row[name] for name in ("by", "group", "than")}
    values = "" if pd.isna(row["lowest"]) else f"{row['lowest']:.3g} to {row['highest']:.3g}"
    return {"by": known["by"], "group": known["group"], "values": values, "than": known["than"]}


def claims(of: Shown) -> list[dict[str, Any]]:
    """The paper's statements, judged on this study."""
    return of.tables["claims.csv"].to_dict("records") if "claims.csv" in of.tables else []
