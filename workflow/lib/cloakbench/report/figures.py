"""Figures: PSR against the budget (the paper's Figures 3 to 5) and example faces (Figure 2)."""

from __future__ import annotations

from collections.abc import Mapping
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


def curves(psr: pd.DataFrame, source: str, storage: str, about: Mapping) -> Figure:
    """A row an attack, a column a k, a line a target with the band of its Wilson interval; eps on a log axis.

    The dotted line is the target's clean PSR: what it misses without any attack.
    """
    rows = psr[(psr["source"] == source) & (psr["storage"] == storage)]
    crafted = rows[rows["attack"] != "clean"]
    attacks, targets = list(crafted["attack"].unique()), list(psr["target"].unique())
    ks = panels(sorted(psr["top_k"].unique()))
    sns.set_theme(style="whitegrid", context="paper")
    colours = dict(zip(targets, sns.color_palette("colorblind", len(targets)), strict=True))
    figure, axes = plt.subplots(
        len(attacks),
        len(ks),
        figsize=(3.1 * len(ks) + 1.2, 2.6 * len(attacks) + 0.6),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for row, attack in zip(axes, attacks, strict=True):
        for axis, k in zip(row, ks, strict=True):
            panel = rows[(rows["top_k"] == k) & rows["attack"].isin([attack, "clean"])]
            _panel(axis, panel, colours)
            axis.set_title(f"{attack}, top-{k}")
    for axis in axes[-1]:
        axis.set_xlabel("budget eps (grey levels)")
    for axis in axes[:, 0]:
        axis.set_ylabel("PSR (%)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, title="target", loc="outside right upper")
    figure.suptitle(f"{title(about)}\ncrafted on {source}, stored as {storage}, N = {about['subjects']}")
    return figure


def panels(ks: list[int]) -> list[int]:
    """At most PANELS of the study's k, spread evenly: 1, 10, 50 of 1, 5, 10, 25, 50; the paper's if they are there."""
    if {1, 5, 25} <= set(ks):
        return [1, 5, 25]
    return [ks[i] for i in sorted({round(i) for i in np.linspace(0, len(ks) - 1, min(PANELS, len(ks)))})]


def _panel(axis: plt.Axes, panel: pd.DataFrame, colours: Mapping) -> None:
    for target, colour in colours.items():
        line = panel[(panel["target"] == target) & (panel["attack"] != "clean")].sort_values("eps")
        clean = panel[(panel["target"] == target) & (panel["attack"] == "clean")]["psr"]
        axis.plot(line["eps"], line["psr"], marker="o", markersize=3.5, color=colour, label=target)
        axis.fill_between(line["eps"], line["psr_low"], line["psr_high"], color=colour, alpha=0.15, linewidth=0)
        for level in clean:
            axis.axhline(level, color=colour, linestyle=":", linewidth=1)
    budgets = sorted(panel.loc[panel["attack"] != "clean", "eps"].unique())
    axis.set_xscale("log", base=2)
    axis.set_xticks(budgets, [str(eps) for eps in budgets])
    axis.minorticks_off()
    axis.set_ylim(-3, 103)


def cmc(ranks: pd.DataFrame, missed: str, about: Mapping) -> Figure:
    """Cumulative match characteristic, a row an attack, a column a target: of all faces that count the share, in
    percent, whose person is among the first k; a line a budget, dashed the clean faces.

    ranks: the ranks files of one source and storage; missed: as `psr.protection` takes it.
    """
    faces = counted(ranks, missed)
    attacks = [name for name in faces["attack"].unique() if name != CLEAN["attack"]]
    targets, budgets = list(faces["target"].unique()), sorted({*faces["eps"]} - {CLEAN["eps"]})
    sns.set_theme(style="whitegrid", context="paper")
    looks = dict(zip(budgets, sns.color_palette("viridis_r", len(budgets)), strict=True))
    size = (2.6 * len(targets) + 1.4, 2.3 * len(attacks) + 0.9)
    figure, axes = plt.subplots(
        len(attacks), len(targets), figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    ks = range(1, int(min(LONGEST, faces["classes"].min() - 1)) + 1)
    for row, attack in zip(axes, attacks, strict=True):
        for axis, target in zip(row, targets, strict=True):
            shown = faces[(faces["target"] == target) & faces["attack"].isin([attack, CLEAN["attack"]])]
            for eps, cell in shown.groupby("eps"):
                named = [100 - 100 * hidden(cell["rank"], k).mean() for k in ks]
                look = (
                    {"color": looks[eps], "label": f"eps {eps}"} if eps in looks else {"color": "0.4", "label": "clean"}
                )
                axis.step(ks, named, where="post", linestyle="-" if eps in looks else "--", linewidth=1.2, **look)
            axis.set(title=f"{attack}, {target}", xscale="log", ylim=(-3, 103))
            axis.set_xticks(marks := [k for k in (1, 2, 5, 10, 20, 50) if k in ks], map(str, marks))
            axis.minorticks_off()
    for axis in axes[-1]:
        axis.set_xlabel("first k")
    for axis in axes[:, 0]:
        axis.set_ylabel("named (%)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, title="budget", loc="outside right upper")
    told = f"crafted on {ranks['source'].iloc[0]}, stored as {ranks['storage'].iloc[0]}, N = {about['subjects']}"
    among = ", ".join(map(str, sorted({*faces["classes"]})))
    figure.suptitle(f"Identification rate, {study_name(about)}\n{told}, among {among} people")
    return figure


def against_quality(front: pd.DataFrame, about: Mapping) -> Figure:
    """A row a storage, a column a target, a line a source and attack: PSR against the median SSIM, a point a budget;
    rings round the points that no other one beats in both. front: front.csv."""
    storages, targets = list(front["storage"].unique()), list(front["target"].unique())
    cloaks = list(dict.fromkeys(zip(front["source"], front["attack"], strict=True)))
    sns.set_theme(style="whitegrid", context="paper")
    looks = dict(zip(cloaks, sns.color_palette("husl", len(cloaks)), strict=True))
    size = (2.8 * len(targets) + 2.2, 2.6 * len(storages) + 0.8)
    figure, axes = plt.subplots(
        len(storages), len(targets), figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for row, storage in zip(axes, storages, strict=True):
        for axis, target in zip(row, targets, strict=True):
            panel = front[(front["storage"] == storage) & (front["target"] == target)]
            for number, ((source, attack), line) in enumerate(panel.groupby(["source", "attack"], sort=False)):
                line, look = line.sort_values("eps"), looks[source, attack]
                dash, marker = ("-", "--", ":", "-.")[number % 4], "osD^v"[number % 5]
                label = f"{attack}, on {source}"
                axis.plot(line["ssim"], line["psr"], dash, marker=marker, markersize=3, color=look, label=label)
            best = panel[panel["front_ssim"]]
            axis.plot(best["ssim"], best["psr"], "o", markersize=8, markerfacecolor="none", color="0.3")
            axis.set(title=f"{target}, {storage}", ylim=(-3, 103))
    axes[0, 0].invert_xaxis()
    for axis in axes[-1]:
        axis.set_xlabel("median SSIM")
    for axis in axes[:, 0]:
        axis.set_ylabel("PSR (%)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, title="cloak", loc="outside right upper")
    figure.suptitle(f"{title(about)}\nagainst what it costs to the eye, top-{front['top_k'].min()}")
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
