"""The walk with its parts, slowly, one step after another, from the publications that workflow/attacks.yaml names.

Of a batch the networks' sums are those of the batch; all else is done face by face, in float64 where the publication
leaves the order of sums open. Where that rounds otherwise than float32, a few pixels may differ: `agreement`.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

FRACTIONS = {"momentum", "kernel", "views", "norm", "start"}  # parts whose arithmetic has fractions
EMBEDDING = {"away", "away_own_photos", "away_clean", "towards", "triplet"}  # goals whose arithmetic has
SETTINGS = [
    {"goal": "untargeted"},
    {"goal": "least_likely", "step_size": 2},
    {"goal": "target"},
    {"goal": "margin"},
    {"goal": "untargeted", "step_fraction": 1, "steps": 1},
    {"goal": "untargeted", "start": "signs", "step_fraction": 0.5, "steps": 1},
    {"goal": "untargeted", "start": "integers"},
    {"goal": "margin", "start": "integers", "restarts": 3},
    {"goal": "untargeted", "start": "uniform", "step_fraction": 0.25, "steps": 10},
    {"goal": "untargeted", "momentum": 1},
    {"goal": "least_likely", "momentum": 0.5, "step_fraction": 0.1, "steps": 10},
    {"goal": "untargeted", "momentum": 1, "nesterov": True},
    {"goal": "untargeted", "momentum": 1, "kernel": 7},
    {"goal": "untargeted", "kernel": 3},
    {"goal": "untargeted", "views": [{"resize_pad": {"prob": 0.7}}]},
    {"goal": "untargeted", "momentum": 1, "nesterov": True, "views": [{"scale": {}}], "copies": 5},
    {"goal": "untargeted", "momentum": 1, "views": [{"affine": {}}], "copies": 2},
    {"goal": "untargeted", "momentum": 1, "kernel": 7, "views": [{"resize_pad": {"high": 1.3, "zero": 0}}]},
    {"goal": "untargeted", "norm": "l2"},
    {"goal": "untargeted", "norm": "l2", "momentum": 1, "start": "integers", "restarts": 2},
    {"goal": "away"},
    {"goal": "away_own_photos"},
    {"goal": "away_clean", "start": "ones"},
    {"goal": "towards"},
    {"goal": "triplet", "momentum": 1},
]


def agreement(settings):
    """The share of values that has to be equal."""
    if settings.get("views"):
        return 0.99
    return 0.999 if FRACTIONS & {*settings} or settings["goal"] in EMBEDDING else 1.0


def craft(models, faces, labels, eps, uniform, goal, spaces=None, **parts):
    """models: each (N, 3, H, W) grey levels -> logits; labels: by model; faces: (N, H, W, 3) uint8.

    uniform(face, step, copy, element): the number that is drawn there. spaces: by model, for goals about embeddings, a
    function to embeddings, all templates, and a template a face.
    """
    clean = torch.tensor(faces.transpose(0, 3, 1, 2).astype(np.float32))
    draws = Drawn(uniform, len(faces))
    objective = [
        objective_of(goal, model, torch.tensor(own), clean, draws, spaces and spaces[number])
        for number, (model, own) in enumerate(zip(models, labels, strict=True))
    ]

    def loss(x):
        return sum(one(x).double() for one in objective)

    kept, highest = clean.clone(), torch.full((len(faces),), -math.inf, dtype=torch.float64)
    for restart in range(parts.get("restarts", 1)):
        x = walked(loss, clean, eps, draws, restart * 2**20, **parts)
        with torch.no_grad():
            reached = loss(x)
        for face in range(len(faces)):
            if reached[face] > highest[face]:
                kept[face], highest[face] = x[face], reached[face]
    return kept.byte().numpy().transpose(0, 2, 3, 1)


def walked(loss, clean, eps, draws, first, step_size=1, step_fraction=None, steps=None, momentum=None, nesterov=False,
           kernel=None, views=(), copies=1, start="clean", norm="linf", restarts=1):  # fmt: skip
    alpha = step_size if step_fraction is None else step_fraction * eps
    steps = int(min(eps + 4, 1.25 * eps)) if steps is None else steps
    x = held(clean, clean + begun(start, clean, eps, draws, first), eps, norm)
    m = torch.zeros_like(clean)
    for step in range(first, first + steps):
        g = torch.zeros_like(clean)
        for copy in range(copies):
            point = (x + (momentum * alpha * m if nesterov else 0)).detach().clone().requires_grad_(True)
            seen = point
            for place, view in enumerate(views):
                ((name, settings),) = view.items()
                seen = VIEWS[name](seen, copy, draws, step, copy * len(views) + place, **settings)
            loss(seen).sum().backward()
            g = g + point.grad
        if kernel is not None:
            g = convolved(g, kernel)
        for face in range(len(clean)):
            if momentum is None:
                m[face] = g[face]
            else:
                size = g[face].abs().mean()
                m[face] = momentum * m[face] + (g[face] / size if size > 0 else 0)
            if norm == "linf":
                x[face] = x[face] + alpha * m[face].sign()
            else:
                length = m[face].double().square().mean().sqrt()
                x[face] = x[face] + (alpha * m[face] / length.float() if length > 0 else 0)
        x = held(clean, x, eps, norm).detach()
    return whole(clean, x, eps, norm)


def held(clean, x, eps, norm):
    if norm == "linf":
        return torch.minimum(torch.maximum(x, clean - eps), clean + eps).clamp(0, 255)
    moved = x - clean
    for face in range(len(clean)):
        length = moved[face].double().square().mean().sqrt()
        moved[face] *= min(1.0, float(eps / length)) if length > 0 else 1.0
    return (clean + moved).clamp(0, 255)


def whole(clean, x, eps, norm):
    if norm == "linf":
        return held(clean, x.round(), eps, norm)
    rounded = held(clean, x, math.sqrt(eps**2 - 1 / 6), norm).round()
    for face in range(len(clean)):
        if (rounded[face] - clean[face]).double().square().mean() > eps**2:
            rounded[face] = clean[face] + (x[face] - clean[face]).trunc()
    return rounded


def begun(start, clean, eps, draws, first):
    u = draws(first - 1, 0, clean[0].numel()).reshape(clean.shape)
    return {
        "clean": torch.zeros_like(clean),
        "uniform": eps * (2 * u - 1),
        "integers": (u * (2 * eps + 1)).floor() - eps,
        "signs": torch.where(u < 0.5, -eps / 2, eps / 2),
        "ones": (3 * u).floor() - 1,
    }[start]


def objective_of(goal, model, own, clean, draws, space):
    rows = range(len(clean))
    if goal in ("untargeted", "least_likely", "target"):
        with torch.no_grad():
            logits = model(clean)
        aim, sign = own, 1
        if goal == "least_likely":
            aim, sign = logits.argmin(dim=1), -1
        if goal == "target":
            others = [[c for c in range(logits.shape[1]) if c != own[face]] for face in rows]
            drawn = draws(-2, 0, 1)[:, 0]
            aim, sign = torch.tensor([others[face][int(drawn[face] * len(others[face]))] for face in rows]), -1
        return lambda x: sign * F.cross_entropy(model(x), aim, reduction="none")
    if goal == "margin":

        def margin(x):
            logits = model(x)
            best = [max(logits[face, c] for c in range(logits.shape[1]) if c != own[face]) for face in rows]
            return torch.stack([best[face] - logits[face, own[face]] for face in rows])

        return margin
    embedded, templates, anchors = space
    with torch.no_grad():
        seen = embedded(clean)
    unit = seen / seen.norm(dim=1, keepdim=True)
    strangers = [[c for c in range(len(templates)) if c != own[face]] for face in rows]
    likeness = [sorted((float(unit[face] @ templates[c]), c) for c in strangers[face]) for face in rows]
    nearest = torch.stack([templates[others[-1][1]] for others in likeness])
    farthest = torch.stack([templates[others[0][1]] for others in likeness])

    def cosine(x, to):
        return F.cosine_similarity(embedded(x), to, dim=1)

    return {
        "away": lambda x: -cosine(x, torch.stack([templates[own[face]] for face in rows])),
        "away_own_photos": lambda x: -cosine(x, anchors),
        "away_clean": lambda x: -cosine(x, unit),
        "towards": lambda x: cosine(x, nearest),
        # |f - t|^2 - |f - u|^2 = 2 cos(f, u) - 2 cos(f, t) for vectors of unit length
        "triplet": lambda x: 2 * cosine(x, farthest) - 2 * cosine(x, torch.stack([templates[own[i]] for i in rows])),
    }[goal]


def convolved(g, side):
    """Every pixel the weighted mean of those around it, zero outside."""
    line = [math.exp(-((-3 + 6 * i / (side - 1)) ** 2) / 2) for i in range(side)]
    weights = np.outer(line, line) / np.outer(line, line).sum()
    half, (height, width) = side // 2, g.shape[2:]
    out, padded = np.zeros(g.shape), np.pad(g.double().numpy(), ((0, 0), (0, 0), (half, half), (half, half)))
    for down in range(side):
        for across in range(side):
            out += weights[down, across] * padded[:, :, down : down + height, across : across + width]
    return torch.tensor(out).float()


def resize_pad(x, copy, draws, step, place, high=1.1, prob=0.5, zero=127.5):
    """Through Pillow itself for the weights: a picture is enlarged, padded and brought back, a pixel at a time."""
    side, chance = x.shape[2], draws(step, place, 4)
    out = []
    for face in range(len(x)):
        used, size, down, across = (float(number) for number in chance[face])
        if used >= prob:
            out.append(x[face])
            continue
        canvas = math.ceil(high * side)
        enlarged = side + int(size * (canvas - side))
        top, left = int(down * (canvas - enlarged + 1)), int(across * (canvas - enlarged + 1))
        grown = linear(linear(x[face], enlarged, 1), enlarged, 2)
        edges = (left, canvas - enlarged - left, top, canvas - enlarged - top)
        out.append(linear(linear(F.pad(grown, edges, value=zero), side, 1), side, 2))
    return torch.stack(out)


def linear(x, wanted, axis):
    """Pillow's bilinear filter along one axis."""
    length = x.shape[axis]
    impulses = Image.fromarray(np.eye(length, dtype=np.float32))
    weights = torch.tensor(np.array(impulses.resize((length, wanted), Image.Resampling.BILINEAR)))
    return torch.tensordot(x, weights, dims=([axis], [1])).movedim(-1, axis)


def scale(x, copy, draws, step, place, zero=127.5):
    return zero + (x - zero) * 0.5**copy


def affine(x, copy, draws, step, place, rotate=3, shift=0.02, scale=0.05):
    """A pixel of the view at p is read at R(-angle) p / size - shift around the middle, edges going on."""
    height, width = x.shape[2:]
    drawn = 2 * draws(step, place, 4) - 1
    views = []
    for face in range(len(x)):
        turn, right, down, grow = (float(number) for number in drawn[face])
        angle, size = math.radians(rotate) * turn, 1 / (1 + scale * grow)
        rows = []
        for v in range(height):
            for u in range(width):
                point = complex(u - (width - 1) / 2, v - (height - 1) / 2)
                point *= size * complex(math.cos(angle), math.sin(angle))
                point -= complex(shift * width * right, shift * height * down)
                across = min(max(point.real + (width - 1) / 2, 0), width - 1)
                along = min(max(point.imag + (height - 1) / 2, 0), height - 1)
                left, top = min(int(across), width - 2), min(int(along), height - 2)
                a, b = across - left, along - top
                rows.append(
                    (1 - b) * ((1 - a) * x[face, :, top, left] + a * x[face, :, top, left + 1])
                    + b * ((1 - a) * x[face, :, top + 1, left] + a * x[face, :, top + 1, left + 1])
                )
        views.append(torch.stack(rows, dim=1).reshape(x[face].shape))
    return torch.stack(views)


VIEWS = {"resize_pad": resize_pad, "scale": scale, "affine": affine}


class Drawn:
    def __init__(self, uniform, faces):
        self.uniform, self.faces = uniform, faces

    def __call__(self, step, copy, count):
        """(faces, count) numbers."""
        numbers = [[self.uniform(face, step, copy, element) for element in range(count)] for face in range(self.faces)]
        return torch.tensor(numbers, dtype=torch.float32)
