"""The agent with a software card: in process, and as the program that people start."""

import logging
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cps import pin as pins
from cps.agent.errors import ConfigurationError
from cps.agent.file import pin_from_file
from cps.agent.gateway_client import GatewayClient
from cps.agent.pin_entry import PINEntry, Wanted
from cps.agent.policy import Policy
from cps.agent.program import allowed_portals, card_opener, run_agent
from cps.agent.settings import AfterSignature, AgentSettings
from cps.agent.signin import SignIn
from cps.authtoken.catalogue import text
from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_encode
from cps.authtoken.lease import LeaseEvent
from cps.card.recognise import open_card
from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from cps.simulator.terminal import SoftwareTerminal
from tests.support import cards
from tests.support.gateway_stub import (
    ABORT,
    BEGIN,
    CLAIM,
    TERMS,
    TOKEN,
    Answer,
    GatewayStub,
    running_gateway,
)
from tests.unit.cps.agent.fakes import OTHER_RID, RID, FakePerson
from tests.unit.cps.agent.loopback import Browser, Response, running_agent

PIN = cards.PIN.decode()
WRONG_PIN = cards.WRONG_PIN.decode()


@pytest.fixture
def gateway() -> Iterator[GatewayStub]:
    with running_gateway() as stub:
        yield stub


@pytest.fixture
def image() -> CardImage:
    return cards.image()


@pytest.fixture
def terminal(image: CardImage) -> SoftwareTerminal:
    return SoftwareTerminal(SoftwareCard(image))


@pytest.fixture
def tls() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@contextmanager
def workstation(
    terminal: SoftwareTerminal, entry: PINEntry, gateway: GatewayStub, tls: ssl.SSLContext
) -> Iterator[Browser]:
    sign_in = SignIn(
        terminal=terminal,
        open_card=open_card,
        entry=entry,
        gateway_at=lambda origin: GatewayClient(origin, tls=tls),
        watch=lambda lease: None,
    )
    with running_agent(sign_in.run, portals=(gateway.origin,)) as browser:
        yield browser


def target(gateway: GatewayStub, rid: str = RID) -> str:
    return f"/v1/login?r={rid}&o={gateway.origin.removeprefix('http://')}"


def outcome(browser: Browser, gateway: GatewayStub) -> Response:
    """Return the last page of a login, going on as a browser does."""
    page = browser.request(target=target(gateway))
    while 'http-equiv="refresh"' in page.body:
        page = browser.request(target=target(gateway))
    return page


def secrets_in(words: str, gateway: GatewayStub, *, code: bool = True) -> list[str]:
    """Return which secrets of a run stand in *words*."""
    nonce = gateway.nonce
    secret = {
        "PIN": rf"(?<!\d)({PIN}|{WRONG_PIN})(?!\d)",
        "nonce": "|".join(
            re.escape(form)
            for form in (nonce.hex(), b64url_encode(nonce), b64encode(nonce).decode(), str(nonce))
        ),
        "request id": re.escape(RID),
    }
    if code:
        secret["code"] = re.escape(gateway.code)
    return [name for name, pattern in secret.items() if re.search(pattern, words, re.IGNORECASE)]


@pytest.mark.parametrize("virtual", [False, True], ids=["real", "virtual"])
def test_real_cards_are_remembered_and_virtual_ones_are_not(
    terminal: SoftwareTerminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, virtual: bool
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    card = card_opener(AgentSettings(), Policy(), virtual=virtual)(
        terminal.connect("Software reader"), None
    )
    card.authentication_certificate()
    kept = [path.name for path in tmp_path.rglob("*.json")]
    assert kept == ([] if virtual else [f"{cards.SERIAL}.json"])


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        pytest.param(AfterSignature.RESET, b"\x63\xc3", id="reset"),
        pytest.param(AfterSignature.LEAVE, b"\x90\x00", id="leave"),
    ],
)
def test_the_card_is_left_as_the_settings_say(
    terminal: SoftwareTerminal, policy: AfterSignature, status: bytes
) -> None:
    connection = terminal.connect("Software reader")
    card = card_opener(AgentSettings(after_signature=policy), Policy(), virtual=True)(
        connection, None
    )
    card.sign(pins.PIN(bytearray(PIN, "ascii")), lambda certificate: b"message")
    assert connection.transmit(bytes.fromhex("0020000100")) == status


def test_a_software_card_signs_in(
    terminal: SoftwareTerminal, gateway: GatewayStub, tls: ssl.SSLContext
) -> None:
    with workstation(terminal, FakePerson(PIN, interactive=False), gateway, tls) as browser:
        response = browser.request(target=target(gateway))
    assert response.status == 303
    assert response.headers["Location"] == f"{gateway.origin}/_cps/callback?code={gateway.code}"
    assert gateway.paths() == [CLAIM, TOKEN]


def test_no_log_and_no_page_of_a_run_holds_a_secret(
    terminal: SoftwareTerminal,
    gateway: GatewayStub,
    tls: ssl.SSLContext,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    person = FakePerson(WRONG_PIN, PIN, WRONG_PIN, WRONG_PIN, WRONG_PIN)
    bodies = ""
    with workstation(terminal, person, gateway, tls) as browser:
        # A login with one wrong PIN, then one that blocks the card, then one that is refused.
        for rid in (RID, OTHER_RID):
            while True:
                response = browser.request(target=target(gateway).replace(RID, rid))
                bodies += response.body
                if "http-equiv" not in response.body:
                    break
        bodies += browser.request(target=target(gateway), method="POST").body
    assert "pin_blocked" in bodies
    assert secrets_in(bodies, gateway) == []
    assert "wrong PIN, 2 tries left" in caplog.text, "the logs were looked at"
    assert secrets_in(caplog.text, gateway) == []


def swapped_once(terminal: SoftwareTerminal) -> Callable[[Wanted], None]:
    """Return what takes the card out and puts it back, the first time."""
    swaps = [None]

    def swap(wanted: Wanted) -> None:
        if swaps:
            swaps.pop()
            terminal.remove()
            terminal.insert()

    return swap


ADMINISTERED = Policy(origins=("https://portal.example",), users_may_add=False)


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        pytest.param(AgentSettings(portals=("https://mine.example",)), (), id="settings"),
        pytest.param(AgentSettings(), ("https://mine.example",), id="options"),
    ],
)
def test_where_the_policy_names_the_portals_a_user_adds_none(
    settings: AgentSettings, options: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigurationError, match="administrator"):
        allowed_portals(ADMINISTERED, settings, options, development=False, attended=True)


def test_the_policys_portals_are_the_agents_and_nobody_is_asked_about_others() -> None:
    portals = allowed_portals(ADMINISTERED, AgentSettings(), (), development=False, attended=True)
    assert portals.origin_of("portal.example") == "https://portal.example"
    assert portals.origin_of("mine.example") is None


def test_where_nobody_can_be_asked_a_portal_must_be_named() -> None:
    with pytest.raises(ConfigurationError, match="no portal is named"):
        allowed_portals(Policy(), AgentSettings(), (), development=False, attended=False)
    named = ("https://mine.example",)
    portals = allowed_portals(Policy(), AgentSettings(), named, development=False, attended=False)
    assert portals.origin_of("other.example") is None


def test_the_policy_decides_what_becomes_of_the_card(terminal: SoftwareTerminal) -> None:
    connection = terminal.connect("Software reader")
    policy = Policy(after_signature=AfterSignature.LEAVE)
    card = card_opener(AgentSettings(), policy, virtual=True)(connection, None)
    with pins.PIN(bytearray(cards.PIN)) as pin:
        card.sign(pin, lambda certificate: b"message")
    assert connection.transmit(bytes.fromhex("00200001")) == b"\x90\x00"


def test_a_pin_typed_for_a_card_that_left_is_sent_to_none(
    terminal: SoftwareTerminal, image: CardImage, gateway: GatewayStub, tls: ssl.SSLContext
) -> None:
    person = FakePerson(PIN)
    person.heedless = True
    person.meanwhile = swapped_once(terminal)
    with workstation(terminal, person, gateway, tls) as browser:
        assert "card_removed" in outcome(browser, gateway).body
    assert gateway.paths() == [CLAIM, ABORT]
    assert [message.code for message in gateway.aborted] == [ErrorCode.CARD_REMOVED]
    assert all(entry.tries_left == entry.tries_maximum for entry in image.reference_data)


def test_a_card_exchanged_while_the_pin_is_asked_for_starts_over_with_the_next_one(
    terminal: SoftwareTerminal, image: CardImage, gateway: GatewayStub, tls: ssl.SSLContext
) -> None:
    person = FakePerson(PIN)
    person.meanwhile = swapped_once(terminal)
    with workstation(terminal, person, gateway, tls) as browser:
        assert outcome(browser, gateway).status == 303
    assert len(person.seen) == 2
    assert gateway.paths() == [CLAIM, TOKEN]
    assert all(entry.tries_left == entry.tries_maximum for entry in image.reference_data)


def test_a_wrong_pin_file_spends_one_try_however_often_the_page_is_opened(
    terminal: SoftwareTerminal,
    image: CardImage,
    gateway: GatewayStub,
    tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    file = tmp_path / "pin"
    file.touch(0o600)
    file.write_text(WRONG_PIN, encoding="ascii")
    with workstation(terminal, pin_from_file(file), gateway, tls) as browser:
        assert "pin_wrong" in browser.request(target=target(gateway)).body
        assert "pin_cancelled" in browser.request(target=target(gateway)).body
    assert min(entry.tries_left for entry in image.reference_data) == 2


def test_a_portal_off_the_list_costs_no_network_call(
    terminal: SoftwareTerminal, gateway: GatewayStub, tls: ssl.SSLContext
) -> None:
    with running_gateway() as other, workstation(terminal, FakePerson(), gateway, tls) as browser:
        assert browser.request(target=target(other)).status == 403
        assert other.requests == []
    assert gateway.requests == []


def test_a_gateway_that_names_another_origin_gets_no_signature(
    terminal: SoftwareTerminal, gateway: GatewayStub, tls: ssl.SSLContext
) -> None:
    gateway.change = {"origin": "https://evil.example"}
    person = FakePerson(PIN)
    with workstation(terminal, person, gateway, tls) as browser:
        assert "origin_denied" in browser.request(target=target(gateway)).body
    assert person.seen == []
    assert gateway.paths() == [CLAIM]


@pytest.mark.skipif(os.name != "posix", reason="signals end it")
def test_the_program_says_ready_signs_in_watches_the_card_and_ends_on_sigterm(
    image: CardImage, gateway: GatewayStub, tmp_path: Path
) -> None:
    gateway.lease = TERMS
    card, pin = tmp_path / "card.json", tmp_path / "pin"
    image.write(card)
    pin.touch(0o600)
    pin.write_text(PIN, encoding="ascii")
    arguments = ["--portal", gateway.origin, "--development", "--port", "0"]
    arguments += ["--virtual-card", str(card), "--pin-file", str(pin)]
    with subprocess.Popen(
        [sys.executable, "-m", "cps.main", "agent", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"HOME": str(tmp_path)},
        text=True,
    ) as agent:
        assert agent.stdout is not None
        ready = agent.stdout.readline()
        assert re.fullmatch(r"ready http://127\.0\.0\.1:\d+\n", ready), agent.communicate()[1]
        browser = Browser(int(ready.rpartition(":")[2]))
        response = browser.request(target=target(gateway))
        refused = browser.request(method="POST")
        agent.send_signal(signal.SIGTERM)
        written = "".join(agent.communicate(timeout=10))
    assert response.status == 303
    assert refused.body.count('class="banner"') == 2
    assert agent.returncode == 0
    assert "DEVELOPMENT" in written
    assert "VIRTUAL CARD" in written
    assert "Traceback" not in written
    assert secrets_in(written, gateway) == []
    assert [message.event for message in gateway.heard] == [LeaseEvent.BYE]
    assert str(TERMS["id"]) not in written


@pytest.mark.skipif(sys.platform != "linux", reason="where users are told apart")
@pytest.mark.parametrize("lease", [TERMS, None], ids=["lease", "no lease"])
def test_a_login_that_begins_here_is_handed_to_the_browser_and_ends_with_the_program(
    image: CardImage, gateway: GatewayStub, tmp_path: Path, lease: dict[str, object] | None
) -> None:
    gateway.lease = lease
    card, pin, told = tmp_path / "card.json", tmp_path / "pin", tmp_path / "told"
    image.write(card)
    pin.touch(0o600)
    pin.write_text(PIN, encoding="ascii")
    browser_program = tmp_path / "browser"
    browser_program.write_text(
        f'#!/bin/sh\nprintf %s "$1" > {told}.part && mv {told}.part {told}\n'
    )
    browser_program.chmod(0o700)
    arguments = ["--portal", gateway.origin, "--development"]
    arguments += ["--virtual-card", str(card), "--pin-file", str(pin), "login", gateway.origin]
    with subprocess.Popen(
        [sys.executable, "-m", "cps.main", "agent", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"HOME": str(tmp_path), "BROWSER": f"{browser_program} %s"},
        text=True,
    ) as agent:
        deadline = time.monotonic() + 20
        while not told.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        address = told.read_text()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/v1/start\?k=[A-Za-z0-9_-]{43})", address)
        assert found is not None
        response = Browser(int(found[1])).request(target=found[2])
        if lease is not None:
            agent.send_signal(signal.SIGTERM)
        written = "".join(agent.communicate(timeout=10))
    assert response.headers["Location"] == f"{gateway.origin}/_cps/start#{gateway.code}"
    assert gateway.code not in address
    assert gateway.paths()[:2] == [BEGIN, TOKEN]
    assert agent.returncode == 0
    assert "Traceback" not in written
    assert secrets_in(written, gateway) == []
    said = [message.event for message in gateway.heard]
    assert said == ([] if lease is None else [LeaseEvent.BYE])


@pytest.mark.skipif(sys.platform != "linux", reason="where users are told apart")
def test_a_login_that_fails_ends_the_program_with_its_reason(
    image: CardImage, gateway: GatewayStub, tmp_path: Path
) -> None:
    gateway.instead[BEGIN] = Answer.of({"error": "request_forbidden", "ref": "a-1"}, status=404)
    card, pin = tmp_path / "card.json", tmp_path / "pin"
    image.write(card)
    pin.touch(0o600)
    pin.write_text(PIN, encoding="ascii")
    arguments = ["--portal", gateway.origin, "--development"]
    arguments += ["--virtual-card", str(card), "--pin-file", str(pin), "login", gateway.origin]
    done = subprocess.run(
        [sys.executable, "-m", "cps.main", "agent", *arguments],
        capture_output=True,
        env=os.environ | {"HOME": str(tmp_path), "LC_ALL": "C", "BROWSER": "false %s"},
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert text("agent.not_offered", "fr", origin=gateway.origin) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("lock_ends", [True, False], ids=["end", "portal"])
def test_what_the_administrator_says_of_a_locked_screen_reaches_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock_ends: bool
) -> None:
    class ReachedError(Exception):
        pass

    def presence(**given: object) -> None:
        assert given["lock_ends"] is lock_ends
        raise ReachedError

    card, pin = tmp_path / "card.json", tmp_path / "pin"
    cards.image().write(card)
    pin.touch(mode=0o600)
    pin.write_text(PIN)
    monkeypatch.setattr(Policy, "load", lambda *_, **__: Policy(lock_ends=lock_ends))
    monkeypatch.setattr("cps.agent.program.Presence", presence)
    with pytest.raises(ReachedError):
        run_agent(
            portals=["https://portal.example"],
            development=False,
            pin_file=pin,
            pin_descriptor=None,
            virtual_card=card,
            port=0,
        )
