"""Classify: rank the true identity among those that a target can name, by what it has put out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from cloakbench.errors import InputError
from cloakbench.measures.look import shown
from cloakbench.measures.ranking import ranks, scores
from cloakbench.recognisers.heads import Gallery
from cloakbench.recognisers.recogniser import batches

# what a target says of a face
SAID = {"rank": "Int64", "predicted": "Int64", "own_score": "Float64", "other_score": "Float64", "other": "Int64"}


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
    """One row a face: subject, photo, detected, rank, label, predicted, outside, classes (how many the target names),
    and of a gallery own_score, other_score and other: cosines with its own template and with that of another person
    that it is most like, rounded to 6 places, and the class of that one.

    outputs: what `look` wrote for the rows of a cell's re-detected faces; head: makes logits of them, in the batches
    that they were looked at in, for others may round otherwise. What the target was to say is empty where it was shown
    nothing. Raises InputError for logits that are not finite.
    """
    rows = redetected[["subject", "photo", "detected"]].assign(
        label=labels, outside=outputs["outside"], classes=classes
    )
    rows = rows.assign(**{name: pd.array([pd.NA] * len(rows), dtype=kind) for name, kind in SAID.items()})
    for part in batches(redetected, batch):
        if len(seen := shown(redetected["detected"], part, missed)):
            said = judged(outputs[field(outputs)][seen], head, labels[seen])
            rows.loc[rows.index[seen], list(said)] = pd.DataFrame(said, index=rows.index[seen])
    return rows


def classify_photos(
    outputs: np.ndarray, parts: Sequence[int], head: nn.Module, labels: np.ndarray, batch: int
) -> np.ndarray:
    """The ranks of clean faces, (N,). parts: how many faces each array had that was looked at."""
    rows = photo_batches(parts, batch)
    return np.concatenate([judged(outputs[field(outputs)][part], head, labels[part])["rank"] for part in rows])


def photo_batches(parts: Sequence[int], batch: int) -> Iterator[slice]:
    """The rows that were looked at together."""
    first = 0
    for count in parts:
        yield from (slice(first + part.start, first + part.stop) for part in batches(range(count), batch))
        first += count


def judged(outputs: np.ndarray, head: nn.Module, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Of (n, D) outputs, by column, (n,) each: the rank of the true class, the class with the largest logit, and of a
    gallery the scores."""
    with torch.inference_mode():
        logits, true = head(torch.from_numpy(np.array(outputs))), torch.from_numpy(labels)
        if not logits.isfinite().all():
            raise InputError("the target's logits are not finite numbers: its weights do not fit its architecture")
        said = {"rank": ranks(logits, true), "predicted": logits.argmax(dim=1)}
        if isinstance(head, Gallery):
            own, other, who = scores(logits.double() / head.scale, true)
            said |= {"own_score": own.round(decimals=6), "other_score": other.round(decimals=6), "other": who}
        return {name: values.numpy() for name, values in said.items()}
