"""The families of attacks, by name: what a config's `family:` may be, and where each is made.

Standard library only, for the rule files; a family's own module is imported by the job that crafts with it. Its
settings are described in workflow/schemas/attacks/<name>.schema.yaml.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from cloakbench.attacks.problem import Attack


class Family(NamedTuple):
    """module: its `make(**settings)` gives an Attack. norm: a key of norms.NORMS, in which its budgets are held.

    shares_path: whether its attacks are Sharing ones, all of whose budgets follow one path.
    """

    module: str
    norm: str
    shares_path: bool = False


FAMILIES = {
    "iterative_sign": Family("cloakbench.attacks.walk", norm="linf", shares_path=True),
}


def attack(family: str, **settings: Any) -> Attack:
    """The attack that a config entry describes; its names were checked by the family's schema."""
    return import_module(FAMILIES[family].module).make(**settings)
