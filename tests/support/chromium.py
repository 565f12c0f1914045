"""A real Chromium on a served app, which notes everything that a page must not do: errors, policy violations, foreign requests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
]


@contextmanager
def serve_app(app: Any) -> Iterator[str]:
    """Serve an ASGI app on a free loopback port in a thread; give its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@dataclass
class Watched:
    """A page and what it did wrong."""

    page: Page
    wrong: list[str] = field(default_factory=list)


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """Start Chromium; it ends with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def watch_page(browser: Browser, base: str, *, width: int = 1280, scheme: str = "light", **options: Any) -> Watched:
    """Open a page of its own profile; console errors (policy violations are among them), failures and foreign requests are noted."""
    context = browser.new_context(base_url=base, viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
    context.set_default_timeout(10_000)
    watched = Watched(context.new_page())

    def note_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            watched.wrong.append(f"{message.type}: {message.text}")

    def note_request(request: Request) -> None:
        if not request.url.startswith(base):
            watched.wrong.append(f"foreign request: {request.url}")

    def note_failure(request: Request) -> None:
        # Leaving a page while its icon loads aborts that; nothing is wrong then.
        if request.failure != "net::ERR_ABORTED":
            watched.wrong.append(f"failed: {request.url} {request.failure}")

    watched.page.on("console", note_console)
    watched.page.on("pageerror", lambda error: watched.wrong.append(f"error: {error}"))
    watched.page.on("requestfailed", note_failure)
    watched.page.on("request", note_request)
    return watched
