"""Sample: draw the subjects whose photos are attacked and the photos that are enrolled, by a seed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from cloakbench.copies import Copies
from cloakbench.crops import cut
from cloakbench.datasets import Dataset
from cloakbench.detectors import BOX, COLUMNS, Detection, Detector, from_row, to_row
from cloakbench.errors import InputError
from cloakbench.files import read_table, write_text
from cloakbench.images import read_photo
from cloakbench.seals import sha256


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


@dataclass(frozen=True)
class Wanted:
    """How many subjects, attacked photos a subject, enrolled photos an identity (0: nothing is enrolled).

    enrol_min: with as many an identity still stands in the gallery; a subject has `enrol`.
    classes: the largest k of top-k; among fewer identities every face would be recognised.
    """

    subjects: int
    photos: int
    enrol: int
    enrol_min: int
    classes: int


def draw(dataset: Dataset, wanted: Wanted, seed: int, detector: Detector) -> tuple[pd.DataFrame, pd.DataFrame]:
    """subjects.csv and enrolment.csv of a study.

    Subjects are the first identities of a seeded shuffle that have enough photos with a face; within an identity
    the photos are shuffled by (seed, name), so one identity's draw does not depend on the others, but for pictures
    that two of them have. Attacked photos come first and are never enrolled. A photo that is unreadable, shows no face
    or is a copy, byte for byte or nearly, of one that was taken before under any name or identity is passed over for
    the next one.
    Raises InputError if fewer subjects are usable than wanted.
    """
    order = np.random.default_rng(seed).permutation(len(dataset.identities))
    search = _Search(dataset, wanted, seed, detector)
    subjects: list[dict] = []
    enrolment: list[dict] = []
    found = 0
    for identity in tqdm([dataset.identities[i] for i in order], desc="sample", unit="identity", mininterval=1):
        if found == wanted.subjects and not wanted.enrol:
            break  # without a gallery only the subjects' photos are ever opened
        attacked = wanted.photos if found < wanted.subjects else 0
        usable, passed_over = search.photos(identity, attacked)
        if len(usable) < attacked + wanted.enrol:
            attacked = 0  # too few photos to be a subject may still be enough to stand in the gallery
        elif attacked:
            subjects += [{"subject": found, "photo": k, **p.row()} for k, p in enumerate(usable[:attacked])]
            found += 1
        subjects += [{"subject": None, "photo": None, **photo.row()} for photo in passed_over]
        if len(usable) - attacked >= wanted.enrol_min:
            enrolment += [photo.row() for photo in usable[attacked:][: wanted.enrol]]
    gallery = _enrolment_frame(enrolment)
    _check(dataset.root, wanted, found, gallery["identity"].nunique())
    return _subjects_frame(subjects), gallery


@dataclass
class _Search:
    """Looks through identities' photos. taken: every photo that was usable so far. A copy under another name would be
    attacked and enrolled at once; under another identity it would be two people."""

    dataset: Dataset
    wanted: Wanted
    seed: int
    detector: Detector
    taken: Copies = field(default_factory=Copies)

    def photos(self, identity: str, attacked: int) -> tuple[list[Photo], list[Photo]]:
        """Usable photos of an identity, as many as it can use, and what was passed over on the way."""
        files, needed = self.dataset.photos(identity), attacked + self.wanted.enrol
        least = self.wanted.enrol_min or attacked
        if len(files) < least:  # not opened in vain: most identities of LFW have a single photo
            return [], [Photo(identity, "", passed_over=f"identity passed over: {len(files)} photos, {least} needed")]
        examined = list(self._examine(identity, files, needed))
        usable = [photo for photo in examined if not photo.passed_over]
        passed_over = [photo for photo in examined if photo.passed_over]
        needed = needed if attacked else least
        if len(usable) < needed:
            reason = f"identity passed over: {len(usable)} usable photos, {needed} needed"
            passed_over.append(Photo(identity, "", passed_over=reason))
        return usable, passed_over

    def _examine(self, identity: str, files: list[Path], count: int) -> Iterator[Photo]:
        """Photos of the identity in shuffled order until `count` usable ones have come."""
        order = np.random.default_rng([self.seed, zlib.crc32(identity.encode())]).permutation(len(files))
        for index in order:
            if count == 0:
                return
            photo = examine(self.dataset.root, identity, files[index], self.detector, self.taken)
            if not photo.passed_over:
                count -= 1
            yield photo


def _check(root: Path, wanted: Wanted, found: int, enrolled: int) -> None:
    if found < wanted.subjects:
        raise InputError(
            f"{root}: {found} subjects with {wanted.photos + wanted.enrol} usable photos each, "
            f"{wanted.subjects} asked for; lower dataset.subjects ({wanted.subjects}), dataset.photos "
            f"({wanted.photos}) or dataset.enrol ({wanted.enrol})"
        )
    if wanted.enrol and enrolled <= wanted.classes:
        raise InputError(
            f"{root}: {enrolled} identities are enrolled, too few for top-{wanted.classes}: lower top_k or "
            f"dataset.enrol_min, or add identities with {wanted.enrol_min} usable photos"
        )


def examine(root: Path, identity: str, path: Path, detector: Detector, taken: Copies) -> Photo:
    """The photo with its face, remembered in `taken`, or with the reason for passing it over."""
    file = path.relative_to(root).as_posix()
    try:
        picture = read_photo(path)
    except InputError as error:
        return Photo(identity, file, passed_over=str(error).removeprefix(f"{path}: "))
    if min(picture.size) < 20:  # MTCNN looks for faces of 20 pixels and more
        return Photo(identity, file, passed_over=f"{picture.width} x {picture.height} pixels: too small for a face")
    # one at a time: in a batch the boxes differ in their last bits, and would depend on who else is drawn
    face: Detection | None = detector.find([picture])[0]
    if face is None:
        return Photo(identity, file, passed_over="no face found")
    if fault := face.fault(picture.size):
        return Photo(identity, file, passed_over=fault)
    digest = sha256(path)
    copy = taken.take(identity, file, digest, picture, face)
    return Photo(identity, file, passed_over=copy) if copy else Photo(identity, file, digest, face)


def _subjects_frame(rows: list[dict]) -> pd.DataFrame:
    frame = pd.DataFrame(rows).astype({"subject": "Int64", "photo": "Int64"} | COLUMNS)
    return frame.sort_values(["subject", "photo"], na_position="last", kind="stable").reset_index(drop=True)


def _enrolment_frame(rows: list[dict]) -> pd.DataFrame:
    columns = [column for column in Photo("", "").row() if column != "passed_over"]
    frame = pd.DataFrame(rows, columns=columns).astype(COLUMNS)
    return frame.sort_values(["identity", "file"], kind="stable").reset_index(drop=True)


TEXT = {"identity": str, "file": str, "sha256": str, "passed_over": str}
NAMES = ["identity", "file"]  # what the data set's owner has called them
FORMULA = ("=", "+", "-", "@", "'")


def write_photos(path: Path, photos: pd.DataFrame) -> None:
    """subjects.csv or enrolment.csv. A name that a spreadsheet would take for a formula gets a ' in front."""
    shown = photos.assign(
        **{name: photos[name].map(lambda text: f"'{text}" if text.startswith(FORMULA) else text) for name in NAMES}
    )
    write_text(path, shown.to_csv(index=False))


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


def identities_of(faces: pd.DataFrame, subjects: pd.DataFrame) -> pd.Series:
    """Who is on each face of a table with the columns subject and photo, by the rows of subjects.csv."""
    known = attacked(subjects).set_index(["subject", "photo"])["identity"]
    return known.loc[pd.MultiIndex.from_frame(faces[["subject", "photo"]])]


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
        raise InputError(f"{path}: changed since it was sampled; rerun with --forcerun sample")
    return picture
