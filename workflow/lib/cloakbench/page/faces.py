"""The faces of a page: display copies of what was published, what each cloak truly changed, and every face's ranks."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from cloakbench.errors import InputError
from cloakbench.files.reading import open_faces, read_table
from cloakbench.measures.cells import FACE, TYPES
from cloakbench.page.study import Shown
from cloakbench.photos.images import read_photo
from cloakbench.photos.sample import read_photos
from cloakbench.study.grid import Cell, cells, keys_of, place
from cloakbench.study.sources import canvas

SIDE, CHANGE_SIDE, QUALITY = 112, 64, 60  # pixels; of WebP
MOST_BYTES = 19_000_000  # of report.html, in base64
TRIED = 4  # faces whose pictures are made to estimate how large all are
CHANGES = 3  # budgets whose changes are shown where not all can be


@dataclass(frozen=True)
class Shelf:
    """What of a study's pictures a page holds.

    faces: how many, the first ones. storages: those whose pictures are shown. changes: the budgets whose changes are.
    """

    faces: int
    storages: Sequence[str]
    changes: Sequence[int]


def shelves(count: int, storages: Sequence[str], budgets: Sequence[int]) -> Iterator[Shelf]:
    """From all down to nothing, in the order in which a page gives things up: further storages, changes of some
    budgets, of all, every second face, and so on.

    >>> found = shelves(2, ["png", "webp"], [4, 8, 16, 32])
    >>> [(shelf.faces, len(shelf.storages), list(shelf.changes)) for shelf in found]
    [(2, 2, [4, 8, 16, 32]), (2, 1, [4, 8, 16, 32]), (2, 1, [4, 16, 32]), (2, 1, []), (1, 1, []), (0, 1, [])]
    """
    some = [budgets[i] for i in sorted({round(i) for i in np.linspace(0, len(budgets) - 1, CHANGES)})]
    yield from (Shelf(count, kept, budgets) for kept in (storages, storages[:1]))
    yield Shelf(count, storages[:1], some)
    while count >= 0:
        yield Shelf(count, storages[:1], [])
        count = count // 2 if count else -1


def told(shelf: Shelf, count: int, of: Shown) -> list[str]:
    """What a page says of what it leaves out."""
    left = []
    if shelf.faces < count:
        left.append(f"the first {shelf.faces} of {count} faces")
    if len(shelf.storages) < len(of.values["storage"]):
        left.append(f"pictures as stored by {', '.join(shelf.storages)}")
    if len(shelf.changes) < len(of.values["eps"]):
        left.append(
            f"changes at eps {', '.join(map(str, shelf.changes))}" if shelf.changes else "no pictures of changes"
        )
    return [f"To stay below 20 MB this page holds {'; '.join(left)}. All lie in the study's folder."] if left else []


class Album:
    """The pictures of a study, made when they are asked for. Raises InputError for a file that is not what was
    written."""

    def __init__(self, study: Path, of: Shown) -> None:
        self.study, self.of = study, of
        self.matrix, self.chunks = of.config["matrix"], of.config["compute"]["chunks"]
        people = read_photos(study / "subjects.csv")
        self.people = people[people["subject"].notna()].reset_index(drop=True)
        self._open = cache(self._opened)
        self._listed = cache(self._files)

    def published(self, number: int, cell: Mapping[str, Any]) -> str:
        """A face of a cell as it was stored, smaller; base64 of a WebP file."""
        name = place(cell, "store")
        folder, file = self._listed(name)[number]
        return encode(read_photo(folder / file).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS))

    def change(self, number: int, cell: Mapping[str, Any]) -> str:
        """By how much each pixel was changed before storage: the largest of its three colours, times `factor`."""
        clean = self._face("subjects", canvas(self.of.config, cell["source"]), number)
        crafted = self._face("crafted", place(cell, "craft"), number)
        return encode(changed(clean, crafted, factor(cell["eps"])))

    def _face(self, folder: str, name: str, number: int) -> np.ndarray:
        for path in self._parts(folder, name, ".npy"):
            faces = self._open(path)
            if number < len(faces):
                return faces[number]
            number -= len(faces)
        raise InputError(f"{self.study / folder / name}: holds fewer faces than subjects.csv; run the study again")

    def _opened(self, path: Path) -> np.ndarray:
        return open_faces(path)

    def _files(self, name: str) -> list[tuple[Path, str]]:
        """Folder and file name of each face of a stored cell."""
        found = []
        for manifest in self._parts("manifests", name, ".csv"):
            folder = self.study / "stored" / manifest.relative_to(self.study / "manifests").with_suffix("")
            found += [(folder, file) for file in read_table(manifest, dtype={"file": str})["file"]]
        return found

    def _parts(self, folder: str, name: str, suffix: str) -> list[Path]:
        if self.chunks == 1:
            return [self.study / folder / f"{name}{suffix}"]
        return [self.study / folder / name / f"part{part}{suffix}" for part in range(self.chunks)]


def factor(eps: int) -> int:
    """What a change is multiplied by so that the largest one that the budget admits is white.

    >>> factor(4), factor(128)
    (63, 1)
    """
    return max(1, 255 // max(1, eps))


def changed(clean: np.ndarray, crafted: np.ndarray, times: int) -> Image.Image:
    """The grey picture of |crafted - clean|, of (H, W, 3) uint8 faces: the largest of three colours, times `times`."""
    change = np.abs(crafted.astype(np.int16) - clean).max(axis=2)
    grey = Image.fromarray(np.clip(change * times, 0, 255).astype(np.uint8))
    return grey.resize((CHANGE_SIDE, CHANGE_SIDE), Image.Resampling.BOX)


def encode(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=QUALITY, method=2)
    return base64.b64encode(file.getvalue()).decode("ascii")


def blocks(album: Album, shelf: Shelf, key: Callable[[Cell], str], numbers: Sequence[int]) -> list[dict[str, dict]]:
    """Of each of these faces the pictures of all stored cells, and the changes of the crafted ones, by their key."""
    stored = list(cells({**album.matrix, "storage": list(shelf.storages)}, "store"))
    crafted = [cell for cell in cells(album.matrix, "craft") if cell["eps"] in shelf.changes]
    return [
        {
            "pictures": {key(cell): album.published(number, cell) for cell in stored},
            "changes": {key(cell): album.change(number, cell) for cell in crafted},
        }
        for number in numbers
    ]


def fitting(album: Album, count: int, key: Callable[[Cell], str], room: int) -> tuple[Shelf, list[dict]]:
    """The fullest shelf whose pictures fit into `room` bytes, and these: a few faces tell how large all will be."""
    of = album.of
    for shelf in shelves(count, of.values["storage"], of.values["eps"]):
        some = range(0, shelf.faces, max(1, shelf.faces // TRIED))
        tried = blocks(album, shelf, key, some)
        if size(tried) / max(1, len(some)) * shelf.faces > room:
            continue
        found = blocks(album, shelf, key, range(shelf.faces))
        if size(found) <= room:
            return shelf, found
    return Shelf(0, [], []), []


def size(found: Sequence[Mapping[str, Mapping[str, str]]]) -> int:
    return sum(len(text) + len(name) + 6 for block in found for part in block.values() for name, text in part.items())


def judged(study: Path, of: Shown, shown: pd.DataFrame, codes: Mapping[str, Sequence]) -> dict[str, Any]:
    """From faces.csv, by the places of a cell's values among `codes`: the ranks of the shown faces, null where none was
    judged, whether they were found again, and whom they were taken for; by target's place the classes of these people.

    shown: rows of subjects.csv, in the order of the page.
    """
    keys = keys_of("classify", of.config["matrix"])
    names = dict.fromkeys([*FACE, "detected", "rank", "label", "predicted"])
    types = {name: TYPES[name] for name in [*names, *keys]}
    rows = read_table(
        study / "faces.csv", dtype=types, usecols=[*types], keep_default_na=False, na_values=[""]
    ).set_index(FACE)
    wanted = pd.MultiIndex.from_frame(shown[FACE].astype(int))
    ranks, labels = {}, {}
    for values, cell in rows.groupby(keys, sort=False):
        cell = cell.reindex(wanted)
        own = dict(zip(keys, values, strict=True))
        ranks[",".join(str(codes[key].index(own[key])) for key in keys)] = {
            "rank": _whole(cell["rank"]),
            "found": "".join(map(str, cell["detected"].fillna(0))),
            "predicted": _whole(cell["predicted"]),
        }
        labels.setdefault(codes["target"].index(own["target"]), _whole(cell["label"]))
    return {"ranks": ranks, "labels": labels}


def _whole(column: pd.Series) -> list[int | None]:
    return [None if pd.isna(value) else int(value) for value in column]
