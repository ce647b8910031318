"""How like clean faces are to their own template and to everybody else's: what a threshold would have to tell apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from cloakbench.measures.classify import photo_batches
from cloakbench.recognisers.heads import Gallery

BINS = 1000  # of a cosine of 1


def clean_scores(
    embeddings: np.ndarray, parts: Sequence[int], head: Gallery, labels: np.ndarray, batch: int
) -> pd.DataFrame:
    """A row a thousandth of a cosine in which there is a comparison: `score`, its lower end, and how many `mated` ones,
    of a face with its own person's template, and `non_mated` ones, with every other person's, have a score from there
    up to the next.

    embeddings: (N, D) of clean faces; labels: (N,), whose they are among the gallery's; parts, batch: as they were
    looked at (`classify.photo_batches`).
    """
    counts = np.zeros((2, 2 * BINS + 1), dtype=np.int64)
    for rows in photo_batches(parts, batch):
        with torch.inference_mode():
            cosines = (head(torch.from_numpy(np.array(embeddings[rows]))).double() / head.scale).numpy().round(6)
        places = np.floor(cosines * BINS + 1e-6).astype(int) + BINS
        own = np.zeros(places.shape, dtype=bool)
        own[range(len(own)), labels[rows]] = True
        counts += [np.bincount(places[chosen], minlength=2 * BINS + 1) for chosen in (own, ~own)]
    table = pd.DataFrame({"score": (np.arange(2 * BINS + 1) - BINS) / BINS, "mated": counts[0], "non_mated": counts[1]})
    return table[counts.any(axis=0)].reset_index(drop=True)
