"""A login that begins in the agent, in a browser whose pages cannot reach it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from cps.authtoken.catalogue import text
from cps.demo.login import AGENT_LINK, STEP_MILLISECONDS, chromium
from cps.demo.run import Demo
from tests.e2e.test_browsers import HELP_MILLISECONDS, begin, require_portal, session_of

pytestmark = [pytest.mark.pcscd, pytest.mark.browser]

PAGES_AGENTS = "http://127.0.0.1:2495*/**"
OPEN_SECONDS = 60.0


@contextmanager
def login_begun(demo: Demo, folder: Path) -> Iterator[str]:
    """Begin a login by command and yield the address that the default browser is told."""
    told, browser = folder / "told", folder / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {told}.part && mv {told}.part {told}\n')
    browser.chmod(0o700)
    arguments = ["--portal", demo.origin, "--development"]
    arguments += ["--pin-file", str(demo.folder / "pin"), "login", demo.origin]
    with subprocess.Popen(
        [sys.executable, "-m", "cps.main", "agent", *arguments],
        env=os.environ | {"HOME": str(folder), "BROWSER": f"{browser} %s"},
        stdout=subprocess.DEVNULL,
    ) as agent:
        try:
            ends = time.monotonic() + OPEN_SECONDS
            while not told.exists() and time.monotonic() < ends and agent.poll() is None:
                time.sleep(0.02)
            yield told.read_text()
        finally:
            agent.send_signal(signal.SIGTERM)


def cut_off(context: BrowserContext, demo: Demo) -> Page:
    """Return a login page that finds no agent at any of the usual ports."""
    context.route(PAGES_AGENTS, lambda route: route.abort("connectionrefused"))
    page = begin(context, demo)
    with context.expect_page() as opened:
        page.locator(AGENT_LINK).click()
    opened.value.close()
    missing = page.get_by_text(text("login_page.missing", "fr"))
    expect(missing).to_be_visible(timeout=HELP_MILLISECONDS)
    return page


def test_where_no_page_reaches_the_agent_the_login_begins_there(demo: Demo, tmp_path: Path) -> None:
    with chromium() as context:
        page = cut_off(context, demo)
        expect(page.get_by_text(text("login_page.help_from_agent", "fr"))).to_be_visible()
        with login_begun(demo, tmp_path) as address:
            tab = context.new_page()
            tab.goto(address)
            question = text("start_page.question", "fr", name=demo.holder)
            heading = tab.get_by_role("heading", level=1)
            expect(heading).to_have_text(question, ignore_case=True, timeout=STEP_MILLISECONDS)
            # Nothing is open yet, no code is left in the address, and Enter would say no.
            assert session_of(context) is None
            assert tab.url == f"{demo.origin}/_cps/start"
            expect(tab.locator("button[value=no]")).to_be_focused()
            tab.locator("button[value=yes]").click()
            require_portal(tab, demo)
            used = page.get_by_text(text("login_page.used", "fr"))
            expect(used).to_be_visible(timeout=STEP_MILLISECONDS)
        # The program that watched the card has ended, and the session with it.
        tab.goto(f"{demo.origin}/")
        expect(tab.locator("#ended")).to_have_text(text("login_page.ended_agent_ended", "fr"))


def test_the_address_is_good_once_and_a_no_lets_nobody_in(demo: Demo, tmp_path: Path) -> None:
    with chromium() as context, login_begun(demo, tmp_path) as address:
        tab = context.new_page()
        tab.goto(address)
        tab.locator("button[value=no]").wait_for(state="visible")
        thief = context.new_page()
        thief.goto(address)
        expect(thief.locator("body")).to_contain_text(text("error_title.code_invalid", "fr"))
        # Enter is the answer of who reads nothing.
        tab.keyboard.press("Enter")
        expect(tab.locator("h1")).to_have_text(text("start_page.declined_title", "fr"))
        assert session_of(context) is None


def test_a_page_of_another_site_leads_nobody_to_the_question(demo: Demo, tmp_path: Path) -> None:
    """Login CSRF: an attacker's own code, by a link of his page, in a victim's browser."""
    with chromium() as context, login_begun(demo, tmp_path) as address:
        stolen = context.request.get(address, max_redirects=0).headers["location"]
        bait = context.new_page()
        bait.route("http://evil.example/", lambda route: route.fulfill(
            body=f'<a id="bait" href="{stolen}">x</a>', content_type="text/html"
        ))  # fmt: skip
        bait.goto("http://evil.example/")
        bait.locator("#bait").click()
        expect(bait.locator("body")).to_contain_text(text("error_title.request_forbidden", "fr"))
        assert session_of(context) is None


def test_without_script_the_page_says_what_to_do(demo: Demo) -> None:
    with chromium() as context:
        assert context.browser is not None
        bare = context.browser.new_context(locale="fr-FR", java_script_enabled=False)
        page = bare.new_page()
        page.goto(f"{demo.origin}/_cps/start#{'A' * 43}")
        expect(page.get_by_text(text("start_page.no_script", "fr"))).to_be_visible()
        bare.close()
