"""Every page over HTTP: it is there, says what it should, escapes what came from outside, and its buttons do one thing for one person."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html import escape
from pathlib import Path
from urllib.parse import quote

import pytest

from gitops.render.words import name_hosts
from tests.support.browser import Browser
from tests.support.desk import HEAD, NASTY, FakeReviews, add_host, add_pull, fill, make_app, make_desk
from tests.support.people import PASSWORD, make_users
from tests.support.plans import NOW, fleet_plan
from webhooks.records import PullKey, ReleaseRecord
from webhooks.store.releases import save_release
from webhooks.ui.desk import PullDesk

ALL_WEB = name_hosts(fleet_plan().groups[1].hosts)
PULL = "/pulls/local/site-8080"
PAGES = (
    "/pulls", "/pulls?state=merged", "/pulls?state=closed", "/pulls?state=", "/pulls?state=zzz&page=9", PULL, "/pulls/local/evil",
    "/pulls/local/motd", "/pulls/local/wide", "/pulls/local/wide?page=3", "/pulls/local/many", "/pulls/local/done", "/hosts", "/hosts?q=web-01", "/hosts?q=%25",
    "/hosts?state=held", "/hosts?state=never+reported", "/hosts/web-007", "/hosts/evil-1", "/hosts/new-1", "/releases",
    "/releases?environment=production", "/releases?environment=zzz", "/runs", "/runs?result=failed", "/runs/web-011/run-web-011",
    "/runs/evil-1/run-evil-1",
)  # fmt: skip


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> PullDesk:
    made = make_desk(tmp_path_factory.mktemp("desk"))
    fill(made.store)
    return made


@pytest.fixture
def browser(desk: PullDesk) -> Browser:
    made = Browser(make_app(desk))
    made.log_in("bob", PASSWORD)
    return made


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_there_and_closed(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert 'style="' not in answer.text
    assert not re.search(r"<[^>]+\son\w+=", answer.text), "no inline handler"


@pytest.mark.parametrize(
    "path", ["/pulls?state=", "/pulls/local/evil", "/hosts/evil-1", "/runs/evil-1/run-evil-1", "/hosts?q=" + NASTY]
)
def test_what_came_from_outside_is_text(browser: Browser, path: str) -> None:
    page = browser.get(path).text
    assert re.findall(r"<script[^>]*>", page) == re.findall(r'<script src="/static/trueup\.js\?v=[0-9a-f]{12}" defer>', page)
    assert "<img src=x" not in page
    assert "javascript:" not in page
    assert "alert(" not in re.sub(r"&lt;.*?&gt;", "", page) or "&lt;script&gt;alert(" in page
    assert "\u202e" not in page


@pytest.mark.parametrize("path", ["/pulls/local/none", "/pulls/other/repo/7", "/hosts/none", "/runs/web-001/none"])
def test_what_is_not_there_is_a_page_that_says_so(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "Not found" in answer.text


def test_the_pull_page_says_what_changes_why_and_how_sure(browser: Browser) -> None:
    page = browser.get(PULL).text
    for words in (
        "Serve the site on port 8080", "waiting for approval", "824 changes in 2 groups on 412 hosts", "high risk",
        ALL_WEB, "changed by hand and here", "opaque: no check, runs every time", "mode 0600 → 0644",
        "+    listen 8080;", "oldest: db-2, 31 min", "1 of 2", fleet_plan().change_digest, "no longer managed, stays as it is", "gitops/policy",
    ):  # fmt: skip
        assert words in page, words


def test_many_hosts_stay_a_small_page(browser: Browser) -> None:
    assert len(browser.get(PULL).text) < 150_000
    assert 'href="?page=2"' in browser.get("/pulls/local/wide").text


def test_states_of_the_list(browser: Browser) -> None:
    page = browser.get("/pulls").text
    assert "ready to merge" in page
    assert "mistakes in the config" in page
    assert "First site" not in page
    assert "First site" in browser.get("/pulls?state=merged").text


def test_mistakes_name_their_place(browser: Browser) -> None:
    page = browser.get("/pulls/local/motd").text
    for words in ("1 mistake in the config", "inventory/web.yaml:14:7", "C104", "did you mean `content`?"):
        assert words in page


def test_hosts_are_filtered_and_counted(browser: Browser) -> None:
    held = browser.get("/hosts?state=held").text
    assert 'href="/hosts/web-007?' in held
    assert 'href="/hosts/web-001?' not in held
    assert "38 converged" in browser.get("/hosts").text.replace("\n", " ") or "37 converged" in browser.get("/hosts").text
    assert "1 never reported" in browser.get("/hosts").text
    assert 'href="/hosts/web-001"' not in browser.get("/hosts?q=%25").text, "a filter is text, not a pattern"
    assert "11 <span" in browser.get("/hosts").text


def test_a_release_says_who_approved_and_which_key_signed(browser: Browser) -> None:
    page = browser.get("/releases").text
    for words in ("production 12", "latest", "bob", "5e5e5e5e5e5e…", "ef" * 32, 'href="/pulls/local/done"', "release/production"):
        assert words in page


def test_what_is_held_stands_above_the_releases_until_it_is_released(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    browser = Browser(make_app(desk))
    browser.log_in("bob", PASSWORD)
    held = ReleaseRecord("local", "production", "a" * 40, "held", NOW, reason="nobody approved <it>")
    with desk.store.write() as connection:
        save_release(connection, held)
    assert "nobody approved &lt;it&gt;" in browser.get("/releases").text
    with desk.store.write() as connection:
        save_release(
            connection, replace(held, source="b" * 40, state="released", serial=1, commit="c" * 40, at=NOW + timedelta(minutes=1))
        )
    assert "nobody approved" not in browser.get("/releases").text


def test_a_release_leads_to_the_pull_request_it_came_from(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    add_pull(desk.store, "motd", state="merged", merged="a" * 40)
    with desk.store.write() as connection:
        save_release(
            connection,
            ReleaseRecord("local", "production", "a" * 40, "released", NOW, serial=1, commit="c" * 40, digest="d" * 64),
        )
    browser = Browser(make_app(desk))
    browser.log_in("bob", PASSWORD)
    assert 'href="/pulls/local/motd"' in browser.get("/releases").text


def test_a_run_says_what_failed(browser: Browser) -> None:
    page = browser.get("/runs/web-011/run-web-011").text
    assert "nginx: [emerg] unknown directive" in page
    assert page.index("failed") < page.index("/etc/motd")


def test_empty_pages_say_what_to_do_next(tmp_path: Path) -> None:
    browser = Browser(make_app(make_desk(tmp_path)))
    browser.log_in("bob", PASSWORD)
    assert "git push origin pr/motd" in browser.get("/pulls").text
    assert "gitops token web-1" in browser.get("/hosts").text
    assert "gitops verify" in browser.get("/releases").text
    assert "gitops agent run --once" in browser.get("/runs").text


def test_pages_need_a_login_and_lead_back(desk: PullDesk) -> None:
    browser = Browser(make_app(desk))
    answer = browser.get(PULL)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fpulls%2Flocal%2Fsite-8080")
    browser.get(answer.headers["location"])
    assert browser.submit("/login", {"name": "bob", "password": PASSWORD}).headers["location"] == PULL


def test_without_users_pages_are_read_only_and_local(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, make_users())
    add_pull(desk.store, "site-8080", (fleet_plan(),))
    page = Browser(make_app(desk)).get(PULL)
    assert page.status_code == 200
    assert 'action="/pulls' not in page.text
    assert Browser(make_app(desk), base="http://rebound.example").get(PULL).status_code == 403
    token = {"token": re.findall(r'name="token" value="([^"]+)"', page.text)}
    assert token == {"token": []}
    assert Browser(make_app(desk)).post(PULL + "/approve", {"change_digest": "0" * 64}).status_code == 403


@pytest.fixture
def asked(tmp_path: Path) -> tuple[Browser, FakeReviews]:
    reviews = FakeReviews()
    desk = make_desk(tmp_path, reviews=reviews)
    fill(desk.store, hosts=1)
    browser = Browser(make_app(desk))
    browser.log_in("bob", PASSWORD)
    return browser, reviews


def test_the_approve_button_approves_the_plan_that_was_shown(asked: tuple[Browser, FakeReviews]) -> None:
    browser, reviews = asked
    browser.get(PULL)
    answer = browser.submit(PULL + "/approve")
    assert answer.headers["location"] == PULL + "?done=approved"
    assert reviews.asked == [("approve", "site-8080", "bob", fleet_plan().change_digest)]
    assert "Your approval counts." in browser.get(answer.headers["location"]).text


def test_the_button_that_takes_back_is_there_for_who_approved(asked: tuple[Browser, FakeReviews]) -> None:
    browser, reviews = asked
    page = browser.get("/pulls/local/log-rotation")
    assert "Take my approval back" in page.text
    answer = browser.submit("/pulls/local/log-rotation/unapprove")
    assert answer.headers["location"] == "/pulls/local/log-rotation?done=taken-back"
    assert reviews.asked == [("take back", "log-rotation", "bob")]
    assert "Your approval is taken back." in browser.get(answer.headers["location"]).text
    assert "Take my approval back" not in browser.get(PULL).text
    reviews.refusal = "no approval of yours counts here"
    browser.get("/pulls/local/log-rotation")
    assert browser.submit("/pulls/local/log-rotation/unapprove").status_code == 409


@pytest.mark.parametrize("name", ["alice/motd", "fix-#12", "a+b", "me@home", "é", "日本/a"])
def test_a_pull_request_of_any_readable_name_has_a_page(tmp_path: Path, name: str) -> None:
    desk = make_desk(tmp_path)
    add_pull(desk.store, name, (fleet_plan(pull=name),))
    browser = Browser(make_app(desk))
    browser.log_in("bob", PASSWORD)
    found = browser.get(PullKey("local", name).path)
    assert found.status_code == 200
    assert f"pr/{escape(name)}" in found.text
    browser.get(PullKey("local", name).path)
    assert browser.submit(PullKey("local", name).path + "/approve").headers["location"].endswith("?done=approved")


def test_a_branch_that_is_no_pull_request_has_its_reason_on_the_page(tmp_path: Path) -> None:
    reviews = FakeReviews(refused={"a$<b>": "its name has '$'"})
    browser = Browser(make_app(make_desk(tmp_path, reviews=reviews)))
    browser.log_in("bob", PASSWORD)
    text = browser.get("/pulls").text
    assert "pr/a$&lt;b&gt;" in text
    assert "its name has" in text


def test_the_merge_button_merges_the_head_that_was_shown(asked: tuple[Browser, FakeReviews]) -> None:
    browser, reviews = asked
    browser.get("/pulls/local/log-rotation")
    assert browser.submit("/pulls/local/log-rotation/merge").status_code == 303
    assert reviews.asked == [("merge", "log-rotation", "bob", HEAD)]


def test_buttons_without_the_forms_token_do_nothing(asked: tuple[Browser, FakeReviews]) -> None:
    browser, reviews = asked
    for verb, field in (("approve", {"change_digest": fleet_plan().change_digest}), ("merge", {"head": HEAD})):
        assert browser.post(f"{PULL}/{verb}", field).status_code == 403
        assert browser.post(f"{PULL}/{verb}", {**field, "token": "x"}).status_code == 403
    stranger = Browser(browser._app)
    assert stranger.post(PULL + "/merge", {"head": HEAD, "token": "x"}).status_code == 303, "to the login page"
    assert reviews.asked == []


def test_a_short_digest_is_refused(asked: tuple[Browser, FakeReviews]) -> None:
    browser, reviews = asked
    browser.get(PULL)
    assert browser.submit(PULL + "/approve", {"change_digest": fleet_plan().change_digest[:12]}).status_code == 403
    assert reviews.asked == []


def test_what_may_not_be_done_says_why(asked: tuple[Browser, FakeReviews]) -> None:
    browser, reviews = asked
    reviews.refusal = "main moved meanwhile"
    browser.get(PULL)
    answer = browser.submit(PULL + "/approve")
    assert answer.status_code == 409
    assert "Main moved meanwhile; do &lt;b&gt;something&lt;/b&gt; else." in answer.text
    browser.get("/pulls/local/log-rotation")
    assert browser.submit("/pulls/local/log-rotation/merge").status_code == 409


def test_the_author_sees_no_approve_button(desk: PullDesk) -> None:
    browser = Browser(make_app(desk))
    browser.log_in("alice", PASSWORD)
    page = browser.get(PULL).text
    assert PULL + "/approve" not in page
    assert "You wrote some of it" in page


def test_assets_are_listed_and_keep(browser: Browser) -> None:
    page = browser.get("/pulls").text
    for address in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
        answer = browser.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert browser.get("/static/../pages.py").status_code == 404
    assert browser.get("/static/pages.py").status_code == 404


def test_a_thousand_hosts_are_ten_quick_pages(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, make_users())
    for number in range(120):
        add_host(desk.store, f"web-{number:04d}", "converged")
    browser = Browser(make_app(desk))
    first, second = browser.get("/hosts").text, browser.get("/hosts?page=2").text
    assert first.count('href="/hosts/web-') == 100
    assert second.count('href="/hosts/web-') == 20


def test_the_front_door_leads_to_the_pulls(browser: Browser) -> None:
    assert browser.get("/").headers["location"] == "/pulls"


@pytest.mark.parametrize(
    ("more", "query", "state", "is_moving"),
    [
        ({"planning": "waiting"}, "", "", True),
        ({}, "", "", False),
        ({}, "?done=merged", "", True),
        ({}, "?done=approved", "", False),
        ({"state": "merged", "merged": "a" * 40}, "", "", True),
        ({"state": "merged", "merged": "a" * 40}, "", "released", True),
        ({"state": "merged", "merged": "a" * 40}, "", "held", False),
        ({"state": "merged", "merged": "a" * 40, "is_settled": True}, "?done=merged", "released", False),
    ],
)
def test_a_page_loads_itself_again_while_something_is_on_its_way(
    tmp_path: Path, more: dict[str, object], query: str, state: str, is_moving: bool
) -> None:
    desk = make_desk(tmp_path)
    add_pull(desk.store, "motd", **more)
    if state:
        with desk.store.write() as connection:
            save_release(connection, ReleaseRecord("local", "production", "a" * 40, state, NOW))
    browser = Browser(make_app(desk))
    browser.log_in("bob", PASSWORD)
    assert ('http-equiv="refresh"' in browser.get("/pulls/local/motd" + query).text) == is_moving


def find_variants(browser: Browser) -> str:
    found = re.search(r'href="(/plans/[0-9]+/variants/[0-9a-f]{64})">All 300 variants', browser.get("/pulls/local/many").text)
    assert found is not None
    return found[1]


def test_what_differs_from_host_to_host_is_shown_a_stretch_at_a_time(browser: Browser) -> None:
    path = find_variants(browser)
    first, last = browser.get(path).text, browser.get(f"{path}?page=15").text
    assert ("+new web-00001" in first, "+new web-00020" in first, "+new web-00021" in first) == (True, True, False)
    assert ("+new web-00300" in last, "+new web-00001" in last) == (True, False)
    assert "?page=2" in first


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("web-00123", "+new web-00123"),
        ("  web-00123 ", "+new web-00123"),
        ("nobody", "changes nothing of it on nobody"),
        ('"><script>', "&#34;&gt;&lt;script&gt;"),
    ],
)
def test_one_hosts_variant_is_found_by_its_name(browser: Browser, host: str, words: str) -> None:
    answer = browser.get(f"{find_variants(browser)}?host={quote(host)}")
    assert answer.status_code == 200
    assert words in answer.text
    assert "+new web-00001" not in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    "path", ["/plans/1/variants/" + "0" * 64, "/plans/x/variants/a", "/plans/99999999999999/variants/" + "0" * 64]
)
def test_variants_that_are_not_there_are_said_not_to_be(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert (answer.status_code, "there is no such change" in answer.text) == (404, True)


def test_variants_are_for_those_who_may_read_pages(desk: PullDesk) -> None:
    stranger = Browser(make_app(desk))
    assert stranger.get("/plans/1/variants/" + "0" * 64).status_code in (302, 303, 401, 403)
