"""`inventory import ansible`: what an inventory says comes over or is named with its line; what is there stays; nothing is executed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gitops.config.ansible.patterns import Pattern, PatternError, read_pattern
from tests.support.cli import call
from tests.support.imported import documents, notes, run, variables
from tests.support.project import write_files

INI = """\
# machines
bastion ansible_host=192.0.2.1 ansible_user=root note="two words" # why
[web]
web[01:03].example.org:2222 http_port=80
[web:vars]
workers=4
debug = True
names=['a', 'b']
zone=on
[db]
db-[a:b] ansible_connection=local
[prod:children]
web
db   # too
[prod:vars]
workers=2
tier=prod
[all:vars]
domain=example.org
"""
TREE = """\
all:
  vars: {domain: example.org}
  hosts:
    bastion: {ansible_host: 192.0.2.1, note: two words}
  children:
    prod:
      vars: {workers: 2, tier: prod}
      children:
        web:
          hosts:
            web[01:03].example.org: {http_port: 80}
          vars: {workers: 4, debug: yes, names: [a, b], zone: "on"}
        db:
          hosts:
            db-[a:b]: {ansible_connection: local}
"""


@pytest.mark.parametrize(("text", "name"), [(INI, "hosts"), (INI, "hosts.ini"), (TREE, "hosts.yml"), (TREE, "hosts.yaml")])
def test_an_inventory_becomes_documents_that_validate_and_mean_the_same(tmp_path: Path, text: str, name: str) -> None:
    done = run(tmp_path, {name: text}, "--format", "json", name=name)
    assert done.status == 0, done.err
    assert (done.json["hosts"], done.json["groups"]) == (6, 4)
    valid = call("-C", tmp_path / "project", "validate", "--format", "json")
    assert (valid.status, valid.json["diagnostics"]) == (0, [])
    web = {
        "debug": True,
        "domain": "example.org",
        "http_port": 80,
        "names": ["a", "b"],
        "tier": "prod",
        "workers": 4,
        "zone": "on",
    }
    assert variables(tmp_path, "web02.example.org") == web
    assert variables(tmp_path, "db-b") == {"domain": "example.org", "tier": "prod", "workers": 2}
    assert variables(tmp_path, "bastion") == {"domain": "example.org", "note": "two words"}
    found = documents(tmp_path)
    assert found["Host/bastion"]["spec"]["address"] == "192.0.2.1"
    assert found["Host/web01.example.org"]["spec"]["address"] == "web01.example.org"
    assert found["Host/db-a"]["spec"]["connection"] == "local"
    assert found["Host/web03.example.org"]["metadata"]["labels"] == {"group_prod": "yes", "group_web": "yes"}


def test_what_is_left_out_is_named_with_its_line(tmp_path: Path) -> None:
    done = run(tmp_path, {"hosts": INI}, "--format", "json")
    assert notes(done) == [
        ("C801", 2, "`ansible_user`"),
        ("C801", 4, "the port 2222 of web[01:03].example.org"),
    ]
    assert done.json["diagnostics"][0]["file"].endswith("ansible/hosts")
    shown = run(tmp_path, {}, "--out", tmp_path / "elsewhere")
    assert "hosts:2:1" in shown.err
    assert "warning[C801]: `ansible_user`" in shown.err


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a x='{{ b }}'\n", "the Jinja expression in `x`"),
        ("a ansible_become_password=x\n", "`ansible_become_password`"),
        ("a ansible_connection=winrm\n", "`ansible_connection`: 'winrm' is no connection here"),
        ("my_host\n", "the name 'my_host': the host is `my-host`"),
        ("a\n[empty]\n", "group `empty` has no host"),
        ("a x=1e999\n", "`x`: a number that is none"),
        ("[2001:db8::1]:22\n", "the port 22 of 2001:db8::1"),
    ],
)
def test_each_thing_that_has_no_counterpart_is_said(tmp_path: Path, text: str, left: str) -> None:
    done = run(tmp_path, {"hosts": text}, "--format", "json")
    assert done.status == 0, done.err
    assert left in [message for _, _, message in notes(done)]
    assert call("-C", tmp_path / "project", "validate").status == 0


def test_group_vars_and_host_vars_win_over_the_inventory_and_folders_are_read_in_order(tmp_path: Path) -> None:
    files = {
        "hosts": INI,
        "group_vars/all.yml": "domain: example.net\n",
        "group_vars/web/10-a.yml": "workers: 5\nmode: 0644\n",
        "group_vars/web/20-b.yaml": "workers: 6\nplain: off\n",
        "host_vars/db-a": "tier: special\n",
        "host_vars/db-b.json": '{"tier": "json"}',
        "host_vars/gone.yml": "x: 1\n",
    }
    done = run(tmp_path, files, "--format", "json")
    assert done.status == 0, done.err
    found = variables(tmp_path, "web01.example.org")
    assert (found["workers"], found["domain"], found["mode"], found["plain"]) == (6, "example.net", 0o644, False)
    assert (variables(tmp_path, "db-a")["tier"], variables(tmp_path, "db-b")["tier"]) == ("special", "json")
    assert "variables of `gone`, which the inventory does not name" in [message for _, _, message in notes(done)]


@pytest.mark.parametrize(
    "files",
    [
        {"group_vars/web.yml": "$ANSIBLE_VAULT;1.1;AES256\n6162\n"},
        {"host_vars/bastion/vault": "$ANSIBLE_VAULT;1.2;AES256;prod\n6162\n"},
        {"group_vars/all.yml": "x: 1\nkey: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n"},
    ],
)
def test_what_is_vaulted_is_refused_and_nothing_is_written(tmp_path: Path, files: dict[str, str]) -> None:
    done = run(tmp_path, {"hosts": INI, **files})
    assert done.status == 1
    assert "error[C803]" in done.err
    assert next(iter(files)) in done.err
    assert "6162" not in done.err
    assert not (tmp_path / "project/inventory").exists()


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    write_files(tmp_path / "project", {"inventory/groups.yaml": "mine\n"})
    done = run(tmp_path, {"hosts": INI})
    assert (done.status, "U043" in done.err) == (1, True)
    assert sorted(path.name for path in (tmp_path / "project/inventory").iterdir()) == ["groups.yaml"]
    (tmp_path / "project/inventory/groups.yaml").unlink()
    (tmp_path / "project/inventory/hosts.yaml").symlink_to(tmp_path / "outside")
    assert run(tmp_path, {"hosts": INI}).status == 1
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a\n[web:kids]\nx\n", 2, "unknown section"),
        ("a\n[x:children]\nnobody\n", 3, "unknown child"),
        ("a[c:a]\n", 1, "goes backwards"),
        ("a[1:99999999]\n", 1, "more than"),
        ("a[01:5]\n", 1, "ends of one length"),
        ("a[1:]\n", 1, "is no range"),
        ("a[0:9999]-[0:9999]\n", 1, "more than"),
        ("a b\n", 1, "expected key=value"),
        ("a 'b\n", 1, "no closing quotation"),
        ("[x:vars]\nnothing\n", 2, "expected key=value"),
        ("[a:children]\nb\n[b:children]\na\n", 1, "below itself"),
        ("a_b\na-b\n", 1, "would both be"),
        ("index\n", 1, "cannot be the name"),
        ("-\n", 1, "cannot be the name"),
    ],
)
def test_what_makes_no_sense_has_its_line_and_nothing_is_written(tmp_path: Path, text: str, line: int, word: str) -> None:
    done = run(tmp_path, {"hosts": text})
    assert (done.status, f"hosts:{line}:" in done.err, word in done.err) == (1, True, True), done.err
    assert not (tmp_path / "project/inventory").exists()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[]\n", "expected one map"),
        ("all: 1\n", "expected a map"),
        ("all: {hosts: [a]}\n", "expected a map"),
        ("all: {children: {web: {vars: 3}}}\n", "expected a map"),
        ("a: {hosts: {h: 5}}\n", "expected a map"),
        ("all: {hosts: {a: {}}\n", "C701"),
        ("all: {}\n", "names no host"),
        ("", "names no host"),
    ],
)
def test_a_tree_that_makes_no_sense_is_refused(tmp_path: Path, text: str, word: str) -> None:
    done = run(tmp_path, {"hosts.yml": text}, name="hosts.yml")
    assert (done.status, word in done.err) == (1, True), done.err


def test_odd_trees_are_read(tmp_path: Path) -> None:
    text = "web:\n  hosts: single\n  color: red\nungrouped:\n  hosts: {alone: }\n  vars: {u: 1}\n"
    done = run(tmp_path, {"hosts.yml": text}, "--format", "json", name="hosts.yml")
    assert done.status == 0, done.err
    assert "`color` of group `web`" in [message for _, _, message in notes(done)]
    assert variables(tmp_path, "alone") == {"u": 1}
    assert variables(tmp_path, "single") == {}


VALUES = [
    "yes",
    "on",
    "1e3",
    "0o17",
    "0x1f",
    "012",
    "~",
    "null",
    "a: b",
    "- x",
    "${vars.x}",
    "$${y}",
    "é\u2028",
    "",
    " x ",
    "#",
    "!x",
    "a\nb\n",
    "=",
    ".5",
    "1_000",
    "22:22",
    "2024-01-01",
    "\\",
    "\t",
    "'",
    '"',
]


@pytest.mark.parametrize("value", VALUES)
def test_a_text_stays_that_text(tmp_path: Path, value: str) -> None:
    done = run(tmp_path, {"hosts.json": json.dumps({"all": {"hosts": {"a": {"x": value, value or "k": 1}}}})}, name="hosts.json")
    assert done.status == 0, done.err
    shown = variables(tmp_path, "a")
    assert shown.get("x", 1) == value or value == "x"
    assert shown[value or "k"] == 1


def test_a_deeper_group_wins_then_its_priority_then_its_name(tmp_path: Path) -> None:
    text = (
        "[a_low]\nh\n[b_low]\nh\n[deep]\nh\n[mid:children]\ndeep\n[zz:children]\nmid\n"
        "[a_low:vars]\nv=a\nw=a\nansible_group_priority=5\n[b_low:vars]\nv=b\nw=b\n[deep:vars]\nw=deep\n[mid:vars]\nw=mid\nx=mid\n[zz:vars]\nx=zz\n"
    )
    assert run(tmp_path, {"hosts": text}).status == 0
    assert variables(tmp_path, "h") == {"v": "a", "w": "deep", "x": "mid"}


def test_a_program_is_not_run(tmp_path: Path) -> None:
    for name, mode in (("hosts", 0o644), ("other", 0o755)):
        program = (
            write_files(tmp_path / "ansible", {name: f"{'#!/bin/sh' if name == 'hosts' else ''}\ntouch {tmp_path}/ran\n"}) / name
        )
        program.chmod(mode)
        done = run(tmp_path, {}, name=name)
        assert (done.status, "U100" in done.err) == (1, True)
    assert not (tmp_path / "ran").exists()


FOLDER = {
    "inv/10-web": "[web]\nweb1 v=1 w=1\n[web:vars]\ng=ten\nh=ten\n[front:children]\nweb\n",
    "inv/20-more.yml": "web: {hosts: {web2: {v: 2}}, vars: {g: twenty}}\n",
    "inv/30/a.ini": "[web:vars]\nk=1\n[front]\nweb1 v=3\n",
    "inv/ansible.cfg": "[x",
    "inv/old.bak": "[x",
    "inv/.hidden": "[x",
    "inv/README.md": "[x",
    "inv/notes~": "[x",
    "inv/group_vars/web.yml": "h: file\n",
    "inv/host_vars/web2": "v: 22\n",
    "group_vars/web.yml": "stolen: 1\n",
}


def test_a_folder_is_read_file_by_file_in_order_with_the_variables_in_it(tmp_path: Path) -> None:
    done = run(tmp_path, FOLDER, "--format", "json", name="inv")
    assert (done.status, done.json["hosts"]) == (0, 2)
    assert variables(tmp_path, "web1") == {"v": 3, "w": 1, "g": "twenty", "h": "file", "k": 1}
    assert variables(tmp_path, "web2") == {"v": 22, "g": "twenty", "h": "file", "k": 1}
    labels = {name: item["metadata"]["labels"] for name, item in documents(tmp_path).items() if name.startswith("Host/")}
    assert labels == {key: {"group_web": "yes", "group_front": "yes"} for key in ("Host/web1", "Host/web2")}
    assert done.json["diagnostics"] == []


def test_what_cannot_be_read_in_a_folder_is_told_with_its_file(tmp_path: Path) -> None:
    for name, text, words in (
        ("b.toml", "[web]\n", "TOML"),
        ("b", "#!/bin/sh\n", "dynamic"),
        ("b.yml", "plugin: aws_ec2\n", "plugin"),
        ("b.ini", "[web:vars\n", "C802"),
        ("b.ini", "[gone:vars]\nx=1\n", "gone"),
        ("b.yml", "web: {hosts: {web1: {v: !vault x}}}\n", "C803"),
    ):
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        done = run(folder, {"inv/a": "[web]\nweb1\n", f"inv/{name}": text}, name="inv")
        assert (done.status, f"inv/{name}" in done.err, words in done.err) == (1, True, True), done.err


def test_group_vars_of_a_folder_within_are_read_by_nobody(tmp_path: Path) -> None:
    files = {"inv/sub/a": "[web]\nweb1\n", "inv/sub/group_vars/web": "x: 1\n"}
    done = run(tmp_path, files, "--format", "json", name="inv")
    assert [item["code"] for item in done.json["diagnostics"]] == ["C801"]
    assert done.json["diagnostics"][0]["file"].endswith("inv/sub/group_vars")
    assert variables(tmp_path, "web1") == {}


SETTINGS = """\
# mine
[defaults]
inventory = hosts
Hash_Behaviour: merge   ; all of it
host_key_checking = False
  precedence = no setting, a continued line

[inventory]
ignore_extensions = .x
"""


@pytest.mark.parametrize(("where", "name"), [("ansible.cfg", "hosts"), ("ansible.cfg", "inv"), ("inv/ansible.cfg", "inv")])
def test_settings_that_would_change_the_inventory_are_told_at_their_lines(tmp_path: Path, where: str, name: str) -> None:
    text = SETTINGS if name == "hosts" else SETTINGS.replace("= hosts", "= elsewhere,hosts")
    done = run(tmp_path, {"hosts": "h\n", "inv/a": "h\n", where: text}, "--format", "json", name=name)
    lines = [(item["line"], "is not applied" in item["message"]) for item in done.json["diagnostics"]]
    assert lines == [*([] if name == "hosts" else [(3, True)]), (4, True), (9, True)]
    assert all(item["file"].endswith(where) for item in done.json["diagnostics"])


def test_settings_that_change_nothing_are_not_told(tmp_path: Path) -> None:
    text = "[defaults]\nhash_behaviour = replace\ninventory = ./hosts\n[other]\nenable_plugins = x\n"
    done = run(tmp_path, {"hosts": "h\n", "ansible.cfg": text}, "--format", "json")
    assert done.json["diagnostics"] == []


def test_an_empty_folder_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    (tmp_path / "ansible/inv").mkdir(parents=True)
    assert run(tmp_path, {}, name="inv").status == 1
    assert run(tmp_path, {}, name="none").status == 1
    (tmp_path / "file").write_text("x")
    done = run(tmp_path, {"hosts": "a\n"}, "--out", tmp_path / "file" / "below")
    assert (done.status, "U044" in done.err) == (1, True)


def test_a_group_named_to_climb_reads_nothing_outside(tmp_path: Path) -> None:
    write_files(tmp_path, {"secret.yml": "stolen: 1\n"})
    done = run(tmp_path, {"hosts": "h\n[../../secret]\nh\n", "group_vars/all.yml": "x: 1\n"})
    assert done.status == 1
    assert "stolen" not in done.err


def test_many_hosts_are_spread_over_files(tmp_path: Path) -> None:
    done = run(tmp_path, {"hosts": "[web]\nweb[0001:2500]\n"}, "--format", "json")
    assert [Path(name).name for name in done.json["files"]] == ["hosts-1.yaml", "hosts-2.yaml", "hosts-3.yaml", "groups.yaml"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[01:10:3]", ("01", "04", "07", "10")),
        ("[8:11]", ("8", "9", "10", "11")),
        ("r[:2]", ("r0", "r1", "r2")),
        ("r[a:e:2]", ("ra", "rc", "re")),
        ("[Y:b]", None),
        ("[y:B]", ("y", "z", "A", "B")),
        ("[1:1]", ("1",)),
        ("[0:1]x[a:b]", ("0xa", "0xb", "1xa", "1xb")),
        ("[3:1]", ()),
        ("[1:3:-1]", ()),
        ("[1:a]", None),
        ("[c:a]", None),
        ("[1:3:0]", None),
        ("[01:5]", None),
        ("[1:]", None),
        ("[1]", None),
        ("[1:2:3:4]", None),
        ("[1:2:x]", None),
        ("a[1:2", None),
        ("[1:1]" * 1000, None),
        ("a]b[1:2]", None),
        ("[[1:2]:3]", None),
        ("[0:99999999]", None),
        ("[0:9999]-[0:9999]", None),
    ],
)
def test_ranges(text: str, names: tuple[str, ...] | None) -> None:
    if names is None:
        with pytest.raises(PatternError):
            read_pattern(text)
    else:
        assert read_pattern(text).names == names


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        ("web:22", "web", "22"),
        ("web-1.example.org:22", "web-1.example.org", "22"),
        ("192.0.2.1:22", "192.0.2.1", "22"),
        ("[2001:db8::1]:22", "2001:db8::1", "22"),
        ("2001:db8::1", "2001:db8::1", ""),
        ("[web:22]:33", "web", "22"),
        ("web_:22", "web_:22", ""),
        ("a@b:22", "a@b:22", ""),
        ("a..b:22", "a..b:22", ""),
    ],
)
def test_a_port_counts_only_behind_what_could_be_a_host(text: str, name: str, port: str) -> None:
    assert read_pattern(text) == Pattern((name,), name, port)


def test_a_port_goes_off_ranges_with_both_ends_only() -> None:
    assert read_pattern("r[1:2]:22") == Pattern(("r1", "r2"), "r[1:2]", "22")
    assert read_pattern("r[:1]:22").names == ("r0:22", "r1:22")


def test_ini_values_are_literals_when_they_are_plain_data_and_text_otherwise(tmp_path: Path) -> None:
    lines = [
        "m={'a': [1, 2.5, None]}",
        "t=(1, 2)",
        "s={1, 2}",
        "k={1: 2}",
        "b=b'x'",
        "n=-3",
        f"long={'1' * 20_000}",
        "call=__import__('os').system('x')",
    ]
    assert run(tmp_path, {"hosts": "[all:vars]\n" + "\n".join(lines) + "\n[x]\nh\n"}).status == 0
    found = variables(tmp_path, "h")
    assert found["m"] == {"a": [1, "2.5", None]}
    assert (found["t"], found["s"], found["k"], found["b"]) == ([1, 2], [1, 2], {"1": 2}, "x")
    assert (found["n"], len(found["long"]), found["call"]) == (-3, 20_000, "__import__('os').system('x')")


@pytest.mark.parametrize("data", [b"\xff\xfeh\x00", b"h\n\xe9\n", b"h\0\n"])
def test_what_is_no_text_is_an_error(tmp_path: Path, data: bytes) -> None:
    done = run(tmp_path, {"hosts": data})
    assert (done.status, "error[C704]" in done.err) == (1, True)


def test_an_unknown_section_swallows_its_lines_and_passwords_are_not_shown(tmp_path: Path) -> None:
    done = run(tmp_path, {"hosts": "h ansible_password=hunter2 ansible_connection=ssh\n"}, "--format", "json")
    assert done.status == 0
    assert "hunter2" not in done.out + done.err
    assert "hunter2" not in (tmp_path / "project/inventory/hosts.yaml").read_text()
