"""Runs of analyses do not render their figures, but for tests that are marked `drawn`."""

from __future__ import annotations

import pytest

from tests.helpers.figures import leave_unrendered
from tests.helpers.kernels import fork_kernels


@pytest.fixture(autouse=True)
def unrendered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """See `leave_unrendered`."""
    if request.node.get_closest_marker("drawn") is None:
        leave_unrendered(monkeypatch)


@pytest.fixture
def forked_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `fork_kernels`."""
    fork_kernels(monkeypatch)
