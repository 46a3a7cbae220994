"""The devices of this machine."""

from __future__ import annotations

import torch

from mtd.utils.errors import BadInput


def resolve_device(device: str | torch.device) -> torch.device:
    """The device, if this machine has it; one that was asked for is never silently replaced."""
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()
    except Exception as error:
        reason = str(error).strip().split("\n")[0].split(". ")[0]
        raise BadInput(
            f"device {str(device)!r} is not to be had here ({reason}): try --device cpu"
        ) from None
    return found
