"""Gradients of what attacks climb, with respect to the picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from cloakbench.attacks.problem import Source


def input_gradient(sources: Sequence[Source], x: torch.Tensor, aims: Sequence[torch.Tensor]) -> torch.Tensor:
    """grad_x of the cross-entropy J(x, aim), summed over the sources, (B, 3, H, W).

    aims: by source, the class of each face that the loss is taken for, (B,). Summed over the batch too, so that no face
    changes another's gradient.
    """
    x = x.detach().requires_grad_()
    losses = [
        F.cross_entropy(source.logits(x), aim, reduction="sum") for source, aim in zip(sources, aims, strict=True)
    ]
    return torch.autograd.grad(sum(losses), x)[0]
