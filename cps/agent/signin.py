"""One sign-in, from the card in a reader to the address that sends the browser back."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from cps.agent import VERSION
from cps.agent.card_finder import CardFinder
from cps.agent.errors import SignInError
from cps.agent.gateway_client import Accepted, Claim
from cps.agent.holder import read_holder
from cps.agent.pin_entry import PINEntry, PINRequest, Wanted
from cps.agent.presence import CardLease
from cps.agent.progress import Progress, Stage
from cps.agent.texts import code_for
from cps.authtoken.abort import ABORT_CODES, AbortMessage
from cps.authtoken.codes import ErrorCode
from cps.authtoken.frame import login_message
from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import AuthToken, CardDescription
from cps.card.card import CPSCard, Signed
from cps.errors import (
    CardDataError,
    PINCancelledError,
    PINLengthError,
    PINRejectedError,
)
from cps.pin import PIN
from cps.transport.connection import CardConnection, CardTerminal, ReaderState
from cps.transport.keypad import KeypadEntry

CARD_WAIT_SECONDS = 180.0
"""How long a person may look for the card; as long as a gateway's challenge lives."""
CALLBACK_PATH = "/_cps/callback"
START_PAGE_PATH = "/_cps/start"
SHOWN_CARD_DIGITS = 4
_LOG = logging.getLogger(__name__)


class Gateway(Protocol):
    """The exchanges with a gateway; see :class:`cps.agent.gateway_client.GatewayClient`."""

    def claim(self, rid: str, key: AgentKey) -> Claim:
        """Claim a login."""

    def begin(self, key: AgentKey) -> tuple[str, Claim]:
        """Begin a login and return its request id; it is claimed at once."""

    def hand_in(self, token: AuthToken) -> Accepted:
        """Hand in what the card signed and return the one-time code, and what comes with it."""

    def give_up(self, message: AbortMessage) -> None:
        """Tell that a claimed login is over, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest:
    """What the browser asks for, or the person here."""

    rid: str | None = field(repr=False)
    """The request id, 22 characters; ``None`` for a login that begins here."""
    origin: str
    """The portal's, from the allow-list."""
    language: str = field(compare=False)
    """``fr`` or ``en``, of whoever asked first."""
    clicked: bool = field(default=False, compare=False)
    """Whether a person's click brought it here, as the browser says or the agent knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedSignIn:
    """A card that signed, and a gateway that accepted it."""

    redirect: str = field(repr=False)
    """Where the browser goes next; it holds the one-time code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClaimedLogin:
    """A login that is this agent's: it ends with its time, or when nobody waits for it."""

    request: LoginRequest
    rid: str
    """The request id, 22 characters."""
    gateway: Gateway
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    claim: Claim
    progress: Progress
    clock: Callable[[], float]
    ends_at: float

    def message_for(self, certificate: bytes) -> bytes:
        """Return what the card is to sign."""
        return login_message(
            origin=self.request.origin,
            nonce=self.claim.nonce,
            rid=self.rid,
            jwk_thumbprint=AgentKey.of(self.key.public_key()).thumbprint(),
            certificate=certificate,
        )

    def wanted(self) -> bool:
        return self.clock() < self.ends_at and self.progress.wanted()

    def require_wanted(self) -> None:
        """Stop before a PIN try or a signature is spent on a login that is over."""
        if self.clock() >= self.ends_at:
            raise SignInError(ErrorCode.RID_EXPIRED, "the challenge's time is over")
        if not self.progress.wanted():
            raise PINCancelledError("nobody waits for the sign-in any more")

    def give_up(self, error: Exception) -> None:
        """Tell the gateway why the login ends here, where that is for the agent to say."""
        code = code_for(error)
        if code not in ABORT_CODES:
            return
        message = AbortMessage.signed(self.key, origin=self.request.origin, rid=self.rid, code=code)
        try:
            self.gateway.give_up(message)
        except SignInError as exc:
            # The page that began then learns it from the end of the login's time.
            _LOG.warning("%s was not told that the login is over: %s", self.request.origin, exc)


def _nobody_asks(request: LoginRequest, wanted: Wanted) -> None:
    """Take every portal that was listed for one that the person wants."""


class SignIn:
    """Everything that a sign-in needs, and the order in which it happens.

    :param terminal: the readers.
    :param open_card: see :class:`cps.agent.card_finder.CardFinder`.
    :param entry: asks for the PIN.
    :param gateway_at: returns the gateway of an origin.
    :param watch: watches the card of a session from now on; does not wait for it.
    :param consent: raises where the person does not want to sign in to a portal at all; asked
        before anything is exchanged with it.
    :param keypads: whether the PIN is typed at the reader's keypad where it has one.
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
        consent: Callable[[LoginRequest, Wanted], None] = _nobody_asks,
        keypads: bool = True,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._finder = CardFinder(terminal=terminal, open_card=open_card, clock=clock)
        self._entry = entry
        self._gateway_at = gateway_at
        self._watch = watch
        self._consent = consent
        self._keypads = keypads
        self._clock = clock

    def run(self, request: LoginRequest, progress: Progress) -> CompletedSignIn:
        """Sign in once.

        The card comes before the claim, so that no login is used up without a card; the claim
        before the PIN, so that no PIN is asked for a login that is not there. A card that is
        exchanged while its PIN is being asked for leaves its place to the next one.

        :raises cps.errors.CardError: where card, reader or person end it.
        :raises SignInError: where the gateway, or the time, ends it.

        Source: docs/reference/protocol.md, steps 4 to 10.
        """
        self._consent(request, progress.wanted)
        login: _ClaimedLogin | None = None
        signed: Signed | None = None
        ends_at = self._clock() + CARD_WAIT_SECONDS
        try:
            while signed is None:
                with self._finder.opened(progress, ends_at) as (card, place):
                    holder = read_holder(card.authentication_certificate())
                    if login is None:
                        login = self._claim(request, progress)
                        ends_at = login.ends_at
                    signed = self._sign(card, place, holder, login)
                    description = CardDescription(interface=card.interface, atr=card.atr)
            assert login is not None  # noqa: S101 - nothing is signed before the claim
            progress.show(Stage.WORKING)
            login.require_wanted()
        except Exception as exc:
            if login is not None:
                login.give_up(exc)
            raise
        accepted = login.gateway.hand_in(
            AuthToken(
                rid=login.rid,
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
            self._watch(
                CardLease(origin=request.origin, key=login.key, terms=accepted.lease, card=place)
            )
        if request.rid is None:
            # Behind the "#" it goes to no server; the page there sends it on.
            return CompletedSignIn(redirect=f"{request.origin}{START_PAGE_PATH}#{accepted.code}")
        return CompletedSignIn(redirect=f"{request.origin}{CALLBACK_PATH}?code={accepted.code}")

    def _claim(self, request: LoginRequest, progress: Progress) -> _ClaimedLogin:
        key = ec.generate_private_key(ec.SECP256R1())
        gateway = self._gateway_at(request.origin)
        public = AgentKey.of(key.public_key())
        if request.rid is None:
            rid, claim = gateway.begin(public)
        else:
            rid, claim = request.rid, gateway.claim(request.rid, public)
        return _ClaimedLogin(
            request=request,
            rid=rid,
            gateway=gateway,
            key=key,
            claim=claim,
            progress=progress,
            clock=self._clock,
            ends_at=self._clock() + claim.expires_in,
        )

    def _sign(
        self, card: CPSCard, place: ReaderState, holder: str, login: _ClaimedLogin
    ) -> Signed | None:
        """Return the card's signature, asking a person again after a wrong PIN.

        Nothing else is tried twice: what is not the card's own word that the PIN was wrong ends
        the sign-in. A PIN of a length that the card does not have was never sent.

        :returns: ``None`` where the card left while its PIN was being asked for.
        """

        def message_for(certificate: bytes) -> bytes:
            # The certificate shown may be one that was kept, and the card's own another one.
            if read_holder(certificate) != holder:
                raise CardDataError("the card's holder is not the one who was shown")
            return login.message_for(certificate)

        def wanted() -> bool:
            return login.wanted() and self._finder.holds(place)

        at_keypad = self._keypads and self._entry.interactive and card.has_keypad()
        was_wrong = False
        length: tuple[int, int] | None = None
        while True:
            tries_left = card.tries_left()
            question = PINRequest(
                origin=login.request.origin,
                label=login.claim.label,
                holder=holder,
                card_digits=card.serial[-SHOWN_CARD_DIGITS:],
                tries_left=tries_left,
                was_wrong=was_wrong,
                length=length,
                plain_http=login.request.origin.startswith("http:"),
                language=login.request.language,
            )
            if tries_left == 0:
                self._entry.tell_blocked(question)
                raise PINRejectedError("VERIFY", 0x6983, 0)
            login.require_wanted()
            if self._entry.interactive:
                login.progress.show(Stage.KEYPAD if at_keypad else Stage.PIN)
            try:
                with self._entered(question, wanted, at_keypad=at_keypad) as pin:
                    login.require_wanted()
                    signed = card.sign(pin, message_for)
            except PINCancelledError:
                if login.wanted() and not self._finder.holds(place):
                    return None
                raise
            except PINRejectedError as exc:
                self._entry.rejected()
                if exc.tries_left == 0:
                    self._entry.tell_blocked(question)
                if exc.tries_left == 0 or not self._entry.interactive:
                    raise
                _LOG.info("wrong PIN, %d tries left", exc.tries_left)
                was_wrong, length = True, None
            except PINLengthError as exc:
                if not self._entry.interactive:
                    raise
                was_wrong, length = False, (exc.shortest, exc.longest)
            else:
                self._finder.remember(card, place)
                return signed

    @contextmanager
    def _entered(
        self, question: PINRequest, wanted: Wanted, *, at_keypad: bool
    ) -> Iterator[PIN | KeypadEntry]:
        """Yield what the card is to take for the PIN, which is gone afterwards."""
        if at_keypad:
            with self._entry.at_keypad(question, wanted):
                yield KeypadEntry(language=question.language)
        else:
            with self._entry.ask(question, wanted) as pin:
                yield pin
