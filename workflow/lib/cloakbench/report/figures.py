"""Figures: PSR against the budget (the paper's Figures 3 to 5) and example faces (Figure 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

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


def curves(psr: pd.DataFrame, source: str, storage: str, about: Mapping) -> Figure:
    """A row an attack, a column a k, a line a target with the band of its Wilson interval; eps on a log axis.

    The dotted line is the target's clean PSR: what it misses without any attack.
    """
    rows = psr[(psr["source"] == source) & (psr["storage"] == storage)]
    crafted = rows[rows["attack"] != CLEAN["attack"]]
    attacks, targets = list(crafted["attack"].unique()), list(psr["target"].unique())
    colours = dict(zip(targets, sns.color_palette("colorblind", len(targets)), strict=True))
    figure, axes = _panels(attacks, panels(sorted(psr["top_k"].unique())), each=(3.1, 2.6), beside=(1.2, 0.6))
    for (attack, k), axis in axes.items():
        shown = rows[(rows["top_k"] == k) & rows["attack"].isin([attack, CLEAN["attack"]])]
        _curves(axis, shown, colours)
        axis.set_title(f"{attack}, top-{k}")
    heading = f"{title(about)}\ncrafted on {source}, stored as {storage}, N = {about['subjects']}"
    return _named(figure, "budget eps (grey levels)", "PSR (%)", legend="target", heading=heading)


def panels(ks: list[int]) -> list[int]:
    """At most PANELS of the study's k, spread evenly: 1, 10, 50 of 1, 5, 10, 25, 50; the paper's if they are there."""
    if {1, 5, 25} <= set(ks):
        return [1, 5, 25]
    return [ks[i] for i in sorted({round(i) for i in np.linspace(0, len(ks) - 1, min(PANELS, len(ks)))})]


def _curves(axis: plt.Axes, shown: pd.DataFrame, colours: Mapping) -> None:
    clean = shown["attack"] == CLEAN["attack"]
    for target, colour in colours.items():
        line = shown[(shown["target"] == target) & ~clean].sort_values("eps")
        axis.plot(line["eps"], line["psr"], marker="o", markersize=3.5, color=colour, label=target)
        axis.fill_between(line["eps"], line["psr_low"], line["psr_high"], color=colour, alpha=0.15, linewidth=0)
        for level in shown.loc[(shown["target"] == target) & clean, "psr"]:
            axis.axhline(level, color=colour, linestyle=":", linewidth=1)
    budgets = sorted(shown.loc[~clean, "eps"].unique())
    axis.set_xscale("log", base=2)
    axis.set_xticks(budgets, [str(eps) for eps in budgets])
    axis.minorticks_off()
    axis.set_ylim(PERCENT)


def cmc(ranks: pd.DataFrame, missed: str, about: Mapping) -> Figure:
    """Cumulative match characteristic, a row an attack, a column a target: of all faces that count the share, in
    percent, whose person is among the first k; a line a budget, dashed the clean faces.

    ranks: the ranks files of one source and storage; missed: as `psr.protection` takes it.
    """
    faces = counted(ranks, missed)
    attacks = [name for name in faces["attack"].unique() if name != CLEAN["attack"]]
    budgets = sorted({*faces["eps"]} - {CLEAN["eps"]})
    colours = dict(zip(budgets, sns.color_palette("viridis_r", len(budgets)), strict=True))
    looks = {eps: {"color": colour, "label": f"eps {eps}", "linestyle": "-"} for eps, colour in colours.items()}
    looks[CLEAN["eps"]] = {"color": "0.4", "label": "clean", "linestyle": "--"}
    ks = range(1, int(min(LONGEST, faces["classes"].min() - 1)) + 1)
    figure, axes = _panels(attacks, list(faces["target"].unique()), each=(2.6, 2.3), beside=(1.4, 0.9))
    for (attack, target), axis in axes.items():
        shown = faces[(faces["target"] == target) & faces["attack"].isin([attack, CLEAN["attack"]])]
        for eps, cell in shown.groupby("eps"):
            named = [100 - 100 * hidden(cell["rank"], k).mean() for k in ks]
            axis.step(ks, named, where="post", linewidth=1.2, **looks[eps])
        axis.set(title=f"{attack}, {target}", xscale="log", ylim=PERCENT)
        axis.set_xticks(marks := [k for k in (1, 2, 5, 10, 20, 50) if k in ks], map(str, marks))
        axis.minorticks_off()
    told = f"crafted on {ranks['source'].iloc[0]}, stored as {ranks['storage'].iloc[0]}, N = {about['subjects']}"
    among = ", ".join(map(str, sorted({*faces["classes"]})))
    heading = f"Identification rate, {study_name(about)}\n{told}, among {among} people"
    return _named(figure, "first k", "named (%)", legend="budget", heading=heading)


def against_quality(front: pd.DataFrame, about: Mapping) -> Figure:
    """A row a storage, a column a target, a line a source and attack: PSR against the median SSIM, a point a budget;
    rings round the points that no other one beats in both. front: front.csv."""
    cloaks = list(dict.fromkeys(zip(front["source"], front["attack"], strict=True)))
    colours = dict(zip(cloaks, sns.color_palette("husl", len(cloaks)), strict=True))
    storages, targets = list(front["storage"].unique()), list(front["target"].unique())
    figure, axes = _panels(storages, targets, each=(2.8, 2.6), beside=(2.2, 0.8))
    for (storage, target), axis in axes.items():
        shown = front[(front["storage"] == storage) & (front["target"] == target)]
        for number, (cloak, line) in enumerate(shown.groupby(["source", "attack"], sort=False)):
            line, (source, attack) = line.sort_values("eps"), cloak
            dash, marker = ("-", "--", ":", "-.")[number % 4], "osD^v"[number % 5]
            look = {"marker": marker, "markersize": 3, "color": colours[cloak], "label": f"{attack}, on {source}"}
            axis.plot(line["ssim"], line["psr"], dash, **look)
        best = shown[shown["front_ssim"]]
        axis.plot(best["ssim"], best["psr"], "o", markersize=8, markerfacecolor="none", color="0.3")
        axis.set(title=f"{target}, {storage}", ylim=PERCENT)
    figure.axes[0].invert_xaxis()
    heading = f"{title(about)}\nagainst what it costs to the eye, top-{front['top_k'].min()}"
    return _named(figure, "median SSIM", "PSR (%)", legend="cloak", heading=heading)


def _panels(
    down: Sequence, across: Sequence, each: tuple[float, float], beside: tuple[float, float]
) -> tuple[Figure, dict[tuple, plt.Axes]]:
    """A figure of panels on common axes, by what stands for their row and column. each, beside: width and height in
    inches, of a panel, and of what is round all of them."""
    sns.set_theme(style="whitegrid", context="paper")
    size = (each[0] * len(across) + beside[0], each[1] * len(down) + beside[1])
    shared = {"sharex": True, "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(len(down), len(across), figsize=size, layout="constrained", **shared)
    return figure, dict(zip(product(down, across), axes.flat, strict=True))


def _named(figure: Figure, x: str, y: str, legend: str, heading: str) -> Figure:
    """The figure, told what its outer axes are, with the first panel's legend for all, and a heading."""
    for axis in figure.axes:
        if axis.get_subplotspec().is_last_row():
            axis.set_xlabel(x)
        if axis.get_subplotspec().is_first_col():
            axis.set_ylabel(y)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, title=legend, loc="outside right upper")
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
