"""Laws of `init`: the project works at once, and nothing that is there is ever touched."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from gitops.cli.examples import PLACES
from gitops.cli.init import STARTER
from tests.support.cli import call
from tests.support.project import Repository


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def test_the_new_project_validates_plans_and_applies(tmp_path: Path) -> None:
    project, root = tmp_path / "Acme", tmp_path / "root"
    root.mkdir()
    made = call("init", project)
    assert made.status == 0, made.err
    assert set(files_of(project)) == set(STARTER)
    assert "name: acme}" in (project / "gitops.yaml").read_text()
    valid = call("-C", project, "validate", "--format", "json")
    assert (valid.status, valid.json["diagnostics"]) == (0, [])
    there = ["--local", "--host", "web-1", "--root", root]
    planned = call("-C", project, "plan", *there)
    assert planned.status == 2, planned.err
    applied = call("-C", project, "apply", *there, "--yes")
    assert applied.status == 0, applied.err
    assert call("-C", project, "plan", *there).status == 0
    assert (
        root / "etc/motd.d/50-gitops"
    ).read_text() == "This machine is managed from Git.\nHost web-1, questions to admin@example.org\n"
    assert call("-C", project, "explain", "web-1").status == 0


def test_the_new_project_is_a_repository_and_its_revision_plans(tmp_path: Path) -> None:
    assert call("init", tmp_path / "p").status == 0
    repository = Repository(tmp_path / "p")
    assert repository.git("symbolic-ref", "HEAD") == "refs/heads/main"
    repository.commit({})
    assert repository.git("status", "--porcelain") == ""
    assert call("-C", repository.path, "plan", "--rev", "HEAD").status == 2
    assert call("-C", repository.path, "diff").status == 0


def test_here_is_the_default_and_a_repository_above_is_used(tmp_path: Path) -> None:
    above = Repository.make(tmp_path / "above", {"x": "x"})
    (above.path / "config").mkdir()
    assert call("-C", above.path / "config", "init").status == 0
    assert not (above.path / "config" / ".git").exists()
    assert call("-C", above.path / "config", "validate").status == 0


def put(name: str, text: str = "mine") -> Callable[[Path], None]:
    def place(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    return place


def dangle(folder: Path) -> None:
    (folder / "README.md").symlink_to("nowhere")


def divert(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "modules").symlink_to("elsewhere")


@pytest.mark.parametrize(
    ("place", "named"),
    [
        (put("gitops.yaml"), "gitops.yaml"),
        (put("README.md", ""), "README.md"),
        (put("inventory"), "inventory"),
        (dangle, "README.md"),
        (divert, "modules"),
    ],
)
def test_whatever_is_in_the_way_is_named_and_nothing_is_written(
    tmp_path: Path, place: Callable[[Path], None], named: str
) -> None:
    place(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    contents = files_of(tmp_path)
    made = call("init", tmp_path)
    assert (made.status, made.out) == (1, "")
    assert named in made.err
    assert sorted(tmp_path.rglob("*")) == before
    assert files_of(tmp_path) == contents


def test_a_second_init_changes_nothing(tmp_path: Path) -> None:
    assert call("init", tmp_path / "p").status == 0
    before = files_of(tmp_path / "p")
    made = call("init", tmp_path / "p")
    assert made.status == 1
    assert all(name in made.err for name in STARTER)
    assert files_of(tmp_path / "p") == before


def test_a_file_is_no_folder_for_a_project(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    made = call("init", tmp_path / "file")
    assert made.status == 1
    assert "not a folder" in made.err


def test_the_workflow_is_one_and_gives_away_no_rights(tmp_path: Path) -> None:
    assert call("init", tmp_path).status == 0
    workflow = yaml.safe_load((tmp_path / ".github/workflows/config.yaml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["plan"]["steps"]
    assert [step["with"].get("run") for step in steps] == [None, None, "validate", "plan"]
    assert all(step["with"]["persist-credentials"] is False for step in steps[:2])
    action = yaml.safe_load((Path(__file__).parents[3] / "action" / "action.yml").read_text())
    assert all(set(step["with"]) <= set(action["inputs"]) for step in steps[2:])


@pytest.mark.parametrize("name", ["Ünicode", "a..b", "-x"])
def test_a_folder_that_is_no_name_gives_another_name(tmp_path: Path, name: str) -> None:
    assert call("init", tmp_path / name).status == 0
    assert "name: servers}" in (tmp_path / name / "gitops.yaml").read_text()


EXAMPLES = Path(__file__).parents[3] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/gitops.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_made_as_it_is_and_validates(tmp_path: Path, name: str) -> None:
    made = call("init", tmp_path / "p", "--example", name)
    assert made.status == 0, made.err
    assert files_of(tmp_path / "p") == files_of(EXAMPLES / name)
    valid = call("-C", tmp_path / "p", "validate", "--format", "json")
    assert (valid.status, valid.json["diagnostics"]) == (0, [])
    again = call("init", tmp_path / "p", "--example", name)
    assert (again.status, "U043" in again.err) == (1, True)


def test_examples_are_listed_with_what_they_show(tmp_path: Path) -> None:
    listed = call("-C", tmp_path, "init", "--examples")
    assert listed.status == 0
    assert [line.split()[0] for line in listed.out.splitlines()] == NAMES
    assert "hello        The smallest project: one environment" in listed.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["nothing", "", "..", "../examples/hello", "systemd", "/etc"])
def test_another_name_is_no_example_and_writes_nothing(tmp_path: Path, name: str) -> None:
    made = call("init", tmp_path / "p", "--example", name)
    assert (made.status, "U047" in made.err, ", ".join(NAMES) in made.err) == (1, True, True)
    assert not (tmp_path / "p").exists()


def test_the_built_package_holds_the_examples(tmp_path: Path) -> None:
    settings = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text())
    included = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["examples"] == "gitops/_examples"
    assert PLACES[0] == EXAMPLES.parent / "gitops/_examples"
