"""The photographs of a synthetic study, as a data set on disk like any other."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from cloakbench.files import writing
from cloakbench.render import render


def render_photos(directory: Path, identities: int, photos: int, seed: int) -> None:
    """Write <directory>/<identity>/<photo>.jpg, high-quality JPEG as a camera would."""
    with writing(directory) as temporary:
        for identity in tqdm(range(identities), desc="render", unit="identity", mininterval=1):
            folder = temporary / f"id{identity:04d}"
            folder.mkdir(parents=True)
            for photo in range(photos):
                render(identity, photo, seed).save(folder / f"{photo:04d}.jpg", quality=95, subsampling=0)
