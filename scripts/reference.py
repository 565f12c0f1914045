"""Write docs/reference/ from the code: verbs, kinds, diagnostics, exit statuses, rooms. `--check` only compares.

The pages say what the code says; a test compares them, so that they cannot go stale.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from gitops import errors
from gitops.cli.verbs import VERBS
from gitops.config.codes import CODES
from gitops.config.resources import COMMON, known_attributes
from gitops.conformance.laws import IDEMPOTENCY, LAWS, PREDICTION
from gitops.model.attribute import Attribute, describe_type
from gitops.model.facts import CUSTOM_DOC, FACTS, OBSERVED
from gitops.providers.packages.choose import MANAGERS
from gitops.providers.registry import PROVIDERS
from gitops.providers.services.choose import SUPERVISORS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
NOTE = "<!-- Made by `make docs` from the code. Do not edit. -->\n"
EXITS: Mapping[int, str] = {
    0: "done, or nothing to change",
    1: "the config or the arguments are wrong; every mistake is printed",
    2: "plan, diff, dry run: there are changes",
    3: "held: an approval, a policy, a lock, or more than was approved",
    4: "a host or a resource failed",
    5: "failed, and rolled back by itself",
    6: "trust: a signature, serial, expiry or digest",
    7: "a forge, Git remote or the network cannot be reached",
    70: "a bug in this program",
}


MANAGER_TESTS: Mapping[str, str] = {
    "apt": "tests/hosts/test_packages.py",
    "dnf": "tests/hosts/test_other_packages.py",
    "pacman": "tests/hosts/test_other_packages.py",
    "zypper": "tests/hosts/test_other_packages.py",
    "apk": "",
}
SUPERVISOR_TESTS: Mapping[str, str] = {
    "systemd": "tests/hosts/test_services.py",
    "openrc": "tests/hosts/test_inits.py",
    "runit": "tests/hosts/test_inits.py",
    "sysvinit": "tests/hosts/test_inits.py",
}


RESULTS = ROOT / "tests" / "conformance" / "results.json"
SIMULATED = "simulated"
PREDICTIONS = "predictions"
KILLED = "killed at any step of applying, the next run recovers and an undo restores"
TROUBLED = "a disk that is full, read-only or somebody else's is a clear failure, nothing half done"
ALL_LAWS = (*LAWS, KILLED, TROUBLED)
HOST_LAWS = ("observing changes nothing", PREDICTION, IDEMPOTENCY, "undo restores, or says that it cannot")
NOT_RUN: Mapping[str, str] = {
    "live kernel modules": "simulated, not run (the hosts are containers that do not see the kernel's modules)",
    "real Fedora, RHEL, Arch, openSUSE": "recorded cases, not run (the programs run as Debian's packages, above)",
    "apk": "its answers are written from its sources and manual pages; it has not run, real or recorded",
    "macOS": "its answers are written from manuals and from what other projects recorded; nothing has run on a Mac",
}
ON_MACS = ("brew", "dscl", "launchd")
MAC = (
    "macOS is checked by recorded cases alone, and nothing of it has run on a Mac: what its tools are made to answer there was "
    "written from their manuals and from what other projects recorded of them."
)
CONFORMANCE = """\
# Conformance

What the laws gave when they were last tried. The numbers are recorded by the tests in `tests/conformance/results.json`, and a run that
gives others fails: with `--update-golden` it writes what it found, and `make docs` this page. A run of a part compares that part.

## Every kind, on a simulated machine

Held of tried scenarios (of each killed at every step; for the disks, of scenarios times three troubles, without
those of `xattrs`). The programs of accounts, packages
(pacman), services (sysvinit) and the kernel are stand-ins here. `gitops provider test KIND` tries the first of these laws on your machine.
*Idempotency*: second runs that changed nothing at all. *Prediction*: of all changes that were planned or happened, those that were both.

The laws:
"""
REAL = """\
## On real hosts

The real programs, on hosts booted for it; held of tried runs.
"""
ELSEWHERE = """\
## Elsewhere
"""


def make_pages() -> dict[str, str]:
    """Give every page by file name."""
    return {
        "cli.md": make_cli(),
        "kinds.md": make_kinds(),
        "diagnostics.md": make_diagnostics(),
        "exit-statuses.md": make_exits(),
        "platforms.md": make_platforms(),
        "conformance.md": make_conformance(),
    }


def make_cli() -> str:
    """Give the page of verbs, from click."""
    head = "JSON goes to standard output and names its schema; messages for people go to standard error."
    parts = [NOTE, f"# Verbs\n\n`gitops [-C DIR] VERB …`. {head}\n"]
    for name in VERBS:
        command: click.Command = importlib.import_module(VERBS[name].module).command
        parts.extend(_describe_command(f"gitops {name}", command))
    return "\n".join(parts)


def _describe_command(path: str, command: click.Command) -> Iterator[str]:
    yield f"## `{path}`\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    rows = [_option_row(item) for item in command.params if isinstance(item, click.Option) and not item.hidden]
    arguments = [f"`{item.make_metavar(click.Context(command))}`" for item in command.params if isinstance(item, click.Argument)]
    if arguments:
        yield "Arguments: " + " ".join(arguments) + "\n"
    if rows:
        yield "| option | |\n|---|---|\n" + "\n".join(rows) + "\n"
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _describe_command(f"{path} {name}", command.commands[name])


def _option_row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    kinds = "" if option.is_flag else f" {option.make_metavar(click.Context(click.Command('x')))}"
    return f"| {names}{kinds.replace('|', ' or ')} | {(option.help or '').replace('|', ' or ')} |"


def make_kinds() -> str:
    """Give the page of resource kinds, from their Specs."""
    parts = [NOTE, "# Resource kinds\n\nEvery resource also takes " + ", ".join(f"`{name}`" for name in COMMON) + ".\n"]
    for kind in sorted(PROVIDERS):
        provider = PROVIDERS[kind]
        root = "can be used with `--root`" if provider.honours_root else "cannot be used with `--root`"
        linux = "; needs Linux" if provider.needs_linux else ""
        parts.append(f"## `{kind}`\n\n{provider.summary[:1].upper()}{provider.summary[1:]}; {root}{linux}.\n")
        parts.append(inspect.cleandoc(sys.modules[type(provider).__module__].__doc__ or "") + "\n")
        rows = [_attribute_row(name, item) for name, item in sorted(known_attributes(kind).items())]
        parts.append("| attribute | takes | default | |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")
    facts = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in FACTS.items())
    parts.append(f"## Facts for `when`\n\n| fact | |\n|---|---|\n{facts}\n| `custom.NAME` | {CUSTOM_DOC} |\n")
    parts.append(
        "How to tell one: [custom facts](../how-to/custom-facts.md). The names and types of all: `gitops schema facts`.\n"
    )
    shown = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in OBSERVED.items())
    parts.append(
        f"## Facts that are shown\n\nThey stand in observations, as text; `when` does not ask them.\n\n| fact | |\n|---|---|\n{shown}\n"
    )
    return "\n".join(parts)


def _attribute_row(name: str, item: Attribute) -> str:
    default = "required" if item.is_required else "" if item.default is None else f"`{str(item.default).lower()}`"
    return f"| `{name}` | {describe_type(item).replace('|', ' or ')} | {default} | {item.doc.replace('|', ' or ')} |"


def make_diagnostics() -> str:
    """Give the page of diagnostic codes."""
    rows = "\n".join(f"| {code} | {meaning} |" for code, meaning in sorted(CODES.items()))
    return f"{NOTE}\n# Diagnostics\n\nA code never changes its meaning.\n\n| code | |\n|---|---|\n{rows}\n"


def make_platforms() -> str:
    """Give the table of kinds, platforms and how each pair is checked; a file of real tests that is not there is an error."""
    head = (
        "*Real*: the tool itself runs in the tests, on a booted host. *Recorded*: only answers of the tool are played back. *Written*: the "
        "answers that are played back are written from its sources and manual pages, never seen from the tool.\n\n"
        "dnf, zypper (Debian 12's and 13's) and pacman are Debian's builds of them, on a host that calls itself Fedora, openSUSE or Arch; "
        "none of these, nor RHEL, SLES or Alpine, is booted. "
        "OpenRC and runit are Debian's packages too; Debian's OpenRC does not notice a daemon that died, so that is recorded only. "
        f"{MAC}\n\n"
        "Packages by apt, services by systemd, users and whole machines are tested on booted Debian 11, 12 and 13; "
        "`test_agents.py` and `test_agent_unit.py` on the test machine's own release, `test_old_python.py` on Debian 11.\n"
    )
    rows = [_platform_row("package", name, MANAGER_TESTS.get(name, "")) for name in MANAGERS]
    rows.extend(_platform_row("service", item.name, SUPERVISOR_TESTS.get(item.name, "")) for item in SUPERVISORS)
    rows.extend(_platform_row(kind, "dscl", "") for kind in ("group", "user"))
    others = sorted(kind for kind in PROVIDERS if kind not in ("package", "service"))
    rows.extend(f"| `{kind}` | Debian 11, 12 and 13 | {_how_checked(kind)} |" for kind in others)
    return f"{NOTE}\n# Platforms\n\n{head}\n| kind | platform | how checked | by |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _how_checked(kind: str) -> str:
    """Name the first file of real tests that has such a resource, else say that there is none."""
    for path in sorted((ROOT / "tests/hosts").glob("test_*.py")):
        if f"- {kind}: " in path.read_text(encoding="utf-8"):
            return f"real | `tests/hosts/{path.name}`"
    return f"below a folder of the test machine (`--root`) | `tests/providers/{kind}/`, `tests/conformance`"


def _platform_row(kind: str, name: str, file: str) -> str:
    if not file:
        where = f"{name} (macOS)" if name in ON_MACS else name
        return f"| `{kind}` | {where} | written | `tests/providers/{kind}/` |"
    if not (ROOT / file).is_file():
        raise SystemExit(f"{file} is not there")
    return f"| `{kind}` | {name} | real, recorded | `{file}`, `tests/providers/{kind}/` |"


def make_conformance() -> str:
    """Give the page of laws, from what the last runs gave."""
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    simulated, hosts = recorded[SIMULATED], {name: rows for name, rows in recorded.items() if name != SIMULATED}
    laws = sorted({law for row in simulated.values() for law in row if law != PREDICTIONS}, key=list(ALL_LAWS).index)
    head = [f"{number}. {law}" for number, law in enumerate(laws, 1)]
    columns = [str(number) for number in range(1, len(laws) + 1)]
    table = [f"| kind | {' | '.join(columns)} | idempotency | prediction |", f"|---|{'---|' * (len(laws) + 2)}"]
    for kind, row in sorted(simulated.items()):
        cells = [_cell(row.get(law)) for law in laws]
        rates = [_rate(row[IDEMPOTENCY]), _rate(row[PREDICTIONS])]
        table.append(f"| `{kind}` | {' | '.join([*cells, *rates])} |")
    real = [
        f"| kind | platform | {' | '.join(HOST_LAWS)} | idempotency | prediction |",
        f"|---|---|{'---|' * (len(HOST_LAWS) + 2)}",
    ]
    for platform, rows in sorted(hosts.items()):
        for kind, row in sorted(rows.items()):
            cells = [_cell(row.get(law)) for law in HOST_LAWS]
            real.append(f"| `{kind}` | {platform} | {' | '.join([*cells, _rate(row[IDEMPOTENCY]), _rate(row[PREDICTIONS])])} |")
    rest = [f"| {platform} | {words} |" for platform, words in NOT_RUN.items()]
    return "\n".join(
        [
            NOTE,
            CONFORMANCE,
            *head,
            "",
            *table,
            "",
            REAL,
            *real,
            "",
            ELSEWHERE,
            "| platform | what is known |",
            "|---|---|",
            *rest,
            "",
        ]
    )


def _cell(counts: Sequence[int] | None) -> str:
    return "–" if counts is None else f"{counts[0]}/{counts[1]}"


def _rate(counts: Sequence[int]) -> str:
    return f"{100 * counts[0] / counts[1]:.0f} % of {counts[1]}" if counts[1] else "nothing to do"


def make_exits() -> str:
    """Give the page of exit statuses and of the errors behind them."""
    rows = "\n".join(f"| {status} | {meaning} |" for status, meaning in EXITS.items())
    kinds = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, errors.TrueupError)]
    table = "\n".join(
        f"| {item.code[0]}… | {item.exit_status} | {inspect.cleandoc(item.__doc__ or '').splitlines()[0]} |"
        for item in kinds
        if item is not errors.TrueupError
    )
    head = f"{NOTE}\n# Exit statuses\n\n| status | meaning |\n|---|---|\n{rows}\n"
    return f"{head}\n## Errors\n\n| code begins with | exit | |\n|---|---|---|\n{table}\n"


def main() -> int:
    """Write the pages, or say which differ."""
    stale = [name for name, text in make_pages().items() if not _is_written(name, text)]
    if "--check" in sys.argv:
        sys.stdout.write("".join(f"docs/reference/{name} is stale: run `make docs`\n" for name in stale))
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in make_pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


def _is_written(name: str, text: str) -> bool:
    path = FOLDER / name
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
