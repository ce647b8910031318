"""How long crafting the paper's grid takes, here and with other people's libraries, on one network and the same faces.

All crafters take turns budget by budget, in an order that changes, so that a machine whose speed drifts is slow for
all of them. Times are wall-clock and CPU seconds of the attack alone: the network is loaded beforehand.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.crafters import (
    BIM,
    CPU,
    FLOOR_GRADIENTS,
    Crafter,
    Setting,
    alone,
    bare_loop,
    prepare,
    shared_path,
    user_network,
)
from benchmarks.opponents import installed
from cloakbench.attacks import cost, families
from cloakbench.files.reading import open_faces
from cloakbench.files.writing import write_text
from cloakbench.jobs import command as command_line
from cloakbench.jobs import devices
from cloakbench.recognisers.recogniser import Recogniser, to_tensor
from cloakbench.study.grid import link

BUDGETS = [4, 8, 16, 32, 64, 128]
COLUMNS = ["crafter", "repetition", "eps", "gradients", "seconds", "cpu_seconds", "recognised", "faces", "as_ours"]


def measure(model: Mapping, repetitions: int, batch: int, directory: Path) -> pd.DataFrame:
    """A row a crafter, repetition and budget (COLUMNS, and the last two below) of crafting some faces.

    gradients: evaluations a face; as_ours: share of bytes that equal the cell crafted here in fp32; device: what
    computed; bf16_times: how many times as long as in fp32 a gradient takes in bf16. Above cost.SLOWER nothing is
    crafted in bf16.
    model: `arch`, `size`, `faces` (how many), `mean`, `std`, and `weights`, a converted checkpoint or None for seeded
    random ones.
    """
    setting = prepare(model, batch, directory)
    times = bf16_times(setting)
    precisions = ["fp32"] if times > cost.SLOWER else ["fp32", "bf16"]
    judge, rows = setting.recogniser(), []
    for repetition in range(repetitions):
        crafters = everybody(setting, repetition, precisions)
        for turn, eps in enumerate(BUDGETS):
            rows += taking_turns(crafters, turn + repetition, eps, repetition, setting, judge)
    return pd.DataFrame(rows, columns=COLUMNS).assign(device=devices.name(CPU), bf16_times=times)


def bf16_times(setting: Setting) -> float:
    """How many times as long as in fp32 the gradient of a batch takes in bf16: .5 where the processor has units for
    it, 12 where it has to emulate them (FaceNet with AMX and with AVX2)."""
    faces = open_faces(setting.faces)[: setting.batch]
    fp32, bf16 = (cost.seconds_a_gradient(setting.recogniser(name), faces, CPU) for name in ("fp32", "bf16"))
    return bf16 / fp32


def everybody(setting: Setting, repetition: int, precisions: Sequence[str]) -> dict[str, Crafter]:
    """All crafters by name, at the beginning of their grid."""
    ours = {f"cloakbench {name}": shared_path(setting, name, f"{name}-{repetition}") for name in precisions}
    libraries = {name: alone(bim, user_network(setting), setting) for name, bim in installed().items()}
    return {**ours, **libraries, "bare loop": bare_loop(setting)}


def taking_turns(
    crafters: Mapping[str, Crafter], turn: int, eps: int, repetition: int, setting: Setting, judge: Recogniser
) -> Iterator[tuple]:
    names = list(crafters)
    first = turn % len(names)
    timed = {name: stopwatch(crafters[name], eps) for name in names[first:] + names[:first]}
    ours = timed["cloakbench fp32"][0]
    for name in names:
        faces, seconds, cpu = timed[name]
        recognised = int((judge(to_tensor(faces)).argmax(dim=1).numpy() == setting.labels).sum())
        gradients = gradients_of(name, eps)
        print(f"eps {eps}: {name}: {gradients} gradients a face, {cpu:.1f} s of CPU", file=sys.stderr)
        yield name, repetition, eps, gradients, seconds, cpu, recognised, len(faces), float((faces == ours).mean())


def stopwatch(crafter: Crafter, eps: int) -> tuple[np.ndarray, float, float]:
    """What the crafter makes, and the wall-clock and CPU seconds that it takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    faces = crafter(eps)
    return faces, time.perf_counter() - wall, time.process_time() - cpu


def gradients_of(name: str, eps: int) -> int:
    """Gradient evaluations a face that a crafter makes in the turn of budget eps."""
    if name == "bare loop":
        return FLOOR_GRADIENTS
    return gradients_of_ours(BIM, eps) if name.startswith("cloakbench") else families.attack(**BIM).gradients(eps)


def gradients_of_ours(entry: Mapping, eps: int) -> int:
    """Gradient evaluations a face in the turn of budget eps, which begins where the path has been walked to."""
    attack = families.attack(**entry)
    return attack.gradients(eps) - (attack.shared(link(eps)) if families.shares_path(entry) else 0)


def main(options: Namespace) -> None:
    devices.use("cpu", options.threads)
    with tempfile.TemporaryDirectory() as directory:
        rows = measure(options.model, options.repetitions, options.batch, Path(directory))
    write_text(options.output, rows.to_csv(index=False))


if __name__ == "__main__":
    arguments = command_line.parser(__doc__)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: an entry of networks")
    arguments.add_argument("--repetitions", type=int, required=True)
    arguments.add_argument("--threads", type=int, required=True, help="of torch, for every crafter")
    arguments.add_argument("--batch", type=int, required=True, help="faces computed at once")
    arguments.add_argument("--output", type=Path, required=True)
    command_line.run(main, arguments)
