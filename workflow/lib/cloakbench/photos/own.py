"""Other photographs of the attacked people: neither attacked nor in the gallery, as whoever cloaks himself has them."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from tqdm import tqdm

from cloakbench.errors import InputError
from cloakbench.photos.copies import Copies
from cloakbench.photos.datasets import Dataset
from cloakbench.photos.draw import examine, shuffled
from cloakbench.photos.faces import Faces
from cloakbench.photos.sample import Photo, attacked, enrolment_frame


def own_photos(
    dataset: Dataset, subjects: pd.DataFrame, enrolment: pd.DataFrame, count: int, seed: int, faces: Faces
) -> pd.DataFrame:
    """`count` further photographs of each subject, with the columns of enrolment.csv, by identity and file.

    They come next in the order in which the draw took that person's. What the draw has passed over, and what is a copy
    of a photograph in the study or shows no face, is passed over here. Raises InputError for a subject with too few.
    """
    drawn, taken = {*subjects["file"], *enrolment["file"]}, Copies()
    for row in pd.concat([attacked(subjects), enrolment]).itertuples():
        found = faces.find(dataset.root / row.file)
        taken.take(row.identity, row.file, found.digest, found.looks)
    rows: list[dict] = []
    for identity in tqdm(attacked(subjects)["identity"].unique(), desc="own", unit="identity", mininterval=1):
        usable = list(_usable(dataset, identity, drawn, count, seed, faces, taken))
        if len(usable) < count:
            have = f"{identity} has {len(usable)} usable photos beside the attacked and the enrolled ones"
            lower = "lower dataset.own, dataset.enrol or dataset.photos, or leave out attacks that need own photos"
            raise InputError(f"{dataset.root}: {have}, dataset.own asks for {count}; {lower}")
        rows += [photo.row() for photo in usable]
    return enrolment_frame(rows)


def _usable(
    dataset: Dataset, identity: str, drawn: set[str], count: int, seed: int, faces: Faces, taken: Copies
) -> Iterator[Photo]:
    for file in shuffled(dataset.photos(identity), identity, seed):
        if not count:
            return
        if file.relative_to(dataset.root).as_posix() in drawn:
            continue
        photo = examine(dataset.root, identity, file, faces, taken)
        if not photo.passed_over:
            count -= 1
            yield photo
