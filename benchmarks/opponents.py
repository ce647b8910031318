"""Other people's BIM, each called as its documentation shows: pixels in [0, 1], every budget from the clean face."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import nn

from cloakbench.attacks.walk import iterations

Bim = Callable[[nn.Module, torch.Tensor, torch.Tensor, int], torch.Tensor]


def torchattacks_bim(model: nn.Module, faces: torch.Tensor, labels: torch.Tensor, eps: int) -> torch.Tensor:
    import torchattacks

    return torchattacks.BIM(model, eps=eps / 255, alpha=1 / 255, steps=iterations(eps))(faces, labels)


def foolbox_bim(model: nn.Module, faces: torch.Tensor, labels: torch.Tensor, eps: int) -> torch.Tensor:
    import foolbox

    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    steps = iterations(eps)
    attack = foolbox.attacks.LinfBasicIterativeAttack(abs_stepsize=1 / 255, steps=steps, random_start=False)
    return attack.run(wrapped, faces, labels, epsilon=eps / 255)


def art_bim(model: nn.Module, faces: torch.Tensor, labels: torch.Tensor, eps: int) -> torch.Tensor:
    from art.attacks.evasion import BasicIterativeMethod
    from art.estimators.classification import PyTorchClassifier

    classes = model(faces[:1]).shape[1]
    wrapped = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), tuple(faces.shape[1:]), classes, clip_values=(0, 1), device_type="cpu"
    )
    attack = BasicIterativeMethod(
        wrapped, eps / 255, 1 / 255, iterations(eps), batch_size=len(faces), verbose=False
    )  # fmt: skip
    return torch.from_numpy(attack.generate(faces.numpy(), labels.numpy()))


# distribution, the module that it installs, its BIM
OPPONENTS: dict[str, tuple[str, Bim]] = {
    "torchattacks": ("torchattacks", torchattacks_bim),
    "foolbox": ("foolbox", foolbox_bim),
    "adversarial-robustness-toolbox": ("art", art_bim),
}


def installed() -> dict[str, Bim]:
    """The opponents that can be measured here."""
    return {name: bim for name, (module, bim) in OPPONENTS.items() if find_spec(module)}
