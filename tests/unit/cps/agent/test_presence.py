"""The watch over the card: what ends a session, how soon it is told, and what it survives."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cps.agent.errors import SignInError
from cps.agent.gateway_client import LeaseTerms
from cps.agent.presence import CardLease, Presence, PresenceLimits, suspended_seconds
from cps.authtoken.codes import ErrorCode
from cps.authtoken.jwk import AgentKey
from cps.authtoken.lease import LeaseEvent, LeaseMessage
from cps.errors import NoReaderError, NoServiceError, TransportError
from cps.transport.connection import CardConnection, ReaderState
from tests.unit.cps.agent.fakes import INSERTED

ORIGIN = "https://portal.example"
OTHER_ORIGIN = "https://other.example"
LEASE_ID = "AAECAwQFBgcICQoLDA0ODw"
KEY = ec.generate_private_key(ec.SECP256R1())
OFTEN = LeaseTerms(id=LEASE_ID, heartbeat=0.02, grace=5)
SELDOM = LeaseTerms(id=LEASE_ID, heartbeat=600, grace=600)
LIMITS = PresenceLimits(look=0.02, blind=0.6, retry=0.01, farewell=0.5)
SECONDS = 3.0
PRESENT, REMOVED, BYE = LeaseEvent.PRESENT, LeaseEvent.REMOVED, LeaseEvent.BYE
LOCKED, LOCKED_END = LeaseEvent.LOCKED, LeaseEvent.LOCKED_END
AWAY = SignInError(ErrorCode.GATEWAY_UNREACHABLE, "no route")


def await_(met: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not met():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.002)


@dataclass(slots=True)
class FakeGateway:
    """Checks and keeps every message; answers as it is told to."""

    origin: str = ORIGIN
    alive: bool = True
    fails: dict[LeaseEvent, Exception] = field(default_factory=dict)
    messages: list[LeaseMessage] = field(default_factory=list)
    meanwhile: Callable[[LeaseMessage], object] = lambda message: None

    def tell(self, message: LeaseMessage) -> bool:
        message.require_signed_by(AgentKey.of(KEY.public_key()), origin=self.origin)
        self.messages.append(message)
        self.meanwhile(message)
        if message.event in self.fails:
            raise self.fails[message.event]
        return self.alive and message.event in (PRESENT, LOCKED)

    @property
    def events(self) -> list[LeaseEvent]:
        return [message.event for message in self.messages]

    @property
    def ends(self) -> list[LeaseEvent]:
        return [event for event in self.events if event is not PRESENT]


class Readers:
    """A reader with a card among others, behind a service that may fail."""

    def __init__(self) -> None:
        self.card = INSERTED
        self.others: list[ReaderState] = []
        self.unplugged = False
        self.failure: Exception | None = None
        self.hangs = threading.Event()
        self.looks = 0

    def remove(self) -> None:
        self.card = replace(self.card, present=False, atr=b"", events=self.card.events + 1)

    def insert(self) -> None:
        self.card = replace(INSERTED, events=self.card.events + 1)

    def readers(self) -> Sequence[ReaderState]:
        return self.others + ([] if self.unplugged else [self.card])

    def wait(self, known: Sequence[ReaderState], timeout: float) -> Sequence[ReaderState]:
        self.looks += 1
        deadline = time.monotonic() + timeout
        while self.hangs.is_set() or (
            self.failure is None
            and list(self.readers()) == list(known)
            and time.monotonic() < deadline
        ):
            time.sleep(0.001)
        if self.failure is not None:
            raise self.failure
        return self.readers()

    def connect(self, reader: str) -> CardConnection:
        raise AssertionError("the watch must not touch the card")


@dataclass(slots=True)
class Desk:
    readers: Readers
    gateway: FakeGateway
    presence: Presence
    slept: list[float]

    def lease(self, terms: LeaseTerms = OFTEN, origin: str = ORIGIN) -> CardLease:
        return CardLease(origin=origin, key=KEY, terms=terms, card=self.readers.card)

    def watch(self, terms: LeaseTerms = OFTEN) -> None:
        self.presence.watch(self.lease(terms))


@pytest.fixture
def desk() -> Iterator[Desk]:
    readers, gateway, slept = Readers(), FakeGateway(), [0.0]
    presence = Presence(
        terminal=readers,
        gateway_at=lambda origin: replace(gateway, origin=origin) if origin != ORIGIN else gateway,
        limits=LIMITS,
        suspended=lambda: slept[0],
    )
    yield Desk(readers=readers, gateway=gateway, presence=presence, slept=slept)
    readers.hangs.clear()
    presence.close()
    names = ("card watch", "heartbeat", "leave")
    await_(lambda: not [t for t in threading.enumerate() if t.name in names])


def test_heartbeats_go_on_while_the_card_is_there(desk: Desk) -> None:
    desk.watch()
    await_(lambda: len(desk.gateway.messages) >= 5)
    assert set(desk.gateway.events) == {PRESENT}
    counters = [message.counter for message in desk.gateway.messages]
    assert counters == list(range(1, len(counters) + 1))
    assert {message.lease for message in desk.gateway.messages} == {LEASE_ID}


def test_a_heartbeat_comes_no_sooner_than_asked_for(desk: Desk) -> None:
    desk.watch(SELDOM)
    await_(lambda: desk.readers.looks >= 3)
    assert desk.gateway.messages == []


def _remove(desk: Desk) -> None:
    desk.readers.remove()


def _swap(desk: Desk) -> None:
    desk.readers.remove()
    desk.readers.insert()


def _unplug(desk: Desk) -> None:
    desk.readers.unplugged = True


def _fall_asleep(desk: Desk) -> None:
    desk.presence.falls_asleep()


def _fail_with(failure: Exception) -> Callable[[Desk], None]:
    def fail(desk: Desk) -> None:
        desk.readers.failure = failure

    return fail


def _sleep(desk: Desk) -> None:
    desk.slept[0] += 2.0


GOINGS = [
    pytest.param(_remove, id="card removed"),
    pytest.param(_swap, id="fast swap"),
    pytest.param(_unplug, id="reader unplugged"),
    pytest.param(_fail_with(NoServiceError("stopped")), id="service stopped"),
    pytest.param(_fail_with(NoReaderError("listing")), id="readers cannot be listed"),
    pytest.param(_fail_with(TransportError("odd")), id="another failure of the service"),
    pytest.param(_fail_with(ValueError("defect")), id="a defect of ours"),
    pytest.param(_sleep, id="sleep"),
    pytest.param(_fall_asleep, id="sleep that is announced"),
]


@pytest.mark.parametrize("go", GOINGS)
def test_a_card_that_may_have_gone_is_told_at_once_and_once(
    desk: Desk, go: Callable[[Desk], None]
) -> None:
    desk.watch(SELDOM)
    await_(lambda: desk.readers.looks >= 2)
    go(desk)
    await_(lambda: desk.gateway.events == [REMOVED])
    await_(lambda: len(desk.presence) == 0)
    time.sleep(0.05)
    assert desk.gateway.events == [REMOVED]


@pytest.mark.parametrize("go", [_swap, _remove])
def test_a_card_that_went_before_the_watch_began_is_noticed(
    desk: Desk, go: Callable[[Desk], None]
) -> None:
    lease = desk.lease(SELDOM)
    go(desk)
    desk.presence.watch(lease)
    await_(lambda: desk.gateway.events == [REMOVED])


def test_a_card_that_comes_back_restores_nothing(desk: Desk) -> None:
    desk.watch()
    _remove(desk)
    await_(lambda: desk.gateway.ends == [REMOVED])
    desk.readers.insert()
    seen = len(desk.gateway.messages)
    time.sleep(0.05)
    assert desk.gateway.messages[seen:] == []


def test_what_other_readers_and_programs_do_ends_nothing(desk: Desk) -> None:
    desk.watch(SELDOM)
    other = ReaderState(name="Other", present=False, atr=b"", events=0)
    for events in range(1, 4):
        desk.readers.others = [replace(other, present=bool(events % 2), events=events)]
        time.sleep(0.01)
    # Another program powered the card off, or reset it: its reader may lose the answer to reset.
    desk.readers.card = replace(desk.readers.card, atr=b"")
    seen = desk.readers.looks
    await_(lambda: desk.readers.looks > seen + 1)
    assert desk.gateway.messages == []
    assert len(desk.presence) == 1


def test_the_same_card_in_another_reader_is_a_removal(desk: Desk) -> None:
    desk.readers.others = [replace(desk.readers.card, name="Other")]
    desk.watch(SELDOM)
    _unplug(desk)
    await_(lambda: desk.gateway.events == [REMOVED])


def test_a_short_pause_of_the_clock_is_no_sleep(desk: Desk) -> None:
    desk.watch(SELDOM)
    desk.slept[0] += 1.9
    await_(lambda: desk.readers.looks >= 3)
    assert desk.gateway.messages == []


def test_a_service_that_hangs_is_no_presence(desk: Desk) -> None:
    desk.watch()
    await_(lambda: desk.gateway.messages)
    desk.readers.hangs.set()
    await_(lambda: desk.gateway.ends == [REMOVED])


def test_a_slow_heartbeat_does_not_hold_up_a_removal(desk: Desk) -> None:
    let_go = threading.Event()

    def dawdle(message: LeaseMessage) -> None:
        if message.event is PRESENT:
            let_go.wait(SECONDS)

    desk.gateway.meanwhile = dawdle
    desk.watch()
    await_(lambda: desk.gateway.events == [PRESENT])
    _remove(desk)
    await_(lambda: desk.gateway.events == [PRESENT, REMOVED])
    first, second = desk.gateway.messages
    assert second.counter > first.counter
    let_go.set()


def test_a_network_that_is_away_for_a_moment_ends_nothing(desk: Desk) -> None:
    desk.gateway.fails = {PRESENT: AWAY}
    desk.watch()
    await_(lambda: len(desk.gateway.messages) >= 3)
    desk.gateway.fails = {}
    seen = len(desk.gateway.messages)
    await_(lambda: len(desk.gateway.messages) > seen + 3)
    assert desk.gateway.ends == []
    counters = [message.counter for message in desk.gateway.messages]
    assert counters == sorted(set(counters)), "no number is used twice"


def test_after_a_failure_the_next_try_is_soon(desk: Desk) -> None:
    desk.gateway.fails = {PRESENT: AWAY}
    desk.watch(LeaseTerms(id=LEASE_ID, heartbeat=0.3, grace=60))
    began = time.monotonic()
    await_(lambda: len(desk.gateway.messages) >= 10)
    assert time.monotonic() - began < 1.0


def test_after_the_grace_without_answer_the_lease_is_forgotten(desk: Desk) -> None:
    desk.gateway.fails = {PRESENT: AWAY}
    desk.watch(replace(OFTEN, grace=0.2))
    await_(lambda: len(desk.presence) == 0)
    assert set(desk.gateway.events) == {PRESENT}


def test_a_removal_is_told_until_it_arrives(desk: Desk) -> None:
    desk.gateway.fails = {REMOVED: AWAY}
    desk.watch(SELDOM)
    _remove(desk)
    await_(lambda: len(desk.gateway.messages) >= 3)
    desk.gateway.fails = {}
    await_(lambda: len(desk.presence) == 0)
    assert set(desk.gateway.events) == {REMOVED}
    counters = [message.counter for message in desk.gateway.messages]
    assert counters == list(range(1, len(counters) + 1))


def test_a_removal_is_given_up_when_the_session_is_over_anyway(desk: Desk) -> None:
    desk.gateway.fails = {REMOVED: AWAY}
    desk.watch(replace(SELDOM, grace=0.1))
    _remove(desk)
    await_(lambda: len(desk.presence) == 0)


@pytest.mark.parametrize(
    "code", [ErrorCode.SIG_INVALID, ErrorCode.REQUEST_FORBIDDEN, ErrorCode.REQUEST_MALFORMED]
)
@pytest.mark.parametrize("event", [PRESENT, REMOVED])
def test_a_message_that_is_refused_is_not_repeated(
    desk: Desk, code: ErrorCode, event: LeaseEvent
) -> None:
    desk.gateway.fails = {event: SignInError(code, "no")}
    desk.watch(OFTEN if event is PRESENT else SELDOM)
    if event is REMOVED:
        _remove(desk)
    await_(lambda: len(desk.presence) == 0)
    time.sleep(0.05)
    assert desk.gateway.events == [event]


@pytest.mark.parametrize("code", [ErrorCode.STORE_UNAVAILABLE, ErrorCode.INTERNAL])
def test_a_gateway_in_trouble_is_asked_again(desk: Desk, code: ErrorCode) -> None:
    desk.gateway.fails = {PRESENT: SignInError(code, "later")}
    desk.watch()
    await_(lambda: len(desk.gateway.messages) >= 3)
    assert len(desk.presence) == 1


def test_a_session_that_the_gateway_ended_is_forgotten_with_its_key(desk: Desk) -> None:
    desk.gateway.alive = False
    desk.watch()
    await_(lambda: len(desk.presence) == 0)
    _remove(desk)
    time.sleep(0.05)
    assert desk.gateway.events == [PRESENT]


def test_two_portals_are_told_of_one_removal(desk: Desk) -> None:
    gateways = {origin: FakeGateway(origin=origin) for origin in (ORIGIN, OTHER_ORIGIN)}
    presence = Presence(terminal=desk.readers, gateway_at=gateways.__getitem__, limits=LIMITS)
    for origin in gateways:
        presence.watch(desk.lease(SELDOM, origin))
    # Two browsers at one portal.
    presence.watch(desk.lease(SELDOM))
    assert len(presence) == 3
    _remove(desk)
    await_(lambda: len(presence) == 0)
    assert gateways[ORIGIN].events == [REMOVED, REMOVED]
    assert gateways[OTHER_ORIGIN].events == [REMOVED]


def test_one_session_that_ends_leaves_the_others(desk: Desk) -> None:
    gateways = {origin: FakeGateway(origin=origin) for origin in (ORIGIN, OTHER_ORIGIN)}
    presence = Presence(terminal=desk.readers, gateway_at=gateways.__getitem__, limits=LIMITS)
    gateways[ORIGIN].alive = False
    for origin in gateways:
        presence.watch(desk.lease(OFTEN, origin))
    await_(lambda: len(presence) == 1)
    seen = len(gateways[OTHER_ORIGIN].messages)
    await_(lambda: len(gateways[OTHER_ORIGIN].messages) > seen + 2)
    presence.close()


def strict(desk: Desk) -> Presence:
    """Return the watch of a computer whose administrator has sessions end with the screen."""
    return Presence(
        terminal=desk.readers,
        gateway_at=lambda origin: desk.gateway,
        limits=LIMITS,
        lock_ends=True,
    )


def test_a_locked_screen_is_told_at_once_and_the_portal_decides(desk: Desk) -> None:
    desk.watch(SELDOM)
    desk.presence.screen_locks()
    await_(lambda: desk.gateway.events == [LOCKED])
    time.sleep(0.05)
    assert len(desk.presence) == 1, "the portal lets it live"
    desk.gateway.alive = False
    desk.presence.screen_locks()
    await_(lambda: len(desk.presence) == 0)
    assert desk.gateway.events == [LOCKED, LOCKED]


def test_heartbeats_go_on_behind_a_locked_screen(desk: Desk) -> None:
    desk.watch()
    desk.presence.screen_is(locked=True)
    await_(lambda: LOCKED in desk.gateway.events)
    seen = len(desk.gateway.messages)
    await_(lambda: len(desk.gateway.messages) > seen + 2)
    assert desk.gateway.events.count(LOCKED) == 1


def test_a_locked_screen_is_told_until_it_arrives(desk: Desk) -> None:
    desk.gateway.fails = {LOCKED: AWAY}
    desk.watch(SELDOM)
    desk.presence.screen_locks()
    await_(lambda: len(desk.gateway.messages) >= 3)
    desk.gateway.fails = {}
    desk.gateway.alive = False
    await_(lambda: len(desk.presence) == 0)
    assert set(desk.gateway.events) == {LOCKED}


def test_where_the_administrator_says_so_a_locked_screen_ends_every_session(desk: Desk) -> None:
    presence = strict(desk)
    presence.watch(desk.lease(SELDOM))
    presence.watch(desk.lease(SELDOM))
    desk.gateway.fails = {LOCKED_END: AWAY}
    presence.screen_is(locked=True)
    await_(lambda: len(desk.gateway.messages) >= 4)
    presence.screen_is(locked=False)
    desk.gateway.fails = {}
    await_(lambda: len(presence) == 0)
    assert set(desk.gateway.events) == {LOCKED_END}


def test_a_gateway_older_than_the_message_is_told_by_one_that_it_knows(desk: Desk) -> None:
    presence = strict(desk)
    desk.gateway.fails = {LOCKED_END: SignInError(ErrorCode.REQUEST_MALFORMED, "event")}
    presence.watch(desk.lease(SELDOM))
    presence.screen_locks()
    await_(lambda: len(presence) == 0)
    assert desk.gateway.events == [LOCKED_END, REMOVED]
    first, second = desk.gateway.messages
    assert second.counter > first.counter


def test_an_older_gateway_that_is_away_meanwhile_is_told_until_it_arrives(desk: Desk) -> None:
    presence = strict(desk)
    malformed = SignInError(ErrorCode.REQUEST_MALFORMED, "event")
    desk.gateway.fails = {LOCKED_END: malformed, REMOVED: AWAY}
    presence.watch(desk.lease(SELDOM))
    presence.screen_locks()
    await_(lambda: desk.gateway.events.count(REMOVED) >= 2)
    desk.gateway.fails = {LOCKED_END: malformed}
    await_(lambda: len(presence) == 0)
    assert desk.gateway.events.count(LOCKED_END) == 1


def test_a_login_that_ends_behind_a_locked_screen_hears_of_it(desk: Desk) -> None:
    presence = strict(desk)
    presence.screen_is(locked=True)
    presence.watch(desk.lease(SELDOM))
    await_(lambda: desk.gateway.events == [LOCKED_END])
    await_(lambda: len(presence) == 0)
    presence.screen_is(locked=False)
    presence.watch(desk.lease())
    await_(lambda: PRESENT in desk.gateway.events)
    presence.close()


def test_the_end_of_the_agent_is_told_once(desk: Desk) -> None:
    desk.watch(SELDOM)
    desk.watch(SELDOM)
    desk.presence.close()
    assert desk.gateway.events == [BYE, BYE]
    desk.presence.close()
    assert desk.gateway.events == [BYE, BYE]


def test_the_end_of_the_agent_waits_for_no_gateway_that_is_away(desk: Desk) -> None:
    desk.gateway.fails = {BYE: AWAY}
    desk.watch(SELDOM)
    desk.presence.close()
    assert desk.gateway.events == [BYE]
    assert len(desk.presence) == 0


def test_the_end_of_the_agent_waits_a_bounded_time_for_a_silent_gateway(desk: Desk) -> None:
    let_go = threading.Event()
    desk.gateway.meanwhile = lambda message: let_go.wait(SECONDS)
    desk.watch(SELDOM)
    began = time.monotonic()
    desk.presence.close()
    assert 0.4 < time.monotonic() - began < 1.5
    let_go.set()


def test_the_end_of_the_agent_waits_for_a_removal_that_is_being_told(desk: Desk) -> None:
    begun, let_go = threading.Event(), threading.Event()

    def dawdle(message: LeaseMessage) -> None:
        begun.set()
        let_go.wait(SECONDS)

    desk.gateway.meanwhile = dawdle
    desk.watch(SELDOM)
    _remove(desk)
    assert begun.wait(SECONDS)
    threading.Timer(0.1, let_go.set).start()
    desk.presence.close()
    assert let_go.is_set()
    assert desk.gateway.events == [REMOVED]


def test_a_login_that_ends_after_the_agent_did_is_said_farewell(desk: Desk) -> None:
    desk.presence.close()
    desk.watch(SELDOM)
    assert desk.gateway.events == [BYE]
    assert len(desk.presence) == 0


def test_no_log_holds_a_lease_or_a_key(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    lease = desk.lease(SELDOM)
    desk.presence.watch(lease)
    _remove(desk)
    await_(lambda: len(desk.presence) == 0)
    assert "the card is not where it was" in caplog.text
    assert LEASE_ID not in caplog.text
    assert LEASE_ID not in repr(lease)
    assert "PrivateKey" not in repr(lease)


def test_a_defect_is_logged_with_its_trace(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.watch(SELDOM)
    desk.readers.failure = ValueError("a defect of ours")
    await_(lambda: desk.gateway.events == [REMOVED])
    assert "a defect of ours" in caplog.text


def test_a_computer_that_is_awake_has_not_slept_since() -> None:
    before = suspended_seconds()
    time.sleep(0.05)
    assert suspended_seconds() - before == pytest.approx(0.0, abs=0.02)
