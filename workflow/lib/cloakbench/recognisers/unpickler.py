"""Pickles of numpy arrays, read without running anything: arrays of numbers are admitted and nothing else."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np


class ForbiddenError(pickle.UnpicklingError):
    """The global that a pickle asked for."""


class _Dtype:
    """What a pickle says of a numpy dtype: a kind of number and its byte order."""

    def __init__(self, code: str, *_flags: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]

    def numpy(self) -> np.dtype:
        if not re.fullmatch(r"f[248]|[iu][1248]", self.code) or self.order not in set("<>=|"):
            raise ForbiddenError(f"numpy.dtype({self.code!r})")
        return np.dtype(self.order + self.code)


class PickledArray:
    """What a pickle says of a numpy array; `numpy` makes the array after checking it.

    numpy's own reconstruction trusts the pickle, down to memory that does not exist; this stand-in does not.
    """

    def __setstate__(self, state: tuple) -> None:
        _version, self.shape, self.dtype, self.by_columns, self.data = state

    @classmethod
    def empty(cls, *_type_and_shape: object) -> PickledArray:
        return cls()

    @classmethod
    def from_buffer(cls, data: bytes, dtype: _Dtype, shape: tuple, order: str) -> PickledArray:
        array = cls()
        array.__setstate__((1, shape, dtype, order == "F", data))
        return array

    def numpy(self) -> np.ndarray:
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data  # Python 2's strings
        array = np.frombuffer(data, self.dtype.numpy())
        array = array.reshape(self.shape, order="F" if self.by_columns else "C")
        return array.astype(array.dtype.newbyteorder("="), order="C")


class _Latin1:
    """Bytes as Python 3 writes them for Python 2: a string and the encoding that gives them back."""

    @classmethod
    def encode(cls, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise ForbiddenError(f"_codecs.encode(..., {encoding!r})")
        return text.encode("latin1")


class Unread:
    """Stands for what a training tool writes beside the tensors, and does nothing with what the file says of it."""

    def __init__(self, *_arguments: object, **_named: object) -> None:
        pass

    def __setstate__(self, _state: object) -> None:
        pass


class UnreadMapping:
    """The same for a mapping: a plain dict, of which nobody asks for more than its tensors."""

    def __new__(cls, *_arguments: object, **_named: object) -> dict:
        return {}


# options, epochs and accuracies of numpy, paths and dates: read by nobody here, run by nobody either
UNREAD = {
    **dict.fromkeys(
        [
            *("argparse.Namespace", "types.SimpleNamespace", "datetime.datetime", "datetime.timedelta", "numpy.dtype"),
            *("numpy.ndarray", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib._local.PosixPath", "builtins.list"),
            *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
        ],
        Unread,
    ),
    **dict.fromkeys(
        [
            *("collections.defaultdict", "pytorch_lightning.utilities.parsing.AttributeDict", "yacs.config.CfgNode"),
            *("lightning_fabric.utilities.data.AttributeDict", "lightning.fabric.utilities.data.AttributeDict"),
        ],
        UnreadMapping,
    ),
}

ADMITTED = {
    ("collections", "OrderedDict"): dict,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): PickledArray,
    ("_codecs", "encode"): _Latin1.encode,
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")  # numpy 2 renamed it
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", PickledArray.empty),
            ("numeric", "_frombuffer", PickledArray.from_buffer),
        )
    },
}


class ArrayUnpickler(pickle.Unpickler):
    """Admits numpy arrays of numbers and nothing else, and makes stand-ins even of these."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise ForbiddenError(f"{module}.{name}")
        return ADMITTED[module, name]
