"""Table 1: PSR laid out as in the paper, a row a source, attack and budget, a column a target and k."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd

from cloakbench.errors import InputError
from cloakbench.statistics.psr import MISSED
from cloakbench.study.keys import DEFAULTS
from cloakbench.study.sources import members

ROWS = ["storage", *DEFAULTS, "source", "attack", "eps"]  # as far as a study tells its cells apart by them
TOLD = ["knows", "gradients"]  # of the attack: what it has to know, and what a face costs
EMPTY = "--"  # a cell without a face
CLEAN = """\
Clean faces that each target names, in percent: cut for it from the photographs, and, as every cell is judged, from the
crop that was stored for the source. What lies between the two is no protection. The last column is the share of what
the target sees that lies outside the stored crop and is black."""


def table1(psr: pd.DataFrame) -> pd.DataFrame:
    """psr.csv with rows (storage, source, attack, eps) and columns (target, top_k), values in percent.

    Clean rows stand first in each source's block; sources, attacks and targets keep the study's order.
    """
    rows = [key for key in [*ROWS, *TOLD] if key in psr]
    order = {
        key: {name: i for i, name in enumerate(psr[key].unique())} for key in rows if key not in ("eps", "gradients")
    }
    wide = psr.pivot(index=rows, columns=["target", "top_k"], values="psr")
    wide = wide[[(target, k) for target in psr["target"].unique() for k in sorted(psr["top_k"].unique())]]
    return wide.sort_index(key=lambda level: level.map(order[level.name]) if level.name in order else level)


def to_csv(table: pd.DataFrame) -> str:
    """One header line: source, attack, eps, then <target> top-<k>."""
    return _flat(table, "{target} top-{k}").to_csv(index=False, float_format="%.1f")


def clean_faces(psr: pd.DataFrame) -> pd.DataFrame:
    """What each target makes of the faces before any attack, a row a storage, source and target, in percent, and among
    how many people.

    from the photograph: named at the study's smallest k, when cut from the photographs; through the stored crop: the
    same faces cut and stored for the source, found again, cut for the target. outside: how much of what the target sees
    then lies outside the stored picture: 0 for a box, which is clamped to it; an aligned crop reaches beyond.
    """
    clean = psr[(psr["attack"] == "clean") & (psr["top_k"] == psr["top_k"].min())]
    named = {"from the photograph": 100 - clean["psr_photo"], "through the stored crop": 100 - clean["psr"]}
    among = {"among": clean["classes"]} if "classes" in clean else {}  # an earlier version's table says nothing of it
    keys = clean[["storage", "source", "target"]]
    return keys.assign(**among, **named, outside=clean["outside"]).reset_index(drop=True)


def summary(
    psr: pd.DataFrame, k: int, strongest: pd.DataFrame | None = None, config: Mapping = MappingProxyType({})
) -> str:
    """Markdown for a first page: a row an attack, source and target, a column a budget, top-k PSR with its interval.

    Before them: how many people the target names, and PSR of the clean faces, cut for the target from the photographs,
    and through the crop that was stored for the source. strongest: strongest.csv, whose rows stand before those of the
    targets that nothing was crafted on. config: the study's, for the members of ensembles. Raises InputError if the
    study has no such k.
    """
    rows = psr[psr["top_k"] == k]
    if strongest is not None and psr["target"].nunique() > 1:
        any_of_them = strongest[strongest["top_k"] == k].assign(black_box=1)
        own = {source: members(config, source) for source in rows["source"].unique()}
        cells = zip(rows["source"], rows["target"], strict=True)
        rows = rows.assign(black_box=[0 if target in own[source] else 2 for source, target in cells])
        rows = pd.concat([rows, any_of_them], ignore_index=True)
        order = rows.assign(source=rows["source"].map(list(psr["source"].unique()).index))
        rows = rows.loc[order.sort_values(["source", "black_box"], kind="stable").index]
    if rows.empty:
        raise InputError(f"top-{k} is not in psr.csv; known: {', '.join(map(str, sorted(psr['top_k'].unique())))}")
    clean = rows[rows["attack"] == "clean"].set_index(["storage", "source", "target"])
    crafted = rows[rows["attack"] != "clean"]
    shown = []
    for (storage, source, target, attack), cells in crafted.groupby(
        ["storage", "source", "target", "attack"], sort=False
    ):
        before = clean.loc[(storage, source, target)]
        gallery = {"among": str(before["classes"])} if "classes" in before else {}
        line = {"storage": storage, "crafted on": source, "judged by": target} | gallery | {"attack": attack}
        line |= _told(cells)
        line |= {"photograph": f"{before['psr_photo']:.1f}", "clean": _interval(before)}
        shown.append(line | {f"eps {cell['eps']}": _interval(cell) for _, cell in cells.sort_values("eps").iterrows()})
    table = pd.DataFrame(shown)
    return _markdown(table if table["storage"].nunique() > 1 else table.drop(columns="storage"))


def comparison(paired: pd.DataFrame, reference: str) -> str:
    """Markdown of paired.compare's table: a row an attack, source, target and budget."""
    shown = pd.DataFrame(
        {
            "storage": paired["storage"],
            "crafted on": paired["source"],
            "judged by": paired["target"],
            "among": paired["classes"].astype(str),
            "eps": paired["eps"].astype(str),
            "attack": paired["attack"],
            "PSR": paired["psr"].map("{:.1f}".format),
            reference: paired["psr_reference"].map("{:.1f}".format),
            "only it": paired["only"].astype(str),
            f"only {reference}": paired["only_reference"].astype(str),
            "difference": [_difference(row) for row in paired.itertuples()],
            "p": paired["p"].map("{:.2g}".format),
            "adjusted": paired["p_adjusted"].map("{:.2g}".format),
        }
    )
    several = shown["storage"].nunique() > 1
    return _markdown(shown if several else shown.drop(columns="storage"), disable_numparse=True)  # 3e-07 is no 0.0


def plain(table: pd.DataFrame) -> str:
    """Markdown of any table: whole numbers as they are, others with three digits, nothing as --."""
    whole = [name for name, column in table.select_dtypes("float").items() if (column.dropna() % 1 == 0).all()]
    table = table.astype(dict.fromkeys(whole, "Int64"))  # counts where some are unknown
    numbers = table.select_dtypes("number")
    shown = {name: numbers[name].map("{:.3g}".format, na_action="ignore") for name in numbers.select_dtypes("float")}
    return _markdown(table.assign(**shown), disable_numparse=True)


def _difference(row: tuple) -> str:
    """With its interval, where there is one."""
    return f"{row.difference:+.1f}" + ("" if pd.isna(row.low) else f" ({row.low:+.0f} to {row.high:+.0f})")


def _told(cells: pd.DataFrame) -> dict[str, str]:
    """What an attack knows, and the fewest and most gradients a face of its budgets."""
    if not {*TOLD} <= {*cells}:
        return {}
    counts = sorted({*cells["gradients"]})
    return {"knows": cells["knows"].iloc[0], "gradients": "-".join(map(str, dict.fromkeys([counts[0], counts[-1]])))}


def _interval(cell: pd.Series) -> str:
    return f"{cell['psr']:.1f} ({cell['psr_low']:.0f}-{cell['psr_high']:.0f})" if cell["n"] else EMPTY


def to_markdown(table: pd.DataFrame, clean: pd.DataFrame, about: Mapping) -> str:
    """The page of table1.md: Table 1, and below it what the targets make of the clean faces."""
    flat = _flat(table, "{target} top-{k}")
    return f"{heading(about)}{_markdown(flat)}\n\n{CLEAN}\n\n{_markdown(clean)}\n"


def _markdown(flat: pd.DataFrame, **options: Any) -> str:
    flat = flat.map(_markdown_safe).rename(columns=_markdown_safe)
    shown = flat.astype(object).where(flat.notna(), None)  # tabulate writes nan for a number that is none
    return shown.to_markdown(index=False, floatfmt=".1f", numalign="right", missingval=EMPTY, **options)


def heading(about: Mapping) -> str:
    """Title and caption of a Markdown page."""
    return f"# {_markdown_safe(title(about))}\n\n{_markdown_safe(caption(about))}\n\n"


def to_latex(table: pd.DataFrame, clean: pd.DataFrame, about: Mapping) -> str:
    """A tabular for the booktabs and multirow packages; clean, `clean_faces`, tells among how many people."""
    named = table.rename_axis(columns=["Target", None])
    named.columns = pd.MultiIndex.from_tuples([(_latex_safe(target), f"Top-{k}") for target, k in table.columns])
    named = named.rename(index=lambda name: _latex_safe(name) if isinstance(name, str) else name)
    styler = named.style.format(precision=1, na_rep=EMPTY)
    return styler.to_latex(
        hrules=True,
        multicol_align="c",
        caption=_latex_safe(f"{title(about)}. {caption(about)}{_galleries(clean)}"),
    )


def _galleries(clean: pd.DataFrame) -> str:
    """A sentence on how many people each target names; empty where an earlier version's table says nothing of it."""
    among = clean.set_index("target")["among"].to_dict() if "among" in clean else {}
    each = ", ".join(f"{target} {count}" for target, count in among.items())
    return f" People that a target names: {each}." if each else ""


def title(about: Mapping) -> str:
    """What stands over every table and curve."""
    return f"Protection Success Rate, {study_name(about)}"


def study_name(about: Mapping) -> str:
    """The study and what it saw; a rendered study says that it is one."""
    kind = "synthetic faces" if about["loader"] == "synthetic" else f"{about['loader']} photographs"
    return f"study {about['study']} ({kind})"


def caption(about: Mapping) -> str:
    models = "; ".join(
        f"{name}: {model['arch']}, weights {' '.join(filter(None, [model['weights'], model.get('member')]))}, "
        f"{model['head']} head"
        for name, model in sorted(about["models"].items())
    )
    # a table sees no job: a CPU has no tf32, a network with its own graph no bf16
    told = "; provenance.json tells what they were computed in"
    asked = "" if about["precision"] == "fp32" else f" Gradients were asked for in {about['precision']}{told}."
    data = f" under {about['root']}" if about["root"] else ""
    draw = f", draw {about['draw']} of {about['draws']}" if "draws" in about else ""
    return (
        f"PSR in percent (Equation 5) over N = {about['subjects']} subjects, {about['photos']} photo(s) each, "
        f"seed {about['seed']}{draw}, from {about['loader']} photos{data}; {MISSED[about['missed']]}. "
        f"Recognisers: {models}.{asked}"
    )


def _flat(table: pd.DataFrame, name: str) -> pd.DataFrame:
    flat = table.copy()
    flat.columns = [name.format(target=target, k=k) for target, k in table.columns]
    flat = flat.reset_index()
    return flat.drop(columns="storage") if flat["storage"].nunique() == 1 else flat


def _markdown_safe(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    for sign in "\\`*_<>|[]#":
        cell = cell.replace(sign, "\\" + sign)
    return cell


LATEX = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def _latex_safe(text: str) -> str:
    return "".join(LATEX.get(sign, sign) for sign in text)
