"""LPIPS (Zhang, Isola, Efros, Shechtman, Wang 2018), version 0.1 on AlexNet: how unlike two pictures are to a network
that was trained to see, weighted as people judged. The weights are the user's files, of which only tensors are read.

tests/test_lpips.py compares it with plain loops.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from tqdm import tqdm

from cloakbench.errors import InputError
from cloakbench.files.tensors import load_tensors, save_tensors
from cloakbench.measures.cells import FACE
from cloakbench.measures.perceived import LPIPS
from cloakbench.publishing.store import read_stored
from cloakbench.recognisers.checkpoints import read_plain
from cloakbench.recognisers.convert import check_digest

EPSILON = 1e-10
# of R, G and B in -1..1: what is taken from them, and what they are divided by
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Layer(NamedTuple):
    """A convolution of AlexNet (Krizhevsky 2014, as torchvision has it) with its ReLU. pooled: it sees the maxima of
    3 x 3 places, stride 2."""

    name: str
    shape: tuple[int, int, int, int]
    stride: int
    padding: int
    pooled: bool = False


LAYERS = (
    Layer("features.0", (64, 3, 11, 11), 4, 2),
    Layer("features.3", (192, 64, 5, 5), 1, 2, pooled=True),
    Layer("features.6", (384, 192, 3, 3), 1, 1, pooled=True),
    Layer("features.8", (256, 384, 3, 3), 1, 1),
    Layer("features.10", (256, 256, 3, 3), 1, 1),
)
HEADS = [f"lin{number}.model.1.weight" for number in range(len(LAYERS))]  # (1, C, 1, 1), how much a channel counts
Tensors = Mapping[str, torch.Tensor]


def lpips(clean: np.ndarray, shown: np.ndarray, network: Tensors) -> float:
    """d = sum over layers l of the mean over places of sum_c w_lc (f_lc - g_lc)^2, f and g the two pictures' features
    after ReLU, of unit length over the channels at every place.

    clean, shown: (height, width, 3) uint8 RGB, 32 pixels and more. 0 for equal pictures.
    """
    total = 0.0
    for weights, one, other in zip(HEADS, features(clean, network), features(shown, network), strict=True):
        total += float((network[weights][0] * (one - other) ** 2).sum(dim=0).mean())
    return total


def features(picture: np.ndarray, network: Tensors) -> list[torch.Tensor]:
    """(C, height, width) of each layer, of unit length over C."""
    with torch.inference_mode():
        seen = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 127.5 - 1
        shift, scale = (torch.tensor(values)[:, None, None] for values in (SHIFT, SCALE))
        seen, found = (seen - shift) / scale, []
        for layer in LAYERS:
            seen = F.max_pool2d(seen[None], 3, 2)[0] if layer.pooled else seen
            weight, bias = (network[f"{layer.name}.{part}"] for part in ("weight", "bias"))
            seen = F.conv2d(seen[None], weight, bias, layer.stride, layer.padding)[0].relu()
            found.append(seen / (seen.square().sum(dim=0).sqrt() + EPSILON))
        return found


def convert_lpips(alexnet: Path, heads: Path, digests: Mapping[str, str], output: Path) -> None:
    """Write the tensors of both files that LPIPS reads. digests: the sha256 of `alexnet` and `heads`.

    Raises InputError for a file that has another hash, is damaged or holds anything but tensors, and for a tensor that
    is missing, of another shape or not finite.
    """
    shapes = {f"{layer.name}.weight": layer.shape for layer in LAYERS}
    shapes |= {f"{layer.name}.bias": layer.shape[:1] for layer in LAYERS}
    tensors = _checked(alexnet, digests["alexnet"], shapes)
    weighted = {name: (1, layer.shape[0], 1, 1) for name, layer in zip(HEADS, LAYERS, strict=True)}
    save_tensors(output, tensors | _checked(heads, digests["heads"], weighted))


def _checked(path: Path, digest: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    check_digest(path, digest)
    found = read_plain(path)
    for name, shape in shapes.items():
        if name not in found or found[name].shape != shape:
            there = f"has the shape {tuple(found[name].shape)}" if name in found else "is missing"
            raise InputError(
                f"{path}: {name} {there}, LPIPS on AlexNet has {shape} there; give torchvision's AlexNet "
                "as alexnet, and as heads weights/v0.1/alex.pth of the package lpips"
            )
        if not found[name].isfinite().all():
            raise InputError(f"{path}: {name} holds numbers that are not finite: a damaged file")
    return {name: found[name].float() for name in shapes}


def perceive(
    manifest: pd.DataFrame,
    stored: Path,
    clean_manifest: pd.DataFrame,
    clean: Path,
    originals: np.ndarray,
    network: Path,
) -> pd.DataFrame:
    """A row a face: subject, photo and LPIPS, rounded to 6 places, of pictures as `quality.measure` takes them.

    Raises InputError for pictures that are not those of the manifests, and for manifests of other faces.
    """
    if not (len(originals) == len(manifest) and manifest[FACE].equals(clean_manifest[FACE])):
        raise InputError(f"{stored}: holds other faces than {clean}; delete both folders and run the study again")
    tensors, rows = load_tensors(network)[0], []
    pairs = zip(manifest.itertuples(), clean_manifest.itertuples(), originals, strict=True)
    for row, clean_row, original in tqdm(pairs, desc="perceive", total=len(manifest), mininterval=1):
        shown = np.asarray(read_stored(stored, row.file, row.sha256))
        beside = np.asarray(read_stored(clean, clean_row.file, clean_row.sha256))
        before = lpips(original, shown, tensors) if original.shape == shown.shape else np.nan
        rows.append([row.subject, row.photo, round(lpips(beside, shown, tensors), 6), round(before, 6)])
    return pd.DataFrame(rows, columns=[*FACE, *LPIPS])
