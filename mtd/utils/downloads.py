"""Fetching a published file once, through pooch, into a place of its own.

A file whose digest is known is refused if it has another one. Where nobody has computed a digest,
the first download records it beside the file, and another one is refused from then on.
"""

from __future__ import annotations

import codecs
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mtd.utils import digests, locks
from mtd.utils.errors import BadInput
from mtd.utils.home import unusable
from mtd.utils.messages import note
from mtd.utils.resumable import Resumable, Unavailable, megabytes

UNKNOWN = "unknown"
"""A digest or size that nobody has computed, and an address that nobody knows."""


@dataclass(frozen=True)
class Remote:
    """A published file.

    Attributes:
        name: in messages.
        address: its URL, or `UNKNOWN`.
        place: where it belongs.
        licence: of the file.
        page: where to look for it.
        sha256: its digest, or `UNKNOWN`.
        size: in bytes, or None where it is unknown.
        begins: first digits of the digest, where only these are published.
        git: its identifier in git, where that is published.
        command: that downloads it, for messages.
        recorded: whether an unknown digest is recorded beside the file.
        recognize: raises `BadInput` if a file is not what it should be; it is called before a
            digest is recorded.
    """

    name: str
    address: str
    place: Path
    licence: str
    page: str = ""
    sha256: str = UNKNOWN
    size: int | None = None
    begins: str = ""
    git: str = ""
    command: str = ""
    recorded: bool = True
    recognize: Callable[[Path], object] | None = None

    @property
    def expected(self) -> str:
        """The known digest, else the recorded one, else what is published of it, or `UNKNOWN`."""
        if self.sha256 != UNKNOWN:
            return self.sha256
        partly = f"{self.begins}… (first digits)" if self.begins else UNKNOWN
        return self.record or partly

    @property
    def record(self) -> str:
        """The digest that was recorded at the first download; empty if none was."""
        return digests.recorded(self.place) if self.recorded else ""

    @property
    def part(self) -> Path:
        """The file that is kept of an interrupted download."""
        return self.place.with_name(self.place.name + ".part")


def fetch(remote: Remote, *, quiet: bool = False) -> Path:
    """The path of a file, which is downloaded if it is not there.

    Args:
        remote: the file.
        quiet: without progress.

    Raises:
        BadInput: it cannot be downloaded, or is another file than expected; the message says the
            address, the digest and where to put the file.
    """
    quiet = quiet or os.environ.get("RANK", "0") != "0"  # of several processes the first speaks
    if remote.place.is_file():
        finish(remote)
        check(remote, quiet=quiet)
        return remote.place
    if remote.address == UNKNOWN:
        raise BadInput(
            f"{remote.name}: it has no known address; look at {remote.page}, {by_hand(remote)}"
        )
    try:
        remote.place.parent.mkdir(parents=True, exist_ok=True)
        with locked(remote, quiet):
            if not remote.place.is_file():  # unless another process was faster
                _download(remote, quiet)
    except Unavailable as error:
        kept = _kept(remote)
        raise BadInput(
            f"{remote.name}: cannot be downloaded ({error}){kept}; get {remote.address} "
            f"({by_hand(remote)})"
        ) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{remote.name}{_kept(remote)}") from None
    except OSError as error:
        raise unusable(remote.place, error.strerror or str(error)) from None
    return remote.place


def by_hand(remote: Remote) -> str:
    """The digest of a file and where to put it, for messages."""
    return f"SHA-256 {remote.expected}, put it at {remote.place}"


def _kept(remote: Remote) -> str:
    arrived = remote.part.stat().st_size if remote.part.is_file() else 0
    again = f", {remote.command} continues" if remote.command else ", the same command continues"
    return f"; {megabytes(arrived)} are kept{again}" if arrived else ""


def _download(remote: Remote, quiet: bool) -> None:
    import logging

    import pooch

    size = megabytes(remote.size) if remote.size else "size unknown"
    note(
        f"downloading {remote.name} ({size}; licence: {remote.licence}) from {remote.address}",
        quiet=quiet,
    )
    known = remote.sha256 != UNKNOWN or bool(remote.record)
    loader = Resumable(
        remote.part,
        lambda path: _verify(remote, path, arriving=True),
        trusted=known or bool(remote.begins or remote.git),
        size=remote.size,
        quiet=quiet,
    )
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it speaks of temporary files
    try:
        pooch.retrieve(
            remote.address,
            known_hash=None,  # `_verify` has checked it, with a message of its own
            fname=remote.place.name,
            path=remote.place.parent,
            downloader=loader,
        )
    finally:
        logger.setLevel(level)
    _record(remote, digests.sha256(remote.place), quiet)


def check(remote: Remote, *, quiet: bool = False) -> str:
    """The digest of a file that is there; the first one of an unknown file is recorded.

    Raises:
        BadInput: it is another file than expected.
    """
    digest = _verify(remote, remote.place, arriving=False)
    _record(remote, digest, quiet)
    return digest


def _record(remote: Remote, digest: str, quiet: bool) -> None:
    if remote.sha256 == UNKNOWN and remote.recorded and not remote.record:
        digests.record(remote.place, digest)
        note(
            f"{remote.name}: no digest was known; recorded SHA-256 {digest} in "
            f"{digests.record_of(remote.place)}, another file is refused from now on",
            quiet=quiet,
        )


def _verify(remote: Remote, path: Path, arriving: bool) -> str:
    """The digest of a file, if it is the expected one.

    Args:
        remote: what is expected.
        path: of the file.
        arriving: whether it has just been downloaded, and is not yet in its place.

    Raises:
        BadInput: it is another file.
    """
    what = f"{remote.name}: {remote.address} is" if arriving else f"{path}:"
    again = f" and run {remote.command}" if remote.command else ""
    remedy = f"get {remote.address} ({by_hand(remote)})"
    todo = f"nothing was kept; {remedy}" if arriving else f"delete it{again}, or {remedy}"
    size = path.stat().st_size
    if remote.size is not None and size != remote.size:
        raise BadInput(
            f"{what} not the expected file, {size} bytes instead of {remote.size}; {todo}"
        )
    if not size:
        raise BadInput(f"{what} empty; {todo}")
    if arriving and remote.sha256 == UNKNOWN and _is_page(path):
        raise BadInput(f"{what} an HTML page, not the file; {todo}")
    digest = digests.sha256(path)
    own = "" if remote.sha256 != UNKNOWN else remote.record
    if own and digest != own:
        record = digests.record_of(remote.place)
        raise BadInput(
            f"{what} not what it was at the first download: its SHA-256 is {digest}, recorded was "
            f"{own}; if you accept the new file, delete {record}"
        )
    expected = remote.sha256 if remote.sha256 != UNKNOWN else remote.begins
    if expected and not digest.startswith(expected):
        raise BadInput(
            f"{what} another file: its SHA-256 is {digest}, expected {remote.expected}; {todo}"
        )
    if remote.git and (blob := digests.git_blob(path)) != remote.git:
        raise BadInput(f"{what} another file: git calls it {blob}, expected {remote.git}; {todo}")
    if remote.recognize and remote.sha256 == UNKNOWN and not own:
        try:
            remote.recognize(path)
        except BadInput as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise BadInput(f"{what} not the expected file: {reason}; {todo}") from None
    return digest


def _is_page(path: Path) -> bool:
    """Whether a file is a web page, as of a log-in, which must not be recorded as the file."""
    with path.open("rb") as file:
        text = file.read(1000).removeprefix(codecs.BOM_UTF8).lstrip().lower()
    return text.startswith((b"<!", b"<html", b"<head", b"<?xml"))


@contextmanager
def locked(remote: Remote, quiet: bool) -> Iterator[None]:
    """Keep other processes from downloading the same file; they wait, and then find it."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    path = _lock(remote)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            note(f"{remote.name}: another process downloads it, waiting", quiet=quiet)
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with suppress(OSError):
                if remote.place.exists():  # so that who comes later needs no lock
                    path.unlink()


def finish(remote: Remote, gathered: Path | None = None) -> None:
    """Remove what a download has left that was ended when its file was already in place.

    Args:
        remote: the file, which is there.
        gathered: a folder in which its parts were gathered.
    """
    path = _lock(remote)
    if not path.exists() and (gathered is None or not gathered.exists()):
        return
    with suppress(OSError), path.open("ab") as file:  # or the folder is read-only
        if locks.take(file.fileno()):  # else another process still downloads it
            if gathered is not None:
                shutil.rmtree(gathered, ignore_errors=True)
            path.unlink()


def _lock(remote: Remote) -> Path:
    return remote.place.with_name(f".{remote.place.name}.lock")
