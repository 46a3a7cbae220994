"""A watch on a process that reads foreign files: code, processes, files outside, memory."""

from __future__ import annotations

import gc
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

from tests.helpers.paths import ROOT

STARTS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.")
CONNECTS = ("socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.", "ctypes.dlopen")
CHANGES = {
    **dict.fromkeys(("os.remove", "os.rmdir", "shutil.rmtree"), ((0, 1),)),
    **dict.fromkeys(("os.mkdir", "os.chmod"), ((0, 2),)),
    **dict.fromkeys(("os.rename", "os.link"), ((0, 2), (1, 3))),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.chown": ((0, 3),),
    **dict.fromkeys(("shutil.move", "shutil.copyfile"), ((1, None),)),
}
"""Audit events of changes: the places of their paths, each with that of its folder's descriptor."""

HOMES = [
    *{str(Path(path).resolve()) for path in sysconfig.get_paths().values()},
    *{str(Path(prefix).resolve()) for prefix in (sys.prefix, sys.base_prefix)},
    *(str(ROOT), "/proc", "/sys", "/dev/null", "/dev/urandom", "/usr", "/etc", "<"),
]
"""Where code and data of installed libraries are; `<` begins names such as `<string>`."""

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """Collects what Python's audit events say that reading a file never does.

    An audit hook cannot be removed: there is one for a process.

    Args:
        folder: where files may be opened and written.
        starts: whether processes may be started.
    """

    def __init__(self, folder: Path, starts: bool) -> None:
        self.folder, self.starts = str(folder.resolve()), starts
        self.on = False
        self.found: list[tuple[str, str]] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: Any) -> None:
        if not self.on:
            return
        self.on = False  # what follows may itself raise events
        try:
            if kind := self._kind(event, arguments):
                self.found.append((kind, f"{event} {arguments!r:.200}"))
        finally:
            self.on = True

    def _kind(self, event: str, arguments: Any) -> str:
        if event == "open":
            return self._opened(*arguments)
        if event == "exec":
            return "" if self._known(arguments[0].co_filename) else "code"
        if event == "compile":
            return "" if self._known(arguments[1]) else "code"
        if event.startswith(STARTS):
            return "" if self.starts else "code"
        if event.startswith(CONNECTS):
            return "" if event == "ctypes.dlopen" and self._known(arguments[0]) else "code"
        if event in CHANGES:
            places = CHANGES[event]
            return "" if all(self._changed(arguments, *at) for at in places) else "outside"
        return ""

    def _opened(self, path: Any, mode: Any, flags: int) -> str:
        if isinstance(path, int) or path is None or self._inside(path):
            return ""
        name = os.fsdecode(path)
        writes = bool(flags & WRITES) and name != "/dev/null"
        return "" if not writes and self._known(name) else "outside"

    def _changed(self, arguments: Any, path: int, folder: int | None) -> bool:
        """Whether what is changed is inside."""
        handle = arguments[folder] if folder is not None and folder < len(arguments) else -1
        if isinstance(arguments[path], int):
            return True  # a file that is open
        base = f"/proc/self/fd/{handle}" if isinstance(handle, int) and handle >= 0 else ""
        return self._inside(os.path.join(base, os.fsdecode(arguments[path])))  # noqa: PTH118

    def _inside(self, path: Any) -> bool:
        absolute = os.path.realpath(os.fsdecode(path))
        return absolute == self.folder or absolute.startswith(f"{self.folder}/")

    def _known(self, path: Any) -> bool:
        name = os.fsdecode(path) if path is not None else "<nothing>"
        if self._inside(name) and not name.startswith("<"):
            return False  # code, or data that is not of a library
        absolute = name if name.startswith("<") else os.path.realpath(name)
        return absolute.startswith(tuple(HOMES))


def open_files() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def closed(before: int) -> bool:
    """Whether no more files are open than before; what a cycle of objects holds is closed first."""
    if open_files() <= before:
        return True
    gc.collect()
    return open_files() <= before


def begin_peak() -> int:
    """Begin to measure the highest memory anew; the memory now, in bytes."""
    Path("/proc/self/clear_refs").write_bytes(b"5")
    return memory("VmHWM")


def memory(name: str) -> int:
    """A size of this process, in bytes: `VmHWM` is the highest resident memory."""
    _, _, after = Path("/proc/self/status").read_bytes().partition(f"{name}:".encode())
    return int(after.split(None, 1)[0]) * 1024 if after else 0
