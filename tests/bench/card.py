"""What a login costs at the card: APDUs against their bounds, our own time, a person's wait."""

import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import perf_counter

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from cps.agent.gateway_client import Accepted, Claim
from cps.agent.progress import Stage
from cps.agent.signin import LoginRequest, SignIn
from cps.authtoken.abort import AbortMessage
from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import AuthToken
from cps.card.cache import CardCache, FolderCache
from cps.card.recognise import open_card
from cps.pin import PIN
from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from cps.simulator.terminal import SoftwareTerminal
from cps.simulator.timing import TimedCard, realistic
from cps.simulator.tree import Credential
from cps.transport.connection import CardConnection
from cps.transport.trace import TracedConnection
from tests.support import cards, pki
from tests.support.meddling import MeddledTerminal, Transmit
from tests.support.person import Person

READER = "Software reader"
MESSAGE = b"\x00" * 181
COUNTED_BYTES = 961
"""Of the certificate with which the bounds, and the official library's commands, were counted."""
REAL_BYTES = 2317
"""Of the authentication certificate of a test card that the IGC-Santé has published."""
BLOCK_BYTES = 256
LOGINS = 100
OWN_MILLISECONDS = 20.0
"""The bound for everything but the card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of card, with the bounds and what the official library needs, cold and cached."""

    name: str
    image: Callable[..., CardImage]
    t0: bool
    bounds: tuple[int, int]
    official: tuple[int, int]


KINDS = (
    Kind(name="CPS3, T=0", image=cards.image, t0=True, bounds=(15, 6), official=(56, 18)),
    Kind(name="CPS4, T=1", image=cards.cps4_image, t0=False, bounds=(14, 8), official=(38, 13)),
)


def main() -> None:
    """Print the counts and times."""
    print("Card: commands of a login; in brackets without the question for the tries left")
    for kind in KINDS:
        for size in (COUNTED_BYTES, REAL_BYTES):
            _print_counts(kind, size)
        official = " and ".join(map(str, kind.official))
        print(f"  {kind.name}   the official library, {COUNTED_BYTES} bytes: {official}")
    print("A sign-in's own time: without the card, the network and the person")
    for kind in KINDS:
        _print_own_time(kind)
    print("A person's wait at a real card: reader and line as traced, key operation 0.5 s assumed")
    for kind in KINDS:
        cold, cached = _real_seconds(kind)
        print(f"  {kind.name}   {REAL_BYTES} bytes   cold {cold:4.1f} s   known {cached:4.1f} s")


def _print_counts(kind: Kind, size: int) -> None:
    image = kind.image(authentication=_credential(size))
    with tempfile.TemporaryDirectory() as folder:
        cache = FolderCache(Path(folder) / "cards")
        cold, known = (_traced_login(kind, image, cache) for _ in range(2))
        unmoved = _traced_login(kind, image, cache, cards.SERIAL)
    cold_bound, bound = kind.bounds
    for name, counts, most in (
        ("cold", cold, cold_bound),
        ("known, put in", known, bound),
        ("known, unmoved", unmoved, bound),
    ):
        verdict = "met" if counts.total <= most else f"over by {counts.total - most}"
        print(
            f"  {kind.name}   {size:4d} bytes   {name:14} {counts.total:2d} ({counts.total - 1:2d})"
            f"   bound {most:2d}: {verdict:9}   {counts}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The commands of a login, part by part."""

    recognise: int
    directories: int
    certificate: int
    tries: int
    sign: int

    @property
    def total(self) -> int:
        """Return how many there are."""
        return self.recognise + self.directories + self.certificate + self.tries + self.sign

    def __str__(self) -> str:
        return (
            f"recognise {self.recognise} + directories {self.directories}"
            f" + certificate {self.certificate} + tries {self.tries} + sign {self.sign}"
        )


def _traced_login(
    kind: Kind, image: CardImage, cache: CardCache, known_serial: str | None = None
) -> Counts:
    """Return how many commands each part of a login takes."""
    lines: list[str] = []
    terminal = SoftwareTerminal(SoftwareCard(image, t0=kind.t0))
    _login(TracedConnection(terminal.connect(READER), lines.append), cache, known_serial)
    parts = [part.count("\n> ") for part in "\n".join(lines).split("begin")[1:]]
    recognise, *reading, tries, sign = parts
    size = len(image.content(bytes.fromhex("3F000001C002")))
    certificate = 1 + -(-size // BLOCK_BYTES) if reading else 0
    return Counts(
        recognise=recognise,
        directories=sum(reading) - certificate,
        certificate=certificate,
        tries=tries,
        sign=sign,
    )


def _login(
    connection: CardConnection, cache: CardCache | None, known_serial: str | None = None
) -> None:
    card = open_card(connection, known_serial, cache=cache)
    try:
        card.authentication_certificate()
        card.tries_left()
        with PIN(bytearray(cards.PIN)) as pin:
            card.sign(pin, lambda certificate: MESSAGE)
    finally:
        card.close()


def _credential(size: int) -> Credential:
    """Return a key with a certificate of *size* bytes, which no gateway would accept."""
    key = cards.authentication_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    filling = 0
    while True:
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(pki.NOW)
            .not_valid_after(pki.NOW + timedelta(days=1))
            .add_extension(
                x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(filling)), False
            )
            .sign(key, hashes.SHA256())
        )
        missing = size - len(certificate.public_bytes(serialization.Encoding.DER))
        if not missing:
            return Credential(certificate=certificate, key=key)
        filling += missing


class _Gateway:
    """Accepts everything, in no time."""

    def claim(self, rid: str, key: AgentKey) -> Claim:
        return Claim(nonce=bytes(32), label="bench", expires_in=170)

    def begin(self, key: AgentKey) -> tuple[str, Claim]:
        raise AssertionError("every login of these begins in the browser")

    def hand_in(self, token: AuthToken) -> Accepted:
        token.to_json()
        return Accepted(code="x" * 43, lease=None)

    def give_up(self, message: AbortMessage) -> None:
        raise AssertionError(message.code)


class _Progress:
    def show(self, stage: Stage) -> None:
        """Nobody looks."""

    def wanted(self) -> bool:
        return True


def _print_own_time(kind: Kind) -> None:
    own, card = zip(*_sign_ins(kind), strict=True)
    longest = sorted(own)[-1 - LOGINS // 100]
    verdict = "met" if longest * 1e3 < OWN_MILLISECONDS else "MISSED"
    print(
        f"  {kind.name}   median {statistics.median(own) * 1e3:.1f} ms,"
        f" 99 of 100 below {longest * 1e3:.1f} ms   bound {OWN_MILLISECONDS:.0f} ms: {verdict}"
        f"   (the software card beside it: {statistics.median(card) * 1e3:.1f} ms)"
    )


def _sign_ins(kind: Kind) -> Iterator[tuple[float, float]]:
    """Yield of whole sign-ins of a known card the seconds beside the card, and the card's."""
    spent: list[float] = []

    def timed(number: int, command: bytes, transmit: Transmit) -> bytes:
        began = perf_counter()
        answer = transmit(command)
        spent.append(perf_counter() - began)
        return answer

    with tempfile.TemporaryDirectory() as folder:
        cache = FolderCache(Path(folder) / "cards")
        terminal = MeddledTerminal(SoftwareCard(kind.image(), t0=kind.t0), timed)
        sign_in = SignIn(
            terminal=terminal,
            open_card=partial(open_card, cache=cache),
            entry=Person(),
            gateway_at=lambda origin: _Gateway(),
            watch=lambda lease: None,
        )
        request = LoginRequest(rid="A" * 22, origin="https://portal.example", language="fr")
        for number in range(LOGINS + 1):
            # Taken out and put in: the card is asked for its number, and what is kept is read.
            terminal.inner.remove()
            terminal.inner.insert()
            spent.clear()
            began = perf_counter()
            sign_in.run(request, _Progress())
            whole = perf_counter() - began
            if number:  # The first one reads the card, and loads modules.
                yield whole - sum(spent), sum(spent)


def _real_seconds(kind: Kind) -> list[float]:
    """Return how long a person waits for a cold and for a cached login, PIN typing left out."""
    waits = []
    image = kind.image(authentication=_credential(REAL_BYTES))
    with tempfile.TemporaryDirectory() as folder:
        cache = FolderCache(Path(folder) / "cards")
        for _ in range(2):
            waited: list[float] = []
            card = SoftwareCard(image, t0=kind.t0)
            timed = TimedCard(card, realistic(card), sleep=waited.append)
            _login(SoftwareTerminal(timed).connect(READER), cache)
            waits.append(sum(waited))
    return waits


if __name__ == "__main__":
    main()
