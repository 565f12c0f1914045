"""A key that was rotated out says nothing to a service any more, whatever it pins."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gitops.errors import TrustError
from gitops.model.trustroot import EnvironmentTrust, TrustRoot
from gitops.pipeline.child import compile_commit
from gitops.pipeline.release import ReleaseOrder, make_release
from gitops.pipeline.route import Known, Mark, Memory, Routes
from gitops.signatures.bundle import sign_message
from gitops.signatures.keys import SigningKey, generate_key
from gitops.source.publish import commit_files
from gitops.source.release import open_release
from tests.support.attacks import read_cases
from tests.support.project import PROJECT, Repository

BRANCH = "release/production"


def make_root(version: int, key: SigningKey) -> TrustRoot:
    return TrustRoot("acme", version, {key.public.ident: key.public}, 1, {"production": EnvironmentTrust(BRANCH)})


def leave_out(work: Repository, without: list[str]) -> None:
    """Commit the tip's files anew without some that its manifest does not name."""
    tip = work.git("rev-parse", BRANCH)
    candidate = open_release(work.path, tip)
    files = {path: candidate.read(path) for path in candidate.listing if not path.startswith(tuple(without))}
    parents = (work.git("rev-parse", f"{BRANCH}^"),)
    commit = commit_files(work.path, files, parents=parents, message="again", now=datetime.now(UTC))
    work.git("update-ref", f"refs/heads/{BRANCH}", commit)


@pytest.mark.parametrize("case", read_cases(__file__, "rotated"), ids=lambda case: case["name"])
def test_what_the_old_key_signs_is_no_baseline(case: dict[str, Any], tmp_path: Path) -> None:
    work = Repository.make(tmp_path / "work", {"gitops.yaml": PROJECT})
    source = work.git("rev-parse", "HEAD")
    compiled, keys = compile_commit(work.path, source), {"old": generate_key(), "new": generate_key()}
    first, second = make_root(1, keys["old"]), make_root(2, keys["new"])
    rotation = {f"2.sigs/{key.public.ident}.sigstore.json": sign_message(key, second.to_bytes()) for key in keys.values()}
    order = ReleaseOrder(
        repository=work.path,
        project="acme",
        environment=compiled.environments["production"],
        commit=source,
        graphs=compiled.graphs["production"],
        key=keys["old"],
        now=datetime.now(UTC),
        root=first,
        trust_files={"1.json": first.to_bytes()},
        is_forced=True,
    )
    files = {**order.trust_files, "2.json": second.to_bytes(), **rotation}
    make_release(order, pause=lambda _attempt: None)
    rotated = replace(order, key=keys["new"], root=second, older=(first,), trust_files=files)
    made = make_release(rotated, pause=lambda _attempt: None)
    both = TrustRoot("acme", 9, {key.public.ident: key.public for key in keys.values()}, 1, first.environments)
    third = replace(rotated, key=keys[case["key"]], root=both, older=(), trust_files={})
    assert make_release(third, pause=lambda _attempt: None).serial == 3
    if case["without"]:
        leave_out(work, case["without"])
    if case.get("more"):
        assert make_release(third, pause=lambda _attempt: None).serial == 4
    memory = Memory(source, BRANCH, {BRANCH: Mark(made.serial, made.digest)})
    known = Known(work.path, source, project="acme", memories={"production": memory}, roots={"acme": first})
    route = Routes(known).find("production")
    assert route is not None
    assert (case["doubt"] in route.doubt, bool(route.doubt)) == (True, bool(case["doubt"])), route.doubt
    # Nor does a releaser build on it, who still knows the root before.
    if case["doubt"]:
        with pytest.raises(TrustError, match=case.get("refused", case["doubt"])):
            make_release(rotated, pause=lambda _attempt: None)
    elif not case["doubt"]:
        assert make_release(rotated, pause=lambda _attempt: None).serial == 4
        # Nor is a release made that agents could not follow: with an older root than the branch carries, or with one left out.
        make_release(replace(rotated, cosigners=(keys["old"],)), pause=lambda _attempt: None)
        with pytest.raises(TrustError, match="carries the trust root 2, and this release is made with 1"):
            make_release(order, pause=lambda _attempt: None)
        elsewhere = replace(order.environment, release="release/elsewhere")
        gap = {**order.trust_files, "3.json": make_root(3, keys["new"]).to_bytes()}
        with pytest.raises(TrustError, match="the trust root 3, but not 2"):
            make_release(replace(order, environment=elsewhere, trust_files=gap), pause=lambda _attempt: None)
