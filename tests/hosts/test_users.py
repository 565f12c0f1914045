"""Users and groups on real hosts, through the real tools, looked at with getent and id."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.managed import Answer, Managed

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]


def shown(machine: Managed, *argv: str) -> str:
    return machine.host.run(argv, check=False).out.strip()


def test_groups_are_exact_when_declared_and_left_alone_when_not(shared: Managed) -> None:
    shared.converge("- group: ga\n- group: gb\n- group: gc\n- user: ann\n  groups: [gb, ga]\n")
    assert sorted(shown(shared, "id", "-nG", "ann").split()) == ["ann", "ga", "gb"]
    shared.host.run(["usermod", "-a", "-G", "gc", "ann"])
    assert shared.plan("- user: ann\n").changes == ()
    shared.converge("- user: ann\n  groups: [ga]\n")
    assert sorted(shown(shared, "id", "-nG", "ann").split()) == ["ann", "ga"]
    shared.converge("- user: ann\n  groups: []\n")
    assert shown(shared, "id", "-nG", "ann") == "ann"
    shared.converge("- user: amy\n  groups: []\n")


def test_members_of_a_group_are_exact_or_added_and_rollback_brings_them_back(shared: Managed) -> None:
    shared.converge("- user: ma\n- user: mb\n- user: mc\n- group: crowd\n  members: [mb, ma]\n")
    assert shown(shared, "getent", "group", "crowd").endswith(":ma,mb")
    run = shared.converge("- group: crowd\n  members: [mc]\n").run
    assert shown(shared, "getent", "group", "crowd").endswith(":mc")
    assert shared.rollback(run).report.result == "reverted"
    assert shown(shared, "getent", "group", "crowd").endswith(":ma,mb")
    shared.converge("- group: crowd\n  members: [mc]\n  append: true\n")
    assert shown(shared, "getent", "group", "crowd").endswith(":ma,mb,mc")
    assert shared.plan("- group: crowd\n").changes == ()
    shared.converge("- group: crowd\n  members: []\n")
    assert shown(shared, "getent", "group", "crowd").endswith(":")


def test_every_attribute_can_change_and_rollback_brings_it_back(shared: Managed) -> None:
    shared.converge("- group: team\n  gid: 5100\n- user: ben\n  uid: 5001\n  comment: Ben\n")
    before = shown(shared, "getent", "passwd", "ben")
    changed = "- user: ben\n  uid: 5002\n  group: team\n  home: /srv/ben\n  shell: /bin/bash\n  comment: Ben Example\n"
    run = shared.converge(changed).run
    assert shown(shared, "getent", "passwd", "ben") == "ben:x:5002:5100:Ben Example:/srv/ben:/bin/bash"
    assert shared.plan(changed.replace("group: team", 'group: "5100"')).changes == ()
    assert shared.rollback(run).report.result == "reverted"
    assert shown(shared, "getent", "passwd", "ben") == before


def test_a_user_has_a_home_and_a_system_user_has_not(shared: Managed) -> None:
    shared.converge("- user: cat\n- user: catd\n  system: true\n  home: /var/lib/catd\n")
    assert shown(shared, "stat", "-c", "%U", "/home/cat") == "cat"
    assert shown(shared, "ls", "/home/cat/.profile") == "/home/cat/.profile"
    assert shown(shared, "sh", "-c", "ls /var/lib/catd 2>/dev/null") == ""
    assert int(shown(shared, "id", "-u", "catd")) < 1000


def test_a_group_of_the_users_name_is_taken_and_survives_a_rollback(shared: Managed) -> None:
    shared.converge("- group: dan\n  gid: 5300\n")
    run = shared.converge("- group: dan\n  gid: 5300\n- user: dan\n").run
    assert shown(shared, "id", "-g", "dan") == "5300"
    assert shared.rollback(run).report.result == "reverted"
    assert shown(shared, "getent", "passwd", "dan") == ""
    assert shown(shared, "getent", "group", "dan") == "dan:x:5300:"


def test_absent_keeps_the_home_and_takes_users_before_their_groups(shared: Managed) -> None:
    shared.converge("- group: crew\n- group: eve\n- user: eve\n  group: eve\n  groups: [crew]\n")
    absent = "- group: crew\n  state: absent\n- group: eve\n  state: absent\n- user: eve\n  state: absent\n"
    report = shared.converge(absent)
    order = [str(item.address) for item in report.changes]
    assert order.index("user:eve") < order.index("group:eve")
    assert shown(shared, "getent", "passwd", "eve") == ""
    assert shown(shared, "getent", "group", "crew", "eve") == ""
    assert shown(shared, "ls", "-d", "/home/eve") == "/home/eve"


def test_rollback_of_a_removed_group_brings_its_members_back(shared: Managed) -> None:
    shared.converge("- group: club\n  gid: 5400\n- user: fay\n  groups: [club]\n")
    run = shared.converge("- group: club\n  state: absent\n").run
    assert shown(shared, "getent", "group", "club") == ""
    assert shared.rollback(run).report.result == "reverted"
    assert shown(shared, "getent", "group", "club") == "club:x:5400:fay"


def test_what_the_tools_refuse_is_told_and_the_rest_goes_on(shared: Managed) -> None:
    report = shared.apply("- user: gus\n  groups: [no-such-group]\n- user: gil\n- user: gem\n  uid: 0\n").report
    found = {str(item.address): (item.result, item.message) for item in report.changes}
    assert found["user:gus"][0] == "failed"
    assert "no-such-group" in found["user:gus"][1]
    assert found["user:gem"][0] == "failed"
    assert found["user:gil"] == ("changed", "")


def test_a_group_that_is_somebodys_primary_group_is_conditional_and_stays(shared: Managed) -> None:
    shared.converge("- group: crew\n- user: cora\n  group: crew\n")
    wanted = "- group: crew\n  state: absent\n"
    change = shared.plan(wanted).changes[0]
    assert (change.confidence, "primary group of cora" in change.reason) == ("conditional", True)
    result = shared.apply(wanted).report.changes[0]
    assert (result.result, "primary group of cora" in result.message) == ("failed", True)
    shared.converge(f"{wanted}- user: cora\n  state: absent\n  remove_home: true\n")


@pytest.mark.parametrize(("kind", "number"), [("user", "uid"), ("group", "gid")])
def test_a_number_that_is_taken_is_told_in_the_plan(shared: Managed, kind: str, number: str) -> None:
    shared.converge(f"- {kind}: first\n  {number}: 5777\n")
    wanted = f"- {kind}: second\n  {number}: 5777\n"
    change = shared.plan(wanted).changes[0]
    assert (change.confidence, f"taken by the {kind} `first`" in change.reason) == ("conditional", True)
    assert shared.apply(wanted).report.result == "failed"
    shared.converge(f"- {kind}: first\n  {number}: 5778\n")
    shared.converge(f"{wanted}")
    shared.converge("".join(f"- {kind}: {name}\n  state: absent\n" for name in ("first", "second")))


def test_accounts_whose_names_begin_with_a_digit_are_left_alone_changed_and_made_absent(shared: Managed) -> None:
    shared.host.run(["sh", "-c", "echo 9lives:x:5901:5901::/home/9lives:/bin/sh >>/etc/passwd; echo 9lives:x:5901: >>/etc/group"])
    shared.host.run(["sh", "-c", "echo '9lives:!:19000:0:99999:7:::' >>/etc/shadow; echo '9lives:!::' >>/etc/gshadow"])
    assert shared.plan("- user: 9lives\n").changes == ()
    shared.converge("- user: 9lives\n  comment: a cat\n")
    assert [item.action for item in shared.plan("- user: 8lives\n- group: 8lives\n").changes] == ["refused", "refused"]
    shared.converge("- user: 9lives\n  state: absent\n")
    assert "9lives" not in shown(shared, "cat", "/etc/passwd", "/etc/group")


def test_names_and_texts_that_would_break_the_files_are_refused(shared: Managed) -> None:
    before = shown(shared, "cat", "/etc/passwd")
    answer = shared.apply(
        '- user: "x:y"\n- user: hal\n  comment: "a:b"\n- user: "a b"\n- group: "g,h"\n- user: ida\n  groups: ["a,b"]\n'
    )
    assert answer.status == 4
    assert {item.action for item in answer.plan.changes} == {"refused"}
    assert len(answer.plan.changes) == 5
    assert shown(shared, "cat", "/etc/passwd") == before


HASH = "$6$salt$" + "a" * 86
SPY = """#!/bin/sh
echo "chpasswd $*" >> /run/spied
exec /usr/sbin/chpasswd "$@"
"""


def with_secret(machine: Managed, operation: str, resources: str, value: str) -> Answer:
    return machine.send(replace(machine.request(operation, resources), secrets={"env:ANN_HASH": value}))


def test_a_hash_is_set_kept_out_of_sight_and_undone(shared: Managed) -> None:
    """The program that takes the hash is one that tells what it was started with: nothing of the hash is in it."""
    shared.converge("- user: ivy\n")
    shared.host.run(["sh", "-c", "echo 'ivy:!$6$old$1' | chpasswd -e; chage -d 19000 ivy"])
    spy = shared.host.path / "usr/local/sbin/chpasswd"
    spy.write_text(SPY)
    spy.chmod(0o755)
    resources = "- user: ivy\n  password_hash: ${secret.ann_hash}\n  locked: false\n  max_days: 90\n  expires: '2030-01-02'\n"
    answer = with_secret(shared, "apply", resources, HASH)
    assert answer.report.result == "changed", answer.report
    assert HASH not in str([event.to_json() for event in answer.events])
    assert shown(shared, "cat", "/run/spied") == "chpasswd -e"
    entry = shown(shared, "getent", "shadow", "ivy").split(":")
    assert (entry[1], entry[4], entry[7]) == (HASH, "90", "21916")
    assert with_secret(shared, "apply", resources, HASH).report.result == "converged"
    assert shown(shared, "grep", "-rlF", "-e", HASH, "-e", "$6$old$1", "/var/lib/gitops") == ""
    assert shown(shared, "stat", "-c", "%a", f"/run/gitops/{answer.report.run}") == "700"
    assert shared.rollback(answer.report.run).report.result == "reverted"
    assert shown(shared, "getent", "shadow", "ivy") == "ivy:!$6$old$1:19000:0:99999:7:::"
    assert shown(shared, "sort", "-u", "/run/spied") == "chpasswd -e"
    shared.host.run(["rm", "/usr/local/sbin/chpasswd", "/run/spied"])


def test_a_secret_of_two_lines_sets_nobody_elses_password(shared: Managed) -> None:
    shared.converge("- user: joe\n")
    before = shown(shared, "cat", "/etc/shadow")
    answer = with_secret(shared, "apply", "- user: joe\n  password_hash: ${secret.ann_hash}\n", f"x\nroot:{HASH}")
    assert answer.report.result == "failed"
    assert "control character" in answer.report.changes[0].message
    assert HASH not in str([event.to_json() for event in answer.events])
    assert shown(shared, "cat", "/etc/shadow") == before


def test_locks_and_ages_come_and_go(shared: Managed) -> None:
    shared.converge("- user: kim\n")
    shared.host.run(["sh", "-c", "echo 'kim:$6$old$1' | chpasswd -e"])
    before = shown(shared, "getent", "shadow", "kim")
    run = shared.converge(
        "- user: kim\n  locked: true\n  last_change: 0\n  min_days: 1\n  warn_days: 3\n  inactive_days: 5\n"
    ).run
    assert shown(shared, "getent", "shadow", "kim") == "kim:!$6$old$1:0:1:99999:3:5::"
    shared.rollback(run)
    assert shown(shared, "getent", "shadow", "kim") == before


def test_a_home_moves_and_goes_only_when_asked(shared: Managed) -> None:
    shared.converge("- user: lea\n")
    run = shared.converge("- user: lea\n  home: /srv/lea\n  move_home: true\n").run
    assert shown(shared, "ls", "/srv/lea/.profile") == "/srv/lea/.profile"
    shared.rollback(run)
    assert shown(shared, "ls", "/home/lea/.profile") == "/home/lea/.profile"
    shared.converge("- user: lea\n  state: absent\n  remove_home: true\n")
    assert shown(shared, "sh", "-c", "ls -d /home/lea 2>/dev/null") == ""
