"""Recognisers: grey levels in, logits out, whatever their head, normalisation and architecture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.fx import GraphModule
from torch.fx.experimental.optimization import fuse

from cloakbench.errors import InputError
from cloakbench.files.tensors import load_tensors
from cloakbench.recognisers import convolutions
from cloakbench.recognisers.architectures import build, find, outputs_of
from cloakbench.recognisers.foreign import graphs
from cloakbench.recognisers.heads import labels, load_head, taken_off

PRECISIONS = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}  # what a network computes in


class Recogniser(nn.Module):
    """Grey levels (N, 3, H, W) -> logits (N, C) over the identities that the recogniser can name.

    head: from the network's outputs, embeddings, to logits; where the outputs are the logits, `outputs` says so.
    Frozen and in eval mode: nothing but the faces ever gets a gradient. dtype: what the network computes in; all
    around it is float32.
    """

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        dtype: torch.dtype = torch.float32,
        head: nn.Module | None = None,
    ):
        super().__init__()
        self.network = network.to(dtype)
        self.dtype = dtype
        self.head = head or nn.Identity()
        self.outputs = "embedding" if head else "logits"
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).reshape(1, -1, 1, 1))
        self.classes: Sequence[str] = []
        self.eval().requires_grad_(False)

    def embeddings(self, faces: torch.Tensor) -> torch.Tensor:
        """What the head looks at, (N, D): a network's own embeddings, or what stands before its class head."""
        return self.network(((faces - self.mean) / self.std).to(self.dtype)).float()

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        return self.head(self.embeddings(faces))

    def labels(self, identities: Iterable[str]) -> np.ndarray:
        """The class of each identity, (N,) int64. Raises InputError for one that the recogniser cannot name."""
        return labels(identities, self.classes)


def per_channel(value: float | Sequence[float]) -> list[float]:
    """One grey level for all channels, or one each for R, G, B.

    >>> per_channel(127.5), per_channel([131, 103, 91])
    ([127.5, 127.5, 127.5], [131.0, 103.0, 91.0])
    """
    return [float(value)] * 3 if isinstance(value, int | float) else [float(level) for level in value]


def load_recogniser(
    model: Mapping,
    weights: Path,
    gallery: Path | None,
    device: torch.device | str = "cpu",
    precision: str = "fp32",
) -> Recogniser:
    """The recogniser of a config entry (`arch`, `head`, `mean`, `std`, maybe `scale`) from its converted weights.

    gallery: templates and identities of a `head: gallery`; without one the network's outputs are the logits.
    precision: a key of PRECISIONS; a network that brings its own graph computes in fp32 whatever it says.
    Raises InputError where weights and entry do not fit.
    """
    state, facts = load_tensors(weights)
    dtype = torch.float32 if model["arch"] in graphs.FORMS else PRECISIONS[precision]
    network, head = _network(model["arch"], state, facts, weights), nn.Identity()
    if model["head"] == "softmax" and model["arch"] not in graphs.FORMS:
        network, head = taken_off(network, find(model["arch"]).head)
    if isinstance(network, GraphModule) and convolutions.available(device, dtype):
        network = convolutions.merged(network)
    if gallery is not None:
        head, classes = load_head(model, "embedding", weights, gallery)
    else:
        head, classes = head.to(dtype), facts.get("classes", [])
    recogniser = Recogniser(network, per_channel(model["mean"]), per_channel(model["std"]), dtype, head)
    recogniser.classes = classes
    if model["head"] == "softmax" and isinstance(head, nn.Identity):
        recogniser.outputs = "logits"
    return recogniser.to(device)


def _network(arch: str, state: dict[str, torch.Tensor], facts: Mapping, weights: Path) -> nn.Module:
    try:
        if arch in graphs.FORMS:
            return graphs.build(arch, state, facts["one_by_one"])
        network = build(arch, outputs_of(arch, state))
        network.load_state_dict(state)
    except (InputError, RuntimeError, KeyError) as error:
        raise InputError(f"{weights}: does not fit {arch} ({error})") from None
    return folded(network.requires_grad_(False)).to(memory_format=torch.channels_last)


def folded(network: nn.Module) -> nn.Module:
    """The network in eval mode with batch norms multiplied into the convolutions before them: fewer passes over
    memory, the same function up to rounding. One that torch.fx cannot trace stays as it is, the other is used up."""
    try:
        return fuse(network.eval(), inplace=True)
    except (torch.fx.proxy.TraceError, TypeError, NotImplementedError):
        return network


def batches(faces: np.ndarray, size: int) -> Iterator[slice]:
    """Slices of `size` faces; the last may be shorter. Where they fall never depends on the machine.

    >>> list(batches(range(5), 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    for start in range(0, len(faces), size):
        yield slice(start, min(start + size, len(faces)))


def to_tensor(faces: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """(N, H, W, 3) uint8 faces as the (N, 3, H, W) float32 grey levels that recognisers take, channels last."""
    return torch.from_numpy(np.array(faces)).to(device).permute(0, 3, 1, 2).float()


def to_faces(grey_levels: torch.Tensor) -> np.ndarray:
    """(N, 3, H, W) grey levels as (N, H, W, 3) uint8 faces, rounded."""
    return grey_levels.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
