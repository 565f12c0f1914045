"""`inventory import ansible`: values, files and precedence are those of ansible-core 2.19, each case with its right value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.config.ansible.dialect import Read, read_values
from gitops.config.ansible.ini import LONGEST_LITERAL, read_value
from gitops.config.ansible.inventory import Inventory
from gitops.config.node import to_plain
from gitops.model.diagnostic import Diagnostic, Place
from tests.support.cli import call
from tests.support.imported import documents, notes, run, variables


def read_ini_value(text: str) -> tuple[object, list[Diagnostic]]:
    into = Inventory("hosts")
    return to_plain(read_value(text, "x", Place("hosts", 1), into)), into.found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80,443", [80, 443]),
        ("1,", [1]),
        ("(1, 'a')", [1, "a"]),
        ("0o17", 15),
        ("08", "08"),
        ("1_000", 1000),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("5 # five", 5),
        ("five # 5", "five # 5"),
        ("true", "true"),
        ("True", True),
        ("None", None),
        ("null", "null"),
        ("'5'", "5"),
        ("b'x'", "x"),
        ("...", "..."),
        ("1+2j", "(1+2j)"),
        ("1+2", "1+2"),
        (r"'\d'", r"\d"),
        ("{'a': [1, None]}", {"a": [1, None]}),
        ("{'a': 1", "{'a': 1"),
        ("f'{x}'", "f'{x}'"),
        ("__import__('os')", "__import__('os')"),
        ("", ""),
    ],
)
def test_ini_values_are_pythons_literals(text: str, value: object) -> None:
    found, said = read_ini_value(text)
    assert (type(found), found, said) == (type(value), value, [])


@pytest.mark.parametrize(
    ("text", "value", "word"),
    [
        ("{3, 3}", [3], "a set"),
        ("{80: 'x', None: 1}", {"80": "x", "null": 1}, "the key 80"),
        (r"'\ud800'", r"\ud800", "half of a character"),
        ("1" * (LONGEST_LITERAL + 1), "1" * (LONGEST_LITERAL + 1), "taken as text"),
    ],
)
def test_ini_values_that_cannot_be_carried_over_have_a_warning_with_their_variable(text: str, value: object, word: str) -> None:
    found, said = read_ini_value(text)
    assert found == value
    assert [item.severity for item in said] == ["warning"] * len(said)
    assert word in said[0].message
    assert "`x`" in said[0].message


@pytest.mark.parametrize("text", ["{[]: 1}", "{...: 1}", "{1j: 1}", "0x" + "f" * 5000, "[-0b1" + "0" * 9000 + "]"])
def test_ini_values_that_ansible_refuses_are_errors(text: str) -> None:
    assert [item.code for item in read_ini_value(text)[1]] == ["C802"]


def read_yaml_value(text: str) -> tuple[object, tuple[Diagnostic, ...]]:
    found = read_values(f"x: {text}\n".encode(), "vars.yml")
    assert isinstance(found, Read), found
    return to_plain(found.root.entries["x"]), found.notes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:30", 750),
        ("190:20:30", 685230),
        ("1:60", "1:60"),
        ("1_000", 1000),
        ("0b101", 5),
        ("0o17", "0o17"),
        ("017", 15),
        ("08", "08"),
        ("0x1F", 31),
        ("1.5e3", "1.5e3"),
        ("1.5e+3", 1500.0),
        ("1e3", "1e3"),
        ("5.", 5.0),
        (".5", 0.5),
        ("yes", True),
        ("Off", False),
        ("y", "y"),
        ("tRue", "tRue"),
        ("~", None),
        ("", None),
        ("!!str 5", "5"),
        ("!!int '7'", 7),
        ("! '12'", 12),
        ("!unsafe '12'", 12),
        ("!unsafe 'a {{ b }}'", "a {{ b }}"),
        ("!unsafe {k: '{{ b }}'}", {"k": "{{ b }}"}),
        ("{<<: {k: 1, z: 0}, k: 2}", {"k": 2, "z": 0}),
        ("{'<<': {k: 1}}", {"<<": {"k": 1}}),
        ("{<<: []}", {}),
    ],
)
def test_yaml_values_are_those_of_pyyaml(text: str, value: object) -> None:
    found, said = read_yaml_value(text)
    assert (type(found), found, said) == (type(value), value, ())


@pytest.mark.parametrize(
    ("text", "value", "column", "word"),
    [
        ("2024-01-01", "2024-01-01", 4, "the date 2024-01-01"),
        ("2024-01-01 10:00:00", "2024-01-01 10:00:00", 4, "the date"),
        ("{80: a}", {"80": "a"}, 5, "the key `80` is no text"),
        ("{yes: a}", {"true": "a"}, 5, "the key `true` is no text"),
        ("{k: 1, k: 2}", {"k": 2}, 11, "the last one counts"),
        ("{<<: [{k: 1}, {k: 2}]}", {"k": 1}, 14, "several maps"),
        ("!!set {a, b}", ["a", "b"], 4, "a set"),
        ("!!omap [a: 1]", [{"a": 1}], 4, "an ordered map"),
        ("!!binary aGk=", "aGk=", 4, "bytes"),
        ("{2024-01-01: a}", {"2024-01-01": "a"}, 5, "the key `2024-01-01` is no text"),
    ],
)
def test_yaml_values_that_cannot_be_carried_over_have_a_warning_at_their_place(
    text: str, value: object, column: int, word: str
) -> None:
    found, said = read_yaml_value(text)
    assert found == value
    assert (said[0].severity, said[0].place.line, said[0].place.column, word in said[0].message) == ("warning", 1, column, True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x: =\n", "C802"),
        ("x: 2024-13-01\n", "C802"),
        ("x: 0b_\n", "C802"),
        ("x: !!int a\n", "C802"),
        ("x: !thing a\n", "C705"),
        ("x: !!set [a]\n", "C705"),
        ("x: {[a]: b}\n", "C703"),
        ("x: [&a 1, &a 2]\n", "C705"),
        ("x: !vault a\n", "C803"),
        ('{"x": {"__ansible_vault": "a"}}', "C803"),
        ("x: 1\n---\ny: 1\n", "C802"),
        (f"x: 0b{'1' * 100_000}\n", "C802"),
        (f"x: 1{':00' * 100_000}\n", "C802"),
        (f"x: 1{':00' * 100_000}.0\n", "C802"),
        (f'{{"x": {"1" * 5000}}}', "C802"),
    ],
)
def test_yaml_that_ansible_refuses_or_that_is_vaulted_is_an_error(text: str, code: str) -> None:
    found = read_values(text.encode(), "vars.yml")
    assert isinstance(found, Diagnostic)
    assert (found.code, found.severity) == (code, "error")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"x": 1e3}', 1000.0),
        ('{"x": "\\ud83d\\ude00"}', "\U0001f600"),
        ('{"x": "a\\/b"}', "a/b"),
        ('{"x": {"__ansible_unsafe": "{{ a }}"}}', "{{ a }}"),
        ('{"x": {"<<": {"k": 1}}}', {"<<": {"k": 1}}),
        ('{"x": "yes"}', "yes"),
    ],
)
def test_what_is_json_is_read_as_json_whatever_its_name(text: str, value: object) -> None:
    found = read_values(text.encode(), "vars.yml")
    assert isinstance(found, Read)
    plain = to_plain(found.root.entries["x"])
    assert (type(plain), plain) == (type(value), value)


DEEP = "[top]\nh\n[low]\nh\n[top:children]\nlow\n[low:vars]\nv=low\nw=low\nx=low\n[top:vars]\nv=top\n"


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({}, {"v": "low", "w": "low", "x": "low"}),
        ({"group_vars/top.yml": "v: file\n"}, {"v": "file", "w": "low", "x": "low"}),
        ({"group_vars/all.yml": "w: file\n"}, {"v": "low", "w": "file", "x": "low"}),
        ({"group_vars/top.yml": "v: file\n", "group_vars/low.yml": "v: deep\n"}, {"v": "deep", "w": "low", "x": "low"}),
        ({"group_vars/all.yml": "v: all\n", "group_vars/top.yml": "v: top\n"}, {"v": "top", "w": "low", "x": "low"}),
        ({"group_vars/top.yml": "v: file\n", "host_vars/h.yml": "v: own\n"}, {"v": "own", "w": "low", "x": "low"}),
        ({"group_vars/low": "v: first\n", "group_vars/low.yml": "v: second\n"}, {"v": "first", "w": "low", "x": "low"}),
        ({"group_vars/low.yaml": "v: first\n", "group_vars/low.json": '{"v": "second"}'}, {"v": "first", "w": "low", "x": "low"}),
        ({"group_vars/low/a.yml": "v: 1\n", "group_vars/low.yml": "v: 2\n"}, {"v": 1, "w": "low", "x": "low"}),
        ({"group_vars/low/b": "v: 1\n", "group_vars/low/a/z.yml": "v: 2\n"}, {"v": 1, "w": "low", "x": "low"}),
        ({"group_vars/low/a.bak": "v: 1\n", "group_vars/low/README.md": "v: 1\n"}, {"v": "low", "w": "low", "x": "low"}),
        (
            {"group_vars/low/.a.yml": "v: 1\n", "group_vars/low/a.d/b.yml": "v: 1\n", "group_vars/low/a~": "v: 1\n"},
            {"v": "low", "w": "low", "x": "low"},
        ),
        ({"group_vars/low.yml": "[]\n"}, {"v": "low", "w": "low", "x": "low"}),
        ({"group_vars/low.yml": "ansible_group_priority: 9\n"}, {"v": "low", "w": "low", "x": "low"}),
    ],
)
def test_files_of_group_vars_win_over_the_inventory_and_only_the_first_is_read(
    tmp_path: Path, files: Mapping[str, str], wanted: Mapping[str, object]
) -> None:
    done = run(tmp_path, {"hosts": DEEP, **files}, "--format", "json")
    assert done.status == 0, done.err
    assert variables(tmp_path, "h") == wanted


def test_files_that_ansible_does_not_read_are_named(tmp_path: Path) -> None:
    files = {
        "group_vars/low.yml": "v: 1\n",
        "group_vars/low/a.bak": "",
        "group_vars/low/a.d/b.yml": "",
        "group_vars/low/.hidden": "",
    }
    done = run(tmp_path, {"hosts": DEEP, **files}, "--format", "json")
    said = [(Path(item["file"]).name, item["message"]) for item in done.json["diagnostics"]]
    assert sorted(said) == [("a.bak", "a.bak is not read"), ("a.d", "a.d is not read"), ("low.yml", "low.yml is not read")]


def test_a_group_with_variables_in_both_is_two_groups(tmp_path: Path) -> None:
    assert run(tmp_path, {"hosts": DEEP, "group_vars/low.yml": "y: 1\n"}).status == 0
    found = documents(tmp_path)
    assert [name for name in found if name.startswith("Group/")] == ["Group/low", "Group/low-group-vars", "Group/top"]
    assert found["Group/low-group-vars"]["spec"]["selector"] == {"group_low": "yes"}
    taken = run(tmp_path / "2", {"hosts": DEEP + "[low-group-vars]\nh\n", "group_vars/low.yml": "y: 1\n"})
    assert (taken.status, "cannot be the Group" in taken.err) == (1, True)


@pytest.mark.parametrize("value", ["x", "[]", "None", "1e999"])
def test_a_priority_that_is_none_is_an_error(tmp_path: Path, value: str) -> None:
    done = run(tmp_path, {"hosts": f"[g]\nh\n[g:vars]\nansible_group_priority={value}\n"})
    assert (done.status, "hosts:4:" in done.err, "expected an integer" in done.err) == (1, True, True)


@pytest.mark.parametrize(
    ("text", "host", "wanted"),
    [
        ("all: {hosts: {h: {v: 1}}, children: {g: {hosts: {h: {v: 2}}}}}\n", "h", 2),
        ("all: {children: {g: {hosts: {h: {v: 2}}}}, hosts: {h: {v: 1}}}\n", "h", 1),
        ("g: {vars: {v: 1}, hosts: {h: }}\nall: {children: {g: {vars: {v: 2}}}}\n", "h", 2),
        ("g: {hosts: {h: {v: 1, v: 2}}}\n", "h", 2),
        ("g: {hosts: {h: {v: 1}}}\ng: {hosts: {i: {v: 2}}}\n", "i", 2),
        ("g: {hosts: {'r[:2]': {v: 1}, r1: {v: 2}}}\n", "r1", 2),
    ],
)
def test_of_values_set_twice_in_a_yaml_inventory_the_last_wins(tmp_path: Path, text: str, host: str, wanted: int) -> None:
    done = run(tmp_path, {"hosts": text}, "--format", "json")  # without an ending: YAML all the same
    assert done.status == 0, done.err
    assert variables(tmp_path, host) == {"v": wanted}


@pytest.mark.parametrize(
    ("name", "text", "hosts"),
    [
        ("hosts", "web:\n  hosts:\n    a:\n", ["a"]),
        ("hosts", '{"web": {"hosts": {"a": null}}}', ["a"]),
        ("hosts", "a\nb x='y: z'\n", ["a", "b"]),
        ("hosts", "[web]\na\n", ["a"]),
        ("hosts.yml", "a\nb\n", ["a", "b"]),
        ("hosts.ini", "a\n", ["a"]),
        ("hosts", "a\nb\x0cc\nd # \u2028e\n", ["a", "b", "c", "d", "e"]),
    ],
)
def test_what_an_inventory_is_is_decided_as_ansible_does(tmp_path: Path, name: str, text: str, hosts: list[str]) -> None:
    done = run(tmp_path, {name: text}, "--format", "json", name=name)
    assert done.status == 0, done.err
    assert [item for item in documents(tmp_path) if item.startswith("Host/")] == [f"Host/{item}" for item in hosts]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("hosts", "web:\n  hosts:\n    a: [\n", ("error[C701]",)),
        ("hosts", "web:\n\thosts:\n", ("error[C701]", "a tab")),
        ("hosts", "web: {hosts: {a: }}\ndb: [\n", ("error[C701]",)),
        ("hosts", "web: &a {vars: {x: *a}}\n", ("error[C705]", "stands within what it names")),
        ("hosts.ini", "web:\n  hosts:\n", ("error[C802]", "hosts.ini:1:", "is it YAML?")),
        ("hosts.toml", "[web]\n", ("error[U100]", "TOML")),
        ("hosts", "plugin: aws_ec2\n", ("error[C802]", "plugin")),
        ("hosts", "all: {hosts: {80: }}\n", ("error[C802]", "no text")),
        ("hosts", "80: {hosts: {a: }}\n", ("error[C802]", "no text")),
        ("hosts", "all: {children: {web: 5}}\n", ("error[C802]", "neither a group nor a host")),
        ("hosts", "[web] ; x\nh\n", ("error[C802]", "hosts:1:")),
        ("hosts", "h\n[a b]\n", ("error[C802]", "hosts:2:", "is no section")),
        ("hosts", "h\n[gone:vars]\nx=1\n", ("error[C802]", "hosts:2:", "there is no group `gone`")),
        ("hosts", "h\n[web:children]\nall\n", ("error[C802]", "below itself")),
        ("hosts", "h\n[web:children]\na b\n", ("error[C802]", "hosts:3:")),
        ("hosts", '""\n', ("error[C802]", "without a name")),
    ],
)
def test_what_ansible_cannot_read_is_an_error_in_its_own_words(
    tmp_path: Path, name: str, text: str, words: tuple[str, ...]
) -> None:
    done = run(tmp_path, {name: text}, name=name)
    assert (done.status, [word for word in words if word not in done.err]) == (1, []), done.err


REACH = "[g]\nh\n[g:vars]\n"


@pytest.mark.parametrize(
    ("files", "address", "connection", "said"),
    [
        ({"hosts": f"{REACH}ansible_connection=local\n"}, "h", "local", ()),
        ({"hosts": f"{REACH}x=1\n", "group_vars/all.yml": "ansible_connection: local\n"}, "h", "local", ()),
        ({"hosts": f"{REACH}ansible_connection=local\n", "group_vars/all.yml": "ansible_connection: ssh\n"}, "h", "ssh", ()),
        (
            {"hosts": f"{REACH}ansible_connection=docker\n"},
            "h",
            "ssh",
            ((4, "`ansible_connection`: 'docker' is no connection here"),),
        ),
        ({"hosts": f"{REACH}ansible_host=192.0.2.9\n"}, "192.0.2.9", "ssh", ()),
        ({"hosts": "h ansible_host=192.0.2.1\n", "group_vars/all.yml": "ansible_host: 192.0.2.9\n"}, "192.0.2.1", "ssh", ()),
        ({"hosts": "h ansible_host='{{ x }}'\n"}, "h", "ssh", ((1, "`ansible_host`: '{{ x }}' is no address"),)),
        ({"hosts": "h ansible_host=None\n"}, "h", "ssh", ((1, "`ansible_host`: '' is no address"),)),
    ],
)
def test_how_a_host_is_reached_comes_from_its_groups_too(
    tmp_path: Path, files: Mapping[str, str], address: str, connection: str, said: tuple[tuple[int, str], ...]
) -> None:
    done = run(tmp_path, files, "--format", "json")
    spec = documents(tmp_path)["Host/h"]["spec"]
    assert (spec["address"], spec["connection"]) == (address, connection)
    assert [(line, message) for _, line, message in notes(done)] == list(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("all: {hosts: {h: {v: '{{ x }}'}}}\n", ["the Jinja expression in `v`"]),
        ("all: {hosts: {h: {v: !unsafe '{{ x }}'}}}\n", []),
        ("all: {hosts: {h: {v: 9007199254740993}}}\n", ["`v`: the number is too large"]),
        ("all: {hosts: {h: {v: .inf}}}\n", ["`v`: a number that is none"]),
        ("all: {hosts: {h: {groups: x}}}\n", ["`groups`"]),
        ("all: {hosts: {h: {2024-01-01: x}}}\n", ["the key `2024-01-01` is no text in Ansible"]),
        ("all: {hosts: {h: {80: x}}}\n", ["the key `80` is no text in Ansible"]),
        ("g: {hosts: {h: }, vars: {80: x}}\n", ["the key `80` is no text in Ansible"]),
        ("all: {hosts: {h: , 'x[3:1]': }}\n", ["the range [3:1] names nothing"]),
        ("all: {hosts: {h: }}\nweb: 5\n", ["group `web`: got the number 5, expected a map"]),
        (
            "g: {hosts: {g: {v: 1}}}\n",
            ["the host `g` has the name of a group", "variables of the host `g`: they go to the group of that name"],
        ),
    ],
)
def test_what_differs_is_a_warning_once(tmp_path: Path, text: str, said: list[str]) -> None:
    done = run(tmp_path, {"hosts.yml": text}, "--format", "json", name="hosts.yml")
    assert sorted(message for _, _, message in notes(done)) == said
    assert call("-C", tmp_path / "project", "validate").status == 0


@pytest.mark.parametrize(
    ("text", "host", "wanted"),
    [
        ("h\n[ungrouped:vars]\nv=1\n", "h", {"v": 1}),
        ("h\n[g]\nh\n[ungrouped:vars]\nv=1\n", "h", {}),
        ("[all]\nh\n[ungrouped:vars]\nv=1\n", "h", {"v": 1}),
        ("[g]\ng v=1\nh\n", "h", {"v": 1}),
    ],
)
def test_hosts_in_no_group_are_ungrouped(tmp_path: Path, text: str, host: str, wanted: Mapping[str, object]) -> None:
    assert run(tmp_path, {"hosts": text}).status == 0
    assert variables(tmp_path, host) == wanted
