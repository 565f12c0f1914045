"""Pages: templates to responses, with the headers that keep a page to itself.

Takes a template's name and values, gives an HTML response. Everything is escaped; nothing is loaded from elsewhere; no inline script or
style can run (Content-Security-Policy), so that text of repositories and hosts stays text even where an escape were forgotten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

import gitops
from gitops.render.escape import escape_line

HERE = Path(__file__).parent
HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
ASSET_TYPES: Mapping[str, str] = {
    "trueup.css": "text/css; charset=utf-8",
    "trueup.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
ASSETS: Mapping[str, bytes] = {name: (HERE / "static" / name).read_bytes() for name in ASSET_TYPES}


def address_asset(name: str) -> str:
    """Give the address of an asset, which changes with its content, so that browsers may keep it for ever."""
    return f"/static/{name}?v={hashlib.sha256(ASSETS[name]).hexdigest()[:12]}"


def _show_invisible(value: object) -> object:
    """Make control and direction characters visible in every value, so that no text can pretend to read otherwise."""
    return escape_line(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _make_templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_show_invisible,
    )
    made.filters["path"] = lambda text: quote(str(text), safe="")
    made.globals["asset"] = address_asset  # pyright: ignore[reportArgumentType]  jinja types its own defaults only
    made.globals["version"] = gitops.__version__  # pyright: ignore[reportArgumentType]  same
    return made


TEMPLATES = _make_templates()


def render_page(template: str, values: Mapping[str, object], *, status: int = 200) -> Response:
    """Give a whole page."""
    return HTMLResponse(TEMPLATES.get_template(template).render(values), status_code=status, headers=dict(HEADERS))


async def give_asset(request: Request) -> Response:
    """Answer `/static/{name}`; only what is listed exists."""
    name = str(request.path_params["name"])
    if name not in ASSETS:
        return Response("not found", status_code=404, media_type="text/plain", headers=dict(HEADERS))
    headers = {**HEADERS, "cache-control": "public, max-age=31536000, immutable"}
    return Response(ASSETS[name], media_type=ASSET_TYPES[name], headers=headers)


def is_web_address(text: str) -> bool:
    """Say whether an address may stand in a link: http and https only, so no `javascript:`."""
    return text.startswith(("https://", "http://"))
