"""Photograph archives: the image files of folders in one ZIP file, as `FOLDER/FILE`.

Members are the bytes of the files, not compressed and without dates, so that the same folders give
the same archive. `opened` extracts them, so that an archive is read as its folders are.
"""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from mtd.data import image_io, zip_directory
from mtd.utils import atomic_write, input_files, temporary
from mtd.utils.errors import BadInput
from mtd.utils.resumable import megabytes

SUFFIX = ".zip"

WORD = r"(?!\.{1,2}(?:/|$))[^/\\\x00-\x1f\ud800-\udfff]+"
NAME = re.compile(f"{WORD}/{WORD}")
"""Names of members: a folder and a file in it, never one outside."""


def members(folders: Sequence[str | Path]) -> dict[str, Path]:
    """The image files of folders by name of the member, `FOLDER/FILE`.

    Of folders with the same name, the second is `FOLDER-2`, and so on.

    Args:
        folders: of image files; subfolders are ignored.

    Raises:
        BadInput: see `mtd.data.image_io.find`; or a name that an archive cannot hold.
    """
    found: dict[str, Path] = {}
    used: set[str] = set()
    for folder in folders:
        base = Path(folder).resolve().name or "photographs"
        names = (base if number == 1 else f"{base}-{number}" for number in range(1, 10**6))
        name = next(name for name in names if name not in used)
        used.add(name)
        for path in image_io.find(folder):
            found[f"{name}/{path.name}"] = path
    for name, path in found.items():
        if not NAME.fullmatch(name):
            raise BadInput(f"{str(path)!r}: an archive cannot hold this name; rename it")
    return found


def write(
    path: str | Path, files: Mapping[str, Path], progress: Callable[[], object] | None = None
) -> None:
    """Write an archive in one atomic step.

    Args:
        path: of the archive.
        files: by name of the member; see `members`.
        progress: called after each file.

    Raises:
        BadInput: the path exists or cannot be written, or a file cannot be read.
    """
    path = Path(path)
    if path.exists():
        raise BadInput(f"{path} exists already: choose another name, or remove it first")
    with atomic_write.opened(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, source in files.items():
            entry = zipfile.ZipInfo(name)  # dated 1980, not compressed
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            try:
                content = source.read_bytes()
            except OSError as error:
                reason = error.strerror or error
                raise BadInput(f"{source}: cannot be read ({reason})") from None
            archive.writestr(entry, content)
            if progress:
                progress()


def opened(folders: Sequence[str | Path]) -> list[Path]:
    """Folders of photographs, those of archives among them in place of the archives.

    Args:
        folders: of photographs, and archives, whose names end in `.zip`. Their members are
            extracted into temporary folders, once in a process.

    Raises:
        BadInput: no such archive, a damaged one, or one with other members than `write` makes.
    """
    found: list[Path] = []
    for folder in map(Path, folders):
        if folder.suffix.lower() != SUFFIX or folder.is_dir():
            found.append(folder)
            continue
        try:
            input_files.check(folder)
            status = folder.stat()
            inside = _extracted(folder.resolve(), status.st_size, status.st_mtime_ns)
            temporary.call(inside[0].parent, str(folder))
            found += inside
        except BadInput as error:
            reason = str(error).removeprefix(f"{folder}: ").removeprefix(f"{folder} ")
            made = "; make it with python -m mtd.pack" if reason == "no such file" else ""
            raise BadInput(f"{folder}: {reason}{made}") from None
        except OSError as error:
            where = error.filename or "a temporary folder"
            reason = f"{where}: {error.strerror or error}"
            raise BadInput(f"{folder}: cannot be read and extracted ({reason})") from None
    return found


@cache
def _extracted(path: Path, size: int, modified: int) -> tuple[Path, ...]:  # noqa: ARG001
    """The folders of an archive, extracted, in the order of its members.

    Raises:
        BadInput: see `opened`.
        OSError: a file cannot be read or written.
    """
    try:
        zip_directory.check_count(path)
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            for entry in entries:
                _check(entry)
            names = [entry.filename for entry in entries]
            zip_directory.check_apart(entries, path)
            _check_names(names)
            if not names:
                raise BadInput("no photograph in it")
            needed, free = sum(e.file_size for e in entries), temporary.free()
            if needed > free:
                raise BadInput(
                    f"needs {megabytes(needed)} in the temporary folder, which has "
                    f"{megabytes(free)}: set the environment variable TMPDIR to another folder"
                )
            root = temporary.folder(f"{path.stem[:40]}{SUFFIX}-")
            for entry in entries:
                content = archive.read(entry)  # whose CRC-32 is checked
                target = root / entry.filename
                target.parent.mkdir(exist_ok=True)
                with target.open("xb") as file:
                    file.write(content)
    except (BadInput, OSError):
        raise
    except Exception as error:  # zipfile raises anything for a damaged archive
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise BadInput(f"damaged, or not a ZIP file ({reason})") from None
    return tuple(dict.fromkeys((root / name).parent for name in names))


def _check_names(names: Sequence[str]) -> None:
    """Check that no two members are one file, also where case does not count.

    Raises:
        BadInput: two are.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other is not name:
            how = "of one name" if other == name else f"that differ in case only, {other!r}"
            raise BadInput(f"two members {how} ({name!r}); make it with python -m mtd.pack")


def _check(entry: zipfile.ZipInfo) -> None:
    """Check that a member is one that `write` makes: a plain file in one folder, not compressed.

    Raises:
        BadInput: it is none.
    """
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if not NAME.fullmatch(entry.filename) or max(map(len, entry.filename.split("/"))) > 255:
        what = "is not FOLDER/FILE"
    elif kind not in (0, stat.S_IFREG):
        what = "is a link or a special file"
    elif entry.flag_bits & 1:
        what = "is encrypted"
    elif entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        what = "is compressed"
    else:
        return
    raise BadInput(f"member {entry.filename!r} {what}; make it with python -m mtd.pack")
