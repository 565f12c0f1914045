"""`gitops provider`: scaffolds that obey every law, and programs that break one, each found by the law that it breaks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from gitops.config.schemas import make_schemas
from tests.support.cli import call
from tests.support.programs import keeper

SCHEMAS = make_schemas()


def make(folder: Path, language: str = "python") -> Path:
    """Scaffold a provider whose file is in `folder`, with one case."""
    assert call("-C", folder, "provider", "new", "demo", "--language", language).status == 0
    made = folder / "providers/demo"
    for path in made.iterdir():
        path.write_text(path.read_text().replace("/tmp/demo.conf", str(folder / "demo.conf")))
    return made


def keep_one_case(made: Path, **more: object) -> None:
    cases = json.loads((made / "cases.json").read_text())
    cases["cases"] = [{**cases["cases"][0], **more}]
    (made / "cases.json").write_text(json.dumps(cases))


@pytest.mark.parametrize("language", ["python", "sh"])
def test_a_new_provider_is_valid_and_obeys_every_law(tmp_path: Path, language: str) -> None:
    made = make(tmp_path, language)
    Draft202012Validator(SCHEMAS["provider-cases"]).validate(json.loads((made / "cases.json").read_text()))
    (tmp_path / "gitops.yaml").write_text("apiVersion: gitops/v1\nkind: Project\nmetadata: {name: x}\n")
    assert call("-C", tmp_path, "validate").status == 0
    called = call("provider", "test", made, "--format", "json")
    assert [item for item in called.json["verdicts"] if not item["holds"]] == []
    assert (called.status, len(called.json["verdicts"])) == (0, 21)
    Draft202012Validator(SCHEMAS["provider-test"]).validate(called.json)


BREAKS = [
    ("provider=NAME", 'provider="other"', "it says hello in time, by its declared name"),
    ("attributes=sorted(VALUES)", "attributes=[]", "it describes what is declared"),
    ('if chosen < max(versions["min"], PROTOCOLS[0]):', "if False:", "a protocol of the future is refused"),
    ('raise ValueError("unknown operation `%s`" % operation)', 'say(number, "result")', "an unknown operation is an error, and it goes on"),
    ("say(number, \"error\", code=\"failed\", message=\"%s: %s\" % (type(error).__name__, error))", 'say(number, "result")', "garbage is an error, not an answer"),
    ("sys.exit(0)", 'say(number, "result")', "cancel ends it"),
    ("    check(values)\n    do(", "    do(", "unknown values are refused"),
    ("    found = read()\n    return", "    found = read()\n    write(found)\n    return", "observing changes nothing"),
    ('found[name] = values["value"]', 'found[name] = values["value"].upper()', "applied twice it changes once"),
    ('("update", before.get("values", {}))', '("update", {"value": "never"})', "undo restores"),
    ("found.pop(name, None)", "pass", "removed and brought back, or refused"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "law"), BREAKS, ids=[law for _, _, law in BREAKS])
def test_a_program_that_breaks_a_law_is_found_by_it(tmp_path: Path, old: str, new: str, law: str) -> None:
    made = make(tmp_path)
    keep_one_case(made)
    program = made / "provider.py"
    assert old in program.read_text()
    program.write_text(program.read_text().replace(old, new))
    called = call("provider", "test", made)
    assert called.status == 4
    lines = [line for line in called.out.splitlines() if line.startswith("BROKEN")]
    assert any(line.endswith(law) for line in lines), called.out


def test_a_program_that_a_kill_leaves_broken_is_found(tmp_path: Path) -> None:
    made = make(tmp_path)
    keep_one_case(made)
    program = made / "provider.py"
    lock = str(tmp_path / "lock")
    text = program.read_text().replace(
        "    found = read()\n    if action",
        f"    open({lock!r}, 'x').close()\n    MADE.append(1)\n    found = read()\n    if action",
    )
    text = text.replace("NAME = ", "MADE = []\nNAME = ", 1)
    after = f"    main()\n    if MADE:\n        __import__('time').sleep(0.3)\n        os.unlink({lock!r})"
    assert text != program.read_text()
    program.write_text(text.replace("    main()", after))
    called = call("provider", "test", made, "--format", "json")
    broken = [item["law"] for item in called.json["verdicts"] if not item["holds"]]
    assert broken[0] == "killed while it applies, the next run recovers"


def test_what_cannot_be_removed_must_refuse(tmp_path: Path) -> None:
    made = make(tmp_path)
    keep_one_case(made, removable=False)
    called = call("provider", "test", made, "--format", "json")
    broken = {item["law"]: item["reason"] for item in called.json["verdicts"] if not item["holds"]}
    assert "was removed" in broken["removed and brought back, or refused"]


@pytest.mark.parametrize("name", ["Demo", "a/b", "..", ""])
def test_a_name_that_is_none_makes_nothing(tmp_path: Path, name: str) -> None:
    assert call("-C", tmp_path, "provider", "new", name).status == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(tmp_path: Path) -> None:
    made = make(tmp_path)
    before = (made / "provider.py").read_text()
    assert call("-C", tmp_path, "provider", "new", "demo", "--language", "sh").status == 1
    assert (made / "provider.py").read_text() == before


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "providers").write_text("a file")
    called = call("-C", tmp_path, "provider", "new", "demo")
    assert (called.status, "cannot write" in called.err) == (1, True)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("provider.yaml", None, "has no provider.yaml"),
        ("provider.yaml", "a: [", "error[C701]"),
        ("provider.yaml", "a: b", "not one Provider document"),
        ("provider.yaml", "kind: Provider\napiVersion: gitops/v1\nmetadata: {name: demo}\nspec: {executable: none.py}", "C301"),
        ("cases.json", None, "cannot read"),
        ("cases.json", "{", "not JSON"),
        ("cases.json", '{"cases": []}', "has no cases"),
        ("cases.json", '{"cases": [], "more": 1}', "unknown key"),
        ("cases.json", '{"cases": [{"name": "x", "set": {"valu": "x"}, "other": {}}]}', "declares no value `valu`"),
        ("cases.json", '{"cases": [{"name": "x", "set": {"value": 1}, "other": {}}]}', "expected a string"),
    ],
)
def test_a_folder_that_is_not_whole_is_said(tmp_path: Path, file: str, text: str | None, words: str) -> None:
    made = make(tmp_path)
    if text is None:
        (made / file).unlink()
    else:
        (made / file).write_text(text)
    called = call("provider", "test", made)
    assert called.status == 1
    assert words in called.err


def test_a_built_in_kind_is_tried_on_a_machine_of_its_own(tmp_path: Path) -> None:
    called = call("-C", tmp_path, "provider", "test", "user", "--format", "json")
    assert (called.status, called.json["provider"], {item["holds"] for item in called.json["verdicts"]}) == (0, "user", {True})
    Draft202012Validator(SCHEMAS["provider-test"]).validate(called.json)
    text = call("-C", tmp_path, "provider", "test", "user")
    assert "holds   create       observing changes nothing" in text.out
    assert "user: 27 of 27 laws hold." in text.err
    assert list(tmp_path.iterdir()) == []


def test_what_is_neither_a_kind_nor_a_folder_is_refused(tmp_path: Path) -> None:
    called = call("-C", tmp_path, "provider", "test", "files")
    assert (called.status, "neither a kind nor a folder" in called.err, "file, git_checkout, group" in called.err) == (
        1,
        True,
        True,
    )


def test_the_half_that_speaks_the_protocol_is_renewed_and_the_author_s_stays(tmp_path: Path) -> None:
    made = make(tmp_path)
    program = made / "provider.py"
    new = program.read_text()
    mark = "# --- the protocol;"
    program.write_text(new.partition(mark)[0] + "# mine\n" + mark + " of long ago\nprint('nothing')\n")
    program.chmod(0o750)
    called = call("provider", "update", made)
    assert (called.status, "was renewed" in called.err) == (0, True)
    assert program.read_text() == new.replace(mark, "# mine\n" + mark)
    assert program.stat().st_mode & 0o777 == 0o750
    assert sorted(path.name for path in made.iterdir()) == ["cases.json", "provider.py", "provider.yaml"]
    again = call("provider", "update", made)
    assert (again.status, "up to date" in again.err) == (0, True)
    assert call("provider", "test", made).status == 0


def test_a_program_of_another_making_is_not_renewed(tmp_path: Path) -> None:
    made = make(tmp_path)
    program = made / "provider.py"
    program.write_text("#!/usr/bin/env python3\n")
    called = call("provider", "update", made)
    assert (called.status, "U083" in called.err, program.read_text()) == (1, True, "#!/usr/bin/env python3\n")
    program.write_bytes(b"\xff")
    assert call("provider", "update", made).status == 1
    assert call("provider", "update", tmp_path / "nowhere").status == 1


SECRET_CASE = {"name": "first", "set": {"value": "x", "token": "first-sesame"}, "other": {"value": "y", "token": "second-sesame"}}


def make_keeper(folder: Path, language: str) -> Path:
    made, program = make(folder, language), {"python": "provider.py", "sh": "provider.sh"}[language]
    (folder / "things").mkdir()
    (made / program).write_text(keeper(language, folder / "things"))
    text = (made / "provider.yaml").read_text()
    (made / "provider.yaml").write_text(
        text.replace("required: true}", "required: true}\n    token: {type: secret}").replace(
            "  protocol: 2\n", "  protocol: 2\n  on_notify: restart\n"
        )
    )
    (made / "cases.json").write_text(json.dumps({"cases": [SECRET_CASE]}))
    return made


@pytest.mark.parametrize("language", ["python", "sh"])
def test_a_provider_with_secrets_and_notifications_obeys_their_laws(tmp_path: Path, language: str) -> None:
    called = call("provider", "test", make_keeper(tmp_path, language), "--format", "json")
    assert [item for item in called.json["verdicts"] if not item["holds"]] == []
    laws = {item["law"] for item in called.json["verdicts"]}
    assert {"its secrets come out nowhere", "a notification is taken, and changes nothing declared"} <= laws


TELLS = [
    ('return {"exists": True,', 'sys.stdout.write(""); values["value"] += wanted.get("token", "")\n    return {"exists": True,', "applied twice it changes once"),
    ("def refresh(name, action):", "def refresh(name, action):\n    put(name, {'value': 'z'})\n\ndef other(name, action):", "a notification is taken, and changes nothing declared"),
    ('result="changed")', 'result="changed", message=str(item.get("set")))', "its secrets come out nowhere"),
    ("def refresh(name, action):", "def other(name, action):", "a notification is taken, and changes nothing declared"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "law"), TELLS)
def test_a_program_that_is_careless_with_them_is_found(tmp_path: Path, old: str, new: str, law: str) -> None:
    made = make_keeper(tmp_path, "python")
    program = made / "provider.py"
    assert old in program.read_text()
    program.write_text(program.read_text().replace(old, new))
    called = call("provider", "test", made)
    lines = [line for line in called.out.splitlines() if line.startswith("BROKEN")]
    assert (called.status, any(line.endswith(law) for line in lines)) == (4, True), called.out
