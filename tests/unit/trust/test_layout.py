"""Only known names, only plain files, each with the digest that it hangs from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest

from gitops.errors import ConfigError, TrustError
from gitops.model.candidate import Candidate, Listed
from gitops.model.codec import digest_bytes, encode_canonical
from gitops.model.fleetplan import FleetPlan, PlanSubject
from gitops.model.graph import Block, HostGraph, shard_of
from gitops.model.limits import DEFAULTS
from gitops.release.tree import layout_graphs
from gitops.trust.contents import read_content, read_graphs, read_host, read_plan
from gitops.trust.layout import check_layout
from gitops.trust.reading import read_bounded
from tests.support.candidates import (
    FIRST,
    LARGE,
    LARGE_DIGEST,
    RICH,
    Files,
    Releaser,
    file,
    graphs,
    resign,
    set_shards,
)

SHARD = shard_of("web-1")
HOST = f"hosts/{SHARD}/web-1.json"
INDEX = f"hosts/{SHARD}/index.json"
HEX = "a" * 64


def refused(run: Callable[[], object]) -> str:
    with pytest.raises(TrustError) as caught:
        run()
    assert caught.value.code == "T106"
    return caught.value.message


@pytest.mark.parametrize("mode", ["100755", "120000", "160000", "100664", "100600", "040000"])
def test_a_mode_that_is_not_plain_is_refused(mode: str) -> None:
    releaser = Releaser()
    files = releaser.make()
    assert mode in refused(lambda: releaser.verify(files, modes={HOST: mode}))


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "manifest.json.bak",
        "Manifest.json",
        "manifest.json/x",
        ".gitattributes",
        "signatures/x.sigstore.json",
        f"signatures/{HEX.upper()}.sigstore.json",
        f"signatures/{HEX}.json",
        f"signatures/a/{HEX}.sigstore.json",
        f"hosts/{SHARD}/web-2.json",
        f"hosts/{SHARD}/WEB-1.json",
        f"hosts/{SHARD}/web-1.JSON",
        f"hosts/{SHARD}/web-1.json ",
        f"hosts/{SHARD}/w\u0435b-1.json",
        f"hosts/{SHARD}/index",
        f"hosts/{SHARD.upper()}z/index.json",
        "hosts/index.json",
        f"blobs/bb/{HEX}",
        f"blobs/aa/{HEX}0",
        f"blobs/AA/{HEX.upper()}",
        f"plans/{HEX}.json",
        "plans/.json",
        f"approvals/{HEX}.json",
        f"approvals/{HEX}",
        "trust/0.json",
        "trust/x.json",
        "trust/1.txt",
        "trust/\u0661.json",
        f"trust/1.sigs/{HEX}",
        f"trust/1/{HEX}.sigstore.json",
        f"trust/x.sigs/{HEX}.sigstore.json",
        "trust/1.sigs/a/b",
        "trust",
        "extensions",
        "extensions/..",
        "extensions/.hidden",
        "extensions/a b",
        "extensions/\u212a",
        "extensions/x/",
    ],
)
def test_a_name_that_does_not_belong_is_refused(path: str) -> None:
    releaser = Releaser()
    files = releaser.make(spoil=lambda files: files.update({path: b"x"}))
    assert "does not belong" in refused(lambda: releaser.verify(files))


def test_names_that_differ_only_by_case_are_refused() -> None:
    releaser = Releaser()
    files = releaser.make(spoil=lambda files: files.update({"extensions/A": b"", "extensions/a": b""}))
    refused(lambda: releaser.verify(files))


def test_all_names_of_the_design_are_known() -> None:
    releaser = Releaser()
    plan = make_plan()

    def add(files: Files) -> None:
        files["trust/1.json"] = files[f"trust/2.sigs/{HEX}.sigstore.json"] = files["extensions/a/b.txt"] = b""
        files[f"signatures/{HEX}.sigstore.json"] = b"somebody else's"
        files[f"plans/{plan.content_digest}.json"] = plan.to_bytes()

    files = releaser.make(RICH, change=lambda item: replace(item, plan=plan.content_digest), spoil=add)
    assert releaser.verify(files).manifest.serial == 1


class Many(Mapping[str, Listed]):
    """A listing that only claims to be long."""

    def __getitem__(self, path: str) -> Listed:
        return Listed("100644", 0)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return DEFAULTS.release_files + 1


def test_too_much_is_refused_before_it_is_read() -> None:
    releaser = Releaser()
    manifest = releaser.verify(releaser.make()).manifest
    refused(lambda: check_layout(Candidate(Many(), {}.__getitem__), manifest))
    refused(
        lambda: check_layout(Candidate({"manifest.json": Listed("100644", DEFAULTS.release_bytes + 1)}, {}.__getitem__), manifest)
    )
    signature = Candidate(
        {f"signatures/{'a' * 64}.sigstore.json": Listed("100644", DEFAULTS.signature_bytes + 1)}, {}.__getitem__
    )
    assert f"larger than {DEFAULTS.signature_bytes} bytes" in refused(lambda: check_layout(signature, manifest))
    huge = Candidate({"x": Listed("100644", 11)}, {"x": b"0" * 11}.__getitem__)
    refused(lambda: read_bounded(huge, "x", 10))
    lying = Candidate({"x": Listed("100644", 0)}, {"x": b"0" * 11}.__getitem__)
    refused(lambda: read_bounded(lying, "x", 10))
    assert "not fetched" in refused(lambda: read_bounded(Candidate(lying.listing, {}.__getitem__), "x", 10))


# ── what hangs from the manifest ──


def test_a_host_gets_its_own_and_the_shared_resources() -> None:
    releaser = Releaser()
    found = releaser.verify(releaser.make(RICH))
    assert [item.name for item in read_host(found, "web-1") or ()] == ["/etc/issue", "/etc/motd", "/etc/x"]
    assert [item.name for item in read_host(found, "web-2") or ()] == ["/etc/issue", "/etc/x", "/srv/large"]
    assert read_content(found, LARGE_DIGEST) == LARGE


def test_a_host_that_is_not_listed_has_nothing() -> None:
    releaser = Releaser()
    found = releaser.verify(releaser.make())
    assert read_host(found, "web-2") is None
    in_shard = next(name for name in (f"n{index}" for index in range(5000)) if shard_of(name) == SHARD)
    assert read_host(found, in_shard) is None


@pytest.mark.parametrize("prefix", ["hosts/", "blobs/"])
def test_a_changed_graph_index_or_block_is_refused(prefix: str) -> None:
    releaser = Releaser()
    for path in sorted(name for name in releaser.make(RICH) if name.startswith(prefix)):
        releaser.last = None
        files = releaser.make(RICH, spoil=lambda files, path=path: files.update({path: files[path] + b" "}))  # type: ignore[misc]
        found = releaser.verify(files)
        refused(lambda found=found: read_graphs(found.candidate, found.manifest))  # type: ignore[misc]


def test_a_changed_content_is_refused() -> None:
    releaser = Releaser()
    path = f"blobs/{LARGE_DIGEST[:2]}/{LARGE_DIGEST}"
    files = releaser.make(RICH, spoil=lambda files: files.update({path: b"other"}))
    refused(lambda: read_content(releaser.verify(files), LARGE_DIGEST))


def test_the_whole_tree_comes_back_as_it_was() -> None:
    releaser = Releaser()
    found = releaser.verify(releaser.make(RICH))
    assert read_graphs(found.candidate, found.manifest) == RICH


@pytest.mark.parametrize("path", [f"blobs/aa/{HEX}", f"hosts/{SHARD}/"])
def test_what_hangs_from_nothing_is_refused(path: str) -> None:
    releaser = Releaser()
    if path.endswith("/"):
        path += next(name for name in (f"n{index}" for index in range(5000)) if shard_of(name) == SHARD) + ".json"
    files = releaser.make(spoil=lambda files: files.update({path: b"x"}))
    found = releaser.verify(files)
    assert "hangs from nothing" in refused(lambda: read_graphs(found.candidate, found.manifest))


def test_another_hosts_graph_under_my_name_is_refused() -> None:
    releaser = Releaser()
    other = HostGraph("web-2", "production").to_bytes()
    found = releaser.verify(hang(releaser, other))
    assert "another host's" in refused(lambda: read_host(found, "web-1"))


def test_another_environments_graph_is_refused() -> None:
    releaser = Releaser()
    found = releaser.verify(hang(releaser, HostGraph("web-1", "staging").to_bytes()))
    refused(lambda: read_host(found, "web-1"))


@pytest.mark.parametrize("data", [b"[]", b"{}", b"no"])
def test_a_graph_that_is_none_is_refused(data: bytes) -> None:
    releaser = Releaser()
    found = releaser.verify(hang(releaser, data))
    refused(lambda: read_host(found, "web-1"))


def test_a_block_that_is_none_is_refused() -> None:
    releaser = Releaser()
    block = b"{}"
    graph = HostGraph("web-1", "production", (digest_bytes(block),)).to_bytes()
    files = hang(releaser, graph)
    files[f"blobs/{digest_bytes(block)[:2]}/{digest_bytes(block)}"] = block
    found = releaser.verify(files)
    assert "block" in refused(lambda: read_host(found, "web-1"))


def test_one_address_twice_is_refused() -> None:
    releaser = Releaser()
    block = Block("module/a", (file("/etc/motd"),)).to_bytes()
    graph = HostGraph("web-1", "production", (digest_bytes(block),), (file("/etc/motd", "other"),)).to_bytes()
    files = hang(releaser, graph)
    files[f"blobs/{digest_bytes(block)[:2]}/{digest_bytes(block)}"] = block
    found = releaser.verify(files)
    assert "twice" in refused(lambda: read_host(found, "web-1"))


@pytest.mark.parametrize("index", [[], {"web-1": 1}, {"web-1": "x"}, {"index": HEX}, "no"])
def test_an_index_that_is_none_is_refused(index: object) -> None:
    releaser = Releaser()
    data = b"no" if index == "no" else encode_canonical(index)  # type: ignore[arg-type]
    files = releaser.make()
    files[INDEX] = data
    assert releaser.last is not None
    resign(files, releaser.keys[0], set_shards({SHARD: digest_bytes(data)}), releaser.last)
    found = releaser.verify(files)
    refused(lambda: read_host(found, "web-1"))


def test_a_host_in_another_shards_index_is_refused() -> None:
    releaser = Releaser()
    data = encode_canonical({"web-1": HEX})
    files = releaser.make(graphs({}))
    files["hosts/00/index.json"] = data
    assert SHARD != "00"
    assert releaser.last is not None
    resign(files, releaser.keys[0], set_shards({"00": digest_bytes(data)}), releaser.last)
    found = releaser.verify(files)
    assert "another shard" in refused(lambda: read_graphs(found.candidate, found.manifest))
    assert read_host(found, "web-1") is None


def test_a_host_named_like_an_index_is_never_laid_out() -> None:
    with pytest.raises(ConfigError):
        layout_graphs(graphs({"index": [file("/x")]}))


# ── the plan ──


def make_plan(repository: str = "acme") -> FleetPlan:
    return FleetPlan(PlanSubject(repository, "production"), change_digest=HEX)


def with_plan(releaser: Releaser, data: bytes) -> Files:
    path = f"plans/{digest_bytes(data)}.json"
    return releaser.make(
        change=lambda item: replace(item, plan=digest_bytes(data)), spoil=lambda files: files.update({path: data})
    )


def test_the_plan_comes_back_as_it_was() -> None:
    releaser = Releaser()
    found = releaser.verify(with_plan(releaser, make_plan().to_bytes()))
    plan = read_plan(found.candidate, found.manifest)
    assert plan is not None
    assert plan.to_bytes() == make_plan().to_bytes()
    found = releaser.verify(releaser.make(FIRST))
    assert read_plan(found.candidate, found.manifest) is None


@pytest.mark.parametrize("data", [b"{}", make_plan("evil").to_bytes()])
def test_a_plan_that_is_none_or_anothers_is_refused(data: bytes) -> None:
    releaser = Releaser()
    found = releaser.verify(with_plan(releaser, data))
    refused(lambda: read_plan(found.candidate, found.manifest))


def hang(releaser: Releaser, graph: bytes) -> Files:
    """Give a release, properly signed, whose web-1 has these bytes as its graph."""
    files = releaser.make()
    index = encode_canonical({"web-1": digest_bytes(graph)})
    files.update({HOST: graph, INDEX: index})
    assert releaser.last is not None
    resign(files, releaser.keys[0], set_shards({SHARD: digest_bytes(index)}), releaser.last)
    return files
