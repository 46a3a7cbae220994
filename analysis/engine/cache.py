"""What one network put out for one batch under one noise, kept so that it is never run again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from mtd.utils import atomic_write

FOLDER = "units"
KEY = "key"


class Matrix(Protocol):
    """Something of which rows and columns can be had as a tensor."""

    def __getitem__(self, place: Any, /) -> Tensor:
        """A part of it."""
        ...


@dataclass(frozen=True)
class CachedActivations:
    """Named tensors, in memory or in a file from which they are read each time."""

    held: dict[str, Tensor] | None = None
    path: Path | None = None

    def tensors(self) -> dict[str, Tensor]:
        """The tensors, in the order in which they were kept."""
        if self.path is None:
            assert self.held is not None
            return self.held
        from safetensors import safe_open

        with safe_open(self.path, framework="pt") as file:
            names = json.loads(file.metadata()["names"])
            return {name: file.get_tensor(str(place)) for place, name in enumerate(names)}

    def matrix(self, name: str) -> Matrix:
        """One tensor, of which `[:, start:stop]` reads no more than these columns from a file."""
        return self.tensors()[name] if self.path is None else Stored(self.path, name)


class Stored:
    """A tensor in a file, which is opened for each part that is read.

    Pages of a mapped file count as the process's memory until it is closed.
    """

    def __init__(self, path: Path, name: str) -> None:
        from safetensors import safe_open

        self.path = path
        with safe_open(path, framework="pt") as file:
            self.place = str(json.loads(file.metadata()["names"]).index(name))

    def __getitem__(self, place: Any, /) -> Tensor:
        """A part of it."""
        from safetensors import safe_open

        with safe_open(self.path, framework="pt") as file:
            part: Tensor = file.get_slice(self.place)[place]
            return part.clone()


class ActivationCache:
    """Units by their keys, in a folder that outlives the process, or in memory.

    A key is everything that decides a unit's numbers; a unit of another key is never found.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder / FOLDER if folder else None

    def _path(self, key: Mapping[str, Any]) -> tuple[Path, str]:
        assert self.folder is not None
        text = json.dumps(key, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.safetensors", text

    def find(self, key: Mapping[str, Any]) -> CachedActivations | None:
        """The unit of a key, if it was finished; a damaged file is none."""
        if self.folder is None:
            return None
        from safetensors import SafetensorError, safe_open

        path, text = self._path(key)
        try:
            with safe_open(path, framework="pt") as file:
                whole = file.metadata().get(KEY) == text
        except (OSError, SafetensorError):
            return None
        return CachedActivations(path=path) if whole else None

    def keep(self, key: Mapping[str, Any], tensors: dict[str, Tensor]) -> CachedActivations:
        """Keep a finished unit.

        Raises:
            BadInput: it cannot be written.
        """
        if self.folder is None:
            return CachedActivations(held=tensors)
        from safetensors.torch import save

        path, text = self._path(key)
        numbered = {str(i): value.contiguous() for i, value in enumerate(tensors.values())}
        atomic_write.write(path, save(numbered, {KEY: text, "names": json.dumps(list(tensors))}))
        return CachedActivations(path=path)

    def count(self) -> int:
        """How many units are kept in the folder."""
        if self.folder is None or not self.folder.is_dir():
            return 0
        return sum(1 for _ in self.folder.glob("[!.]*.safetensors"))

    def bytes(self) -> int:
        """How much they take in the folder."""
        if self.folder is None or not self.folder.is_dir():
            return 0
        return sum(file.stat().st_size for file in self.folder.glob("[!.]*.safetensors"))

    def clear(self) -> None:
        """Remove all units, once everything that follows from them is written."""
        if self.folder is None:
            return
        done = self.folder.with_name(f".{FOLDER}")
        if self.folder.is_dir():
            # in one step, so that a run is never found half unfinished
            shutil.rmtree(done, ignore_errors=True)
            self.folder.replace(done)
        shutil.rmtree(done, ignore_errors=True)
