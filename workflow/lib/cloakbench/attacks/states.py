"""The state of an attack where a budget leaves its path, on disk: one array of records, a record a face.

"x" holds whole grey levels, as a uint8 face (H, W, 3); whatever else a family needs is float32.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from cloakbench.attacks.problem import State
from cloakbench.errors import InputError
from cloakbench.files.seals import intact
from cloakbench.platforms import reserve
from cloakbench.recognisers.recogniser import to_faces, to_tensor

PICTURE = "x"


class StateFile:
    """The states of `count` faces, written to `path` batch by batch: memory does not grow with their number."""

    def __init__(self, path: Path, count: int):
        self.path, self.count = path, count
        self.records: np.memmap | None = None

    def __setitem__(self, part: slice, state: State) -> None:
        """Raises ValueError where x is not whole: a family keeps fractions of grey levels under another name."""
        values = {name: _stored(name, tensor) for name, tensor in state.items()}
        if self.records is None:
            kinds = [(name, value.dtype, value.shape[1:]) for name, value in values.items()]
            self.records = np.lib.format.open_memmap(self.path, "w+", np.dtype(kinds), (self.count,))
            reserve(self.path)  # on a full disk an error now, not a SIGBUS while the file is filled
        for name, value in values.items():
            self.records[name][part] = value
        self.records.flush()


class States:
    """What a StateFile wrote. Raises InputError if it is not whole."""

    def __init__(self, path: Path):
        try:
            self.records = np.load(intact(path), mmap_mode="r", allow_pickle=False)
        except InputError:
            raise
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path}: not a whole .npy file of states ({error})") from None
        if not self.records.dtype.names:
            raise InputError(
                f"{path}: {self.records.dtype} where records of states are expected; delete it and run again"
            )

    def of(self, part: slice, device: torch.device) -> State:
        """The state of the faces `part`."""
        return {name: _restored(name, self.records[name][part], device) for name in self.records.dtype.names}


def _stored(name: str, tensor: torch.Tensor) -> np.ndarray:
    if name != PICTURE:
        return tensor.float().cpu().numpy()
    if not torch.equal(tensor, tensor.round()):
        raise ValueError("x has fractions of grey levels")
    return to_faces(tensor)


def _restored(name: str, values: np.ndarray, device: torch.device) -> torch.Tensor:
    return to_tensor(values, device) if name == PICTURE else torch.from_numpy(np.array(values)).to(device)
