"""The photographs of a synthetic study, as a data set on disk like any other."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from cloakbench.files.writing import writing
from cloakbench.jobs.warm import die_with_it
from cloakbench.synthetic.render import render


def render_photos(directory: Path, identities: int, photos: int, seed: int, processes: int = 1) -> None:
    """Write <directory>/<identity>/<photo>.jpg, high-quality JPEG as a camera would.

    Identities are independent of one another: any number of processes gives the same bytes.
    """
    pool_of = partial(ProcessPoolExecutor, mp_context=get_context("fork"), initializer=die_with_it)
    with writing(directory) as temporary, pool_of(processes) as pool:
        done = pool.map(partial(_render_person, temporary, photos, seed), range(identities))
        for _ in tqdm(done, total=identities, desc="render", unit="identity", mininterval=1):
            pass


def _render_person(directory: Path, photos: int, seed: int, identity: int) -> None:
    folder = directory / f"id{identity:04d}"
    folder.mkdir(parents=True)
    for photo in range(photos):
        render(identity, photo, seed).save(folder / f"{photo:04d}.jpg", quality=95, subsampling=0)
