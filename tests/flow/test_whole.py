"""Nothing stands in for anything: card in a PC/SC reader, agent, gateway, and real time."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from cps.simulator.chip import SoftwareCard
from cps.simulator.personalise import Credential
from gateway.clock import system_clock
from gateway.monitor.recheck import RECHECK_SECONDS
from gateway.trust.crl import LOOK_AGAIN
from tests.support import cards, pki
from tests.support.browser import Browser
from tests.support.pcsc import VirtualReader
from tests.support.serving import ServedGateway
from tests.support.streams import open_all
from tests.support.whole import Whole, whole

pytestmark = pytest.mark.pcscd

LIMIT_SECONDS = 2.0
"""From the event, or the end of the grace, to the last cut."""
HEARTBEAT, GRACE = 1, 8


@contextmanager
def running(
    folder: Path, pcscd: VirtualReader, *, grace: int = GRACE
) -> Iterator[tuple[Whole, ServedGateway, ExitStack]]:
    """Run all of it; yield also what pulls the card out when it is closed."""
    more = f"[presence]\nheartbeat_seconds = {HEARTBEAT}\ngrace_seconds = {grace}\n"
    more += f"[login]\ncode_seconds = {GRACE}\n"
    with whole(folder, more=more) as line, ExitStack() as card:
        card.enter_context(pcscd.holding(SoftwareCard(cards.image())))
        with line.gateway() as gateway:
            yield line, gateway, card


def is_in(browser: Browser) -> bool:
    return browser.fetch("/_cps/session").status == 200


def pull(card: ExitStack) -> threading.Thread:
    """Pull the card out, without waiting until the reader has seen it."""
    pulling = threading.Thread(target=card.close)
    pulling.start()
    return pulling


def test_a_card_that_is_pulled_out_cuts_all_and_coming_back_restores_nothing(
    tmp_path: Path, pcscd: VirtualReader
) -> None:
    with running(tmp_path, pcscd) as (line, _, card):
        browsers = [line.log_in(), line.log_in()]
        streams = [stream for browser in browsers for stream in open_all(line, browser)]
        began = time.monotonic()
        pulling = pull(card)
        assert max(stream.cut_at() for stream in streams) - began <= LIMIT_SECONDS
        assert not any(map(is_in, browsers))
        pulling.join()
        with pcscd.holding(SoftwareCard(cards.image())):
            time.sleep(2 * HEARTBEAT)
            assert not any(map(is_in, browsers))
            assert is_in(line.log_in())
    for stream in streams:
        stream.close()


def test_a_card_that_is_revoked_meanwhile_ends_its_sessions_and_opens_none(
    tmp_path: Path, pcscd: VirtualReader
) -> None:
    now, key = system_clock(), cards.authentication_key()
    certificate = pki.leaf(leaf_key=key, not_before=now - timedelta(days=1))
    image = cards.image(authentication=Credential(certificate=certificate, key=key))
    with (
        whole(tmp_path) as line,
        pcscd.holding(SoftwareCard(image)),
        line.gateway(),
    ):
        browser = line.log_in()
        streams = open_all(line, browser)
        revoked = pki.crl(
            certificate, number=2, this_update=now, next_update=now + timedelta(days=1)
        )
        # As whoever brings lists should: a reader sees the old one or the new one.
        fresh = tmp_path / "fresh.crl"
        fresh.write_bytes(pki.der(revoked))
        began = time.monotonic()
        fresh.rename(tmp_path / "middle.crl")
        limit = LOOK_AGAIN.total_seconds() + RECHECK_SECONDS + LIMIT_SECONDS
        while is_in(browser):
            assert time.monotonic() - began <= limit
            time.sleep(0.2)
        assert max(stream.cut_at() for stream in streams) - began <= limit
        assert "a été révoquée" in browser.open("/_cps/login").text
        with pytest.raises(AssertionError):
            line.log_in()
        recorded = (tmp_path / "audit.log").read_text(encoding="utf-8")
        assert '"card_revoked"' in recorded
        assert '"cert_revoked"' in recorded
    for stream in streams:
        stream.close()


def test_an_agent_that_is_heard_no_more_is_missed_within_the_grace_and_no_sooner(
    tmp_path: Path, pcscd: VirtualReader
) -> None:
    """Stopped by a signal: as when the cable is cut, nothing comes, not even an end."""
    with running(tmp_path, pcscd) as (line, _, _):
        browser = line.log_in()
        streams = open_all(line, browser)
        time.sleep(HEARTBEAT)
        line.agent.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        # A flap: shorter than the grace.
        time.sleep(GRACE / 2)
        line.agent.send_signal(signal.SIGCONT)
        # Longer than what was left of it.
        time.sleep(GRACE * 0.7)
        for stream in streams:
            stream.require_open()
        assert time.monotonic() - began > GRACE
        line.agent.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        passed = max(stream.cut_at() for stream in streams) - began
        assert GRACE / 2 <= passed <= GRACE + LIMIT_SECONDS
        assert not is_in(browser)
        line.agent.send_signal(signal.SIGCONT)
        time.sleep(2 * HEARTBEAT)
        assert not is_in(browser), "what the agent says afterwards restores nothing"
    for stream in streams:
        stream.close()


def test_a_gateway_that_was_killed_and_started_again_still_hears_of_the_card(
    tmp_path: Path, pcscd: VirtualReader
) -> None:
    # A start takes its time on a machine with other work.
    with running(tmp_path, pcscd, grace=60) as (line, gateway, card):
        browser = line.log_in()
        gateway.stop(signal.SIGKILL)
        with line.gateway():
            assert is_in(browser)
            streams = open_all(line, browser)
            began = time.monotonic()
            pulling = pull(card)
            assert max(stream.cut_at() for stream in streams) - began <= LIMIT_SECONDS
            assert not is_in(browser)
            pulling.join()
    for stream in streams:
        stream.close()
