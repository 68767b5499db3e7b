"""The demo's login done by a real browser: every step checked, timed and photographed."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from time import monotonic
from typing import TypedDict

from playwright.sync_api import BrowserContext, Error, Page, expect, sync_playwright

from cps.authtoken.catalogue import text
from cps.demo import people
from cps.demo.processes import DemoError

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
STEP_MILLISECONDS = 20_000
SETTLE_MILLISECONDS = 500
REMOVAL_SECONDS = 2.0
"""The portal must be closed so soon after the card has left."""
AGENT_LINK = 'a[href^="http://127.0.0.1:2495"] >> nth=0'
_FLAGS = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

Say = Callable[[str], None]


def browser_path() -> str:
    """Return the installed Chromium.

    :raises DemoError: where there is none.
    """
    for name in BROWSERS:
        path = which(name)
        if path is not None:
            return path
    raise DemoError(f"no browser found: install one of {', '.join(BROWSERS)}")


class BrowserArguments(TypedDict):
    """Which program is the browser, and how it is called."""

    executable_path: str
    args: list[str]


def browser_arguments(*more_flags: str) -> BrowserArguments:
    """Return how Playwright is to start the installed Chromium.

    :param more_flags: of its command line.
    :raises DemoError: where there is none.
    """
    flags = [*_FLAGS, *more_flags]
    if os.geteuid() == 0:
        # Chromium's sandbox does not start for root, as in most containers.
        flags.append("--no-sandbox")
    return {"executable_path": browser_path(), "args": flags}


@contextmanager
def chromium(*more_flags: str) -> Iterator[BrowserContext]:
    """Yield a context of a headless Chromium that speaks French and keeps nothing.

    :param more_flags: of its command line.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**browser_arguments(*more_flags))
        context = browser.new_context(locale="fr-FR", viewport={"width": 1100, "height": 760})
        context.set_default_timeout(STEP_MILLISECONDS)
        try:
            yield context
        finally:
            context.close()
            browser.close()


def run_login(
    origin: str,
    holder: str,
    *,
    pull_card: Callable[[], None] | None,
    screenshots: Path,
    say: Say,
) -> None:
    """Log in at *origin*, use the portal, log out; log in and pull the card; each step is checked.

    :param origin: where the gateway listens.
    :param holder: the name that the portal must show.
    :param pull_card: takes the card out of the reader; ``None`` where there is no reader.
    :param screenshots: folder for one PNG a step.
    :raises DemoError: naming the step that failed; its page is in the folder too.
    """
    screenshots.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=STEP_MILLISECONDS)
    with chromium() as context:
        steps = _Steps(screenshots, say)
        page = context.new_page()

        with steps.step("login page", page):
            page.goto(f"{origin}/?numero={_sample()}")
            _require(page.url.startswith(f"{origin}/_cps/login"), f"no login page: {page.url}")
            expect(page.locator(AGENT_LINK)).to_be_visible()

        with steps.step("card and PIN", page):
            page.locator(AGENT_LINK).click()
            # The agent's tab closes itself in the end, and the portal opens in this one.
            page.wait_for_url(f"{origin}/?numero={_sample()}")
            _require(len(context.pages) == 1, "more than one tab is left")
            expect(page.locator("#professional")).to_have_text(holder, ignore_case=True)
            expect(page.locator("#droits")).to_be_visible()

        with steps.step("look up", page):
            page.fill("#numero", _sample(1))
            page.click("button[type=submit]")
            expect(page.locator("#droits")).to_contain_text(_sample(1))

        with steps.step("session page", page):
            page.click("#professional")
            expect(page.locator("main")).to_contain_text(holder.split()[-1], ignore_case=True)

        with steps.step("logout", page):
            page.goto(f"{origin}/_cps/logout")
            page.click("main form button")
            _require(not _session_cookies(context), "the session cookie is still there")

        with steps.step("asks for the card again", page):
            page.goto(f"{origin}/")
            _require(page.url.startswith(f"{origin}/_cps/login"), f"still in: {page.url}")

        if pull_card is None:
            return
        with steps.step("card pulled", page):
            page.locator(AGENT_LINK).click()
            page.wait_for_url(f"{origin}/")
            expect(page.locator("#professional")).to_be_visible()
            pulled = monotonic()
            pull_card()
            while not page.url.startswith(f"{origin}/_cps/login"):
                _require(monotonic() - pulled < REMOVAL_SECONDS, "still in without the card")
                page.goto(f"{origin}/")
            say(f"          the portal was closed {monotonic() - pulled:.2f} s after the card left")
            expect(page.locator("main")).to_contain_text(
                text("login_page.ended_card_removed", "fr")
            )


class _Steps:
    """Counts, times and photographs the steps."""

    def __init__(self, folder: Path, say: Say) -> None:
        self._folder = folder
        self._say = say
        self._count = 0
        self._page: Page | None = None

    @contextmanager
    def step(self, name: str, page: Page) -> Iterator[None]:
        self._count += 1
        self._page = page
        started = monotonic()
        try:
            yield
        except (Error, AssertionError, DemoError) as exc:
            path = self._photograph("failed")
            reason = str(exc).strip().splitlines()[0]
            raise DemoError(f"step {self._count}, {name}: {reason} (see {path})") from exc
        seconds = monotonic() - started
        path = self._photograph(name.replace(" ", "-"))
        self._say(f"  step {self._count}: {name}: {seconds:.2f} s  ({path})")

    def _photograph(self, name: str) -> Path:
        path = self._folder / f"{self._count}-{name}.png"
        if self._page is None:
            return path
        self._page.bring_to_front()
        try:
            self._page.screenshot(path=path)
        except Error:
            # A browser that just started may have nothing drawn yet; it has by the second time.
            self._page.wait_for_timeout(SETTLE_MILLISECONDS)
            self._page.screenshot(path=path)
        return path


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise DemoError(problem)


def _session_cookies(context: BrowserContext) -> list[str]:
    return [
        name for cookie in context.cookies() if (name := cookie.get("name", "")).endswith("session")
    ]


def _sample(rank: int = 0) -> str:
    return list(people.made_up_people(rank + 1))[rank].nir
