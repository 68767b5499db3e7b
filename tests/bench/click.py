"""From the click to the portal, in Chromium, at a card as slow as a real one: how much is ours."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from playwright.sync_api import Browser, sync_playwright

from cps.card.cache import FolderCache
from cps.demo.login import browser_arguments
from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from cps.simulator.timing import realistic
from gateway.web import login_pages
from tests.support import cards
from tests.support.line import Desk, Line, running_line
from tests.support.meddling import MeddledTerminal, Transmit

LOGINS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of card."""

    name: str
    image: Callable[[], CardImage]
    t0: bool


KINDS = (
    Kind(name="CPS3, T=0", image=cards.image, t0=True),
    Kind(name="CPS4, T=1", image=cards.cps4_image, t0=False),
)


def main() -> None:
    """Print the times, the person's own left out: the PIN is there at once."""
    print("From the click to the portal in Chromium; the card as slow as a real one, no typing")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_line(Path(folder)) as line,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(**browser_arguments())
        for kind in KINDS:
            _print_times(kind, line, browser, Path(folder) / kind.name[:4])
        browser.close()


def _print_times(kind: Kind, line: Line, browser: Browser, folder: Path) -> None:
    waited: list[float] = []
    with _slow_desk(kind, line, waited, FolderCache(folder)) as desk:
        before = login_pages.AGENT_PORTS
        login_pages.AGENT_PORTS = (desk.port,) * len(before)  # type: ignore[assignment]
        try:
            times = [_log_in(line, browser, waited) for _ in range(LOGINS)]
        finally:
            login_pages.AGENT_PORTS = before
    (cold, cold_card), *known = times
    whole = statistics.median(seconds for seconds, _ in known)
    card = statistics.median(seconds for _, seconds in known)
    for name, seconds, at_card in (("first time", cold, cold_card), ("stayed in", whole, card)):
        print(
            f"  {kind.name}   {name:10}   {seconds:5.2f} s, of which the card {at_card:5.2f} s"
            f" and we {seconds - at_card:4.2f} s"
        )


def _log_in(line: Line, browser: Browser, waited: list[float]) -> tuple[float, float]:
    """Return the seconds from the click to the portal, and the card's among them."""
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(f"{line.origin}/asked")
    waited.clear()
    began = perf_counter()
    page.locator("[data-agent]").first.click()
    page.wait_for_url(f"{line.origin}/asked")
    seconds = perf_counter() - began
    context.close()
    return seconds, sum(waited)


@contextmanager
def _slow_desk(kind: Kind, line: Line, waited: list[float], cache: FolderCache) -> Iterator[Desk]:
    card = SoftwareCard(kind.image(), t0=kind.t0)
    timing = realistic(card)

    def wait(number: int, command: bytes, transmit: Transmit) -> bytes:
        answer = transmit(command)
        seconds = timing.exchange(command, answer, t0=kind.t0)
        time.sleep(seconds)
        waited.append(seconds)
        return answer

    with line.desk(terminal=MeddledTerminal(card, wait), cache=cache) as desk:
        yield desk
