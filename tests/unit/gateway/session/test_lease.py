"""What a message about the card does: only what its own key signed, here, now, once."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cps.authtoken.codes import ErrorCode
from cps.authtoken.jwk import AgentKey
from cps.authtoken.lease import LeaseEvent, LeaseMessage
from gateway.errors import LoginRejectedError, SessionRequiredError
from gateway.session.cookie import cookie_hash
from gateway.session.lease import Heard, LeaseDesk
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason
from gateway.settings import SessionSettings
from gateway.settings_presence import PresenceSettings
from tests.support.logins import DOCTOR, MOMENT

ORIGIN = "https://portal.example"
KEY = ec.generate_private_key(ec.SECP256R1())
AGENT_KEY = AgentKey.of(KEY.public_key())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def sessions() -> MemorySessionStore:
    return MemorySessionStore(SessionSettings())


@pytest.fixture
def desk(sessions: MemorySessionStore) -> LeaseDesk:
    return LeaseDesk(sessions, origin=ORIGIN, settings=PresenceSettings())


def leased(desk: LeaseDesk, sessions: MemorySessionStore) -> tuple[str, bytes]:
    """Return a lease and the key of its session."""
    lease = desk.grant(AGENT_KEY, now=MOMENT)
    assert lease is not None
    return lease, cookie_hash(sessions.create(DOCTOR, AGENT_KEY, lease=lease, now=MOMENT))


def message(
    lease: str,
    event: LeaseEvent = LeaseEvent.PRESENT,
    counter: int = 1,
    *,
    key: ec.EllipticCurvePrivateKey = KEY,
    origin: str = ORIGIN,
) -> LeaseMessage:
    return LeaseMessage.signed(key, origin=origin, lease=lease, counter=counter, event=event)


def refusal(step: Callable[[], object]) -> ErrorCode:
    with pytest.raises(LoginRejectedError) as caught:
        step()
    return caught.value.reason


def lives(sessions: MemorySessionStore, key: bytes, seconds: float = 0) -> bool:
    try:
        sessions.get(key, now=MOMENT + timedelta(seconds=seconds))
    except SessionRequiredError:
        return False
    return True


def test_a_login_gets_a_lease_on_the_terms_of_the_settings(sessions: MemorySessionStore) -> None:
    settings = PresenceSettings(heartbeat_seconds=10, grace_seconds=45)
    desk = LeaseDesk(sessions, origin=ORIGIN, settings=settings)
    lease, key = leased(desk, sessions)
    assert desk.terms(lease) == {"id": lease, "heartbeat": 10, "grace": 45}
    assert sessions.get(key, now=MOMENT).present_until == MOMENT + timedelta(seconds=45)


def test_where_presence_is_off_there_is_no_lease(sessions: MemorySessionStore) -> None:
    desk = LeaseDesk(sessions, origin=ORIGIN, settings=PresenceSettings(mode="off"))
    assert desk.grant(AGENT_KEY, now=MOMENT) is None
    assert desk.terms(None) is None


def test_a_login_that_nobody_claimed_gets_no_lease(desk: LeaseDesk) -> None:
    assert refusal(lambda: desk.grant(None, now=MOMENT)) is ErrorCode.RID_UNKNOWN


def test_a_heartbeat_keeps_the_session(desk: LeaseDesk, sessions: MemorySessionStore) -> None:
    lease, key = leased(desk, sessions)
    later = MOMENT + timedelta(seconds=50)
    assert desk.hear(message(lease), now=later) == Heard(alive=True)
    assert lives(sessions, key, 109)
    assert not lives(sessions, key, 110)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        pytest.param(LeaseEvent.REMOVED, EndReason.CARD_REMOVED, id="card removed"),
        pytest.param(LeaseEvent.BYE, EndReason.AGENT_ENDED, id="agent ends"),
        pytest.param(LeaseEvent.LOCKED_END, EndReason.SCREEN_LOCKED, id="screen locked"),
    ],
)
def test_an_event_ends_the_session_at_once(
    desk: LeaseDesk, sessions: MemorySessionStore, event: LeaseEvent, reason: EndReason
) -> None:
    lease, key = leased(desk, sessions)
    assert desk.hear(message(lease, event), now=MOMENT) == Heard(alive=False, ended=(key, reason))
    assert not lives(sessions, key)
    assert sessions.why_ended(key) is reason


@pytest.mark.parametrize("locked", ["ignore", "end"])
def test_a_locked_screen_does_what_the_settings_say(
    sessions: MemorySessionStore, locked: str
) -> None:
    settings = PresenceSettings.model_validate({"locked": locked})
    desk = LeaseDesk(sessions, origin=ORIGIN, settings=settings)
    lease, key = leased(desk, sessions)
    later = MOMENT + timedelta(seconds=50)
    heard = desk.hear(message(lease, LeaseEvent.LOCKED), now=later)
    if locked == "ignore":
        assert heard == Heard(alive=True)
        assert lives(sessions, key, 109), "the card is there: as good as a heartbeat"
    else:
        assert heard == Heard(alive=False, ended=(key, EndReason.SCREEN_LOCKED))


def test_a_lease_that_is_over_is_no_longer_alive(
    desk: LeaseDesk, sessions: MemorySessionStore
) -> None:
    lease, key = leased(desk, sessions)
    sessions.end(key, EndReason.LOGOUT, now=MOMENT)
    assert desk.hear(message(lease), now=MOMENT) == Heard(alive=False)
    assert desk.hear(message(lease, LeaseEvent.REMOVED, 2), now=MOMENT) == Heard(alive=False)
    assert sessions.why_ended(key) is EndReason.LOGOUT


def test_a_card_removed_before_the_session_ends_the_lease_that_waits(
    desk: LeaseDesk, sessions: MemorySessionStore
) -> None:
    lease = desk.grant(AGENT_KEY, now=MOMENT)
    assert lease is not None
    assert desk.hear(message(lease, LeaseEvent.REMOVED), now=MOMENT) == Heard(alive=False)
    code = refusal(lambda: sessions.create(DOCTOR, AGENT_KEY, lease=lease, now=MOMENT))
    assert code is ErrorCode.CARD_REMOVED


@pytest.mark.parametrize("event", LeaseEvent)
@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda lease, event: message(lease, event, key=OTHER_KEY), id="foreign key"),
        pytest.param(
            lambda lease, event: message(lease, event, origin="https://other.example"),
            id="other portal",
        ),
        pytest.param(
            lambda lease, event: LeaseMessage(
                lease=lease,
                counter=2,
                event=event,
                signature=message(lease, event, 1).signature,
            ),
            id="counter raised",
        ),
        pytest.param(
            lambda lease, event: LeaseMessage(
                lease=lease,
                counter=1,
                event=event,
                signature=message("AAECAwQFBgcICQoLDA0ODw", event).signature,
            ),
            id="signed for another lease",
        ),
    ],
)
def test_a_forged_message_is_refused_and_does_nothing(
    desk: LeaseDesk,
    sessions: MemorySessionStore,
    forge: Callable[[str, LeaseEvent], LeaseMessage],
    event: LeaseEvent,
) -> None:
    lease, key = leased(desk, sessions)
    later = MOMENT + timedelta(seconds=50)
    assert refusal(lambda: desk.hear(forge(lease, event), now=later)) is ErrorCode.SIG_INVALID
    assert lives(sessions, key, 59)
    assert not lives(sessions, key, 60)


def test_the_key_of_one_lease_speaks_for_no_other(
    desk: LeaseDesk, sessions: MemorySessionStore
) -> None:
    lease, key = leased(desk, sessions)
    mine = desk.grant(AgentKey.of(OTHER_KEY.public_key()), now=MOMENT)
    assert mine is not None
    sent = message(lease, LeaseEvent.REMOVED, key=OTHER_KEY)
    assert refusal(lambda: desk.hear(sent, now=MOMENT)) is ErrorCode.SIG_INVALID
    assert lives(sessions, key)


@pytest.mark.parametrize("event", LeaseEvent)
@pytest.mark.parametrize("counter", [3, 2], ids=["repeated", "reordered"])
def test_a_message_that_is_not_the_newest_is_refused(
    desk: LeaseDesk, sessions: MemorySessionStore, event: LeaseEvent, counter: int
) -> None:
    lease, key = leased(desk, sessions)
    desk.hear(message(lease, counter=3), now=MOMENT)
    later = MOMENT + timedelta(seconds=50)
    sent = message(lease, event, counter)
    assert refusal(lambda: desk.hear(sent, now=later)) is ErrorCode.REQUEST_FORBIDDEN
    assert lives(sessions, key, 59)
    assert not lives(sessions, key, 60)
