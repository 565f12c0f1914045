"""Parameters of the running kernel, through real sysctl(8): empty values, other spellings, names that are not there, names with a dot."""

from __future__ import annotations

import pytest

from tests.support.managed import Managed, describe

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

PORTS = "net.ipv4.ip_local_reserved_ports"


def value_of(machine: Managed, name: str) -> str:
    return machine.host.run(["sysctl", "-n", name]).out.strip()


def test_a_parameter_that_is_empty_is_set_and_goes_back_to_nothing(shared: Managed) -> None:
    assert value_of(shared, PORTS) == ""
    run = shared.converge(f'- sysctl: {PORTS}\n  value: "9148,8080"\n').run  # which the kernel writes as 8080,9148
    assert value_of(shared, PORTS) == "8080,9148"
    assert shared.rollback(run).report.result == "reverted"
    assert value_of(shared, PORTS) == ""


def test_numbers_are_written_in_any_way_that_the_kernel_reads(shared: Managed) -> None:
    shared.converge(
        '- sysctl: net.ipv4.ip_default_ttl\n  value: "0x3f"\n- sysctl: net.ipv4.ip_local_port_range\n  value: "32000 0xEA60"\n'
    )
    assert value_of(shared, "net.ipv4.ip_default_ttl") == "63"


def test_a_name_that_the_kernel_does_not_have_is_conditional_and_fails(shared: Managed) -> None:
    wanted = '- sysctl: net.ipv4.no_such_thing\n  value: "1"\n'
    for _ in range(2):
        assert [item.confidence for item in shared.plan(wanted).changes] == ["conditional"]
        report = shared.apply(wanted).report
        assert [item.result for item in report.changes] == ["failed"], describe(report)
    shared.converge('- sysctl: net.ipv4.no_such_thing\n  value: "1"\n  state: absent\n')


def test_an_interface_with_a_dot_is_set_now_and_at_boot(shared: Managed) -> None:
    name = "net/ipv4/conf/eth9.100/forwarding"
    shared.host.run(["ip", "link", "add", "eth9.100", "type", "veth", "peer", "name", "eth9"])
    shared.host.run(["sysctl", "-q", "-w", f"{name}=0"])
    run = shared.converge(f'- sysctl: {name}\n  value: "1"\n').run
    assert value_of(shared, name) == "1"
    shared.host.run(["sysctl", "-q", "-w", f"{name}=0"])
    shared.host.run(["/lib/systemd/systemd-sysctl", f"/etc/sysctl.d/90-trueup-{name.replace('/', '.')}.conf"])
    assert value_of(shared, name) == "1"  # what boot does with the file
    assert shared.rollback(run).report.result == "reverted"
    assert value_of(shared, name) == "0"
    shared.host.run(["ip", "link", "del", "eth9"])
