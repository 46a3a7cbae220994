"""SHA-256 digests of files, known ones and those that were recorded at a first download.

A recorded digest stands in a file of the form of `sha256sum`, so that `sha256sum -c` checks it too.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mtd.utils import atomic_write, input_files, limits
from mtd.utils.errors import BadInput
from mtd.utils.home import unusable

SUFFIX = ".sha256"
BLOCK = 2**20

SEAL = b"\nSHA-256 "
"""Between the bytes of a file and their digest, the last 64 bytes of a sealed file."""


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits.

    Raises:
        BadInput: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for block in _blocks(path):
            digest.update(block)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()


def sealed(content: bytes) -> bytes:
    """Bytes with their digest at the end, which readers of zip archives pass over.

    >>> unsealed(sealed(b"state"))
    b'state'
    """
    return content + SEAL + hashlib.sha256(content).hexdigest().encode()


def unsealed(content: bytes) -> bytes | None:
    """The bytes that `sealed` was given; None if any bit has changed since, or there is no seal."""
    whole, digest = content[: -len(SEAL) - 64], content[-64:]
    intact = content == whole + SEAL + digest
    return whole if intact and hashlib.sha256(whole).hexdigest().encode() == digest else None


def git_blob(path: Path) -> str:
    """The identifier that git gives a file: SHA-1 of `blob`, its size, a zero byte and its content.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    for block in _blocks(path):
        digest.update(block)
    return digest.hexdigest()


def record_of(path: Path) -> Path:
    """The file that holds the recorded digest of a file."""
    return path.with_name(path.name + SUFFIX)


def recorded(path: Path) -> str:
    """The digest that was recorded for a file; empty if none was.

    Raises:
        BadInput: the record is damaged.
    """
    return read(record_of(path)).get(path.name, "")


def record(path: Path, digest: str) -> None:
    """Record the digest of a file."""
    write(record_of(path), {path.name: digest})


def write(path: Path, digests: Mapping[str, str]) -> None:
    """Write digests by file name, one a line.

    Raises:
        BadInput: the file cannot be written.
    """
    lines = [f"{digest}  {name}\n" for name, digest in sorted(digests.items())]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(path, error.strerror or str(error)) from None
    if not os.access(path.parent, os.W_OK):
        raise unusable(path, os.strerror(errno.EACCES))
    atomic_write.write(path, "".join(lines))


def read(path: Path) -> dict[str, str]:
    """Digests by file name; empty if there is no such file.

    Raises:
        BadInput: it does not have the form of `sha256sum`.
    """
    if not path.exists():
        return {}
    lines = input_files.text(path, limits.JSON).splitlines()
    found = {}
    for line in lines:
        digest, _, name = line.partition("  ")
        if not re.fullmatch("[0-9a-f]{64}", digest) or not name:
            raise BadInput(f"{path}: damaged; expected lines as sha256sum prints them: delete it")
        found[name] = digest
    return found
