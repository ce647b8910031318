"""Ranks: where the true class stands among the logits."""

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
