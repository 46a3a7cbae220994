"""States of trainings that cannot be restored for a reason that is not theirs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mtd.training import state
from mtd.utils.errors import BadInput


@pytest.mark.parametrize("lack", [MemoryError, torch.OutOfMemoryError])
def test_too_little_memory_is_no_damage(tmp_path, lack) -> None:
    for step in (1, 2):
        state.save(tmp_path, {"step": step})

    def use(held: dict[str, Any]) -> None:
        raise lack("CUDA out of memory.")

    with pytest.raises(BadInput, match=r"state\.pt: out of memory; free some") as error:
        state.load(tmp_path, use)
    assert "\n" not in str(error.value)
    assert state.load(tmp_path, lambda held: held["step"]) == (2, "")
