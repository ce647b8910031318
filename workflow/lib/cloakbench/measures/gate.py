"""Gate: before anything is crafted, does each recogniser know the clean faces that it is about to be judged on, and
does it see their colours as it learned them?

A gallery hides a wrong channel order: enrolled and attacked faces are equally wrong, and nearly all are still named.
What tells is the *lead* of an identity: how much more alike two faces of it are than faces of it and of others. In the
order that a network was trained in the lead is larger, by little for each identity but for nearly every one, so the two
orders are compared identity by identity. Cosines within an identity alone do not tell: in the wrong order everybody may
look more alike. With a class head the lead is that of the true class's logit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from cloakbench.errors import InputError
from cloakbench.measures.ranking import ranks
from cloakbench.recognisers.recogniser import Recogniser, batches, to_tensor

# FaceNet, EdgeFace-XS and dlib's ResNet on LFW: t of 5 to 17 with so many, never below -0.8 with 8 people and 3 photos
IDENTITIES, PHOTOS = 32, 10  # whose enrolled faces, and how many of each, are shown in both orders: more tell no more
FEWEST = 8  # identities without which nothing is said about the order
DECISIVE = 3.0  # |t| from which the order counts as told


def measured(
    recogniser: Recogniser,
    parts: Sequence[np.ndarray],
    labels: np.ndarray,
    enrolled: tuple[np.ndarray, Sequence[str]] | None,
    batch: int,
    device: torch.device,
) -> dict[str, float | None]:
    """What the gate has to say of a recogniser: clean top-1 in percent, in RGB and in BGR, and `rgb_over_bgr`.

    parts, labels: the clean faces, as in `clean_answers`. enrolled: faces and identities of a gallery, as in
    `enrolled_leads`; None for a class head, whose clean faces tell.
    """
    orders = (False, True)
    found, leads = zip(*(clean_answers(recogniser, parts, labels, batch, device, bgr) for bgr in orders), strict=True)
    if enrolled:
        evidence = rgb_over_bgr(*(enrolled_leads(recogniser, *enrolled, batch, device, bgr) for bgr in orders))
    else:
        evidence = rgb_over_bgr(*leads, labels)
    rgb, bgr = map(clean_top1, found)
    return {"clean_top1": rgb, "clean_top1_bgr": bgr, "rgb_over_bgr": evidence}


def clean_answers(
    recogniser: Recogniser,
    parts: Sequence[np.ndarray],
    labels: np.ndarray,
    batch: int,
    device: torch.device,
    bgr: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The true class's rank of each face, (N,) int64 with 0 for named, and its lead, (N,): its logit minus the mean of
    the others'.

    parts: arrays (M, height, width, 3) uint8 of faces, N together; labels: (N,). bgr: show the faces with red and blue
    exchanged.
    """
    found, leads, rest = [], [], torch.from_numpy(labels).to(device)
    with torch.inference_mode():
        for faces in parts:
            for shown in _shown(faces, range(len(faces)), batch, bgr):
                truth, rest = rest[: len(shown)], rest[len(shown) :]
                logits = recogniser(to_tensor(shown, device))
                true, classes = logits.gather(1, truth[:, None])[:, 0].double(), logits.shape[1]
                found.append(ranks(logits, truth).cpu())
                leads.append((true - (logits.double().sum(dim=1) - true) / max(classes - 1, 1)).cpu())
    return torch.cat(found).numpy(), torch.cat(leads).numpy()


def clean_top1(found: np.ndarray) -> float:
    """Share of the faces, in percent, whose true class has the largest logit. found: their ranks, (N,).

    >>> clean_top1(np.array([0, 0, 3, 0]))
    75.0
    """
    return 100 * float((found == 0).mean())


def enrolled_leads(
    recogniser: Recogniser,
    faces: np.ndarray,
    identities: Sequence[str],
    batch: int,
    device: torch.device,
    bgr: bool = False,
) -> np.ndarray:
    """Each identity's lead, (K,): mean cosine of two faces of it, minus mean cosine of faces of it and of others.

    faces: (M, height, width, 3) uint8, all that are enrolled; identities: who is on each. At most PHOTOS of each of the
    first IDENTITIES that have two or more are looked at; where there are no two of these the array is empty. bgr: show
    them with red and blue exchanged. No template is asked for: those were made in one order, and prefer it.
    """
    rows, whose = _compared(identities)
    if len(rows) == 0 or whose[-1] == 0:
        return np.empty(0)
    with torch.inference_mode():
        looks = [recogniser.embeddings(to_tensor(shown, device)) for shown in _shown(faces, rows, batch, bgr)]
        embeddings = F.normalize(torch.cat(looks).double()).cpu().numpy()
    count = np.bincount(whose)
    sums = np.stack([embeddings[whose == identity].sum(axis=0) for identity in range(len(count))])
    products = sums @ sums.T
    own = np.diag(products)  # over all pairs of an identity's faces, each with itself, which is 1, among them
    within = (own - count) / (count * (count - 1))
    between = (products.sum(axis=1) - own) / (count * (count.sum() - count))
    return within - between


def _compared(identities: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the enrolled faces that are shown in both orders, and whose they are, from 0: (M,) int64 each."""
    names, whose = np.unique(np.asarray(identities, dtype=str), return_inverse=True)
    rows = [np.flatnonzero(whose == number)[:PHOTOS] for number in range(len(names))]
    rows = [own for own in rows if len(own) > 1][:IDENTITIES]
    empty = np.empty(0, np.int64)
    return np.concatenate([empty, *rows]), np.repeat(np.arange(len(rows)), [len(own) for own in rows])


def _shown(faces: np.ndarray, rows: Sequence[int], batch: int, bgr: bool) -> Iterator[np.ndarray]:
    """These rows of the faces batch by batch, with red and blue exchanged if `bgr`."""
    for part in tqdm(list(batches(rows, batch)), desc="gate", mininterval=1):
        shown = faces[rows[part]]
        yield shown[..., ::-1] if bgr else shown


def rgb_over_bgr(rgb: np.ndarray, bgr: np.ndarray, labels: np.ndarray | None = None) -> float | None:
    """Student's t of the leads in RGB minus those in BGR, paired by identity: from DECISIVE on RGB is the right order,
    from -DECISIVE down BGR is. None where it cannot be told: fewer than FEWEST identities, or no difference at all, as
    on grey photographs.

    rgb, bgr: leads, (N,); labels: whose they are, (N,), and an identity counts once; None: one each.
    """
    each = rgb - bgr
    if labels is not None:
        each = np.array([each[labels == label].mean() for label in np.unique(labels)])
    if len(each) < FEWEST or not each.std() > 0:
        return None
    return float(each.mean() / (each.std(ddof=1) / np.sqrt(len(each))))


def doubt(name: str, evidence: float | None) -> str | None:
    """What to warn of if `evidence`, from `rgb_over_bgr`, says that the recogniser sees exchanged colours; or None."""
    if evidence is None or evidence > -DECISIVE:
        return None
    return (
        f"{name} tells people better apart with red and blue exchanged (t = {-evidence:.1f} over the identities, "
        f"{DECISIVE:g} is decisive): the weights seem to want BGR input, and PSR would be wrong although the clean "
        "faces are named; convert them to RGB (exchange input channels 0 and 2 of the first layer; mean and std are "
        "in the order R, G, B), or see that the photographs have their own colours"
    )


def check(name: str, measured: float, exchanged: float, minimum: float) -> None:
    """Raise InputError if `measured` (percent) is below `minimum`, with what is likely wrong.

    exchanged: the same with red and blue exchanged; if that is much better, the checkpoint wants BGR.
    """
    if measured >= minimum:
        return
    if exchanged > measured + 20:
        likely = f"with red and blue exchanged it is {exchanged:.1f} %: the weights want BGR input, convert them to RGB"
    elif measured < 5:
        likely = "that is chance: the order of the classes does not fit the weights"
    else:
        likely = "the crop (margin, size, align), mean or std may not be those that the recogniser was trained with"
    raise InputError(
        f"{name} names {measured:.1f} % of the clean faces, at least {minimum:g} % wanted: {likely}; "
        "to go on all the same set gate.clean_top1 lower"
    )
