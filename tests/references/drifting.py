"""The family of tests/drifting.py, written out slowly from its one sentence."""

import numpy as np
import torch
import torch.nn.functional as F

SETTINGS = [{"mu": 1.0}, {"mu": 0.5, "noise": 3}]


def craft(models, faces, labels, eps, uniform, mu, noise=0):
    """One face after another. uniform(face, step, copy, element): the number that is drawn there."""
    crafted = []
    for face in range(len(faces)):
        clean = torch.tensor(faces[face].transpose(2, 0, 1).astype(np.float32))
        x, m = clean.clone(), torch.zeros_like(clean)
        for step in range(eps):
            drawn = [uniform(face, step, 0, element) for element in range(clean.numel())]
            point = (x + noise * torch.tensor(drawn).reshape(clean.shape)).requires_grad_(True)
            loss = sum(
                F.cross_entropy(model(point[None]), torch.tensor(own[face : face + 1]))
                for model, own in zip(models, labels, strict=True)
            )
            loss.backward()
            if point.grad.abs().mean() > 0:
                m = mu * m + point.grad / point.grad.abs().mean()
            x = (x + m.sign()).clamp(0, 255)
        crafted.append(x.byte().numpy().transpose(1, 2, 0))
    return np.stack(crafted)
