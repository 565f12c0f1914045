"""Settings of the service: environment variables `GITOPS_*`, and a YAML file whose keys are the same names without prefix, small.

```yaml
data_dir: /var/lib/trueup
github_api_url: https://api.github.com
github_token: {file: /etc/trueup/github-token}
repositories: [acme/infra, acme/web=web]   # owner/name, or owner/name=project
users: {alice: {password: "scrypt:…", teams: [sre]}}
```
The environment wins. The one place of `webhooks` that reads it. Secrets may be files, and never appear in `repr` or messages.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import yaml

from gitops.errors import UsageError
from gitops.model.address import is_object_name
from webhooks.auth.users import Users, parse_users

PREFIX = "GITOPS_"
NAMES = (
    "data_dir",
    "database_url",
    "listen",
    "repositories",
    "github_api_url",
    "github_token",
    "github_webhook_secret",
    "release_key",
    "public_url",
    "admin_token",
    "local_repository",
    "poll_seconds",
    "trusted_proxies",
    "trust_roots",
)
LISTS = ("repositories", "trusted_proxies", "trust_roots")
LOCAL = "local"
SECRETS = ("github_token", "github_webhook_secret", "admin_token")
DEFAULT_LISTEN = "127.0.0.1:8080"
GITHUB = "https://api.github.com"
LEAST_POLL, MOST_PORT = 1, 65535


@dataclass(frozen=True)
class Settings:
    """Valid settings. `port` 0 takes a free one; `release_key` None: somebody else signs; `github_token` empty: no GitHub."""

    data_dir: Path
    database_url: str
    host: str = "127.0.0.1"
    port: int = 8080
    repositories: tuple[str, ...] = ()
    projects: Mapping[str, str] = field(default_factory=dict[str, str])
    github_api_url: str = GITHUB
    github_token: str = field(default="", repr=False)
    github_webhook_secret: str = field(default="", repr=False)
    release_key: Path | None = None
    public_url: str = ""
    admin_token: str = field(default="", repr=False)
    local_repository: Path | None = None
    poll_seconds: int = 60
    trusted_proxies: tuple[str, ...] = ()
    trust_roots: tuple[Path, ...] = ()
    users: Users = field(default_factory=Users)


def read_settings(file: Path | None = None, given: Mapping[str, str] | None = None) -> Settings:
    """Read the file, then the environment over it, then `given` (command line options) over both; raise UsageError (exit 1)."""
    table, users = _read_file(file)
    for name in NAMES:
        if os.environ.get(PREFIX + name.upper()):
            table[name] = os.environ[PREFIX + name.upper()]
    table.update(given or {})
    return parse_settings(table, users)


def parse_settings(table: Mapping[str, Any], users: Users | None = None) -> Settings:
    """Make valid settings of named values; unknown names are errors."""
    unknown = sorted(set(table) - set(NAMES))
    if unknown:
        raise UsageError(f"settings: unknown key `{unknown[0][:80]}`", code="U071", hint="known: " + ", ".join((*NAMES, "users")))
    texts = {name: _read_value(name, table[name]) for name in table if name not in LISTS}
    data_dir = Path(texts.get("data_dir") or "trueup-data").absolute()
    host, port = _read_listen(texts.get("listen") or DEFAULT_LISTEN)
    repositories, projects = _read_repositories(table.get("repositories", ()))
    return Settings(
        data_dir=data_dir,
        database_url=texts.get("database_url") or f"sqlite:///{data_dir / 'trueup.sqlite'}",
        host=host,
        port=port,
        repositories=repositories,
        projects=projects,
        github_api_url=_read_url("github_api_url", texts.get("github_api_url") or GITHUB),
        github_token=texts.get("github_token", ""),
        github_webhook_secret=texts.get("github_webhook_secret", ""),
        release_key=_read_path(texts.get("release_key", "")),
        public_url=_read_url("public_url", texts.get("public_url", "")),
        admin_token=texts.get("admin_token", ""),
        local_repository=_read_path(texts.get("local_repository", "")),
        poll_seconds=_read_seconds(texts.get("poll_seconds") or "60"),
        trust_roots=tuple(Path(item).absolute() for item in _read_list("trust_roots", table.get("trust_roots", ()), "files")),
        trusted_proxies=_read_proxies(table.get("trusted_proxies", ())),
        users=users or Users(),
    )


def _read_file(file: Path | None) -> tuple[dict[str, Any], Users]:
    if file is None:
        return {}, Users()
    try:
        value: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the settings {file}: {error.strerror}", code="U072") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"the settings {file} are not YAML: {str(error)[:200]}", code="U072") from error
    if value is None:
        return {}, Users()
    if not isinstance(value, dict):
        raise UsageError(f"the settings {file}: expected a table", code="U072")
    table = {str(name): item for name, item in cast("dict[Any, Any]", value).items()}
    return table, parse_users(table.pop("users", None))


def _read_value(name: str, value: Any) -> str:
    if name in SECRETS and isinstance(value, dict):
        return _read_secret_file(name, cast("dict[Any, Any]", value))
    if isinstance(value, bool) or not isinstance(value, str | int | Path):
        raise UsageError(f"settings: `{name}`: expected a text", code="U071")
    return str(value)


def _read_secret_file(name: str, value: Mapping[Any, Any]) -> str:
    path = value.get("file")
    if set(value) != {"file"} or not isinstance(path, str):
        raise UsageError(f"settings: `{name}`: expected a text, or {{file: PATH}}", code="U071")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"settings: `{name}`: cannot read {path}: {error.strerror}", code="U072") from error


def _read_listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > MOST_PORT:
        raise UsageError(f"settings: `listen`: expected ADDRESS:PORT, got {text[:80]!r}", code="U071", hint="like 127.0.0.1:8080")
    return host, int(port)


def _read_list(name: str, value: Any, expected: str) -> tuple[str, ...]:
    items: Any = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise UsageError(f"settings: `{name}`: expected {expected}, …", code="U071")
    return tuple(str(item) for item in cast("list[Any]", items) if item)


def _read_proxies(value: Any) -> tuple[str, ...]:
    """Read addresses and networks; a name or `*` would trust whoever answers to it."""
    found = _read_list("trusted_proxies", value, "addresses or networks")
    for item in found:
        try:
            network = ip_network(item)
        except ValueError:
            message = f"settings: `trusted_proxies`: expected an address or network, got {item[:80]!r}"
            raise UsageError(message, code="U071", hint="like 127.0.0.1 or 192.0.2.0/24") from None
        if network.prefixlen == 0:
            raise UsageError(f"settings: `trusted_proxies`: {item} is everybody", code="U071", hint="name the proxies' addresses")
    return found


def _read_repositories(value: Any) -> tuple[tuple[str, ...], dict[str, str]]:
    """Read `owner/name`, `owner/name=project` and `local=project`; give the names, and the projects that are bound."""
    names: list[str] = []
    projects: dict[str, str] = {}
    for item in _read_list("repositories", value, "owner/name"):
        name, equals, project = item.partition("=")
        parts = name.split("/")
        is_local = name == LOCAL and bool(equals)
        if not is_local and (len(parts) != 2 or not all(_is_name(part) for part in parts)):  # noqa: PLR2004  owner and name
            hint = "owner/name=project binds a project, local=project that of the local forge"
            raise UsageError(f"settings: `repositories`: expected owner/name, got {item[:80]!r}", code="U071", hint=hint)
        if equals:
            _check_project(name, project, projects)
            projects[name] = project
        if not is_local:
            _check_case(name, names)
            names.append(name)
    return tuple(dict.fromkeys(names)), projects


def _check_case(name: str, names: Sequence[str]) -> None:
    """Refuse one repository under two names: forges do not tell them apart by case, but hosts, approvals and releases would be."""
    other = next((known for known in names if known.casefold() == name.casefold() and known != name), "")
    if other:
        message = f"settings: `repositories`: {other[:80]} and {name[:80]} are one repository for a forge"
        raise UsageError(message, code="U071", hint="write it once, as the forge shows it")


def _check_project(name: str, project: str, projects: Mapping[str, str]) -> None:
    if not is_object_name(project):
        message = f"settings: `repositories`: {name[:80]} is bound to {project[:80]!r}, which is no name of a project"
        raise UsageError(message, code="U071", hint="small letters, digits, `-` and `.`, as metadata.name of its gitops.yaml")
    if projects.get(name, project) != project or project in [owned for owner, owned in projects.items() if owner != name]:
        message = f"settings: `repositories`: the project {project} is bound twice, or {name[:80]} to two projects"
        raise UsageError(message, code="U071", hint="a project is released by one repository")


def _is_name(text: str) -> bool:
    return text not in ("", ".", "..") and all(mark.isalnum() or mark in "._-" for mark in text) and text.isascii()


def _read_url(name: str, text: str) -> str:
    if not text:
        return ""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise UsageError(f"settings: `{name}`: expected an http(s) address without user, query or fragment", code="U071")
    return text.rstrip("/")


def _read_path(text: str) -> Path | None:
    return Path(text).absolute() if text else None


def _read_seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < LEAST_POLL:
        raise UsageError("settings: `poll_seconds`: expected a whole number of seconds, at least 1", code="U071")
    return int(text)
