"""Keys, trust root, releases and their verification on the command line, with real repositories and stock git."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitops.cli.project import open_project
from gitops.model.approval import Approval
from gitops.model.graph import Graphs
from gitops.model.manifest import Manifest
from gitops.model.trustroot import read_trust_root
from gitops.pipeline.released import read_signed_manifest
from gitops.signatures.bundle import sign_manifest
from gitops.signatures.keys import read_signing_key
from gitops.signatures.sshsig import sign_ssh
from gitops.source.publish import Place, commit_files, push_commit
from gitops.source.release import open_release
from tests.support.candidates import Files, approve
from tests.support.cli import Called, call
from tests.support.project import HOST, PROJECT, SMALL, Repository

STRICT = PROJECT + '      approvals: {required: 1, from: ["user:alice"]}\n'
BRANCH = "release/production"


def host(text: str) -> dict[str, str]:
    return {"inventory/web.yaml": HOST.replace("hello", text)}


@dataclass
class Desk:
    folder: Path
    repository: Repository

    @property
    def key(self) -> Path:
        return self.folder / "K"

    @property
    def root(self) -> Path:
        return self.folder / "trust.json"

    @property
    def tip(self) -> str:
        return self.repository.git("rev-parse", BRANCH)

    def call(self, *arguments: object) -> Called:
        return call("-C", self.repository.path, *arguments)

    def release(self, *arguments: object) -> Called:
        return self.call("release", "--env", "production", "--key", self.key, *arguments)

    def verify(self, *arguments: object) -> Called:
        return self.call("verify", "--env", "production", "--trust-root", self.root, *arguments)

    def graphs(self) -> Graphs:
        return open_project(self.repository.path, "HEAD").built.compiled.graphs["production"]

    def write_approval(self, before: Graphs | None, **options: object) -> Path:
        folder = self.folder / "approvals"
        folder.mkdir(exist_ok=True)
        now = datetime.now(UTC).replace(microsecond=0)
        times = {"issued": now - timedelta(hours=1), "expires": now + timedelta(days=7)}
        approval: Approval = approve(before, self.graphs(), **{**times, **options})  # type: ignore[arg-type]
        (folder / f"{approval.digest}.json").write_bytes(approval.to_bytes())
        return folder

    def spoil(self, change: Callable[[Files], object], *, sign: bool = True) -> None:
        """Put a changed copy of the tip in its place, as somebody who can push could."""
        opened, tip = open_release(self.repository.path, self.tip), self.tip
        files = {path: opened.read(path) for path in opened.listing}
        change(files)
        parents = self.repository.git("rev-list", "--parents", "-1", tip).split()[1:]
        key = read_signing_key(self.key)
        made = commit_files(
            self.repository.path,
            files,
            parents=parents,
            message="x\n",
            now=datetime.now(UTC),
            sign=(lambda payload: sign_ssh(key, payload)) if sign else None,
        )
        assert push_commit(Place(self.repository.path, BRANCH), made, old=tip)

    def rewrite(self, change: Callable[[Manifest], Manifest]) -> None:
        """Change the manifest and sign it again, as somebody with the key could."""
        key = read_signing_key(self.key)

        def sign(files: Files) -> None:
            data = change(read_signed_manifest(open_release(self.repository.path, self.tip))).to_bytes()
            files["manifest.json"] = data
            files[f"signatures/{key.public.ident}.sigstore.json"] = sign_manifest(key, data)

        self.spoil(sign)


def make(tmp_path: Path, project: str = PROJECT) -> Desk:
    desk = Desk(tmp_path, Repository.make(tmp_path / "work", {**SMALL, "gitops.yaml": project}))
    assert call("release", "keygen", "--out", desk.key).status == 0
    assert desk.call("trust", "init", "--key", f"{desk.key}.pub", "--out", desk.root).status == 0
    return desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make(tmp_path)


@pytest.fixture
def released(desk: Desk) -> Desk:
    assert desk.release().status == 0
    return desk


def failed(called: Called, status: int, code: str = "") -> str:
    assert called.status == status, called.err
    assert f"error[{code}" in called.err
    return called.err


# ── keys and trust roots ──


def test_keys_are_made_once(desk: Desk) -> None:
    found = call("release", "keygen", "--out", desk.folder / "P", "--type", "p256", "--format", "json").json
    assert (found["schema"], found["type"]) == ("gitops/key/v1", "p256")
    failed(call("release", "keygen", "--out", desk.key), 1, "U070")
    failed(call("release", "keygen", "--out", desk.folder / "nowhere" / "K"), 1, "U071")


def test_a_trust_root_takes_what_the_project_says(tmp_path: Path) -> None:
    desk = make(tmp_path, STRICT)
    root = read_trust_root(desk.root.read_bytes())
    trust = root.environments["production"]
    assert (root.repository, root.version, root.threshold) == ("acme", 1, 1)
    assert (trust.branch, trust.required, trust.approvers) == (BRANCH, 1, ("user:alice",))
    both = desk.folder / "both.json"
    call("release", "keygen", "--out", desk.folder / "P", "--type", "p256")
    keys = ("--key", f"{desk.key}.pub", "--key", desk.folder / "P.pem")
    found = desk.call(
        "trust", "init", *keys, "--out", both, "--threshold", "2", "--commit-signature", "refuse", "--format", "json"
    )
    assert found.json["schema"] == "gitops/trust/v1"
    assert len(found.json["keys"]) == 2
    assert read_trust_root(both.read_bytes()).commit_signature == "refuse"


def test_a_trust_root_that_could_not_work_is_not_made(desk: Desk) -> None:
    def init(*arguments: object) -> Called:
        return desk.call("trust", "init", *arguments)

    key = f"{desk.key}.pub"
    failed(init("--key", key, "--out", desk.folder / "x", "--threshold", 2), 1, "U093")
    failed(init("--key", key, "--key", f"{desk.key}.pem", "--out", desk.folder / "x"), 1, "U093")
    failed(init("--key", key, "--out", desk.root), 1, "U043")
    failed(init("--key", key, "--out", desk.folder / "no" / "x"), 1, "U071")
    failed(init("--key", desk.root, "--out", desk.folder / "x"), 1, "U073")
    bare = Repository.make(
        desk.folder / "bare", {"gitops.yaml": "apiVersion: gitops/v1\nkind: Project\nmetadata: {name: acme}\n"}
    )
    failed(call("-C", bare.path, "trust", "init", "--key", key, "--out", desk.folder / "x"), 1, "U022")
    assert not (desk.folder / "x").exists()


# ── release and verify ──


def test_the_whole_way_and_what_it_says(desk: Desk) -> None:
    first = desk.release("--format", "json")
    assert first.status == 0
    assert (first.json["schema"], first.json["serial"], first.json["is_new"]) == ("gitops/released/v1", 1, True)
    assert first.json["source"] == desk.repository.git("rev-parse", "HEAD")
    assert "nothing changed" in desk.release().out
    desk.repository.commit(host("bye"))
    assert "released production 2" in desk.release().out
    found = desk.verify("--rebuild")
    assert found.status == 0, found.out + found.err
    assert found.out.count("✓") == 11
    assert "✗" not in found.out
    assert "release 2 of acme/production" in found.out
    table = desk.verify("--format", "json").json
    assert (table["schema"], table["valid"], table["serial"], table["error"]) == ("gitops/verification/v1", True, 2, None)
    assert [item["number"] for item in table["checks"]] == list(range(1, 11))


def test_stock_git_says_who_signed_the_release(released: Desk) -> None:
    allowed = released.folder / "allowed"
    allowed.write_text(f'release@example.org namespaces="git" {Path(f"{released.key}.pub").read_text()}')
    option = f"gpg.ssh.allowedSignersFile={allowed}"
    released.repository.git("-c", option, "verify-commit", BRANCH)
    assert 'Good "git" signature for release@example.org' in released.repository.git(
        "-c", option, "log", "-1", "--format=%GG", BRANCH
    )


def test_a_release_is_pushed_to_a_remote_and_verified_there(desk: Desk, tmp_path: Path) -> None:
    bare = tmp_path / "served.git"
    desk.repository.git("init", "-q", "--bare", str(bare))
    for url in (str(bare), f"file://{bare}"):
        assert desk.release("--repo", url, "--force").status == 0
    assert desk.repository.git("for-each-ref", "refs/heads").count("\n") == 0, "the own branches are left alone"
    assert desk.verify("--repo", bare).status == 0
    failed(desk.verify("--repo", bare, "--rebuild"), 7, "R032")
    desk.repository.git("push", "-q", str(bare), "main")
    assert desk.verify("--repo", bare, "--rebuild").status == 0
    assert Repository(bare).git("rev-list", "--count", BRANCH) == "2"


def test_a_project_in_a_folder_of_its_repository_is_rebuilt_from_there(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "work", {f"ops/{name}": text for name, text in SMALL.items()})
    desk = Desk(tmp_path, Repository(repository.path / "ops"))
    call("release", "keygen", "--out", desk.key)
    desk.call("trust", "init", "--key", f"{desk.key}.pub", "--out", desk.root)
    assert desk.release().status == 0
    assert desk.verify("--rebuild").status == 0


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("release",), 1, "U092"),
        (("release", "--env", "production"), 1, "U092"),
        (("release", "--env", "staging", "--key", "K"), 1, "U022"),
        (("release", "--env", "production", "--key", "missing"), 1, "U071"),
        (("release", "--env", "production", "--key", "K", "--rev", "nope"), 7, "R020"),
        (("release", "--env", "production", "--key", "K", "--repo", "file:///nowhere/at/all"), 7, "R012"),
        (("release", "--env", "production", "--key", "K", "--approvals", "missing"), 1, "U021"),
        (("release", "--env", "production", "--key", "K", "--rollback-to", "3"), 1, "U090"),
        (("verify", "--env", "production", "--trust-root", "trust.json"), 7, "R020"),
        (("verify", "--env", "staging", "--trust-root", "trust.json"), 1, "U022"),
        (("verify", "--env", "production", "--trust-root", "K.pub"), 1, "M0"),
        (("verify", "--env", "production", "--trust-root", "trust.json", "--repo", "file:///nowhere/at/all"), 7, "R012"),
    ],
)
def test_every_ending_has_its_exit_status(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int, code: str
) -> None:
    monkeypatch.chdir(desk.folder)
    failed(desk.call(*arguments), status, code)


def test_a_config_with_mistakes_is_not_released(desk: Desk) -> None:
    desk.repository.commit({"inventory/web.yaml": HOST.replace("content", "contents")})
    assert desk.release().status == 1
    assert BRANCH not in desk.repository.git("for-each-ref")


def test_a_tip_of_somebody_else_is_exit_6(released: Desk) -> None:
    assert call("release", "keygen", "--out", released.folder / "other").status == 0
    failed(released.call("release", "--env", "production", "--key", released.folder / "other", "--force"), 6, "T101")


def test_a_trust_root_is_carried_and_asks_for_its_keys(released: Desk) -> None:
    assert released.release("--force", "--trust-root", released.root).status == 0
    assert open_release(released.repository.path, released.tip).read("trust/1.json") == released.root.read_bytes()
    assert released.verify().status == 0
    call("release", "keygen", "--out", released.folder / "other")
    other = released.call(
        "release", "--env", "production", "--key", released.folder / "other", "--trust-root", released.root, "--force"
    )
    failed(other, 6, "T120")


def test_an_old_content_is_put_back_under_a_new_serial(released: Desk) -> None:
    released.repository.commit(host("bye"))
    assert released.release().status == 0
    found = released.release("--rollback-to", "1", "--format", "json").json
    assert (found["serial"], found["rollback_of"]) == (3, 1)
    assert released.verify("--rebuild").status == 0


# ── what verify refuses: the first failed check, by its number ──


def refused(desk: Desk, number: int, code: str, *arguments: object) -> str:
    found = desk.verify("--format", "json", *arguments)
    assert found.status == 6, found.err
    table = found.json
    assert (table["valid"], table["error"]["code"]) == (False, code)
    assert [item["number"] for item in table["checks"] if not item["passed"]] == [number]
    assert "✗" in desk.verify(*arguments).out
    return str(table["error"]["message"])


def later(manifest: Manifest, days: int) -> Manifest:
    return replace(manifest, issued=manifest.issued + timedelta(days=days))


def first(prefix: str) -> Callable[[Files], object]:
    def spoil(files: Files) -> None:
        path = next(name for name in sorted(files) if name.startswith(prefix))
        files[path] += b" "

    return spoil


def test_each_check_refuses_what_it_is_for(released: Desk) -> None:
    released.spoil(lambda files: [files.pop(name) for name in [*files] if name.startswith("signatures/")])
    refused(released, 1, "T101")
    released.repository.git("branch", "-D", BRANCH)
    released.release()
    released.rewrite(lambda item: replace(item, min_agent="99.0.0"))
    assert "needs an agent of version 99.0.0 or later; this is" in refused(released, 2, "T102")
    released.rewrite(lambda item: replace(item, min_agent="0.1.0", environment="staging"))
    refused(released, 3, "T103")
    released.rewrite(lambda item: replace(item, environment="production", expires=item.issued))
    refused(released, 5, "T105")
    released.rewrite(lambda item: replace(later(item, 5), expires=item.issued + timedelta(days=9)))
    refused(released, 5, "T105")


@pytest.mark.parametrize(
    ("spoil", "number"),
    [
        (lambda files: files.update({"evil.sh": b"x"}), 6),
        (first("hosts/"), 8),
        (lambda files: files.update({f"blobs/aa/{'a' * 64}": b"x"}), 8),
    ],
)
def test_a_tree_with_more_or_other_bytes_is_refused(released: Desk, spoil: Callable[[Files], object], number: int) -> None:
    released.spoil(spoil)
    refused(released, number, "T106")


def test_a_broken_history_is_refused(released: Desk) -> None:
    released.repository.commit(host("bye"))
    released.release()
    tip = open_release(released.repository.path, released.tip)
    files = {path: tip.read(path) for path in tip.listing}
    alone = commit_files(released.repository.path, files, parents=(), message="x", now=datetime.now(UTC))
    assert push_commit(Place(released.repository.path, BRANCH), alone, old=released.tip)
    assert "begins with release 2" in refused(released, 9, "T121")
    released.spoil(lambda _files: None, sign=True)
    assert released.verify("--since", "2").status == 0


def test_a_commit_that_nobody_signed_is_a_warning_or_a_refusal(released: Desk) -> None:
    released.spoil(lambda _files: None, sign=False)
    assert "warning" in released.verify().out
    released.root.unlink()
    released.call("trust", "init", "--key", f"{released.key}.pub", "--out", released.root, "--commit-signature", "refuse")
    refused(released, 10, "T101")


def test_a_release_that_does_not_come_from_its_source_is_refused(released: Desk) -> None:
    other = released.repository.commit(host("evil"))
    released.rewrite(lambda item: replace(item, commit=other))
    assert released.verify().status == 0
    assert "hosts/" in refused(released, 11, "T123", "--rebuild")
    empty = released.repository.commit({"gitops.yaml": "kind: Nothing\n"})
    released.rewrite(lambda item: replace(item, commit=empty))
    refused(released, 11, "T123", "--rebuild")
    released.rewrite(lambda item: replace(item, compiler="0.0.1"))
    assert "0.0.1" in refused(released, 11, "T122", "--rebuild")


# ── approvals ──


def test_an_approved_change_goes_out_and_an_unapproved_one_is_held(tmp_path: Path) -> None:
    desk = make(tmp_path, STRICT)
    error = failed(desk.release(), 3, "H050")
    assert "file:/etc/motd on web-1" in error
    assert desk.release("--approvals", desk.write_approval(None)).status == 0
    before = desk.graphs()
    desk.repository.commit(host("bye"))
    assert "already spent" not in failed(desk.release("--approvals", desk.folder / "approvals"), 3, "H050")
    assert desk.release("--approvals", desk.write_approval(before)).status == 0
    found = desk.verify("--rebuild")
    assert found.status == 0, found.out
    assert "by 1, from release 1 on" in found.out
    assert "by 1, from release 2 on" in desk.verify("--since", "2").out
    assert "by 1, from release 1 on" in desk.verify("--since", "1").out


def test_an_unapproved_release_anywhere_in_the_history_is_found(tmp_path: Path) -> None:
    desk = make(tmp_path)
    assert desk.release().status == 0
    desk.repository.commit(host("bye"))
    assert desk.release().status == 0
    desk.repository.commit({"gitops.yaml": STRICT})
    assert desk.release("--force").status == 0
    desk.root.unlink()
    assert desk.call("trust", "init", "--key", f"{desk.key}.pub", "--out", desk.root).status == 0
    assert "release 1 made changes" in refused(desk, 9, "T107")
    assert desk.verify("--since", "2").status == 0
    assert desk.verify("--since", "3").status == 0


@pytest.mark.parametrize("content", ["{}", "no JSON"])
def test_an_approval_that_is_none_is_a_mistake_of_the_caller(desk: Desk, content: str) -> None:
    folder = desk.folder / "approvals"
    folder.mkdir()
    (folder / "x.json").write_text(content)
    assert "x.json" in failed(desk.release("--approvals", folder), 1, "M0")
