"""A card, readers, a person and a browser that do as they are told."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from cps.agent.pin_entry import PINRequest, Wanted
from cps.agent.progress import Stage
from cps.agent.signin import LoginRequest
from cps.atr import CPS3_CONTACT_ATR
from cps.card.card import MessageFor, Signed
from cps.errors import CardRemovedError, PINCancelledError, PINRejectedError
from cps.pin import PIN
from cps.transport.connection import ReaderState
from cps.transport.keypad import KeypadEntry
from tests.support import pki

RID = "AAECAwQFBgcICQoLDA0ODw"
OTHER_RID = "EBESExQVFhcYGRobHB0eHw"
RIGHT_PIN = "4711"
READER = "Fake Reader 00"
EMPTY = ReaderState(name=READER, present=False, atr=b"", events=0)
INSERTED = ReaderState(name=READER, present=True, atr=CPS3_CONTACT_ATR, events=1)


def login_request(origin: str, *, rid: str = RID, language: str = "fr") -> LoginRequest:
    return LoginRequest(rid=rid, origin=origin, language=language)


class FakeCard:
    """A card with a real key; *fails* maps a step's name to what it raises, once."""

    serial = "12345678"
    atr = CPS3_CONTACT_ATR
    interface = "contact"

    def __init__(self, tries: int = 3) -> None:
        self.tries = tries
        self.fails: dict[str, Exception] = {}
        self.steps: list[str] = []
        self.pins: list[bytes] = []
        self.closed = False
        self.keypad = False
        """Whether its reader has a keypad."""
        self.typed_at_keypad: list[str | Exception] = []
        """What a person types there, in turn."""
        self.while_signing: Callable[[], None] = lambda: None
        self.certificate = pki.der(pki.leaf(serial=5))
        self.renewed: bytes | None = None
        """The certificate that the card turns out to have when it signs."""

    def authentication_certificate(self) -> bytes:
        self._step("certificate")
        return self.certificate

    def tries_left(self) -> int:
        self._step("tries")
        return self.tries

    def has_keypad(self) -> bool:
        return self.keypad

    def sign(self, pin: PIN | KeypadEntry, message_for: MessageFor) -> Signed:
        self._step("sign")
        self.while_signing()
        if isinstance(pin, KeypadEntry):
            typed = self.typed_at_keypad.pop(0)
            if isinstance(typed, Exception):
                raise typed
            digits = typed.encode()
        else:
            digits = pin.digits()
            self.pins.append(digits)
        if digits != RIGHT_PIN.encode():
            self.tries -= 1
            raise PINRejectedError("VERIFY", 0x63C0 | self.tries, self.tries)
        self.tries = 3
        certificate = self.renewed or self.certificate
        message = message_for(certificate)
        signature = pki.key("leaf").sign(message, padding.PKCS1v15(), hashes.SHA256())
        return Signed(certificate=certificate, signature=signature)

    def close(self) -> None:
        self.closed = True

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if self.closed:
            raise CardRemovedError("closed")
        if failure := self.fails.pop(name, None):
            raise failure


class FakeConnection:
    """A connection of which only the end matters."""

    atr = CPS3_CONTACT_ATR
    t0 = True

    def __init__(self) -> None:
        self.closed = False

    def transmit(self, command: bytes) -> bytes:
        raise AssertionError("the fake card needs no APDU")

    def transaction(self, *, reset: bool) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        self.closed = True


class FakeTerminal:
    """Readers that change as a list says: one entry for each look at them, the last one stays."""

    def __init__(self, *views: Sequence[ReaderState]) -> None:
        self.views = list(views) or [[INSERTED]]
        self.connections: list[FakeConnection] = []
        self.before_wait: Callable[[], None] = lambda: None

    def readers(self) -> Sequence[ReaderState]:
        return self.views[0]

    def wait(self, known: Sequence[ReaderState], timeout: float) -> Sequence[ReaderState]:
        self.before_wait()
        if len(self.views) > 1:
            self.views.pop(0)
        return self.views[0]

    def connect(self, reader: str) -> FakeConnection:
        self.connections.append(FakeConnection())
        return self.connections[-1]


class FakePerson:
    """Types what *answers* says, in turn; an exception is raised instead.

    A *heedless* one types on when the answer is not wanted any more.
    """

    def __init__(self, *answers: str | Exception, interactive: bool = True) -> None:
        self.interactive = interactive
        self.answers = list(answers) or [RIGHT_PIN]
        self.seen: list[PINRequest] = []
        self.rejections = 0
        self.shown_at_keypad: list[PINRequest] = []
        self.told_blocked: list[PINRequest] = []
        self.asked_about: list[str] = []
        """New portals."""
        self.says_yes = True
        self.heedless = False
        self.meanwhile: Callable[[Wanted], None] = lambda wanted: None

    def ask(self, request: PINRequest, wanted: Wanted) -> PIN:
        self.seen.append(request)
        self.meanwhile(wanted)
        if not self.heedless and not wanted():
            raise PINCancelledError("not wanted any more")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return PIN(bytearray(answer.encode()))

    @contextmanager
    def at_keypad(self, request: PINRequest, wanted: Wanted) -> Iterator[None]:
        self.shown_at_keypad.append(request)
        yield

    def confirms(self, origin: str, language: str, wanted: Wanted) -> bool:
        self.asked_about.append(origin)
        return self.says_yes

    def tell_blocked(self, request: PINRequest) -> None:
        self.told_blocked.append(request)

    def rejected(self) -> None:
        self.rejections += 1

    def close(self) -> None:
        pass


class FakeProgress:
    """Remembers the stages; *patience* counts how often the sign-in is still wanted."""

    def __init__(self, patience: int = 1000) -> None:
        self.stages: list[Stage] = []
        self.patience = patience

    def show(self, stage: Stage) -> None:
        self.stages.append(stage)

    def wanted(self) -> bool:
        self.patience -= 1
        return self.patience >= 0


class FakeClock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def reader(name: str, atr: bytes = b"") -> ReaderState:
    return replace(EMPTY, name=name, present=bool(atr), atr=atr)
