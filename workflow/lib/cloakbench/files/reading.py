"""Reading what the study wrote, if it is still what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cloakbench.errors import InputError
from cloakbench.files.seals import intact


def read_table(path: Path, **options: Any) -> pd.DataFrame:
    """A CSV file of a study; options: pandas.read_csv's. Raises InputError if it is not what was written."""
    try:
        return pd.read_csv(intact(path), **options)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error}); delete it and run again") from None


def open_faces(path: Path, *kinds: type) -> np.ndarray:
    """The (N, height, width, 3) faces of a .npy file, left on disk until they are read. kinds: of numbers that are
    expected, uint8 if none is given. Raises InputError."""
    faces, kinds = open_array(path), kinds or (np.uint8,)
    if faces.ndim != 4 or faces.shape[3] != 3 or faces.dtype not in kinds:
        wanted = f"{' or '.join(np.dtype(kind).name for kind in kinds)} (N, height, width, 3)"
        raise InputError(f"{path}: {faces.dtype} {faces.shape} where {wanted} is expected")
    return faces


def open_array(path: Path) -> np.ndarray:
    """The array of a .npy file, left on disk until it is read. Raises InputError if it is not whole."""
    try:
        return np.load(intact(path), mmap_mode="r", allow_pickle=False)
    except InputError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a whole .npy file ({error})") from None
