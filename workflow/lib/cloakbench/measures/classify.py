"""Classify: show what the detector found to a target recogniser and rank the true identity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from cloakbench.errors import InputError
from cloakbench.measures.ranking import ranks
from cloakbench.photos.crops import cut, outside
from cloakbench.photos.detectors import from_row
from cloakbench.publishing.store import read_stored
from cloakbench.recognisers.recogniser import Recogniser, to_tensor


def classify(
    redetected: pd.DataFrame,
    directory: Path,
    recogniser: Recogniser,
    labels: np.ndarray,
    crop: Mapping,
    missed: str,
    batch: int,
    device: torch.device,
) -> pd.DataFrame:
    """One row a face: subject, photo, detected, rank, label, predicted, outside, classes (how many the target names).

    outside: share of what the target sees, in percent, that lies outside the stored picture and is black.
    The target sees nothing, and these are empty, where no face was found, unless `missed` is whole_crop: then it sees
    the whole stored picture. Raises InputError if the target answers with numbers that are not finite, and with the
    file's name for a face that the crop cannot be cut from.
    """
    rows = redetected[["subject", "photo", "detected"]].assign(
        rank=pd.array([pd.NA] * len(redetected), dtype="Int64"),
        label=labels,
        predicted=pd.array([pd.NA] * len(redetected), dtype="Int64"),
        outside=np.nan,
        classes=len(recogniser.classes),
    )
    for start in tqdm(range(0, len(redetected), batch), desc="classify", unit="batch", mininterval=1):
        part = redetected.iloc[start : start + batch]
        if missed != "whole_crop":
            part = part[part["detected"] == 1]
        if part.empty:
            continue
        seen = [_seen(row, directory, crop) for row in part.to_dict("records")]
        faces = np.stack([face for face, _ in seen])
        with torch.inference_mode():
            logits = recogniser(to_tensor(faces, device)).float()
        if not logits.isfinite().all():
            raise InputError("the target's logits are not finite numbers: its weights do not fit its architecture")
        truth = torch.from_numpy(labels[part.index]).to(device)
        rows.loc[part.index, "rank"] = ranks(logits, truth).cpu().numpy()
        rows.loc[part.index, "predicted"] = logits.argmax(dim=1).cpu().numpy()
        rows.loc[part.index, "outside"] = [share for _, share in seen]
    return rows


def _seen(row: Mapping, directory: Path, crop: Mapping) -> tuple[np.ndarray, float]:
    """What the target sees of a row's stored picture, and the share of it that lies outside."""
    picture, face = read_stored(directory, row["file"], row["sha256"]), from_row(row)
    try:
        return cut(picture, face, crop), outside(picture.size, face, crop)
    except InputError as error:
        raise InputError(f"{directory / row['file']}: {error}") from None
