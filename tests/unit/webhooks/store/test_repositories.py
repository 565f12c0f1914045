"""What an earlier version kept without a repository, when the service is started again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.support.people import NOW
from webhooks.records import HostKey, HostRecord, RunRecord
from webhooks.store.hosts import find_host, list_hosts, save_host
from webhooks.store.repositories import watch_repositories
from webhooks.store.runs import add_run, list_runs
from webhooks.store.store import open_store

OLD = HostRecord("web-1", "production", NOW, repository="", credential="old")
RUN = RunRecord("web-1", "20261125T120000Z-0001", "production", "converged", 1, NOW, NOW, NOW, b"{}")


def test_what_has_no_repository_becomes_the_only_ones_but_for_what_enrolled_anew(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    with store.write() as connection:
        watch_repositories(connection, ["acme/infra", "acme/other"])
        for host in (OLD, replace(OLD, name="web-2"), replace(OLD, repository="acme/infra", credential="new")):
            save_host(connection, host)
        for run in (RUN, replace(RUN, host="web-2"), replace(RUN, repository="acme/infra", result="failed")):
            add_run(connection, run)
    with store.write() as connection:
        watch_repositories(connection, ["acme/infra"])
        found = find_host(connection, HostKey("acme/infra", "production", "web-1"))
        assert [(host.repository, host.name) for host in list_hosts(connection)] == [
            ("acme/infra", "web-1"),
            ("acme/infra", "web-2"),
        ]
        assert sorted((run.repository, run.host, run.result) for run in list_runs(connection)) == [
            ("acme/infra", "web-1", "failed"),
            ("acme/infra", "web-2", "converged"),
        ]
    assert found is not None
    assert found.credential == "new"
    store.close()
