"""The spool and the way to the service: in order, bounded, and never in the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.report import Service, exchange_token, make_report, open_client, send_spooled
from agent.spool import Counts, Spool
from gitops.errors import RemoteError, UsageError
from gitops.model.codec import decode_canonical, encode_canonical
from gitops.model.limits import DEFAULTS
from gitops.model.observation import Observation
from gitops.model.report import Report
from tests.support.agents import HOST, Rig
from tests.support.releases import NOW, text_file
from tests.support.reports import ReportService, serve_reports

MOTD = text_file("/etc/motd", "hello\n")


@pytest.fixture
def service() -> Iterator[ReportService]:
    with serve_reports() as found:
        found.credentials[HOST] = "right"
        yield found


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    folder = tmp_path / "spool"
    folder.mkdir()
    return Spool(folder, 5, 1_000_000)


def report(number: int, *, host: str = HOST) -> Report:
    return Report(f"20261124T1500{number:02d}Z-{number:06x}", host, "converged", NOW, NOW)


def runs_of(spool: Spool) -> list[str]:
    return [Report.from_json(decode_canonical(spool.read(name))).run for name in spool.list_names()]


def send(spool: Spool, service: ReportService, credential: str = "right") -> tuple[int, str]:
    with open_client() as client:
        delivery = send_spooled(spool, Service(service.url, credential), client)
    return delivery.sent, delivery.trouble


def test_reports_are_sent_in_the_order_in_which_they_were_made(spool: Spool, service: ReportService) -> None:
    for number in (3, 1, 2):
        spool.add(report(number))
    assert send(spool, service) == (3, "")
    assert service.runs == [report(number).run for number in (3, 1, 2)]
    assert spool.list_names() == ()


def test_the_oldest_are_dropped_and_counted_when_there_are_too_many(spool: Spool) -> None:
    for number in range(8):
        spool.add(report(number))
    assert runs_of(spool) == [report(number).run for number in range(3, 8)]
    assert spool.read_counts() == Counts(dropped=3)


def test_the_oldest_are_dropped_when_there_are_too_many_bytes(tmp_path: Path) -> None:
    size = len(encode_canonical(report(1).to_json()))
    spool = Spool(tmp_path, 100, size * 2)
    for number in range(4):
        spool.add(report(number))
    assert runs_of(spool) == [report(2).run, report(3).run]


def test_the_newest_is_kept_however_large(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 100, 10)
    spool.add(report(1))
    spool.add(report(2))
    assert runs_of(spool) == [report(2).run]


def test_an_observation_too_large_for_the_service_is_left_out(spool: Spool) -> None:
    states = {f"file:/srv/{number}": {"type": "x" * 1000} for number in range(DEFAULTS.report_bytes // 1000)}
    large = Report("20261124T150000Z-000000", HOST, "converged", NOW, NOW, observation=Observation(HOST, NOW, {}, states))  # type: ignore[arg-type]
    spool.add(large)
    assert len(spool.read(spool.list_names()[0])) < 10_000


def test_what_a_crash_left_in_the_spool_is_cleared_and_a_damaged_count_begins_anew(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "spool" / "000000000000-x.json.new").write_bytes(b"half")
    (tmp_path / "spool" / "counts").write_bytes(b"half")
    spool.add(report(1))
    assert spool.read_counts() == Counts()
    assert [path.name for path in (tmp_path / "spool").glob("*.new")] == []
    assert Spool(tmp_path / "nowhere", 1, 1).list_names() == ()


@pytest.mark.parametrize("status", [401, 403, 500, 503, 301, 307, 404, 200])
def test_what_is_not_taken_is_kept_and_said(spool: Spool, service: ReportService, status: int) -> None:
    spool.add(report(1))
    spool.add(report(2))
    service.forced = status
    sent, trouble = send(spool, service)
    assert sent == 0
    assert "reports are kept" in trouble
    assert len(spool.list_names()) == 2
    service.forced = 0
    assert send(spool, service) == (2, "")


def test_a_wrong_credential_is_named_as_such(spool: Spool, service: ReportService) -> None:
    spool.add(report(1))
    _, trouble = send(spool, service, "wrong")
    assert "does not take this host's credential (401): the credential is wrong" in trouble
    assert "wrong;" in trouble
    spool.add(report(2, host="db-1"))
    spool.remove(spool.list_names()[0])
    assert "(403)" in send(spool, service)[1]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_will_never_be_taken_does_not_stop_what_is_behind_it(spool: Spool, service: ReportService, status: int) -> None:
    spool.add(report(1))
    service.forced = status
    assert send(spool, service) == (0, "")
    service.forced = 0
    spool.add(report(2))
    assert send(spool, service) == (1, "")
    assert spool.read_counts() == Counts(refused=1)


def test_an_answer_without_end_is_cut(spool: Spool, service: ReportService) -> None:
    spool.add(report(1))
    service.forced, service.body = 202, b"x" * (DEFAULTS.manifest_bytes + 10)
    assert "too long" in send(spool, service)[1]


def test_an_answer_that_is_no_json_is_told_by_its_status(spool: Spool, service: ReportService) -> None:
    spool.add(report(1))
    service.forced, service.body = 500, b"<html>"
    assert "status 500" in send(spool, service)[1]


def test_a_service_that_is_down_never_stops_a_cycle(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig", service="http://127.0.0.1:1", credential="right")
    rig.release(MOTD)
    cycle = rig.cycle()
    assert (cycle.status, rig.read("/etc/motd")) == (0, "hello\n")
    assert any("cannot be reached" in warning for warning in cycle.warnings)
    assert len(list(rig.machine.state.spool.glob("*.json"))) == 1


def test_cycles_are_told_when_the_service_is_back_with_observations(tmp_path: Path, service: ReportService) -> None:
    rig = Rig.make(tmp_path / "rig", service=service.url, credential="right")
    rig.release(MOTD)
    service.forced = 503
    assert rig.cycle().status == 0
    service.forced = 0
    rig.path("/etc/motd").write_text("by hand\n")
    last = rig.cycle()
    assert [item["result"] for item in service.reports] == ["changed", "changed"]
    assert service.reports[-1]["run"] == last.report.run
    assert service.reports[-1]["observation"]["states"]["file:/etc/motd"]["size"] == 6
    assert (service.reports[0]["serial"], service.reports[0]["agent"]) == (1, last.report.agent)


def test_a_failed_advance_and_the_healing_after_it_are_both_told(tmp_path: Path, service: ReportService) -> None:
    rig = Rig.make(tmp_path / "rig", service=service.url, credential="right")
    rig.release(MOTD)
    rig.cycle()
    rig.path("/etc/blocked").mkdir()
    rig.release(text_file("/etc/motd", "new\n"), text_file("/etc/blocked", "x\n"))
    assert rig.cycle().status == 5
    assert [(item["result"], item["serial"]) for item in service.reports] == [("changed", 1), ("reverted", 2), ("changed", 1)]


def test_without_a_service_nothing_is_spooled(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig")
    rig.release(MOTD)
    rig.cycle()
    assert list(rig.machine.state.spool.iterdir()) == []


def exchange(service: str) -> str:
    with open_client() as client:
        return exchange_token(client, service, host=HOST, environment="production", token="once")


def test_a_token_gives_a_credential_once(service: ReportService) -> None:
    service.tokens[HOST] = "once"
    assert exchange(service.url) == "credential-of-web-1"
    with pytest.raises(UsageError, match="401"):
        exchange(service.url)


def test_no_answer_is_exit_7_and_an_odd_answer_too(service: ReportService) -> None:
    with pytest.raises(RemoteError):
        exchange("http://127.0.0.1:1")
    for body in (b"{}", b"no json", encode_canonical({"schema": "gitops/credential/v1", "host": "db-1", "credential": "x"})):
        service.forced, service.body = 201, body
        with pytest.raises(RemoteError) as caught:
            exchange(service.url)
        assert caught.value.code == "R121"
    service.forced = 500
    with pytest.raises(RemoteError):
        exchange(service.url)


def test_a_report_made_without_a_run_names_host_and_reason() -> None:
    made = make_report(HOST, "held", "paused", NOW, environment="production")
    assert (made.host, made.result, made.reason, made.environment) == (HOST, "held", "paused", "production")
    assert Report.from_json(made.to_json()) == made


def test_the_stand_in_is_loopback_only(service: ReportService) -> None:
    assert service.url.startswith("http://127.0.0.1:")
    assert threading.active_count() > 1
