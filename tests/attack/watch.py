"""A watch on a process that reads foreign files: code, processes, files outside, memory."""

from __future__ import annotations

import gc
import os
import re
import sys
import sysconfig
from pathlib import Path
from typing import Any

from tests.helpers.paths import ROOT

STARTS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.")
CONNECTS = ("socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.", "ctypes.dlopen")
CHANGES = {
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod"),
    *("os.truncate", "os.chown", "shutil.rmtree", "shutil.move", "shutil.copyfile"),
}
"""Audit events whose first arguments are paths that are changed."""

HOMES = [
    *{str(Path(path).resolve()) for path in sysconfig.get_paths().values()},
    *{str(Path(prefix).resolve()) for prefix in (sys.prefix, sys.base_prefix)},
    *(str(ROOT), "/proc", "/sys", "/dev/null", "/dev/urandom", "/usr", "/etc", "<"),
]
"""Where code and data of installed libraries are; `<` begins names such as `<string>`."""

READ_ONLY = os.O_RDONLY
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
            paths = [one for one in arguments if isinstance(one, str | bytes | os.PathLike)]
            return "" if all(map(self._inside, paths)) else "outside"
        return ""

    def _opened(self, path: Any, mode: Any, flags: int) -> str:
        if isinstance(path, int) or path is None or self._inside(path):
            return ""
        name = os.fsdecode(path)
        writes = bool(flags & WRITES) and name != "/dev/null"
        return "" if not writes and self._known(name) else "outside"

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
    return len(list(Path("/proc/self/fd").iterdir()))


def closed(before: int) -> bool:
    """Whether no more files are open than before; what a cycle of objects holds is closed first."""
    if open_files() <= before:
        return True
    gc.collect()
    return open_files() <= before


def begin_peak() -> int:
    """Begin to measure the highest memory anew; the memory now, in bytes."""
    with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123
        file.write("5")
    return memory("VmHWM")


def memory(name: str) -> int:
    """A size of this process, in bytes: `VmHWM` is the highest resident memory."""
    with open("/proc/self/status") as file:  # noqa: PTH123
        found = re.search(rf"{name}:\s+(\d+) kB", file.read())
    return int(found[1]) * 1024 if found else 0
