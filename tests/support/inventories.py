"""Inventories as people write them, and odder ones, each from a number: INI, YAML or JSON, with group_vars and host_vars beside it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from random import Random

GROUPS = ("web", "db", "prod", "Cache_1", "eu-west", "edge", "staging", "b2")
HOSTS = (
    "web1", "web2", "db1", "Db_2", "192.0.2.7", "h1.example.org", "gw", "web[1:3]", "n[01:03]", "r[:2]", "x[a:c]", "e[0:4:2]",
    "web1:2222", "p[1:2]:22", "z[3:1]", "m[1:2]x[a:b]", "localhost", "edge",
)  # fmt: skip
BROKEN_HOSTS = ("k[01:5]", "k[c:a]", "k[1:]", "k[1]", "k[1:2", "k:")
NAMES = ("v1", "v2", "v3", "v4", "v5", "v6")
ODD_NAMES = (
    "ansible_host", "ansible_connection", "ansible_user", "ansible_group_priority", "group_names", "v-7", "ansible_host", "v.8", "9", "hosts",
    "inventory_hostname", "environment", "é", "ansible_become_pass",
)  # fmt: skip
INI_VALUES = (
    "5", "-3", "+7", "08", "0o17", "0x1f", "0b11", "1_000", "1,", "80,443", "(1, 2)", "()", "{'a': 1, 'b': [1, None]}", "{2: 3}", "{1}", "{'a', 'b', 'c'}",
    "[1, 'x', None, True]", "b'bytes'", "1.5", "1e3", "1e999", ".5", "True", "true", "yes", "None", "null", "'quoted'", '"dq"', "two words",
    "a # b", "5 # five", "...", "1+2j", "1+2", "--1", "{'a': 1", "'a' 'b'", "u'x'", r"r'\d'", r"'\d'", r"'\u00e9'", "f'{x}'", "{{ other }}",
    "'{{ other }}'", "${vars.x}", "$${y}", "é", "", "=", "a=b", "not True", "9007199254740993", "-9007199254740993", "0_1", "1_", "\\", "a;b",
    "[[[[1]]]]", "\t5", "5 ", "'a' # b", "[1, # b", "{'a': {1, 2}}", "frozenset()", "-True", "1 if 1 else 2", "0x", "1e", "1_e3", "٣", "{**{}}",
    "*a", "''", '""', "\'", "a'b", 'a"b', "#x", ";x", "(1)", "(1,)", "[...]", "{...: 1}", "{(1, 2): 3}", "{b'k': 1}", "1j", "True ", "\\u0041", "['{{ x }}']", "{'k': {3: {4: 5}}}", "{True: 1}", "{None: 1}", "0", "00", "-0", "-0.0", "1.50", "lambda: 1", "x.y", "[1,",
)  # fmt: skip
INI_BROKEN = ("{[]: 1}", "{{}}", r"'\ud800'", r"b'\xff'")
YAML_VALUES = (
    "5", "-3", "+7", "0", "007", "08", "0o17", "0x1F", "0b101", "-0b1", "1_000", "1__0", "_1", "12:30", "1:60", "12:30:45.5", "190:20:30",
    "1.5", "1.5e3", "1.5e+3", "1e3", "1e+3", ".5", "5.", "-.5", "+.5", ".inf", "-.INF", ".nan", "yes", "No", "ON", "off", "y", "n", "TRUE",
    "tRue", "null", "~", "Null", "", "2024-01-01", "2024-01-01 10:00:00", "2001-12-14t21:59:43.10-05:00", "'5'", '"dq\\n\\u00e9"', "two words",
    "text # comment", "'# none'", "'{{ other }}'", '"{% if x %}"', "{a: 1, b: [x, y]}", "[1, 2, {c: 3}]", "[]", "{}", "{80: http, 443: x}",
    "{yes: 1}", "{~: 1}", "{1.5: x}", "{2024-01-01: x}", "!unsafe 'a {{ b }}'", "!unsafe \"12\"", "!unsafe {x: '{{ y }}'}", "!unsafe [1, yes]",
    "!!str 5", "!!int '7'", "!!float 3", "!!bool 'yes'", "!!null x", "! 12", "! '12'", "!!binary aGVsbG8=", "!!set {a, b}", "!!omap [a: 1]",
    "!!pairs [a: 1, a: 2]", "${vars.x}", "$${y}", "'a: b'", "{k: 1, k: 2}", "{<<: {k: 1, z: 0}, k: 2}", "{<<: [{k: 1}, {k: 3, m: 4}]}",
    "{<<: {k: 1}, <<: {k: 2}}", "{'<<': {k: 1}}", "{<<: []}", "9007199254740993", "123456789012345678901234567890", "1e999", "1.0e+999", "-0.0",
    "0.1", "1.50", "100000000000000000000.0", "1.0e-7", "é", "'é ü'", "0x_1", "0_", "+0", "-", "-1-", "1.2.3", "1-2", "192.0.2.1",
    "{a: &p {k: 1}, b: *p}", "[&q 1, *q]", "{a: &q 1, b: {*q : 2}}", "? x", "10:00", "0:0", "!!python/unicode x", "'a\\n'", "[yes, no, ~, 08]",
)  # fmt: skip
YAML_BROKEN = (
    "=", "<<", "0b_", "2024-13-01", "!!int x", "!!bool maybe", "!thing x", "*gone", "[&q 1, &q 2]", "{[a]: b}", "[1", "{<<: 5}", "!!set [a]",
    "@x", "%",
)  # fmt: skip
JSON_VALUES = (
    5, -3, 1.5, 1e3, True, None, "", "text", "08", "yes", "12:30", "{{ x }}", [1, "a", None], {"k": {"80": 1}}, "\U0001f600", "é", 2**60, -0.0,
)  # fmt: skip
RAW_JSON = (
    "1e3",
    "1E400",
    "NaN",
    "-Infinity",
    '{"k": 1, "k": 2}',
    '"\\ud83d\\ude00"',
    '"a\\/b"',
    '{"<<": {"k": 1}}',
    '{"__ansible_unsafe": "{{ x }}"}',
)
BLOCKS = (
    "|\n{0}  one: 1\n{0}   two\n\n{0}  three", ">-\n{0}  one\n{0}  two\n", "|+\n{0}  x\n\n", ">\n{0}  {{{{ x }}}}", "\n{0}  a: 08\n{0}  b:\n{0}    - x\n{0}    - y: 1_0",
    "\n{0}- 1\n{0}- k: on\n{0}  l: 12:30", "&anchor\n{0}  kk: 1\n{0}  ll: 2", "\n{0}  <<: &deep {{kk: 1, mm: 08}}\n{0}  kk: 2",
    "\n{0}  <<: [{{kk: 1}}, {{kk: 2}}]", "\n{0}  ? 80\n{0}  : x\n{0}  ? long key\n{0}  : y", "\n{0}  80: a\n{0}  443: b", "\n{0}  k: 1\n{0}  k: 2",
    "plain\n{0}  over lines", "'quoted\n{0}  over lines'", "!unsafe |\n{0}  {{{{ x }}}}", "  # nothing", "!!str\n{0}  08", "\n{0}  when: 2024-01-01 # a day",
)  # fmt: skip
WHOLE = (
    "", "\n", "web1\nweb2\n", "---\n", "[]\n", "{}\n", "all:\n", "web1 x=5\n", "all: {hosts: {web1: {v1: 08}}}\n", "plugin: auto\n", "{", "[web]\nweb1\n",
    "%YAML 1.1\n---\nall: {hosts: {web1: {v1: 1}}}\n", "all: {hosts: {web1: }}\n...\n", "all: {hosts: {web1: }}\n---\n", "80: {hosts: {web1: }}\n",
    "all: {hosts: {80: }}\n", "all: {hosts: web1, vars: v1, children: web}\n", "all: {hosts: [web1]}\n", "web: 5\nall: {hosts: {web1: }}\n",
    "all: {children: {web: 5}}\n", "all: {hosts: {web1: []}, children: }\n", "all: {hosts: {web1: 5}}\n", "web1: x\n", "a b=5 c='d: e'\n",
    "web1 v1='a: b'\n", '{"all": {"hosts": {"web1": {"v1": 1e3, "v1": 1e2}}}}', '{"web": {"hosts": ["web1"]}}', "all: &a {children: {web: *a}}\n",
    "[ungrouped:vars]\nv1=1\n[ungrouped]\nweb1\n", "web1\n[web:children]\nungrouped\n", "web1\n[web]\nweb2\n[web:children]\nungrouped\n[web:vars]\nv1=1\n",
    "[web:children]\nall\n", "[web]\nweb1\n[web:children]\nweb\n", "---\nall:\n  hosts:\n\tweb1:\n", "web1 v1=\"a\n", "-\n", "web1 v1=5\r\nweb2\r\n",
    " [web]\n  web1  v1=5\t# x\n", "[web]#x\nweb1\n", "[web:hosts]\nweb1\n", "web1 =5\n", "[all:vars]\n=5\n[web]\nweb1\n", "[all:vars]\nv1\n", "web1 v1=a\\ b\n",
    "web1 v1=5 v1=6\nweb1 v1=7\n", "web1:22 v1=1\nweb1:33\n", "web1\n[web1]\nweb2\n[web1:vars]\nv1=2\n", "[web1]\nweb1 v1=1\n", "--- \nweb: {vars: {v1: !vault x}}\n",
    "$ANSIBLE_VAULT;1.1;AES256\n6162\n", "all: {vars: {1: x}, hosts: {web1: }}\n", "all: {vars: {'': x}, hosts: {web1: }}\n", "web1\x0cweb2\n", "web1\u2028web2\n", "all:\r\n  hosts:\r\n    web1:\r\n",
)  # fmt: skip
FALSY = ("", "# nothing\n", "---\n", "{}\n", "[]\n", "0\n", "''\n", "null\n")


@dataclass
class Tree:
    """Files by name; `inventory` is the one to import."""

    inventory: str
    base: str = ""
    files: dict[str, str] = field(default_factory=dict[str, str])


def make_tree(seed: int) -> Tree:
    """Make one tree; the same for the same number."""
    return _Maker(Random(seed)).make()


class _Maker:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.groups = random.sample(GROUPS, random.randint(1, 6))
        self.hosts = random.sample(HOSTS, random.randint(2, 6))
        self.odd = random.random() < 0.6  # half of all trees are plain, so that one oddity does not hide the rest

    def make(self) -> Tree:
        kind = self.random.choice(("ini", "ini", "yaml", "yaml", "json"))
        endings = {"ini": ("", ".ini", ".prod", ""), "yaml": ("", ".yml", ".yaml", ".yml"), "json": (".json", "")}[kind]
        tree = Tree(f"hosts{self.random.choice(endings)}")
        text = {"ini": self.make_ini, "yaml": self.make_yaml, "json": self.make_json}[kind]()
        if self.odd and self.random.random() < 0.08:
            tree = Tree(f"hosts{self.random.choice(('', '.yml', '.ini'))}")
            text = self.random.choice(WHOLE)
        elif self.odd and self.random.random() < 0.08:
            text = self.random.choice(
                (text.rstrip("\n"), text.replace("\n", "\r\n"), "# é\n" + text, text + "; x\n", text.replace("    ", "  "))
            )
        tree.files[tree.inventory] = text
        if self.random.random() < 0.25:
            self.make_folder(tree)
        for name in ("all", "ungrouped", *self.groups, "gone"):
            if self.random.random() < 0.45:
                self.add_variables(tree, f"{tree.base}group_vars/{name}")
        for host in ("web1", "web2", "n02", "r1", "Db_2", "gw", "192.0.2.7"):
            if self.random.random() < 0.3:
                self.add_variables(tree, f"{tree.base}host_vars/{host}")
        return tree

    def make_folder(self, tree: Tree) -> None:
        """Make a folder of inventories of the one: further files before and behind it, some in a folder, some to be passed over."""
        odd, self.odd = self.odd, False  # one odd file of a folder is enough
        texts = {name.replace("hosts", "50-hosts", 1): text for name, text in tree.files.items()}
        for name in self.random.sample(
            ("10", "20.yml", "60.ini", "70.json", "80/a", "80/b.yaml", "B", "a.yml"), self.random.randint(1, 4)
        ):
            make = {"yml": self.make_yaml, "yaml": self.make_yaml, "json": self.make_json}.get(
                name.rpartition(".")[2], self.make_ini
            )
            texts[name] = make()
        self.odd = odd
        texts.update(
            dict.fromkeys(self.random.sample(("x.bak", "README.md", ".git", "y~", "z.cfg", "w.retry", "v.orig"), 2), "[broken")
        )
        tree.files = {f"inv/{name}": text for name, text in texts.items()}
        tree.inventory, tree.base = "inv", "inv/"

    def edges(self) -> list[tuple[str, str]]:
        """Give pairs of groups: the first is above the second, now and then in a circle."""
        found: list[tuple[str, str]] = []
        for number, child in enumerate(self.groups):
            found.extend((parent, child) for parent in self.groups[:number] if self.random.random() < 0.35)
        if found and self.random.random() < 0.02:
            found.append((found[0][1], found[0][0]))
        self.random.shuffle(found)
        return found

    def names(self, most: int) -> list[str]:
        found = [self.random.choice(NAMES) for _ in range(self.random.randint(0, most))]
        if self.odd and self.random.random() < 0.3:
            found.append(self.random.choice(ODD_NAMES))
        return found

    def pick(self, plain: tuple[str, ...], broken: tuple[str, ...] = ()) -> str:
        if broken and self.odd and self.random.random() < 0.004:
            return self.random.choice(broken)
        return self.random.choice(plain) if self.odd else self.random.choice(("5", "text", "07", "'q'", "1.5", "-1"))

    def value_of(self, name: str, plain: tuple[str, ...], broken: tuple[str, ...] = ()) -> str:
        """Give a value that fits what the name is for, mostly."""
        fitting = {
            "ansible_host": ("192.0.2.1", "'{{ name }}.example.org'", "a.example.org", "5"),
            "ansible_connection": ("local", "ssh", "smart", "docker", "local"),
            "ansible_group_priority": ("5", "-1", "'7'", "10", "1"),
        }
        return self.random.choice(fitting[name]) if name in fitting else self.pick(plain, broken)

    # ---- INI

    def make_ini(self) -> str:
        lines: list[str] = []
        sections = [*self.groups, *self.random.sample(["ungrouped", "all"], self.random.randint(0, 2))]
        if self.random.random() < 0.5:
            lines.append(self.host_line())
        for group in sections:
            if group not in ("ungrouped", "all") or self.random.random() < 0.5:
                lines.append(f"[{group}]{self.random.choice(('', ' ', ' # note', '  '))}")
                lines.extend(self.host_line() for _ in range(self.random.randint(0, 3)))
            if self.random.random() < 0.5:
                lines.extend(self.vars_section(group))
        for parent, child in self.edges():
            lines.extend((f"[{parent}:children]", f"{child}{self.random.choice(('', ' ', ' # note'))}"))
        if self.random.random() < 0.02:
            lines.append(
                self.random.choice(
                    ("[nobody:vars]\nx=1", "[web:kids]\nx", "[a b]", "[web] ; x", "[prod:children]\nnobody", "web1 x")
                )
            )
        return "\n".join(lines) + "\n"

    def host_line(self) -> str:
        pattern = self.pick(tuple(self.hosts), BROKEN_HOSTS) if self.odd else self.random.choice(self.hosts)
        words = [pattern]
        for name in self.names(3):
            value = self.value_of(name, INI_VALUES, INI_BROKEN)
            words.append(
                f"{name}={value if self.random.random() < 0.2 and ' ' not in value and value.isalnum() else shlex.quote(value)}"
            )
        return " ".join(words) + self.random.choice(("", "", " # note", "  "))

    def vars_section(self, group: str) -> list[str]:
        lines = [f"[{group}:vars]"]
        for name in self.names(4):
            value = self.value_of(name, INI_VALUES, INI_BROKEN)
            lines.append(f"{name}{self.random.choice(('=', ' = ', '= '))}{value}")
        return lines

    # ---- YAML

    def make_yaml(self) -> str:
        edges = self.edges()
        lines = ["---"] if self.random.random() < 0.5 else ["# an inventory"]
        tops = [group for group in self.groups if not any(child == group for _, child in edges)] or self.groups[:1]
        if self.random.random() < 0.7:
            lines.append("all:")
            lines.extend(self.group_parts("all", tops, edges, "  "))
        else:
            for group in tops:
                lines.append(f"{group}:")
                lines.extend(self.group_parts(group, [child for parent, child in edges if parent == group], edges, "  "))
        if self.random.random() < 0.2:
            lines.append(f"ungrouped:\n  vars: {{v1: {self.random.randint(1, 9)}}}")
        return "\n".join(lines) + "\n"

    def group_parts(self, group: str, children: list[str], edges: list[tuple[str, str]], indent: str) -> list[str]:
        """Give hosts, vars and children, in any order."""
        parts: list[list[str]] = []
        if self.random.random() < 0.8:
            lines = [f"{indent}hosts:"]
            for _ in range(self.random.randint(0, 3)):
                pattern = self.pick(tuple(self.hosts), BROKEN_HOSTS) if self.odd else self.random.choice(self.hosts)
                lines.append(f"{indent}  {json.dumps(pattern)}:")
                lines.extend(self.variables(indent + "    ", 3))
            parts.append(lines)
        if self.random.random() < 0.5:
            parts.append([f"{indent}vars:", *self.variables(indent + "  ", 4)])
        if children and len(indent) < 16:
            lines = [f"{indent}children:"]
            for child in children:
                lines.append(f"{indent}  {child}:")
                below = [other for parent, other in edges if parent == child]
                lines.extend(self.group_parts(child, below, edges, indent + "    "))
            parts.append(lines)
        if self.odd and self.random.random() < 0.05:
            parts.append(
                [
                    indent
                    + self.random.choice(("color: red", "empty:", "more: {x: 1}", "hosts: web1", "vars: v1", "children: web"))
                ]
            )
        self.random.shuffle(parts)
        return [line for part in parts for line in part]

    def variables(self, indent: str, most: int) -> list[str]:
        lines: list[str] = []
        for name in self.names(most):
            value = self.value_of(name, YAML_VALUES, YAML_BROKEN)
            if self.odd and self.random.random() < 0.1:
                lines.append(f"{indent}{name}: {self.random.choice(BLOCKS).format(indent)}")
            elif self.odd and self.random.random() < 0.02:
                lines.append(f"{indent}{self.random.choice(('80', 'yes', '1.5', '~'))}: {value}")
            else:
                lines.append(f"{indent}{name}: {value}".rstrip())
        return lines

    # ---- JSON

    def make_json(self) -> str:
        edges = self.edges()
        table = {group: self.json_group(group, edges) for group in self.groups}
        return json.dumps(table, indent=self.random.choice((None, 1)), ensure_ascii=self.random.random() < 0.5)

    def json_group(self, group: str, edges: list[tuple[str, str]]) -> dict[str, object]:
        hosts = {self.random.choice(self.hosts): self.json_vars(3) or None for _ in range(self.random.randint(0, 3))}
        children = {child: None for parent, child in edges if parent == group}
        return {"vars": self.json_vars(3), "hosts": hosts, "children": children}

    def json_vars(self, most: int) -> dict[str, object]:
        return {name: self.random.choice(JSON_VALUES) for name in self.names(most) if not name.startswith("ansible_group")}

    # ---- files of variables

    def add_variables(self, tree: Tree, name: str) -> None:
        """Add a file, or a folder of files, or several of them, of which Ansible reads one."""
        for _ in range(self.random.choice((1, 1, 1, 2))):
            form = self.random.choice(("", ".yml", ".yml", ".yaml", ".json", "/", "/"))
            if form != "/":
                taken = name in tree.files or any(other.startswith(f"{name}/") for other in tree.files)
                if form or not taken:
                    tree.files[name + form] = self.variables_file(form)
                continue
            if name in tree.files:
                continue
            for part in self.random.sample(
                ("10-a.yml", "20-b", "main.yaml", "z.json", "sub/c.yml", "sub.d/x.yml", "old.bak", ".hid.yml", "e.yml~", "R.md"),
                4,
            ):
                tree.files[f"{name}/{part}"] = (
                    self.variables_file(part) if not part.endswith((".bak", "~", ".md")) else "not: [read"
                )

    def variables_file(self, form: str) -> str:
        if self.random.random() < 0.05:
            return self.random.choice(FALSY)
        if form.endswith(".json") or self.random.random() < 0.1:
            raw = [f'"raw{number}": {self.random.choice(RAW_JSON)}' for number in range(self.random.randint(0, 2)) if self.odd]
            rest = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in self.json_vars(3).items()]
            return "{" + ", ".join(raw + rest) + "}\n"
        return "\n".join([*(["---"] if self.random.random() < 0.5 else []), *self.variables("", 5)]) + "\n"
