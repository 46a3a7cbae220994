"""The state of a training run on disk, and the previous one as a backup."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mtd.loading import checkpoint_file
from mtd.tensor_files import unpickling
from mtd.utils import atomic_write, digests, input_files, limits
from mtd.utils.device import is_out_of_memory
from mtd.utils.errors import BadInput

STATE, PREVIOUS = "state.pt", "state.previous.pt"

Result = TypeVar("Result")


def save(folder: Path, state: Mapping[str, Any]) -> None:
    """Write a state with a digest of its bytes, atomically; the previous one is kept as a backup.

    Both states stay what they are until the new one is written whole.

    Raises:
        BadInput: the folder cannot be written.
    """
    content = digests.sealed(checkpoint_file.torch_bytes(dict(state)))
    path = folder / STATE
    with atomic_write.opened(path) as file:
        file.write(content)
        file.flush()
        if path.exists():
            path.replace(folder / PREVIOUS)


def exists(folder: Path) -> bool:
    """Whether a folder holds a state to resume."""
    return any((folder / name).exists() for name in (STATE, PREVIOUS))


def load(folder: Path, use: Callable[[dict[str, Any]], Result]) -> tuple[Result, str]:
    """Restore the newest state that is not damaged.

    Args:
        folder: of the run.
        use: restores a state; raises if it cannot.

    Returns:
        The result of `use`, and a message about a damaged state; empty if there is none.

    Raises:
        BadInput: no state can be used, or there is too little memory for one.
    """
    reasons = []
    for name in (STATE, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        try:
            restored = use(_read(path))
        except BadInput as error:
            if "damaged" not in str(error):
                raise
            reasons.append(str(error))
        except Exception as error:
            if is_out_of_memory(error):
                raise BadInput(
                    f"{path}: out of memory; free some and resume again, the state is kept"
                ) from error
            reasons.append(f"{path}: damaged, or no state of this run ({_reason(error)})")
        else:
            if not reasons:
                return restored, ""
            (folder / STATE).unlink(missing_ok=True)  # else it would replace the good one
            return restored, f"{reasons[0]}; resuming from {name}, the previous state"
    why = "; ".join(reasons) or f"no {STATE} in {folder}"
    raise BadInput(f"cannot resume: {why}; start anew with another --output-dir")


def _read(path: Path) -> dict[str, Any]:
    """The contents of a state, with tensors on the CPU.

    One of an earlier version has no digest; its archive has a CRC-32 of every member.

    Raises:
        BadInput: it is not what was saved.
    """
    content = input_files.content(path, limits.CHECKPOINT)
    if content[-len(digests.SEAL) - 64 :].startswith(digests.SEAL):
        if (whole := digests.unsealed(content)) is None:
            raise BadInput(f"{path}: damaged, it is not what was saved (SHA-256)")
        content = whole
    try:
        state, _ = unpickling.unpickled(content, path)
    except BadInput as error:
        if "damaged" not in str(error):
            raise
        raise BadInput(f"{path}: damaged, or not a file of PyTorch") from None
    if not isinstance(state, dict):
        raise BadInput(f"{path}: damaged, or no state of a training")
    return state


def _reason(error: Exception) -> str:
    """Why a file cannot be used, in a few words."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return (str(error) or repr(error)).splitlines()[0][:160]
