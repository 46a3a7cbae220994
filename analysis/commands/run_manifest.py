"""What a run folder says of itself: its manifest, its log, and whether its files are as written.

The folder may come from anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from analysis.engine.cache import FOLDER
from mtd.metrics.registry import remember
from mtd.utils import digests, folder_files
from mtd.utils.errors import BadInput
from mtd.utils.output import plain
from mtd.utils.printable import shortened

MANIFEST = "manifest.json"
LOG = "run.json"
DIGESTS = "sha256"
"""The entry of `run.json` with the SHA-256 of each file that the run wrote, by name."""

DRAWN = (".png", ".pdf", ".svg", ".txt", ".tex")
"""How the names of files end that are drawn from the tables."""


def finished(path: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether a folder holds this run, finished, with all files as they were written.

    Raises:
        BadInput: it holds another one, or is a link.
    """
    if not folder_files.holds(path, MANIFEST):
        return False
    if change := difference(path / MANIFEST, manifest):
        raise BadInput(f"{path} holds another run ({change}): choose another --output-dir")
    return intact(path)


def intact(path: Path, drawn: bool = True) -> bool:
    """Whether the run of a folder is finished, and its files are those that it wrote.

    Runs of versions that recorded no digests count as damaged.

    Args:
        path: the folder.
        drawn: whether what is drawn from the tables counts too: figures, and the text.
    """
    known = read_digests(path)
    names = [name for name in known if drawn or not name.endswith(DRAWN)]
    if not done(path) or MANIFEST not in known:
        return False
    try:
        return all(
            folder_files.holds(path, name)
            and digests.sha256(folder_files.path_of(path, name)) == known[name]
            for name in names
        )
    except BadInput:  # a link, or no file
        return False


def done(path: Path) -> bool:
    """Whether the run of a folder is finished."""
    runs = read_log(path)
    return bool(runs and runs[-1].get("finished"))


def unfinished(path: Path) -> bool:
    """Whether the run of a folder was started and not finished; a folder without log was copied.

    A finished run stays so while it is computed again, until a file is replaced.
    """
    runs = read_log(path)
    if not runs:
        return (path / FOLDER).exists()
    return not any(run.get("finished") for run in runs)


def disbelieved(path: Path) -> str:
    """Why a finished run is computed anew when it is resumed; "" if it is not."""
    if not done(path) or intact(path, drawn=False):
        return ""
    if MANIFEST not in read_digests(path):
        return "finished by a version that recorded no digests of its files"
    return "a file was changed after the run"


def difference(path: Path, manifest: Mapping[str, Any]) -> str:
    """The first entry in which a stored manifest differs from another one; "" if none does."""
    try:
        stored = folder_files.json(path.parent, path.name)
    except BadInput:
        return "its manifest is damaged"
    if not isinstance(stored, dict):
        return "its manifest is damaged"
    stored, asked = decisive(stored), decisive(manifest)
    for name in [*asked, *stored]:
        if stored.get(name) != asked.get(name):
            return f"it differs in {name.replace('_', ' ')}"
    return ""


def decisive(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the results of a run, ready for JSON: a manifest without what was measured.

    The gains of a model's fixed filter are measured, and differ in their last digits on another
    processor: the model, the noises and the photographs decide them.
    """

    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [without(one) for one in value]
        if not isinstance(value, dict):
            return value
        rest = {key: without(one) for key, one in value.items()}
        if isinstance(own := rest.get("filter"), dict):
            rest["filter"] = {key: one for key, one in own.items() if key != "gains"}
        trainings = rest.get("trainings")
        several = trainings.values() if isinstance(trainings, dict) else ()
        if any(isinstance(one, dict) and "filter" in one for one in (rest, *several)):
            rest = {key: one for key, one in rest.items() if key not in MEASURED}
        return rest

    found: dict[str, Any] = without(plain(manifest))
    return found


MEASURED = ("sha256", "weights_sha256", "identity")
"""Digests of a fixed filter's gains in its entry of a manifest, or of several filters'."""


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """The entries of a run folder's `run.json`, one for each start and resumption."""
    runs = _about_runs(path).get("runs")
    whole = isinstance(runs, list) and all(isinstance(run, dict) for run in runs)
    return runs if isinstance(runs, list) and whole else []


def read_digests(path: str | Path) -> dict[str, str]:
    """The digests of the files that the finished run of a folder wrote, by name."""
    known = _about_runs(path).get(DIGESTS)
    return {str(k): str(v) for k, v in known.items()} if isinstance(known, dict) else {}


def _about_runs(path: str | Path) -> dict[str, Any]:
    """The object in `run.json`; empty if there is none, or it is damaged."""
    try:
        about = folder_files.json(path, LOG)
    except BadInput:
        return {}
    return about if isinstance(about, dict) else {}


def newest(analysis: str, parent: str | Path = "runs") -> Path | None:
    """The run folder of an analysis whose manifest was written last, whatever it is called.

    Args:
        analysis: its name.
        parent: folder of run folders; those inside a report or a comparison count too.
    """
    manifests = [*Path(parent).glob(f"*/{MANIFEST}"), *Path(parent).glob(f"*/*/{MANIFEST}")]
    for manifest in sorted(manifests, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        with suppress(BadInput):
            if read_manifest(manifest.parent).get("analysis") == analysis:
                return manifest.parent
    return None


def check_shape(manifest: Mapping[str, Any], file: Path) -> None:
    """Check the entries that manifests of all analyses share.

    Raises:
        BadInput: one is of another type.
    """
    models = manifest.get("models", {})
    each = {
        "analysis": _is_name(manifest.get("analysis", "")),
        "models": isinstance(models, dict) and all(_is_model(about) for about in models.values()),
        "noises": _are_texts(manifest.get("noises", [])),
        "versions": isinstance(manifest.get("versions", {}), dict),
        "arguments": _are_texts(manifest.get("arguments", [])),
    }
    for name, fits in each.items():
        if not fits:
            raise BadInput(f"{file}: damaged ({name})")


def _is_name(value: Any) -> bool:
    """Whether a value is a text that a message shows as it is."""
    return isinstance(value, str) and value == shortened(value)


def _is_model(about: Any) -> bool:
    """Whether an entry describes a model; pages of findings keep its digest alone."""
    if not isinstance(about, dict):
        return about is None or isinstance(about, str)
    trainings = about.get("trainings") or {}
    return isinstance(trainings, dict) and all(isinstance(t, dict) for t in trainings.values())


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The manifest of a run folder.

    Raises:
        BadInput: not a run folder, or a damaged one.
    """
    file = folder_files.path_of(path, MANIFEST)
    if not file.exists():
        raise BadInput(f"{path}: no run folder, {MANIFEST} is missing")
    manifest = folder_files.json(path, MANIFEST)
    if not isinstance(manifest, dict):
        raise BadInput(f"{file}: damaged, not a JSON object")
    check_shape(manifest, file)
    remember(manifest.get("metrics"))  # so that its tables can be read without their packages
    return manifest
