"""The walk along the sign of the gradient, from Kurakin, Goodfellow and Bengio (arXiv 1607.02533), slowly.

BIM: x_0 = x, x_{i+1} = Clip_{x,eps}(x_i + alpha sign(grad_x J(x_i, y_true))). ILLC: the other way along the gradient
for y_LL, the class that is least likely for x. min(eps + 4, 1.25 eps) iterations. Of several networks the losses are
added.
"""

import itertools

import numpy as np
import torch
import torch.nn.functional as F

SETTINGS = [
    {"goal": goal, "step_size": step} for goal, step in itertools.product(["untargeted", "least_likely"], [1, 2, 3])
]


def craft(models, faces, labels, eps, uniform, goal, step_size):
    """models: each (N, 3, H, W) grey levels -> logits; labels: by model; faces: (N, H, W, 3) uint8."""
    clean = torch.tensor(faces.transpose(0, 3, 1, 2).astype(np.float32))
    aims = [torch.tensor(own) for own in labels]
    if goal == "least_likely":
        aims = [model(clean).argmin(dim=1) for model in models]
    x = clean.clone()
    for _ in range(int(min(eps + 4, 1.25 * eps))):
        x = x.detach().clone().requires_grad_(True)
        loss = torch.zeros((), dtype=torch.float64)
        for model, aim in zip(models, aims, strict=True):
            loss = loss + F.cross_entropy(model(x), aim, reduction="sum")
        loss.backward()
        ahead = x + step_size * x.grad.sign() if goal == "untargeted" else x - step_size * x.grad.sign()
        x = torch.minimum(torch.maximum(ahead, clean - eps), clean + eps)
        x = torch.minimum(torch.maximum(x, torch.tensor(0.0)), torch.tensor(255.0))
    return x.detach().round().byte().numpy().transpose(0, 2, 3, 1)
