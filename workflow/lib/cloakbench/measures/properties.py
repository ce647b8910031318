"""Properties of clean faces that no network has to be asked for: size, light, sharpness and pose of a photograph.

tests/test_properties.py compares all with plain loops.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from cloakbench.errors import InputError
from cloakbench.files.reading import read_table
from cloakbench.measures.cells import FACE
from cloakbench.photos.crops import cut
from cloakbench.photos.detectors import Detection, from_row
from cloakbench.photos.sample import sampled_photo
from cloakbench.study.attributes import MARGIN, PROPERTIES

SIZE = 112  # pixels of the square that every face is measured in: contrast and sharpness depend on the size
LUMA = np.array([0.299, 0.587, 0.114])  # of R, G and B (ITU-R BT.601)


def columns(targets: Iterable[str]) -> list[str]:
    """The columns of properties.csv.

    >>> columns(["facenet"])[-2:]
    ['yaw', 'margin_facenet']
    """
    return [*FACE, *PROPERTIES, *(f"{MARGIN}_{target}" for target in targets)]


def properties(subjects: pd.DataFrame, root: Path) -> pd.DataFrame:
    """A row a face: subject, photo and PROPERTIES, rounded to 6 places: the height of the face box in pixels of the
    photograph, the detector's confidence (0..1), and of the face cut from it by the box, SIZE x SIZE, mean and standard
    deviation of luma (RMS contrast), in grey levels, its sharpness, and its yaw.

    subjects: rows of subjects.csv that are attacked, whose photos lie below root. Raises InputError for a photo that is
    no longer the one that was drawn.
    """
    rows = []
    for row in tqdm(subjects.itertuples(), desc="properties", total=len(subjects), mininterval=1):
        face = from_row(row._asdict())
        luma = cut(sampled_photo(root / row.file, row.sha256), face, {"size": SIZE, "margin": 0}) @ LUMA
        told = (
            face.bottom - face.top,
            face.confidence,
            float(luma.mean()),
            float(luma.std()),
            sharpness(luma),
            yaw(face),
        )
        rows.append([row.subject, row.photo, *(round(value, 6) for value in told)])
    return pd.DataFrame(rows, columns=columns([]))


def sharpness(luma: np.ndarray) -> float:
    """Variance of the Laplacian, in grey levels squared (Pech-Pacheco, Cristobal, Chamorro-Martinez, Fernandez-Valdivia
    2000), of (height, width) grey levels: of the four neighbours' sum minus four times the pixel, within the picture.

    >>> sharpness(np.outer(np.ones(5), np.arange(5.0))), sharpness(np.eye(4))
    (0.0, 9.0)
    """
    inner = luma[1:-1, 1:-1]
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float((around - 4 * inner).var())


def yaw(face: Detection) -> float:
    """How far a face is turned to a side, no angle: |ln(a / b)| of the distances a, b from the nose to the two eyes. 0
    is frontal; tilting the head within the picture changes nothing. Not a number without points.

    >>> yaw(Detection(0, 0, 9, 9, 1.0, ((1, 2), (7, 2), (4, 6), (2, 8), (6, 8))))
    0.0
    """
    if face.points is None:
        return math.nan
    left, right, nose, *_ = face.points
    one, other = math.dist(nose, left), math.dist(nose, right)
    return abs(math.log(one / other)) if one and other else math.nan


def with_margins(table: pd.DataFrame, margins: Sequence[Path]) -> pd.DataFrame:
    """properties.csv: the table, and a column for each target's margins. Raises InputError for those of other faces."""
    for path in margins:
        frame = read_table(path, dtype={"target": str}, keep_default_na=False)
        if frame[FACE].to_numpy().tolist() != table[FACE].to_numpy(int).tolist():
            raise InputError(f"{path}: other faces than subjects.csv; delete it and run again")
        table = table.assign(**{f"{MARGIN}_{frame['target'].iloc[0]}": frame[MARGIN]})
    return table


def read_properties(path: Path, targets: Sequence[str]) -> pd.DataFrame:
    """properties.csv. Raises InputError for one that is damaged, or of other targets."""
    frame = read_table(path)
    if list(frame) != columns(targets):
        raise InputError(
            f"{path}: columns {list(frame)} where {columns(targets)} are expected; delete it and run again"
        )
    return frame
