"""The sample: subjects.csv and enrolment.csv, which photos are attacked and which enrolled, and their crops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from cloakbench.errors import InputError
from cloakbench.files.reading import read_table
from cloakbench.files.seals import sha256
from cloakbench.files.writing import write_text
from cloakbench.photos.crops import cut
from cloakbench.photos.detectors import BOX, COLUMNS, Detection, from_row, to_row
from cloakbench.photos.images import read_photo


@dataclass(frozen=True)
class Photo:
    """One row of subjects.csv or enrolment.csv: a photo with the face found in it, or why it was passed over."""

    identity: str
    file: str
    sha256: str = ""
    face: Detection | None = None
    passed_over: str = ""

    def row(self) -> dict[str, Any]:
        """The photo as the columns of a table; what tables have had for longest comes first."""
        text = {"identity": self.identity, "file": self.file, "sha256": self.sha256}
        return text | dict.fromkeys(BOX) | {"passed_over": self.passed_over} | to_row(self.face)


def subjects_frame(rows: list[dict]) -> pd.DataFrame:
    """subjects.csv of rows in the order of the draw: who is attacked first, then what was passed over."""
    frame = pd.DataFrame(rows).astype({"subject": "Int64", "photo": "Int64"} | COLUMNS)
    return frame.sort_values(["subject", "photo"], na_position="last", kind="stable").reset_index(drop=True)


def enrolment_frame(rows: list[dict]) -> pd.DataFrame:
    """enrolment.csv, by identity and file."""
    columns = [column for column in Photo("", "").row() if column != "passed_over"]
    frame = pd.DataFrame(rows, columns=columns).astype(COLUMNS)
    return frame.sort_values(["identity", "file"], kind="stable").reset_index(drop=True)


TEXT = {"identity": str, "file": str, "sha256": str, "passed_over": str}
NAMES = ["identity", "file"]  # what the data set's owner has called them
FORMULA = ("=", "+", "-", "@", "'")


def write_photos(path: Path, photos: pd.DataFrame) -> None:
    """subjects.csv, enrolment.csv or another table of photos."""
    write_text(path, shown(photos).to_csv(index=False))


def shown(photos: pd.DataFrame) -> pd.DataFrame:
    """The table as others may open it: a name that a spreadsheet would take for a formula gets a ' in front."""
    return photos.assign(
        **{name: photos[name].map(lambda text: f"'{text}" if text.startswith(FORMULA) else text) for name in NAMES}
    )


def read_photos(path: Path) -> pd.DataFrame:
    """What `write_photos` wrote; an identity may be called NA, 007 or =cmd() and stays what it is."""
    frame = read_table(path, dtype=TEXT, keep_default_na=False, na_values={"subject": [""], "photo": [""]})
    for name in NAMES:
        frame[name] = frame[name].str.removeprefix("'")
    whole_numbers = {column: "Int64" for column in ("subject", "photo") if column in frame}
    numbers = [column for column in COLUMNS if column in frame]
    frame[numbers] = frame[numbers].apply(pd.to_numeric)
    return frame.astype(whole_numbers)


def attacked(subjects: pd.DataFrame, part: slice = slice(None)) -> pd.DataFrame:
    """The rows of subjects.csv whose photos are attacked, in the order of every array of faces.

    part: which of them, where a job computes a part of the study's faces only.
    """
    return subjects[subjects["subject"].notna()].iloc[part].reset_index(drop=True)


def enrolled(subjects: pd.DataFrame, enrolment: pd.DataFrame) -> pd.DataFrame:
    """The rows of enrolment.csv that show the attacked people, with the columns subject and photo in front: whose it is
    as in subjects.csv, and the how manieth of theirs."""
    people = attacked(subjects).drop_duplicates("identity").set_index("identity")["subject"]
    photos = enrolment[enrolment["identity"].isin(people.index)]
    numbers = {
        "subject": photos["identity"].map(people),
        "photo": photos.groupby("identity").cumcount().astype("Int64"),
    }
    return photos.assign(**numbers).sort_values(["subject", "photo"])[[*numbers, *enrolment]].reset_index(drop=True)


def identities_of(faces: pd.DataFrame, subjects: pd.DataFrame) -> pd.Series:
    """Who is on each face of a table with the columns subject and photo, by the rows of subjects.csv."""
    known = attacked(subjects).set_index(["subject", "photo"])["identity"]
    return known.loc[pd.MultiIndex.from_frame(faces[["subject", "photo"]])]


def one_draw(drawn: pd.DataFrame, draw: int, subjects: int) -> pd.DataFrame:
    """Of subjects.csv of several draws of so many subjects, the rows of one draw, from 1 on, its subjects numbered from
    0; with what was passed over."""
    first = (draw - 1) * subjects
    chosen = drawn["subject"].isna() | drawn["subject"].between(first, first + subjects - 1)
    return drawn[chosen.fillna(True).astype(bool)].assign(subject=lambda rows: rows["subject"] - first)


def cut_faces(photos: pd.DataFrame, root: Path, crop: dict, faces: np.ndarray) -> None:
    """Fill `faces` (N, height, width, 3) with the crops of N rows of subjects.csv or enrolment.csv.

    Raises InputError with the file's name for a photo that is no longer the one that was sampled, and for one that
    the crop cannot be cut from.
    """
    for index, row in enumerate(tqdm(photos.itertuples(), total=len(photos), desc="crop", mininterval=1)):
        path = root / row.file
        picture = sampled_photo(path, row.sha256)
        try:
            faces[index] = cut(picture, from_row(row._asdict()), crop)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def sampled_photo(path: Path, digest: str) -> Image.Image:
    picture = read_photo(path)
    if sha256(path) != digest:
        raise InputError(f"{path}: changed since it was sampled; rerun with --forcerun draw")
    return picture
