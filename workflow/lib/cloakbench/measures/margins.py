"""Margins: how much better a target knows a clean face's own person than anybody else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from cloakbench.measures.classify import field, photo_batches
from cloakbench.measures.ranking import scores
from cloakbench.recognisers.heads import Gallery


def margins(outputs: np.ndarray, parts: Sequence[int], head: nn.Module, labels: np.ndarray, batch: int) -> np.ndarray:
    """(N,) margins of clean faces, m = s_own - max s_other, rounded to 6 places: below 0 where somebody else is
    likelier.

    Scores s are cosines with a gallery's templates, or a class head's logits: then m is the logarithm of how many times
    likelier the own class is than the likeliest other. Margins of one target compare its faces, and nothing else.
    outputs, head, labels: as `classify.classify_photos` takes them; parts: how many faces each array had.
    """
    scale = head.scale if isinstance(head, Gallery) else 1.0
    found = []
    for rows in photo_batches(parts, batch):
        with torch.inference_mode():
            logits = head(torch.from_numpy(np.array(outputs[field(outputs)][rows]))).double()
            own, other, _ = scores(logits / scale, torch.from_numpy(labels[rows]))
        found.append((own - other).round(decimals=6).numpy())
    return np.concatenate(found)
