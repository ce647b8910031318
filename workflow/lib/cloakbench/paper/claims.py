"""The paper's statements as tests of a PSR table: the published one or a study's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from cloakbench.paper.comparison import PAPER_N, Tests, at_least, at_most, falls, in_paper_grid, ordered, rises

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


def evaluate(claims: Iterable[Claim], psr: pd.DataFrame, n: int = PAPER_N) -> pd.DataFrame:
    """What a PSR table says to each statement, one row a storage and claim.

    `psr` is a study's table or the published one; `n` subjects stand behind each cell of a table without the
    column `subjects`. Cells outside the paper's grid are left aside. `cells` counts the cells or pairs tested,
    `violations` those that say otherwise, `beyond_noise` the violations that are significant at 95 %: a score
    test of two proportions, or of one against a bound, corrected by Benjamini and Hochberg over the cells of
    the claim (of 450 pairs, some would fail by chance alone). In claims about the largest PSR, top-1 stands
    for every k: a larger k never raises it.

    Attacks, targets and budgets are compared on the same faces, where a paired test would be in place, but
    only the marginal counts are at hand: the unpaired test is conservative, and says "within noise" too often
    rather than too seldom.

    verdict: "supported" (no violation), "contradicted within noise", "contradicted" (some are beyond noise),
    "not covered" (no cell that the claim is about).
    """
    cells = in_paper_grid(psr, n)
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
    """Which rows differ from what is claimed at a false discovery rate of 5 %.

    z = (low - high) / sqrt(p (1 - p) (1/n_high + 1/n_low)) with p the pooled proportion; a bound is a sample
    without end, whose share of the pool is all of it.
    """
    if not violated.any():
        return np.zeros(len(tests), dtype=bool)
    high, low = tests["high"].to_numpy(float) / 100, tests["low"].to_numpy(float) / 100
    spread_high, spread_low = 1 / tests["high_n"].to_numpy(float), 1 / tests["low_n"].to_numpy(float)
    pooled = (high * spread_low + low * spread_high) / (spread_high + spread_low)
    deviation = np.sqrt(pooled * (1 - pooled) * (spread_high + spread_low))
    z = np.divide(low - high, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    p_values = [erfc(max(score, 0) / sqrt(2)) for score in np.where(violated, z, 0)]
    return multipletests(p_values, alpha=0.05, method="fdr_bh")[0]
