"""Every state of every page: for people who see badly, use no mouse, or hear the page read out.

With the environment variable CPS_PICTURES naming a folder, each state's picture is left there:
`make pictures`.
"""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from cps.authtoken.catalogue import text
from cps.demo.login import browser_arguments
from tests.e2e.page_states import ADMINISTRATOR, STATES, desk_at, login_failed, login_missing
from tests.e2e.pictures import take_picture
from tests.support import pki
from tests.support.line import Line, running_line

pytestmark = pytest.mark.browser

DARK_PICTURES = frozenset({"login", "login-claimed", "login-failed", "session", "admin"})
PICTURE: ViewportSize = {"width": 580, "height": 480}
AXE_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
SMALL = {"width": 320, "height": 640}
"""Of WCAG 2.2, 1.4.10: no scrolling in two directions at this width."""
ZOOMED = {"width": 512, "height": 384}
"""A screen of 1024 by 768 at 200 %."""


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(**browser_arguments())
        yield started
        started.close()


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with running_line(
        tmp_path_factory.mktemp("line"),
        environment="production",
        hierarchy=pki.production_looking_hierarchy(),
        upstream="http://127.0.0.1:9",
        # The people of these tests hold no card.
        presence={"mode": "off"},
        admin={"identities": [ADMINISTRATOR.national_id]},
        guard={"routes": [{"name": "rights", "path": "/rights/{record}"}]},
    ) as running:
        yield running


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing(line: Line, browser: Browser, state: str, theme: str) -> None:
    with desk_at(line, browser, color_scheme=theme, viewport={"width": 800, "height": 700}) as desk:
        STATES[state](desk)
        settle(desk.page)
        found = Axe().run(desk.page, options=AXE_OPTIONS).response
        assert found["testEngine"]["version"] >= "4.12"
        problems = {
            violation["id"]: [node["html"][:200] for node in violation["nodes"]]
            for violation in found["violations"]
        }
        assert problems == {}
        if theme == "light" or state in DARK_PICTURES:
            desk.page.set_viewport_size(PICTURE)
            take_picture(desk.page, state if theme == "light" else f"{state}-dark")


@pytest.mark.parametrize("size", [SMALL, ZOOMED], ids=["320 pixels", "zoom 200 %"])
@pytest.mark.parametrize("state", STATES)
def test_nothing_is_cut_off(line: Line, browser: Browser, state: str, size: dict[str, int]) -> None:
    with desk_at(line, browser, viewport=size) as desk:
        STATES[state](desk)
        require_no_overflow(desk.page)
        # Text alone at twice its size, as some set it in their browser.
        desk.page.evaluate("document.documentElement.style.fontSize = '200%'")
        require_no_overflow(desk.page)
        if state == "login-missing" and size is SMALL:
            desk.page.evaluate("document.documentElement.style.fontSize = ''")
            take_picture(desk.page, f"{state}-320")


def test_the_keyboard_alone_logs_in(line: Line, browser: Browser) -> None:
    with desk_at(line, browser) as desk:
        desk.begin()
        page = desk.page
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        expect(page.locator(".skip")).to_be_in_viewport()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        page.keyboard.press("Tab")
        button = page.locator("[data-agent]").first
        expect(button).to_be_focused()
        assert outline_of(page) >= 2
        with desk.context.expect_page():
            page.keyboard.press("Enter")
        desk.shows("clicked")


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(
    line: Line, browser: Browser
) -> None:
    with desk_at(line, browser) as desk:
        login_missing(desk)
        page = desk.page
        page.locator("main").focus()
        reached = []
        for _ in range(6):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.textContent.trim()"))
            assert outline_of(page) >= 2
        assert reached == [
            text("login_page.button", "fr"), text("login_page.help_title", "fr"),
            text("login_page.help_scheme", "fr"), "port 24952", "port 24953",
            text("diag_page.link", "fr"),
        ]  # fmt: skip


def test_a_screen_reader_hears_what_happens(line: Line, browser: Browser) -> None:
    with desk_at(line, browser) as desk:
        rid = desk.begin()
        page = desk.page
        assert page.get_by_role("heading", level=1).all_text_contents() == [
            text("login_page.title", "fr")
        ]
        expect(page.get_by_role("link", name=text("login_page.button", "fr"))).to_be_visible()
        # What changes stands in the region that is read out by itself.
        status = page.get_by_role("status")
        expect(status).to_have_text("", use_inner_text=True)
        desk.click()
        desk.claim(rid)
        expect(status).to_contain_text(text("login_page.claimed", "fr"))
        current = page.locator("[aria-current=step]")
        expect(current).to_have_text(text("login_page.step_pin", "fr"), use_inner_text=True)
        done = page.locator(".progress .done").first
        expect(done).to_contain_text(text("login_page.step_done", "fr"))


def test_a_failure_is_told_with_its_code(line: Line, browser: Browser) -> None:
    with desk_at(line, browser) as desk:
        login_failed(desk)
        status = desk.page.get_by_role("status")
        expect(status).to_contain_text(text("error_title.pin_blocked", "fr"))
        expect(status).to_contain_text(text("error.pin_blocked", "fr"))
        expect(desk.page.locator("#failure-code")).to_contain_text("pin_blocked")
        again = desk.page.get_by_role("link", name=text("gateway_page.login_again", "fr"))
        expect(again).to_be_visible()
        desk.open("/_cps/diag")
        expect(desk.page.locator("#report")).to_contain_text("last-error: pin_blocked 20")


def test_the_report_can_be_copied_and_tells_the_skew(line: Line, browser: Browser) -> None:
    with desk_at(line, browser) as desk:
        desk.context.grant_permissions(["clipboard-read", "clipboard-write"])
        STATES["diagnostics"](desk)
        expect(desk.page.locator("#report")).to_contain_text("clock-skew: ")
        desk.page.locator("#copy").click()
        expect(desk.page.get_by_text(text("diag_page.copied", "fr"))).to_be_visible()
        copied = desk.page.evaluate("navigator.clipboard.readText()")
        assert copied.startswith("gateway: ")
        assert "agent-last-seen: never by this browser" in copied


def test_the_pages_ask_nobody_else_and_break_no_rule_of_their_own(
    line: Line, browser: Browser
) -> None:
    with desk_at(line, browser) as desk:
        asked: list[str] = []
        said: list[str] = []
        desk.context.on("request", lambda request: asked.append(request.url))
        desk.page.on("console", lambda message: said.append(message.text))
        for step in (STATES["session"], STATES["login-claimed"], STATES["diagnostics"]):
            step(desk)
        ours = (desk.line.origin, "http://127.0.0.1:24951/v1/login?")
        assert [url for url in asked if not url.startswith(ours)] == []
        assert [line for line in said if "Content Security Policy" in line] == []


def settle(page: Page) -> None:
    """Let nothing move any more."""
    page.emulate_media(reduced_motion="reduce")


def require_no_overflow(page: Page) -> None:
    wide = page.evaluate(
        "[document.scrollingElement, ...document.querySelectorAll('main, main *')]"
        ".filter(part => part.scrollWidth > part.clientWidth + 1 && part.clientWidth > 1"
        " && getComputedStyle(part).display !== 'inline'"
        # What was typed into a field moves inside it.
        " && part.tagName !== 'INPUT')"
        ".map(part => part.outerHTML.slice(0, 120))"
    )
    assert wide == []


def outline_of(page: Page) -> float:
    """Return how wide the ring around the focused element is, in pixels."""
    width = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
    return float(width)
