"""Runs of analyses do not render their figures, but for tests that are marked `drawn`."""

from __future__ import annotations

from tests.helpers.figures import unrendered  # noqa: F401
