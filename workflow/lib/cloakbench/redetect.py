"""Redetect: find the face again in what was stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from cloakbench.detectors import Detector
from cloakbench.store import read_stored

BOX = ["left", "top", "right", "bottom"]


def redetect(manifest: pd.DataFrame, directory: Path, detector: Detector, batch: int) -> pd.DataFrame:
    """The manifest's rows with `detected` (0 or 1), the face box in pixels and the detector's confidence."""
    found: list[Sequence[float | None]] = []
    for start in tqdm(range(0, len(manifest), batch), desc="redetect", unit="batch", mininterval=1):
        rows = manifest.iloc[start : start + batch]
        pictures = [read_stored(directory, row.file, row.sha256) for row in rows.itertuples()]
        found += [face or (None,) * 5 for face in detector.find(pictures)]
    boxes = pd.DataFrame(found, columns=[*BOX, "confidence"], dtype=float)
    detected = boxes["left"].notna().astype(int).rename("detected")
    return pd.concat([manifest.reset_index(drop=True), detected, boxes], axis=1)
