"""Cloaked enrolment: the faces of a gallery where some people's photographs are the published, cloaked ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from cloakbench.errors import InputError
from cloakbench.photos.crops import cut
from cloakbench.photos.detectors import from_row
from cloakbench.publishing.store import read_stored


class CloakedFaces:
    """Faces as in the clean (M, height, width, 3) uint8 array, read when asked for; rows: which of its M they are.

    A cloaked photograph is cut from the stored picture as a recogniser's crop wants it; one in which no face was found
    again cannot be enrolled. Raises InputError where that leaves somebody without a photograph.
    """

    def __init__(
        self,
        clean: np.ndarray,
        enrolment: pd.DataFrame,
        cloaked: pd.DataFrame,
        parts: Iterable[tuple[Path, pd.DataFrame]],
        crop: Mapping,
    ):
        """enrolment: the rows of `clean`; cloaked: those that are cloaked, with subject and photo; parts: folders of
        stored pictures, each with what was found again in it."""
        self.clean, self.crop = clean, crop
        found = {
            (row["subject"], row["photo"]): (folder, row) for folder, part in parts for row in part.to_dict("records")
        }
        row_of = {file: row for row, file in enumerate(enrolment["file"])}
        self.published = {
            row_of[photo.file]: found[photo.subject, photo.photo] for photo in cloaked.itertuples(index=False)
        }
        lost = {row for row, (_, seen) in self.published.items() if not seen["detected"]}
        self.rows = np.array([row for row in range(len(enrolment)) if row not in lost])
        if gone := sorted({*enrolment["identity"]} - {*enrolment["identity"].iloc[self.rows]}):
            raise InputError(
                f"gallery: in no cloaked photograph of {gone[0]} a face was found again, so that there is nothing to "
                "enrol; take a smaller budget, or leave the person out"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> np.ndarray:
        rows = self.rows[part]
        faces = np.array(self.clean[rows])
        for index, row in enumerate(rows.tolist()):
            if row in self.published:
                folder, seen = self.published[row]
                faces[index] = cut(read_stored(folder, seen["file"], seen["sha256"]), from_row(seen), self.crop)
        return faces
