"""The Redis server that the machines of one gateway share: connections, time and errors.

The only module that knows the Redis library. What a store keeps there, and how its steps are
atomic, stands with the store.
"""

import hashlib
import os
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any, Self

from redis.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import NoScriptError, RedisError, ResponseError

from gateway.client_tls import client_context
from gateway.errors import StoreUnavailableError
from gateway.redis_address import RedisAddress

WAIT_SECONDS = 5
"""How long one answer may take, a new connection included."""
MIN_VERSION = 7
"""Oldest Redis whose scripts say whether they write, so that a replica refuses those that do."""
NEVER_EVICTS = "noeviction"
"""The only rule by which a server short of memory keeps what it has."""

# To reach the server, TLS, password, database, and the look at what kind of server it is.
_STEPS_OF_A_CONNECTION = 5

Reply = Any
"""What Redis answers: bytes, int, ``None`` or a list of these; a store knows its own scripts."""
Value = bytes | str | int


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua program that the server runs as one step, between which no other client gets in."""

    text: str
    digest: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # SHA-1 is the name that Redis gives to a script it has seen.
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "digest", digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisTLS:
    """How the server proves itself, and the gateway to it."""

    context: ssl.SSLContext

    @classmethod
    def load(cls, authority: Path | None, certificate: Path | None, key: Path | None) -> Self:
        """Return TLS 1.2 or newer with the server's name checked.

        :param authority: PEM file, the only authorities accepted; ``None`` for the system's.
        :param certificate: PEM file that the gateway shows, with *key*; ``None`` for none.
        :raises ConfigurationError: for files that do not hold what they should.
        """
        context = client_context(authority, certificate, key, keys="store.redis_tls_")
        return cls(context=context)


class RedisServer:
    """One database of a Redis server, asked from any thread of this process.

    Connections are made when they are needed, so the gateway starts, and refuses everybody, while
    the server is away; it goes on by itself when the server is back. Nothing is asked twice: a
    step whose answer was lost may have been taken.

    :param namespace: begins every key, so that two gateways on one server share nothing.
    :param wait_seconds: longest wait for one answer, a new connection included.
    :param tls: wanted where *address* says so.
    """

    def __init__(
        self,
        address: RedisAddress,
        *,
        namespace: str,
        password: str | None = None,
        tls: RedisTLS | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        if address.tls != (tls is not None):
            raise ValueError("TLS is wanted exactly where the address says so")
        self._address = address
        self._namespace = namespace
        self._password = password
        self._tls = tls
        self._wait_seconds = wait_seconds
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._idle: list[AbstractConnection] = []
        self._closed = False

    def key(self, name: str) -> bytes:
        """Return the key that this gateway uses for *name*."""
        return f"{self._namespace}:{name}".encode()

    def run(self, script: Script, keys: Sequence[bytes], values: Sequence[Value]) -> Reply:
        """Run *script* and return its answer.

        :raises StoreUnavailableError: where the server does not answer, or refuses.
        """
        deadline = time.monotonic() + self._wait_seconds
        with self._mapped_errors(), self._connection(deadline) as connection:
            arguments = (len(keys), *keys, *values)
            try:
                return _ask(connection, deadline, "EVALSHA", script.digest, *arguments)
            except NoScriptError:
                # A server that was restarted has to see the text again.
                return _ask(connection, deadline, "EVAL", script.text, *arguments)

    def ask(self, *command: Value) -> Reply:
        """Return the answer to one command, which is atomic by itself.

        :raises StoreUnavailableError: where the server does not answer, or refuses.
        """
        deadline = time.monotonic() + self._wait_seconds
        with self._mapped_errors(), self._connection(deadline) as connection:
            return _ask(connection, deadline, *command)

    def close(self) -> None:
        """Close the connections; nothing can be asked afterwards."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.disconnect()

    @contextmanager
    def _connection(self, deadline: float) -> Iterator[AbstractConnection]:
        connection = self._take_idle() or self._connect(deadline)
        try:
            yield connection
        except ResponseError:
            # An answer like any other: the connection is in order.
            self._give_back(connection)
            raise
        except BaseException:
            # Its answer may still come, and would be taken for the next one's.
            connection.disconnect()
            raise
        self._give_back(connection)

    def _take_idle(self) -> AbstractConnection | None:
        """Return a connection that waits, if there is one that the server did not close."""
        if os.getpid() != self._process:
            # Two processes on one connection would read each other's answers.
            raise StoreUnavailableError(f"{self._address}: opened before a fork")
        while True:
            with self._lock:
                if self._closed:
                    raise StoreUnavailableError(f"{self._address}: closed")
                if not self._idle:
                    return None
                connection = self._idle.pop()
            try:
                if not connection.can_read(timeout=0):
                    return connection
            except RedisError:
                pass
            connection.disconnect()

    def _give_back(self, connection: AbstractConnection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.disconnect()

    def _connect(self, deadline: float) -> AbstractConnection:
        connection = self._new_connection()
        try:
            connection.connect()
            _require_usable(_ask(connection, deadline, "INFO"), self._address)
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def _new_connection(self) -> AbstractConnection:
        address = self._address
        facts: dict[str, Any] = {
            "db": address.database,
            "username": address.user,
            "password": self._password,
            "protocol": 2,
            # The library waits so long for each step; together they take no longer than one answer.
            "socket_timeout": self._wait_seconds / _STEPS_OF_A_CONNECTION,
            "socket_connect_timeout": self._wait_seconds / _STEPS_OF_A_CONNECTION,
            "driver_info": None,
        }
        if address.path is not None:
            return _UnixConnection(address.path, facts)
        facts |= {"host": address.host, "port": address.port}
        if self._tls is None:
            return Connection(**facts)
        return _TLSConnection(self._tls.context, facts)

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        """Turn what the library raises into the gateway's error; the only place that does."""
        try:
            yield
        except (RedisError, OSError) as exc:
            # Redis quotes the arguments of a command that it does not know, which may be AUTH.
            text = str(exc).partition(", with args beginning with")[0]
            raise StoreUnavailableError(f"{self._address}: {text}") from None


class _UnixConnection(UnixDomainSocketConnection):
    """A connection by a Unix socket; the library asks it for a host and a port when it fails."""

    host = ""
    port = 0

    def __init__(self, path: str, facts: dict[str, Any]) -> None:
        super().__init__(path, **facts)  # type: ignore[no-untyped-call]  # Its base has no types.


class _TLSConnection(SSLConnection):
    """A connection with our TLS context.

    The library's own would trust the system's authorities besides those that the settings name.
    """

    def __init__(self, context: ssl.SSLContext, facts: dict[str, Any]) -> None:
        super().__init__(**facts)
        self._context = context

    def _wrap_socket_with_ssl(self, sock: socket) -> ssl.SSLSocket:
        return self._context.wrap_socket(sock, server_hostname=self.host)


def _ask(connection: AbstractConnection, deadline: float, *command: Value) -> Reply:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("no answer in time")
    connection.send_command(*command)
    return connection.read_response(timeout=remaining)


def _require_usable(info: bytes, where: RedisAddress) -> None:
    """Refuse a server on which sessions could vanish or change unseen.

    :raises StoreUnavailableError: with what is wrong with it.
    """
    lines = info.decode("utf-8", "replace").splitlines()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    major = facts.get("redis_version", "").partition(".")[0]
    if not major.isdecimal() or int(major) < MIN_VERSION:
        raise StoreUnavailableError(f"{where}: Redis {MIN_VERSION} or newer is wanted")
    if facts.get("role") != "master":
        raise StoreUnavailableError(f"{where}: a replica, whose answers may be old")
    if facts.get("maxmemory") != "0" and facts.get("maxmemory_policy") != NEVER_EVICTS:
        reason = f"would throw sessions away; maxmemory-policy {NEVER_EVICTS} is wanted"
        raise StoreUnavailableError(f"{where}: {reason}")
