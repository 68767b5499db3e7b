"""Two gateways on machines of their own, one Redis, HAProxy before them: what a loss costs.

The machines are network namespaces; the second one's clock is 30 s ahead. Real sessions and made-up
cookies are tried all the time, and logins made, of which each code is handed in twice at once.
"""

import http.client
import os
import re
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from ssl import SSLContext, create_default_context

import pytest

from cps.authtoken.encoding import b64url_encode
from cps.simulator.personalise import Credential
from gateway.clock import system_clock
from gateway.session.cookie import SESSION_COOKIE
from gateway.settings import Settings
from gateway.stores import open_stores
from tests.support import cards, pki
from tests.support.browser import Browser, Page, exchange
from tests.support.gateway_fakes import FakeClock
from tests.support.line import Line
from tests.support.logins import DOCTOR, agent_key
from tests.support.machines import Machine, machines
from tests.support.redis_servers import RedisProcess, redis_process
from tests.support.relay import RawServer, echo
from tests.support.server_certificate import ServerFiles, write_server_files
from tests.support.serving import (
    START_SECONDS,
    ServedGateway,
    free_port,
    served_gateway,
    write_settings,
)

CLOCKS_APART = 30
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
"""Gives a program another time; its own command would stand between us and the gateway."""
CUT_OFF = {200, 502, 503}
"""The machine that is cut off from the store is cut off from the portal too."""
SESSIONS = 50
TRIERS = 4
PAUSE = 0.02
QUIET_SECONDS = 1.0
PASSWORD = "the password of this test's store"
TRIED_PER_MINUTE = 6000
NAVIGATION = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
HAPROXY = """
global
    maxconn 500
defaults
    mode tcp
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    retries 3
    option redispatch 1
    default-server check inter 200ms fall 1 rise 1
frontend browsers
    bind 127.0.0.1:{port}
    default_backend gateways
backend gateways
    balance roundrobin
    server first {first}:{port}
    server second {second}:{port}
"""


@dataclass(slots=True)
class Tried:
    """What came of everything that was tried meanwhile."""

    sessions: Counter[object] = field(default_factory=Counter)
    """Answers to real sessions: a status, or the name of an error on the way."""
    made_up: Counter[object] = field(default_factory=Counter)
    """The same for cookies that nobody gave out."""
    logins: Counter[int] = field(default_factory=Counter)
    """How many sessions came of one code that was handed in twice at once."""
    broken_logins: int = 0


@dataclass(slots=True, kw_only=True)
class Site:
    """Both gateways, and everything that they need and serve."""

    folder: Path
    machines: list[Machine]
    port: int
    tls: SSLContext
    redis: RedisProcess
    portal: RawServer
    files: list[Path]
    running: dict[int, tuple[ServedGateway, ExitStack]] = field(default_factory=dict)
    past_logs: list[str] = field(default_factory=list)
    """Of gateways that were stopped: each start begins its log anew."""

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.port}"

    def start(self, number: int) -> None:
        """Start the gateway of one machine; the second one's clock is ahead."""
        within = self.machines[number].run
        if number == 1:
            within += ("env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME=+{CLOCKS_APART}s")
            within += ("FAKETIME_DONT_FAKE_MONOTONIC=1",)
        stack = ExitStack()
        gateway = stack.enter_context(
            served_gateway(self.files[number], self.port, scheme="https", within=within)
        )
        self.running[number] = gateway, stack
        assert abs(_seconds_ahead(gateway) - number * CLOCKS_APART) < CLOCKS_APART / 2

    def stop(self, number: int) -> None:
        """Stop it as an operator does."""
        gateway, stack = self.running.pop(number)
        assert gateway.stop() == 0, gateway.log
        self.past_logs.append(gateway.log)
        stack.close()

    def kill(self, number: int) -> None:
        """End every process of it at once, as a loss of power does."""
        gateway, stack = self.running.pop(number)
        for pid in [gateway.process.pid, *(gateway.child(name) for name in gateway.children)]:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL) if os.getpgid(pid) == pid else os.kill(pid, 9)
        gateway.process.wait(START_SECONDS)
        stack.close()

    @property
    def errors(self) -> list[str]:
        """What the gateways logged as their own faults."""
        logs = [*self.past_logs, *(gateway.log for gateway, _ in self.running.values())]
        lines = [line for log in logs for line in log.splitlines()]
        return [line for line in lines if " ERROR " in line or ": 500 " in line]

    def stop_all(self) -> None:
        for number in tuple(self.running):
            self.stop(number)

    def ask(self, target: str, cookie: bytes) -> Page:
        """Ask for a page on a connection of its own."""
        fields = {**NAVIGATION, "Cookie": f"{SESSION_COOKIE}={b64url_encode(cookie)}"}
        return exchange("GET", self.origin + target, fields, tls=self.tls)

    def line(self) -> Line:
        """Return what browsers and agents see of the site."""
        return Line(
            settings=Settings.load(self.files[0]),
            clock=FakeClock(system_clock()),
            tls=self.tls,
            portal=self.portal,
        )

    def new_sessions(self, count: int) -> list[bytes]:
        """Open sessions as logins do, in the store that both share."""
        stores = open_stores(Settings.load(self.files[0]))
        now = system_clock()
        created = [stores.sessions.create(DOCTOR, agent_key(), now=now) for _ in range(count)]
        stores.close()
        return created

    @contextmanager
    def tried(self, sessions: list[bytes]) -> Iterator[Tried]:
        """Try sessions, made-up cookies and logins until the block ends."""
        tried, over = Tried(), threading.Event()
        work: list[Callable[[], None]] = [lambda: self._log_in(tried)]
        work += [lambda: self._try_cookies(tried, sessions)] * TRIERS

        def again(step: Callable[[], None]) -> None:
            while not over.is_set():
                step()
                time.sleep(PAUSE)

        with ThreadPoolExecutor(len(work)) as pool:
            running = [pool.submit(again, step) for step in work]
            try:
                yield tried
            finally:
                over.set()
            for each in running:
                each.result()

    def _try_cookies(self, tried: Tried, sessions: list[bytes]) -> None:
        tried.sessions[self._outcome("/rights", secrets.choice(sessions))] += 1
        tried.made_up[self._outcome("/made-up", secrets.token_bytes(32))] += 1

    def _outcome(self, target: str, cookie: bytes) -> object:
        try:
            return self.ask(target, cookie).status
        except (OSError, http.client.HTTPException) as exc:
            return type(exc).__name__

    def _log_in(self, tried: Tried) -> None:
        line = self.line()
        key = cards.authentication_key()
        certificate = pki.leaf(leaf_key=key, not_before=system_clock() - timedelta(days=1))
        image = cards.image(authentication=Credential(certificate=certificate, key=key))
        browser = line.browser()
        try:
            with line.desk(image) as desk:
                back = browser.to_agent(browser.open("/_cps/login"), desk.port)
            assert back.code
        except (OSError, http.client.HTTPException, AssertionError):
            tried.broken_logins += 1
            return
        with ThreadPoolExecutor(2) as pool:
            ends = list(pool.map(lambda twin: _redeemed(twin, back), _twins(browser, line)))
        tried.logins[sum(ends)] += 1


def _seconds_ahead(gateway: ServedGateway) -> float:
    """Return how far the clock is ahead of ours of a gateway that just started."""
    latest = re.findall(r"\d{4}-\d\d-\d\dT[\d:]{8}Z", gateway.log)[-1]
    return (datetime.fromisoformat(latest) - system_clock()).total_seconds()


def _twins(browser: Browser, line: Line) -> list[Browser]:
    """Return two browsers with the same cookies."""
    twins = [line.browser(), line.browser()]
    for twin in twins:
        twin.cookies.update(browser.cookies)
    return twins


def _redeemed(browser: Browser, back: Page) -> bool:
    """Return whether handing in the code opened a session."""
    with suppress(OSError, http.client.HTTPException):
        browser.follow(back)
    return SESSION_COOKIE in browser.cookies


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if shutil.which("haproxy") is None or FAKETIME is None:
        pytest.skip("haproxy or libfaketime is not installed")
    folder = tmp_path_factory.mktemp("machines")
    port, redis_port = free_port(), free_port()
    with ExitStack() as stack:
        nodes = stack.enter_context(machines(2))
        here = [node.here for node in nodes]
        files = write_server_files(folder, "localhost", here)
        redis = stack.enter_context(
            redis_process(
                *("--tls-port", str(redis_port), "--bind", *here),
                *("--tls-cert-file", str(files.certificate), "--tls-key-file", str(files.key)),
                *("--tls-ca-cert-file", str(files.certificate), "--tls-auth-clients", "no"),
                *("--requirepass", PASSWORD, "--appendonly", "yes", "--appendfsync", "always"),
            )
        )
        portal = RawServer(echo)
        upstream = stack.enter_context(portal.on_port(host=here[0]))
        portal_port = int(upstream.rpartition(":")[2])
        stack.enter_context(portal.on_port(portal_port, host=here[1]))
        stack.enter_context(_haproxy(folder, port, nodes))
        site = Site(
            folder=folder,
            machines=nodes,
            port=port,
            tls=create_default_context(cafile=str(files.certificate)),
            redis=redis,
            portal=portal,
            files=[_settings(folder, node, port, portal_port, redis_port, files) for node in nodes],
        )
        stack.callback(site.stop_all)
        yield site


def _settings(
    folder: Path, node: Machine, port: int, portal_port: int, redis_port: int, files: ServerFiles
) -> Path:
    own = folder / node.name
    own.mkdir()
    password = own / "redis-password"
    password.touch(mode=0o600)
    password.write_text(PASSWORD, encoding="utf-8")
    file = write_settings(
        own,
        upstream=f"http://{node.here}:{portal_port}",
        port=port,
        more=f"""
[store]
engine = "redis"
redis_url = "rediss://{node.here}:{redis_port}"
redis_password_file = "redis-password"
redis_tls_ca = "{files.certificate}"

# All that is tried here comes from one address and of one doctor.
[rate]
login_per_minute = {TRIED_PER_MINUTE}
claim_per_minute = {TRIED_PER_MINUTE}
token_per_minute = {TRIED_PER_MINUTE}
identity_per_minute = {TRIED_PER_MINUTE}
""",
    )
    text = file.read_text(encoding="utf-8")
    text = text.replace('origin = "http:', 'origin = "https:')
    text = text.replace(
        "[listen]",
        f'[listen]\naddress = "{node.address}"\n'
        f'tls_certificate = "{files.certificate}"\ntls_key = "{files.key}"',
    )
    file.write_text(text, encoding="utf-8")
    return file


@contextmanager
def _haproxy(folder: Path, port: int, nodes: list[Machine]) -> Iterator[None]:
    file = folder / "haproxy.cfg"
    first, second = (node.address for node in nodes)
    file.write_text(HAPROXY.format(port=port, first=first, second=second), encoding="utf-8")
    with subprocess.Popen(["haproxy", "-q", "-db", "-f", str(file)]) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.fixture
def sessions(site: Site) -> list[bytes]:
    """Return sessions that are open on both machines, each of which runs."""
    for number in range(2):
        if number not in site.running:
            site.start(number)
    time.sleep(QUIET_SECONDS)
    return site.new_sessions(SESSIONS)


def require_nobody_came_in(site: Site, tried: Tried) -> None:
    """Check that no made-up cookie was let in, and that no code made two sessions."""
    assert tried.made_up
    assert 200 not in tried.made_up
    assert b"/made-up" not in site.portal.all_received
    assert set(tried.logins) <= {0, 1}


def require_all_still_in(site: Site, sessions: list[bytes]) -> None:
    """Check that every session is still let in."""
    assert Counter(site.ask("/rights", each).status for each in sessions) == {200: SESSIONS}


def test_a_rolling_restart_loses_no_session(site: Site, sessions: list[bytes]) -> None:
    with site.tried(sessions) as tried:
        for number in range(2):
            site.stop(number)
            time.sleep(QUIET_SECONDS)
            site.start(number)
            time.sleep(QUIET_SECONDS)
    print(tried)
    require_nobody_came_in(site, tried)
    assert tried.sessions[200] > 100
    assert tried.logins[1] > 3
    require_all_still_in(site, sessions)
    # Nobody was sent to log in again.
    assert {status for status in tried.sessions if isinstance(status, int)} == {200}, site.errors


def test_a_node_that_dies_under_load_loses_no_session(site: Site, sessions: list[bytes]) -> None:
    with site.tried(sessions) as tried:
        for number in range(2):
            time.sleep(QUIET_SECONDS)
            site.kill(number)
            time.sleep(QUIET_SECONDS)
            site.start(number)
            time.sleep(QUIET_SECONDS)
    print(tried)
    require_nobody_came_in(site, tried)
    assert tried.sessions[200] > 100
    assert tried.logins[1] > 3
    require_all_still_in(site, sessions)
    assert {status for status in tried.sessions if isinstance(status, int)} == {200}, site.errors


def test_without_the_store_nobody_is_let_in_and_afterwards_all_are(
    site: Site, sessions: list[bytes]
) -> None:
    site.redis.kill()
    time.sleep(QUIET_SECONDS)
    with site.tried(sessions) as tried:
        time.sleep(3 * QUIET_SECONDS)
    site.redis.start()
    print(tried)
    require_nobody_came_in(site, tried)
    assert set(tried.sessions) == {503}
    assert not tried.logins[1]
    _await(lambda: site.ask("/rights", sessions[0]).status == 200)
    require_all_still_in(site, sessions)


def test_a_store_that_comes_back_empty_lets_nobody_in(site: Site, sessions: list[bytes]) -> None:
    site.redis.kill()
    shutil.rmtree(site.redis.folder / "appendonlydir")
    site.redis.start()
    _await(lambda: site.ask("/rights", sessions[0]).status == 303)
    with site.tried(sessions) as tried:
        time.sleep(3 * QUIET_SECONDS)
    print(tried)
    require_nobody_came_in(site, tried)
    assert set(tried.sessions) == {303}
    assert tried.logins[1] > 3
    require_all_still_in(site, site.new_sessions(SESSIONS))


def test_a_machine_cut_off_from_the_store_lets_nobody_in(site: Site, sessions: list[bytes]) -> None:
    cut_off = site.machines[0]
    with site.tried(sessions) as tried:
        cut_off.set_link("down")
        time.sleep(3 * QUIET_SECONDS)
        cut_off.set_link("up")
        time.sleep(QUIET_SECONDS)
    print(tried)
    require_nobody_came_in(site, tried)
    _await(lambda: site.ask("/rights", sessions[0]).status == 200)
    require_all_still_in(site, sessions)
    assert {status for status in tried.sessions if isinstance(status, int)} <= CUT_OFF


def _await(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not met():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.1)
