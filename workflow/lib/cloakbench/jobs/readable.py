"""What Snakemake tells of a job, in lines that a person reads. Standard library only, for the rule files."""

from __future__ import annotations

import logging

LONGEST = 800  # characters of a list


class Readable(logging.Filter):
    """Shortens what Snakemake lists of a job: of 200 files that it reads some names and the number say enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name in ("input", "output"):
            if isinstance(files := getattr(record, name, None), list):
                setattr(record, name, shortened(files))
        if isinstance(reason := getattr(record, "reason", None), str):
            record.reason = ", ".join(shortened(reason.split(", ")))
        return True


def shortened(names: list[str]) -> list[str]:
    """As many of the names as LONGEST admits, the first in any case, and how many more there are."""
    length = 0
    for count, name in enumerate(names):
        length += len(name) + 2
        if count and length > LONGEST:
            return [*names[:count], f"and {len(names) - count} more"]
    return names
