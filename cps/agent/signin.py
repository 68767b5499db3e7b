"""One sign-in, from the card in a reader to the address that sends the browser back."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum, unique
from time import monotonic
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from cps.agent import VERSION
from cps.agent.errors import SignInError
from cps.agent.gateway_client import Accepted, Claim
from cps.agent.holder import read_holder
from cps.agent.pin_entry import PINEntry, PINRequest
from cps.agent.presence import CardLease
from cps.atr import CardType, recognise
from cps.authtoken.codes import ErrorCode
from cps.authtoken.frame import login_message
from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import AuthToken, CardDescription
from cps.card.card import CPSCard, MessageFor, Signed
from cps.errors import (
    CardContactlessError,
    CardDataError,
    CardError,
    CardResetError,
    CardUnsupportedError,
    NoCardError,
    NoReaderError,
    PINCancelledError,
    PINLengthError,
    PINRejectedError,
)
from cps.transport.connection import CardConnection, CardTerminal, ReaderState

CARD_WAIT_SECONDS = 180.0
"""How long a person may look for the card; as long as a gateway's challenge lives."""
LOOK_SECONDS = 0.5
"""How often a sign-in that waits for a card asks whether it is still wanted."""
CALLBACK_PATH = "/_cps/callback"
SHOWN_CARD_DIGITS = 4
_LOG = logging.getLogger(__name__)


@unique
class Stage(StrEnum):
    """What a sign-in waits for; the value names its text in the catalogue's table ``agent``."""

    WORKING = "working"
    READER = "reader"
    """A reader must be connected."""
    CARD = "card"
    """A CPS card must be inserted."""
    CARDS = "cards"
    """All but one CPS card must be taken out."""
    PIN = "pin"
    """The PIN must be typed, in the agent's window or terminal."""


class Progress(Protocol):
    """How a sign-in tells where it is, and learns that nobody waits for it any more."""

    def show(self, stage: Stage) -> None:
        """Tell what the sign-in waits for."""

    def wanted(self) -> bool:
        """Return whether somebody still waits for the outcome."""


class Gateway(Protocol):
    """The two exchanges with a gateway; see :class:`cps.agent.gateway_client.GatewayClient`."""

    def claim(self, rid: str, key: AgentKey) -> Claim:
        """Claim a login."""

    def hand_in(self, token: AuthToken) -> Accepted:
        """Hand in what the card signed and return the one-time code, and what comes with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest:
    """What the browser asks for."""

    rid: str = field(repr=False)
    """The request id, 22 characters."""
    origin: str
    """The portal's, from the allow-list."""
    language: str = field(compare=False)
    """``fr`` or ``en``, of the browser that asked first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedSignIn:
    """A card that signed, and a gateway that accepted it."""

    redirect: str = field(repr=False)
    """Where the browser goes next; it holds the one-time code."""


class SignIn:
    """Everything that a sign-in needs, and the order in which it happens.

    :param terminal: the readers.
    :param open_card: recognises the card behind a connection; it may be given the serial number of
        one that was read there before and did not leave the reader since.
    :param entry: asks for the PIN.
    :param gateway_at: returns the gateway of an origin.
    :param watch: watches the card of a session from now on; does not wait for it.
    :param clock: seconds that never go back.
    """

    def __init__(
        self,
        *,
        terminal: CardTerminal,
        open_card: Callable[[CardConnection, str | None], CPSCard],
        entry: PINEntry,
        gateway_at: Callable[[str], Gateway],
        watch: Callable[[CardLease], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._terminal = terminal
        self._open_card = open_card
        self._entry = entry
        self._gateway_at = gateway_at
        self._watch = watch
        self._clock = clock
        self._last: tuple[ReaderState, str] | None = None
        """The last card that signed: its reader as it was then, and its serial number."""

    def run(self, request: LoginRequest, progress: Progress) -> CompletedSignIn:
        """Sign in once.

        The card comes before the claim, so that no login is used up without a card; the claim
        before the PIN, so that no PIN is asked for a login that is not there.

        :raises cps.errors.CardError: where card, reader or person end it.
        :raises SignInError: where the gateway, or the time, ends it.

        Source: docs/reference/protocol.md, steps 4 to 10.
        """
        with self._card(progress) as (card, place):
            holder = read_holder(card.authentication_certificate())
            key = ec.generate_private_key(ec.SECP256R1())
            agent_key = AgentKey.of(key.public_key())
            gateway = self._gateway_at(request.origin)
            claim = gateway.claim(request.rid, agent_key)
            attempt = _Attempt(
                progress=progress, clock=self._clock, ends_at=self._clock() + claim.expires_in
            )

            def message_for(certificate: bytes) -> bytes:
                # The certificate shown may be one that was kept, and the card's own another one.
                if read_holder(certificate) != holder:
                    raise CardDataError("the card's holder is not the one who was shown")
                return login_message(
                    origin=request.origin,
                    nonce=claim.nonce,
                    rid=request.rid,
                    jwk_thumbprint=agent_key.thumbprint(),
                    certificate=certificate,
                )

            signed = self._sign(card, message_for, request, claim.label, holder, attempt)
            description = CardDescription(interface=card.interface, atr=card.atr)
        progress.show(Stage.WORKING)
        attempt.require_wanted()
        accepted = gateway.hand_in(
            AuthToken(
                rid=request.rid,
                unverified_certificate=signed.certificate,
                algorithm="RS256",
                signature=signed.signature,
                card=description,
                agent_version=VERSION,
            )
        )
        _LOG.info("signed in to %s", request.origin)
        if accepted.lease is not None:
            # Before the browser is back: a card that leaves now opens no session any more.
            self._watch(CardLease(origin=request.origin, key=key, terms=accepted.lease, card=place))
        return CompletedSignIn(redirect=f"{request.origin}{CALLBACK_PATH}?code={accepted.code}")

    @contextmanager
    def _card(self, progress: Progress) -> Iterator[tuple[CPSCard, ReaderState]]:
        """Open the card; with it comes its reader as it was before, to tell a swap by."""
        card, place = self._open(progress)
        try:
            yield card, place
            self._last = place, card.serial
        finally:
            card.close()

    def _open(self, progress: Progress) -> tuple[CPSCard, ReaderState]:
        """Return the card, opened once more where another program reset it meanwhile."""
        ends_at = self._clock() + CARD_WAIT_SECONDS
        try:
            return self._connect(self._await_card(progress, ends_at))
        except CardResetError:
            _LOG.info("another program reset the card; it is opened once more")
            return self._connect(self._await_card(progress, ends_at))

    def _connect(self, place: ReaderState) -> tuple[CPSCard, ReaderState]:
        """Return the card in the reader, with all that is to be read of it."""
        # Only a card that signs is taken for the same one the next time.
        serial, self._last = self._known_serial(place), None
        with ExitStack() as failed:
            connection = self._terminal.connect(place.name)
            failed.callback(connection.close)
            card = self._open_card(connection, serial)
            failed.callback(card.close)
            card.authentication_certificate()
            failed.pop_all()
            return card, place

    def _known_serial(self, place: ReaderState) -> str | None:
        """Return the serial number of the card in the reader, if it did not leave it since.

        The reader's count of events tells, where it counts: on some systems it does not.
        """
        if self._last is None or place.events == 0 or self._last[0] != place:
            return None
        return self._last[1]

    def _await_card(self, progress: Progress, ends_at: float) -> ReaderState:
        """Return the reader that holds the one CPS card, waiting for it to come."""
        readers = self._terminal.readers()
        while True:
            choice = choose_reader(readers)
            if isinstance(choice, ReaderState):
                progress.show(Stage.WORKING)
                return choice
            stage, error = choice
            progress.show(stage)
            if self._clock() >= ends_at:
                raise error
            if not progress.wanted():
                raise PINCancelledError("nobody waits for the sign-in any more")
            readers = self._terminal.wait(readers, LOOK_SECONDS)

    def _sign(
        self,
        card: CPSCard,
        message_for: MessageFor,
        request: LoginRequest,
        label: str,
        holder: str,
        attempt: "_Attempt",
    ) -> Signed:
        """Return the card's signature, asking a person again after a wrong PIN.

        Nothing else is tried twice: what is not the card's own word that the PIN was wrong ends
        the sign-in. A PIN of a length that the card does not have was never sent.
        """
        was_wrong = False
        length: tuple[int, int] | None = None
        while True:
            tries_left = card.tries_left()
            if tries_left == 0:
                raise PINRejectedError("VERIFY", 0x6983, 0)
            attempt.require_wanted()
            if self._entry.interactive:
                attempt.progress.show(Stage.PIN)
            pin = self._entry.ask(
                PINRequest(
                    origin=request.origin,
                    label=label,
                    holder=holder,
                    card_digits=card.serial[-SHOWN_CARD_DIGITS:],
                    tries_left=tries_left,
                    was_wrong=was_wrong,
                    length=length,
                    plain_http=request.origin.startswith("http:"),
                    language=request.language,
                ),
                attempt.wanted,
            )
            with pin:
                attempt.require_wanted()
                try:
                    return card.sign(pin, message_for)
                except PINRejectedError as exc:
                    self._entry.rejected()
                    if exc.tries_left == 0 or not self._entry.interactive:
                        raise
                    _LOG.info("wrong PIN, %d tries left", exc.tries_left)
                    was_wrong, length = True, None
                except PINLengthError as exc:
                    if not self._entry.interactive:
                        raise
                    was_wrong, length = False, (exc.shortest, exc.longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """A claimed login: it ends with its time, or when nobody waits for it."""

    progress: Progress
    clock: Callable[[], float]
    ends_at: float

    def wanted(self) -> bool:
        return self.clock() < self.ends_at and self.progress.wanted()

    def require_wanted(self) -> None:
        """Stop before a PIN try or a signature is spent on a login that is over."""
        if self.clock() >= self.ends_at:
            raise SignInError(ErrorCode.RID_EXPIRED, "the challenge's time is over")
        if not self.progress.wanted():
            raise PINCancelledError("nobody waits for the sign-in any more")


def choose_reader(readers: Sequence[ReaderState]) -> ReaderState | tuple[Stage, CardError]:
    """Return the reader that holds the one CPS card, else what is missing.

    A card of another kind is no error while a slot is free: many readers hold the patient's card
    in a second slot.

    :returns: the reader, or what to wait for and the error once nobody waits any longer.
    :raises CardContactlessError: for a CPS that lies on a contactless reader.
    :raises CardUnsupportedError: for another card, where there is no free slot for the right one.
    """
    if not readers:
        return Stage.READER, NoReaderError("no reader")
    present = [state for state in readers if state.present]
    kinds = {state.name: recognise(state.atr) for state in present}
    contactless = [state for state in present if kinds[state.name] is CardType.CPS3_CONTACTLESS]
    contact = [state for state in present if kinds[state.name] and state not in contactless]
    if len(contact) == 1:
        return contact[0]
    if contact:
        return Stage.CARDS, NoCardError("several CPS cards")
    if contactless:
        raise CardContactlessError(contactless[0].atr)
    if present and len(present) == len(readers):
        raise CardUnsupportedError(present[0].atr)
    return Stage.CARD, NoCardError("no CPS card in a reader")
