"""The order of a sign-in, and each way in which it ends."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from cps.agent.errors import SignInError
from cps.agent.gateway_client import Accepted, Claim, LeaseTerms
from cps.agent.pin_entry import Wanted
from cps.agent.presence import CardLease
from cps.agent.progress import Stage
from cps.agent.signin import CARD_WAIT_SECONDS, LoginRequest, SignIn
from cps.atr import CPS3_CONTACT_ATR, CPS4_ATR
from cps.authtoken.abort import AbortMessage
from cps.authtoken.codes import ErrorCode
from cps.authtoken.frame import login_message
from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import AuthToken
from cps.errors import (
    CardDataError,
    CardError,
    CardMuteError,
    CardRefusedError,
    CardRemovedError,
    CardResetError,
    KeypadError,
    NoCardError,
    NoReaderError,
    PINCancelledError,
    PINLengthError,
    PINRejectedError,
)
from cps.transport.connection import ReaderState
from tests.support import pki
from tests.support.gateway_stub import BEGUN_RID, GatewayStub
from tests.unit.cps.agent.fakes import (
    EMPTY,
    INSERTED,
    RID,
    RIGHT_PIN,
    FakeCard,
    FakeClock,
    FakePerson,
    FakeProgress,
    FakeTerminal,
    login_request,
    reader,
)

ORIGIN = "https://portal.example"
BEGUN = LoginRequest(rid=None, origin=ORIGIN, language="fr")
TERMS = LeaseTerms(id="AAECAwQFBgcICQoLDA0ODw", heartbeat=20, grace=60)


class FakeGateway:
    """The stub's decisions without a network, and a list of what was asked when."""

    def __init__(self, card: FakeCard) -> None:
        self.stub = GatewayStub(ORIGIN)
        self.card = card
        self.fails: dict[str, Exception] = {}
        self.key: AgentKey | None = None
        self.token: AuthToken | None = None
        self.expires_in = 170
        self.lease: LeaseTerms | None = TERMS
        self.given_up: list[AbortMessage] = []

    def claim(self, rid: str, key: AgentKey) -> Claim:
        self._step("claim")
        self.key = key
        return Claim(nonce=self.stub.nonce, label="Portail", expires_in=self.expires_in)

    def begin(self, key: AgentKey) -> tuple[str, Claim]:
        self._step("begin")
        self.key = key
        claim = Claim(nonce=self.stub.nonce, label="Portail", expires_in=self.expires_in)
        return BEGUN_RID, claim

    def hand_in(self, token: AuthToken) -> Accepted:
        self._step("hand in")
        self.token = token
        return Accepted(code=self.stub.code, lease=self.lease)

    def give_up(self, message: AbortMessage) -> None:
        self._step("give up")
        assert self.key is not None
        message.require_signed_by(self.key, origin=ORIGIN)
        self.given_up.append(message)

    def _step(self, name: str) -> None:
        self.card.steps.append(name)
        if failure := self.fails.get(name):
            raise failure


class Desk:
    """One workstation with all its parts."""

    def __init__(self) -> None:
        self.card = FakeCard()
        self.gateway = FakeGateway(self.card)
        self.terminal = FakeTerminal()
        self.person = FakePerson()
        self.progress = FakeProgress()
        self.clock = FakeClock()
        self.opening: list[Exception] = []
        self.known: list[str | None] = []
        """The serial numbers with which the card was opened."""
        self.watched: list[CardLease] = []
        self.keypads = True

    def sign_in(self) -> str:
        completed = self.work().run(login_request(ORIGIN), self.progress)
        return completed.redirect

    def work(self) -> SignIn:
        return SignIn(
            terminal=self.terminal,
            open_card=self._open,
            entry=self.person,
            gateway_at=lambda origin: self.gateway,
            watch=self.watched.append,
            keypads=self.keypads,
            clock=self.clock,
        )

    def _open(self, connection: object, serial: str | None) -> FakeCard:
        self.known.append(serial)
        if self.opening:
            raise self.opening.pop(0)
        self.card.closed = False
        return self.card


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    # However a sign-in ends, nothing of ours may hold the card.
    assert desk.card.closed or not desk.card.steps
    opened = len(desk.terminal.connections)
    assert opened == 0 or desk.card.closed or desk.terminal.connections[-1].closed


def test_the_card_comes_before_the_claim_and_the_claim_before_the_pin(desk: Desk) -> None:
    desk.sign_in()
    assert desk.card.steps == ["certificate", "certificate", "claim", "tries", "sign", "hand in"]


def test_the_browser_is_sent_to_the_fixed_path_of_the_origin_asked_for(desk: Desk) -> None:
    assert desk.sign_in() == f"{ORIGIN}/_cps/callback?code={desk.gateway.stub.code}"


def test_what_begins_here_is_the_same_but_for_its_beginning_and_its_end(desk: Desk) -> None:
    completed = desk.work().run(BEGUN, desk.progress)
    assert desk.card.steps == ["certificate", "certificate", "begin", "tries", "sign", "hand in"]
    assert completed.redirect == f"{ORIGIN}/_cps/start#{desk.gateway.stub.code}"
    token, key = desk.gateway.token, desk.gateway.key
    assert token is not None
    assert key is not None
    assert token.rid == BEGUN_RID
    message = login_message(
        origin=ORIGIN,
        nonce=desk.gateway.stub.nonce,
        rid=BEGUN_RID,
        jwk_thumbprint=key.thumbprint(),
        certificate=token.unverified_certificate,
    )
    public = pki.key("leaf").public_key()
    public.verify(token.signature, message, padding.PKCS1v15(), hashes.SHA256())
    (lease,) = desk.watched
    assert AgentKey.of(lease.key.public_key()) == key
    (question,) = desk.person.seen
    assert question.origin == ORIGIN


def test_what_begins_here_is_given_up_under_the_id_it_was_given(desk: Desk) -> None:
    desk.person.answers = [PINCancelledError("no")]
    with pytest.raises(PINCancelledError):
        desk.work().run(BEGUN, desk.progress)
    (message,) = desk.gateway.given_up
    assert (message.rid, message.code) == (BEGUN_RID, ErrorCode.PIN_CANCELLED)


def test_the_card_is_let_go_before_the_token_is_sent(desk: Desk) -> None:
    closed: list[bool] = []
    desk.gateway.fails = {}
    hand_in = desk.gateway.hand_in

    def observed(token: AuthToken) -> Accepted:
        closed.append(desk.card.closed)
        return hand_in(token)

    desk.gateway.hand_in = observed  # type: ignore[method-assign]
    desk.sign_in()
    assert closed == [True]


def test_the_key_claimed_is_that_of_the_lease_and_new_each_time(desk: Desk) -> None:
    thumbprints = set()
    for _ in range(2):
        desk.sign_in()
        desk.person.answers = [RIGHT_PIN]
        key = AgentKey.of(desk.watched[-1].key.public_key())
        assert key == desk.gateway.key
        thumbprints.add(key.thumbprint())
    assert len(thumbprints) == 2


def test_the_card_is_watched_where_it_was_before_it_signed(desk: Desk) -> None:
    swapped = replace(INSERTED, events=INSERTED.events + 2)
    desk.card.while_signing = lambda: desk.terminal.views.insert(0, [swapped])
    desk.sign_in()
    (lease,) = desk.watched
    assert (lease.origin, lease.terms, lease.card) == (ORIGIN, TERMS, INSERTED)


def test_no_card_is_watched_where_the_gateway_asks_for_none(desk: Desk) -> None:
    desk.gateway.lease = None
    desk.sign_in()
    assert desk.watched == []


def test_no_card_is_watched_for_a_login_that_was_refused(desk: Desk) -> None:
    desk.gateway.fails["hand in"] = SignInError(ErrorCode.SIG_INVALID, "refused")
    with pytest.raises(SignInError):
        desk.sign_in()
    assert desk.watched == []


def test_the_token_holds_what_the_card_said(desk: Desk) -> None:
    desk.sign_in()
    token = desk.gateway.token
    assert token is not None
    assert (token.rid, token.algorithm) == (RID, "RS256")
    assert (token.card.interface, token.card.atr) == ("contact", CPS3_CONTACT_ATR)


def test_a_renewed_certificate_is_the_one_that_is_handed_in_and_signed_for(desk: Desk) -> None:
    desk.card.renewed = pki.der(pki.leaf(serial=6))
    desk.sign_in()
    token, key = desk.gateway.token, desk.gateway.key
    assert token is not None
    assert key is not None
    assert token.unverified_certificate == desk.card.renewed
    message = login_message(
        origin=ORIGIN,
        nonce=desk.gateway.stub.nonce,
        rid=RID,
        jwk_thumbprint=key.thumbprint(),
        certificate=desk.card.renewed,
    )
    pki.key("leaf").public_key().verify(
        token.signature, message, padding.PKCS1v15(), hashes.SHA256()
    )
    assert len(desk.person.seen) == 1


def test_another_holder_than_was_shown_signs_nothing(desk: Desk) -> None:
    desk.card.renewed = pki.der(pki.leaf(pki.NURSE))
    with pytest.raises(CardDataError, match="holder"):
        desk.sign_in()
    assert "hand in" not in desk.card.steps


def test_the_person_sees_portal_address_holder_card_and_tries(desk: Desk) -> None:
    desk.sign_in()
    (seen,) = desk.person.seen
    assert (seen.origin, seen.label, seen.tries_left) == (ORIGIN, "Portail", 3)
    assert (seen.holder, seen.card_digits) == ("CAMILLE EXEMPLE", "5678")
    assert not seen.plain_http


def test_plain_http_is_shown_to_the_person(desk: Desk) -> None:
    desk.work().run(login_request("http://localhost:8080"), desk.progress)
    assert desk.person.seen[0].plain_http


def test_repr_shows_neither_code_nor_request_id(desk: Desk) -> None:
    completed = desk.work().run(login_request(ORIGIN), desk.progress)
    shown = repr(completed) + repr(login_request(ORIGIN))
    assert desk.gateway.stub.code not in shown
    assert RID not in shown


# The PIN.


def test_a_wrong_pin_is_asked_again_with_the_tries_left(desk: Desk) -> None:
    desk.person.answers = ["0000", "1111", RIGHT_PIN]
    desk.sign_in()
    asked = [(request.tries_left, request.was_wrong) for request in desk.person.seen]
    assert asked == [(3, False), (2, True), (1, True)]
    assert desk.person.rejections == 2


def test_three_wrong_pins_block_and_are_not_asked_a_fourth_time(desk: Desk) -> None:
    desk.person.answers = ["0000"] * 4
    with pytest.raises(PINRejectedError) as caught:
        desk.sign_in()
    assert caught.value.tries_left == 0
    assert len(desk.card.pins) == 3
    assert "hand in" not in desk.card.steps


def test_a_pin_of_another_length_is_asked_again_and_costs_no_try(desk: Desk) -> None:
    desk.card.fails["sign"] = PINLengthError(4, 4)
    desk.person.answers = ["123456", RIGHT_PIN]
    desk.sign_in()
    asked = [(request.tries_left, request.length) for request in desk.person.seen]
    assert asked == [(3, None), (3, (4, 4))]
    assert desk.person.rejections == 0


def test_a_pin_of_another_length_without_a_person_ends_the_sign_in(desk: Desk) -> None:
    desk.person = FakePerson("123456", RIGHT_PIN, interactive=False)
    desk.card.fails["sign"] = PINLengthError(4, 4)
    with pytest.raises(PINLengthError):
        desk.sign_in()


def test_a_blocked_card_is_said_and_not_tried(desk: Desk) -> None:
    desk.card.tries = 0
    with pytest.raises(PINRejectedError) as caught:
        desk.sign_in()
    assert caught.value.tries_left == 0
    assert desk.person.seen == []
    assert desk.card.pins == []


def test_a_wrong_pin_without_a_person_is_not_tried_twice(desk: Desk) -> None:
    desk.person = FakePerson("0000", RIGHT_PIN, interactive=False)
    with pytest.raises(PINRejectedError) as caught:
        desk.sign_in()
    assert caught.value.tries_left == 2
    assert desk.card.pins == [b"0000"]


def test_the_page_speaks_of_the_pin_only_where_a_person_types_it(desk: Desk) -> None:
    desk.sign_in()
    assert Stage.PIN in desk.progress.stages
    desk.progress, desk.person = FakeProgress(), FakePerson(interactive=False)
    desk.sign_in()
    assert Stage.PIN not in desk.progress.stages


def test_a_cancelled_pin_ends_the_sign_in_before_the_card_tries(desk: Desk) -> None:
    desk.person.answers = [PINCancelledError("no")]
    with pytest.raises(PINCancelledError):
        desk.sign_in()
    assert "sign" not in desk.card.steps


def test_a_pin_typed_in_the_last_second_serves(desk: Desk) -> None:
    desk.person.meanwhile = lambda wanted: desk.clock.pass_by(169)
    desk.sign_in()
    assert "hand in" in desk.card.steps


def test_no_try_is_spent_where_the_time_ran_out_while_the_pin_was_typed(desk: Desk) -> None:
    desk.person.meanwhile = lambda wanted: desk.clock.pass_by(170)
    desk.person.heedless = True
    with pytest.raises(SignInError) as caught:
        desk.sign_in()
    assert caught.value.code is ErrorCode.RID_EXPIRED
    assert "sign" not in desk.card.steps


def test_the_person_is_told_that_the_time_ran_out(desk: Desk) -> None:
    desk.person.meanwhile = lambda wanted: desk.clock.pass_by(170)
    with pytest.raises(PINCancelledError):
        desk.sign_in()


def test_a_signature_that_came_too_late_is_not_handed_in(desk: Desk) -> None:
    desk.card.while_signing = lambda: desk.clock.pass_by(170)
    with pytest.raises(SignInError) as caught:
        desk.sign_in()
    assert caught.value.code is ErrorCode.RID_EXPIRED
    assert "hand in" not in desk.card.steps


def test_a_challenge_that_is_over_at_the_claim_asks_for_no_pin(desk: Desk) -> None:
    desk.gateway.expires_in = 0
    with pytest.raises(SignInError) as caught:
        desk.sign_in()
    assert caught.value.code is ErrorCode.RID_EXPIRED
    assert desk.person.seen == []


def test_no_pin_is_asked_when_nobody_waits_any_more(desk: Desk) -> None:
    desk.progress.patience = 0
    with pytest.raises(PINCancelledError):
        desk.sign_in()
    assert desk.person.seen == []


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(CardRemovedError("gone"), id="removed"),
        pytest.param(CardResetError("reset"), id="reset"),
        pytest.param(CardMuteError("mute"), id="mute"),
        pytest.param(CardRefusedError("INTERNAL AUTHENTICATE", 0x6985), id="refused"),
        pytest.param(CardDataError("bad signature"), id="malformed"),
    ],
)
def test_what_is_no_wrong_pin_ends_the_sign_in_without_another_try(
    desk: Desk, failure: CardError
) -> None:
    desk.card.fails["sign"] = failure
    desk.person.answers = [RIGHT_PIN, RIGHT_PIN]
    with pytest.raises(type(failure)):
        desk.sign_in()
    assert desk.card.steps.count("sign") == 1
    assert desk.person.rejections == 0
    assert "hand in" not in desk.card.steps


@pytest.mark.parametrize("step", ["certificate", "tries", "sign"])
def test_a_removal_is_a_removal_at_each_step(desk: Desk, step: str) -> None:
    desk.card.fails[step] = CardRemovedError("gone")
    with pytest.raises(CardRemovedError):
        desk.sign_in()
    assert "hand in" not in desk.card.steps


# The card.


def test_a_card_that_another_program_reset_is_opened_once_more(desk: Desk) -> None:
    desk.opening = [CardResetError("reset")]
    desk.sign_in()
    assert [connection.closed for connection in desk.terminal.connections] == [True, False]


def test_a_card_that_another_program_reset_while_it_was_read_is_opened_once_more(
    desk: Desk,
) -> None:
    desk.card.fails["certificate"] = CardResetError("reset")
    desk.sign_in()
    assert [connection.closed for connection in desk.terminal.connections] == [True, False]
    assert desk.card.steps.count("claim") == 1


def test_a_card_that_is_reset_twice_ends_the_sign_in(desk: Desk) -> None:
    desk.opening = [CardResetError("reset"), CardResetError("reset")]
    with pytest.raises(CardResetError):
        desk.sign_in()
    assert all(connection.closed for connection in desk.terminal.connections)


def opened_with(desk: Desk, *views: list[ReaderState]) -> list[str | None]:
    """Return what is known of the card at each of several sign-ins with the same agent."""
    work = desk.work()
    for view in views:
        desk.terminal.views = [view]
        desk.person.answers = [RIGHT_PIN]
        with suppress(CardError):
            work.run(login_request(ORIGIN), desk.progress)
    return desk.known


def test_a_card_that_stays_in_its_reader_is_known_the_next_time(desk: Desk) -> None:
    assert opened_with(desk, [INSERTED], [INSERTED]) == [None, desk.card.serial]


@pytest.mark.parametrize(
    "then",
    [
        pytest.param(replace(INSERTED, events=3), id="taken out and put in"),
        pytest.param(replace(INSERTED, name="Other Reader"), id="in another reader"),
        pytest.param(replace(INSERTED, atr=CPS4_ATR), id="another kind of card"),
    ],
)
def test_a_card_that_moved_is_not_known(desk: Desk, then: ReaderState) -> None:
    assert opened_with(desk, [INSERTED], [then]) == [None, None]


def test_where_no_events_are_counted_no_card_is_known(desk: Desk) -> None:
    uncounted = replace(INSERTED, events=0)
    assert opened_with(desk, [uncounted], [uncounted]) == [None, None]


@pytest.mark.parametrize("step", ["certificate", "tries", "sign"])
def test_a_card_that_did_not_sign_is_not_known(desk: Desk, step: str) -> None:
    desk.card.fails[step] = CardDataError("odd")
    assert opened_with(desk, [INSERTED], [INSERTED]) == [None, None]


def test_what_was_known_and_did_not_fit_is_forgotten(desk: Desk) -> None:
    work = desk.work()
    work.run(login_request(ORIGIN), desk.progress)
    desk.card.fails["certificate"] = CardRemovedError("another card")
    with pytest.raises(CardRemovedError):
        work.run(login_request(ORIGIN), desk.progress)
    desk.person.answers = [RIGHT_PIN]
    work.run(login_request(ORIGIN), desk.progress)
    assert desk.known == [None, desk.card.serial, None]


def test_a_card_that_cannot_be_opened_claims_nothing(desk: Desk) -> None:
    desk.opening = [CardDataError("odd")]
    with pytest.raises(CardDataError):
        desk.sign_in()
    assert "claim" not in desk.card.steps


def test_reader_and_card_are_waited_for(desk: Desk) -> None:
    desk.terminal = FakeTerminal([], [EMPTY], [INSERTED])
    desk.sign_in()
    assert desk.progress.stages[:3] == [Stage.READER, Stage.CARD, Stage.WORKING]


@pytest.mark.parametrize(
    ("view", "error"),
    [
        pytest.param([], NoReaderError, id="no-reader"),
        pytest.param([EMPTY], NoCardError, id="no-card"),
        pytest.param(
            [reader("a", CPS3_CONTACT_ATR), reader("b", CPS4_ATR)], NoCardError, id="two-cards"
        ),
    ],
)
def test_the_wait_for_a_card_ends_and_claims_nothing(
    desk: Desk, view: list[object], error: type[CardError]
) -> None:
    desk.terminal = FakeTerminal(view)  # type: ignore[arg-type]

    def pass_time() -> None:
        desk.clock.now += CARD_WAIT_SECONDS

    desk.terminal.before_wait = pass_time
    with pytest.raises(error):
        desk.sign_in()
    assert desk.card.steps == []


def test_the_wait_for_a_card_ends_when_nobody_waits_any_more(desk: Desk) -> None:
    desk.terminal = FakeTerminal([EMPTY])
    desk.progress.patience = 2
    with pytest.raises(PINCancelledError):
        desk.sign_in()


# A card that is exchanged while its PIN is asked for.


def exchanged(desk: Desk, *views: list[ReaderState]) -> Callable[[Wanted], None]:
    """Return what puts *views* in place of the reader's state, the first time."""
    left = [list(views)]

    def exchange(wanted: Wanted) -> None:
        if left:
            desk.terminal.views = [*left.pop()]

    return exchange


SWAPPED = replace(INSERTED, events=INSERTED.events + 2)


def test_an_exchanged_card_starts_over_with_its_own_holder(desk: Desk) -> None:
    def exchange(wanted: Wanted) -> None:
        if len(desk.person.seen) == 1:
            desk.terminal.views = [[SWAPPED]]
            desk.card.certificate = pki.der(pki.leaf(pki.NURSE))

    desk.person.meanwhile = exchange
    desk.sign_in()
    first, second = desk.person.seen
    assert first.holder != second.holder
    assert desk.card.steps.count("claim") == 1
    assert desk.watched[0].card == SWAPPED
    assert desk.gateway.given_up == []


def test_a_card_taken_out_is_waited_for_within_the_logins_time(desk: Desk) -> None:
    desk.person.meanwhile = exchanged(desk, [EMPTY], [EMPTY], [SWAPPED])
    desk.sign_in()
    assert desk.progress.stages[-3:] == [Stage.WORKING, Stage.PIN, Stage.WORKING]
    assert Stage.CARD in desk.progress.stages
    assert len(desk.person.seen) == 2


def test_a_card_that_does_not_come_back_ends_the_login_with_its_time(desk: Desk) -> None:
    desk.person.meanwhile = exchanged(desk, [EMPTY])
    desk.terminal.before_wait = lambda: desk.clock.pass_by(60)
    with pytest.raises(NoCardError):
        desk.sign_in()
    assert [message.code for message in desk.gateway.given_up] == [ErrorCode.NO_CARD]


def test_who_cancels_while_the_card_is_there_has_cancelled(desk: Desk) -> None:
    desk.person.answers = [PINCancelledError("no"), RIGHT_PIN]
    with pytest.raises(PINCancelledError):
        desk.sign_in()
    assert len(desk.person.seen) == 1


# The reader's own keypad.


@pytest.fixture
def keypad(desk: Desk) -> Desk:
    desk.card.keypad = True
    desk.card.typed_at_keypad = [RIGHT_PIN]
    desk.person.answers = []
    return desk


def test_at_a_reader_with_a_keypad_the_pin_never_comes_to_the_agent(keypad: Desk) -> None:
    keypad.sign_in()
    assert keypad.person.seen == []
    assert keypad.card.pins == []
    (shown,) = keypad.person.shown_at_keypad
    assert (shown.origin, shown.holder, shown.tries_left) == (ORIGIN, "CAMILLE EXEMPLE", 3)
    assert Stage.KEYPAD in keypad.progress.stages


def test_a_wrong_pin_at_the_keypad_is_asked_again(keypad: Desk) -> None:
    keypad.card.typed_at_keypad = ["0000", PINLengthError(4, 4), RIGHT_PIN]
    keypad.sign_in()
    shown = [(one.tries_left, one.was_wrong, one.length) for one in keypad.person.shown_at_keypad]
    assert shown == [(3, False, None), (2, True, None), (2, False, (4, 4))]


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        pytest.param(PINCancelledError("no"), ErrorCode.PIN_CANCELLED, id="cancelled"),
        pytest.param(KeypadError("6B80"), ErrorCode.PINPAD_FAILED, id="failed"),
    ],
)
def test_what_ends_at_the_keypad_is_not_tried_again(
    keypad: Desk, failure: CardError, code: ErrorCode
) -> None:
    keypad.card.typed_at_keypad = [failure, RIGHT_PIN]
    with pytest.raises(type(failure)):
        keypad.sign_in()
    assert [message.code for message in keypad.gateway.given_up] == [code]


def test_where_the_policy_says_so_the_keypad_is_left_alone(keypad: Desk) -> None:
    keypad.keypads = False
    keypad.person.answers = [RIGHT_PIN]
    keypad.sign_in()
    assert keypad.person.shown_at_keypad == []


def test_where_nobody_is_there_the_keypad_is_left_alone(keypad: Desk) -> None:
    keypad.person = FakePerson(interactive=False)
    keypad.sign_in()
    assert keypad.card.pins == [RIGHT_PIN.encode()]


# A login that is given up.


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        pytest.param(CardRemovedError("gone"), ErrorCode.CARD_REMOVED, id="removed"),
        pytest.param(CardResetError("reset"), ErrorCode.CARD_BUSY, id="reset"),
        pytest.param(CardMuteError("mute"), ErrorCode.CARD_MUTE, id="mute"),
        pytest.param(CardRefusedError("VERIFY", 0x6985), ErrorCode.CARD_REFUSED, id="refused"),
        pytest.param(CardDataError("odd"), ErrorCode.CARD_MALFORMED, id="malformed"),
    ],
)
def test_the_gateway_is_told_why_a_claimed_login_is_over(
    desk: Desk, failure: CardError, code: ErrorCode
) -> None:
    desk.card.fails["sign"] = failure
    with pytest.raises(type(failure)):
        desk.sign_in()
    (message,) = desk.gateway.given_up
    assert (message.rid, message.code) == (RID, code)
    assert desk.card.closed


def test_a_cancelled_and_a_blocked_pin_are_told(desk: Desk) -> None:
    desk.person.answers = [PINCancelledError("no")]
    with pytest.raises(PINCancelledError):
        desk.sign_in()
    desk.person.answers = ["0000"] * 3
    with pytest.raises(PINRejectedError):
        desk.sign_in()
    with pytest.raises(PINRejectedError):
        desk.sign_in()
    told = [message.code for message in desk.gateway.given_up]
    assert told == [ErrorCode.PIN_CANCELLED, ErrorCode.PIN_BLOCKED, ErrorCode.PIN_BLOCKED]
    assert len(desk.person.told_blocked) == 2


def test_before_the_claim_there_is_nothing_to_give_up(desk: Desk) -> None:
    desk.opening = [CardDataError("odd")]
    with pytest.raises(CardDataError):
        desk.sign_in()
    assert desk.gateway.given_up == []


@pytest.mark.parametrize("step", ["claim", "hand in"])
def test_what_the_gateway_refused_it_is_not_told(desk: Desk, step: str) -> None:
    desk.gateway.fails[step] = SignInError(ErrorCode.RID_EXPIRED, "over")
    with pytest.raises(SignInError):
        desk.sign_in()
    assert "give up" not in desk.card.steps


def test_a_gateway_that_cannot_be_told_hides_no_error(desk: Desk) -> None:
    desk.card.fails["sign"] = CardRemovedError("gone")
    desk.gateway.fails["give up"] = SignInError(ErrorCode.GATEWAY_UNREACHABLE, "away")
    with pytest.raises(CardRemovedError):
        desk.sign_in()


# The gateway.


@pytest.mark.parametrize("step", ["claim", "hand in"])
def test_what_the_gateway_refuses_is_passed_on(desk: Desk, step: str) -> None:
    desk.gateway.fails[step] = SignInError(ErrorCode.RID_USED, "used")
    with pytest.raises(SignInError) as caught:
        desk.sign_in()
    assert caught.value.code is ErrorCode.RID_USED
    assert bool(desk.person.seen) is (step == "hand in")
