"""Devices: CPU and GPUs of this machine."""

from __future__ import annotations

import ctypes
import os

import torch

from mtd.utils.errors import BadInput

SAYS_SO = ("out of memory", "not enough memory", "can't allocate memory", "ALLOC_FAILED")
"""Words of errors about memory of allocators and libraries that raise a plain RuntimeError."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or the one that it was raised from, is a lack of memory.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: not enough memory: you tried to …"))
    True
    """
    if error is None:
        return False
    said = any(words in str(error) for words in SAYS_SO)
    lacks = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return lacks or said or is_out_of_memory(error.__cause__)


AUTO = "auto"
"""The name of the device that `chosen` finds."""


def chosen(device: str) -> str:
    """The device that a name stands for.

    `auto` is the environment variable `MTD_DEVICE` if it is set; else `cuda` if there is one, else
    `mps`, else `cpu`. Any other name is that of a device.

    >>> chosen("cpu"), chosen("cuda:1")
    ('cpu', 'cuda:1')
    """
    device = os.environ.get("MTD_DEVICE", AUTO) if device == AUTO else device
    if device != AUTO:
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def described(device: str | torch.device) -> str:
    """A device with the name of its GPU, as commands say it.

    >>> described("cpu")
    'device: cpu'
    """
    own = torch.device(chosen(device) if isinstance(device, str) else device)
    name = f" ({torch.cuda.get_device_name(own)})" if own.type == "cuda" else ""
    return f"device: {own}{name}"


def exact(device: str | torch.device) -> torch.device:
    """Where sums in float64 are computed for a network: on its device, or on the CPU for MPS.

    >>> exact("mps"), exact("cuda:1")
    (device(type='cpu'), device(type='cuda', index=1))
    """
    own = torch.device(device)
    return torch.device("cpu") if own.type == "mps" else own


def resolve_device(device: str | torch.device) -> torch.device:
    """The device of a name; one that this machine lacks is an error, never replaced by the CPU.

    Args:
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, or a `torch.device`; see `chosen`.

    Raises:
        BadInput: the name is not that of a device, or the device is not available.

    >>> resolve_device("cpu")
    device(type='cpu')
    """
    try:
        resolved = torch.device(chosen(device) if isinstance(device, str) else device)
    except Exception:
        raise BadInput(f"device {device!r}: expected auto, cpu, cuda, cuda:1 or mps") from None
    try:
        torch.zeros(1, device=resolved).item()
    except Exception as error:
        reason = str(error).strip().split("\n")[0].split(". ")[0]
        raise BadInput(
            f"device {str(device)!r} is not available ({reason}): try --device cpu"
        ) from None
    return resolved


def memory(device: torch.device) -> int:
    """Bytes of memory of a device: what is free on a GPU, and all of the machine's otherwise."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # a system that does not say
        return 2**63 - 1


def keep_freed_memory() -> bool:
    """Let this process keep memory that it has freed, for its next tensors; whether that works.

    Otherwise glibc returns large blocks to the system, which clears every page when it is next
    used: up to 14% of the CPU time of a training step of a network of 32 channels.
    """
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return bool(mallopt(mmap_threshold, 2**30) and mallopt(trim_threshold, 2**31 - 1))
