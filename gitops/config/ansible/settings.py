"""An `ansible.cfg` beside an inventory: which of its settings change what an inventory means. None is applied; each is told."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from gitops.config.ansible.inventory import Inventory
from gitops.config.yaml import decode_text
from gitops.model.diagnostic import Diagnostic, Place

_SECTION = re.compile(r"\[([^\]]+)\]")
_SETTING = re.compile(r"([^\s=:#;\[][^=:]*?)\s*[=:]\s*(.*?)\s*(?:\s;.*)?\Z")
EXPORT = "import what `ansible-inventory --list --yaml --export` writes instead"
_IGNORED = "rename or remove what is not to be read; the usual endings are passed over"
MEANT = {
    ("defaults", "inventory"): "import each of its sources",
    ("defaults", "hash_behaviour"): f"maps replace each other here; {EXPORT}",
    ("defaults", "precedence"): EXPORT,
    ("defaults", "inventory_ignore_extensions"): _IGNORED,
    ("defaults", "inventory_ignore_patterns"): _IGNORED,
    ("defaults", "yaml_valid_extensions"): "rename the files: .yml, .yaml and .json are read as YAML",
    ("defaults", "vars_plugins_enabled"): EXPORT,
    ("inventory", "ignore_extensions"): _IGNORED,
    ("inventory", "ignore_patterns"): _IGNORED,
    ("inventory", "enable_plugins"): EXPORT,
}
USUAL = {("defaults", "hash_behaviour"): "replace"}


def note_settings(data: bytes, file: str, into: Inventory, imported: str) -> None:
    """Say which settings are not applied; not those that say the default, or name what is `imported` (as seen from the file)."""
    text = decode_text(data, file)
    if isinstance(text, Diagnostic):
        into.leave_out("ansible.cfg is not read: it is no UTF-8 text", text.place, hint=text.hint)
        return
    for section, key, value, place in _list_settings(text, file):
        hint = MEANT.get((section, key))
        is_usual = value.lower() == USUAL.get((section, key)) or (key == "inventory" and posixpath.normpath(value) == imported)
        if hint is not None and value and not is_usual:
            into.leave_out(f"the setting `{key} = {value[:60]}` is not applied", place, hint=hint)


def _list_settings(text: str, file: str) -> Iterator[tuple[str, str, str, Place]]:
    """Give section, key, value and place of each setting, as Python's configparser reads them, first lines of values only."""
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.strip()[0] in "#;" or line[0].isspace():
            continue
        header, setting = _SECTION.match(line), _SETTING.match(line)
        if header is not None:
            section = header[1]
        elif setting is not None:
            yield section, setting[1].lower(), setting[2], Place(file, number)
