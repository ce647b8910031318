"""Other people's attacks with the settings of ours, called as their documentation shows: pixels in [0, 1], every budget
from the clean face. Only those that are right: see docs/attacks.md.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from benchmarks.opponents import art_bim, foolbox_bim, torchattacks_bim
from cloakbench.attacks.walk import iterations

Peer = Callable[[nn.Module, torch.Tensor, torch.Tensor, int], torch.Tensor]


def stepping(name: str, eps: int, size: str) -> dict[str, float]:
    """How large and how many our steps are: BIM's, and PGD's from a random start. size: the library's word for it."""
    random = name in ("PGD", "LinfProjectedGradientDescentAttack")
    return {size: eps / 8 / 255, "steps": 20} if random else {size: 1 / 255, "steps": iterations(eps)}


def of_torchattacks(name: str, **settings: Any) -> Peer:
    """name: the class. Steps are ours where it takes any."""

    def run(model: nn.Module, faces: torch.Tensor, labels: torch.Tensor, eps: int) -> torch.Tensor:
        import torchattacks

        steps = {} if name == "FGSM" else stepping(name, eps, "alpha")
        return getattr(torchattacks, name)(model, eps=eps / 255, **steps, **settings)(faces, labels)

    return run


def of_torchattack(name: str, **settings: Any) -> Peer:
    def run(model: nn.Module, faces: torch.Tensor, labels: torch.Tensor, eps: int) -> torch.Tensor:
        import torchattack

        steps = {} if name == "FGSM" else stepping(name, eps, "alpha")
        kind = partial(getattr(torchattack, name), model, normalize=lambda x: x, device=faces.device)
        return kind(eps=eps / 255, **steps, **settings)(faces, labels)

    return run


def of_foolbox(name: str, **settings: Any) -> Peer:
    def run(model: nn.Module, faces: torch.Tensor, labels: torch.Tensor, eps: int) -> torch.Tensor:
        import foolbox

        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
        steps = {} if name == "LinfFastGradientAttack" else stepping(name, eps, "abs_stepsize")
        return getattr(foolbox.attacks, name)(**steps, **settings).run(wrapped, faces, labels, epsilon=eps / 255)

    return run


# by entry of the catalogue, by library
PEERS: dict[str, dict[str, Peer]] = {
    "bim": {"torchattacks": torchattacks_bim, "foolbox": foolbox_bim, "art": art_bim},
    "fgsm": {
        "torchattacks": of_torchattacks("FGSM"),
        "torchattack": of_torchattack("FGSM"),
        "foolbox": of_foolbox("LinfFastGradientAttack", random_start=False),
    },
    "pgd1": {
        "torchattacks": of_torchattacks("PGD", random_start=True),
        "torchattack": of_torchattack("PGD"),
        "foolbox": of_foolbox("LinfProjectedGradientDescentAttack", random_start=True),
    },
    "mi": {"torchattacks": of_torchattacks("MIFGSM", decay=1.0), "torchattack": of_torchattack("MIFGSM")},
    "ni": {"torchattacks": of_torchattacks("NIFGSM", decay=1.0)},
    "di": {"torchattacks": of_torchattacks("DIFGSM", decay=0.0, resize_rate=1.1)},
    "ti": {"torchattacks": of_torchattacks("TIFGSM", decay=1.0, len_kernel=7, diversity_prob=0.0)},
    "si_ni": {"torchattacks": of_torchattacks("SINIFGSM", decay=1.0, m=5)},
}


def installed(attack: str) -> dict[str, Peer]:
    """The peers of an entry that can be measured here."""
    return {library: peer for library, peer in PEERS[attack].items() if find_spec(library)}
