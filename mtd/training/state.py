"""The state of a training run on disk: whole, or the one before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch

from mtd.loading import checkpoint_file
from mtd.utils import atomic_write
from mtd.utils.errors import BadInput

STATE, PREVIOUS = "state.pt", "state.previous.pt"

Result = TypeVar("Result")


def save(folder: Path, state: Mapping[str, Any]) -> None:
    """Write a state; the one before it is kept beside."""
    content = checkpoint_file.torch_bytes(dict(state))
    held = folder / STATE
    if held.exists():
        held.replace(folder / PREVIOUS)
    atomic_write.write(held, content)


def exists(folder: Path) -> bool:
    """Whether there is a state to resume."""
    return any((folder / name).exists() for name in (STATE, PREVIOUS))


def load(
    folder: Path, device: torch.device, use: Callable[[dict[str, Any]], Result]
) -> tuple[Result, str]:
    """Take up the newest state that is whole.

    Args:
        folder: of the run.
        device: where tensors go.
        use: takes up a state; raises if it cannot.

    Returns:
        What `use` returns, and what is to be said of it, if anything.

    Raises:
        BadInput: there is none that can be used.
    """
    reasons = []
    for name in (STATE, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        try:
            checkpoint_file.check_members(path)
            state = torch.load(path, map_location=device, weights_only=True)
            found = use(state)
        except BadInput as error:
            if "damaged" not in str(error):
                raise
            reasons.append(str(error))
        except Exception as error:
            reasons.append(f"{path}: {(str(error) or repr(error)).splitlines()[0][:160]}")
        else:
            if not reasons:
                return found, ""
            (folder / STATE).unlink(missing_ok=True)  # or the good one would be replaced by it
            return found, f"{reasons[0]}; going on from {name}, the state before it"
    raise BadInput(f"cannot resume: {'; '.join(reasons) or f'no {STATE} in {folder}'}; start anew")
