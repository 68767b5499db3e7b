"""One login in every mood of a browser: what it forbids, forgets, doubles or brings along."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from cps.authtoken.catalogue import text
from cps.demo import people
from cps.demo.login import AGENT_LINK, STEP_MILLISECONDS, browser_arguments, chromium
from cps.demo.run import Demo
from tests.e2e.pictures import take_picture

pytestmark = [pytest.mark.pcscd, pytest.mark.browser]

HELP_MILLISECONDS = 15_000
"""Far above the 5 s after which a missing agent is explained."""
SESSION_COOKIE = "__Host-cps-session"
FAR_PORT = 24953
"""An agent's port that no agent holds here."""


def begin(context: BrowserContext, demo: Demo, path: str = "/") -> Page:
    """Open the portal in a new tab, and so the login page."""
    page = context.new_page()
    page.goto(f"{demo.origin}{path}")
    assert urlsplit(page.url).path == "/_cps/login"
    return page


def require_portal(page: Page, demo: Demo, path: str = "/") -> None:
    """Check that the portal shows itself, to the holder of the card."""
    page.wait_for_url(f"{demo.origin}{path}")
    expect(page.locator("#professional")).to_have_text(demo.holder, ignore_case=True)


def session_of(context: BrowserContext) -> str | None:
    """Return the session's cookie."""
    return next(
        (str(cookie["value"]) for cookie in context.cookies() if cookie["name"] == SESSION_COOKIE),
        None,
    )


def set_permission(page: Page, name: str, setting: str) -> None:
    """Answer for the person what the browser would ask, in the page's own context."""
    devtools = page.context.new_cdp_session(page)
    context = devtools.send("Target.getTargetInfo")["targetInfo"]["browserContextId"]
    devtools.send(
        "Browser.setPermission",
        {"permission": {"name": name}, "setting": setting, "browserContextId": context},
    )


@pytest.mark.parametrize("is_public", [True, False], ids=["internet", "this computer"])
def test_a_page_logs_in_whether_or_not_it_may_reach_this_computer(
    demo: Demo, *, is_public: bool
) -> None:
    """Local Network Access: where the permission is denied, the login does not need it."""
    place = f"127.0.0.1:{urlsplit(demo.origin).port}"
    flags = [f"--ip-address-space-overrides={place}=public"] if is_public else []
    # Without our own policy, which forbids that too: what is seen here is the browser's own no.
    with chromium(*flags) as plain, other_context(plain, bypass_csp=True) as context:
        page = begin(context, demo)
        set_permission(page, "loopback-network", "denied")
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        agent = page.locator(AGENT_LINK).get_attribute("href")
        page.evaluate("url => fetch(url, {mode: 'no-cors'}).catch(() => null)", agent)
        # Either the browser does not go there, or the agent was reached and its answer kept back.
        why = "loopback` address space" if is_public else "ERR_BLOCKED_BY_RESPONSE"
        assert any(why in line for line in said), said
        page.locator(AGENT_LINK).click()
        require_portal(page, demo)


@pytest.mark.parametrize("setting", ["granted", "denied", "prompt"])
def test_the_report_tells_what_the_browser_allows(demo: Demo, setting: str) -> None:
    with chromium() as plain, other_context(plain) as context:
        page = context.new_page()
        set_permission(page, "loopback-network", setting)
        page.goto(f"{demo.origin}/_cps/diag")
        expect(page.locator("#report")).to_contain_text(f"loopback-permission: {setting}\n")


def test_the_report_is_there_without_script(demo: Demo) -> None:
    with chromium() as plain, other_context(plain, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{demo.origin}/_cps/diag")
        expect(page.locator("#report")).to_contain_text(f"origin: {demo.origin}")
        expect(page.locator("#report")).not_to_contain_text("loopback-permission")
        expect(page.locator("#copy")).to_be_hidden()


def test_the_login_ends_on_the_page_asked_for_in_one_tab(demo: Demo) -> None:
    with chromium() as context:
        number = next(iter(people.made_up_people(1))).nir
        asked = f"/?numero={number}&more=1%202"
        page = begin(context, demo, asked)
        page.locator(AGENT_LINK).click()
        require_portal(page, demo, asked)
        assert context.pages == [page]
        page.set_viewport_size({"width": 580, "height": 480})
        take_picture(page, "portal")


def test_where_the_first_tab_was_closed_the_portal_opens_in_the_agents(demo: Demo) -> None:
    with chromium() as context:
        page = begin(context, demo)
        link = page.locator(AGENT_LINK).get_attribute("href")
        assert link is not None
        # As a click leaves it; a real one would let the login be over before the tab is closed.
        context.add_cookies(
            [{"name": "cps-waiting", "value": "1", "url": f"{demo.origin}/_cps/callback"}]
        )
        other = context.new_page()
        page.close()
        other.goto(link)
        require_portal(other, demo)


def test_two_browsers_get_a_session_each(demo: Demo) -> None:
    with chromium() as first, other_context(first) as second:
        pages = [begin(context, demo, f"/?numero={place}") for place, context in
                 enumerate((first, second))]  # fmt: skip
        for place, page in enumerate(pages):
            page.locator(AGENT_LINK).click()
            require_portal(page, demo, f"/?numero={place}")
        sessions = [session_of(first), session_of(second)]
        assert None not in sessions
        assert sessions[0] != sessions[1]
        # The end of one is not the end of the other.
        pages[0].goto(f"{demo.origin}/_cps/logout")
        pages[0].click("main form button")
        pages[1].reload()
        require_portal(pages[1], demo, "/?numero=1")


@pytest.mark.parametrize("has_begun", [False, True], ids=["without a login", "with a login"])
def test_a_login_that_another_browser_began_ends_nowhere(demo: Demo, *, has_begun: bool) -> None:
    """Login relay: the attacker's request id, the victim's card and browser."""
    with chromium() as attacker, other_context(attacker) as victim:
        theirs = begin(attacker, demo)
        link = theirs.locator(AGENT_LINK).get_attribute("href")
        assert link is not None
        mine = begin(victim, demo) if has_begun else victim.new_page()
        mine.goto(link)
        title = "error_title.browser_mismatch" if has_begun else "error_title.cookie_missing"
        expect(mine.locator("h1")).to_have_text(text(title, "fr"), timeout=STEP_MILLISECONDS)
        # The attacker's page is told that it failed, and nobody is in.
        expect(theirs.locator("#failure-title")).to_be_visible()
        for page, context in ((theirs, attacker), (mine, victim)):
            page.goto(f"{demo.origin}/")
            assert urlsplit(page.url).path == "/_cps/login"
            assert session_of(context) is None


def test_a_double_click_is_one_login(demo: Demo) -> None:
    with chromium() as context:
        page = begin(context, demo)
        page.locator(AGENT_LINK).dblclick()
        require_portal(page, demo)
        assert context.pages == [page]


def test_a_double_click_without_script_ends_at_the_portal_in_both_tabs(demo: Demo) -> None:
    with chromium() as other, other_context(other, java_script_enabled=False) as context:
        page = begin(context, demo)
        opened: list[Page] = []
        context.on("page", lambda tab: opened.append(tab))
        with context.expect_event("page", lambda _: len(opened) == 2):
            page.locator(AGENT_LINK).dblclick()
        for tab in opened:
            require_portal(tab, demo)


def test_back_and_reload_after_the_login_lead_to_the_portal(demo: Demo) -> None:
    with chromium() as context:
        page = context.new_page()
        page.goto(f"{demo.origin}/_cps/diag")
        page.goto(f"{demo.origin}/")
        page.locator(AGENT_LINK).click()
        require_portal(page, demo)
        page.reload()
        require_portal(page, demo)
        # The login page left no trace to go back to.
        page.go_back()
        assert urlsplit(page.url).path == "/_cps/diag"
        page.go_forward()
        require_portal(page, demo)
        page.goto(f"{demo.origin}/_cps/login")
        expect(page.locator("#known")).to_contain_text(demo.holder, ignore_case=True)


def test_a_reloaded_login_page_begins_anew_and_the_way_back_does_not_revive_it(demo: Demo) -> None:
    with chromium() as context:
        page = begin(context, demo)
        first = page.locator(AGENT_LINK).get_attribute("href")
        page.reload()
        assert page.locator(AGENT_LINK).get_attribute("href") != first
        page.goto(f"{demo.origin}/_cps/diag")
        page.go_back()
        page.locator(AGENT_LINK).click()
        require_portal(page, demo)


def test_the_callback_opened_again_leads_to_the_portal_while_the_session_lives(demo: Demo) -> None:
    with chromium() as context:
        callbacks: list[str] = []
        context.on(
            "request",
            lambda request: callbacks.append(request.url) if "?code=" in request.url else None,
        )
        page = begin(context, demo)
        page.locator(AGENT_LINK).click()
        require_portal(page, demo)
        page.goto(callbacks[0])
        require_portal(page, demo)
        context.clear_cookies()
        page.goto(callbacks[0])
        expect(page.locator("h1")).to_have_text(text("error_title.code_invalid", "fr"))


def test_without_script_the_link_alone_logs_in(demo: Demo) -> None:
    with chromium() as other, other_context(other, java_script_enabled=False) as context:
        page = begin(context, demo)
        with context.expect_page() as opened:
            page.locator(AGENT_LINK).click()
        require_portal(opened.value, demo)


def test_blocked_cookies_are_explained(demo: Demo, tmp_path: Path) -> None:
    folder = tmp_path / "profile" / "Default"
    folder.mkdir(parents=True)
    blocked = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (folder / "Preferences").write_text(json.dumps(blocked), encoding="utf-8")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder.parent, locale="fr-FR", **browser_arguments()
        )
        try:
            page = begin(context, demo)
            expect(page.get_by_text(text("error.cookie_missing", "fr"))).to_be_visible()
            expect(
                page.get_by_role("link", name=text("gateway_page.login_again", "fr"))
            ).to_be_visible()
            # Whoever goes on all the same is refused, and told why.
            page.goto(f"{demo.origin}/")
            link = page.locator(AGENT_LINK).get_attribute("href")
            assert link is not None
            page.goto(link)
            title = text("error_title.cookie_missing", "fr")
            expect(page.locator("h1")).to_have_text(title, timeout=STEP_MILLISECONDS)
        finally:
            context.close()


def test_an_agent_that_is_not_there_is_no_dead_end(demo: Demo) -> None:
    with chromium() as context:
        page = begin(context, demo)
        page.locator("#help summary").click()
        page.locator(f'a[href*=":{FAR_PORT}/"]').click()
        help_ = page.get_by_text(text("login_page.missing", "fr"))
        expect(help_).to_be_visible(timeout=HELP_MILLISECONDS)
        # The help is open by itself, and the button there once more: the same page logs in.
        expect(page.get_by_text(text("login_page.help_start", "fr"))).to_be_visible()
        page.locator(AGENT_LINK).click()
        require_portal(page, demo)


def test_another_program_on_the_agents_port_learns_nothing_and_does_no_harm(demo: Demo) -> None:
    with squatter() as seen, chromium() as context:
        page = begin(context, demo)
        page.locator("#help summary").click()
        with context.expect_page() as opened:
            page.locator(f'a[href*=":{FAR_PORT}/"]').click()
        expect(opened.value.locator("body")).to_have_text("another program")
        (request,) = [one for one in seen if one[0].startswith("/v1/login")]
        path, fields = request
        assert set(urlsplit(path).query.replace("=", "&").split("&")[::2]) == {"r", "o"}
        assert not {"cookie", "referer", "origin"} & fields.keys()
        opened.value.close()
        expect(page.get_by_text(text("login_page.missing", "fr"))).to_be_visible(
            timeout=HELP_MILLISECONDS
        )
        page.locator(AGENT_LINK).click()
        require_portal(page, demo)


@contextmanager
def other_context(beside: BrowserContext, **options: bool) -> Iterator[BrowserContext]:
    """Yield another browser's cookies and storage, in the same program."""
    assert beside.browser is not None
    context = beside.browser.new_context(locale="fr-FR", **options)  # type: ignore[arg-type]
    context.set_default_timeout(STEP_MILLISECONDS)
    try:
        yield context
    finally:
        context.close()


@contextmanager
def squatter() -> Iterator[list[tuple[str, dict[str, str]]]]:
    """Run another program on an agent's port; yield what it is asked, with the fields."""
    seen: list[tuple[str, dict[str, str]]] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            body = b"another program"
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
            """Say nothing."""

    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", FAR_PORT), Answer)
    except OSError:
        pytest.skip(f"port {FAR_PORT} is taken")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
