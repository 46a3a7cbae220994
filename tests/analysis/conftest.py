"""Runs of analyses do not render their figures, but for tests that are marked `drawn`."""

from __future__ import annotations

import pytest

from tests.helpers.figures import unrendered  # noqa: F401
from tests.helpers.kernels import fork_kernels


@pytest.fixture
def forked_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `fork_kernels`."""
    fork_kernels(monkeypatch)
