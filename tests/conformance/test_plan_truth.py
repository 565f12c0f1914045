"""Plan truth: on random projects and random states of a root, what the plan named is exactly what changed; a second run changes
nothing; rollback restores. Content, owner, mode and target of everything below the root are compared, not only what is managed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from gitops.model.codec import Json
from gitops.model.plan import Change
from gitops.model.resource import Resource
from tests.support.rooted import Rooted, Tree, directory, file, quick_folder, symlink

NAMES = ("a", "b", "c d", "é\"'")
CONTENTS = ("", "one", "two\n")
MODES = ("0644", "0600", "0755", "4755")
FOLDER_MODES = ("0755", "0700", "1777")
TARGETS = ("a", "/a", "../b", "/nowhere")
MAX_PATHS = 9
MAX_LINKS = 40

paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
maybe_mode = st.none() | st.sampled_from(MODES)
owners = st.none() | st.sampled_from(["4242", "0", "root"] if os.geteuid() == 0 else [str(os.geteuid())])


@st.composite
def states(draw: st.DrawFn) -> dict[str, dict[str, str]]:
    """Give a tree as case files describe it: what is below a file or link is left out."""
    tree: dict[str, dict[str, str]] = {}
    for path in draw(st.lists(paths, max_size=MAX_PATHS, unique=True)):
        above = parents_of(path)
        if any("directory" not in tree.get(parent, {"directory": ""}) for parent in above) or path in tree:
            continue
        for parent in above:
            tree.setdefault(parent, {"directory": draw(st.sampled_from(FOLDER_MODES))})
        kind = draw(st.sampled_from(("file", "file", "directory", "symlink")))
        if kind == "file":
            tree[path] = {"file": draw(st.sampled_from(CONTENTS)), "mode": draw(st.sampled_from(MODES))}
        else:
            tree[path] = {kind: draw(st.sampled_from(FOLDER_MODES if kind == "directory" else TARGETS))}
    return tree


@st.composite
def projects(draw: st.DrawFn) -> tuple[Resource, ...]:
    """Give resources that do not contradict each other: only a present directory has others below it."""
    chosen: dict[str, Resource] = {}
    for path in draw(st.lists(paths, min_size=1, max_size=MAX_PATHS, unique=True)):
        leads = all(is_present_directory(chosen[parent]) for parent in parents_of(path) if parent in chosen)
        has_below = any(other.startswith(f"{path}/") for other in chosen)
        if leads:
            chosen[path] = draw(present_directories(path) if has_below else things(path))
    return tuple(chosen.values())


def things(path: str) -> st.SearchStrategy[Resource]:
    return st.one_of(
        st.builds(make_file, st.just(path), st.sampled_from(CONTENTS) | st.none(), maybe_mode, owners),
        st.sampled_from(TARGETS).map(lambda target: symlink(path, target)),
        present_directories(path),
        st.sampled_from((file(path, state="absent"), symlink(path, state="absent"))),
        st.booleans().map(lambda recurse: directory(path, state="absent", recurse=recurse)),
    )


def present_directories(path: str) -> st.SearchStrategy[Resource]:
    return st.builds(make_directory, st.just(path), st.none() | st.sampled_from(FOLDER_MODES), owners, st.booleans())


def make_file(path: str, content: str | None, mode: str | None, owner: str | None) -> Resource:
    return file(path, content, **declared(mode=mode, owner=owner))


def make_directory(path: str, mode: str | None, owner: str | None, purge: bool) -> Resource:
    return directory(path, **declared(mode=mode, owner=owner), **({"purge": True} if purge else {}))


def declared(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def parents_of(path: str) -> list[str]:
    parts = path.split("/")[1:-1]
    return ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]


def is_present_directory(resource: Resource) -> bool:
    return resource.kind == "directory" and resource.attributes.get("state") != "absent"


def resolve(path: str, state: Mapping[str, Mapping[str, str]]) -> str:
    """Give where a path really is: links in its parents followed as the root would, itself not."""
    found: list[str] = []
    coming, links = path.split("/")[1:], 0
    while len(coming) > 1 and links < MAX_LINKS:
        part = coming.pop(0)
        here = "/" + "/".join([*found, part])
        target = state.get(here, {}).get("symlink")
        if part == "..":
            found = found[:-1]
        elif target is None:
            found.append(part)
        else:
            links += 1
            found = [] if target.startswith("/") else found
            coming = [*(item for item in target.split("/") if item), *coming]
    return "/" + "/".join([*found, *coming])


def named(changes: Sequence[Change], before: Tree, state: Mapping[str, Mapping[str, str]]) -> set[str]:
    """Give every place that a plan says will change; what goes with a directory that it lists goes too."""
    found: set[str] = set()
    for change in changes:
        if change.action == "refused":
            continue
        path = resolve(change.address.partition(":")[2], state)
        listed = [
            f"{path}/{name}" for item in change.fields if item.name in ("purge", "entries") for name in names_in(item.before)
        ]
        is_purge_only = change.action == "update" and {item.name for item in change.fields} == {"purge"}
        found.update(listed if is_purge_only else (path, *listed))
        found.update(other for other in before if any(other.startswith(f"{top}/") for top in listed))
    return found


def names_in(value: Json) -> list[str]:
    return [str(name) for name in value] if isinstance(value, Sequence) and not isinstance(value, str) else []


def changed(before: Tree, after: Tree) -> set[str]:
    return {path for path in {*before, *after} if before.get(path) != after.get(path)}


@given(state=states(), project=projects())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_what_the_plan_named_is_exactly_what_changed(
    state: dict[str, dict[str, str]], project: tuple[Resource, ...], tmp_path: Path
) -> None:
    through_links = [item for item in project if resolve(item.name, state) != item.name]
    assume(not through_links or len(project) == 1)  # else one file may have two names, and so two owners
    with quick_folder(tmp_path) as folder:
        machine = Rooted(folder)
        machine.make_tree(state)
        before, exact = machine.tree(), machine.tree(is_exact=True)
        plan = machine.plan(*project)
        assert machine.tree(is_exact=True) == exact
        report = machine.apply(*project)
        after = machine.tree()
        event(report.result)
        assert changed(before, after) == named(plan.changes, before, state)
        refused = {change.address for change in plan.changes if change.action == "refused"}
        assert {item.address for item in report.changes if item.result != "changed"} == refused
        settled = machine.tree(is_exact=True)
        again = machine.apply(*project)
        assert again.result == ("failed" if refused else "converged")
        assert {item.address for item in again.changes} == refused
        assert machine.tree(is_exact=True) == settled
        if report.result != "converged":
            machine.rollback(report.run)
            assert machine.tree() == before
