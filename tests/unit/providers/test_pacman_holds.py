"""Holds of pacman: lines of IgnorePkg in the options of pacman.conf, added and taken out without touching anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from gitops.providers.host import FileWrite
from gitops.providers.packages.pacman import CONFIG, Pacman, add_ignored, drop_ignored, read_ignored
from tests.support.casehost import CaseHost

TEXT = """\
# IgnorePkg = commented
[options]
Architecture = auto
IgnorePkg = linux  linux-headers
  IgnorePkg=tool-*
IgnoreGroup = base
[core]
IgnorePkg = elsewhere
Server = file:///srv
"""


class ConfigHost(CaseHost):
    """A machine with a pacman.conf that may be written."""

    def __init__(self, text: str, trouble: str = "") -> None:
        super().__init__({})
        self.text = text
        self.trouble = trouble
        self.prepared: list[str] = []

    def read_text(self, path: str) -> str:
        assert path == CONFIG
        return self.text

    def prepare(self, paths: Sequence[str], *, is_sensitive: bool = False, has_content: bool = True) -> Mapping[str, str]:
        self.prepared.extend(paths)
        return {}

    def write_files(self, writes: Sequence[FileWrite]) -> Mapping[str, str]:
        assert self.prepared == [write.path for write in writes], "written before it was journalled"
        if self.trouble:
            return {CONFIG: self.trouble}
        self.text = str(writes[0].content)
        return {}


def test_only_the_options_say_what_is_ignored() -> None:
    assert read_ignored(TEXT) == ["linux", "linux-headers", "tool-*"]
    assert read_ignored("") == []


def test_a_name_gets_a_line_of_its_own_once() -> None:
    added = add_ignored(TEXT, ["nginx", "linux"])
    assert added == TEXT.replace("[options]\n", "[options]\nIgnorePkg = nginx\n")
    assert add_ignored(added, ["nginx"]) == added
    assert drop_ignored(added, ["nginx"]) == TEXT


def test_a_name_leaves_the_others_of_its_line() -> None:
    assert drop_ignored(TEXT, ["linux", "elsewhere", "tool-a"]) == TEXT.replace("linux  linux-headers", "linux-headers")


def test_a_hold_is_journalled_written_and_released() -> None:
    host = ConfigHost(TEXT)
    assert Pacman().set_hold(["nginx"], host, is_held=True) == ""
    assert "nginx" in read_ignored(host.text)
    assert Pacman().set_hold(["nginx"], host, is_held=True) == ""
    assert host.prepared == [CONFIG], "nothing is written when nothing changes"
    host.prepared.clear()
    assert Pacman().set_hold(["nginx"], host, is_held=False) == ""
    assert host.text == TEXT


@pytest.mark.parametrize(
    ("text", "name", "is_held", "words"),
    [
        (TEXT, "tool-a", False, "`tool-*` of IgnorePkg"),
        ("[core]\n", "nginx", True, "has no section [options]"),
        (TEXT, "nginx", True, "the disk is full"),
    ],
)
def test_what_cannot_be_is_said_and_writes_nothing(text: str, name: str, is_held: bool, words: str) -> None:
    host = ConfigHost(text, "the disk is full")
    assert words in Pacman().set_hold([name], host, is_held=is_held)
    assert host.text == text
