"""What comes before what, and the worst case of a machine never observed: package, service, user, group."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gitops.model.address import parse_address
from gitops.model.codec import Json
from gitops.model.resource import Resource
from gitops.plan.item import Preparer
from gitops.plan.order import find_edges
from gitops.providers.registry import PROVIDERS


def edges(*resources: Resource) -> set[tuple[str, str]]:
    items = Preparer(PROVIDERS).prepare_all(resources)
    return {(edge.before, edge.after) for edge in find_edges(items)}


def item(text: str, **attributes: Json) -> Resource:
    kind, _, name = text.partition(":")
    return Resource(kind, name, attributes)


SOURCE: Mapping[str, Json] = {"uris": ["file:/r"], "suites": ["./"]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (item("package:nginx"), item("service:nginx")),
        (item("package:nginx"), item("service:nginx.service")),
        (item("package:nginx:amd64"), item("service:nginx")),
        (item("package:openvpn"), item("service:openvpn@office")),
        (item("package:nginx"), item("file:/etc/nginx/conf.d/site.conf")),
        (item("package:nginx"), item("directory:/etc/nginx/sites")),
        (item("file:/etc/systemd/system/app.service"), item("service:app")),
        (item("file:/etc/systemd/system/app@.service"), item("service:app@one")),
        (item("file:/etc/systemd/system/tick.timer"), item("service:tick.timer")),
        (item("file:/etc/systemd/system/tick.service"), item("service:tick.timer")),
        (item("file:/etc/systemd/system/greet@.service"), item("service:greet.socket")),
        (item("file:/etc/systemd/system/greet.service"), item("service:greet.socket")),
        (item("file:/Library/LaunchDaemons/org.example.app.plist"), item("service:org.example.app")),
        (item("file:/etc/systemd/system/php8.2-fpm.service"), item("service:php8.2-fpm")),
        (item("group:ops"), item("user:ann", groups=["ops"])),
        (item("group:ops"), item("user:ann", group="ops")),
        (item("group:ann"), item("user:ann")),
        (item("user:ann", state="absent"), item("group:ann", state="absent")),
        (item("user:ann", groups=["ops"], state="absent"), item("group:ops", state="absent")),
        (item("service:nginx"), item("package:nginx", state="absent")),
        (item("user:ann"), item("file:/srv/x", owner="ann")),
        (item("user:ann"), item("directory:/srv/x", group="ann")),
        (item("directory:/srv/x", group="ann"), item("user:ann", state="absent")),
        (item("apt_repository:x", **SOURCE, signed_by="/k"), item("package:y")),
        (item("file:/k"), item("apt_repository:x", **SOURCE, signed_by="/k")),
        (item("package:y", state="absent"), item("apt_repository:x", **SOURCE, state="absent")),
        (item("file:/k"), item("yum_repository:x", baseurl=["file:///r"], gpgkey=["file:///k"])),
        (item("yum_repository:x", baseurl=["file:///r"], gpgcheck=False), item("package:y")),
    ],
    ids=lambda resource: resource.address,
)
def test_the_first_comes_before_the_second(before: Resource, after: Resource) -> None:
    assert edges(before, after) == {(before.address, after.address)}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (item("package:nginx"), item("file:/etc/nginx.conf")),
        (item("package:nginx"), item("service:apache2")),
        (item("service:tick"), item("file:/etc/systemd/system/tick.timer")),
        (item("group:ann"), item("user:ann", group="ops")),
        (item("user:ann", group="ops"), item("directory:/srv/x", group="ann")),
    ],
    ids=lambda resource: resource.address,
)
def test_what_only_looks_alike_has_no_order(left: Resource, right: Resource) -> None:
    assert edges(left, right) == set()


@pytest.mark.parametrize(
    ("resource", "verbs"),
    [
        (item("package:x"), ["set"]),
        (item("package:x", state="absent"), ["remove"]),
        (item("service:x"), []),
        (item("service:x", enabled=False), ["set"]),
        (item("user:x"), ["set"]),
        (item("user:x", state="absent"), ["remove"]),
        (item("group:x"), ["set"]),
        (item("group:x", state="absent"), ["remove"]),
    ],
    ids=lambda value: value.address if isinstance(value, Resource) else "",
)
def test_the_worst_case_is_one_effect_at_most(resource: Resource, verbs: list[str]) -> None:
    prepared = Preparer(PROVIDERS).prepare(resource)
    assert [possible.verb for possible in prepared.provider.bound(prepared.spec)] == verbs


def test_a_stopped_service_cannot_be_notified() -> None:
    refreshes = {
        state: Preparer(PROVIDERS).prepare(item("service:x", state=state, on_notify="reload")).relations.refresh
        for state in ("running", "stopped")
    }
    assert refreshes == {"running": "reload", "stopped": ""}


def test_a_state_observed_before_latest_was_asked_for_says_that_it_may_change() -> None:
    prepared = Preparer(PROVIDERS).prepare(item("package:xz", state="latest"))
    found = prepared.provider.diff(prepared.spec, {"installed": "1"})
    assert found is not None
    assert (found.action, found.confidence) == ("update", "conditional")
    assert parse_address("package:xz") == prepared.resource.address
