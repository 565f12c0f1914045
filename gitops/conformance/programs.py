"""The laws of external providers, run against a provider's real program: `gitops provider test`.

Takes the folder of a provider with its `cases.json`; gives a Verdict for each law and case. The program is started by the executor's own
host and driven by the executor's own runs, with a state of their own in a scratch folder; what it manages is this machine's, so the
cases name things that may be changed here. Each case ends with its thing as it was found.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import cast

from gitops.conformance.bench import Bench
from gitops.conformance.subject import Case, Subject
from gitops.conformance.verdict import BrokenLawError, Verdict
from gitops.errors import TrueupError
from gitops.executor.journal import has_memory
from gitops.model.codec import Json, decode_json
from gitops.model.limits import DEFAULTS
from gitops.model.observation import State
from gitops.model.report import Report
from gitops.providers.conversation import Client
from gitops.providers.external import NOT_KEPT

UNKNOWN = "no_such_value"


def judge_provider(subject: Subject, scratch: Path) -> Iterator[Verdict]:
    """Run every law; give the verdicts as they come."""
    bench = Bench(subject, scratch)
    for law, check in PROGRAM_LAWS.items():
        yield _judge(law, "", lambda check=check: check(bench))
    for case in subject.cases:
        before = bench.observe(case)
        for law, check in _list_case_laws(subject).items():
            yield _judge(law, case.name, lambda check=check, case=case: check(bench, case))
        yield _judge("everything is as it was found", case.name, lambda case=case, before=before: _restored(bench, case, before))


def _judge(law: str, case: str, check: Callable[[], None]) -> Verdict:
    try:
        check()
    except BrokenLawError as broken:
        return Verdict(law, case, str(broken))
    except (TrueupError, OSError) as error:
        return Verdict(law, case, error.message if isinstance(error, TrueupError) else str(error))
    return Verdict(law, case)


def _expect(holds: bool, reason: str) -> None:  # noqa: FBT001  reads as a sentence
    if not holds:
        raise BrokenLawError(reason)


def _exchange(bench: Bench, *lines: str) -> list[Json]:
    """Send lines to a fresh program and give one answer to each; an end instead of an answer is null."""
    session = bench.start()
    answers: list[Json] = []
    try:
        for line in lines:
            session.send(line.encode(), DEFAULTS.provider_start_seconds)
            try:
                answers.append(decode_json(session.receive()))
            except TrueupError as error:
                if "ended without" not in error.message:
                    raise
                answers.append(None)
                break
    finally:
        session.close()
    return answers


def _is_error(answer: Json) -> bool:
    return answer is None or (isinstance(answer, dict) and answer.get("event") == "error")


def _says_hello(bench: Bench) -> None:
    session = bench.start()
    try:
        body = Client(session, protocol=bench.protocol).hello()
    finally:
        session.close()
    name = bench.subject.declared.name
    _expect(body.get("provider") == name, f"it says it is {body.get('provider')!r}, declared is {name!r}")


def _describes(bench: Bench) -> None:
    with bench.greeted() as client:
        _, body = client.ask("describe", {})
    got, declared = body.get("attributes"), sorted(bench.subject.declared.attributes)
    _expect(isinstance(got, list) and sorted(map(str, got)) == declared, f"got {got}, declared {declared}")


def _refuses_future(bench: Bench) -> None:
    answers = _exchange(bench, '{"id":1,"op":"hello","protocol":{"min":900,"max":901}}')
    _expect(_is_error(answers[0]), "it agreed to a protocol that it cannot know")


def _refuses_operations(bench: Bench) -> None:
    hello = f'{{"id":1,"op":"hello","protocol":{{"min":{bench.protocol},"max":{bench.protocol}}}}}'
    answers = _exchange(bench, hello, '{"id":2,"op":"no-such-operation"}', '{"id":3,"op":"describe"}')
    _expect(_is_error(answers[1]), "an unknown operation is not an error")
    _expect(len(answers) > 2 and not _is_error(answers[2]), "after an error it does not go on")  # noqa: PLR2004


def _survives_garbage(bench: Bench) -> None:
    for garbage in ("garbage", "{", "[]", '"x"', "{}", '{"id":1}', "\x00", '{"id":1,"op":7}'):
        answers = _exchange(bench, garbage)
        _expect(_is_error(answers[0]), f"{garbage!r} is answered as if it were a request")


def _refuses_values(bench: Bench) -> None:
    before = [bench.observe(case) for case in bench.subject.cases]
    for case in bench.subject.cases:
        item: Json = {
            "name": case.name,
            "action": "update",
            "set": {**case.other, UNKNOWN: "x"},
            "before": {"exists": False, "values": {}},
        }
        try:
            with bench.greeted() as client:
                items, _ = client.ask("apply", {"items": [item]})
            _expect(all(one.get("result") == "failed" for one in items), f"it took the value `{UNKNOWN}`")
        except TrueupError as error:
            _expect("the provider says" in error.message, error.message)
    _expect([bench.observe(case) for case in bench.subject.cases] == before, "it refused, and changed something all the same")


def _ends(bench: Bench) -> None:
    answers = _exchange(bench, '{"id":1,"op":"cancel"}')
    _expect(_is_error(answers[0]), "after cancel it answers")


def _observing_changes_nothing(bench: Bench, case: Case) -> None:
    before = bench.look()
    states = [bench.observe(case), bench.observe(case)]
    _expect("trouble" not in states[0], str(states[0].get("trouble")))
    _expect(states[0] == states[1], "two looks differ")
    changed = sorted(path for path, found in bench.look().items() if found != before[path])
    _expect(not changed, f"it changed {', '.join(changed)}")


def _plans_alike(bench: Bench, case: Case) -> None:
    first, second = (bench.plan(bench.resource(case, values)).changes for values in (case.other, case.other))
    _expect(first == second, "two plans differ")


def _applies_once(bench: Bench, case: Case) -> None:
    for values in (case.values, case.other):
        resource = bench.resource(case, values)
        bench.apply(resource)
        left = bench.plan(resource).changes
        _expect(not left, "after apply the plan still says: " + ", ".join(f"{one.action} {one.fields}" for one in left))
        again = bench.apply(resource)
        _expect(again.result == "converged", f"the second run {again.result}")


def _undoes(bench: Bench, case: Case) -> None:
    bench.apply(bench.resource(case, bench.undoable(case.values)))
    before = bench.observe(case)
    report = bench.apply(bench.resource(case, bench.undoable(case.other)))
    undone = bench.roll_back(report)
    _expect(undone.result == "reverted", "; ".join(item.message for item in undone.changes))
    _expect(bench.observe(case) == before, f"it is {bench.observe(case)}, it was {before}")


def _removes(bench: Bench, case: Case) -> None:
    bench.apply(bench.resource(case, bench.undoable(case.values)))
    before = bench.observe(case)
    if not case.is_removable:
        report = Report.from_json(bench.run("apply", bench.resource(case, is_absent=True))["report"])
        _expect(report.result == "failed", "it is said not to be removable, and was removed")
        _expect(bench.observe(case) == before, "it refused to remove it, and changed it")
        return
    report = bench.apply(bench.resource(case, is_absent=True))
    _expect(bench.observe(case).get("exists") is False, "it is still there")
    _expect(bench.apply(bench.resource(case, is_absent=True)).result == "converged", "the second removal is no rest")
    undone = bench.roll_back(report)
    said = "; ".join(item.message for item in undone.changes if item.message)
    is_told = not has_memory() and said.endswith(NOT_KEPT)  # its secret has nowhere to be kept here
    _expect(undone.result == "reverted" or is_told, f"the undo of a removal does not bring it back: {said}")
    _expect(bench.observe(case) == before, "the undo of a removal brings back something else")


def _recovers(bench: Bench, case: Case) -> None:
    for values, others, has_begun in ((case.other, case.values, False), (case.values, case.other, True)):
        session = bench.start()
        try:
            client = Client(session, protocol=bench.protocol)
            client.hello()
            step: Json = {
                "name": case.name,
                "action": "update",
                "set": dict(values),
                "before": {"exists": False, "values": {}},
            }
            line = json.dumps({"id": 2, "op": "apply", "items": [step]})
            session.send(line.encode(), DEFAULTS.provider_start_seconds)
            if has_begun:
                session.receive()
            session.kill()
        finally:
            session.close(is_wanted=False)
        resource = bench.resource(case, values)
        bench.apply(resource)
        _expect(not bench.plan(resource).changes, "after a kill and a run something is left to do")
        bench.apply(bench.resource(case, others))


def _keeps_secrets(bench: Bench, case: Case) -> None:
    """Read what it says itself, of which the executor would take the secrets out; then what the executor made of it."""
    for values in (case.values, case.other):
        thing: Json = {"name": case.name, "set": dict(values)}
        step: Json = {**thing, "action": "update", "before": {"exists": False, "values": {}}}
        with bench.greeted() as client:
            answers = [client.ask(operation, {"items": [item]})[0] for operation, item in (("observe", thing), ("apply", step))]
        said = _list_texts([dict(item) for found in answers for item in found])
        told = sorted(
            name for name, value in values.items() if bench.is_secret(name) and any(str(value) in text for text in said)
        )
        _expect(not told, f"it tells its secret `{', '.join(told)}`")
        bench.apply(bench.resource(case, values))
    _expect(not bench.find_told(), f"a secret came out {bench.find_told()}")


def _list_texts(value: Json) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _list_texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _list_texts(item)]
    return [value] if isinstance(value, str) else []


def _takes_notifications(bench: Bench, case: Case) -> None:
    bench.apply(bench.resource(case))
    before = bench.observe(case)
    with bench.greeted() as client:
        item: Json = {"name": case.name, "action": bench.subject.declared.on_notify}
        items, _ = client.ask("refresh", {"items": [item]})
    _expect([one.get("result") for one in items] == ["changed"], f"it answers {[dict(one) for one in items]}")
    _expect(bench.observe(case) == before, "the notification changed what it has")


def _list_case_laws(subject: Subject) -> Mapping[str, Callable[[Bench, Case], None]]:
    """Give the laws of a case; those of secrets and notifications for who has them."""
    found = dict(CASE_LAWS)
    if any(item.type == "secret" for item in subject.declared.attributes.values()):
        found["its secrets come out nowhere"] = _keeps_secrets
    if subject.declared.on_notify:
        found["a notification is taken, and changes nothing declared"] = _takes_notifications
    return found


def _restored(bench: Bench, case: Case, before: State) -> None:
    if before.get("exists") is True:
        bench.apply(bench.resource(case, cast("Mapping[str, Json]", before.get("values") or {})))
    elif case.is_removable:
        bench.apply(bench.resource(case, is_absent=True))
    _expect(bench.observe(case) == before, "it is not")


PROGRAM_LAWS: Mapping[str, Callable[[Bench], None]] = {
    "it says hello in time, by its declared name": _says_hello,
    "it describes what is declared": _describes,
    "a protocol of the future is refused": _refuses_future,
    "an unknown operation is an error, and it goes on": _refuses_operations,
    "garbage is an error, not an answer": _survives_garbage,
    "cancel ends it": _ends,
    "unknown values are refused": _refuses_values,
}
CASE_LAWS: Mapping[str, Callable[[Bench, Case], None]] = {
    "observing changes nothing": _observing_changes_nothing,
    "the plan is deterministic": _plans_alike,
    "applied twice it changes once": _applies_once,
    "undo restores": _undoes,
    "removed and brought back, or refused": _removes,
    "killed while it applies, the next run recovers": _recovers,
}
