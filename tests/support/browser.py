"""A browser without a window: an ASGI app over httpx, with cookies, forms and no JavaScript."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from html import unescape
from typing import Any

import httpx

HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
FORM = re.compile(r'<form[^>]*action="([^"]*)".*?</form>', re.DOTALL)


class Browser:
    """Cookies are kept; redirects are not followed unless asked."""

    def __init__(self, app: Any, *, base: str = "http://127.0.0.1:8080", address: str = "127.0.0.1") -> None:
        self._app, self._base, self._address = app, base, address
        self.cookies: dict[str, str] = {}
        self.page = ""

    def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.send("GET", path, headers=headers)

    def post(self, path: str, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.send("POST", path, data=dict(form), headers=headers)

    def post_json(self, path: str, body: object, *, user: tuple[str, str] | None = None) -> httpx.Response:
        return self.send("POST", path, json=body, auth=user)

    def submit(self, action: str, fields: Mapping[str, str] | None = None) -> httpx.Response:
        """Send the form of the last page with this action, its hidden fields included."""
        found = next(match for match in FORM.finditer(self.page) if unescape(match[1]) == action)
        hidden = {unescape(name): unescape(value) for name, value in HIDDEN.findall(found[0])}
        return self.post(action, {**hidden, **(fields or {})})

    def log_in(self, name: str, password: str) -> httpx.Response:
        self.get("/login")
        return self.submit("/login", {"name": name, "password": password})

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        given = options.pop("headers", None)

        async def answer() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app, client=(self._address, 50000))
            async with httpx.AsyncClient(transport=transport, base_url=self._base) as client:
                headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **(given or {})}
                response = await client.request(method, path, headers=headers, **options)
                self.cookies |= {cookie.name: cookie.value or "" for cookie in client.cookies.jar}
                return response

        response = asyncio.run(answer())
        if response.headers.get("content-type", "").startswith("text/html") and response.status_code < 300:
            self.page = response.text
        return response
