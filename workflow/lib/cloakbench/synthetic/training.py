"""Training of a small recogniser on stored face crops: the same seed gives the same weights, byte for byte."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from cloakbench.errors import InputError

BATCH = 32
PEAK_RATE = 4e-3  # learning rate of AdamW at the top of the one-cycle schedule
WEIGHT_DECAY = 0.05
SMOOTHING = 0.1  # label smoothing
EDGE = 0.14  # largest share of the crop by which an edge of the second crop moves inwards
GROWTH = ((0.65, 0.5), (1.0, 1.0))  # until this share of the epochs, faces of this share of the size
Grey = float | tuple[float, float, float]


def seeded(builder: Callable[[int], nn.Module], classes: int, seed: int) -> nn.Module:
    """A fresh network whose initial weights depend on the seed alone; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return builder(classes)


def train(
    network: nn.Module,
    faces: np.ndarray,
    labels: np.ndarray,
    mean: Grey,
    std: Grey,
    seed: int,
    device: torch.device | str,
    epochs: int = 20,
    progress: str | None = None,
) -> None:
    """Train in place, and leave the network in eval mode with frozen parameters.

    faces: (M, H, W, 3) uint8 crops; labels: (M,) class indices; mean and std: grey levels, one or one a channel,
    the network sees (face - mean) / std. AdamW on smoothed cross-entropy with a one-cycle rate; small faces
    first, which cost a quarter and teach the same features. `progress` names the bar on stderr; None shows none.
    Raises InputError where faces and labels do not belong together.
    """
    _check(faces, labels)
    rng, truths = np.random.default_rng(seed), torch.from_numpy(labels).long()
    middle, spread = (torch.as_tensor(grey, dtype=torch.float32).reshape(-1, 1, 1) for grey in (mean, std))
    network.to(device, memory_format=torch.channels_last).train().requires_grad_(True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    steps = epochs * len(_batches(len(faces), np.random.default_rng(0)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, steps, pct_start=0.2)
    bar = tqdm(range(epochs), desc=progress, disable=progress is None, mininterval=1)
    for epoch in bar:
        loss, hits, shape = 0.0, 0, _shape(faces.shape[1:3], epoch / epochs)
        for chosen in _batches(len(faces), rng):
            batch = (torch.from_numpy(augment(faces[chosen], shape, rng)) - middle) / spread
            batch = batch.to(device, memory_format=torch.channels_last)
            batch_loss, batch_hits = _step(network, batch, truths[chosen].to(device), optimiser)
            schedule.step()
            loss, hits = loss + batch_loss, hits + batch_hits
        bar.set_postfix(loss=f"{loss / len(faces):.3f}", accuracy=f"{hits / len(faces):.3f}")
    network.eval().requires_grad_(False)


def _check(faces: np.ndarray, labels: np.ndarray) -> None:
    if faces.ndim != 4 or faces.shape[3] != 3 or faces.dtype != np.uint8:
        raise InputError(f"training faces are {faces.shape} {faces.dtype}: (M, H, W, 3) uint8 accepted")
    if labels.shape != faces.shape[:1] or len(labels) < 2:
        raise InputError(f"training labels are {labels.shape}: one for each of {len(faces)} faces, 2 at least")


def _step(
    network: nn.Module, batch: torch.Tensor, truth: torch.Tensor, optimiser: torch.optim.Optimizer
) -> tuple[float, int]:
    """One descent step: the summed loss of the batch and how many faces were recognised."""
    logits = network(batch)
    loss = functional.cross_entropy(logits, truth, label_smoothing=SMOOTHING)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item() * len(truth), int((logits.argmax(1) == truth).sum())


def _batches(count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Every index once, shuffled, in nearly equal parts: batch norm cannot learn from a last batch of one."""
    return np.array_split(rng.permutation(count), -(-count // BATCH))


def _shape(full: tuple[int, int], done: float) -> tuple[int, int]:
    """Height and width of the training faces once this share of the epochs is done."""
    share = next(share for until, share in GROWTH if done < until)
    return tuple(max(32, 32 * round(side * share / 32)) for side in full)


def augment(faces: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Second crops of (N, H, W, 3) uint8 faces under another light: (N, 3, *shape) float32 grey levels.

    What the study does to a face, at random: the detector finds its own box in a stored crop. Besides, half of
    the faces are mirrored, and contrast, brightness, colour and noise vary.
    """
    count, height, width, _ = faces.shape
    inwards = np.maximum(rng.uniform(-EDGE, EDGE, (count, 4)), 0)  # boxes beyond the crop are clamped to it
    boxes = inwards * (width, height, -width, -height) + (0, 0, width, height)
    pictures = np.stack([_resized(face, shape, box) for face, box in zip(faces, boxes, strict=True)])
    pictures = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
    mirrored = rng.random(count) < 0.5
    pictures[mirrored] = pictures[mirrored, ..., ::-1]

    def uniform(low: float, high: float, channels: int) -> np.ndarray:
        return rng.uniform(low, high, (count, channels, 1, 1)).astype(np.float32)

    contrast, light = uniform(0.85, 1.15, 1), uniform(-15, 15, 1) + uniform(-6, 6, 3)
    noise = rng.standard_normal((count, 1, *shape), np.float32) * uniform(0, 6, 1)
    return pictures * contrast + (128 * (1 - contrast) + light) + noise


def _resized(face: np.ndarray, shape: tuple[int, int], box: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(face).resize(shape[::-1], Image.Resampling.BILINEAR, box=tuple(box))
    return np.asarray(picture)
