"""Fail when branch coverage is under the gates of CONVENTIONS: overall, and whole for model, plan and trust."""

from __future__ import annotations

import json
import sys
from pathlib import Path

OVERALL = 90.0
FULL = 100
WHOLE = ("gitops/model/", "gitops/plan/", "gitops/trust/")


def find_failures(report: dict[str, dict[str, dict[str, dict[str, float]]]]) -> list[str]:
    """Give a line for each gate that is not reached."""
    failures: list[str] = []
    totals = report["totals"]
    overall = float(totals["percent_covered"])  # type: ignore[arg-type]
    if overall < OVERALL:
        failures.append(f"overall: {overall:.1f} %, expected at least {OVERALL:.0f} %")
    for name, entry in sorted(report["files"].items()):
        if name.startswith(WHOLE) and entry["summary"]["percent_covered"] < FULL:
            failures.append(f"{name}: {entry['summary']['percent_covered']:.1f} %, expected 100 %")
    sys.stdout.write(f"coverage: {overall:.1f} % of lines and branches\n")
    return failures


if __name__ == "__main__":
    found = find_failures(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    for line in found:
        sys.stdout.write(f"coverage gate: {line}\n")
    sys.exit(1 if found else 0)
