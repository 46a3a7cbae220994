"""Where the file of a model is: its path, a bundled one, a published one; and what may be meant.

Nothing here reads the file or imports torch, so that a misspelt name is refused at once.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from mtd.loading import hub, zoo
from mtd.utils import near_paths
from mtd.utils.errors import BadInput, close_to

BUNDLED = Path(__file__).parents[1] / "pretrained"
SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")


def locate(name: str | Path) -> Path:
    """The path of a file, or else of a bundled checkpoint, or of a published one by its name.

    A file of Hugging Face (`mtd.loading.hub`) is downloaded if it is not there. One of the zoo must
    be there: `mtd.loading.published_files` downloads it.

    Raises:
        BadInput: none of these, or a folder, or it cannot be downloaded.

    >>> locate("masked.pth").name
    'masked.pth'
    """
    if path := _local(name):
        return path
    if published := zoo.entry(name):
        if published.place.is_file():
            return published.place
        raise BadInput(f"{name}: not downloaded; {published.remote.command} downloads it")
    return hub.fetch(name, SUFFIXES)


def check(name: str | Path) -> None:
    """Check that a name is that of a checkpoint, without reading or downloading it.

    Raises:
        BadInput: no such file, a folder, or a file that is no checkpoint by its ending.

    >>> check("baselin.pth")
    Traceback (most recent call last):
    mtd.utils.errors.BadInput: baselin.pth: no such file; did you mean baseline.pth?
    """
    if path := _local(name):
        check_suffix(path)
    elif zoo.entry(name) is None:
        hub.parse(name, SUFFIXES)


def check_suffix(path: Path, suffix: str = "") -> str:
    """The ending that says the format of a checkpoint, in lower case.

    Args:
        path: of the file.
        suffix: the ending that counts; by default the file's own.

    Raises:
        BadInput: it is none of a checkpoint.
    """
    suffix = (suffix or path.suffix).lower()
    if suffix not in SUFFIXES:
        raise BadInput(f"{path}: expected a checkpoint ending in {', '.join(SUFFIXES)}")
    return suffix


def _local(name: str | Path) -> Path | None:
    """The path of a file or bundled checkpoint; None for a published one.

    Raises:
        BadInput: none of these.
    """
    path = Path(name)
    if len(path.name.encode()) > 255:
        raise BadInput(f"{path.name[:40]}…: no such file, the name is too long")
    if path.is_dir():
        inside = next((f", such as {one}" for one in _checkpoints(path)), "")
        raise BadInput(f"{path} is a folder: expected a checkpoint file{inside}")
    if path.exists():
        return path
    bundled = BUNDLED / path.name
    if len(path.parts) == 1 and bundled.is_file():
        return bundled
    if zoo.entry(name) is None and not hub.is_address(name):
        raise BadInput(missing(name))
    return None


def bundled_names() -> list[str]:
    """The bundled checkpoints."""
    return sorted(path.name for path in BUNDLED.glob("*.pth"))


def missing(name: str | Path) -> str:
    """What to say of a name of no file: what it may have meant.

    >>> missing("*.pht")
    'no file matches *.pht; expected checkpoints, such as baseline.pth or masked.pth (bundled)'
    """
    path, known = Path(name), bundled_names()
    if glob.has_magic(str(path)):
        return _unmatched(path, known)
    near = [str(one) for one in near_paths.near(path, _close)]
    near += _close(path.name, known) if len(path.parts) == 1 else []
    near += close_to(path.as_posix(), zoo.entries())
    if near:
        return f"{path}: no such file; did you mean {' or '.join(list(dict.fromkeys(near))[:3])}?"
    names = ", ".join(known) or "none"
    return (
        f"{path}: no such file, and no bundled checkpoint of that name ({names})"
        f"{zoo.missing(path.as_posix())}"
    )


def _unmatched(pattern: Path, known: list[str]) -> str:
    """What to say of a pattern that the shell has not replaced by the files that it matches."""
    start = pattern.anchor
    found = any(Path(start).glob(str(pattern)[len(start) :])) or zoo.matching(str(pattern))
    if found:
        return (
            f"{pattern}: a pattern in quotes stands for the trainings of one model, NAME="
            f"{pattern}; for a model of each file, leave out the quotes"
        )
    some = " or ".join(known[:2])
    return f"no file matches {pattern}; expected checkpoints, such as {some} (bundled)"


def _close(word: str, names: Iterable[str]) -> list[str]:
    """The checkpoints whose names are close to a given one, whatever the endings."""
    by_stem: dict[str, str] = {}
    for name in filter(_is_checkpoint, names):
        by_stem.setdefault(Path(name).stem, name)
    stem = Path(word).stem if _is_checkpoint(word) else word
    return [by_stem[one] for one in close_to(stem, by_stem)]


def _checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder."""
    try:
        return sorted(path for path in folder.iterdir() if _is_checkpoint(path.name))
    except OSError:
        return []


def _is_checkpoint(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")
