"""The folder of a card: written whole, replaced only if it is a card that nobody has changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mtd.utils.atomic_write import TEMPORARY
from mtd.utils.errors import BadInput

RESULT = "result.json"
"""The record of a card."""

CONTENTS = "card.json"
"""The list of a card's files with their digests."""


def contents(files: Mapping[str, str]) -> str:
    """The list of a card's files, by which the folder is known to be a card."""
    digests = {name: digest(text.encode()) for name, text in sorted(files.items())}
    return json.dumps({"form": "mtd-card/1", "sha256": digests}, indent=2) + "\n"


def digest(content: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(content).hexdigest()


def check(folder: Path) -> None:
    """Check that nothing is lost if a folder is replaced.

    Raises:
        BadInput: it is no folder, or holds anything but cards as they were written.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise BadInput(f"{folder}: is no folder; --out is a new folder, or that of a card")
    if not folder.exists():
        return
    entries = sorted(folder.iterdir())
    if entries and not (folder / CONTENTS).is_file():
        for entry in entries:  # the cards of several models
            if not (entry / CONTENTS).is_file():
                raise BadInput(f"{folder}: holds {entry.name}, which is no card; name a new folder")
            check(entry)
    elif entries:
        check_unchanged(folder)


def check_unchanged(folder: Path) -> None:
    """Check that a card is as it was written.

    Raises:
        BadInput: a file was added or changed.
    """
    known = listed(folder)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name == CONTENTS:
            continue
        if name not in known:
            raise BadInput(f"{folder}: {name} is not of the card; move it, or name a new folder")
        if digest(path.read_bytes()) != known[name]:
            raise BadInput(f"{folder}: {name} was changed; move it, or name a new folder")


def check_models(folder: Path, models: Collection[str]) -> None:
    """Check that no card of another model is replaced.

    Raises:
        BadInput: there is one.
    """
    for path in sorted({*folder.glob(RESULT), *folder.glob(f"*/{RESULT}")}):
        try:
            name = json.loads(path.read_text(encoding="utf-8"))["model_info"]["name"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # changed, which `check` refuses, or no card
        if name not in models:
            raise BadInput(
                f"{folder}: holds the card of {name}, a model that is not among those of the new "
                "cards; name a new folder, or delete that card"
            )


def listed(folder: Path) -> dict[str, Any]:
    """The digests of a card's files, by name.

    Raises:
        BadInput: the list is damaged.
    """
    try:
        found = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, dict):
        raise BadInput(f"{folder / CONTENTS}: damaged; name a new folder")
    return found


def write(folder: Path, cards: Mapping[str, Mapping[str, str]]) -> list[Path]:
    """Write cards, in place of those that the folder holds; the paths of their files.

    All files are written beside the folder first, and take its place by renaming.

    Args:
        folder: of the card, or of several.
        cards: texts by file name, by folder in it; "" is the folder itself.

    Raises:
        BadInput: see `check`, or it cannot be written; what was there stays.
    """
    check(folder)
    made: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=TEMPORARY))
        new, old = made / "new", made / "old"
        written = []
        for name, files in cards.items():
            for file, text in {**files, CONTENTS: contents(files)}.items():
                place = new / name / file
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8", newline="\n")
                written.append(folder / name / file)
        exchange(folder, new, old)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written ({error.strerror or error})") from None
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
    return written


def exchange(folder: Path, new: Path, old: Path) -> None:
    """Put a new folder in the place of another one, which stays if that fails."""
    there = folder.exists()
    if there:
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if there:
            with suppress(OSError):
                old.rename(folder)
        raise
