"""The device that a job computes on, and how many CPU threads it takes."""

from __future__ import annotations

import os
import platform
from functools import cache

import numpy as np
import torch

from cloakbench.errors import InputError
from cloakbench.files import seals
from cloakbench.jobs.cards import claim, visible_cards
from cloakbench.jobs.private import own_folder


def use(device: str, threads: int, precision: str = "fp32") -> torch.device:
    """Prepare torch and name the device. device: auto (a GPU if there is one), cpu or cuda.

    On a machine with several GPUs it is the one that the fewest jobs of this user compute on.

    precision: fp32, tf32 or bf16; tf32 lets a GPU round the factors of fp32 products to 10 bits, a CPU ignores it.

    The thread count is set outright, not taken from the machine: another split of a sum is another rounding, and
    the same study gives the same bytes whatever number of cores it runs on. On a GPU torch takes the algorithms whose
    sums have one order, and warns of an operation that has none (cuBLAS: CUBLAS_WORKSPACE_CONFIG in rules/common.smk);
    on a CPU they have one without asking.
    Raises InputError if cuda is asked for and there is none, or bf16 of a GPU that does not compute it.
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError(
            "compute.device: cuda, but torch finds no GPU here; accepted: auto, cpu, or a machine with one"
        )
    used = _least_used_card() if available and device != "cpu" else torch.device("cpu")
    if used.type == "cuda":
        if precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
            raise InputError(
                f"compute.precision: bf16, but {torch.cuda.get_device_name(used)} does not compute it; "
                "accepted: fp32, tf32, or a GPU of compute capability 8.0 (Ampere) or later"
            )
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # a pass over all fresh memory that nobody reads
    seals.note(device=name(used), torch=torch.__version__, numpy=np.__version__)
    return used


def judge(threads: int) -> None:
    """Prepare torch for what judges a network's outputs, on the CPU: with the thread count outright, as in `use`."""
    torch.set_num_threads(threads)
    seals.note(torch=torch.__version__, numpy=np.__version__)


def name(device: torch.device) -> str:
    """What computes, as far as it decides how sums are rounded: "NVIDIA H100 PCIe", "cpu, x86_64, AVX512"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


@cache  # a job has one card, however often it asks
def _least_used_card() -> torch.device:
    """This job's card, which CUDA then takes wherever a card is not named."""
    try:
        card = claim(visible_cards(torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")), own_folder())
    except OSError as error:
        raise InputError(
            f"{error}: no place to note which GPU is taken; set TMPDIR to a folder of this machine that is yours"
        ) from None
    torch.cuda.set_device(card)
    return torch.device("cuda", card)
