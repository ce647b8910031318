"""Networks that bring their own graph, as torch.export or ONNX files: read, tried, run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from cloakbench.errors import InputError
from cloakbench.recognisers.foreign import exported, onnx_graph

RELATIVE = 1e-3  # a face alone and in a batch may differ by this share of the largest output


@dataclass(frozen=True)
class Form:
    """read: a file -> the tensors that are kept of it; network: these tensors -> what they compute. Neither runs
    anything but operations on numbers. gradients: whether they are there for every network, or have to be tried for
    one that faces are crafted on."""

    read: Callable[[Path], dict[str, torch.Tensor]]
    network: Callable[[dict[str, torch.Tensor]], nn.Module]
    gradients: bool


class OneByOne(nn.Module):
    """A network that was exported for one face at a time, shown a batch face by face."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.network(face) for face in faces.split(1)])


def build(arch: str, tensors: dict[str, torch.Tensor], one_by_one: bool) -> nn.Module:
    """The network of a converted file, as `tried` found it to work. Raises InputError if it cannot be run here."""
    network = FORMS[arch].network(tensors).eval().requires_grad_(False)
    return OneByOne(network) if one_by_one else network


def tried(network: nn.Module, faces: torch.Tensor, gradients: bool) -> tuple[int, bool]:
    """Try a network on three faces (3, 3, size, size), normalised: C of the (B, C) that it returns, and whether it was
    exported for one face at a time.

    Raises InputError unless it takes faces of this size, answers each as if it were alone and twice the same, with
    finite numbers, and, where `gradients` are wanted, lets one through to every face.
    """
    alone = torch.cat([answer(network, face) for face in faces.split(1)])
    if one_by_one := not _takes_batches(network, faces):
        network = OneByOne(network)
    for count in (2, 3):
        together = answer(network, faces[:count])
        if (together - alone[:count]).abs().max() > RELATIVE * alone.abs().max():
            raise InputError("its answer for a face depends on the other faces of the batch; export it in eval mode")
    if not torch.equal(together, answer(network, faces)):
        raise InputError("answers the same faces differently each time; export it in eval mode")
    if gradients:
        _check_gradient(network, faces.clone().requires_grad_())
    return alone.shape[1], one_by_one


def _takes_batches(network: nn.Module, faces: torch.Tensor) -> bool:
    """Whether two faces give two answers: a network exported for one fails, or returns another shape."""
    try:
        return len(answer(network, faces[:2])) == 2
    except InputError:
        return False


def _check_gradient(network: nn.Module, faces: torch.Tensor) -> None:
    expected = answer(network, faces.detach())
    try:
        given = network(faces)
        (gradient,) = torch.autograd.grad(given.square().sum(), faces)
    except InputError:
        raise
    except Exception as error:  # of a translation from ONNX, or no path from the answer to the faces
        raise InputError(f"lets no gradient through to the faces ({str(error).splitlines()[0]})") from None
    if given.shape != expected.shape or (given - expected).abs().max() > RELATIVE * expected.abs().max():
        raise InputError("its translation to torch answers otherwise; it can be a target and no source")
    if not gradient.isfinite().all() or not gradient.flatten(1).abs().amax(1).all():
        raise InputError("lets no gradient through to the faces, or one that is no number")


def answer(network: nn.Module, faces: torch.Tensor) -> torch.Tensor:
    """What the network makes of normalised faces (B, 3, height, width): (B, C), finite. Raises InputError."""
    shape = " x ".join(map(str, faces.shape))
    try:
        with torch.no_grad():
            found = network(faces)
    except Exception as error:  # whatever a network from outside raises
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise InputError(f"does not take {shape} faces of its crop's size ({reason})") from None
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != len(faces):
        kind = tuple(found.shape) if isinstance(found, torch.Tensor) else f"a {type(found).__name__}"
        raise InputError(f"returns {kind} for {shape} faces, where one row of numbers a face is expected")
    if not found.is_floating_point() or not found.isfinite().all():
        raise InputError(f"returns {found.dtype} that are not all finite numbers for ordinary faces")
    return found.float()


FORMS: dict[str, Form] = {
    "torch_export": Form(exported.read, exported.network, gradients=True),
    "onnx": Form(onnx_graph.read, onnx_graph.network, gradients=False),
}
