"""Where the cue binary is. Imports little: who only wants to know which one it would be starts fast."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def find_cue(setting: str = "") -> str:
    """Give the path of cue: the setting, GITOPS_CUE, PATH, or the checkout's own tools; empty when there is none."""
    wanted = setting or os.environ.get("GITOPS_CUE", "")
    if wanted:
        return wanted if os.access(wanted, os.X_OK) else ""
    own = CHECKOUT / ".tools" / "bin" / "cue"
    return shutil.which("cue") or (str(own) if os.access(own, os.X_OK) else "")
