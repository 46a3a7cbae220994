"""A download that is continued where it was interrupted, as pooch's `downloader`.

What has arrived is kept in a file. A later attempt asks the server for the rest (HTTP Range), but
only if the server still has the same file: by its validator (`ETag` or `Last-Modified`), or where
the digest is known, which is checked at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from mtd.utils import atomic_write, input_files, limits, progress
from mtd.utils.errors import BadInput

ATTEMPTS = 5
"""Connections until a download is given up, of which each has brought something."""

PATIENCE = (10, 30)
"""Seconds to wait for a connection, and for data."""

BLOCK = 2**14


class Unavailable(RuntimeError):
    """The server cannot be reached, or does not give the file; the message says why."""


class Resumable:
    """Downloads a file to where pooch wants it, by way of a partial file that is kept.

    Args:
        part: the partial file.
        check: called with the complete partial file; raises to refuse it.
        trusted: whether `check` knows the digest, so that two parts of different files are noticed.
        size: in bytes, or None where it is unknown.
        quiet: no progress.
    """

    def __init__(
        self,
        part: Path,
        check: Callable[[Path], object],
        *,
        trusted: bool,
        size: int | None = None,
        quiet: bool = False,
    ) -> None:
        self.part, self.check, self.trusted = part, check, trusted
        self.size, self.quiet = size, quiet
        self.origin = part.with_name(part.name + ".from")

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Complete the partial file, check it, and move it to `output_file`.

        Raises:
            Unavailable: the rest cannot be downloaded; what has arrived is kept.
        """
        continued = self._continuable(url)
        self._complete(url)
        try:
            self.check(self.part)
        except Exception:
            self.discard()
            if not continued:
                raise
            self._complete(url)  # the beginning was of another file
            try:
                self.check(self.part)
            except Exception:
                self.discard()
                raise
        self.part.replace(output_file)
        self.discard()

    def discard(self) -> None:
        """Delete the partial file, and what is known of its origin."""
        for path in (self.part, self.origin):
            with suppress(OSError):
                path.unlink()

    @property
    def arrived(self) -> int:
        """Bytes of the partial file."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def _began(self) -> tuple[str, str]:
        """Address and validator of the file that the beginning is of; empty where unknown."""
        known = self.origin.is_file()
        read = input_files.content(self.origin, limits.JSON) if known else b""
        lines = read.decode("utf-8", "replace").splitlines()
        address, validator, *_ = [*lines, "", ""]
        return address, validator

    def _continuable(self, url: str) -> bool:
        """Whether the rest of what has arrived will be noticed if it is of another file."""
        address, validator = self._began()
        noticed = self.trusted or bool(validator)
        fits = self.size is None or self.arrived <= self.size
        return self.arrived > 0 and address == url and noticed and fits

    def _complete(self, url: str) -> None:
        import requests
        from urllib3.exceptions import HTTPError

        if self._continuable(url) and self.arrived == self.size:
            return
        for attempt in range(ATTEMPTS):
            before = self.arrived
            try:
                if self._receive(url):
                    return
                reason = "the connection was closed"
            except BadInput:  # of a file that cannot be written
                raise
            except (requests.exceptions.RequestException, HTTPError, ValueError) as error:
                reason = _reason(error)
            if self.arrived <= before or attempt == ATTEMPTS - 1:
                break
        raise Unavailable(reason)

    def _receive(self, url: str) -> bool:
        """Receive until the connection ends; whether the file is complete."""
        import requests

        if not self._continuable(url):
            self.discard()
        headers = {"Accept-Encoding": "identity"}  # lengths and ranges are those of the file
        if self.arrived:
            headers["Range"] = f"bytes={self.arrived}-"
            if validator := self._began()[1]:
                headers["If-Range"] = validator
        with requests.get(url, headers=headers, stream=True, timeout=PATIENCE) as response:
            passed = [answer.url for answer in (*response.history, response)]
            if url.startswith("https:") and not all(at.startswith("https:") for at in passed):
                raise Unavailable(_unusable("it redirects from https to http"))
            if response.status_code == 416 and self.arrived:  # nothing behind it
                self.discard()
                return self._receive(url)
            if response.status_code not in (200, 206):
                raise Unavailable(f"HTTP {response.status_code} {response.reason}".strip())
            continues = response.status_code == 206
            if continues and _first(response.headers.get("Content-Range")) != self.arrived:
                raise Unavailable("the server sent another part of the file than was requested")
            if continues and not self._same(response.headers):  # whatever If-Range asked for
                self.discard()
                return self._receive(url)
            if not continues:
                self.discard()
            self._remember(url, response.headers)
            total = self._total(response.headers)
            if total is None and continues:
                total = _whole(response.headers.get("Content-Range"))
            self._write(response, total)
            return total is None or self.arrived >= total

    def _total(self, headers: Any) -> int | None:
        """The size of the whole file, or None where nobody says it.

        Raises:
            Unavailable: the server announces more than the known size, or no number.
        """
        length = headers.get("Content-Length")
        if length and not length.isdecimal():
            raise Unavailable(_unusable("its headers are invalid"))
        encoded = headers.get("Content-Encoding", "identity") != "identity"
        if encoded or not length:
            return self.size
        total = self.arrived + int(length)
        if self.size is not None and total > self.size:
            self._refuse(self.size)
        return total

    def _refuse(self, most: int) -> NoReturn:
        self.discard()
        raise Unavailable(f"the server sends another file, of more than {most} bytes")

    def _remember(self, url: str, headers: Any) -> None:
        """Keep the address and the validator of the file that is on its way."""
        if not self.origin.is_file():
            atomic_write.write(self.origin, f"{url}\n{_validator(headers)}\n")

    def _same(self, headers: Any) -> bool:
        """Whether a part has the validator of the beginning, as far as both have one."""
        began, now = self._began()[1], _validator(headers)
        return not (began and now) or began == now

    def _write(self, response: Any, total: int | None) -> None:
        shown = not self.quiet
        with self.part.open("ab") as file, progress.running(("downloading",), quiet=self.quiet):
            if shown:
                whole = None if total is None else total / 1e6
                progress.step("downloading", whole, "MB", done=file.tell() / 1e6)
            for block in response.iter_content(BLOCK):
                if total is not None and file.tell() + len(block) > total:
                    self._refuse(total)
                file.write(block)
                if shown:
                    progress.advance(len(block) / 1e6)


def megabytes(count: int) -> str:
    """A size as people read it.

    >>> megabytes(2678121), megabytes(950)
    ('2.7 MB', '950 bytes')
    """
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count} bytes"


def _validator(headers: Any) -> str:
    """The strong `ETag` of a file, else its `Last-Modified`; empty if the server gives neither."""
    tag = headers.get("ETag") or ""
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified") or ""


def _first(content_range: str | None) -> int | None:
    """The first byte of `bytes 100-199/200`."""
    words = (content_range or "").replace("-", " ").split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else None


def _whole(content_range: str | None) -> int | None:
    """The size of the whole file in `bytes 100-199/200`."""
    size = (content_range or "").rpartition("/")[2]
    return int(size) if size.isdecimal() else None


def _unusable(what: str) -> str:
    return f"the server's answer cannot be used ({what})"


def _reason(error: Exception) -> str:
    """Why a connection failed, in a few words."""
    import requests

    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was closed"
    for kind, what in (
        (requests.exceptions.TooManyRedirects, "it redirects without end"),
        (requests.exceptions.InvalidSchema, "it redirects to what is no web address"),
        (requests.exceptions.InvalidHeader, "its headers are invalid"),
        (requests.exceptions.ContentDecodingError, "its content is damaged"),
        (ValueError, "it redirects to no valid address"),
    ):
        if isinstance(error, kind):
            return _unusable(what)
    text = str(error)
    for words, reason in (
        ("resolve", "no network: the server's name cannot be resolved"),
        ("Connection refused", "the connection was refused"),
        ("unreachable", "no network"),
        ("timed out", "no answer in time"),
        ("Connection aborted", "the connection was closed"),
        ("Connection broken", "the connection was closed"),
    ):
        if words in text:
            return reason
    return f"no connection ({type(error).__name__})"
