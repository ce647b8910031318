"""The benchmark's tables and the page that explains them."""

from __future__ import annotations

import json
import os
import platform
from argparse import Namespace
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
import torch

from benchmarks import attacks, memory, startup
from benchmarks.opponents import OPPONENTS
from cloakbench.files.writing import write_text
from cloakbench.jobs import command as command_line

OURS, BF16 = "cloakbench fp32", "cloakbench bf16"
PACKAGES = ["torch", "snakemake", *OPPONENTS]


def crafting(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a crafter, and one that says so for a library that is not installed; none for bf16 where it was slower.

    Ratios are how many times the seconds of cloakbench's fp32 (bf16) the grid takes. Their range is over turns: of
    the seconds a gradient in one turn, times the gradients of the whole grid.
    """
    rows = rows[rows["crafter"] != "bare loop"]
    crafters = rows.groupby("crafter", sort=False)
    total = crafters[["gradients", "seconds", "cpu_seconds"]].sum()
    table = total / rows["repetition"].nunique()
    table["x fp32, wall"] = total["seconds"] / total["seconds"][OURS]
    table["x fp32"] = total["cpu_seconds"] / total["cpu_seconds"][OURS]
    table[["min", "median", "max"]] = _range_over_turns(rows, total["gradients"])
    table["x bf16"] = total["cpu_seconds"] / total["cpu_seconds"].get(BF16, float("nan"))
    table["PSR, %"] = 100 - 100 * crafters["recognised"].sum() / crafters["faces"].sum()
    smallest = rows[rows["eps"] == rows["eps"].min()].groupby("crafter", sort=False)
    table["bytes as fp32, %"] = 100 * smallest["as_ours"].mean()
    return table.reindex([*table.index, *sorted(set(OPPONENTS) - set(table.index))]).reset_index()


def _range_over_turns(rows: pd.DataFrame, gradients: pd.Series) -> pd.DataFrame:
    """Smallest, median and largest ratio of a crafter's CPU seconds to those of OURS: (crafters, 3)."""
    rates = rows.assign(rate=rows["cpu_seconds"] / rows["gradients"])
    turns = rates.pivot(index=["repetition", "eps"], columns="crafter", values="rate")
    ratios = turns.div(turns[OURS], axis=0) * gradients / gradients[OURS]
    return ratios.agg(["min", "median", "max"]).T


def floor(rows: pd.DataFrame) -> pd.DataFrame:
    """One row: gradients a CPU second of the bare loop and of crafting, all of its work included, and the share."""
    rate = {}
    for crafter in ("bare loop", OURS):
        part = rows[rows["crafter"] == crafter]
        rate[crafter] = (part["gradients"] * part["faces"]).sum() / part["cpu_seconds"].sum()
    return pd.DataFrame([rate]).assign(share=lambda table: 100 * table[OURS] / table["bare loop"])


def precision(rows: pd.DataFrame) -> pd.DataFrame:
    """One row: where a network was crafted on, and how many times as long as in fp32 a gradient took in bf16."""
    return rows[["device", "bf16_times"]].drop_duplicates().assign(bf16_crafted=(rows["crafter"] == BF16).any())


def overhead(rows: pd.DataFrame) -> pd.DataFrame:
    """The measurements with their ratios: to the one process, by the clock and in CPU seconds, and to what the jobs'
    own CPU seconds would take on cores that are never idle."""
    cpu = rows["jobs_cpu"] + rows["snakemake_cpu"]
    return rows.assign(
        times=rows["snakemake"] / rows["one_process"],
        times_cpu=cpu / rows["one_process_cpu"],
        times_never_idle=rows["snakemake"] / (rows["jobs_cpu"] / rows["cores"]),
    )


TABLES = {"attacks": attacks.compare, "memory": memory.compare, "startup": startup.compare, "overhead": overhead}


def tables(directory: Path, networks: Mapping[str, Mapping]) -> dict[str, pd.DataFrame]:
    """Every table by the name of its files, from the measurements in `directory`."""
    found = {}
    for network in networks:
        rows = pd.read_csv(directory / f"craft_{network}.csv")
        found |= {f"table_craft_{network}": crafting(rows), f"table_floor_{network}": floor(rows)}
        found |= {f"table_precision_{network}": precision(rows)}
    found |= {f"table_{name}": table(pd.read_csv(directory / f"{name}.csv")) for name, table in TABLES.items()}
    return found | {"table_sampling": pd.read_csv(directory / "sampling.csv")}


def markdown(table: pd.DataFrame) -> str:
    """A column without any value is left out: `x bf16` where nothing was crafted in bf16."""
    table = table.dropna(axis="columns", how="all")
    present = table.astype(object).where(table.notna(), "not installed")
    return present.to_markdown(index=False, floatfmt=".2f")


def page(found: Mapping[str, pd.DataFrame], about: Mapping) -> str:
    """The page: about: `threads`, `batch`, `repetitions`, `networks`, `attacks`, `study` (the study of the
    overhead)."""
    parts = ["# Benchmark", _machine(about)]
    for network, facts in about["networks"].items():
        weights = facts.get("weights") or "random, seeded"
        parts += [
            CRAFTING.format(network=network, weights=weights, faces=facts["faces"], arch=facts["arch"], **about),
            markdown(found[f"table_craft_{network}"]),
            in_bf16(found[f"table_precision_{network}"]),
            FLOOR,
            markdown(found[f"table_floor_{network}"]),
        ]
    for name, text in TEXTS.items():
        parts += [text.format(**about), markdown(found[f"table_{name}"])]
    return "\n\n".join(parts) + "\n"


def in_bf16(table: pd.DataFrame) -> str:
    """What the page says of bf16 on one network, from the row of `precision`."""
    row = table.iloc[0]
    line = f"Crafted on {row['device']}; a gradient in bf16 took {row['bf16_times']:.1f} times as long as in fp32"
    return f"{line}." if row["bf16_crafted"] else f"{line}, so nothing was crafted in bf16."


def _machine(about: Mapping) -> str:
    versions = [f"Python {platform.python_version()}", *(f"{name} {_version(name)}" for name in PACKAGES)]
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.platform()}.\n{', '.join(versions)}.\n"
        f"Threads of torch: {about['threads']}; vector instructions: {torch.backends.cpu.get_cpu_capability()}. "
        "Only ratios within a table mean something: other machines are faster or slower for all alike. Where a ratio "
        "is of CPU seconds, other programs on the machine have hardly changed it."
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


CRAFTING = """## Crafting on {network}

BIM, budgets 4 to 128, {faces} rendered faces, {repetitions} repetition(s); {arch} at full size with weights:
{weights}. A gallery holds the clean faces; PSR is top-1 among it, without storage. Libraries get the network in eval
mode as their users have it and craft every budget from the clean face; all share one process, and with it the way in
which a study's jobs keep memory. *x fp32*, *x bf16*: CPU seconds in multiples of
cloakbench's; *min, median, max* of *x fp32* over the turns of one budget each. *bytes as fp32*: at the smallest
budget; the longer the walk, the more signs hang on the rounding of a gradient near 0."""

FLOOR = """Gradients a CPU second of a bare forward-and-backward loop on the same network and batch, and of crafting
with all that it does besides (files, clipping, rounding):"""

TEXTS = {
    "attacks": """## Attacks beside other libraries'

Entries of the catalogue and the same attacks elsewhere, all budgets, on {attacks}. *gradients*, *theirs*: a face, of
ours and of those that craft every budget from the clean face; *times*: CPU seconds of the fastest peer in multiples of
ours; *a gradient*: the same for one gradient.""",
    "overhead": """## Snakemake around the stages

{study}. *snakemake*: seconds by Snakemake on all cores; *one_process*: the very commands that it ran, one after another
in one process that imports everything once and whose torch has a thread a core; *jobs_cpu*: the CPU seconds that the
jobs themselves report, *snakemake_cpu* Snakemake's own with its launchers of jobs, without the warm parent's imports.
*times* is by the clock, *times_cpu* in CPU seconds (Snakemake and jobs against the one process), *times_never_idle* by
the clock against *jobs_cpu* spread over all cores, which no scheduler could beat.""",
    "startup": """## The start of a job

Jobs of two faces: a plain interpreter against a fork of the warm parent, medians.""",
    "memory": """## Memory against N

Peak memory of a job that is an interpreter of its own; pictures of 48 pixels, batches of 16. Megabytes are anonymous
memory, sampled every 5 ms. Pages of memory-mapped files count in the last column alone: the kernel takes them back at
need.""",
    "sampling": """## Drawing subjects from a data set like VGGFace2

Folders with one photo each among empty files; a plain interpreter, its start included.""",
}


def main(options: Namespace) -> None:
    found = tables(options.measurements, options.about["networks"])
    for name, table in found.items():
        write_text(options.measurements / f"{name}.csv", table.to_csv(index=False))
        write_text(options.measurements / f"{name}.md", markdown(table) + "\n")
    write_text(options.output, page(found, options.about))


if __name__ == "__main__":
    arguments = command_line.parser(__doc__)
    arguments.add_argument("--measurements", type=Path, required=True, help="folder of the measured CSV files")
    arguments.add_argument("--about", type=json.loads, required=True, help="JSON: what was measured")
    arguments.add_argument("--output", type=Path, required=True)
    command_line.run(main, arguments)
