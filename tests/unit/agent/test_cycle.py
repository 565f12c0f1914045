"""The laws of one cycle: what advances, what is refused, and that healing never stops."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent.documents import Pause
from agent.enrolled import open_enrolled
from agent.loop import Cycle, run_cycle
from agent.settings import Settings
from gitops.errors import HeldError, TrustError
from gitops.executor.state import Lock, StateFolder
from gitops.model.codec import digest_bytes
from gitops.model.graph import shard_of
from gitops.model.manifest import Previous
from gitops.model.resource import Resource
from gitops.model.scope import HostScope, Scope
from gitops.model.scopetree import digest_change
from gitops.secrets.rules import Rules
from gitops.signatures.bundle import sign_manifest, sign_message
from gitops.signatures.keys import SigningKey, generate_key
from tests.support.agents import Rig
from tests.support.releases import NOW, Publisher, expired, graphs_of, spoil_file, text_file

MOTD = text_file("/etc/motd", "hello\n")
NEWER = text_file("/etc/motd", "hello again\n")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig.make(tmp_path / "rig")
    made.release(MOTD)
    assert made.cycle().status == 0
    return made


@pytest.fixture
def strict(tmp_path: Path) -> Rig:
    """An agent whose trust root demands an approval."""
    made = Rig.make(tmp_path / "strict", required=1)
    made.release(MOTD, approved=True)
    assert made.cycle().status == 0
    return made


def drift(rig: Rig) -> None:
    rig.path("/etc/motd").write_text("by hand\n")


def healed(rig: Rig, cycle: Cycle, *, text: str = "hello\n") -> Cycle:
    assert rig.read("/etc/motd") == text
    assert [item.result for item in cycle.report.changes if item.address == "file:/etc/motd"] == ["changed"]
    return cycle


def test_the_first_release_makes_everything_and_the_second_cycle_nothing(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig")
    rig.release(MOTD)
    first, second = rig.cycle(), rig.cycle()
    assert (first.status, first.report.result, first.report.serial) == (0, "changed", 1)
    assert (second.status, second.report.result, second.report.changes) == (0, "converged", ())
    assert first.report.release == rig.publisher.digest
    assert rig.read("/etc/motd") == "hello\n"


def test_a_new_release_is_advanced_to(rig: Rig) -> None:
    rig.release(NEWER)
    assert (rig.cycle().status, rig.read("/etc/motd")) == (0, "hello again\n")
    assert rig.memory.good == rig.memory.seen


def test_drift_is_healed_without_a_new_release(rig: Rig) -> None:
    drift(rig)
    assert healed(rig, rig.cycle()).status == 0


def test_contents_beside_the_graph_are_staged_and_heal_with_the_remote_gone(tmp_path: Path) -> None:
    rig, data = Rig.make(tmp_path / "rig"), b"hello " * 2000
    digest = digest_bytes(data)
    large = Resource("file", "/srv/large", {"content": {"blob": digest, "size": len(data)}})
    rig.release(large, blobs={digest: data})
    assert rig.cycle().status == 0
    rig.publisher.bare.rename(tmp_path / "gone")
    rig.machine.state.drop_quarantine()
    rig.path("/srv/large").unlink()
    assert rig.cycle().status == 7
    assert rig.path("/srv/large").read_bytes() == data


def test_an_unreachable_remote_is_exit_7_and_heals(rig: Rig, tmp_path: Path) -> None:
    rig.publisher.bare.rename(tmp_path / "gone")
    drift(rig)
    cycle = healed(rig, rig.cycle())
    assert cycle.status == 7
    assert "no Git repository" in cycle.report.reason
    assert cycle.report.serial == 1


def test_an_unreachable_remote_before_the_first_release_is_exit_7_with_a_report(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig")
    cycle = rig.cycle()
    assert (cycle.status, cycle.report.result, cycle.report.serial) == (7, "failed", 0)
    assert "no branch" in cycle.report.reason


def wrong_key(rig: Rig) -> None:
    rig.release(NEWER, key=generate_key())


def tampered_content(rig: Rig) -> None:
    rig.release(NEWER, spoil=spoil_file(f"hosts/{shard_of('web-1')}/web-1"))


def tampered_manifest(rig: Rig) -> None:
    rig.release(NEWER, spoil=spoil_file("manifest.json"))


def other_audience(rig: Rig) -> None:
    rig.release(NEWER, change=lambda manifest: replace(manifest, repository="other"))


def other_environment(rig: Rig) -> None:
    rig.release(NEWER, change=lambda manifest: replace(manifest, environment="staging"))


def is_expired(rig: Rig) -> None:
    rig.release(NEWER, change=expired)


def too_new(rig: Rig) -> None:
    rig.release(NEWER, change=lambda manifest: replace(manifest, min_agent="99.0.0"))


def equivocation(rig: Rig) -> None:
    rig.release(NEWER, change=lambda manifest: replace(manifest, serial=1, previous=None))


def broken_chain(rig: Rig) -> None:
    rig.release(NEWER, change=lambda manifest: replace(manifest, previous=Previous(1, "0" * 64)))


def stray_file(rig: Rig) -> None:
    rig.release(NEWER, spoil=lambda files: files.update({"run.sh": b"#!/bin/sh\n"}))


def executable(rig: Rig) -> None:
    rig.release(NEWER)
    rig.publisher.work.git("update-index", "--chmod=+x", "manifest.json")
    rig.publisher.work.git("commit", "-q", "-m", "x")
    rig.publisher.push()


def symlink(rig: Rig) -> None:
    rig.release(NEWER)
    (rig.publisher.work.path / "extensions").symlink_to("/etc/passwd")
    rig.publisher.work.git("add", "-A")
    rig.publisher.work.git("commit", "-q", "-m", "x")
    rig.publisher.push()


def no_manifest(rig: Rig) -> None:
    rig.release(NEWER, spoil=lambda files: files.pop("manifest.json") and None)


REFUSALS: list[tuple[Callable[[Rig], None], str]] = [
    (wrong_key, "T101"),
    (tampered_content, "T106"),
    (tampered_manifest, "T101"),
    (other_audience, "T103"),
    (other_environment, "T103"),
    (is_expired, "T105"),
    (too_new, "T102"),
    (equivocation, "T108"),
    (broken_chain, "T104"),
    (stray_file, "T106"),
    (executable, "T106"),
    (symlink, "T106"),
    (no_manifest, "T106"),
]


@pytest.mark.parametrize(("spoil", "code"), REFUSALS, ids=[item.__name__ for item, _ in REFUSALS])
def test_every_refusal_is_exit_6_changes_no_memory_and_heals(rig: Rig, spoil: Callable[[Rig], None], code: str) -> None:
    before = rig.memory
    spoil(rig)
    drift(rig)
    cycle = healed(rig, rig.cycle())
    assert cycle.stop is not None
    assert (cycle.status, cycle.stop.code) == (6, code)
    assert cycle.report.reason == cycle.stop.message
    assert cycle.report.serial == 1
    assert rig.memory == before


def test_an_old_release_put_back_is_refused(rig: Rig) -> None:
    first = rig.publisher.work.git("rev-parse", "HEAD")
    rig.release(NEWER)
    assert rig.cycle().status == 0
    rig.publisher.back_to(first)
    rig.path("/etc/motd").write_text("by hand\n")
    cycle = healed(rig, rig.cycle(), text="hello again\n")
    assert cycle.stop is not None
    assert (cycle.status, cycle.stop.code) == (6, "T104")


def test_a_refused_release_that_is_mended_is_accepted(rig: Rig) -> None:
    rig.release(NEWER, key=generate_key(), is_remembered=False)
    assert rig.cycle().status == 6
    rig.release(NEWER)
    assert (rig.cycle().status, rig.read("/etc/motd")) == (0, "hello again\n")


def test_a_release_that_expires_while_nothing_new_comes_is_loud_and_heals(rig: Rig) -> None:
    rig.now = NOW + timedelta(days=91)
    drift(rig)
    cycle = healed(rig, rig.cycle())
    assert cycle.stop is not None
    assert (cycle.status, cycle.stop.code) == (6, "T105")


def test_a_clock_set_back_does_not_revive_an_expired_release(rig: Rig) -> None:
    late = NOW + timedelta(days=60)
    rig.release(MOTD, change=lambda manifest: replace(manifest, issued=late, expires=late + timedelta(days=90)))
    rig.now = late
    assert rig.cycle().status == 0
    short = NOW + timedelta(days=30)
    rig.now = NOW
    rig.release(NEWER, change=lambda manifest: replace(manifest, expires=short))
    cycle = rig.cycle()
    assert cycle.stop is not None
    assert (cycle.status, cycle.stop.code) == (6, "T105")


def test_a_gap_is_walked_and_every_release_between_is_checked(rig: Rig) -> None:
    for number in range(5):
        rig.release(text_file("/etc/motd", f"hello {number}\n"))
    assert (rig.cycle().status, rig.read("/etc/motd")) == (0, "hello 4\n")
    assert rig.memory.seen is not None
    assert rig.memory.seen.serial == 6


def test_a_forged_release_between_is_refused(rig: Rig) -> None:
    rig.release(text_file("/etc/motd", "forged\n"), key=generate_key())
    rig.release(NEWER)
    cycle = rig.cycle()
    assert cycle.stop is not None
    assert (cycle.status, cycle.stop.code) == (6, "T101")


def test_a_gap_with_a_release_missing_is_refused(rig: Rig) -> None:
    first = rig.publisher.work.git("rev-parse", "HEAD")
    rig.release(NEWER)
    rig.publisher.work.git("update-ref", "refs/heads/release/production", first)
    rig.release(text_file("/etc/motd", "hello 3\n"))
    cycle = rig.cycle()
    assert cycle.stop is not None
    assert (cycle.status, cycle.stop.code) == (6, "T104")


def test_a_fresh_agent_starts_at_the_tip_and_walks_nothing(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig")
    for number in range(3):
        rig.release(text_file("/etc/motd", f"hello {number}\n"))
    assert (rig.cycle().status, rig.read("/etc/motd")) == (0, "hello 2\n")


def test_the_approvals_of_skipped_releases_count(strict: Rig) -> None:
    strict.release(NEWER, approved=True)
    strict.release(NEWER, text_file("/etc/more", "more\n"), approved=True)
    assert (strict.cycle().status, strict.read("/etc/more")) == (0, "more\n")


def test_what_nobody_approved_for_this_host_is_refused(strict: Rig) -> None:
    strict.release(NEWER)
    drift(strict)
    cycle = healed(strict, strict.cycle())
    assert cycle.stop is not None
    assert (cycle.status, cycle.stop.code) == (6, "T107")
    assert "file:/etc/motd" in cycle.stop.message


def test_a_removal_that_nobody_approved_is_refused(strict: Rig) -> None:
    strict.release()
    cycle = strict.cycle()
    assert (cycle.status, strict.memory.seen) == (6, strict.memory.good)


def test_one_approval_is_not_two(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig", required=2)
    rig.release(MOTD, approved=True)
    cycle = rig.cycle()
    assert cycle.stop is not None
    assert (cycle.status, cycle.stop.code) == (6, "T107")
    assert not rig.path("/etc/motd").exists()


def test_a_fresh_expiry_needs_no_approval(strict: Rig) -> None:
    strict.release(MOTD)
    assert (strict.cycle().status, strict.memory.good) == (0, strict.memory.seen)


def only_intents(publisher: Publisher, *resources: Resource) -> object:
    """Approve what is to be, but none of what it takes: as when the host is not what it was when the plan was approved."""
    graphs = graphs_of({"web-1": resources})
    approval = publisher.approve(graphs)
    scope = Scope({host: HostScope(item.intents) for host, item in approval.scope.hosts.items()})
    digest = digest_change(scope, repository="acme", environment="production", pull=approval.pull)
    return replace(approval, scope=scope, change_digest=digest)


def test_more_than_was_approved_is_held_and_nothing_of_it_is_done(strict: Rig) -> None:
    more = text_file("/etc/more", "more\n")
    strict.release(NEWER, more, approvals=[only_intents(strict.publisher, NEWER, more)])  # type: ignore[list-item]
    drift(strict)
    first, second = strict.cycle(), strict.cycle()
    assert (first.status, first.report.result, first.report.serial) == (3, "held", 2)
    assert {item.result for item in first.report.changes} == {"held"}
    assert first.report.observation is not None
    assert first.report.observation.serial == 1, "what the report observed is the healed machine"
    assert "more than was approved" in first.report.reason
    assert strict.read("/etc/motd") == "hello\n"
    assert not strict.path("/etc/more").exists()
    assert (second.status, second.report.result) == (3, "held")


def test_a_held_release_keeps_old_ones_out(strict: Rig) -> None:
    first = strict.publisher.work.git("rev-parse", "HEAD")
    strict.release(NEWER, approvals=[only_intents(strict.publisher, NEWER)])  # type: ignore[list-item]
    assert strict.cycle().status == 3
    strict.publisher.back_to(first)
    assert strict.cycle().status == 6


def test_approvals_of_a_held_release_count_for_the_next(strict: Rig) -> None:
    base = strict.publisher.graphs
    strict.release(NEWER, approvals=[only_intents(strict.publisher, NEWER)])  # type: ignore[list-item]
    assert strict.cycle().status == 3
    graphs = graphs_of({"web-1": [NEWER]})
    strict.publisher.release(graphs, approvals=[strict.publisher.approve(graphs, base=base)])
    assert (strict.cycle().status, strict.read("/etc/motd")) == (0, "hello again\n")
    assert strict.memory.approved.is_empty


def test_a_release_that_does_not_list_the_host_heals_and_holds(rig: Rig) -> None:
    rig.publisher.release(graphs_of({"db-1": [MOTD]}))
    drift(rig)
    cycle = healed(rig, rig.cycle())
    assert (cycle.status, cycle.report.result) == (3, "held")
    assert "does not list web-1" in cycle.report.reason
    rig.release(NEWER)
    assert (rig.cycle().status, rig.read("/etc/motd")) == (0, "hello again\n")


def test_a_failed_advance_is_put_back_and_not_tried_again_at_once(rig: Rig) -> None:
    rig.path("/etc/blocked").mkdir()
    rig.release(NEWER, text_file("/etc/blocked", "x\n"))
    first = rig.cycle()
    assert (first.status, first.report.result) == (5, "reverted")
    assert rig.read("/etc/motd") == "hello\n"
    drift(rig)
    second = healed(rig, rig.cycle())
    assert (second.status, second.report.result, second.report.serial) == (4, "failed", 1)
    assert "is tried again after" in second.report.reason
    rig.path("/etc/blocked").rmdir()
    rig.now += timedelta(minutes=11)
    assert (rig.cycle().status, rig.read("/etc/motd")) == (0, "hello again\n")
    assert rig.memory.failure is None


def test_each_failure_waits_longer(rig: Rig) -> None:
    rig.path("/etc/blocked").mkdir()
    rig.release(NEWER, text_file("/etc/blocked", "x\n"))
    waits: list[timedelta] = []
    for _ in range(3):
        rig.cycle()
        assert rig.memory.failure is not None
        waits.append(rig.memory.failure.until - rig.now)
        rig.now = rig.memory.failure.until
    assert waits == [timedelta(minutes=10), timedelta(minutes=20), timedelta(minutes=40)]


def test_a_newer_release_replaces_a_failed_one_at_once(rig: Rig) -> None:
    rig.path("/etc/blocked").mkdir()
    rig.release(NEWER, text_file("/etc/blocked", "x\n"))
    assert rig.cycle().status == 5
    rig.release(NEWER)
    assert (rig.cycle().status, rig.read("/etc/motd")) == (0, "hello again\n")


def test_a_failed_first_release_is_exit_4_and_keeps_what_worked(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig")
    rig.path("/etc/blocked").mkdir(parents=True)
    rig.release(MOTD, text_file("/etc/blocked", "x\n"))
    first, second = rig.cycle(), rig.cycle()
    assert (first.status, first.report.result) == (4, "failed")
    assert (second.status, second.report.result) == (4, "failed")
    assert rig.read("/etc/motd") == "hello\n"


def test_a_pause_stops_healing_too_until_it_is_over(rig: Rig) -> None:
    rig.machine.state.write_pause(Pause(NOW + timedelta(hours=2), "maintenance"))
    drift(rig)
    cycle = rig.cycle()
    assert (cycle.status, cycle.report.result) == (3, "held")
    assert "maintenance" in cycle.report.reason
    assert rig.read("/etc/motd") == "by hand\n"
    rig.now = NOW + timedelta(hours=2)
    assert healed(rig, rig.cycle()).status == 0


def test_a_secret_is_resolved_here_and_stands_in_no_report_nor_state(tmp_path: Path) -> None:
    value = "s3cret-value-nobody-else-knows"
    rig = Rig.make(tmp_path / "rig", settings=Settings(environment={"GITOPS_SECRET_DB_PASSWORD": value}))
    ref = {"secret": "db", "from": "env", "key": "GITOPS_SECRET_DB_PASSWORD"}
    rig.release(Resource("file", "/etc/db", {"content": {"parts": ["password=", ref, "\n"]}}))
    cycle = rig.cycle()
    assert (cycle.status, rig.read("/etc/db")) == (0, f"password={value}\n")
    assert value not in str(cycle.report.to_json())
    for folder, _, files in os.walk(rig.folder / "state"):
        for name in files:
            assert value.encode() not in (Path(folder) / name).read_bytes(), name


def test_a_source_that_the_machine_does_not_allow_gives_nothing(tmp_path: Path) -> None:
    settings = Settings(environment={"GITOPS_SECRET_DB_PASSWORD": "x"}, secret_rules=Rules(variables=()))
    rig = Rig.make(tmp_path / "rig", settings=settings)
    ref = {"secret": "db", "from": "env", "key": "GITOPS_SECRET_DB_PASSWORD"}
    rig.release(Resource("file", "/etc/db", {"content": {"parts": [ref]}}))
    cycle = rig.cycle()
    assert (cycle.status, cycle.report.result) == (1, "failed")
    assert "db (env:GITOPS_SECRET_DB_PASSWORD)" in cycle.report.reason
    assert not rig.path("/etc/db").exists()


def test_a_missing_secret_of_the_next_release_does_not_stop_healing(rig: Rig) -> None:
    ref = {"secret": "db", "from": "env", "key": "NOT_THERE"}
    rig.release(NEWER, Resource("file", "/etc/db", {"content": {"parts": [ref]}}))
    drift(rig)
    assert healed(rig, rig.cycle()).status == 1


def run_as_the_command_does(rig: Rig) -> None:
    run_cycle(open_enrolled(rig.machine.state.machine, rig.machine.settings, rig.machine.root), lambda: NOW)


@pytest.mark.parametrize("name", ["memory.json", "enrolment.json"])
@pytest.mark.parametrize("spoil", ["lost", "empty", "cut", "edited"])
def test_lost_or_corrupt_state_is_exit_6_and_touches_nothing(rig: Rig, name: str, spoil: str) -> None:
    path = rig.machine.state.base / name
    data = path.read_bytes()
    if spoil == "lost":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "cut": data[:-1], "edited": data.replace(b'"schema"', b'"schemb"')}[spoil])
    drift(rig)
    with pytest.raises(TrustError) as caught:
        run_as_the_command_does(rig)
    assert "enrol this machine again" in caught.value.hint
    assert rig.read("/etc/motd") == "by hand\n"


def test_a_staged_release_that_was_edited_is_not_healed_to(rig: Rig) -> None:
    assert rig.memory.good is not None
    path = rig.machine.state.base / "releases" / f"{rig.memory.good.document}.json"
    path.write_bytes(path.read_bytes().replace(b"hello", b"hellO"))
    drift(rig)
    with pytest.raises(TrustError, match="corrupt"):
        rig.cycle()
    assert rig.read("/etc/motd") == "by hand\n"


def test_a_quarantine_full_of_rubbish_is_no_obstacle(rig: Rig) -> None:
    for path in sorted(rig.machine.state.quarantine.rglob("*")):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"rubbish")
    drift(rig)
    assert healed(rig, rig.cycle()).status == 0
    rig.release(NEWER)
    assert rig.cycle().status in (6, 7, 70)
    rig.machine.state.drop_quarantine()
    assert rig.cycle().status == 0


def test_a_full_disk_while_staging_heals_and_keeps_the_memory(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rig.memory
    rig.release(NEWER)
    drift(rig)

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device", "releases/x.json")

    monkeypatch.setattr("agent.state.write_durably", full)
    cycle = healed(rig, rig.cycle())
    monkeypatch.undo()
    assert cycle.status == 4
    assert "No space left" in cycle.report.reason
    assert rig.memory == before
    assert (rig.cycle().status, rig.read("/etc/motd")) == (0, "hello again\n")


def test_a_bug_while_looking_does_not_stop_healing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError("secret text of an exception")

    monkeypatch.setattr("agent.loop.accept_tip", broken)
    drift(rig)
    cycle = healed(rig, rig.cycle())
    assert cycle.status == 70
    assert "secret text" not in cycle.report.reason


def test_two_cycles_never_run_at_once(rig: Rig) -> None:
    lock = Lock(str(rig.machine.state.base), "of another", 0)
    try:
        with pytest.raises(HeldError, match="going on"):
            rig.cycle()
    finally:
        lock.release()


def test_an_unsigned_commit_is_warned_of_and_refused_when_the_root_says_so(tmp_path: Path) -> None:
    for demand, status in (("warn", 0), ("refuse", 6)):
        rig = Rig.make(tmp_path / demand, commit_signature=demand)
        files, manifest = rig.publisher.make(graphs_of({"web-1": [MOTD]}))
        rig.publisher.commit(files, sign=False)
        cycle = rig.cycle()
        assert cycle.status == status
        assert demand == "refuse" or any("not signed" in warning for warning in cycle.warnings)
        rig.publisher.commit(files, sign=True)
        assert rig.cycle().warnings == ()
        assert manifest.serial == 1


def test_the_same_release_in_another_commit_is_the_same_release(rig: Rig) -> None:
    before = rig.memory
    rig.publisher.work.git("commit", "-q", "--allow-empty", "-m", "again")
    rig.publisher.push()
    assert rig.cycle().status == 0
    assert replace(rig.memory, tip=before.tip) == before


def test_what_is_no_longer_needed_is_forgotten(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig")
    for number in range(3):
        data = bytes([65 + number]) * 5000
        digest = digest_bytes(data)
        rig.release(Resource("file", "/srv/large", {"content": {"blob": digest, "size": len(data)}}), blobs={digest: data})
        assert rig.cycle().status == 0
    assert len(list((rig.machine.state.base / "releases").iterdir())) == 1
    assert len([path for path in rig.machine.state.blobs.rglob("*") if path.is_file()]) == 1


def test_a_fresh_agent_finds_the_approvals_of_what_stands_in_older_releases(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig", required=1)
    rig.release(MOTD, approved=True)
    for number in range(17):
        rig.release(MOTD, text_file("/etc/more", f"more {number}\n"), approved=True)
    assert (rig.cycle().status, rig.read("/etc/motd"), rig.read("/etc/more")) == (0, "hello\n", "more 16\n")


def test_a_fresh_agent_is_not_talked_into_what_nobody_approved(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig", required=1)
    rig.release(MOTD, approved=True)
    rig.release(MOTD, text_file("/etc/more", "more\n"))
    cycle = rig.cycle()
    assert cycle.stop is not None
    assert (cycle.status, cycle.stop.code) == (6, "T107")
    assert not rig.path("/etc").exists()


def test_an_approval_that_was_spent_is_not_accepted_again(strict: Rig) -> None:
    graphs = graphs_of({"web-1": [NEWER]})
    approval = strict.publisher.approve(graphs)
    strict.publisher.release(graphs, approvals=[approval])
    assert strict.cycle().status == 0
    strict.release(MOTD, approved=True)
    assert strict.cycle().status == 0
    strict.publisher.release(graphs, approvals=[approval])
    cycle = strict.cycle()
    assert cycle.stop is not None
    assert (cycle.status, cycle.stop.code) == (6, "T107")
    assert strict.read("/etc/motd") == "hello\n"


def rotate(rig: Rig, signers: list[SigningKey]) -> SigningKey:
    """Release under a new key, with the trust root that names it, signed by these; give the new key."""
    fresh, before = generate_key(), rig.publisher.root
    root = replace(before, version=before.version + 1, keys={fresh.public.ident: fresh.public})
    signatures = {
        f"trust/2.sigs/{key.public.ident}.sigstore.json": sign_message(key, root.to_bytes()) for key in (*signers, fresh)
    }
    rig.publisher.key = fresh
    graphs = graphs_of({"web-1": [NEWER]})
    rig.publisher.release(graphs, spoil=lambda files: files.update({"trust/2.json": root.to_bytes(), **signatures}))
    return fresh


def test_a_rotated_trust_root_is_followed_and_remembered(rig: Rig) -> None:
    fresh = rotate(rig, [rig.publisher.key])
    assert (rig.cycle().status, rig.read("/etc/motd")) == (0, "hello again\n")
    assert rig.memory.root is not None
    assert list(rig.memory.root.keys) == [fresh.public.ident]
    rig.release(MOTD, key=generate_key(), is_remembered=False)
    assert rig.cycle().status == 6
    rig.release(MOTD)
    assert rig.cycle().status == 0


def test_a_trust_root_that_the_old_key_did_not_sign_is_refused(rig: Rig) -> None:
    rotate(rig, [])
    cycle = rig.cycle()
    assert cycle.stop is not None
    assert (cycle.status, cycle.stop.code) == (6, "T109")
    assert rig.memory.root is None


def test_a_signed_manifest_that_is_not_canonical_is_refused(rig: Rig) -> None:
    files, manifest = rig.publisher.make(graphs_of({"web-1": [NEWER]}))
    data = manifest.to_bytes() + b"\n"
    files["manifest.json"] = data
    files[f"signatures/{rig.publisher.key.public.ident}.sigstore.json"] = sign_manifest(rig.publisher.key, data)
    rig.publisher.commit(files)
    cycle = rig.cycle()
    assert cycle.stop is not None
    assert (cycle.status, cycle.stop.code) == (6, "T102")


def test_too_long_a_gap_is_not_walked(rig: Rig) -> None:
    rig.release(NEWER, change=lambda manifest: replace(manifest, serial=2000, previous=Previous(1999, "0" * 64)))
    cycle = rig.cycle()
    assert cycle.stop is not None
    assert (cycle.status, cycle.stop.code) == (6, "T104")
    assert "releases were missed" in cycle.stop.message


def test_a_command_that_failed_is_named_in_the_reason(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig")
    rig.path("/etc/motd").mkdir(parents=True)
    rig.release(MOTD)
    assert "file:/etc/motd" in rig.cycle().report.reason


def test_a_machine_under_its_lock_by_an_operator_is_held_and_said(rig: Rig) -> None:
    """`gitops apply --local` holds the executor's lock: the agent's cycle ends held and comes again."""
    folder = StateFolder(str(rig.machine.state.machine), rig.machine.root)
    lock = Lock(folder.base, "20261124T150000Z-abcdef", 0)
    try:
        cycle = rig.cycle()
    finally:
        lock.release()
    assert (cycle.status, cycle.report.result) == (3, "held")
    assert "20261124T150000Z-abcdef" in cycle.report.reason
    assert rig.cycle().status == 0


def test_a_release_whose_module_reverts_is_put_back_as_a_whole_and_tried_again_later(rig: Rig) -> None:
    failing = Resource("file", "/etc/other", {"content": "x", "validate": ["false"]}, on_failure="revert")
    rig.release(NEWER, failing)
    cycle = rig.cycle()
    assert (cycle.status, cycle.report.result, rig.read("/etc/motd")) == (5, "reverted", "hello\n")
    assert {item.address: item.result for item in cycle.report.changes} == {
        "file:/etc/motd": "reverted",
        "file:/etc/other": "failed",
    }
    assert rig.memory.failure is not None
    assert rig.memory.good != rig.memory.seen
    again = rig.cycle()
    assert again.stop is not None
    assert again.stop.code == "E280"
