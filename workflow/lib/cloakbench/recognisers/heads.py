"""Heads: from what a network sees in a face, its embedding, to logits over the identities that it can name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.fx import GraphModule

from cloakbench.errors import InputError
from cloakbench.files.tensors import load_tensors, read_tensors
from cloakbench.recognisers.architectures import find
from cloakbench.study.names import lookalike

GALLERY_SCALE = 32.0  # logits = scale * cosine: no rank depends on it, but the softmax that an attack climbs does


class Softmax(nn.Module):
    """A network's own final linear layer: embeddings (N, D) -> logits (N, C), computed in what the layer is in."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.linear = linear

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        return self.linear(embeddings.to(self.linear.weight.dtype)).float()


class Gallery(nn.Module):
    """scale * cosine(embedding, template): embeddings (N, D) -> logits (N, C). templates: (C, D), of unit length."""

    def __init__(self, templates: torch.Tensor, scale: float = GALLERY_SCALE):
        super().__init__()
        self.register_buffer("templates", templates)
        self.scale = scale

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        return self.scale * F.normalize(embeddings) @ self.templates.T


def taken_off(network: nn.Module, layer: str) -> tuple[nn.Module, nn.Module]:
    """The network up to its final linear layer of that name, and this as a head.

    What is not a traced graph that ends in such a layer stays whole: its outputs are the logits, and the head changes
    nothing.
    """
    if isinstance(network, GraphModule):
        end = next(node for node in network.graph.nodes if node.op == "output")
        final = end.args[0]
        if getattr(final, "op", "") == "call_module" and final.target == layer:
            linear = network.get_submodule(layer)
            if isinstance(linear, nn.Linear):
                end.args = (final.args[0],)
                network.graph.erase_node(final)
                network.delete_submodule(layer)
                network.recompile()
                return network, Softmax(linear)
    return network, nn.Identity()


def load_head(model: Mapping, outputs: str, weights: Path, gallery: Path | None) -> tuple[nn.Module, Sequence[str]]:
    """The head of a config's model, and the identities in the order of its logits, without the network.

    outputs: what the network's are, "embedding" or "logits". Raises InputError for files that are not whole.
    """
    if gallery is not None:
        tensors, facts = load_tensors(gallery)
        return Gallery(tensors["templates"], model.get("scale", GALLERY_SCALE)), facts["classes"]
    if outputs == "logits":
        return nn.Identity(), read_tensors(weights)[1].get("classes", [])
    layer = find(model["arch"]).head
    tensors, facts = read_tensors(weights, f"{layer}.weight", f"{layer}.bias")
    linear = nn.Linear(*reversed(tensors[f"{layer}.weight"].shape), bias=f"{layer}.bias" in tensors)
    linear.load_state_dict({name.removeprefix(f"{layer}."): tensor for name, tensor in tensors.items()})
    return Softmax(linear), facts.get("classes", [])


def labels(identities: Iterable[str], classes: Sequence[str]) -> np.ndarray:
    """The class of each identity, (N,) int64. Raises InputError for one that is not among the classes.

    >>> labels(["bo", "al", "bo"], ["al", "bo", "cy"])
    array([1, 0, 1])
    """
    number = {identity: label for label, identity in enumerate(classes)}
    try:
        return np.array([number[identity] for identity in identities], dtype=np.int64)
    except KeyError as unknown:
        name = unknown.args[0]
        alike = lookalike(name, number)
        remedy = (
            f"its {alike!a} looks like {name!a}: rename the folder, or correct the class list"
            if alike
            else "attack only identities that it was trained on, or use head: gallery"
        )
        raise InputError(
            f"identity {name!r} is not among the {len(number)} classes of the recogniser: {remedy}"
        ) from None
