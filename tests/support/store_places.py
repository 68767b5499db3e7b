"""Places in which stores are kept, which several processes can open at once.

`tests/conftest.py` makes :func:`store_place` known to every test: one parameter for each engine.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.database import Database
from gateway.guard.redis import RedisGuardStore
from gateway.guard.sqlite import DATABASE_FILE, SCHEMA, SQLiteGuardStore
from gateway.login.redis import RedisChallengeStore
from gateway.login.sqlite import SQLiteChallengeStore
from gateway.session.redis import RedisSessionStore
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import LoginSettings, SessionSettings
from gateway.stores import Stores
from tests.support.redis_servers import RedisProcess


@dataclass(frozen=True)
class StorePlace:
    """An SQLite file's folder, or the folder of a Redis server and the beginning of its keys."""

    engine: str
    folder: Path
    namespace: str = ""

    @contextmanager
    def opened(self, login: LoginSettings, session: SessionSettings) -> Iterator[Stores]:
        """Open the stores as one more process does."""
        stores = self._stores(login, session)
        try:
            yield stores
        finally:
            stores.close()

    def _stores(self, login: LoginSettings, session: SessionSettings) -> Stores:
        if self.engine == "sqlite":
            database = Database(self.folder / "gateway.db")
            return Stores(
                challenges=SQLiteChallengeStore(database, login),
                sessions=SQLiteSessionStore(database, session),
                close=database.close,
                open_guard=lambda: SQLiteGuardStore(
                    Database(self.folder / DATABASE_FILE, schema=SCHEMA)
                ),
            )
        server = RedisProcess(self.folder).server(self.namespace)
        return Stores(
            challenges=RedisChallengeStore(server, login),
            sessions=RedisSessionStore(server, session),
            close=server.close,
            open_guard=lambda: RedisGuardStore(server),
        )


@pytest.fixture(params=["sqlite", "redis"])
def store_place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    """Return a place that no other test uses."""
    if request.param == "sqlite":
        return StorePlace("sqlite", tmp_path)
    process: RedisProcess = request.getfixturevalue("shared_redis")
    return StorePlace("redis", process.folder, secrets.token_hex(8))
