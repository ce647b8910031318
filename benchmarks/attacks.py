"""What the attacks of the catalogue cost, beside other people's, on one network and the same faces.

All crafters of an attack take turns budget by budget, in an order that changes. Times are CPU seconds of the attack
alone; the gradients that each computes are counted, not taken from its settings.
"""

from __future__ import annotations

import json
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
import yaml
from torch import nn

from benchmarks.crafters import CPU, Setting, alone, prepare, shared_path, user_network
from benchmarks.crafting import gradients_of_ours, stopwatch
from benchmarks.peers import PEERS, installed
from cloakbench.attacks.families import attack, shares_path
from cloakbench.files.writing import write_text
from cloakbench.jobs import command as command_line
from cloakbench.jobs import devices

OURS = "cloakbench"
CATALOGUE = Path(__file__).parents[1] / "workflow/attacks.yaml"
COLUMNS = ["attack", "crafter", "repetition", "eps", "gradients", "cpu_seconds", "faces"]


class Counting(nn.Module):
    """A network that counts the faces whose gradients were asked for."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network, self.faces = network, 0

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        self.faces += len(faces) if faces.requires_grad else 0
        return self.network(faces)


def entries() -> dict[str, dict]:
    """Those of the catalogue that have peers."""
    catalogue = yaml.safe_load(CATALOGUE.read_text())
    return {name: {"goal": "untargeted", **catalogue[name]} for name in PEERS}


def measure(
    model: Mapping, names: Sequence[str], budgets: Sequence[int], repetitions: int, batch: int, directory: Path
) -> pd.DataFrame:
    """A row an attack, crafter, repetition and budget (COLUMNS). model: as in `crafting.measure`."""
    setting, rows = prepare(model, batch, directory), []
    for repetition in range(repetitions):
        for name in names:
            rows += turns(name, entries()[name], budgets, repetition, setting)
    return pd.DataFrame(rows, columns=COLUMNS).assign(device=devices.name(CPU))


def turns(name: str, entry: Mapping, budgets: Sequence[int], repetition: int, setting: Setting) -> Iterator[tuple]:
    counted = {library: Counting(user_network(setting)).eval() for library in installed(name)}
    crafters = {library: alone(peer, counted[library], setting) for library, peer in installed(name).items()}
    crafters[OURS] = shared_path(setting, "fp32", f"{name}-{repetition}", entry)
    for turn, eps in enumerate(sorted(budgets), start=repetition):
        order = list(crafters)
        for crafter in order[turn % len(order) :] + order[: turn % len(order)]:
            if crafter in counted:
                counted[crafter].faces = 0
            faces, _, cpu = stopwatch(crafters[crafter], eps)
            computed = counted[crafter].faces / len(faces) if crafter in counted else gradients_of_ours(entry, eps)
            print(f"{name}, eps {eps}: {crafter}: {computed:g} gradients a face, {cpu:.1f} s of CPU", file=sys.stderr)
            yield name, crafter, repetition, eps, computed, cpu, len(faces)


def compare(rows: pd.DataFrame) -> pd.DataFrame:
    """A row an attack: gradients a face over all budgets, of ours and of whoever shares none, and the CPU seconds of
    the fastest peer in multiples of ours, all in all and a gradient. Raises ValueError where a peer has computed other
    gradients than the attack has."""
    whole = {
        (name, eps): attack(**entry).gradients(eps) for name, entry in entries().items() for eps in set(rows["eps"])
    }
    for row in rows[rows["crafter"] != OURS].itertuples():
        if row.gradients != whole[row.attack, row.eps]:
            raise ValueError(
                f"{row.crafter}: {row.gradients} gradients where {row.attack} has {whole[row.attack, row.eps]}"
            )
    found = []
    for name, own in rows.groupby("attack", sort=False):
        total = own.groupby("crafter")[["gradients", "cpu_seconds"]].sum() / own["repetition"].nunique()
        peers = total.drop(index=OURS)
        fastest = peers["cpu_seconds"].idxmin()
        rate = total["cpu_seconds"] / total["gradients"]
        found.append(
            {
                "attack": name,
                "shares": shares_path(entries()[name]),
                "gradients": int(total["gradients"][OURS]),
                "theirs": int(peers["gradients"][fastest]),
                "fastest": fastest,
                "times": peers["cpu_seconds"][fastest] / total["cpu_seconds"][OURS],
                "a gradient": rate[fastest] / rate[OURS],
            }
        )
    return pd.DataFrame(found)


def main(options: Namespace) -> None:
    devices.use("cpu", options.threads)
    with tempfile.TemporaryDirectory() as directory:
        arguments = options.model, options.attacks, options.eps, options.repetitions, options.batch
        rows = measure(*arguments, Path(directory))
    write_text(options.output, rows.to_csv(index=False))
    print(compare(rows).to_markdown(index=False, floatfmt=".2f"), file=sys.stderr)


if __name__ == "__main__":
    arguments = command_line.parser(__doc__)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: an entry of networks")
    arguments.add_argument("--attacks", nargs="+", choices=list(PEERS), default=list(PEERS))
    arguments.add_argument("--eps", type=int, nargs="+", required=True)
    arguments.add_argument("--repetitions", type=int, required=True)
    arguments.add_argument("--threads", type=int, required=True, help="of torch, for every crafter")
    arguments.add_argument("--batch", type=int, required=True, help="faces computed at once")
    arguments.add_argument("--output", type=Path, required=True)
    command_line.run(main, arguments)
