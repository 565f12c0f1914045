"""The table of verbs: name → module and one line of help. A new verb is one file and one row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """Where a verb lives; its module has a click command named `command`."""

    module: str
    summary: str


VERBS: Mapping[str, Verb] = {
    "init": Verb("gitops.cli.init", "Make a small working project."),
    "inventory": Verb("gitops.cli.inventory", "Bring machines from elsewhere into the project."),
    "validate": Verb("gitops.cli.validate", "Show every mistake in the config at once."),
    "compile": Verb("gitops.cli.compile", "Compile the config to graphs and blocks, as a release holds them."),
    "explain": Verb("gitops.cli.explain", "Show where a value, an edge or a block comes from."),
    "plan": Verb("gitops.cli.plan", "Show what would change, on the fleet or on this machine."),
    "diff": Verb("gitops.cli.diff", "Show what changes in the compiled config between two revisions."),
    "apply": Verb("gitops.cli.apply", "Plan, show, ask, and make it so."),
    "runs": Verb("gitops.cli.runs", "Show the history of runs on this machine."),
    "rollback": Verb("gitops.cli.rollback", "Undo a run."),
    "release": Verb("gitops.cli.release", "Build, sign, commit and push a release; make its keys."),
    "verify": Verb("gitops.cli.verify", "Check a release as an agent would, without applying it."),
    "trust": Verb("gitops.cli.trust", "Make the document that agents pin."),
    "agent": Verb("gitops.cli.agent", "The pull side: enroll, run, status, pause, resume."),
    "token": Verb("gitops.cli.token", "Make a one-time enrolment token for a host."),
    "serve": Verb("gitops.cli.serve", "Run the service: webhooks, API and pages."),
    "provider": Verb("gitops.cli.provider", "Providers: make an external one, test it or a built-in kind."),
    "schema": Verb("gitops.cli.schema", "Print a JSON Schema."),
    "demo": Verb("gitops.cli.demo.command", "Run the whole loop in a temporary directory."),
}
