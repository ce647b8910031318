"""Names of people from folders and lists: the same name in two forms of Unicode is one name. Standard library only."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def composed(name: str) -> str:
    """The name with é as one character (NFC), as lists are written; macOS writes folders with two (NFD).

    >>> len("Jose\u0301"), len(composed("Jose\u0301"))
    (5, 4)
    """
    return unicodedata.normalize("NFC", name)


def appearance(name: str) -> str:
    """What is to be seen of a name: composed, without invisible characters, spaces of any kind as one, none around."""
    seen = "".join(sign for sign in composed(name) if unicodedata.category(sign) != "Cf")
    return " ".join(seen.split())


def lookalike(name: str, known: Iterable[str]) -> str | None:
    """One of the known names that a reader would take for `name`: it differs in what is not seen or in case alone.

    >>> lookalike("ana  maria ", ["Ana Maria", "Ana Mario"])
    'Ana Maria'
    """
    wanted = appearance(name).casefold()
    return next((other for other in known if appearance(other).casefold() == wanted), None)
