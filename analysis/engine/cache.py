"""Cache of the tensors that observers extract from forward passes, on disk or in memory."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from mtd.networks.weights import weights_digest
from mtd.utils import atomic_write, folder_files, input_files
from mtd.utils.errors import BadInput

FOLDER = "cache"
"""Name of the folder of cached results inside a run folder."""

KEY, NAMES, DIGEST = "key", "names", "sha256"
"""Metadata of a cached file: its key in full, the tensors' names as JSON, and a digest of both and
of the tensors themselves."""


class Matrix(Protocol):
    """A matrix whose slices can be read as tensors."""

    def __getitem__(self, place: Any, /) -> Tensor:
        """A slice of it."""
        ...


@dataclass(frozen=True)
class CachedActivations:
    """Named tensors that an observer extracted from one view of one batch.

    Attributes:
        in_memory: the tensors, if there is no file.
        path: a safetensors file from which they are read on each access.
    """

    in_memory: dict[str, Tensor] | None = None
    path: Path | None = None

    def tensors(self) -> dict[str, Tensor]:
        """All tensors, in the order in which they were extracted."""
        if self.path is None:
            assert self.in_memory is not None
            return self.in_memory
        from safetensors import safe_open

        with safe_open(self.path, framework="pt") as file:
            names = json.loads(file.metadata()[NAMES])
            return {name: file.get_tensor(str(place)) for place, name in enumerate(names)}

    def matrix(self, name: str) -> Matrix:
        """One tensor; slicing it, as in `[:, start:stop]`, reads no other columns from a file."""
        return self.tensors()[name] if self.path is None else MatrixInFile(self.path, name)


class MatrixInFile:
    """A tensor in a safetensors file, which is opened anew for each slice.

    Pages of a mapped file count as the process's memory until it is closed.
    """

    def __init__(self, path: Path, name: str) -> None:
        from safetensors import safe_open

        self.path = path
        with safe_open(path, framework="pt") as file:
            self.place = str(json.loads(file.metadata()[NAMES]).index(name))

    def __getitem__(self, place: Any, /) -> Tensor:
        """A slice of it."""
        from safetensors import safe_open

        with safe_open(self.path, framework="pt") as file:
            part: Tensor = file.get_slice(self.place)[place]
            return part.clone()


def digest(tensors: Mapping[str, Tensor], key: str, names: str) -> str:
    """SHA-256 of a cached file's tensors, key and names."""
    return weights_digest({**tensors, KEY: key, NAMES: names})


class ActivationCache:
    """Cached results by key, in a subfolder of `folder`, or in memory only.

    A key holds everything that decides the numbers. On disk the cache outlives the process; in
    memory nothing can be looked up.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder / FOLDER if folder else None

    def _path(self, key: Mapping[str, Any]) -> tuple[Path, str]:
        assert self.folder is not None
        text = json.dumps(key, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.safetensors", text

    def get(self, key: Mapping[str, Any]) -> CachedActivations | None:
        """The result stored under a key; None if there is none, or its file is damaged.

        Every byte of the file is checked against its digest; links are not followed.
        """
        if self.folder is None:
            return None
        from safetensors import SafetensorError, safe_open

        path, text = self._path(key)
        try:
            input_files.check(folder_files.path_of(self.folder, path.name))
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                stored = {place: file.get_tensor(place) for place in file.keys()}  # noqa: SIM118
                whole = digest(stored, about.get(KEY, ""), about.get(NAMES, ""))
        except (OSError, BadInput, SafetensorError):
            return None
        return (
            CachedActivations(path=path)
            if (about.get(KEY), about.get(DIGEST)) == (text, whole)
            else None
        )

    def put(self, key: Mapping[str, Any], tensors: dict[str, Tensor]) -> CachedActivations:
        """Store a result under its key.

        Raises:
            BadInput: it cannot be written.
        """
        if self.folder is None:
            return CachedActivations(in_memory=tensors)
        from safetensors.torch import save

        if not self.folder.parent.is_dir():
            raise BadInput(f"{self.folder.parent}: removed while the run went on; start it anew")
        path, text = self._path(key)
        numbered = {str(i): value.contiguous() for i, value in enumerate(tensors.values())}
        names = json.dumps(list(tensors))
        about = {KEY: text, NAMES: names, DIGEST: digest(numbered, text, names)}
        atomic_write.write(path, save(numbered, about))
        return CachedActivations(path=path)

    def _files(self) -> list[Path]:
        if self.folder is None or not self.folder.is_dir():
            return []
        return list(self.folder.glob("[!.]*.safetensors"))

    def count(self) -> int:
        """Number of results on disk."""
        return len(self._files())

    def bytes(self) -> int:
        """Their size on disk."""
        return sum(file.stat().st_size for file in self._files())

    def clear(self) -> None:
        """Delete all results, once everything computed from them is written."""
        if self.folder is None:
            return
        doomed = self.folder.with_name(f".{FOLDER}")
        if doomed.is_symlink():
            doomed.unlink()
        if self.folder.is_dir():
            # renamed in one step, so that no run ever reads a half-deleted cache
            shutil.rmtree(doomed, ignore_errors=True)
            self.folder.replace(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
