"""What the script of a page draws from: the tables with a list a column, and where things lie. JSON in the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cloakbench.page import scales, views
from cloakbench.page.study import COUNTS, RATE, Shown, encoded
from cloakbench.page.verdict import State
from cloakbench.statistics.paired import ALPHA, K
from cloakbench.study.grid import CLEAN


def codes(of: Shown) -> dict[str, list]:
    """By key all of its values; of attack and eps that of the clean cells stands first. The script knows a value by
    its place here."""
    return {key: [*([CLEAN[key]] if key in CLEAN else []), *values] for key, values in of.values.items()}


def targets(of: Shown) -> list[dict[str, Any]]:
    """How each target is called and drawn."""
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


def choices(of: Shown) -> dict[str, list]:
    """By key, the values among which a reader chooses: whoever tries all targets is none of them."""
    return {key: [name for name in values if name != of.any_target] for key, values in of.values.items()}


def for_script(of: Shown, state: State, axis: Mapping[str, Any] | None) -> dict[str, Any]:
    """axis: that of SSIM, if the study has measured it."""
    known = codes(of)

    def placed(key: str, values: list) -> list[int]:
        return [known[key].index(value) for value in values]

    judges = targets(of)
    own = [[one["place"] for one in judges if of.white_box(name, one["name"])] for name in of.values["source"]]
    return {
        "study": of.config["study"],
        "keys": of.keys,
        "names": known,
        "choices": {key: placed(key, values) for key, values in choices(of).items()},
        "state": {key: known[key].index(value) for key, value in state.items()},
        "targets": judges,
        "own": own,
        "tested": K,
        "budgets": placed("eps", of.values["eps"]),
        "facets": placed("attack", views.facets(of, state)),
        "scale": {
            "top": scales.TOP,
            "height": scales.HEIGHT - scales.TOP - scales.BOTTOM,
            "left": scales.across(0, 0, 1),
            "width": scales.across(1, 0, 1) - scales.across(0, 0, 1),
            "from": scales.LEFT,
            "to": scales.WIDTH - scales.RIGHT,
            "levels": views.LEVELS,
            "budgets": {known["eps"].index(eps): x for eps, x in scales.along_budgets(of.values["eps"]).items()},
            "ssim": [axis["low"], axis["high"]] if axis else None,
        },
        "rates": encoded(of.rates, known, [*RATE, *COUNTS]),
        **_tables(of, known, axis),
    }


def _tables(of: Shown, known: Mapping[str, list], axis: Mapping[str, Any] | None) -> dict[str, Any]:
    """Of those that the study has."""
    found = {}
    if "quality.csv" in of.tables:
        found["quality"] = encoded(medians(of.tables["quality.csv"]), known, ["ssim", "psnr"])
    if axis:
        found["front"] = encoded(of.tables["front.csv"], known, ["psr", "psr_low", "psr_high", "ssim", "front_ssim"])
    if "ladder.csv" in of.tables:
        steps = of.tables["ladder.csv"].drop(columns="top_k")
        steps = steps.assign(rung=steps["rung"].map(views.RUNGS))
        found["ladder"] = encoded(steps, known, ["rung", "judged_by", *views.STEP])
    if "groups.csv" in of.tables:
        table = of.tables["groups.csv"].drop(columns="top_k")
        groups = [tuple(views.group_of(row).items()) for row in table.to_dict("records")]
        places = {group: number for number, group in enumerate(dict.fromkeys(groups))}
        found["of_group"] = [dict(group) for group in places]
        found["groups"] = encoded(table, known, views.GROUP) | {"place": [places[group] for group in groups]}
    if len(tested := of.tables.get("comparisons.csv", ())):
        found["comparisons"] = encoded(
            tested.assign(may_be_chance=tested["p_adjusted"] >= ALPHA),
            known,
            ["reference", *views.TESTED, "may_be_chance"],
        )
    return found


def medians(quality: pd.DataFrame) -> pd.DataFrame:
    """A row a cell that is crafted, with the medians of SSIM and PSNR."""
    rows = quality[quality["measure"].isin(["ssim", "psnr"]) & (quality["attack"] != CLEAN["attack"])]
    keys = list(rows.columns[: rows.columns.get_loc("measure")])
    return rows.pivot(index=keys, columns="measure", values="median").reset_index()
