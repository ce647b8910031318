"""Look: what a target's network puts out for the faces that it is shown, once, for all who judge it.

Outputs are records, a face each: "embedding" or, where a network's class head cannot be taken off, "logits", (D,)
float32; "outside", the share in percent of what the target sees that lies outside the stored picture and is black.
Where the target is shown nothing both are NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from cloakbench.errors import InputError
from cloakbench.files.records import RecordFile
from cloakbench.photos.crops import cut, outside, shape
from cloakbench.photos.detectors import from_row
from cloakbench.publishing.store import read_stored
from cloakbench.recognisers.recogniser import Recogniser, batches, to_tensor


def look(
    redetected: pd.DataFrame,
    directory: Path,
    recogniser: Recogniser,
    crop: Mapping,
    missed: str,
    batch: int,
    device: torch.device,
    path: Path,
) -> None:
    """Write the outputs for each row of a cell's re-detected faces, whose pictures lie in `directory`.

    The target is shown nothing where no face was found, unless `missed` is whole_crop: then the whole stored picture.
    Raises InputError if it answers with numbers that are not finite, and with the file's name for a face that the crop
    cannot be cut from.
    """
    written = RecordFile(path, len(redetected), missing=np.nan)
    for part in tqdm(list(batches(redetected, batch)), desc="look", unit="batch", mininterval=1):
        rows = shown(redetected["detected"], part, missed)
        if len(rows):
            seen = [_seen(row, directory, crop) for row in redetected.iloc[rows].to_dict("records")]
            faces, shares = zip(*seen, strict=True)
            written[rows] = outputs(recogniser, np.stack(faces), device) | {"outside": np.array(shares, np.float64)}
    if written.records is None:  # the fields are those of a face that nobody has
        black = np.zeros((1, *shape(crop), 3), np.uint8)
        written[slice(0)] = {
            name: value[:0] for name, value in (outputs(recogniser, black, device) | {"outside": np.zeros(1)}).items()
        }


def look_at_photos(
    parts: Sequence[np.ndarray], recogniser: Recogniser, batch: int, device: torch.device, path: Path
) -> None:
    """Write the outputs for faces as they are cut from photographs: arrays (M, height, width, 3) uint8, N together."""
    written, first = RecordFile(path, sum(map(len, parts))), 0
    for faces in parts:
        for part in tqdm(list(batches(faces, batch)), desc="look", unit="batch", mininterval=1):
            rows = slice(first + part.start, first + part.stop)
            none = np.zeros(part.stop - part.start)  # is outside
            written[rows] = outputs(recogniser, faces[part], device) | {"outside": none}
        first += len(faces)


def shown(detected: pd.Series, part: slice, missed: str) -> np.ndarray:
    """The rows of a batch that the target is shown, (n,). detected: 0 or 1; missed: what of a face not found again."""
    rows = np.arange(part.start, part.stop)
    return rows if missed == "whole_crop" else rows[detected.iloc[part].to_numpy() == 1]


def outputs(recogniser: Recogniser, faces: np.ndarray, device: torch.device) -> dict[str, np.ndarray]:
    """Of (n, height, width, 3) uint8 faces, (n, D) float32. Raises InputError if they are not finite numbers."""
    with torch.inference_mode():
        found = recogniser.embeddings(to_tensor(faces, device))
    if not found.isfinite().all():
        raise InputError("the target's outputs are not finite numbers: its weights do not fit its architecture")
    return {recogniser.outputs: found.cpu().numpy()}


def _seen(row: Mapping, directory: Path, crop: Mapping) -> tuple[np.ndarray, float]:
    """What the target sees of a row's stored picture, and the share of it that lies outside."""
    picture, face = read_stored(directory, row["file"], row["sha256"]), from_row(row)
    try:
        return cut(picture, face, crop), outside(picture.size, face, crop)
    except InputError as error:
        raise InputError(f"{directory / row['file']}: {error}") from None
