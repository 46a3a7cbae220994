"""The folder of a card: written whole, replaced only if it is a card that nobody has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mtd.utils import folder_files, limits
from mtd.utils.errors import BadInput
from mtd.utils.replaced import replaced, restore

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
        raise BadInput(f"{folder}: is no folder; --output-dir is a new folder, or that of a card")
    with suppress(OSError):  # else it is said when the card is written
        restore(folder)
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
        if digest(folder_files.content(folder, name, limits.ATTACHMENT)) != known[name]:
            raise BadInput(f"{folder}: {name} was changed; move it, or name a new folder")


def check_models(folder: Path, models: Collection[str]) -> None:
    """Check that no card of another model is replaced.

    Raises:
        BadInput: there is one.
    """
    for path in sorted({*folder.glob(RESULT), *folder.glob(f"*/{RESULT}")}):
        try:
            name = folder_files.json(path.parent, path.name)["model_info"]["name"]
        except (BadInput, LookupError, TypeError):
            continue  # changed, which `check` refuses, or no card
        if str(name) not in models:
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
        found = folder_files.json(folder, CONTENTS)["sha256"]
    except (BadInput, LookupError, TypeError):
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
    written = []
    with replaced(folder) as new:
        for name, files in cards.items():
            for file, text in {**files, CONTENTS: contents(files)}.items():
                place = new / name / file
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8", newline="\n")
                written.append(folder / name / file)
    return written
