"""Rungs: what a recogniser puts out for the whole canvas, crafted or stored, in which nobody has to find a face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from cloakbench.measures.look import look_at_photos
from cloakbench.publishing.store import read_stored
from cloakbench.recognisers.recogniser import Recogniser
from cloakbench.recognisers.views import View, view


class Stored:
    """The pictures of a folder as (N, height, width, 3) uint8 faces, read when asked for. manifest: a row a picture.

    Raises InputError, when it is asked for, for a picture that is not the one that was stored.
    """

    def __init__(self, folder: Path, manifest: pd.DataFrame):
        self.folder, self.manifest = folder, manifest

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, part: slice) -> np.ndarray:
        rows = self.manifest.iloc[part].itertuples()
        return np.stack([np.asarray(read_stored(self.folder, row.file, row.sha256)) for row in rows])


class Through:
    """A recogniser that is shown canvases, (B, 3, height, width) grey levels, through its view of them."""

    def __init__(self, recogniser: Recogniser, sees: View):
        self.recogniser, self.sees, self.outputs = recogniser, sees, recogniser.outputs

    def embeddings(self, canvases: torch.Tensor) -> torch.Tensor:
        return self.recogniser.embeddings(self.sees(canvases))


def look_at_canvas(
    parts: Sequence[np.ndarray | Stored],
    recogniser: Recogniser,
    size: tuple[int, int],
    batch: int,
    device: torch.device,
    path: Path,
) -> None:
    """Write the outputs for canvases as they are: arrays (M, height, width, 3) uint8, N together, all of one size.

    size: height and width in pixels of the recogniser's input; it sees the canvas as it did when it was attacked, so
    that what was stored without loss is what was crafted.
    """
    sees = view(parts[0][:1].shape[1:3], size)
    look_at_photos(parts, Through(recogniser, sees), batch, device, path)
