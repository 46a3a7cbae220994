"""Unpacking an archive from the internet: nothing lands outside the folder, and no links do.

Devices and members with absolute or climbing names are refused as well. A single folder at the top
of an archive is left out.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from mtd.data import zip_directory
from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput
from mtd.utils.limits import AboveLimit
from mtd.utils.resumable import megabytes

SIGNATURES = (b"PK\3\4", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
"""How zip, gzip, bzip2 and xz begin."""

LONGEST = 255
"""Bytes of a file's name that file systems take."""

LONGEST_PATH = 4096
"""Bytes of a path."""

SMALL = 100_000_000
"""Bytes that any archive may be unpacked to, however small it is."""

AT_ONCE = 2**24
"""Bytes of a tar archive that are read at once."""

DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    OSError,  # of bz2 and gzip
    EOFError,
    RuntimeError,  # encrypted, or an unknown compression
    ValueError,
    LookupError,
    OverflowError,
    struct.error,
)
"""What the readers of archives raise for damaged ones."""


class NotWritten(BadInput):
    """The archive is fine, but its files cannot be written."""


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        name: its path in the archive.
        size: in bytes, as the archive says.
        open: gives a stream of its content.
    """

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, into: Path, keep: str = "") -> list[Path]:
    """Unpack the files of a zip or tar archive.

    Args:
        archive: the file.
        into: the folder that they are put in.
        keep: the folder of the archive whose files alone are unpacked, without this folder; all
            files if empty.

    Raises:
        NotWritten: it does not fit on the disk, or its files cannot be written.
        BadInput: no archive, a damaged one, or one with a member that is no plain file in it, that
            leads out of the folder, or that collides with another one.
    """
    input_files.check(archive)
    with _reading(archive), _members(archive) as members:
        _check_total(sum(member.size for member in members), archive)
        targets = _targets([member.name for member in members], archive, keep)
        chosen = [(m, t) for m, t in zip(members, targets, strict=True) if t is not None]
        if not chosen:
            raise BadInput(f"{archive}: holds no files{f' in {keep}' if keep else ''}")
        _check_space(sum(member.size for member, _ in chosen), into, archive)
        return [_write(member, into / name, archive) for member, name in chosen]


def _check_total(size: int, archive: Path) -> None:
    """Check what an archive announces by its size.

    Raises:
        BadInput: more than a limit.
    """
    limits.UNPACKED_GB.check(size / 1e9, f"{archive}: not unpacked")
    if size > SMALL:
        ratio = size / max(1, archive.stat().st_size)
        limits.UNPACKED_RATIO.check(ratio, f"{archive}: not unpacked")


@contextmanager
def _reading(archive: Path) -> Iterator[None]:
    """What the readers of archives raise, as one line."""
    try:
        yield
    except BadInput:
        raise
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise BadInput(f"{archive}: a damaged archive ({reason})") from None


@contextmanager
def _members(archive: Path) -> Iterator[list[Member]]:
    """The files of an archive, which stays open; folders are left out."""
    if zipfile.is_zipfile(archive):
        try:
            zip_directory.check_count(archive)
        except AboveLimit as error:
            raise AboveLimit(f"{archive}: not unpacked, {error}") from None
        with zipfile.ZipFile(archive) as opened:
            try:
                zip_directory.check_apart(opened.infolist(), archive)
            except BadInput as error:
                raise BadInput(f"{archive}: not unpacked, it holds {error}") from None
            infos = [info for info in opened.infolist() if not info.is_dir()]
            for info in infos:
                mode = info.external_attr >> 16
                if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                    raise _refused(archive, info.filename, "a link or device")
            yield [Member(i.filename, i.file_size, lambda i=i: opened.open(i)) for i in infos]  # type: ignore[misc]
        return
    with _opened(archive) as tar:
        found = []
        for count, entry in enumerate(tar, 1):
            limits.ARCHIVE_MEMBERS.check(count, f"{archive}: not unpacked, an archive")
            if entry.isdir():
                continue
            if not entry.isreg():
                raise _refused(archive, entry.name, "a link or device")
            found.append(Member(entry.name, entry.size, lambda e=entry: _of_tar(tar, e)))  # type: ignore[misc]
        yield found


def _opened(archive: Path) -> tarfile.TarFile:
    """A tar archive.

    Raises:
        BadInput: it is none.
    """
    try:
        return tarfile.open(fileobj=_Unpacked(archive), mode="r:")
    except tarfile.ReadError:
        with archive.open("rb") as file:
            begins = file.read(8)
        if begins.startswith(SIGNATURES):
            raise BadInput(f"{archive}: a damaged archive (it cannot be opened)") from None
        raise BadInput(f"{archive}: neither a zip nor a tar archive") from None


class _Unpacked(io.RawIOBase):
    """The bytes of a tar archive, which may be compressed, up to the limits.

    A header may announce a name of gigabytes, which `tarfile` reads at once, and what is passed
    over has to be unpacked as well.
    """

    def __init__(self, archive: Path) -> None:
        with input_files.opened(archive) as file:
            begins = file.read(8)
        kinds: dict[bytes, Callable[[Path], IO[bytes]]] = {
            b"\x1f\x8b": gzip.open,  # type: ignore[dict-item]
            b"BZh": bz2.open,
            b"\xfd7zXZ": lzma.open,
        }
        reader = next((open_ for mark, open_ in kinds.items() if begins.startswith(mark)), None)
        self.packed = reader is not None
        self.stream = reader(archive) if reader else input_files.opened(archive)
        self.archive = archive

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= AT_ONCE:
            raise ValueError(f"a header of {size} bytes")
        block = self.stream.read(size)
        if self.packed:
            _check_total(self.stream.tell(), self.archive)
        return block

    def seek(self, place: int, whence: int = 0, /) -> int:
        while self.packed and place > self.stream.tell() and self.read(2**20):
            pass  # by steps, so that it ends at the limit
        return self.stream.seek(place, whence)

    def tell(self) -> int:
        return self.stream.tell()

    def close(self) -> None:
        if not self.closed:
            self.stream.close()
        super().close()


def _of_tar(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(entry)
    assert stream is not None  # of a regular file
    return stream


def _targets(names: Sequence[str], archive: Path, keep: str) -> list[PurePosixPath | None]:
    """Where each file goes; None for those that are not kept."""
    paths = [_inside(name, archive) for name in names]
    tops = {path.parts[0] for path in paths if len(path.parts) > 1}
    single = len(tops) == 1 and all(len(path.parts) > 1 for path in paths)
    targets: list[PurePosixPath | None] = []
    for path in paths:
        rest = PurePosixPath(*path.parts[1:]) if single and path.parts[0] != keep else path
        kept = rest.is_relative_to(keep) and rest != PurePosixPath(keep) if keep else True
        targets.append((rest.relative_to(keep) if keep else rest) if kept else None)
    _check_apart([target for target in targets if target is not None], archive)
    return targets


def _check_apart(targets: Sequence[PurePosixPath], archive: Path) -> None:
    """Check that no file has the place of another one, also where case does not count.

    Raises:
        BadInput: two of them have one name, or one has the name of a folder.
    """
    files: dict[str, PurePosixPath] = {}
    for target in targets:
        other = files.setdefault(str(target).casefold(), target)
        if other is not target:
            same = other == target
            what = (
                "two files of one name" if same else f"two names that differ in case only, {other}"
            )
            raise _refused(archive, str(target), what)
    for target in targets:
        for folder in target.parents:
            if str(folder).casefold() in files:
                raise _refused(archive, str(folder), "a file and a folder of one name")


def _inside(name: str, archive: Path) -> PurePosixPath:
    """A member's path, which stays in the folder."""
    if len(name) > LONGEST_PATH:
        raise _refused(archive, f"{name[:40]}…", f"a path of more than {LONGEST_PATH} bytes")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not path.parts:
        raise _refused(archive, name, "a path that leads out of the folder")
    if any(len(part.encode(errors="surrogateescape")) > LONGEST for part in path.parts):
        raise _refused(archive, f"{name[:40]}…", f"a name of more than {LONGEST} bytes")
    return path


def _refused(archive: Path, name: str, what: str) -> BadInput:
    where = f" ({name!r})" if name else ""
    return BadInput(f"{archive}: not unpacked, it holds {what}{where}")


def _check_space(size: int, into: Path, archive: Path) -> None:
    with _writing(into):
        into.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(into).free
    if size > free:
        raise NotWritten(
            f"{archive}: not unpacked, it needs {megabytes(size)} and {into} has {megabytes(free)}"
        )


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What the operating system says of a path to be written is no damage of the archive."""
    try:
        yield
    except OSError as error:
        raise NotWritten(f"{path}: cannot be written ({error.strerror or error})") from None


def _write(member: Member, target: Path, archive: Path) -> Path:
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            file.writelines(_blocks(member, archive))
    return target


def _blocks(member: Member, archive: Path) -> Iterator[bytes]:
    """The content of one file, but no more of it than the archive says."""
    left = member.size
    with _reading(archive), member.open() as source:
        while block := source.read(2**20):
            left -= len(block)
            if left < 0:
                raise ValueError(f"{member.name} is larger than the archive says")
            yield block
