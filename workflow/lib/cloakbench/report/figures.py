"""Figures: PSR against the budget (the paper's Figures 3 to 5) and example faces (Figure 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from cloakbench.files.reading import open_faces
from cloakbench.files.writing import writing
from cloakbench.report.tables import study_name, title
from cloakbench.statistics.psr import counted, hidden
from cloakbench.study.grid import CLEAN

LONGEST = 50  # the longest list of candidates that is drawn
PANELS = 3  # the paper shows top-1, 5 and 25
PERCENT = (-3, 103)  # what an axis shows, so that a line at its end is seen
FACETS = 6  # attacks that have a row of panels each; of more each has one panel
ACROSS = 4  # of those side by side
# colour, dash and marker: lines are told apart without colour, too
LOOKS = (
    ("#3b89ff", "-", "o"),
    ("#eb6200", (0, (6, 3)), "s"),
    ("#27624e", (0, (2, 2)), "^"),
    ("#4e0062", (0, (8, 2, 2, 2)), "D"),
    ("#890000", (0, (10, 3)), "v"),
    ("#89899d", (0, (4, 2, 1, 2, 1, 2)), "P"),
    ("#9d8976", (0, (1, 2)), "*"),
    ("#0000eb", (0, (12, 2, 4, 2)), "X"),
)
ALIKE = {"color": "0.75", "linewidth": 0.8, "zorder": 1}  # lines that are not told apart, below the others


def curves(psr: pd.DataFrame, source: str, storage: str, about: Mapping) -> Figure:
    """A row an attack, a column a k, a line a target with the band of its Wilson interval; eps on a log axis. Of more
    than FACETS attacks a panel each, at the smallest k.

    The dotted line is the target's clean PSR: what it misses without any attack.
    """
    rows = psr[(psr["source"] == source) & (psr["storage"] == storage)]
    attacks = _cloaks(rows)
    looks = _looks(psr["target"].unique())
    figure, axes = _panels(facets(attacks, panels(sorted(psr["top_k"].unique()))), each=(3.1, 2.6), beside=(1.2, 0.6))
    for (attack, k), axis in axes.items():
        shown = rows[(rows["top_k"] == k) & rows["attack"].isin([attack, CLEAN["attack"]])]
        _curves(axis, shown, looks)
        axis.set_title(f"{attack}, top-{k}")
    heading = f"{title(about)}\ncrafted on {source}, stored as {storage}, N = {about['subjects']}"
    return _named(figure, "budget eps (grey levels)", "PSR (%)", legend="target", heading=heading)


def panels(ks: list[int]) -> list[int]:
    """At most PANELS of the study's k, spread evenly: 1, 10, 50 of 1, 5, 10, 25, 50; the paper's if they are there."""
    if {1, 5, 25} <= set(ks):
        return [1, 5, 25]
    return [ks[i] for i in sorted({round(i) for i in np.linspace(0, len(ks) - 1, min(PANELS, len(ks)))})]


def facets(attacks: Sequence[str], columns: Sequence) -> list[list[tuple[str, Any]]]:
    """Rows of panels, each an attack and one of `columns`: a row an attack; of more than FACETS attacks a panel each,
    of the first column alone.

    >>> facets(["a", "b"], [1, 5])
    [[('a', 1), ('a', 5)], [('b', 1), ('b', 5)]]
    >>> [len(row) for row in facets("abcdefghi", [1, 5])]
    [4, 4, 1]
    """
    if len(attacks) <= FACETS:
        return [[(attack, column) for column in columns] for attack in attacks]
    single = [(attack, columns[0]) for attack in attacks]
    return [single[at : at + ACROSS] for at in range(0, len(single), ACROSS)]


def _cloaks(rows: pd.DataFrame) -> list[str]:
    """The attacks of some cells in their order, without the one that is none."""
    return [name for name in rows["attack"].unique() if name != CLEAN["attack"]]


def _looks(names: Sequence) -> dict[Any, dict[str, Any]]:
    """How each name's line is drawn; those beyond LOOKS begin anew."""
    looks = [dict(zip(("color", "linestyle", "marker"), look, strict=True)) for look in LOOKS]
    return {name: looks[number % len(looks)] for number, name in enumerate(names)}


def _curves(axis: plt.Axes, shown: pd.DataFrame, looks: Mapping) -> None:
    clean = shown["attack"] == CLEAN["attack"]
    for target, look in looks.items():
        line = shown[(shown["target"] == target) & ~clean].sort_values("eps")
        axis.plot(line["eps"], line["psr"], markersize=3.5, label=target, **look)
        axis.fill_between(line["eps"], line["psr_low"], line["psr_high"], color=look["color"], alpha=0.15, linewidth=0)
        for level in shown.loc[(shown["target"] == target) & clean, "psr"]:
            axis.axhline(level, color=look["color"], linestyle=":", linewidth=1)
    budgets = sorted(shown.loc[~clean, "eps"].unique())
    axis.set_xscale("log", base=2)
    axis.set_xticks(budgets, [str(eps) for eps in budgets])
    axis.minorticks_off()
    axis.set_ylim(PERCENT)


def cmc(ranks: pd.DataFrame, missed: str, about: Mapping) -> Figure:
    """Cumulative match characteristic, a row an attack, a column a target: of all faces that count the share, in
    percent, whose person is among the first k; a line a budget, dashed the clean faces. Of more than FACETS attacks a
    panel each, at the middle budget: a line a target, dotted its clean faces.

    ranks: the ranks files of one source and storage; missed: as `psr.protection` takes it.
    """
    faces = counted(ranks, missed)
    attacks, targets = _cloaks(faces), list(faces["target"].unique())
    budgets = sorted({*faces["eps"]} - {CLEAN["eps"]})
    middle = budgets[(len(budgets) - 1) // 2]
    by_budget = len(attacks) <= FACETS
    lines = [*(_budgets(budgets) if by_budget else _targets(targets, middle))]
    ks = range(1, int(min(LONGEST, faces["classes"].min() - 1)) + 1)
    figure, axes = _panels(facets(attacks, targets), each=(2.6, 2.3), beside=(1.4, 0.9))
    for (attack, target), axis in axes.items():
        shown = faces[faces["attack"].isin([attack, CLEAN["attack"]])]
        for of, look in lines:
            of = {"target": target} | of
            cell = shown[(shown[[*of]] == [*of.values()]).all(axis=1)]
            named = [100 - 100 * hidden(cell["rank"], k).mean() for k in ks]
            axis.step(ks, named, where="post", **{"linewidth": 1.2} | look)
        axis.set(title=f"{attack}, {target}" if by_budget else attack, xscale="log", ylim=PERCENT)
        axis.set_xticks(marks := [k for k in (1, 2, 5, 10, 20, 50) if k in ks], map(str, marks))
        axis.minorticks_off()
    told = f"crafted on {ranks['source'].iloc[0]}, stored as {ranks['storage'].iloc[0]}, N = {about['subjects']}"
    among = ", ".join(map(str, sorted({*faces["classes"]})))
    heading = f"Identification rate, {study_name(about)}\n{told}, among {among} people"
    if not by_budget:
        heading = f"{heading}; eps {middle}, dotted: clean"
    return _named(figure, "first k", "named (%)", legend="budget" if by_budget else "target", heading=heading)


def _budgets(budgets: Sequence[int]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Lines of `cmc`, which cells each shows and how: a line a budget, dashed the clean faces."""
    yield {"eps": CLEAN["eps"]}, {"color": "0.4", "label": "clean", "linestyle": "--"}
    for eps, colour in zip(budgets, sns.color_palette("viridis_r", len(budgets)), strict=True):
        yield {"eps": eps}, {"color": colour, "label": f"eps {eps}"}


def _targets(targets: Sequence[str], eps: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The same at one budget: a line a target, dotted its clean faces."""
    for target, look in _looks(targets).items():
        how = {key: look[key] for key in ("color", "linestyle")}
        yield {"target": target, "eps": eps}, how | {"label": target}
        yield {"target": target, "eps": CLEAN["eps"]}, how | {"linestyle": ":", "linewidth": 0.8}


def against_quality(front: pd.DataFrame, about: Mapping) -> Figure:
    """A row a storage, a column a target, a line a source and attack: PSR against the median SSIM, a point a budget;
    rings round the points that no other one beats in both. Of more cloaks than LOOKS those are told apart that have
    most such points; the others are grey. front: front.csv."""
    cloaks = list(dict.fromkeys(zip(front["source"], front["attack"], strict=True)))
    best = front[front["front_ssim"]].groupby(["source", "attack"]).size()
    told = sorted(cloaks, key=lambda cloak: -best.get(cloak, 0))[: len(LOOKS)]
    looks = _looks([cloak for cloak in cloaks if cloak in told])
    storages, targets = list(front["storage"].unique()), list(front["target"].unique())
    rows = [[(storage, target) for target in targets] for storage in storages]
    figure, axes = _panels(rows, each=(2.8, 2.6), beside=(2.2, 0.8))
    others = f"{len(cloaks) - len(looks)} others, less often on the front"
    for (storage, target), axis in axes.items():
        shown = front[(front["storage"] == storage) & (front["target"] == target)]
        for source, attack in sorted(cloaks, key=lambda cloak: cloak not in looks):
            line = shown[(shown["source"] == source) & (shown["attack"] == attack)].sort_values("eps")
            how = {"label": others} | ALIKE
            if (source, attack) in looks:
                how = {"label": f"{attack}, on {source}", "markersize": 3} | looks[source, attack]
            axis.plot(line["ssim"], line["psr"], **how)
        ringed = shown[shown["front_ssim"]]
        axis.plot(ringed["ssim"], ringed["psr"], "o", markersize=8, markerfacecolor="none", color="0.3")
        axis.set(title=f"{target}, {storage}", ylim=PERCENT)
    figure.axes[0].invert_xaxis()
    heading = f"{title(about)}\nagainst what it costs to the eye, top-{front['top_k'].min()}"
    return _named(figure, "median SSIM", "PSR (%)", legend="cloak", heading=heading)


def _panels(
    rows: Sequence[Sequence], each: tuple[float, float], beside: tuple[float, float]
) -> tuple[Figure, dict[Any, plt.Axes]]:
    """A figure of panels on common axes, by what they are of; the last row may be shorter. each, beside: width and
    height in inches, of a panel, and of what is round all of them."""
    sns.set_theme(style="whitegrid", context="paper")
    across = len(rows[0])
    size = (each[0] * across + beside[0], each[1] * len(rows) + beside[1])
    shared = {"sharex": True, "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(len(rows), across, figsize=size, layout="constrained", **shared)
    for column in range(len(rows[-1]), across):
        axes[-1, column].remove()
        axes[-2, column].tick_params(labelbottom=True)
    panels = {}
    for row, drawn in zip(rows, axes, strict=True):
        panels |= dict(zip(row, drawn, strict=False))
    return figure, panels


def _named(figure: Figure, x: str, y: str, legend: str, heading: str) -> Figure:
    """The figure, told what its axes are, with the first panel's legend for all, and a heading."""
    figure.supxlabel(x, fontsize="medium")
    figure.supylabel(y, fontsize="medium")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))  # lines that are alike have one label
    figure.legend(once.values(), once.keys(), title=legend, loc="outside right upper", handlelength=3.5)
    figure.suptitle(heading)
    return figure


def examples(rows: Mapping[str, Mapping[str, str]], about: Mapping) -> Figure:
    """The first subject's face: a row a source and attack, a column a budget, each the first face of its file.

    rows: label of a row to its columns, label to .npy file of faces (N, size, size, 3); all rows have the same ones.
    """
    columns = list(next(iter(rows.values())))
    figure, axes = plt.subplots(
        len(rows),
        len(columns),
        figsize=(1.25 * len(columns) + 0.6, 1.3 * len(rows) + 0.7),
        squeeze=False,
        layout="constrained",
    )
    for row, (name, files) in zip(axes, rows.items(), strict=True):
        for axis, file in zip(row, files.values(), strict=True):
            axis.imshow(open_faces(Path(file))[0], interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(name.replace(" ", "\n"), fontsize=8)
    for axis, name in zip(axes[0], columns, strict=True):
        axis.set_title(name, fontsize=8)
    figure.suptitle(f"The first subject as crafted, {study_name(about)}", fontsize=9)
    return figure


def save(figure: Figure, *paths: Path) -> None:
    """Write the figure under each name, in the format its suffix says; no date inside, so same data, same bytes."""
    for path in paths:
        date = {"CreationDate": None} if path.suffix == ".pdf" else {"Software": None}
        with writing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=date)
        figure.set_layout_engine("none")  # the places that the first format found are good for the next
