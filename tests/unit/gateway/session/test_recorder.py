from datetime import timedelta

import pytest

from gateway.errors import StoreUnavailableError
from gateway.session.cookie import cookie_hash
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason
from gateway.session.recorder import record_ends, session_name
from gateway.settings import SessionSettings
from tests.support.gateway_fakes import RecordingAudit
from tests.support.logins import DOCTOR, MOMENT, agent_key

SETTINGS = SessionSettings(idle_seconds=100, absolute_seconds=1000, touch_seconds=10)


@pytest.fixture
def store() -> MemorySessionStore:
    return MemorySessionStore(SETTINGS)


def new(store: MemorySessionStore) -> bytes:
    return cookie_hash(store.create(DOCTOR, agent_key(), now=MOMENT))


def test_an_end_is_one_line_with_all_that_is_asked_later(store: MemorySessionStore) -> None:
    key, audit = new(store), RecordingAudit()
    store.end(key, EndReason.LOGOUT, now=MOMENT, client="192.0.2.7")
    assert record_ends(store, audit, now=MOMENT) == 1
    assert record_ends(store, audit, now=MOMENT) == 0
    assert audit.events == [
        (
            "session_ended",
            {
                "session": session_name(key),
                "national_id": DOCTOR.national_id,
                "reason": "logout",
                "ended_at": MOMENT.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "client": "192.0.2.7",
            },
        )
    ]


def test_a_session_that_nobody_used_gets_its_line(store: MemorySessionStore) -> None:
    new(store)
    audit, later = RecordingAudit(), MOMENT + timedelta(seconds=100)
    store.ended_since(0, now=later)
    record_ends(store, audit, now=later)
    (line,) = audit.named("session_ended")
    assert (line["reason"], line["client"]) == ("idle", None)


def test_a_line_that_cannot_be_written_is_written_later(store: MemorySessionStore) -> None:
    store.end(new(store), EndReason.LOGOUT, now=MOMENT)
    audit = RecordingAudit(failure=StoreUnavailableError("disk full"))
    with pytest.raises(StoreUnavailableError):
        record_ends(store, audit, now=MOMENT)
    audit.failure = None
    assert record_ends(store, audit, now=MOMENT) == 1


def test_a_sessions_name_is_no_use_to_enter_with(store: MemorySessionStore) -> None:
    key = new(store)
    assert session_name(key) == key.hex()[:16]
