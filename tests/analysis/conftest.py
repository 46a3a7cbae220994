"""Runs of analyses do not render their figures, but for tests that are marked `drawn`."""

from __future__ import annotations

import pytest

from tests.helpers.figures import leave_unrendered


@pytest.fixture(autouse=True)
def unrendered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """See `leave_unrendered`."""
    if request.node.get_closest_marker("drawn") is None:
        leave_unrendered(monkeypatch)
