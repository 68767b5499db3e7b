"""The stores that the settings name, made in one place for every program of the gateway."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.database import Database
from gateway.errors import ConfigurationError
from gateway.guard.redis import RedisGuardStore
from gateway.guard.sqlite import DATABASE_FILE as GUARD_FILE
from gateway.guard.sqlite import SCHEMA as GUARD_SCHEMA
from gateway.guard.sqlite import SQLiteGuardStore
from gateway.guard.store import GuardStore
from gateway.login.challenge import ChallengeStore
from gateway.login.redis import RedisChallengeStore
from gateway.login.sqlite import SQLiteChallengeStore
from gateway.rates import MakeCounters, RedisCounters
from gateway.redis_address import RedisAddress
from gateway.redis_server import RedisServer, RedisTLS
from gateway.secret_file import read_secret
from gateway.session.model import SessionStore
from gateway.session.redis import RedisSessionStore
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import Settings, StoreSettings

DATABASE_FILE = "gateway.db"
"""Name of the SQLite database in ``state_dir``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Login attempts and sessions, in the same place."""

    challenges: ChallengeStore
    sessions: SessionStore
    close: Callable[[], None]
    """Close the connections; the stores answer nothing afterwards."""
    open_guard: Callable[[], GuardStore]
    """Open what the guard remembers; not opened before, since few programs want it."""
    make_counters: MakeCounters | None = None
    """Counters that all processes share; ``None`` where each counts by itself."""


def open_stores(settings: Settings, *, wait_seconds: float | None = None) -> Stores:
    """Return the stores that *settings* name, shared with every process that has the same.

    An SQLite file is opened at once. A Redis server is only asked later, so that the gateway
    starts while it is away.

    :param wait_seconds: longest wait for one answer, for a program in which a request that waits
        holds up others; default: ``limits.store_seconds``.
    :raises ConfigurationError: for files that cannot be used.
    :raises StoreUnavailableError: for a database that SQLite cannot use.
    """
    wait = settings.limits.store_seconds if wait_seconds is None else wait_seconds
    if settings.store.engine == "sqlite":
        database = Database(settings.state_dir / DATABASE_FILE, busy_seconds=wait)
        return Stores(
            challenges=SQLiteChallengeStore(database, settings.login),
            sessions=SQLiteSessionStore(database, settings.session),
            close=database.close,
            open_guard=partial(_sqlite_guard, settings.state_dir / GUARD_FILE, wait),
        )
    server = _redis_server(settings.store, settings.portal.origin, wait)
    return Stores(
        challenges=RedisChallengeStore(server, settings.login),
        sessions=RedisSessionStore(server, settings.session),
        close=server.close,
        open_guard=partial(RedisGuardStore, server),
        make_counters=partial(RedisCounters, server=server),
    )


def _sqlite_guard(path: Path, wait_seconds: float) -> GuardStore:
    """Open the guard's own file; closed with the process."""
    return SQLiteGuardStore(Database(path, busy_seconds=wait_seconds, schema=GUARD_SCHEMA))


def _redis_server(store: StoreSettings, origin: str, wait_seconds: float) -> RedisServer:
    if store.redis_url is None:
        raise ConfigurationError("settings", "store.redis_url", "is missing")
    address, file = RedisAddress.parse(store.redis_url), store.redis_password_file
    tls = (
        RedisTLS.load(store.redis_tls_ca, store.redis_tls_certificate, store.redis_tls_key)
        if address.tls
        else None
    )
    return RedisServer(
        address,
        # A session of one portal is none of another's that uses the same server.
        namespace=f"cps:{origin}",
        password=None if file is None else read_secret(file, key="store.redis_password_file"),
        tls=tls,
        wait_seconds=wait_seconds,
    )
