"""Gate: before anything is crafted, does each recogniser know the clean faces that it is about to be judged on?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from tqdm import tqdm

from cloakbench.errors import InputError
from cloakbench.models import Recogniser, batches, to_tensor
from cloakbench.ranking import ranks


def clean_top1(
    recogniser: Recogniser,
    parts: Sequence[np.ndarray],
    labels: np.ndarray,
    batch: int,
    device: torch.device,
    bgr: bool = False,
) -> float:
    """Share of the faces, in percent, whose true class has the largest logit.

    parts: arrays (M, size, size, 3) uint8 of faces, N together; labels: (N,). bgr: show the faces with red and blue
    exchanged.
    """
    hits, rest = 0, torch.from_numpy(labels).to(device)
    with torch.inference_mode():
        for faces in parts:
            for part in tqdm(list(batches(faces, batch)), desc="gate", mininterval=1):
                shown = faces[part][..., ::-1] if bgr else faces[part]
                truth, rest = rest[: len(shown)], rest[len(shown) :]
                hits += int((ranks(recogniser(to_tensor(shown, device)), truth) == 0).sum())
    return 100 * hits / len(labels)


def check(name: str, measured: float, exchanged: float, minimum: float) -> None:
    """Raise InputError if `measured` (percent) is below `minimum`, with what is likely wrong.

    exchanged: the same with red and blue exchanged; if that is much better, the checkpoint wants BGR.
    """
    if measured >= minimum:
        return
    if exchanged > measured + 20:
        likely = f"with red and blue exchanged it is {exchanged:.1f} %: the weights want BGR input, convert them to RGB"
    elif measured < 5:
        likely = "that is chance: the order of the classes does not fit the weights"
    else:
        likely = "the crop (margin, size, align), mean or std may not be those that the recogniser was trained with"
    raise InputError(
        f"{name} names {measured:.1f} % of the clean faces, at least {minimum:g} % wanted: {likely}; "
        "to go on all the same set gate.clean_top1 lower"
    )
