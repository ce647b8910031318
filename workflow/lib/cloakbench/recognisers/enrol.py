"""Enrol: the gallery of a recogniser without a class head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from cloakbench.files.tensors import load_tensors
from cloakbench.recognisers.heads import labels
from cloakbench.recognisers.recogniser import Recogniser, batches, to_tensor


def templates(
    recogniser: Recogniser, faces: np.ndarray, identities: Sequence[str], batch: int, device: torch.device
) -> tuple[torch.Tensor, list[str]]:
    """Mean templates (C, D) of unit length, and the C identities in sorted order.

    A template is the mean of the identity's L2-normalised embeddings, normalised again.
    faces: (M, height, width, 3) uint8, identities: who is on each.
    """
    classes = sorted(set(identities))
    number = {identity: label for label, identity in enumerate(classes)}
    labels = torch.tensor([number[identity] for identity in identities])
    sums: torch.Tensor | None = None
    with torch.inference_mode():
        for part in tqdm(list(batches(faces, batch)), desc="enrol", mininterval=1):
            embeddings = F.normalize(recogniser.embeddings(to_tensor(faces[part], device))).cpu().double()
            if sums is None:
                sums = torch.zeros(len(classes), embeddings.shape[1], dtype=torch.float64)
            sums.index_add_(0, labels[part], embeddings)
    return F.normalize(sums).float(), classes


def templates_of(identities: Iterable[str], path: Path) -> np.ndarray:
    """(N, D) float32: the template of each identity in a gallery's file. Raises InputError for one that has none."""
    tensors, facts = load_tensors(path)
    return tensors["templates"].numpy()[labels(identities, facts["classes"])]
