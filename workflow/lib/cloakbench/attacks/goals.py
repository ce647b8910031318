"""The goals of attacks, by name: what each has to know. What it climbs is in `losses`. Standard library only."""

from __future__ import annotations

from typing import NamedTuple

GALLERY, OWN_PHOTOS, NOTHING = "gallery", "own photos", "nothing"


class Goal(NamedTuple):
    """knows: of what an attacker has to have, beside the recogniser and the photograph. `gallery`: what the recogniser
    compares faces with, its templates or its class head; `own photos`: others of the same person.

    embedding: whether it is about what a recogniser sees in a face, of which a class head has nothing.
    """

    knows: str = GALLERY
    embedding: bool = False


GOALS = {
    "untargeted": Goal(),
    "least_likely": Goal(),
    "target": Goal(),
    "margin": Goal(),
    "away": Goal(embedding=True),
    "away_own_photos": Goal(OWN_PHOTOS, embedding=True),
    "away_clean": Goal(NOTHING, embedding=True),
    "towards": Goal(embedding=True),
    "triplet": Goal(embedding=True),
}
