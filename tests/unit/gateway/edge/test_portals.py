"""Requests for several portals on one port, over TLS, at the real engine."""

import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.edge.embedded import EmbeddedEngine
from gateway.edge.portals import PortalRelays
from gateway.edge.relay import create_relay
from gateway.edge.tls import PortalCertificates
from gateway.session.memory import MemorySessionStore
from gateway.settings import SessionSettings
from tests.support.loop_thread import loop_thread
from tests.support.relay import (
    PERSON,
    FakeSigner,
    Message,
    RawServer,
    Wire,
    echo,
    new_agent_key,
    raw_request,
    relay_settings,
    run_engine,
)
from tests.support.server_certificate import write_server_files

NAMES = ("one.example", "two.example")


class Two:
    """The engine with two portals, of which a session of the first is known."""

    def __init__(self, address: str, cookie: bytes) -> None:
        self.address = address
        self.cookie = cookie

    @contextmanager
    def wire(self, name: str) -> Iterator[Wire]:
        """Connect with *name* in the TLS handshake."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with Wire.open(self.address, context, name=name) as wire:
            yield wire

    def ask(self, name: str, host: str) -> Message:
        with self.wire(name) as wire:
            wire.send(raw_request("/x", cookie=self.cookie, host=host))
            return wire.response()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    folder = tmp_path_factory.mktemp("portals")
    with (
        RawServer(echo).on_port() as one,
        RawServer(echo).on_port() as other,
        running(folder, dict(zip(NAMES, (one, other), strict=True))) as found,
    ):
        yield found


@contextmanager
def running(folder: Path, upstreams: dict[str, str]) -> Iterator[Two]:
    cookie = b""

    async def run(until_stopped: Callable[[str], Awaitable[None]]) -> None:
        nonlocal cookie
        relays, listens = {}, {}
        for name, upstream in upstreams.items():
            place = folder / name
            place.mkdir()
            files = write_server_files(place, name)
            settings = relay_settings(place, upstream=upstream)
            origin = f"https://{name}"
            portal = settings.portal.model_copy(update={"origin": origin, "label": name})
            listen = {"tls_certificate": files.certificate, "tls_key": files.key}
            settings = settings.model_copy(
                update={"portal": portal, "listen": settings.listen.model_copy(update=listen)}
            )
            sessions = MemorySessionStore(SessionSettings())
            cookie = cookie or sessions.create(PERSON, new_agent_key(), now=system_clock())
            listens[origin] = settings.listen
            relays[origin] = create_relay(
                settings=settings,
                clock=system_clock,
                sessions=sessions,
                signer=FakeSigner(),
                control_socket=place / "none.sock",
            )
        certificates = PortalCertificates(listens)
        engine = EmbeddedEngine(
            PortalRelays(relays, certificates),
            listen=settings.listen,
            limits=settings.limits,
            certificates=certificates,
        )
        await run_engine(engine, until_stopped)

    with loop_thread(run) as (address, _):
        yield Two(address, cookie)


@pytest.mark.parametrize(("name", "status"), [(NAMES[0], 200), (NAMES[1], 401)])
def test_a_session_opens_its_own_portal_alone(two: Two, name: str, status: int) -> None:
    assert two.ask(name, name).status == status


@pytest.mark.parametrize(
    ("name", "host"),
    [
        pytest.param("two.example", "one.example", id="TLS for the other"),
        pytest.param("one.example", "two.example", id="Host of the other"),
        pytest.param("one.example", "three.example", id="Host of nobody"),
        pytest.param("one.example", "ONE.example", id="another spelling"),
    ],
)
def test_tls_for_one_portal_is_no_way_to_another(two: Two, name: str, host: str) -> None:
    assert two.ask(name, host).status == 421


@pytest.mark.parametrize("order", [NAMES, NAMES[::-1]])
def test_two_hosts_are_refused(two: Two, order: tuple[str, str]) -> None:
    with two.wire("one.example") as wire:
        wire.send(raw_request("/x", f"Host: {order[1]}", cookie=two.cookie, host=order[0]))
        assert wire.response().status in (400, 421)


def test_a_handshake_for_nobody_is_refused(two: Two) -> None:
    with pytest.raises((ssl.SSLError, OSError)):
        two.ask("three.example", "one.example")
    assert two.ask("one.example", "one.example").status == 200


def test_what_is_no_http_is_answered_and_ends(two: Two) -> None:
    with two.wire("one.example") as wire:
        wire.send(b"NO HTTP\r\n\r\n")
        assert wire.response().status == 400
