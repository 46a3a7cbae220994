"""What libraries make of a signal."""

from __future__ import annotations

import os
import signal


def libraries_error(number: int = signal.SIGINT) -> None:
    """As native code does whose call of Python was interrupted."""
    try:
        os.kill(os.getpid(), number)
    except KeyboardInterrupt:
        raise ValueError("could not determine the shape") from None
