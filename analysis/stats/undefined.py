"""Features of which a quantity does not exist."""

from __future__ import annotations

from mtd.utils.errors import BadInput

CONSTANT = "features do not vary"
"""As of a dead network, or behind an activation that is 0 everywhere."""

NOT_FINITE = "features are not finite"


class Undefined(BadInput):
    """A quantity does not exist for the given features; the message says why.

    Tables leave it blank and give the reason.
    """
