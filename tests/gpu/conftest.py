"""The device of these tests: a GPU where there is one, else the CPU, at toy size."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
