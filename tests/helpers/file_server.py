"""A server of a few files on 127.0.0.1: it can break off, forget ranges, redirect, answer 404."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What the server gives, and what was requested.

    Attributes:
        address: `http://127.0.0.1:PORT/`.
        files: contents by name.
        breaks: by name, numbers of bytes after which the next connections end.
        ranges: whether it answers requests for ranges.
        validators: whether it sends ETags.
        conditions: whether it heeds If-Range.
        lengths: whether it says how long its answers are; else their end closes the connection.
        redirects: by name, the name that a request is redirected to.
        requests: name and range of every request.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    breaks: dict[str, list[int]] = field(default_factory=dict)
    ranges: bool = True
    validators: bool = True
    conditions: bool = True
    lengths: bool = True
    redirects: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def tag(self, name: str) -> str:
        return f'"{hashlib.md5(self.files[name]).hexdigest()}"'


@contextmanager
def serving(**files: bytes) -> Iterator[FileServer]:
    """A running server of files, by name."""
    state = FileServer(files=dict(files))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, state)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(request: BaseHTTPRequestHandler, state: FileServer) -> None:
    name = request.path.lstrip("/")
    wanted = request.headers.get("Range")
    state.requests.append((name, wanted))
    if name in state.redirects:
        request.send_response(302)
        request.send_header("Location", f"/{state.redirects[name]}")
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    if name not in state.files:
        request.send_error(404)
        return
    content, start = state.files[name], 0
    condition = request.headers.get("If-Range") if state.conditions else None
    same = condition in (None, state.tag(name))
    if wanted and state.ranges and same:
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            request.send_error(416)
            return
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    else:
        request.send_response(200)
    if state.validators:
        request.send_header("ETag", state.tag(name))
    if state.lengths:
        request.send_header("Content-Length", str(len(content) - start))
    request.end_headers()
    breaks = state.breaks.get(name)
    end = len(content) if not breaks else start + breaks.pop(0)
    request.wfile.write(content[start:end])
