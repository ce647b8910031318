"""Redetect: find the face again in what was stored."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from tqdm import tqdm

from cloakbench.photos.detectors import COLUMNS, Detector, to_row
from cloakbench.publishing.store import read_stored


def redetect(manifest: pd.DataFrame, directory: Path, detector: Detector, batch: int) -> pd.DataFrame:
    """The manifest's rows with `detected` (0 or 1) and the detection; one that no crop can be cut from is none."""
    found: list[pd.DataFrame] = []
    for start in tqdm(range(0, len(manifest), batch), desc="redetect", unit="batch", mininterval=1):
        rows = manifest.iloc[start : start + batch]
        pictures = [read_stored(directory, row.file, row.sha256) for row in rows.itertuples()]
        faces = zip(pictures, detector.find(pictures), strict=True)
        usable = [None if face and face.fault(picture.size) else face for picture, face in faces]
        found.append(pd.DataFrame(map(to_row, usable)).astype(COLUMNS))
    detections = pd.concat(found, ignore_index=True)
    detected = detections["left"].notna().astype(int).rename("detected")
    return pd.concat([manifest.reset_index(drop=True), detected, detections], axis=1)
