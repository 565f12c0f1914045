"""One plan in a process of its own, for `benchmarks/fleet.py`, by whatever build is found first: only what builds have in common."""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gitops.model.codec import decode_canonical, digest_bytes
from gitops.model.graph import Block, Graphs, HostGraph
from gitops.model.observation import Observation
from gitops.plan.fleet import FleetInputs, PlanSubject, plan_fleet
from gitops.providers.registry import PROVIDERS
from gitops.render.comment import CommentSubject, Section, render_comment

TELLS_RELEASED = "as_released" in {item.name for item in fields(Observation)}


def work_alone(scratch: Path, work: str) -> None:
    """Plan one work and print what it took."""
    now = datetime(2026, 11, 30, tzinfo=UTC)
    released = None if work == "first" else read_graphs(scratch / "base")
    desired = read_graphs(scratch / {"first": "base", "nothing": "base"}.get(work, work))
    observations: dict[str, Any] = {} if released is None else observe_all(released, now)
    begun, used = time.perf_counter(), time.process_time()
    inputs = FleetInputs(desired, released, observations, serial=1)
    plan = plan_fleet(PlanSubject("fleet", "production", "pull/1", "a" * 40, "b" * 40), inputs, providers=PROVIDERS)
    document = plan.to_bytes()
    comment = render_comment(CommentSubject("b" * 40, "a" * 40, "main"), [Section(plan)], now=now)
    parts: dict[str, bytes] = getattr(plan, "parts", {})
    row = {
        "seconds": time.perf_counter() - begun,
        "cpu": time.process_time() - used,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "document": len(document),
        "parts": sum(len(data) for data in parts.values()),
        "comment": len(comment.encode()),
        "groups": len(plan.groups),
        "changes": plan.summary()["changes"],
    }
    print(json.dumps(row))


def read_graphs(folder: Path) -> Any:
    """Read what `compile --out` wrote: as the service does, blocks are shared objects."""
    hosts = [
        HostGraph.from_json(decode_canonical(path.read_bytes()))
        for path in sorted(folder.glob("hosts/*/*.json"))
        if path.name != "index.json"
    ]
    named = {digest for graph in hosts for digest in graph.blocks}
    contents = {path.name: path.read_bytes() for path in folder.glob("blobs/*/*")}
    blocks = {digest: Block.from_json(decode_canonical(contents.pop(digest))) for digest in sorted(named)}
    return Graphs("production", {graph.host: graph for graph in hosts}, blocks, contents)


def observe_all(graphs: Any, now: Any) -> dict[str, Any]:
    """Make what hosts report that are as released: a state each, of which none is shared, as they come from a store."""
    found = {}
    for host in graphs.hosts:
        states = {item.address: state_of(item) for item in graphs.resources_of(host)}
        as_released = {"as_released": frozenset(graphs.hosts[host].blocks)} if TELLS_RELEASED else {}
        found[host] = Observation(host, now, {"os.family": "debian"}, states, 1, **as_released)
    return found


def state_of(item: Any) -> dict[str, Any]:
    """Give the state of a resource that is as it is declared."""
    if item.kind == "package":
        return {"installed": "1.0-1", "broken": False, "held": False, "automatic": False}
    if item.kind == "service":
        return {"exists": True, "running": True, "enabled": True}
    if item.kind == "user":
        return {
            "exists": True,
            "uid": 1001,
            "group": item.name,
            "gid": 1001,
            "groups": [],
            "home": f"/home/{item.name}",
            "shell": "/bin/sh",
        }
    content = item.attributes["content"]
    known = {"digest": content["blob"], "size": content["size"]} if isinstance(content, dict) and "blob" in content else None
    data = b"" if known else str(content).encode()
    mode = str(item.attributes.get("mode", "0644"))
    inline = {"digest": digest_bytes(data), "size": len(data)}
    return {"type": "file", "mode": mode, "owner": "root", "group": "root", "parents": [], **(known or inline)}


if __name__ == "__main__":
    work_alone(Path(sys.argv[1]), sys.argv[2])
