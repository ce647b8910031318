"""Arrays of records in .npy files, a record a face: read field by field, written batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cloakbench.errors import InputError
from cloakbench.files.reading import open_array
from cloakbench.platforms import reserve


class RecordFile:
    """`count` records, written to `path` as they come: memory does not grow with their number. missing: what stands in
    those that are never written, in fields of floating point."""

    def __init__(self, path: Path, count: int, missing: float = 0):
        self.path, self.count, self.missing = path, count, missing
        self.records: np.memmap | None = None

    def __setitem__(self, rows: slice | np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        """values: by field, (rows, ...); the first ones say what kinds of fields there are."""
        if self.records is None:
            kinds = [(name, value.dtype, value.shape[1:]) for name, value in values.items()]
            self.records = np.lib.format.open_memmap(self.path, "w+", np.dtype(kinds), (self.count,))
            reserve(self.path)  # on a full disk an error now, not a SIGBUS while the file is filled
            for name, kind, _ in kinds:
                if self.missing and np.issubdtype(kind, np.floating):
                    self.records[name] = self.missing
        for name, value in values.items():
            self.records[name][rows] = value
        self.records.flush()


def open_records(path: Path) -> np.ndarray:
    """What a RecordFile wrote, left on disk until it is read. Raises InputError if it is not whole."""
    records = open_array(path)
    if not records.dtype.names:
        raise InputError(f"{path}: {records.dtype} where records are expected")
    return records
