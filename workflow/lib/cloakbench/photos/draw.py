"""Draw: the subjects whose photos are attacked and the photos that are enrolled, by a seed; and the search for their
faces beforehand, in shares."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from cloakbench.errors import InputError
from cloakbench.photos.copies import Copies
from cloakbench.photos.datasets import Dataset
from cloakbench.photos.faces import Faces
from cloakbench.photos.passed_over import told
from cloakbench.photos.sample import Photo, enrolment_frame, subjects_frame
from cloakbench.photos.wanted import Wanted


class TooFew(InputError):
    """Of the photos too few are usable. photos: those that were passed over, as rows of subjects.csv."""

    def __init__(self, message: str, photos: pd.DataFrame):
        super().__init__(message)
        self.photos = photos


def draw(dataset: Dataset, wanted: Wanted, classes: int, faces: Faces) -> tuple[pd.DataFrame, pd.DataFrame]:
    """subjects.csv and enrolment.csv of a study. classes: the largest k of top-k, below the number of identities.

    Subjects are the first identities of a seeded shuffle that have enough photos with a face; within an identity
    the photos are shuffled by (seed, name), so one identity's draw does not depend on the others, but for pictures
    that two of them have. Attacked photos come first and are never enrolled. A photo that is unreadable, shows no face
    or is a copy, byte for byte or nearly, of one that was taken before under any name or identity is passed over for
    the next one.
    Raises TooFew if fewer subjects are usable than wanted, or so few identities that everybody would be recognised.
    """
    search = _Search(dataset, wanted, faces)
    subjects: list[dict] = []
    enrolment: list[dict] = []
    found = 0
    for identity in tqdm(in_order(dataset, wanted.seed), desc="draw", unit="identity", mininterval=1):
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
    drawn, gallery = subjects_frame(subjects), enrolment_frame(enrolment)
    if lacking := _lacking(wanted, classes, found, gallery["identity"].nunique()):
        photos = drawn[drawn["subject"].isna()]
        raise TooFew(f"{dataset.root}: {lacking}{told(photos)}", photos)
    return drawn, gallery


def _lacking(wanted: Wanted, classes: int, found: int, enrolled: int) -> str:
    """What there is too little of and what would do; empty where there is enough."""
    if found < wanted.subjects:
        return (
            f"{found} subjects with {wanted.photos + wanted.enrol} usable photos each, "
            f"{wanted.subjects} asked for; lower dataset.subjects ({wanted.subjects}), dataset.photos "
            f"({wanted.photos}) or dataset.enrol ({wanted.enrol})"
        )
    if wanted.enrol and enrolled <= classes:
        return (
            f"{enrolled} identities are enrolled, too few for top-{classes}: lower top_k or "
            f"dataset.enrol_min, or add identities with {wanted.enrol_min} usable photos"
        )
    return ""


def detect(dataset: Dataset, wanted: Wanted, faces: Faces, share: int, shares: int) -> pd.DataFrame:
    """Look at the photos of every `shares`-th identity that a draw is going to look at, from the `share`-th on.

    Columns identity, file, sha256, passed_over: what was looked at, by the draw's own search. What only the whole draw
    knows, copies under another identity and who steps in for a subject that is not usable, is left to it.
    """
    identities = list(expected(dataset, wanted))[share::shares]
    rows = []
    for identity, attacked in tqdm(identities, desc="detect", unit="identity", mininterval=1):
        usable, passed_over = _Search(dataset, wanted, faces).photos(identity, attacked)
        rows += [photo.row() for photo in (*usable, *passed_over)]
    return pd.DataFrame(rows, columns=["identity", "file", "sha256", "passed_over"])


def expected(dataset: Dataset, wanted: Wanted) -> Iterator[tuple[str, int]]:
    """The identities that a draw looks at if every photo is usable, with the number of photos that it attacks."""
    found = 0
    for identity in in_order(dataset, wanted.seed):
        if found == wanted.subjects and not wanted.enrol:
            return
        attacked = wanted.photos if found < wanted.subjects else 0
        found += bool(attacked) and len(dataset.photos(identity)) >= attacked + wanted.enrol
        yield identity, attacked


def in_order(dataset: Dataset, seed: int) -> list[str]:
    """The identities as the seed shuffles them."""
    return [dataset.identities[i] for i in np.random.default_rng(seed).permutation(len(dataset.identities))]


@dataclass
class _Search:
    """Looks through identities' photos. taken: every photo that was usable so far. A copy under another name would be
    attacked and enrolled at once; under another identity it would be two people."""

    dataset: Dataset
    wanted: Wanted
    faces: Faces
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
        for file in shuffled(files, identity, self.wanted.seed):
            if count == 0:
                return
            photo = examine(self.dataset.root, identity, file, self.faces, self.taken)
            if not photo.passed_over:
                count -= 1
            yield photo


def shuffled(files: list[Path], identity: str, seed: int) -> list[Path]:
    """An identity's photos in the order in which they are taken."""
    order = np.random.default_rng([seed, zlib.crc32(identity.encode())]).permutation(len(files))
    return [files[index] for index in order]


def examine(root: Path, identity: str, path: Path, faces: Faces, taken: Copies) -> Photo:
    """The photo with its face, remembered in `taken`, or with the reason for passing it over."""
    file, found = path.relative_to(root).as_posix(), faces.find(path)
    if found.passed_over:
        return Photo(identity, file, passed_over=found.passed_over)
    copy = taken.take(identity, file, found.digest, found.looks)
    return Photo(identity, file, passed_over=copy) if copy else Photo(identity, file, found.digest, found.face)
