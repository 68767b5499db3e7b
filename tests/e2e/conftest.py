"""A real browser, and the whole line of the demo in front of it."""

import time
from collections.abc import Iterator

import pytest

from cps.demo.login import browser_path
from cps.demo.processes import DemoError
from cps.demo.run import Demo, running_demo
from tests.support.pcsc import VirtualReader

PIN = "7391"
EMPTY_SECONDS = 10.0
"""Far above what the reader takes to see that a card is gone."""


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where Chromium is."""
    try:
        return browser_path()
    except DemoError as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="module")
def demo(pcscd: VirtualReader, chromium_path: str) -> Iterator[Demo]:
    """Card in a PC/SC reader, agent, gateway and portal, each a process of its own."""
    # The reader is asked for to have it to ourselves: the demo puts a card of its own into it. The
    # card of a demo before leaves it a moment after that demo has ended.
    ends = time.monotonic() + EMPTY_SECONDS
    while pcscd.present() and time.monotonic() < ends:
        time.sleep(0.1)
    assert not pcscd.present()
    with running_demo(say=print, unattended=True, pin=PIN) as running:
        assert running.card is not None
        yield running
