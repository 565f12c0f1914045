"""Locales of the C library: generated where the distribution generates them, and the machine's default.

The resource's name is the locale with its character set (`de_DE.UTF-8`). Debian, Ubuntu and Arch: its line in /etc/locale.gen, and
locale-gen. Elsewhere a package brings it. `default: true` writes LANG into /etc/default/locale, or into /etc/locale.conf where that is
what the machine has; sessions that are open keep what they have. `absent` takes the line out and generates the others again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterator, Mapping, Optional, Sequence

from gitops.errors import HostError, TrueupError
from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.model.textedit import LineEdit
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.edits import LineEditProvider, Place
from gitops.providers.host import Host
from gitops.providers.steps import describe_failure

LIST = "/etc/locale.gen"
DEBIAN, OTHERS = "/etc/default/locale", "/etc/locale.conf"
NAME = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?\.(?P<charset>[A-Z0-9][A-Za-z0-9-]{1,19})(@[a-z]{1,20})?\Z")
BUILT_IN = ("C", "C.UTF-8", "POSIX")
BROUGHT = "nothing here generates locales yet: this fails if no package before it brings the locale, or locale-gen"
GENERATE, ASK = ("locale-gen",), ("locale", "-a")
GENERATE_SECONDS = 900
OUTPUT_SHOWN = 400


@dataclass(frozen=True)
class LocaleSpec:
    """A locale."""

    name: str
    default: bool = attribute("boolean", "the machine's default (LANG)", default=False)
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))

    @property
    def charset(self) -> str:
        """The character set."""
        found = NAME.match(self.name)
        return found["charset"] if found else ""


@dataclass(frozen=True)
class LocaleLine(LineEdit):
    """The line of a locale in the list; one that is commented out gives its place to it."""

    locale: str = ""
    takes_comments: bool = True

    @property
    def is_single(self) -> bool:
        """It is the only one."""
        return True

    def is_meant(self, line: str) -> bool:
        """Say whether a line is of this locale."""
        bare = line.strip()
        if bare.startswith("#") and self.takes_comments:
            bare = bare.lstrip("# \t")
        return bare.split(None, 1)[:1] == [self.locale]


class ListedLocale(LineEditProvider[LocaleSpec]):
    """The part of a locale that is a line of the list."""

    kind, spec, summary = "locale", LocaleSpec, ""

    def locate(self, spec: LocaleSpec) -> Place:
        """In the list."""
        return Place(LIST, spec.name, spec.state == "absent")

    def line_of(self, spec: LocaleSpec) -> LineEdit:
        """Locale and character set."""
        return LocaleLine(f"{spec.name} {spec.charset}", locale=spec.name, takes_comments=spec.state == "present")


class DefaultLocale(LineEditProvider[LocaleSpec]):
    """The part of a locale that makes it the default."""

    kind, spec, summary = "locale", LocaleSpec, ""

    def __init__(self, path: str) -> None:
        self._path = path

    def locate(self, spec: LocaleSpec) -> Place:
        """In the file that this machine reads."""
        return Place(self._path, spec.name)

    def line_of(self, spec: LocaleSpec) -> LineEdit:
        """LANG alone."""
        return LineEdit(f"LANG={spec.name}", replaces=("LANG=",))


LISTED = ListedLocale()
DEFAULT: Mapping[str, DefaultLocale] = {path: DefaultLocale(path) for path in (DEBIAN, OTHERS)}


class LocaleProvider(Provider[LocaleSpec]):
    """See the module."""

    kind = "locale"
    spec = LocaleSpec
    summary = "a locale: generated, and the default"
    needs_linux = True

    def observe(self, specs: Sequence[LocaleSpec], host: Host) -> Mapping[str, State]:
        """State: of the line in the list; whether the C library has it (`unknown`: why that cannot be told); for a default its file and
        the line there.
        """
        good = [spec for spec in specs if not find_mistake(spec)]
        listed, known, unknown = LISTED.observe(good, host), (), ""
        try:
            known = _read_known(host) if any(spec.name not in BUILT_IN for spec in good) else ()
        except (HostError, OSError) as error:
            unknown = describe_failure(error)
        path = _find_default(host)
        states: Dict[str, State] = {spec.name: {} for spec in specs}
        for spec in good:
            state: Dict[str, Json] = {"listed": dict(listed[spec.name]), "known": _normalise(spec.name) in known}
            if unknown and spec.name not in BUILT_IN:
                state["unknown"] = unknown
            if spec.default:
                state["path"], state["default"] = path, dict(DEFAULT[path].observe([spec], host)[spec.name])
            states[spec.name] = state
        return states

    def diff(self, spec: LocaleSpec, state: State) -> Optional[Difference]:
        """Compare the list, what is generated, and the default."""
        mistake = find_mistake(spec)
        if mistake:
            return Difference("refused", reason=mistake)
        parts = _compare_parts(spec, state)
        refused = next((part.reason for part in parts.values() if part.action == "refused"), "")
        if refused:
            return Difference("refused", reason=refused)
        obstacle = next((part.obstacle for part in parts.values() if part.obstacle), "")
        if state.get("unknown") and spec.state == "present":
            obstacle = obstacle or f"which locales there are cannot be told: {state['unknown']}"
        if spec.state == "absent":
            return Difference("remove", obstacle=obstacle) if parts else None
        fields = [FieldChange(name, field.before, field.after) for name, part in parts.items() for field in part.fields]
        is_missing = spec.name not in BUILT_IN and not state.get("known")
        if is_missing:
            fields.append(FieldChange("generated", before=False, after=True))
        if not fields:
            return None
        implied = tuple(item for part in parts.values() for item in part.implied)
        if is_missing and _type_of(state, "listed") == "absent":
            return Difference("update", tuple(fields), BROUGHT, "conditional", implied, obstacle=obstacle)
        unsure = next((part for part in parts.values() if part.confidence != "exact"), Difference("update"))
        return Difference("update", tuple(fields), unsure.reason, unsure.confidence, implied, obstacle=obstacle)

    def apply(self, steps: Sequence[Step[LocaleSpec]], host: Host) -> Iterator[Outcome]:
        """Edit the list as one, generate once, then say which is the default."""
        failures: Dict[str, str] = {}
        needy = [step for step in steps if step.spec.name not in BUILT_IN and _needs_generating(step)]
        if needy:
            failures.update(_generate(needy, host))
        for path, provider in DEFAULT.items():
            due = [step for step in steps if step.state.get("path") == path and step.address not in failures]
            due = [step for step in due if "default" in _compare_parts(step.spec, step.state)]
            failures.update({item.address: item.message for item in provider.apply(due, host) if item.result != "changed"})
        for step in steps:
            reason = failures.get(step.address, "")
            yield Outcome(step.address, step.action, "failed" if reason else "changed", reason)

    def relate(self, spec: LocaleSpec) -> Relations:
        """After the packages that bring locales; others may edit the same files."""
        if find_mistake(spec):
            return Relations()
        wants = ("path:/etc", "package:locales", f"package:glibc-langpack-{spec.name.partition('_')[0]}")
        edits = (LIST, DEBIAN, OTHERS) if spec.default else (LIST,)
        return Relations((f"locale:{spec.name}",), wants, is_absent=spec.state == "absent", edits=edits)

    def bound(self, spec: LocaleSpec) -> Sequence[Possible]:
        """At most: set it, or remove it."""
        return (Possible("remove" if spec.state == "absent" else "set"),)


def find_mistake(spec: LocaleSpec) -> str:
    """Say what of a Spec cannot be meant; empty when nothing."""
    if spec.name not in BUILT_IN and not NAME.match(spec.name):
        return f"{spec.name[:80]!r} is not a locale with its character set, like `de_DE.UTF-8`"
    if spec.state == "absent" and (spec.default or spec.name in BUILT_IN):
        return "the default cannot be absent" if spec.default else "the C library itself has it"
    return ""


def _read_known(host: Host) -> Sequence[str]:
    """Give the locales that the C library has; raise HostError where it does not tell."""
    done = host.run(list(ASK))
    known = [_normalise(line.strip()) for line in done.output.splitlines() if line.strip()]
    if done.status != 0 or not known:  # it has at least those that are built in
        raise HostError(f"`{' '.join(ASK)}` ended with {done.status} and named {len(known)} locales", code="E317")
    return known


def _normalise(name: str) -> str:
    """Write a locale as the C library compares it: the character set in small letters and digits."""
    language, _, rest = name.partition(".")
    charset, at, modifier = rest.partition("@")
    return f"{language}.{re.sub('[^a-z0-9]', '', charset.lower())}{at}{modifier}"


def _find_default(host: Host) -> str:
    """Give the file that says LANG here: Debian's, unless it has become a link to the other."""
    found = host.inspect(DEBIAN).type
    is_debian = host.inspect("/etc/debian_version").type == "file"
    return DEBIAN if found == "file" or (found == "absent" and is_debian and host.inspect(OTHERS).type == "absent") else OTHERS


def _type_of(state: State, name: str) -> str:
    found = state.get(name)
    return str(found.get("type")) if isinstance(found, dict) else "absent"


def _compare_parts(spec: LocaleSpec, state: State) -> Dict[str, Difference]:
    found: Dict[str, Optional[Difference]] = {}
    listed, default, path = state.get("listed"), state.get("default"), str(state.get("path") or DEBIAN)
    if spec.name not in BUILT_IN and isinstance(listed, dict) and listed.get("type") != "absent":
        found["listed"] = LISTED.diff(spec, listed)
    if spec.default and path in DEFAULT:
        found["default"] = DEFAULT[path].diff(spec, default if isinstance(default, dict) else {"type": "absent"})
    return {name: part for name, part in found.items() if part is not None}


def _needs_generating(step: Step[LocaleSpec]) -> bool:
    return "listed" in _compare_parts(step.spec, step.state) or (step.spec.state == "present" and not step.state.get("known"))


def _generate(steps: Sequence[Step[LocaleSpec]], host: Host) -> Dict[str, str]:
    """Edit the list, and generate what it has: the undo of that is to generate what it had."""
    failures: Dict[str, str] = {}
    listing = [step for step in steps if step.spec.state == "absent" or _type_of(step.state, "listed") != "absent"]
    brought = [step for step in steps if step not in listing]
    if brought and host.inspect(LIST).type == "file":  # a package brought it since
        listing, brought = list(steps), []
    edited = {item.address: item for item in (LISTED.apply(listing, host) if listing else ())}
    failures.update({address: item.message for address, item in edited.items() if item.result != "changed"})
    try:
        if listing and len(failures) < len(steps):
            host.note_undo(list(GENERATE))
            done = host.run(list(GENERATE), timeout=GENERATE_SECONDS)
            if done.status != 0:
                raise HostError(f"locale-gen ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E309")
        known = _read_known(host)
    except (TrueupError, OSError) as error:
        return {**{step.address: describe_failure(error) for step in steps}, **failures}
    for step in steps:
        if step.spec.state == "present" and _normalise(step.spec.name) not in known:
            failures.setdefault(step.address, f"the C library does not have {step.spec.name}; is it the name of a locale?")
    return failures


__all__ = ["LocaleProvider", "LocaleSpec", "find_mistake"]
