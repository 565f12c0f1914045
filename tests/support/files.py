"""A loopback server of files that breaks off, lies and redirects as a test wants it; knows ranges, as real ones do."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Files:
    """What is served, by path. `cut` bytes are sent of the next answers, one number each, before the connection breaks."""

    url: str
    contents: dict[str, bytes] = field(default_factory=dict[str, bytes])
    redirects: dict[str, str] = field(default_factory=dict[str, str])
    cut: list[int] = field(default_factory=list[int])
    statuses: list[int] = field(default_factory=list[int])
    asked: list[str] = field(default_factory=list[str])
    has_ranges: bool = True


@contextmanager
def serve_files() -> Generator[Files]:
    """Serve until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    files = Files(f"http://127.0.0.1:{server.server_port}")
    setattr(server, "files", files)  # noqa: B010  the handler finds it there
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield files
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        files: Files = getattr(self.server, "files")  # noqa: B009  see above
        asked = self.headers.get("Range", "")
        files.asked.append(asked)
        if files.statuses:
            self.send_error(files.statuses.pop(0))
        elif self.path in files.redirects:
            self.send_response(302)
            self.send_header("Location", files.redirects[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path not in files.contents:
            self.send_error(404)
        else:
            self._send(files, files.contents[self.path], asked if files.has_ranges else "")

    def _send(self, files: Files, content: bytes, asked: str) -> None:
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if asked and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        rest = content[start:]
        self.wfile.write(rest[: files.cut.pop(0)] if files.cut else rest)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
        """Say nothing."""
