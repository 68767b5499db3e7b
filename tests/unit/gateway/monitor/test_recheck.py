import asyncio
import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import StoreUnavailableError
from gateway.monitor import recheck as recheck_module
from gateway.monitor.recheck import MAX_SHARE, Recheck
from gateway.session.cookie import cookie_hash
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason, Session
from gateway.settings import SessionSettings
from gateway.trust.crl import LOOK_AGAIN, RevocationLists
from gateway.trust.revocation_memory import owner_of
from tests.support import pki
from tests.support.gateway_fakes import FakeClock
from tests.support.logins import DOCTOR, agent_key
from tests.support.revocation import STOLEN, entry, list_der
from tests.support.trust import trust_store

SERIAL = 0x5678


class SilentStore(MemorySessionStore):
    """A store that is away for a while."""

    is_away = True

    def living(self, *, now: datetime) -> Iterator[Session]:
        if self.is_away:
            raise StoreUnavailableError("away")
        return super().living(now=now)


class Bench:
    """Sessions of two cards of our authority, and the list of those that are revoked."""

    def __init__(self, folder: Path, store: MemorySessionStore | None = None) -> None:
        self.clock = FakeClock(pki.NOW)
        self.store = store or MemorySessionStore(SessionSettings())
        self.list, root = folder / "cards.crl", folder / "root.crl"
        self.list.write_bytes(list_der(number=1))
        root.write_bytes(list_der(issuer=pki.hierarchy().root))
        lists = RevocationLists.load((self.list, root), trust_store(), pki.NOW)
        self.recheck = Recheck(self.store, lists, self.clock)
        self.stolen, self.other = self.log_in(SERIAL), self.log_in(SERIAL + 1)

    def log_in(self, serial: int, issuer: str | None = None) -> bytes:
        person = dataclasses.replace(
            DOCTOR,
            certificate_serial=f"{serial:X}",
            certificate_issuer=issuer or owner_of(pki.hierarchy().intermediate.certificate),
        )
        return cookie_hash(self.store.create(person, agent_key(), now=pki.NOW))

    def revoke(self) -> None:
        self.list.write_bytes(list_der(entry(SERIAL, STOLEN), number=2))
        self.clock.advance(LOOK_AGAIN.total_seconds())

    def living(self) -> set[bytes]:
        return {each.key for each in self.store.living(now=self.clock())}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_while_no_card_is_revoked_all_go_on(bench: Bench) -> None:
    bench.recheck.step()
    assert bench.living() == {bench.stolen, bench.other}


def test_the_sessions_of_a_revoked_card_end_and_no_others(bench: Bench) -> None:
    again = bench.log_in(SERIAL)
    # The same number, given by another authority.
    elsewhere = bench.log_in(SERIAL, owner_of(pki.hierarchy().root.certificate))
    bench.revoke()
    bench.recheck.step()
    assert bench.living() == {bench.other, elsewhere}
    assert bench.store.why_ended(bench.stolen) is EndReason.CARD_REVOKED
    assert bench.store.why_ended(again) is EndReason.CARD_REVOKED


def test_a_list_that_went_out_of_date_ends_nothing(bench: Bench) -> None:
    bench.list.write_bytes(
        list_der(number=2, next_update=pki.NOW + timedelta(seconds=1), this_update=pki.NOW)
    )
    bench.clock.advance(60)
    bench.recheck.step()
    assert bench.living() == {bench.stolen, bench.other}


def test_a_store_that_is_away_is_told_and_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SilentStore(SessionSettings())
    bench = Bench(tmp_path, store)
    bench.revoke()
    bench.recheck.step()
    assert "revoked cards may keep their sessions: away" in caplog.text
    store.is_away = False
    bench.recheck.step()
    assert bench.living() == {bench.other}


def test_it_goes_on_by_itself_and_takes_no_more_than_its_share(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recheck_module, "RECHECK_SECONDS", 0.01)
    bench.revoke()
    pauses: list[float] = []
    times = iter((0.0, 30.0))
    monkeypatch.setattr(recheck_module, "perf_counter", lambda: next(times))

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        raise asyncio.CancelledError

    monkeypatch.setattr("gateway.monitor.recheck.asyncio.sleep", pause)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(bench.recheck.run())
    assert pauses == [30.0 / MAX_SHARE]
    assert bench.living() == {bench.other}
