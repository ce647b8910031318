"""The device that a job computes on, and how many CPU threads it takes."""

from __future__ import annotations

import platform

import torch

from cloakbench import seals
from cloakbench.errors import InputError


def use(device: str, threads: int) -> torch.device:
    """Prepare torch and name the device. device: auto (a GPU if there is one), cpu or cuda.

    The thread count is set outright, not taken from the machine: another split of a sum is another rounding, and
    the same study gives the same bytes whatever number of cores it runs on.
    Raises InputError if cuda is asked for and there is none.
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError(
            "compute.device: cuda, but torch finds no GPU here; accepted: auto, cpu, or a machine with one"
        )
    used = torch.device("cuda" if available and device != "cpu" else "cpu")
    seals.note(device=torch.cuda.get_device_name() if used.type == "cuda" else f"cpu, {platform.machine()}")
    return used
