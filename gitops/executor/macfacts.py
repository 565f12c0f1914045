"""Facts of a Mac, from Apple's own file about its release and from what is there; no process is run.

Given over those that Linux' files would tell. Where only a process would know (addresses, whether it is a virtual machine) a fact is empty.
"""

from __future__ import annotations

import os
import re
from typing import Dict

RELEASE = "/System/Library/CoreServices/SystemVersion.plist"
BREWS = ("/opt/homebrew/bin/brew", "/usr/local/bin/brew")
# Not by plistlib: to import it would cost every run on every machine 4 ms.
VERSION = r"<key>ProductVersion</key>\s*<string>([0-9A-Za-z.]+)</string>"
MIB = 1 << 20


def read_mac_facts(root: str) -> Dict[str, str]:
    """Give what is otherwise on a Mac; nothing on any other machine."""
    try:
        with open(root + RELEASE, encoding="utf-8", errors="replace") as stream:
            text = stream.read(65536)
    except OSError:
        return {}
    return {
        "os.family": "darwin",
        "os.name": "macos",
        "os.version": _find_version(text),
        "init": "launchd",
        "memory": _find_memory(),
        "virtualisation": "",
        "package_manager": "brew" if any(os.path.exists(root + path) for path in BREWS) else "",
    }


def _find_version(text: str) -> str:
    match = re.search(VERSION, text)
    return match.group(1) if match else ""


def _find_memory() -> str:
    try:
        return str(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB)
    except (OSError, ValueError):
        return ""
