"""Classify: rank the true identity among those that a target can name, by what it has put out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from cloakbench.errors import InputError
from cloakbench.measures.look import shown
from cloakbench.measures.ranking import ranks
from cloakbench.recognisers.recogniser import batches


def field(outputs: np.ndarray) -> str:
    """What a network's outputs are: "embedding" or "logits"."""
    return "logits" if "logits" in outputs.dtype.names else "embedding"


def classify(
    redetected: pd.DataFrame,
    outputs: np.ndarray,
    head: nn.Module,
    classes: int,
    labels: np.ndarray,
    missed: str,
    batch: int,
) -> pd.DataFrame:
    """One row a face: subject, photo, detected, rank, label, predicted, outside, classes (how many the target names).

    outputs: what `look` wrote for the rows of a cell's re-detected faces; head: makes logits of them, in the batches
    that they were looked at in, for others may round otherwise. Rank, predicted and outside are empty where the target
    was shown nothing. Raises InputError for logits that are not finite.
    """
    rows = redetected[["subject", "photo", "detected"]].assign(
        rank=pd.array([pd.NA] * len(redetected), dtype="Int64"),
        label=labels,
        predicted=pd.array([pd.NA] * len(redetected), dtype="Int64"),
        outside=outputs["outside"],
        classes=classes,
    )
    for part in batches(redetected, batch):
        if len(seen := shown(redetected["detected"], part, missed)):
            found, predicted = judged(outputs[field(outputs)][seen], head, labels[seen])
            rows.loc[rows.index[seen], "rank"], rows.loc[rows.index[seen], "predicted"] = found, predicted
    return rows


def classify_photos(
    outputs: np.ndarray, parts: Sequence[int], head: nn.Module, labels: np.ndarray, batch: int
) -> np.ndarray:
    """The ranks of clean faces, (N,). parts: how many faces each array had that was looked at."""
    found, first = [], 0
    for count in parts:
        for part in batches(range(count), batch):
            rows = slice(first + part.start, first + part.stop)
            found.append(judged(outputs[field(outputs)][rows], head, labels[rows])[0])
        first += count
    return np.concatenate(found)


def judged(outputs: np.ndarray, head: nn.Module, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rank of the true class and the class with the largest logit, (n,) each, of (n, D) outputs."""
    with torch.inference_mode():
        logits = head(torch.from_numpy(np.array(outputs)))
        if not logits.isfinite().all():
            raise InputError("the target's logits are not finite numbers: its weights do not fit its architecture")
        return ranks(logits, torch.from_numpy(labels)).numpy(), logits.argmax(dim=1).numpy()
