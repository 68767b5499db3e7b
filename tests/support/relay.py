"""A relay to test: the real engine in a thread, between raw sockets that show every byte."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec

from cps.authtoken.encoding import b64url_encode
from cps.authtoken.jwk import AgentKey
from gateway.clock import Clock, system_clock
from gateway.edge.embedded import EmbeddedEngine
from gateway.edge.relay import Signer, create_relay
from gateway.edge.watch import Watch
from gateway.identity import CardKind, VerifiedIdentity
from gateway.session.cookie import SESSION_COOKIE, cookie_hash
from gateway.session.memory import MemorySessionStore
from gateway.session.model import Session, SessionStore
from gateway.settings import Settings
from tests.support.loop_thread import loop_thread

HOST = "portal.example"
ORIGIN = f"https://{HOST}"
SOCKET_SECONDS = 5

PERSON = VerifiedIdentity(
    national_id="899900000013",
    family_name="ÉXEMPLE",
    given_name="CAMILLE",
    profession=10,
    card_type=CardKind.CPS,
    card_number="2899000001",
    organisation=None,
    organisation_id=None,
    certificate_serial="0A1B2C",
    certificate_issuer="cd" * 32,
    certificate_sha256="ab" * 32,
    not_after=1_900_000_000,
)


def relay_settings(folder: Path, *, upstream: str, **limits: float) -> Settings:
    """Return settings whose files are not looked at, listening on any port.

    :param limits: of the table ``limits``; not checked, so that a test can be short of patience.
    """
    settings = Settings.model_validate(
        {
            "state_dir": str(folder),
            "portal": {"origin": ORIGIN, "upstream": upstream, "label": "Portail <d'essai>"},
            "trust": {"anchors": ["root"], "intermediates": ["middle"], "crls": ["list"]},
        }
    )
    return settings.model_copy(
        update={
            "listen": settings.listen.model_copy(update={"port": 0}),
            "limits": settings.limits.model_copy(update=limits),
        }
    )


def new_agent_key() -> AgentKey:
    """Return a fresh key of an agent."""
    return AgentKey.of(ec.generate_private_key(ec.SECP256R1()).public_key())


class FakeSigner:
    """Signs nothing, but says whom it was asked about."""

    def assertion(self, session: Session, now: datetime) -> str:
        return f"assertion-of-{session.identity.national_id}"


@dataclass(slots=True)
class RawServer:
    """A server that keeps every byte it got and answers as its handler does."""

    handler: Callable[["Wire"], object]
    received: list[bytes] = field(default_factory=list)
    """What came on each connection, in the order of connections."""
    _listener: socket.socket | None = None
    _threads: list[threading.Thread] = field(default_factory=list)
    _open: set[socket.socket] = field(default_factory=set)

    @contextmanager
    def on_port(self, port: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
        """Serve on a port, any where none is named, and give its address."""
        listener = socket.create_server((host, port))
        with self._serving(listener):
            yield f"http://{host}:{listener.getsockname()[1]}"

    @contextmanager
    def on_socket(self, path: Path) -> Iterator[Path]:
        """Serve on a Unix socket."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        with self._serving(listener):
            yield path

    def forget(self) -> None:
        """Forget what was received, and note what still comes on connections that are kept."""
        self.received[:] = [b""] * len(self.received)

    @property
    def all_received(self) -> bytes:
        """Everything that came, of all connections."""
        return b"".join(self.received)

    @contextmanager
    def _serving(self, listener: socket.socket) -> Iterator[None]:
        accepting = threading.Thread(target=self._accept, args=(listener,))
        accepting.start()
        try:
            yield
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            for connection in tuple(self._open):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in self._threads:
                thread.join()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        number = len(self.received)
        self.received.append(b"")

        def keep(data: bytes) -> None:
            if number < len(self.received):
                self.received[number] += data

        with connection, suppress(OSError, EOFError):
            connection.settimeout(SOCKET_SECONDS)
            self.handler(Wire(connection, keep))
        self._open.discard(connection)


class Wire:
    """One connection as bytes; reading past the other side's end raises EOFError."""

    def __init__(
        self, connection: socket.socket, keep: Callable[[bytes], None] | None = None
    ) -> None:
        self._connection = connection
        self._keep = keep
        self._buffer = b""

    @classmethod
    def open(cls, address: str, context: ssl.SSLContext | None = None, *, name: str = HOST) -> Self:
        """Connect to ``host:port``, with TLS to *name* where there is a *context*."""
        host, _, port = address.rpartition(":")
        connection = socket.create_connection((host, int(port)), SOCKET_SECONDS)
        if context is not None:
            connection = context.wrap_socket(connection, server_hostname=name)
        return cls(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, data: bytes) -> None:
        """Send all of *data*."""
        self._connection.sendall(data)

    def patience(self, seconds: float) -> None:
        """Wait so long for what comes, instead of the usual time."""
        self._connection.settimeout(seconds)

    def reset(self) -> None:
        """Close without a farewell."""
        self._connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
        )
        self._connection.close()

    def until(self, end: bytes) -> bytes:
        """Return what comes up to and with *end*."""
        while end not in self._buffer:
            self._fill()
        found, _, self._buffer = self._buffer.partition(end)
        return found + end

    def exactly(self, size: int) -> bytes:
        """Return the next *size* bytes."""
        while len(self._buffer) < size:
            self._fill()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def rest(self) -> bytes:
        """Return all that comes until the other side ends, and b"" for a reset."""
        with suppress(EOFError, ConnectionError):
            while True:
                self._fill()
        found, self._buffer = self._buffer, b""
        return found

    def is_silent(self, seconds: float) -> bool:
        """Return whether for so long nothing comes, not even the end."""
        self._connection.settimeout(seconds)
        try:
            self._fill()
        except TimeoutError:
            return True
        except (EOFError, ConnectionError):
            pass
        return False

    def request(self) -> "Message":
        """Return the next request; a body has a Content-Length or is chunked."""
        return self._message(has_body=lambda message: True)

    def response(self, *, to: str = "GET") -> "Message":
        """Return the next final response; interim ones are passed over."""
        while True:
            message = self._message(
                has_body=lambda m: to != "HEAD" and m.status not in (100, 204, 304)
            )
            if message.status != 100:
                return message

    def _message(self, *, has_body: Callable[["Message"], bool]) -> "Message":
        head = self.until(b"\r\n\r\n").decode("utf-8")
        first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        fields = [(name, value.strip()) for name, _, value in (x.partition(":") for x in lines)]
        message = Message(first=first, fields=fields, body=b"")
        if not has_body(message):
            return message
        if message.one("Transfer-Encoding") == "chunked":
            message.body = b"".join(self._chunks())
        elif (length := message.one("Content-Length")) is not None:
            message.body = self.exactly(int(length))
        return message

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.until(b"\r\n"), 16):
            yield self.exactly(size)
            self.until(b"\r\n")
        self.until(b"\r\n")

    def _fill(self) -> None:
        data = self._connection.recv(65536)
        if not data:
            raise EOFError
        if self._keep is not None:
            self._keep(data)
        self._buffer += data


@dataclass(slots=True)
class Message:
    """A request or response as it stood on the wire."""

    first: str
    fields: list[tuple[str, str]]
    body: bytes

    @property
    def status(self) -> int:
        return int(self.first.split(" ")[1])

    @property
    def target(self) -> str:
        return self.first.split(" ")[1]

    def all(self, name: str) -> list[str]:
        """Return the values of every field *name*, whatever its case."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def one(self, name: str) -> str | None:
        """Return the value of the one field *name*."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None


def echo(wire: Wire) -> None:
    """Answer every request with what it held, as JSON."""
    while True:
        message = wire.request()
        content = json.dumps(
            {
                "first": message.first,
                "fields": message.fields,
                "body": message.body.decode("latin-1"),
            }
        ).encode()
        answer = b"" if message.first.startswith("HEAD ") else content
        wire.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (len(content), answer)
        )


def fake_control_plane(wire: Wire) -> None:
    """Answer as the control plane does where the relay depends on it, else echo."""
    while True:
        message = wire.request()
        if message.target == "/_cps/internal/enter":
            content = b'{"location": "/_cps/login?t=TARGET"}'
        else:
            content = json.dumps({"first": message.first, "fields": message.fields}).encode()
        cookie = b"Set-Cookie: __Host-cps-login=x; Path=/; Secure\r\n"
        wire.send(
            b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (cookie, len(content), content)
        )


class RunningRelay:
    """The relay in its thread, with the sessions that it knows."""

    def __init__(self, address: str, sessions: SessionStore, stop: Callable[[], object]) -> None:
        self.address = address
        self.sessions = sessions
        self.stop = stop
        """Begins to stop the relay and does not wait for it."""

    def log_in(self) -> bytes:
        """Open a session and return its cookie's 32 bytes."""
        return self.sessions.create(PERSON, new_agent_key(), now=system_clock())

    def wire(self, context: ssl.SSLContext | None = None) -> Wire:
        """Return a new connection to the relay."""
        return Wire.open(self.address, context)

    def ask(self, raw: bytes, *, to: str = "GET") -> Message:
        """Send raw bytes on a new connection and return the first response."""
        with self.wire() as wire:
            wire.send(raw)
            return wire.response(to=to)


def cookie_field(cookie: bytes) -> str:
    """Return the Cookie field's value that carries a session."""
    return f"{SESSION_COOKIE}={b64url_encode(cookie)}"


def session_key(cookie: bytes) -> bytes:
    """Return the key under which the store knows a cookie."""
    return cookie_hash(cookie)


def raw_request(
    target: str = "/",
    *fields: str,
    method: str = "GET",
    cookie: bytes | None = None,
    body: bytes = b"",
    host: str = HOST,
) -> bytes:
    """Return the bytes of a request.

    :param fields: further lines of the header, without their ends.
    """
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
    if cookie is not None:
        lines.append(f"Cookie: {cookie_field(cookie)}")
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def run_engine(
    engine: EmbeddedEngine, until_stopped: Callable[[str], Awaitable[None]]
) -> None:
    """Run *engine* in this loop until that function, which is given its address, returns."""
    await engine.start()
    work = asyncio.create_task(engine.run())
    await until_stopped(engine.address)
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    left = [connection.transport for connection in engine._protocols.connections]
    await engine.stop()
    # TLS waits half a minute for the farewell of a browser that hung up just now. A loop that
    # is closed meanwhile warns, which is an error here, and then uvloop never ends.
    for transport in left:
        if transport is not None:
            transport.abort()
    await asyncio.sleep(0.01)


@contextmanager
def running_relay(
    settings: Settings,
    control_socket: Path,
    sessions: SessionStore | None = None,
    *,
    clock: Clock = system_clock,
    signer: Signer | None = None,
    open_watch: Callable[[SessionStore], Watch | None] = lambda _: None,
) -> Iterator[RunningRelay]:
    """Run the real engine on uvloop in a thread until the block ends.

    :param open_watch: makes what watches sensitive routes, in the event loop.
    """
    store = sessions or MemorySessionStore(settings.session)

    async def run(until_stopped: Callable[[str], Awaitable[None]]) -> None:
        relay = create_relay(
            settings=settings,
            clock=clock,
            sessions=store,
            signer=signer or FakeSigner(),
            control_socket=control_socket,
            watch=open_watch(store),
        )
        engine = EmbeddedEngine(relay, listen=settings.listen, limits=settings.limits)
        await run_engine(engine, until_stopped)

    with loop_thread(run) as (address, stop):
        yield RunningRelay(address, store, stop)


def portal_and_relay(
    folder: Path, portal: RawServer, **limits: float
) -> AbstractContextManager[RunningRelay]:
    """Run *portal*, a fake control plane and a relay between them and the tests."""

    @contextmanager
    def running() -> Iterator[RunningRelay]:
        control = RawServer(fake_control_plane)
        with (
            portal.on_port() as upstream,
            control.on_socket(folder / "control.sock") as control_socket,
            running_relay(
                relay_settings(folder, upstream=upstream, **limits), control_socket
            ) as relay,
        ):
            yield relay

    return running()
