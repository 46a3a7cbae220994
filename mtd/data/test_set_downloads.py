"""Test sets from the internet, kept in `testsets` of the folder `MTD_HOME`.

Where from stands in `downloads.toml`. A test set is there completely or not at all: its files are
gathered in a hidden folder, which is renamed at the end. The digests of its files are recorded
beside it; from then on a changed set is refused.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mtd.data import test_sets, unpacking
from mtd.utils import digests, downloads, progress
from mtd.utils.downloads import UNKNOWN, Remote
from mtd.utils.errors import BadInput, one_of
from mtd.utils.home import Unusable, home, unusable
from mtd.utils.messages import note, plural, verb, waiting

TABLE = Path(__file__).with_name("downloads.toml")
COMMAND = "python -m mtd.testsets --download"


@dataclass(frozen=True)
class Download:
    """Where a test set can be downloaded from.

    Attributes:
        terms: under which it is published.
        base: address that its files are below; empty for an archive.
        files: their digests by name, `UNKNOWN` where nobody has computed one.
        archive: address of an archive; empty for single files.
        folder: of the archive, that alone is kept; empty for all.
    """

    terms: str
    base: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    archive: str = ""
    folder: str = ""

    @property
    def address(self) -> str:
        """What it is downloaded from."""
        return self.archive or self.base

    @property
    def known(self) -> dict[str, str]:
        """Digests by name, of the files that have one."""
        return {name: digest for name, digest in self.files.items() if digest != UNKNOWN}


@cache
def table() -> dict[str, Download]:
    """All downloads by the name of the recipe."""
    found = {}
    for name, values in tomllib.loads(TABLE.read_text("utf-8")).items():
        pattern, count = values.pop("pattern", ""), values.pop("count", 0)
        names = values.pop("names", [pattern.format(i + 1) for i in range(count)])
        files = values.pop("files", dict.fromkeys(names, UNKNOWN))
        found[name] = Download(files=files, **values)
    return found


def place(name: str) -> Path:
    """Where a test set is kept."""
    return home() / test_sets.FOLDER / name.replace(":", "-")


def record_of(name: str) -> Path:
    """The file that holds the recorded digests of a test set."""
    folder = place(name)
    return folder.with_name(folder.name + digests.SUFFIX)


def located(name: str) -> Path | None:
    """The folder of a test set that was downloaded, or put there by hand; None if it is absent.

    Raises:
        BadInput: an unknown test set, or one that has changed since its first download.
    """
    one_of("test set", name, test_sets.RECIPES)
    folder = place(name)
    if not folder.is_dir():
        return None
    verify(name)
    return folder


def require(name: str) -> Path:
    """The folder of a test set that is there.

    Raises:
        BadInput: it is not; the message says how to get it.
    """
    folder = located(name)
    if folder is None:
        raise BadInput(f"{name}: not downloaded; {advice(name)}, or give {name}=DIR")
    return folder


def advice(name: str) -> str:
    """How to get a test set that is not there."""
    if name in table():
        return f"{COMMAND} {name}"
    return f"see {test_sets.RECIPES[name].source}; put it at {place(name)}"


def verify(name: str) -> dict[str, str]:
    """Digests of the files of a test set that is there, by name.

    The first ones are recorded, if number and sizes of the images are those of the set.

    Raises:
        BadInput: they are not the known or the recorded ones, or it is not complete.
    """
    folder, record = place(name), record_of(name)
    found = _digests(folder)
    if not (expected := digests.read(record)):
        known = table()[name].known if name in table() else {}
        _compare(name, {key: found.get(key, "") for key in known}, known, folder, "known")
        test_sets.check(name, folder)
        _record(name, found)
    else:
        _compare(name, found, expected, folder, f"recorded in {record}")
    return found


def _digests(folder: Path) -> dict[str, str]:
    from mtd.data.image_io import is_hidden

    files = sorted(p for p in folder.rglob("*") if p.is_file() and not is_hidden(p))
    waiting(f"checking {plural(len(files), 'file')} of {folder}")
    return {path.relative_to(folder).as_posix(): digests.sha256(path) for path in files}


def _compare(
    name: str, found: Mapping[str, str], expected: Mapping[str, str], folder: Path, source: str
) -> None:
    """Check digests.

    Raises:
        BadInput: files differ, are missing, or were added.
    """
    other = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
    if not other:
        return
    first = other[0]
    has = found.get(first) or "absent"
    raise BadInput(
        f"{name}: {folder} has changed: {plural(len(other), 'file')} of "
        f"{len(expected)} {verb(len(other), 'differs', 'differ')} from what is {source}, first "
        f"{first} (expected {expected.get(first) or 'no such file'}, "
        f"got {has}); delete the folder and run {COMMAND} {name}"
    )


def _record(name: str, found: Mapping[str, str]) -> None:
    digests.write(record_of(name), found)
    note(
        f"{name}: recorded the SHA-256 of {plural(len(found), 'file')} in {record_of(name)}; a "
        "changed set is refused from now on"
    )


def download(name: str, *, quiet: bool = False) -> Path:
    """The folder of a test set, which is downloaded if it is not there.

    Args:
        name: of its recipe.
        quiet: without progress.

    Raises:
        BadInput: an unknown test set, one without an address, one that cannot be downloaded, or one
            that is another than expected.
    """
    folder = place(name)
    if located(name) is not None:
        if name in table():
            downloads.finish(_whole(name), _gathering(folder))
        return folder
    if name not in table():
        raise BadInput(f"{name}: no address is known that can be downloaded; {advice(name)}")
    one = table()[name]
    count = f"{plural(len(one.files), 'file')}" if one.files else "an archive"
    note(
        f"downloading the test set {name} ({count}; terms: {one.terms}) from {one.address}",
        quiet=quiet,
    )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with downloads.locked(_whole(name), quiet):
            if (there := located(name)) is not None:  # another process was faster
                return there
            return _gathered(name, one, quiet)
    except OSError as error:
        raise unusable(folder, error.strerror or str(error)) from None


def _whole(name: str) -> Remote:
    """A test set as a whole."""
    one = table()[name]
    return Remote(name, one.address, place(name), one.terms)


def _gathering(folder: Path) -> Path:
    """Where the files of a test set are, until they are checked."""
    return folder.with_name(f".{folder.name}.part")


def _gathered(name: str, one: Download, quiet: bool) -> Path:
    """Download the files of a test set, check them, and put them in their place."""
    folder = place(name)
    gathered = _gathering(folder)
    try:
        gather = _archive if one.archive else _files
        content = gather(name, one, gathered, quiet)
    except Unusable:  # nor can the set be put there by hand
        raise
    except BadInput as error:
        raise BadInput(f"{error}; or put the whole test set at {folder}") from None
    try:
        test_sets.check(name, content)
        found = _digests(content)
        if recorded := digests.read(record_of(name)):
            source = f"recorded in {record_of(name)}"
            _compare(name, found, recorded, content, source)
    except BadInput:
        shutil.rmtree(gathered, ignore_errors=True)  # with the archive, which is not the set
        raise
    content.rename(folder)
    shutil.rmtree(gathered, ignore_errors=True)
    if not recorded:
        _record(name, found)
    return folder


def _remote(name: str, file: str, address: str, target: Path, digest: str, terms: str) -> Remote:
    return Remote(
        f"{name}, {file}",
        address,
        target,
        terms,
        sha256=digest,
        command=f"{COMMAND} {name}",
        recorded=False,
    )


def _files(name: str, one: Download, gathered: Path, quiet: bool) -> Path:
    """Download single files, those that are not there yet; the folder that holds them."""
    content = gathered / "files"
    several = len(one.files) > 4  # they are counted; of fewer each has its own size
    with progress.running(("downloading",), quiet=quiet):
        if several:
            progress.step("downloading", len(one.files), "files")
        for file, digest in one.files.items():
            address = one.base + file
            remote = _remote(name, file, address, content / file, digest, one.terms)
            downloads.fetch(remote, quiet=several or quiet)
            if several:
                progress.advance()
    for path in content.rglob("*"):  # locks, and what a download that was killed has left
        if path.is_file() and path.relative_to(content).as_posix() not in one.files:
            path.unlink()
    return content


def _archive(name: str, one: Download, gathered: Path, quiet: bool) -> Path:
    """Download an archive and unpack it; the folder of its files."""
    packed, content = gathered / "archive", gathered / "files"
    remote = _remote(name, "archive", one.archive, packed, UNKNOWN, one.terms)
    downloads.fetch(remote, quiet=quiet)
    shutil.rmtree(content, ignore_errors=True)
    note(f"unpacking {packed}", quiet=quiet)
    try:
        unpacking.unpack(packed, content, one.folder)
    except unpacking.NotWritten:
        shutil.rmtree(content, ignore_errors=True)  # the archive is fine
        raise
    except BadInput:
        packed.unlink(missing_ok=True)
        shutil.rmtree(content, ignore_errors=True)
        raise
    return content


def described(name: str) -> str:
    """How to get a test set, in one line."""
    if place(name).is_dir():
        return f"it is there, {place(name)}"
    one = table().get(name)
    if one is None:
        return f"by hand, and put it at {place(name)}"
    return f"{COMMAND} {name} (terms: {one.terms}; {_digests_known(one)})"


def _digests_known(one: Download) -> str:
    known = bool(one.files) and len(one.known) == len(one.files)
    return "digests known" if known else "digests unknown, recorded at the first download"


def facts(name: str) -> dict[str, Any]:
    """Where a test set is and can be downloaded from; None where that is unknown."""
    one = table().get(name)
    return {
        "address": one.address if one else None,
        "terms": one.terms if one else None,
        "sha256": dict(one.known) if one else {},
        "place": str(place(name)),
        "downloaded": place(name).is_dir(),
    }
