"""The families of attacks, by name: what a config's `family:` may be, and where each is made.

Standard library only, for the rule files; a family's own module is imported by the job that crafts with it. Its
settings are described in workflow/schemas/attacks/<name>.schema.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from cloakbench.attacks.problem import Attack


class Family(NamedTuple):
    """module: its `make(**settings)` gives an Attack. norm: a key of norms.NORMS, in which its budgets are held, where
    an entry's `norm` names no other.

    shares_path: whether its attacks are Sharing ones, all of whose budgets follow one path; not those that have one of
    the settings `scaled`, by which steps depend on the budget. fractions: settings, or settings and their values, with
    which pictures are fractions of grey levels until they are rounded in the end.
    """

    module: str
    norm: str = "linf"
    shares_path: bool = False
    scaled: tuple[str, ...] = ()
    fractions: tuple[str, ...] = ()


FAMILIES = {
    "walk": Family(
        "cloakbench.attacks.walk",
        shares_path=True,
        scaled=("step_fraction", "start", "restarts", "norm"),
        fractions=("step_fraction", "start: uniform", "start: signs", "norm: l2"),
    ),
    "iterative_sign": Family("cloakbench.attacks.walk", shares_path=True),  # the name of walks that have no parts
}


def attack(family: str, **settings: Any) -> Attack:
    """The attack that a config entry describes; its names were checked by the family's schema."""
    return import_module(FAMILIES[family].module).make(**settings)


def norm(entry: Mapping) -> str:
    """The norm in which an entry's budgets are held."""
    return entry.get("norm", FAMILIES[entry["family"]].norm)


def shares_path(entry: Mapping) -> bool:
    """Whether all budgets of an entry follow one path.

    >>> shares_path({"family": "walk"}), shares_path({"family": "walk", "step_fraction": 0.1})
    (True, False)
    """
    family = FAMILIES[entry["family"]]
    return family.shares_path and not {*family.scaled} & {*entry}


def fractional(entry: Mapping) -> bool:
    """Whether an entry's pictures are fractions of grey levels until they are rounded.

    >>> fractional({"family": "walk", "norm": "l2"}), fractional({"family": "walk", "norm": "linf"})
    (True, False)
    """
    told = {*entry} | {f"{key}: {value}" for key, value in entry.items()}
    return not told.isdisjoint(FAMILIES[entry["family"]].fractions)


def parts(entry: Mapping) -> dict[str, tuple[str, ...]]:
    """By registry, what an entry is made of: no other goal or view is in what its jobs run."""
    chosen = {"family": (entry["family"],), "view": tuple(name for view in entry.get("views", []) for name in view)}
    return chosen | {key: (entry[key],) for key in ("goal", "start") if key in entry}
