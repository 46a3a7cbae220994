"""Unpacking an archive from the internet: nothing lands outside the folder, and no links do.

Devices and members with absolute or climbing names are refused as well. A single folder at the top
of an archive is left out.
"""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from mtd.utils.errors import BadInput
from mtd.utils.resumable import megabytes


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
        BadInput: a damaged archive, one with a member that is no plain file in it, or one that does
            not fit on the disk.
    """
    try:
        with _members(archive) as members:
            names = _targets([member.name for member in members], archive, keep)
            chosen = [(m, names[m.name]) for m in members if m.name in names]
            if not chosen:
                raise BadInput(f"{archive}: holds no files{f' in {keep}' if keep else ''}")
            _check_space(sum(member.size for member, _ in chosen), into, archive)
            return [_write(member, into / name) for member, name in chosen]
    except BadInput:
        raise
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise BadInput(f"{archive}: a damaged archive ({reason})") from None


@contextmanager
def _members(archive: Path) -> Iterator[list[Member]]:
    """The files of an archive, which stays open; folders are left out."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            infos = [info for info in opened.infolist() if not info.is_dir()]
            for info in infos:
                mode = info.external_attr >> 16
                if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                    raise _refused(archive, info.filename, "a link or device")
            yield [Member(i.filename, i.file_size, lambda i=i: opened.open(i)) for i in infos]  # type: ignore[misc]
        return
    with tarfile.open(archive) as tar:
        found = []
        for entry in tar:
            if entry.isdir():
                continue
            if not entry.isreg():
                raise _refused(archive, entry.name, "a link or device")
            found.append(Member(entry.name, entry.size, lambda e=entry: _of_tar(tar, e)))  # type: ignore[misc]
        yield found


def _of_tar(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(entry)
    assert stream is not None  # of a regular file
    return stream


def _targets(names: Sequence[str], archive: Path, keep: str) -> dict[str, PurePosixPath]:
    """Where each file goes, for those that are kept."""
    paths = {name: _inside(name, archive) for name in names}
    tops = {path.parts[0] for path in paths.values() if len(path.parts) > 1}
    single = len(tops) == 1 and all(len(path.parts) > 1 for path in paths.values())
    targets: dict[str, PurePosixPath] = {}
    for name, path in paths.items():
        rest = PurePosixPath(*path.parts[1:]) if single and path.parts[0] != keep else path
        if keep and not rest.is_relative_to(keep):
            continue
        targets[name] = rest.relative_to(keep) if keep else rest
    if len(set(targets.values())) < len(targets):
        raise _refused(archive, "", "two files of one name")
    return targets


def _inside(name: str, archive: Path) -> PurePosixPath:
    """A member's path, which stays in the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not path.parts:
        raise _refused(archive, name, "a path that leads out of the folder")
    return path


def _refused(archive: Path, name: str, what: str) -> BadInput:
    where = f" ({name!r})" if name else ""
    return BadInput(f"{archive}: not unpacked, it holds {what}{where}")


def _check_space(size: int, into: Path, archive: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(into).free
    if size > free:
        raise BadInput(
            f"{archive}: not unpacked, it needs {megabytes(size)} and {into} has {megabytes(free)}"
        )


def _write(member: Member, target: Path) -> Path:
    """Write one file, but no more of it than the archive says."""
    target.parent.mkdir(parents=True, exist_ok=True)
    left = member.size
    with member.open() as source, target.open("wb") as file:
        while block := source.read(2**20):
            left -= len(block)
            if left < 0:
                raise ValueError(f"{member.name} is larger than the archive says")
            file.write(block)
    return target
