"""The paper's statements as tests of a PSR table: the published one or a study's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from cloakbench.paper.comparison import PAPER_N, Tests, at_least, at_most, falls, in_paper_grid, ordered, rises
from cloakbench.statistics.paired import sign_flips

EVALUATED = ["storage", "claim", "text", "section", "cells", "violations", "beyond_noise", "verdict"]
HIGH = 90  # per cent; the paper calls a protection "high" without a number


@dataclass(frozen=True)
class Claim:
    """A statement of the paper that a table of PSR can contradict.

    name:    a short key.
    text:    what is claimed, in our words.
    section: where the paper says so.
    tests:   the cells or pairs of cells that it is about, and what it says of each.
    exact:   it holds of any correct table, face by face, so that no violation can be noise.
    """

    name: str
    text: str
    section: str
    tests: Tests
    exact: bool = False


BLACK = {"box": "black"}  # source and target differ
WHITE = {"box": "white"}  # faces met by the model that they were crafted on
OXFORD = ["resnet50", "senet50"]  # the two with an input of 224 pixels
RESULTS = "Evaluation results"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "falls-with-k",
        "A larger k never raises PSR (follows from the definition of top-k).",
        "Evaluation metric",
        falls(),
        exact=True,
    ),
    Claim("rises-with-eps", "PSR rises with the noise budget, in all figures.", RESULTS, rises()),
    Claim(
        "transfer-rises-with-eps",
        "A larger budget makes the faces more transferable to other models.",
        RESULTS,
        rises(**BLACK),
    ),
    Claim(
        "bim-over-illc",
        "BIM, though untargeted, protects at least as well as ILLC.",
        "Introduction; Conclusion",
        ordered(["attack"], {"attack": "bim"}, {"attack": "illc"}),
    ),
    Claim(
        "bim-transfers-better",
        "BIM is better than ILLC in the transferability of its faces.",
        "Conclusion",
        ordered(["attack"], {"attack": "bim"}, {"attack": "illc"}, **BLACK),
    ),
    Claim(
        "own-model-highest",
        "Faces protect best against the model that they were crafted on.",
        RESULTS,
        ordered(["target"], WHITE, BLACK),
    ),
    Claim(
        "facenet-transfers-best",
        "Faces crafted on FaceNet transfer better than those of ResNet and SENet (to a common target).",
        RESULTS,
        ordered(["source"], {"source": "facenet"}, {"source": OXFORD}, **BLACK),
    ),
    Claim(
        "facenet-transfers-best-bim-32",
        "The same, for BIM at eps 32, where the figures are compared.",
        RESULTS,
        ordered(["source"], {"source": "facenet"}, {"source": OXFORD}, attack="bim", eps=32, **BLACK),
    ),
    Claim(
        "facenet-bim-32-top25",
        "FaceNet, BIM, eps 32, top-25: at least 95 % against ResNet and SENet.",
        RESULTS,
        at_least(95, source="facenet", attack="bim", eps=32, top_k=25, **BLACK),
    ),
    Claim(
        "facenet-illc-32-top25",
        "FaceNet, ILLC, eps 32, top-25: at most 65 % against ResNet and SENet.",
        RESULTS,
        at_most(65, source="facenet", attack="illc", eps=32, top_k=25, **BLACK),
    ),
    Claim(
        "facenet-bim-32-top50-resnet",
        "FaceNet, BIM, eps 32, top-50: protects up to 89 % against ResNet (tested as: at least).",
        RESULTS,
        at_least(89, source="facenet", attack="bim", eps=32, top_k=50, target="resnet50"),
    ),
    Claim(
        "facenet-bim-32-top50-senet",
        "FaceNet, BIM, eps 32, top-50: protects up to 91 % against SENet (tested as: at least).",
        RESULTS,
        at_least(91, source="facenet", attack="bim", eps=32, top_k=50, target="senet50"),
    ),
    Claim(
        "largest-at-8-facenet",
        "At eps 8 the largest protection is 58 %, at top-1 (read of faces crafted on FaceNet with BIM).",
        RESULTS,
        at_most(58, source="facenet", attack="bim", eps=8, top_k=1, **BLACK),
    ),
    Claim(
        "largest-at-8",
        "At eps 8 the largest protection is 58 %, at top-1 (read of any model against another).",
        RESULTS,
        at_most(58, eps=8, top_k=1, **BLACK),
    ),
    Claim(
        "illc-at-8-facenet",
        "At eps 8 ILLC is not higher than 32 % (read of faces crafted on FaceNet).",
        RESULTS,
        at_most(32, source="facenet", attack="illc", eps=8, top_k=1, **BLACK),
    ),
    Claim(
        "illc-at-8",
        "At eps 8 ILLC is not higher than 32 % (read of any model against another).",
        RESULTS,
        at_most(32, attack="illc", eps=8, top_k=1, **BLACK),
    ),
    Claim(
        "resnet-worst-own",
        "ResNet does worst against itself at eps 4, top-1 (39 % with ILLC).",
        RESULTS,
        ordered(
            ["source", "target"], {"source": ["facenet", "senet50"]}, {"source": "resnet50"}, eps=4, top_k=1, **WHITE
        ),
    ),
    Claim(
        "resnet-worst-facenet",
        "ResNet against FaceNet is the worst pair of models at eps 32, top-5 (21 % with ILLC).",
        RESULTS,
        ordered(["source", "target"], BLACK, {"source": "resnet50", "target": "facenet"}, eps=32, top_k=5, **BLACK),
    ),
    Claim(
        "resnet-transfers-worst",
        "Of the three, faces crafted on ResNet protect least (against a common other target).",
        RESULTS,
        ordered(["source"], {"source": ["facenet", "senet50"]}, {"source": "resnet50"}, **BLACK),
    ),
    Claim(
        "nothing-high-at-8-black-box",
        f"Against another model no imperceptible noise (eps 4 and 8) protects highly ({HIGH} %).",
        "Introduction",
        at_most(HIGH, strict=True, eps=[4, 8], top_k=1, **BLACK),
    ),
    Claim(
        "nothing-high-at-8",
        f"No imperceptible noise (eps 4 and 8) protects highly ({HIGH} %), not even against the own model.",
        "Abstract; Conclusion",
        at_most(HIGH, strict=True, eps=[4, 8], top_k=1),
    ),
    Claim(
        "only-above-32",
        f"Privacy (PSR of {HIGH} % against another model) is achievable only with eps > 32.",
        RESULTS,
        at_most(HIGH, strict=True, eps=[4, 8, 16, 32], top_k=1, **BLACK),
    ),
    Claim(
        "achievable-above-32",
        f"With eps > 32 it is achievable: FaceNet's BIM faces reach {HIGH} % against ResNet and SENet.",
        RESULTS,
        at_least(HIGH, source="facenet", attack="bim", eps=[64, 128], **BLACK),
    ),
    Claim(
        "resizing-one-source",
        "Resizing lowers transfer: faces crafted at 224 pixels protect more at 224 than at FaceNet's 160.",
        "Introduction; Evaluation results",
        ordered(["target"], {"target": OXFORD}, {"target": "facenet"}, source=OXFORD, **BLACK),
    ),
    Claim(
        "resizing-one-target",
        "Resizing lowers transfer: at 224 pixels, faces crafted at 224 protect more than FaceNet's of 160.",
        "Introduction; Evaluation results",
        ordered(["source"], {"source": OXFORD}, {"source": "facenet"}, target=OXFORD, **BLACK),
    ),
)


def evaluate(
    claims: Iterable[Claim], psr: pd.DataFrame, n: int = PAPER_N, faces: Mapping[tuple, pd.Series] | None = None
) -> pd.DataFrame:
    """What a PSR table says to each statement, one row a storage and claim.

    `psr` is a study's table or the published one; `n` subjects stand behind each cell of a table without the
    column `subjects`. Cells outside the paper's grid are left aside. `cells` counts the cells or pairs tested,
    `violations` those that say otherwise, `beyond_noise` the violations that are significant at 95 %, corrected by
    Benjamini and Hochberg over the cells of the claim (of 450 pairs, some would fail by chance alone). In claims about
    the largest PSR, top-1 stands for every k: a larger k never raises it.

    Attacks, targets and budgets of a study are compared on the same faces: `faces`, from `psr.hidden_by_cell`, with the
    mid-p of the exact sign-flip test over subjects. A cell and a bound, and two cells of a table of which no more is at
    hand, as the published one, with a score test of two proportions, which is conservative for the same faces: it says
    "within noise" too often rather than too seldom.

    verdict: "supported" (no violation), "contradicted within noise", "contradicted" (some are beyond noise),
    "not covered" (no cell that the claim is about).
    """
    cells = in_paper_grid(psr, n, faces)
    rows = [
        {"storage": storage, **_evaluated(claim, cells[cells["storage"] == storage])}
        for storage in (cells["storage"].unique() if len(cells) else [""])
        for claim in claims
    ]
    return pd.DataFrame(rows, columns=EVALUATED)


def _evaluated(claim: Claim, cells: pd.DataFrame) -> dict:
    tests = claim.tests(cells)
    violated = (tests["high"] < tests["low"]) | (tests["strict"] & (tests["high"] == tests["low"]))
    beyond = violated if claim.exact else violated & _significant(tests, violated)
    return {
        "claim": claim.name,
        "text": claim.text,
        "section": claim.section,
        "cells": len(tests),
        "violations": int(violated.sum()),
        "beyond_noise": int(beyond.sum()),
        "verdict": _verdict(len(tests), violated.any(), beyond.any()),
    }


def _verdict(cells: int, violated: bool, beyond_noise: bool) -> str:
    if not cells:
        return "not covered"
    if not violated:
        return "supported"
    return "contradicted" if beyond_noise else "contradicted within noise"


def _significant(tests: pd.DataFrame, violated: pd.Series) -> np.ndarray:
    """Which rows differ from what is claimed at a false discovery rate of 5 %."""
    if not violated.any():
        return np.zeros(len(tests), dtype=bool)
    ps = [_p(test) if wrong else 1.0 for test, wrong in zip(tests.itertuples(), violated, strict=True)]
    return multipletests(ps, alpha=0.05, method="fdr_bh")[0]


def _p(test: tuple) -> float:
    """Two-sided. Of two cells whose faces are known: of the faces that both have, `paired.sign_flips`. Else

    z = (low - high) / sqrt(p (1 - p) (1/n_high + 1/n_low)) with p the pooled proportion; a bound is a sample
    without end, whose share of the pool is all of it.
    """
    if test.high_faces is not None and test.low_faces is not None:
        both = pd.concat([test.high_faces, test.low_faces], axis=1, join="inner")
        return sign_flips((both.iloc[:, 1] - both.iloc[:, 0]).groupby(level="subject").sum())
    high, low, spread_high, spread_low = test.high / 100, test.low / 100, 1 / test.high_n, 1 / test.low_n
    pooled = (high * spread_low + low * spread_high) / (spread_high + spread_low)
    deviation = sqrt(pooled * (1 - pooled) * (spread_high + spread_low))
    return erfc((low - high) / deviation / sqrt(2)) if deviation > 0 else 1.0
