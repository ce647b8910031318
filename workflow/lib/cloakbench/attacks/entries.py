"""A study's attacks: entries of its config, and of the catalogue that ships, by name. For the rule files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cloakbench.attacks import families
from cloakbench.attacks.goals import GOALS, OWN_PHOTOS
from cloakbench.study.checks import require
from cloakbench.study.sources import members


def check_attacks(config: Mapping) -> None:
    """Refuse, in one line, what the attacks of a complete config need and it does not have. Raises InputError."""
    asked = {name: config["attacks"][name] for name in config["matrix"]["attack"]}
    for name, entry in asked.items():
        key = f"attacks.{name}"
        _check_parts(key, entry)
        goal = entry.get("goal", "")
        if goal in GOALS and GOALS[goal].embedding:
            _check_heads(f"{key}.goal: {goal}", config)
        if knows(entry) == OWN_PHOTOS:
            needed = "photographs of the subjects beside the attacked and the enrolled ones; set dataset.own"
            require("own" in config["dataset"], f"{key}.goal: {goal} needs {needed}")
    norms = {name: families.norm(entry) for name, entry in asked.items()}
    mixed = ", ".join(f"{name} {norm}" for name, norm in norms.items())
    several = f"matrix.attack: budgets in several norms ({mixed}), which no eps makes equal; a study for each norm"
    require(len({*norms.values()}) == 1, several)


def _check_parts(key: str, entry: Mapping) -> None:
    """What the schema cannot say in one line."""
    fraction = f"{key}.step_size would not be used beside step_fraction; remove one of them"
    require(not {"step_size", "step_fraction"} <= {*entry}, fraction)
    require("nesterov" not in entry or "momentum" in entry, f"{key}.nesterov looks ahead along momentum; set momentum")
    views = [view for part in entry.get("views", []) for view in part]
    copies = entry.get("copies", 1)
    require(copies == 1 or views, f"{key}.copies: {copies} equal copies are one; add views, or remove it")
    require("scale" not in views or copies > 1, f"{key}.views: scale sees nothing else in one copy; set copies")
    random = entry.get("start", "clean") != "clean"
    require(random or "restarts" not in entry, f"{key}.restarts: all would begin at the clean face; set start")
    still = f"{key}.goal: away_clean has no gradient at the clean face; set start, e.g. ones"
    require(random or entry.get("goal") != "away_clean", still)


def _check_heads(key: str, config: Mapping) -> None:
    for source in config["matrix"]["source"]:
        for name in members(config, source):
            head = config["models"][name]["head"]
            needed = f"{name} has a {head} head; accepted: sources with head: gallery"
            require(head == "gallery", f"{key} is about embeddings, and {needed}")


def knows(entry: Mapping) -> str:
    """What an attacker has to have: see goals.GOALS; of a family without goals nothing is known.

    >>> knows({"family": "walk", "goal": "away_own_photos"})
    'own photos'
    """
    return GOALS[entry["goal"]].knows if entry.get("goal") in GOALS else ""


def own_photos(entries: Iterable[Mapping]) -> bool:
    """Whether any of them needs further photographs of the attacked people."""
    return any(knows(entry) == OWN_PHOTOS for entry in entries)


def facts(attacks: Mapping[str, Mapping], budgets: Iterable[int]) -> dict[str, dict]:
    """What tables say of each attack: what it `knows`, and its `gradients` a face in each source by budget, from the
    clean face on."""
    found = {}
    for name, entry in attacks.items():
        crafter = families.attack(**entry)  # a slow import, and none for the rule files
        found[name] = {"knows": knows(entry), "gradients": {eps: crafter.gradients(eps) for eps in budgets}}
    return found
