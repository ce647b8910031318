"""The state of an attack where a budget leaves its path, on disk: a record a face.

"x" holds whole grey levels, as a uint8 face (H, W, 3); whatever else a family needs is float32.
"""

from __future__ import annotations

import numpy as np
import torch

from cloakbench.attacks.problem import State
from cloakbench.recognisers.recogniser import to_faces, to_tensor

PICTURE = "x"


def stored(state: State) -> dict[str, np.ndarray]:
    """A batch's state as fields of records. Raises ValueError where x is not whole: a family keeps fractions of grey
    levels under another name."""
    if not torch.equal(state[PICTURE], state[PICTURE].round()):
        raise ValueError("x has fractions of grey levels")
    return {
        name: to_faces(tensor) if name == PICTURE else tensor.float().cpu().numpy() for name, tensor in state.items()
    }


def restored(records: np.ndarray, device: torch.device) -> State:
    """The state that `stored` made these records of."""
    return {
        name: to_tensor(records[name], device) if name == PICTURE else torch.from_numpy(records[name].copy()).to(device)
        for name in records.dtype.names
    }
