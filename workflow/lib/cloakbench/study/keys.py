"""The keys of a cell: what tells one cell of a study from another. Data alone; what follows from it is in `grid`."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """stage: the first whose files differ by it. catalogues: where the config says what its values mean, if anywhere.

    default: its value where a study does not say; a cell that has it is written down, in paths, tables and seals,
    as if there were no such key. Another value is a folder <name>=<value> before the storage's.
    """

    name: str
    stage: str
    catalogues: tuple[str, ...] = ()
    default: str | None = None


# Whose photographs a cell's faces are: probes are those that are attacked, enrolled the ones that the same people have
# in the gallery. No key of the grid: cells of another role than probe are made where something asks for their files.
ROLE = Key("role", "craft", default="probe")
ROLES = ("probe", "enrolled")
STAGES = ("craft", "store", "redetect", "classify")
KEYS = (
    Key("source", "craft", ("models", "ensembles")),
    Key("attack", "craft", ("attacks",)),
    Key("eps", "craft"),
    Key("storage", "store", ("storages",)),
    Key("target", "classify", ("models",)),
)
NAMES = [key.name for key in KEYS]
DEFAULTS = {key.name: key.default for key in (ROLE, *KEYS) if key.default is not None}
