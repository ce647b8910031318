"""The verdict: what a study found, in sentences that are made from its tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from cloakbench.page.study import Shown, chosen, told
from cloakbench.statistics.paired import ALPHA, K
from cloakbench.study.grid import CLEAN, reference

ALONE = " if taken alone"
WORKS = 90  # percent of the faces: what the first state takes for a cloak that works where it was made
State = dict[str, Any]


def first_state(of: Shown) -> State:
    """What a page shows first: the first source that also judges, the reference attack, the smallest k, and the
    smallest budget whose cloak hides WORKS percent of the faces from a recogniser that it was crafted on, or else the
    largest."""
    values = of.values
    sources = [name for name in values["source"] if any(of.white_box(name, target) for target in of.targets)]
    source, k = [*sources, *values["source"]][0], min(values["top_k"])
    state = {key: found[0] for key, found in values.items()}
    state |= {"source": source, "attack": reference(of.config), "top_k": k, "eps": max(values["eps"])}
    own = [target for target in of.targets if of.white_box(source, target)]
    for eps in values["eps"]:
        rows = [row for target in own if (row := of.row(state, eps=eps, target=target)) is not None]
        if any(row["psr"] >= WORKS for row in rows):
            state["eps"] = eps
            break
    others = black_box(of, state)
    return state | {"target": worst(others) or own[0]} if own or others else state


def black_box(of: Shown, state: State) -> dict[str, Mapping]:
    """By target that the cloak was not crafted on, its row of the state's cell."""
    others = [name for name in of.targets if not of.white_box(state["source"], name)]
    rows = {name: of.row(state, target=name) for name in others}
    return {name: row for name, row in rows.items() if row is not None and row["n"]}


def worst(rows: Mapping[str, Mapping]) -> str:
    """The target from which the fewest are hidden; empty of none."""
    return min(rows, key=lambda name: rows[name]["psr"], default="")


def best(rows: Mapping[str, Mapping]) -> str:
    return max(rows, key=lambda name: rows[name]["psr"], default="")


def verdict(of: Shown, state: State) -> list[str]:
    """Sentences about the state's cell. "More", "fewer" and "most" stand only where a paired test of the study says so;
    what is not tested is told side by side."""
    return [*_white_box(of, state), *_black_box(of, state), *_any(of, state), *_attacks(of, state), *_price(of, state)]


def people(row: Mapping, count: int | None = None) -> str:
    """In what a row is counted, as many as `count` says."""
    noun = ("person", "people") if row["n"] == row["subjects"] else ("photograph", "photographs")
    return noun[0] if count == 1 else noun[1]


def _hid(row: Mapping) -> str:
    return f"{row['n'] - row['recognised']} of {row['n']} {people(row)}, {told(row)}"


def _clean(of: Shown, state: State, target: str) -> str:
    row = of.row(state, **CLEAN, target=target)
    if row is None or not row["n"]:
        return ""
    missed = row["n"] - row["recognised"]
    return f" Without a cloak {missed} of {row['n']} are hidden, {told(row)}."


def _cloak(state: State) -> str:
    return f"{state['attack']} at eps {state['eps']}"


def _white_box(of: Shown, state: State) -> Iterator[str]:
    cloak = _cloak(state)
    own = [name for name in of.targets if of.white_box(state["source"], name)]
    if not own:
        yield f"No recogniser judges here that {state['source']}'s cloaks were crafted on."
    for target in own:
        row = of.row(state, target=target)
        if row is not None and row["n"]:
            hid = f"Judged by {target}, on which it was crafted, {cloak} hid {_hid(row)}."
            yield hid + _clean(of, state, target)


def _black_box(of: Shown, state: State) -> Iterator[str]:
    rows = black_box(of, state)
    if not rows:
        yield "Nobody judges here whom the protector had not seen: of other recognisers this study says nothing."
    said = False  # what the study can show at all is said once
    for target in dict.fromkeys((worst(rows), best(rows))) if rows else ():
        gain = _gain(of, state, target, silent=said)
        said = said or ALONE in gain
        hid = f"Judged by {target}, which the protector never saw, {_cloak(state)} hid {_hid(rows[target])}."
        yield hid + _clean(of, state, target) + gain


def _gain(of: Shown, state: State, target: str, silent: bool) -> str:
    """The paired test against no cloak, of the k that is tested. silent: of what the study can show."""
    row = _compared(of, state, CLEAN["attack"], target=target)
    if row is None:
        return ""
    change, p = _points(row), f"adjusted p {row['p_adjusted']:.2g}"
    if row["p_adjusted"] < ALPHA:
        return f" It hides {'more' if row['difference'] > 0 else 'fewer'} than no cloak does: {change}, {p}."
    tests = f"as one of the study's {row['tests']:.0f} tests chance is not ruled out, {p}"
    return f" Against no cloak that is {change}{ALONE}; {tests}{'' if silent else _least(row)}."


def _least(row: Mapping) -> str:
    """What so few subjects and so many tests can show."""
    if row["least"] > 100:
        return ": with so few people no difference can be told by itself"
    return f": with so few people a difference takes {row['least']:.0f} points or more to be told by itself"


def _compared(of: Shown, state: State, against: str, **other: Any) -> Mapping | None:
    if state["top_k"] != K or "comparisons.csv" not in of.tables:
        return None
    found = chosen(of.tables["comparisons.csv"], {**state, **other, "reference": against})
    return found.iloc[0] if len(found) else None


def may_be_chance(of: Shown, state: State, target: str) -> bool:
    """Whether the cell is tested against no cloak, and not told apart from it."""
    row = _compared(of, state, CLEAN["attack"], target=target)
    return row is not None and row["p_adjusted"] >= ALPHA


def _points(row: Mapping) -> str:
    """A paired difference with its interval, where it has one."""
    interval = "" if pd.isna(row["low"]) else f" ({row['low']:+.0f} to {row['high']:+.0f})"
    return f"{row['difference']:+.1f} points{interval}"


def _any(of: Shown, state: State) -> Iterator[str]:
    row = of.row(state, target=of.any_target) if of.any_target else None
    if row is not None and row["n"]:
        yield (
            f"A searcher who tries all {len(of.targets)} recognisers still names {row['recognised']} of {row['n']}: "
            f"hidden from all are {told(row)}.{_clean(of, state, of.any_target)}"
        )


def _attacks(of: Shown, state: State) -> Iterator[str]:
    """Which attack hides most from the black box that is fooled least, beside the reference."""
    target, attacks = worst(black_box(of, state)), of.values["attack"]
    if not target or len(attacks) < 2:
        return
    rows = {name: of.row(state, attack=name, target=target) for name in attacks}
    rows = {name: row for name, row in rows.items() if row is not None and row["n"]}
    most = max(row["psr"] for row in rows.values())
    leaders, base = [name for name, row in rows.items() if row["psr"] == most], reference(of.config)
    several = f"{len(rows)} attacks" if len(rows) > 3 else _listed(list(rows))
    if len(leaders) == len(rows):
        yield f"Of {several} at eps {state['eps']} all hide as many from {target}, {told(rows[leaders[0]])}."
        return
    leading = f"Of {several} at eps {state['eps']}, {_listed(leaders)} hid the largest share from {target}"
    leading = f"{leading}, {told(rows[leaders[0]])}"
    if base in leaders or base not in rows:
        yield f"{leading}."
        return
    row = _compared(of, state, base, attack=leaders[0], target=target)
    if row is None:
        yield f"{leading}; {base} {told(rows[base])}."
        return
    more = f"more than {base}" if row["p_adjusted"] < ALPHA else f"against {base} chance is not ruled out"
    yield f"{leading}: {more}, {_points(row)}, adjusted p {row['p_adjusted']:.2g}."


def _listed(names: Sequence[str]) -> str:
    """At most three by name.

    >>> _listed(["a", "b"]), _listed(["a", "b", "c", "d"])
    ('a and b', 'a, b and 2 others')
    """
    if len(names) > 3:
        return f"{names[0]}, {names[1]} and {len(names) - 2} others"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _price(of: Shown, state: State) -> Iterator[str]:
    seen = {name: median(of, state, name) for name in ("ssim", "psnr")}
    if seen["ssim"] is not None and seen["psnr"] is not None:
        yield (
            f"To the eye it costs this: the median published picture has SSIM {seen['ssim']:.3f} (1: the same) and "
            f"PSNR {seen['psnr']:.1f} dB against the same picture without a cloak."
        )
    needed = of.tables.get("needed.csv")
    target = worst(black_box(of, state))
    if needed is not None and target and state["top_k"] == needed["top_k"].min():
        cell = {key: value for key, value in state.items() if key != "eps"}
        for row in chosen(needed, {**cell, "target": target, "share": 50}).to_dict("records"):
            eps = row["eps"]
            if eps[:1].isdigit():
                interval = f"{row['eps_low']} to {row['eps_high']}"
                yield f"Half of these faces are hidden from {target} at about eps {eps} (95 % interval {interval})."
            else:
                yield f"Half of these faces are hidden from {target}: {_outside(eps)}."


def _outside(eps: str) -> str:
    """Where the budgets that were tried do not reach.

    >>> _outside("< 4"), _outside("not reached at 32")
    ('at the smallest budget already, eps < 4', 'not reached at eps 32')
    """
    return f"at the smallest budget already, eps {eps}" if eps[:1] == "<" else eps.replace(" at ", " at eps ")


def median(of: Shown, state: State, measure: str) -> float | None:
    """Of a cell's pictures; None without the table, and where there is no number, as in PSNR of equal pictures."""
    if "quality.csv" not in of.tables:
        return None
    found = chosen(of.tables["quality.csv"], {**state, "measure": measure})["median"]
    return float(found.iloc[0]) if len(found) and math.isfinite(found.iloc[0]) else None
