"""The pages in a real Chromium: what a person does works, with a keyboard, on a phone, in the dark and without JavaScript.

No page may log an error, break its own content policy, ask anybody else for anything, or be wider than the screen.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page

from tests.support.chromium import Watched, open_chromium, serve_app, watch_page
from tests.support.desk import FakeReviews, add_pull, fill, make_app, make_desk
from tests.support.people import PASSWORD
from tests.support.plans import fleet_plan
from webhooks.ui.desk import PullDesk

pytestmark = [pytest.mark.ui, pytest.mark.xdist_group("ui")]

PULL = "/pulls/local/site-8080"
PAGES = (
    "/pulls", "/pulls?state=", PULL, "/pulls/local/evil", "/pulls/local/motd", "/pulls/local/wide", "/hosts", "/hosts?state=held",
    "/hosts/web-009", "/hosts/evil-1", "/releases", "/runs", "/runs/web-011/run-web-011", "/runs/evil-1/run-evil-1",
)  # fmt: skip


@pytest.fixture(scope="module")
def reviews() -> FakeReviews:
    return FakeReviews()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, reviews: FakeReviews) -> PullDesk:
    made = make_desk(tmp_path_factory.mktemp("desk"), reviews=reviews)
    fill(made.store)
    return made


@pytest.fixture(scope="module")
def base(desk: PullDesk) -> Iterator[str]:
    with serve_app(make_app(desk)) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


def log_in(page: Page, path: str = "/pulls", name: str = "bob") -> None:
    page.goto(path)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{path}")


@pytest.fixture
def watched(chromium: Browser, base: str) -> Iterator[Watched]:
    made = watch_page(chromium, base)
    yield made
    made.page.context.close()
    assert made.wrong == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_page_fits_the_screen_and_does_nothing_wrong(chromium: Browser, base: str, width: int, scheme: str) -> None:
    made = watch_page(chromium, base, width=width, scheme=scheme)
    dialogs: list[str] = []
    made.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    log_in(made.page)
    for path in PAGES:
        answer = made.page.goto(path)
        assert answer is not None
        assert answer.status == 200
        wide = made.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, f"{path} is {wide} px too wide at {width}"
    made.page.context.close()
    assert made.wrong == []
    assert dialogs == []


def test_log_in_approve_and_log_out(watched: Watched, reviews: FakeReviews) -> None:
    page = watched.page
    log_in(page, PULL)
    page.get_by_role("button", name="Approve this plan").first.click()
    page.wait_for_url(f"**{PULL}?done=approved")
    assert page.get_by_role("status").inner_text() == "Your approval counts."
    assert reviews.asked[-1] == ("approve", "site-8080", "bob", fleet_plan().change_digest)
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    page.goto(PULL)
    assert "/login" in page.url


def test_merge(watched: Watched, reviews: FakeReviews) -> None:
    log_in(watched.page, "/pulls/local/log-rotation")
    watched.page.get_by_role("button", name="Merge and release").click()
    watched.page.wait_for_url("**?done=merged")
    assert reviews.asked[-1][:3] == ("merge", "log-rotation", "bob")


def test_a_wrong_password_is_said_and_the_name_kept(chromium: Browser, base: str) -> None:
    made = watch_page(chromium, base)
    page = made.page
    page.goto("/login")
    page.get_by_label("Name").fill("bob")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    assert page.get_by_role("alert").inner_text() == "Wrong name or password."
    assert page.get_by_label("Name").input_value() == "bob"
    page.context.close()
    assert [item for item in made.wrong if "401" not in item] == []


def test_the_keyboard_reaches_everything_that_can_be_done(watched: Watched) -> None:
    page = watched.page
    page.goto("/login?next=" + quote(PULL, safe=""))
    page.keyboard.type("bob")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{PULL}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    reached: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("(document.activeElement.textContent || '').trim().slice(0, 40)"))
    for words in ("Hosts", "Log out", "diff +1 −1", "Approve this plan", "Change digest"):
        assert any(words in item for item in reached), f"{words} not in {reached}"
    outline = page.evaluate(
        "getComputedStyle(document.querySelector('button.main:focus-visible') || document.activeElement).outlineStyle"
    )
    assert outline in ("solid", "auto"), "the focus can be seen"


def test_folded_lists_unfold(watched: Watched) -> None:
    page = watched.page
    log_in(page, PULL)
    last = page.get_by_role("link", name="web-411", exact=True).first
    assert not last.is_visible()
    page.locator("summary", has_text="411 hosts").first.click()
    assert last.is_visible()
    page.get_by_text("What approving this covers").first.click()
    assert page.get_by_role("cell", name="wanted").first.is_visible()


def test_the_copy_button_copies_the_whole_command(chromium: Browser, base: str) -> None:
    made = watch_page(chromium, base, permissions=["clipboard-read", "clipboard-write"])
    log_in(made.page, PULL)
    made.page.get_by_text("Change digest").first.click()
    made.page.get_by_role("button", name="Copy approve command").first.click()
    made.page.get_by_role("button", name="Copied").first.wait_for()
    copied = made.page.evaluate("navigator.clipboard.readText()")
    made.page.context.close()
    assert copied == f"/gitops approve {fleet_plan().change_digest}"
    assert made.wrong == []


def test_everything_works_without_javascript(chromium: Browser, base: str, reviews: FakeReviews) -> None:
    made = watch_page(chromium, base, java_script_enabled=False)
    log_in(made.page, PULL)
    assert not made.page.get_by_role("button", name="Copy approve command").first.is_visible()
    made.page.locator("summary", has_text="411 hosts").first.click()
    assert made.page.get_by_role("link", name="web-411", exact=True).first.is_visible()
    made.page.get_by_role("button", name="Approve this plan").first.click()
    made.page.wait_for_url(f"**{PULL}?done=approved")
    made.page.context.close()
    assert reviews.asked[-1][0] == "approve"
    assert made.wrong == []


def test_a_planning_pull_shows_its_plan_by_itself(watched: Watched, desk: PullDesk) -> None:
    add_pull(desk.store, "fresh", planning="waiting", planned_head="")
    log_in(watched.page, "/pulls/local/fresh")
    assert watched.page.get_by_text("planning", exact=True).is_visible()
    add_pull(desk.store, "fresh", (fleet_plan(3, pull="fresh"),))
    watched.page.get_by_text("waiting for approval").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(chromium: Browser, base: str, scheme: str) -> None:
    made = watch_page(chromium, base, scheme=scheme)
    log_in(made.page)
    poor: dict[str, float] = {}
    for path in (PULL, "/hosts", "/runs/web-011/run-web-011"):
        made.page.goto(path)
        poor |= {f"{path} {text}": ratio for text, ratio in made.page.evaluate(CONTRAST) if ratio < 4.5}
    made.page.context.close()
    assert poor == {}


# Relative luminance and contrast of WCAG 2.2, of each element with text of its own against the nearest opaque background.
CONTRAST = """() => {
  const parts = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return n.length > 3 && n[3] === 0 ? null : n; };
  const light = ([r, g, b]) => [r, g, b].map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; })
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => { for (; node; node = node.parentElement) { const c = parts(getComputedStyle(node).backgroundColor); if (c) return c; } return [255, 255, 255]; };
  return [...document.querySelectorAll("body *")].filter((node) => node.checkVisibility() && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
    .map((node) => { const a = light(parts(getComputedStyle(node).color)), b = light(ground(node));
      return [node.textContent.trim().slice(0, 30), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]; });
}"""


def test_a_thousand_hosts_open_quickly(chromium: Browser, tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    add_pull(desk.store, "site-8080", (fleet_plan(1000),))
    with serve_app(make_app(desk)) as base:
        made = watch_page(chromium, base)
        log_in(made.page, PULL)
        seconds = made.page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd / 1000")
        made.page.context.close()
    assert made.wrong == []
    assert seconds < 3
