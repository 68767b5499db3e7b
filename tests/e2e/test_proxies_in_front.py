"""A real HAProxy in front of `cps-gateway serve`: whose address portal and audit log see."""

import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal

import pytest

from gateway.clock import system_clock
from gateway.database import Database
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import SessionSettings
from tests.support.nginx import nginx_program
from tests.support.proxies import proxy_program
from tests.support.proxy_protocol import LOCAL, UNSPECIFIED, binary_header, raw_header, text_header
from tests.support.relay import (
    PERSON,
    Message,
    RawServer,
    Wire,
    echo,
    new_agent_key,
    raw_request,
)
from tests.support.server_certificate import ServerFiles, write_server_files
from tests.support.serving import ServedGateway, free_port, served_gateway, write_settings

BROWSER, PROXY, STRANGER, LIE = "127.0.0.21", "127.0.0.30", "127.0.0.40", "198.51.100.66"
LIES = (
    f"X-Forwarded-For: {LIE}",
    f"X-Forwarded-For: {LIE}, {PROXY}",
    f"Forwarded: for={LIE}",
    f'Forwarded: for="{LIE}";proto=https, for={PROXY}',
    f"X-Real-IP: {LIE}",
    f"X-CPS-Client: {LIE}",
    f"Client-IP: {LIE}",
)
SECONDS = 20
CHECKS = "check inter 50ms fall 1 rise 1"

_HAPROXY = """
global
    maxconn 200
defaults
    timeout connect 5s
    timeout client 20s
    timeout server 20s
"""
_THROUGH = """
listen {name}
    mode tcp
    bind 127.0.0.1:{port}
    source {proxy}
    server gateway 127.0.0.1:{gateway} {sends} {checks}
"""
_TERMINATES = """
listen {name}
    mode http
    bind 127.0.0.1:{port} ssl crt {both}
    {adds}
    source {proxy}
    server gateway 127.0.0.1:{gateway} {sends}
"""


class Fronted:
    """A served gateway, with HAProxy's ports in front of it."""

    def __init__(
        self, served: ServedGateway, folder: Path, files: ServerFiles, ports: dict[str, int]
    ) -> None:
        self.served = served
        self.audit_log = folder / "audit.log"
        self.sessions = SQLiteSessionStore(
            Database(folder / "state" / "gateway.db"), SessionSettings()
        )
        self._context = ssl.create_default_context(cafile=str(files.certificate))
        self._ports = {**ports, "gateway": int(served.address.rpartition(":")[2])}
        self.host = f"localhost:{self._ports['gateway']}"

    @contextmanager
    def wire(
        self, way: str, source: str = BROWSER, *, tls: bool = True, first: bytes = b""
    ) -> Iterator[Wire]:
        """Connect from *source* to a port of HAProxy, or to the gateway's own."""
        with socket.create_connection(
            ("127.0.0.1", self._ports[way]), SECONDS, source_address=(source, 0)
        ) as connection:
            connection.sendall(first)
            if tls:
                connection = self._context.wrap_socket(connection, server_hostname="localhost")
            with Wire(connection) as wire:
                yield wire

    def request(self, *fields: str) -> bytes:
        """Return a request for a page, with a new session."""
        cookie = self.sessions.create(PERSON, new_agent_key(), now=system_clock())
        return raw_request("/x", *fields, cookie=cookie, host=self.host)

    def ask(self, way: str, *fields: str, source: str = BROWSER, tls: bool = True) -> Message:
        with self.wire(way, source, tls=tls) as wire:
            wire.send(self.request(*fields))
            return wire.response()

    def recorded(self, way: str, *fields: str, source: str = BROWSER, tls: bool = True) -> str:
        """Have a login refused, and return whose the audit log says it was."""
        before = self.audit_log.read_text(encoding="utf-8").count("\n")
        with self.wire(way, source, tls=tls) as wire:
            claim = raw_request(
                "/_cps/agent/claim",
                "Content-Type: application/json",
                *fields,
                method="POST",
                body=b"{}",
                host=self.host,
            )
            wire.send(claim)
            assert wire.response().status == 400
        lines = self.audit_log.read_text(encoding="utf-8").splitlines()[before:]
        (refused,) = (each for each in map(json.loads, lines) if each["event"] == "login_refused")
        return str(refused["client"])


def told(answer: Message) -> dict[str, str]:
    """Return what the portal was told, by the names in lower case."""
    assert answer.status == 200, answer
    fields = [(name.lower(), value) for name, value in json.loads(answer.body)["fields"]]
    assert len(fields) == len(dict(fields))
    return dict(fields)


@contextmanager
def haproxy(folder: Path, configuration: str, ports: dict[str, int]) -> Iterator[None]:
    """Run HAProxy until the block ends."""
    file, log = folder / "haproxy.cfg", folder / "haproxy.log"
    file.write_text(configuration, encoding="utf-8")
    with (
        log.open("w") as out,
        subprocess.Popen(
            [proxy_program("haproxy"), "-db", "-f", file], stdout=out, stderr=out, cwd=folder
        ) as process,
    ):
        try:
            for port in ports.values():
                _wait_for(port, process, log)
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS)
            process.kill()


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


@contextmanager
def fronted(
    folder: Path, files: ServerFiles, listen: str, ways: dict[str, str], more: str = ""
) -> Iterator[Fronted]:
    """Run gateway and HAProxy.

    :param listen: lines for the gateway's table.
    :param ways: parts of HAProxy's configuration by their names.
    """
    proxy_program("haproxy")
    both = folder / "both.pem"
    both.write_bytes(files.certificate.read_bytes() + files.key.read_bytes())
    port, ports = free_port(), {name: free_port() for name in ways}
    configuration = _HAPROXY + "".join(
        part.format(name=name, port=ports[name], gateway=port, proxy=PROXY, both=both)
        for name, part in ways.items()
    )
    with RawServer(echo).on_port() as upstream:
        file = write_settings(folder, upstream=upstream, port=port, more=more)
        text = file.read_text(encoding="utf-8").replace("http://localhost", "https://localhost")
        text = text.replace("[listen]\n", f"[listen]\n{listen}\n")
        file.write_text(text, encoding="utf-8")
        with (
            served_gateway(file, port, scheme="https") as served,
            haproxy(folder, configuration, ports),
        ):
            found = Fronted(served, folder, files, ports)
            with closing(found.sessions._database):
                yield found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ServerFiles:
    return write_server_files(tmp_path_factory.mktemp("tls"), "localhost")


def _through(sends: str) -> str:
    return _THROUGH.replace("{sends}", sends).replace("{checks}", CHECKS)


PROXIED = {
    "v1": _through("send-proxy"),
    "v2": _through("send-proxy-v2"),
    "additions": _through("send-proxy-v2 proxy-v2-options crc32c,unique-id,authority"),
    "http": _TERMINATES.replace("{adds}", "option forwardfor").replace(
        "{sends}", "send-proxy-v2 ssl verify none sni str(localhost)"
    ),
}


class Engine:
    """A gateway behind proxies that speak the PROXY protocol."""

    def __init__(self, name: Literal["embedded", "nginx"], fronted: Fronted) -> None:
        self.name = name
        self.fronted = fronted


@pytest.fixture(scope="module", params=["embedded", "nginx"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, files: ServerFiles
) -> Iterator[Engine]:
    if request.param == "nginx":
        nginx_program()
    listen = (
        f'trusted_proxies = ["{PROXY}"]\nproxy_protocol = true\n'
        f'tls_certificate = "{files.certificate}"\ntls_key = "{files.key}"'
    )
    more = f'[edge]\nengine = "{request.param}"\nrelayed_paths = ["/exports/"]\n'
    if request.param == "embedded":
        more = ""
    with fronted(tmp_path_factory.mktemp("front"), files, listen, PROXIED, more) as found:
        yield Engine(request.param, found)


@pytest.mark.parametrize("way", PROXIED)
def test_portal_and_audit_log_see_the_browser_through_the_proxy_protocol(
    engine: Engine, way: str
) -> None:
    fields = told(engine.fronted.ask(way))
    assert fields["x-forwarded-for"] == BROWSER
    assert f"for={BROWSER};" in fields["forwarded"]
    assert engine.fronted.recorded(way) == BROWSER


@pytest.mark.parametrize("way", PROXIED)
@pytest.mark.parametrize("lie", LIES)
def test_what_the_browser_claims_is_not_believed(engine: Engine, way: str, lie: str) -> None:
    fields = told(engine.fronted.ask(way, lie))
    assert fields["x-forwarded-for"] == BROWSER
    assert LIE not in str(fields)
    assert engine.fronted.recorded(way, lie) == BROWSER


@pytest.mark.parametrize("header", [text_header(LIE), binary_header(LIE)], ids=["v1", "v2"])
def test_a_header_of_the_browsers_own_does_not_get_through(engine: Engine, header: bytes) -> None:
    with pytest.raises((OSError, EOFError)), engine.fronted.wire("v2", first=header):
        pass


def test_two_browsers_are_told_apart(engine: Engine) -> None:
    for source in ("127.0.0.22", "127.0.0.23", "127.0.0.22"):
        fields = told(engine.fronted.ask("v2", source=source))
        assert fields["x-forwarded-for"] == source
        assert engine.fronted.recorded("http", source=source) == source


def test_what_lives_long_has_the_browsers_address_too(engine: Engine) -> None:
    fields = told(engine.fronted.ask("v2", "Accept: text/event-stream"))
    assert fields["x-forwarded-for"] == BROWSER


@pytest.mark.parametrize("header", [text_header(LIE), binary_header(LIE)], ids=["v1", "v2"])
def test_a_stranger_gets_nowhere_whatever_it_says(engine: Engine, header: bytes) -> None:
    try:
        with engine.fronted.wire("gateway", STRANGER, first=header) as wire:
            wire.send(engine.fronted.request(*LIES[:1]))
            status = wire.response().status
    except (OSError, EOFError):
        status = None
    # nginx takes the header from everybody, and refuses each request of a stranger.
    assert status == (400 if engine.name == "nginx" else None)
    expected = (
        f"400 to {STRANGER}: not a connection of a trusted proxy"
        if engine.name == "nginx"
        else f"a connection is closed: {STRANGER} is no trusted proxy"
    )
    deadline = time.monotonic() + SECONDS
    while expected not in engine.fronted.served.log:
        assert time.monotonic() < deadline, engine.fronted.served.log
        time.sleep(0.02)
    assert LIE not in engine.fronted.served.log


def test_without_a_header_nobody_is_served(engine: Engine) -> None:
    for source in (PROXY, STRANGER):
        with pytest.raises((OSError, EOFError)):
            engine.fronted.ask("gateway", source=source)


@pytest.mark.parametrize(
    "header", [raw_header(LOCAL, UNSPECIFIED), b"PROXY UNKNOWN\r\n"], ids=["local", "unknown"]
)
def test_a_proxy_that_names_nobody_gets_tls_and_no_page(engine: Engine, header: bytes) -> None:
    with engine.fronted.wire("gateway", PROXY, first=header) as wire:
        wire.send(engine.fronted.request())
        assert wire.response().status == 500


BY_FIELD = {
    "X-Forwarded-For": _TERMINATES.replace("{adds}", "option forwardfor"),
    "Forwarded": _TERMINATES.replace("{adds}", "http-request add-header Forwarded for=%[src]"),
}


@pytest.fixture(scope="module", params=BY_FIELD)
def terminated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, files: ServerFiles
) -> Iterator[Fronted]:
    listen = f'trusted_proxies = ["{PROXY}"]\nproxy_field = "{request.param}"'
    ways = {"front": BY_FIELD[request.param].replace("{sends}", "")}
    with fronted(tmp_path_factory.mktemp("field"), files, listen, ways) as found:
        yield found


def test_portal_and_audit_log_see_the_browser_that_a_trusted_terminator_names(
    terminated: Fronted,
) -> None:
    assert told(terminated.ask("front"))["x-forwarded-for"] == BROWSER
    assert terminated.recorded("front") == BROWSER


@pytest.mark.parametrize("lie", LIES)
def test_what_the_browser_claims_before_the_terminator_is_not_believed(
    terminated: Fronted, lie: str
) -> None:
    fields = told(terminated.ask("front", lie))
    assert fields["x-forwarded-for"] == BROWSER
    assert LIE not in str(fields)
    assert terminated.recorded("front", lie) == BROWSER


@pytest.mark.parametrize("lie", LIES)
def test_a_stranger_beside_the_terminator_speaks_for_itself(terminated: Fronted, lie: str) -> None:
    fields = told(terminated.ask("gateway", lie, source=STRANGER, tls=False))
    assert fields["x-forwarded-for"] == STRANGER
    assert LIE not in str(fields)
    assert terminated.recorded("gateway", lie, source=STRANGER, tls=False) == STRANGER
