"""``cps-gateway check --online``: ask everything that the settings name whether it answers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from urllib.parse import urlsplit

from gateway.edge.forward import Backend
from gateway.errors import GatewayError
from gateway.refresh.fetch import Fetcher, TimeLimits
from gateway.settings import Settings
from gateway.settings_revocation import is_fetched
from gateway.stores import open_stores
from gateway.trust.revocation_list import RevocationList
from gateway.trust.signed_list import MAX_LIST_BYTES
from gateway.trust.store import TrustStore

CONNECT_SECONDS = 5
LIMITS = TimeLimits(connect=CONNECT_SECONDS, silence=10, total=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one of them said."""

    what: str
    """The setting's key, and the address."""
    said: str
    fault: bool


def ask_all(settings: Settings, now: datetime) -> list[Answer]:
    """Return what the portal, the store, and every address of revocation data say.

    :param now: aware UTC.
    :raises ConfigurationError: for authorities that cannot be used.
    """
    store = TrustStore.load(settings.trust, settings.environment, now)
    return asyncio.run(_ask_all(settings, store, now))


async def _ask_all(settings: Settings, store: TrustStore, now: datetime) -> list[Answer]:
    async with Fetcher.open() as fetcher:
        questions = [
            _timed(f"portal.upstream {settings.portal.upstream}", lambda: _portal(settings)),
            _timed(f"store {settings.store.engine}", lambda: asyncio.to_thread(_store, settings)),
        ]
        for what, address in _lists(settings):
            questions.append(_timed(what, _list_question(fetcher, address, store, now)))
        for what, address in _responders(settings):
            questions.append(_timed(what, _connection_question(address)))
        return list(await asyncio.gather(*questions))


async def _timed(what: str, ask: Callable[[], Awaitable[str]]) -> Answer:
    began = perf_counter()
    try:
        said = await ask()
    except (GatewayError, OSError, TimeoutError, ValueError) as exc:
        return Answer(what=what, said=str(exc) or type(exc).__name__, fault=True)
    milliseconds = 1000 * (perf_counter() - began)
    return Answer(what=what, said=f"{said}, {milliseconds:.0f} ms", fault=False)


async def _portal(settings: Settings) -> str:
    backend = Backend.portal(settings.portal, settings.limits)
    try:
        host = urlsplit(settings.portal.origin).netloc
        answer = await backend.ask("GET", "/", [("Host", host)], None)
        answer.close()
    finally:
        await backend.close()
    return f"answers with {answer.status}"


def _store(settings: Settings) -> str:
    stores = open_stores(settings)
    with closing(stores):
        return f"{stores.sessions.counts().sessions} sessions"


def _lists(settings: Settings) -> Iterator[tuple[str, str]]:
    for table in settings.trust.revocation:
        for kind, addresses in (("crl", table.crl), ("delta", table.delta)):
            for address in filter(is_fetched, addresses):
                yield f"trust.revocation.{kind} {address}", address


def _responders(settings: Settings) -> Iterator[tuple[str, str]]:
    for table in settings.trust.revocation:
        for address in table.ocsp:
            yield f"trust.revocation.ocsp {address}", address
    if settings.guard.alarm_url is not None:
        yield f"guard.alarm_url {settings.guard.alarm_url}", settings.guard.alarm_url


def _list_question(
    fetcher: Fetcher, address: str, store: TrustStore, now: datetime
) -> Callable[[], Awaitable[str]]:
    async def ask() -> str:
        fetched = await fetcher.get(address, max_bytes=MAX_LIST_BYTES, limits=LIMITS)
        if fetched is None:
            raise ValueError("no list")
        found = RevocationList.parse(fetched.body, store.authorities())
        if not found.is_in_force(now):
            raise ValueError(f"a list that is not in force: it ends {found.next_update}")
        return f"{len(found)} entries, good until {found.next_update:%Y-%m-%d %H:%M UTC}"

    return ask


def _connection_question(address: str) -> Callable[[], Awaitable[str]]:
    """Return a question that only connects: what is asked there wants a certificate."""

    async def ask() -> str:
        parts = urlsplit(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port)
        writer.close()
        return "takes connections"

    return ask
