"""Two portals behind one nginx: what is of one opens nothing at the other, whatever is mixed."""

import json
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason
from tests.contract.test_nginx_engine import HTTP2
from tests.support.engines import Tried, for_nginx, running_nginx_of
from tests.support.relay import (
    PERSON,
    FakeSigner,
    Message,
    RawServer,
    Wire,
    cookie_field,
    echo,
    fake_control_plane,
    new_agent_key,
    raw_request,
    relay_settings,
    session_key,
)
from tests.support.server_certificate import write_server_files

ONE, TWO = "one.example", "two.example"
EVENTS = "Accept: text/event-stream"
FEED_SECONDS = 5
"""Ten times what may pass before an end is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """One of the portals."""

    host: str
    server: RawServer
    tried: Tried

    def log_in(self) -> bytes:
        return self.tried.sessions.create(PERSON, new_agent_key(), now=system_clock())

    def log_out(self, cookie: bytes) -> None:
        self.tried.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())


@dataclass(frozen=True, slots=True, kw_only=True)
class Two:
    """nginx with both portals behind it."""

    address: str
    one: At
    two: At
    context: ssl.SSLContext | None

    def wire(self, name: str = ONE) -> Wire:
        """Connect, with TLS for the portal called *name*."""
        return Wire.open(self.address, self.context, name=name)

    def ask(self, raw: bytes, *, name: str = ONE) -> Message:
        with self.wire(name) as wire:
            wire.send(raw)
            return wire.response()

    def forget(self) -> None:
        for portal in (self.one, self.two):
            portal.server.forget()


@contextmanager
def running(
    folder: Path,
    *,
    has_tls: bool,
    handler: Callable[[Wire], object] = echo,
    **edge: object,
) -> Iterator[Two]:
    with ExitStack() as held:
        found = [_portal(held, folder, host, handler, edge, has_tls) for host in (ONE, TWO)]
        listen = found[0].tried.settings.listen
        tried = [at.tried for at in found]
        running_all = running_nginx_of(tried, folder, signer=FakeSigner())
        address, _ = held.enter_context(running_all)
        context = None
        if has_tls:
            context = ssl.create_default_context(cafile=str(listen.tls_certificate))
            for at in found:
                context.load_verify_locations(str(at.tried.settings.listen.tls_certificate))
        yield Two(address=address, one=found[0], two=found[1], context=context)


def _portal(
    held: ExitStack,
    folder: Path,
    host: str,
    handler: Callable[[Wire], object],
    edge: dict[str, object],
    has_tls: bool,
) -> At:
    name = host.partition(".")[0]
    own = folder / name
    own.mkdir()
    server, control = RawServer(handler), RawServer(fake_control_plane)
    upstream = held.enter_context(server.on_port())
    control_socket = held.enter_context(control.on_socket(own / "control.sock"))
    settings = for_nginx(relay_settings(folder, upstream=upstream), **edge)
    facts = {"name": name, "origin": f"https://{host}", "label": f"Portail {name}"}
    portal, listen = settings.portal.model_copy(update=facts), settings.listen
    if has_tls:
        files = write_server_files(own, host)
        pair = {"tls_certificate": files.certificate, "tls_key": files.key}
        listen = listen.model_copy(update=pair)
    settings = settings.model_copy(update={"portal": portal, "listen": listen})
    tried = Tried(
        settings=settings,
        folder=own,
        control_socket=control_socket,
        sessions=MemorySessionStore(settings.session),
    )
    return At(host=host, server=server, tried=tried)


@pytest.fixture(scope="module", params=[True, False], ids=["TLS", "no TLS"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    folder = tmp_path_factory.mktemp("two")
    with running(folder, has_tls=request.param, relayed_paths=["/exports/"]) as found:
        yield found


@pytest.fixture
def secure(both: Two) -> Two:
    if both.context is None:
        pytest.skip("this is about TLS")
    return both


def test_each_portal_gets_its_own_requests(both: Two) -> None:
    for at in (both.one, both.two):
        both.forget()
        answer = both.ask(raw_request("/x", cookie=at.log_in(), host=at.host), name=at.host)
        fields = dict(json.loads(answer.body)["fields"])
        assert (fields["Host"], fields["X-Forwarded-Host"]) == (at.host, at.host)
        other = both.two if at is both.one else both.one
        assert at.server.all_received
        assert other.server.all_received == b""


@pytest.mark.parametrize(
    ("target", "field"),
    [("/x", "X: y"), ("/events", EVENTS), ("/exports/x", "X: y"), ("/%65xports/x", "X: y")],
    ids=["plain", "events", "relayed path", "relayed path, encoded"],
)
def test_a_session_of_one_portal_opens_nothing_at_the_other(
    both: Two, target: str, field: str
) -> None:
    cookie = both.one.log_in()
    both.forget()
    here = both.ask(raw_request(target, field, cookie=cookie, host=ONE), name=ONE)
    there = both.ask(raw_request(target, field, cookie=cookie, host=TWO), name=TWO)
    assert (here.status, there.status) == (200, 401)
    assert both.two.server.all_received == b""


def test_the_door_is_that_of_the_portal_that_was_asked_for(both: Two) -> None:
    navigation = ("Sec-Fetch-Mode: navigate", "Accept: text/html")
    for at in (both.one, both.two):
        answer = both.ask(raw_request("/x", *navigation, host=at.host), name=at.host)
        assert answer.status == 303
        form = raw_request("/x", *navigation, method="POST", body=b"a", host=at.host)
        page = both.ask(form, name=at.host).body.decode()
        assert f"Portail {at.host.partition('.')[0]}" in page


@pytest.mark.parametrize(
    ("target", "hosts"),
    [
        pytest.param("/x", ("other.example",), id="unknown host"),
        pytest.param("/x", ("",), id="no host"),
        pytest.param("/x", ("_",), id="the name of nobody"),
        pytest.param("/x", (f"{ONE}.",), id="trailing dot"),
        pytest.param("/x", (f"{ONE}:444",), id="another port"),
        pytest.param("/x", (f"{ONE} {ONE}",), id="with a space"),
        pytest.param("/x", (f"{ONE},{TWO}",), id="both in one"),
        pytest.param("/x", (ONE, TWO), id="one, two"),
        pytest.param("/x", (TWO, ONE), id="two, one"),
        pytest.param("/x", (ONE, ONE), id="one twice"),
        pytest.param(f"http://{TWO}/x", (ONE,), id="absolute, other"),
        pytest.param(f"https://{ONE}/x", (TWO,), id="absolute, this"),
        pytest.param(f"https://{ONE}/x", (ONE,), id="absolute, both"),
    ],
)
def test_what_names_no_portal_or_two_reaches_none(
    both: Two, target: str, hosts: tuple[str, ...]
) -> None:
    both.forget()
    cookie = cookie_field(both.one.log_in())
    further = (f"Host: {each}" for each in hosts[1:])
    raw = raw_request(target, *further, f"Cookie: {cookie}", host=hosts[0])
    for name in (ONE, TWO):
        with both.wire(name) as wire:
            wire.send(raw)
            assert wire.response().status in (400, 421)
    assert both.one.server.all_received == both.two.server.all_received == b""


def test_tls_begun_for_one_portal_is_no_way_to_the_other(secure: Two) -> None:
    cookie = secure.two.log_in()
    secure.forget()
    raw = raw_request("/x", cookie=cookie, host=TWO)
    for target in (raw, raw_request("/events", EVENTS, cookie=cookie, host=TWO)):
        assert secure.ask(target, name=ONE).status == 421
    login = raw_request("/_cps/login", host=TWO)
    assert secure.ask(login, name=ONE).status == 421
    assert secure.two.server.all_received == b""
    # The same request, where it belongs.
    assert secure.ask(raw, name=TWO).status == 200


def test_http_2_does_not_go_over_to_another_portal(secure: Two) -> None:
    """Browsers do that for names in one certificate."""
    cookie = cookie_field(secure.two.log_in())
    secure.forget()
    client = HTTP2(secure.address, name=ONE)
    with client.socket:
        head = [(":method", "GET"), (":path", "/x"), (":scheme", "https"), (":authority", TWO),
                ("cookie", cookie)]  # fmt: skip
        status, _ = client.ask(head)
    assert status == 421
    assert secure.two.server.all_received == b""


@pytest.mark.parametrize("name", ["other.example", "_", f"x.{ONE}", None], ids=str)
def test_no_handshake_begins_for_another_name(secure: Two, name: str | None) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, _, port = secure.address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), 5) as raw,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(raw, server_hostname=name)


@pytest.mark.parametrize(
    ("ciphers", "is_open"),
    [("ECDHE+AESGCM", True), ("ECDHE+CHACHA20", True), ("ECDHE+AES:!AESGCM:!AESCCM", False)],
)
def test_tls_1_2_is_spoken_with_authenticated_ciphers_alone(
    secure: Two, ciphers: str, is_open: bool
) -> None:
    context = ssl.create_default_context(
        cafile=str(secure.one.tried.settings.listen.tls_certificate)
    )
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ciphers)
    if is_open:
        with Wire.open(secure.address, context, name=ONE) as wire:
            wire.send(raw_request("/x", host=ONE))
            assert wire.response().status == 401
    else:
        with pytest.raises(ssl.SSLError):
            Wire.open(secure.address, context, name=ONE)


def test_a_kept_handshake_is_no_way_to_the_other_portal(secure: Two) -> None:
    assert secure.context is not None
    secure.context.maximum_version = ssl.TLSVersion.TLSv1_2
    cookie = secure.two.log_in()
    host, _, port = secure.address.rpartition(":")

    def asked(name: str, session: ssl.SSLSession | None) -> tuple[int, ssl.SSLSession | None]:
        assert secure.context is not None
        with (
            socket.create_connection((host, int(port)), 5) as raw,
            secure.context.wrap_socket(raw, server_hostname=name, session=session) as wire,
        ):
            wire.sendall(raw_request("/x", "Connection: close", cookie=cookie, host=TWO))
            answer = wire.recv(65536)
            return int(answer.split(b" ")[1]), wire.session

    try:
        status, kept = asked(ONE, None)
        assert status == 421
        secure.forget()
        with suppress(ssl.SSLError):
            asked(ONE, kept)
        assert secure.two.server.all_received == b""
    finally:
        secure.context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED


def _stream(wire: Wire) -> None:
    wire.request()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
    wire.rest()


def test_an_end_cuts_the_streams_of_its_own_portal_alone(tmp_path: Path) -> None:
    with running(tmp_path, has_tls=False, handler=_stream) as both:
        cookies = {at.host: at.log_in() for at in (both.one, both.two)}
        with both.wire() as at_one, both.wire() as at_two:
            for wire, host in ((at_one, ONE), (at_two, TWO)):
                wire.send(raw_request("/events", EVENTS, cookie=cookies[host], host=host))
                wire.until(b"data: x\n\n")
            # What is known at one portal ends nothing at the other, even under the same name.
            both.two.log_out(cookies[ONE])
            both.one.log_out(cookies[ONE])
            began = time.monotonic()
            at_one.patience(FEED_SECONDS)
            at_one.rest()
            assert time.monotonic() - began < FEED_SECONDS
            at_two.patience(0.3)
            with pytest.raises(TimeoutError):
                at_two.until(b"never")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, where there is such a place."""
    place = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
    if not place.is_dir():
        pytest.skip("no /dev/shm on this machine")
    with tempfile.TemporaryDirectory(prefix="cps-", dir=place) as name:
        yield Path(name)


def test_a_verdict_that_is_kept_for_one_portal_is_none_for_the_other(memory: Path) -> None:
    with running(memory, has_tls=False, verdict_cache_seconds=5) as both:
        cookie = both.one.log_in()
        here = raw_request("/x", cookie=cookie, host=ONE)
        there = raw_request("/x", cookie=cookie, host=TWO)
        for _ in range(3):
            assert both.ask(here).status == 200
            assert both.ask(there).status == 401
        kept = {at.host: _files_in(at.tried.placed.verdicts) for at in (both.one, both.two)}
        assert (len(kept[ONE]), kept[TWO]) == (1, [])
        both.one.log_out(cookie)
        deadline = time.monotonic() + FEED_SECONDS
        while both.ask(here).status != 401:
            assert time.monotonic() < deadline
        assert _files_in(both.one.tried.placed.verdicts) == []


def _files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
