from datetime import timedelta

import pytest

from gateway.errors import StoreReplacedError, StoreUnavailableError
from gateway.monitor.recording import Recording
from gateway.monitor.standing import Standing
from gateway.session.cookie import cookie_hash
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason
from gateway.settings import SessionSettings
from gateway.trust.crl import RevocationLists
from tests.support.gateway_fakes import FakeClock, RecordingAudit
from tests.support.logins import DOCTOR, MOMENT, agent_key
from tests.support.trust import trust_store


class ReplacedStore(MemorySessionStore):
    """A store that was set back once."""

    replaced = True

    def ended_since(self, cursor: int, *, now: object) -> tuple[int, list[bytes]]:
        if self.replaced:
            self.replaced = False
            raise StoreReplacedError(7)
        return cursor, []


class Bench:
    """A recording with everything it uses."""

    def __init__(self, store: MemorySessionStore | None = None) -> None:
        self.clock, self.audit = FakeClock(MOMENT), RecordingAudit()
        self.store = store or MemorySessionStore(SessionSettings(idle_seconds=100))
        lists = RevocationLists((), trust_store(), grace_until=None)
        self.standing = Standing(
            sessions=self.store, revocation=lists, sockets=(), clock=self.clock
        )
        self.recording = Recording(self.store, self.audit, self.standing, self.clock)


def test_a_session_that_nobody_asks_about_ends_and_is_recorded() -> None:
    bench = Bench()
    bench.store.create(DOCTOR, agent_key(), now=MOMENT)
    bench.recording.step()
    assert bench.audit.events == []
    bench.clock.advance(timedelta(seconds=101).total_seconds())
    bench.recording.step()
    bench.recording.step()
    (line,) = bench.audit.named("session_ended")
    assert line["reason"] == "idle"


def test_a_log_that_takes_nothing_is_told_and_nothing_is_lost() -> None:
    bench = Bench()
    key = cookie_hash(bench.store.create(DOCTOR, agent_key(), now=MOMENT))
    bench.store.end(key, EndReason.LOGOUT, now=MOMENT)
    bench.audit.failure = StoreUnavailableError("disk full")
    bench.recording.step()
    assert "disk full" in (bench.standing.record_problem or "")
    bench.audit.failure = None
    bench.recording.step()
    assert bench.standing.record_problem is None
    assert len(bench.audit.named("session_ended")) == 1


def test_a_store_that_was_set_back_is_one_line() -> None:
    bench = Bench(ReplacedStore(SessionSettings()))
    bench.recording.step()
    bench.recording.step()
    assert [event for event, _ in bench.audit.events] == ["store_replaced"]


@pytest.mark.parametrize("failing", [True, False], ids=["log away", "log there"])
def test_a_store_that_was_set_back_does_not_stop_the_recording(failing: bool) -> None:
    bench = Bench(ReplacedStore(SessionSettings()))
    bench.audit.failure = StoreUnavailableError("disk full") if failing else None
    bench.recording.step()
    assert (bench.standing.record_problem is not None) == failing
