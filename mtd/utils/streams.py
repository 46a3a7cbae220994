"""The standard streams of a command, which may be closed, full, or read by nobody.

A daemon has none, `2>&-` closes one, a pipe's reader ends, a terminal goes away, the disk of a log
is full: none of it is a reason to lose what is being computed.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

GONE = (errno.EPIPE, errno.EBADF, errno.EIO)
"""Errors of a stream into which nothing can be written any more."""


class Lenient:
    """A text stream whose failures are remembered instead of raised.

    Args:
        stream: that is written to.

    Attributes:
        error: the last failure; None if all was written.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write text, if that is possible."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._failed(error)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, if that is possible."""
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        self.error = error
        if error.errno in GONE:
            self.discard()

    def discard(self) -> None:
        """Send what the stream still holds, and all that follows, nowhere."""
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def lenient() -> Iterator[tuple[Lenient, Lenient]]:
    """Context in which stdout and stderr can always be written to; yields both."""
    open_descriptors()
    before = sys.stdout, sys.stderr
    both = tuple(Lenient(stream or _nowhere()) for stream in before)
    sys.stdout, sys.stderr = both
    try:
        yield both[0], both[1]
    finally:
        for stream in both:
            stream.flush()
            if stream.error is not None:
                stream.discard()  # or Python, which flushes it at its end, has another exit status
        sys.stdout, sys.stderr = before


def _nowhere() -> IO[str]:
    return Path(os.devnull).open("w", encoding="utf-8")


def open_descriptors() -> None:
    """Open the descriptors 0 to 2 where they are closed.

    Else the next file that is opened, such as a checkpoint, would be what libraries print into.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                opened = os.open(os.devnull, os.O_RDWR)
                if opened != number:
                    os.dup2(opened, number)
                    os.close(opened)
                os.set_inheritable(number, True)  # as they are from a shell; kernels print, too
