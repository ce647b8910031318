"""Where the true class stands among the logits, and how like a face is to it and to others."""

from __future__ import annotations

import torch


def ranks(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Number of classes with strictly larger logits than the true one, (N,): 0 is recognised at top-1.

    Ties count for the recogniser, so a network that answers everything alike is not taken for protection.
    logits: (N, C), labels: (N,).

    >>> ranks(torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.0, 0.0]]), torch.tensor([2, 1]))  # the second ties
    tensor([1, 0])
    """
    true = logits.gather(1, labels[:, None])
    return (logits > true).sum(dim=1)


def scores(cosines: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """How like each face is to its own template, to the one of another person that it is most like, and whose that is:
    (N,) each. cosines: (N, C), C of two and more; labels: (N,).

    >>> scores(torch.tensor([[0.9, 0.2, 0.4]]), torch.tensor([0]))
    (tensor([0.9000]), tensor([0.4000]), tensor([2]))
    """
    own = cosines.gather(1, labels[:, None])[:, 0]
    other, who = cosines.scatter(1, labels[:, None], -torch.inf).max(dim=1)
    return own, other, who
