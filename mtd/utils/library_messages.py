"""What libraries print about files that they then refuse."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def dropped() -> Iterator[None]:
    """Drop what this process prints, in C on stderr or in Python, in a short call of a library.

    Its errors are exceptions, which are said in one line. In other threads than the main one
    nothing is dropped, since the main thread would be silent as well.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no stderr
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
