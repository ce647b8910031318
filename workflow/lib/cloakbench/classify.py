"""Classify: show what the detector found to a target recogniser and rank the true identity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from tqdm import tqdm

from cloakbench.errors import InputError
from cloakbench.images import cut
from cloakbench.models import Recogniser, to_tensor
from cloakbench.ranking import ranks
from cloakbench.redetect import BOX
from cloakbench.store import read_stored


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
    """One row a face: subject, photo, detected, rank, label, predicted.

    Rank and prediction are empty where no face was found, unless `missed` is whole_crop: then the target sees the
    whole stored picture. Raises InputError if the target answers with numbers that are not finite.
    """
    rows = redetected[["subject", "photo", "detected"]].assign(
        rank=pd.array([pd.NA] * len(redetected), dtype="Int64"),
        label=labels,
        predicted=pd.array([pd.NA] * len(redetected), dtype="Int64"),
    )
    for start in tqdm(range(0, len(redetected), batch), desc="classify", unit="batch", mininterval=1):
        part = redetected.iloc[start : start + batch]
        if missed != "whole_crop":
            part = part[part["detected"] == 1]
        if part.empty:
            continue
        pictures = [read_stored(directory, row.file, row.sha256) for row in part.itertuples()]
        boxes = part[["detected", *BOX]].itertuples(index=False)
        faces = np.stack([_face(picture, *box, crop=crop) for picture, box in zip(pictures, boxes, strict=True)])
        with torch.inference_mode():
            logits = recogniser(to_tensor(faces, device)).float()
        if not logits.isfinite().all():
            raise InputError("the target's logits are not finite numbers: its weights do not fit its architecture")
        truth = torch.from_numpy(labels[part.index]).to(device)
        rows.loc[part.index, "rank"] = ranks(logits, truth).cpu().numpy()
        rows.loc[part.index, "predicted"] = logits.argmax(dim=1).cpu().numpy()
    return rows


def _face(picture: Image.Image, detected: int, *box: float, crop: Mapping) -> np.ndarray:
    return cut(picture, box if detected else (0, 0, *picture.size), crop)
