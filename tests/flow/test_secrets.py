"""After a whole day of logins and refusals, no log, page or database holds a secret.

Once in this process, where every logger can be heard at its finest, and once with the real
programs, of which everything is read that they write.
"""

import base64
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_encode
from cps.simulator.image import CardImage
from cps.simulator.personalise import Credential
from gateway.clock import system_clock
from gateway.session.cookie import SESSION_COOKIE
from tests.support import cards, pki, rogue
from tests.support.browser import Browser, Page
from tests.support.line import REVOKED_SERIAL, Line, running_line
from tests.support.meddling import Meddle, MeddledTerminal, Transmit, sends_pin
from tests.support.person import CANCEL, Person
from tests.support.relay import RawServer, echo
from tests.support.serving import ROOT, free_port, served_gateway, write_settings

RIGHT_PIN, WRONG_PIN = b"73915284", b"60482917"
"""Long enough to stand in no log by chance."""
START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Secret:
    """Something that must stand nowhere, with what it is."""

    name: str
    value: bytes

    def spellings(self) -> set[bytes]:
        """Return every form in which a program might write it."""
        padded = base64.b64encode(self.value)
        return {
            self.value,
            repr(self.value)[2:-1].encode(),
            self.value.hex().encode(),
            self.value.hex().upper().encode(),
            self.value.hex(" ").upper().encode(),
            b64url_encode(self.value).encode(),
            padded.rstrip(b"="),
        }


def token(name: str, text: str) -> Secret:
    """Return a code or a cookie from its base64url."""
    return Secret(name, base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def found(secrets: list[Secret], place: str, content: bytes) -> list[str]:
    """Return which secrets stand in *content*."""
    return [
        f"{secret.name} in {place}"
        for secret in secrets
        if any(spelling in content for spelling in secret.spellings())
    ]


def secrets_of(line: Line, browsers: list[Browser]) -> list[Secret]:
    """Return everything secret that there was."""
    cookies = {value for browser in browsers for value in browser.all_values}
    return [
        Secret("PIN", RIGHT_PIN),
        Secret("wrong PIN", WRONG_PIN),
        *(Secret("nonce", nonce) for nonce in line.nonces),
        *(token("code", code) for code in line.codes),
        *(token("cookie", value) for value in cookies),
    ]


def card(**changes: object) -> CardImage:
    """Return a card with that PIN; *changes* are those of its certificate."""
    key = cards.authentication_key()
    certificate = pki.leaf(leaf_key=key, **changes)  # type: ignore[arg-type]
    image = cards.image(authentication=Credential(certificate=certificate, key=key))
    image.reference_data[0].digits = RIGHT_PIN
    return image


def leaves_with_the_pin(terminal: MeddledTerminal) -> Meddle:
    """Return: the card leaves once it has compared the PIN."""

    def meddle(number: int, command: bytes, transmit: Transmit) -> bytes:
        answer = transmit(command)
        if sends_pin(command):
            terminal.inner.remove()
        return answer

    return meddle


class Day:
    """One day at a gateway: logins that go well and logins that do not."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.browsers: list[Browser] = []

    def browser(self) -> Browser:
        self.browsers.append(self.line.browser())
        return self.browsers[-1]

    def sign_in(self, image: CardImage, *pins: bytes | None) -> tuple[Browser, Page]:
        browser = self.browser()
        login = browser.open("/_cps/login?t=x")
        with self.line.desk(image, entry=Person(*(pins or [RIGHT_PIN]))) as desk:
            return browser, browser.to_agent(login, desk.port)

    def go_well(self) -> None:
        browser, back = self.sign_in(card(), WRONG_PIN, RIGHT_PIN)
        browser.follow(browser.follow(back))
        browser.open("/_cps/session")
        self.browser().follow(back)  # the code once more, elsewhere
        browser.submit("/_cps/logout")

    def go_wrong_at_the_card(self) -> None:
        self.sign_in(card(), WRONG_PIN)[1].require_failed(ErrorCode.PIN_BLOCKED)
        self.sign_in(card(), WRONG_PIN, CANCEL)[1].require_failed(ErrorCode.PIN_CANCELLED)
        browser = self.browser()
        login = browser.open("/_cps/login")
        with self.line.desk(card(), entry=Person(RIGHT_PIN)) as desk:
            desk.terminal.meddle = leaves_with_the_pin(desk.terminal)
            browser.to_agent(login, desk.port).require_failed(ErrorCode.CARD_REMOVED)

    def go_wrong_at_the_gateway(self) -> None:
        self.sign_in(card(serial=REVOKED_SERIAL))
        self.sign_in(card(not_after=pki.NOW - timedelta(days=1)))
        other, back = self.sign_in(card())
        stranger = self.browser()
        stranger.open("/_cps/login")
        stranger.follow(back)
        other.follow(back)
        browser = self.browser()
        right = rogue.claimed_login(self.line, browser.open("/_cps/login").rid)
        body = right.token().to_json()
        rogue.hand_in(self.line, body[:-1] + b', "nonce": "' + right.nonce.hex().encode() + b'"}')
        late = rogue.claimed_login(self.line, browser.open("/_cps/login").rid)
        code = late.hand_in().json["code"]
        for query in (f"?code={code}&code={code}", f"?code={code}x", f"?code={code}"):
            browser.open(f"/_cps/callback{query}")

    def go_wrong_at_the_relay(self) -> None:
        browser, back = self.sign_in(card())
        browser.follow(back)
        session = browser.cookies[SESSION_COOKIE]
        for fields in (
            {"Cookie": f"{SESSION_COOKIE}={session}; {SESSION_COOKIE}={session}"},
            {"X-Long": session * 1000},
            {"Upgrade": "websocket", "Connection": "Upgrade", "X-Session": session},
        ):
            browser.open(f"/x?code={session}", fields=fields)
        browser.open(f"/a;{session}")


def everything_logged(caplog: pytest.LogCaptureFixture) -> bytes:
    """Return all records: message, arguments and traceback."""
    formatter = logging.Formatter("%(name)s %(levelname)s %(message)s %(args)r")
    return "\n".join(formatter.format(record) for record in caplog.records).encode()


def test_a_day_of_logins_leaves_no_secret_in_any_log_page_or_database(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with every_logger_at_its_finest(caplog), running_line(tmp_path) as line:
        day = Day(line)
        day.go_well()
        day.go_wrong_at_the_card()
        day.go_wrong_at_the_gateway()
        day.go_wrong_at_the_relay()
        secrets = secrets_of(line, day.browsers)
        audit = (line.settings.state_dir / "audit.jsonl").read_bytes()
        stored = {f.name: f.read_bytes() for f in line.settings.state_dir.glob("gateway.db*")}
    said = "".join(capfd.readouterr()).encode()
    logged = everything_logged(caplog)
    pages = [page for browser in day.browsers for page in browser.history]

    kinds = [secret.name for secret in secrets]
    assert (kinds.count("nonce"), kinds.count("code")) >= (8, 4)
    assert kinds.count("cookie") >= 10
    assert b"wrong PIN" in logged
    assert b"signed in to" in logged
    assert b"revoked" in audit
    assert len(pages) >= 30

    leaks = found(secrets, "log", logged) + found(secrets, "audit", audit)
    leaks += found(secrets, "output", said)
    for page in pages:
        leaks += found(secrets, f"page {page.url.partition('?')[0]}", page.body)
    # Nonces lie in the database until the card has signed; of the others it holds hashes.
    lasting = [secret for secret in secrets if secret.name != "nonce"]
    for name, content in stored.items():
        leaks += found(lasting, name, content)
    assert leaks == []


@contextmanager
def every_logger_at_its_finest(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Hear every logger that there is, whatever level it was set to."""
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        with caplog.at_level(logging.DEBUG):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def test_a_secret_would_be_found_in_each_spelling() -> None:
    secret = Secret("cookie", bytes(range(200, 232)))
    for spelling in secret.spellings():
        assert found([secret], "log", b"x" + spelling + b"x") == ["cookie in log"]
    assert found([secret], "log", b"nothing") == []


# --- the real programs ---------------------------------------------------------------------------


@dataclass(slots=True)
class RunningAgent:
    """The command `cps agent` as a process."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path


@contextmanager
def cps_agent(folder: Path, origin: str, image: Path, pin: Path) -> Iterator[RunningAgent]:
    """Run the agent until the block ends; it must say that it is ready."""
    output = folder / f"agent-{pin.name}.log"
    command = [sys.executable, "-m", "cps.main", "agent", "--development", "--port", "0"]
    command += ["--portal", origin, "--virtual-card", str(image), "--pin-file", str(pin)]
    with (
        output.open("wb") as log,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "HOME": str(folder)},
            stdout=subprocess.PIPE,
            stderr=log,
        ) as process,
    ):
        timer = threading.Timer(START_SECONDS, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith(b"ready http://127.0.0.1:"), output.read_text()
            yield RunningAgent(process, int(line.rpartition(b":")[2]), output)
        finally:
            timer.cancel()
            process.terminate()
            rest = process.stdout.read() if process.stdout is not None else b""
            process.wait(START_SECONDS)
            log.write(rest)


def pin_file(folder: Path, name: str, digits: bytes) -> Path:
    """Write a PIN for the agent."""
    file = folder / name
    file.touch(mode=0o600)
    file.write_bytes(digits)
    return file


def test_the_real_programs_leave_no_secret_in_what_they_write(tmp_path: Path, line: Line) -> None:
    port, now = free_port(), system_clock()
    origin, image_file = f"http://localhost:{port}", tmp_path / "card.json"
    # By the real clock, as the programs go by it.
    card(not_before=now - timedelta(days=1)).write(image_file)
    with RawServer(echo).on_port() as upstream:
        settings = write_settings(tmp_path, upstream=upstream, port=port)
        with served_gateway(settings, port) as gateway:
            browser = Browser(origin, tls=line.tls)
            right = pin_file(tmp_path, "right", RIGHT_PIN)
            with cps_agent(tmp_path, origin, image_file, right) as agent:
                login = browser.follow(browser.open("/rights"))
                back = browser.to_agent(login, agent.port)
                assert browser.follow(browser.follow(back)).status == 200
                seen = [browser.cookies[SESSION_COOKIE], back.code]
                arguments = Path(f"/proc/{agent.process.pid}/cmdline").read_bytes()
                environment = Path(f"/proc/{agent.process.pid}/environ").read_bytes()
                stranger = Browser(origin, tls=line.tls, language="en")
                stranger.open("/_cps/login")
                stranger.follow(back)
                browser.open(f"/a;{back.code}")
                browser.submit("/_cps/logout")
            with cps_agent(
                tmp_path, origin, image_file, pin_file(tmp_path, "wrong", WRONG_PIN)
            ) as agent:
                login = browser.open("/_cps/login")
                browser.to_agent(login, agent.port).require_failed(ErrorCode.PIN_WRONG)
            assert gateway.stop() == 0
            assert gateway.process.stdout is not None
            said = gateway.process.stdout.read().encode()
    cookies = browser.all_values | stranger.all_values
    secrets = [Secret("PIN", RIGHT_PIN), Secret("wrong PIN", WRONG_PIN)]
    secrets += [token("cookie or code", text) for text in {*cookies, *seen}]
    assert len(secrets) >= 6

    files = [tmp_path / "audit.log", *tmp_path.glob("*.log"), *(tmp_path / "state").iterdir()]
    contents = {file.name: file.read_bytes() for file in files if file.is_file()}
    assert b"login_accepted" in contents["audit.log"]
    assert b"sign-in" in contents["agent-wrong.log"]
    contents |= {"output": said, "arguments": arguments, "environment": environment}
    leaks = [leak for name, content in contents.items() for leak in found(secrets, name, content)]
    for page in browser.history + stranger.history:
        leaks += found(secrets, page.url.partition("?")[0], page.body)
    assert leaks == []
