"""What a login costs at the card: APDUs against their bounds, our own time, a person's wait."""

import tempfile
from collections.abc import Callable
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
from tests.bench.timing import ROUNDS, median_seconds
from tests.support import cards, pki
from tests.support.meddling import MeddledTerminal, Transmit
from tests.support.person import Person

READER = "Software reader"
MESSAGE = b"\x00" * 181
SHORT_CERTIFICATE_BYTES = 961
"""The size of the certificate with which the bounds were counted."""
BLOCK_BYTES = 256
LOGINS = 20
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
    print("Card: APDUs of a login; in brackets without the question for the tries left")
    for kind in KINDS:
        for image in (kind.image(), _with_short_certificate(kind)):
            _print_counts(kind, image)
        official = " and ".join(map(str, kind.official))
        print(f"  {kind.name}   the official library, {SHORT_CERTIFICATE_BYTES} bytes: {official}")
    print("Time of a cached login that is the agent's own: card and network left out")
    for kind in KINDS:
        own, card = _own_seconds(kind)
        verdict = "met" if own * 1e3 < OWN_MILLISECONDS else "MISSED"
        print(
            f"  {kind.name}   {own * 1e3:5.1f} ms   bound {OWN_MILLISECONDS:.0f} ms: {verdict}"
            f"   (the software card beside it: {card * 1e3:.1f} ms)"
        )
    print("A person's wait at a real card: reader and line as traced, key operation 0.5 s assumed")
    for kind in KINDS:
        cold, cached = _real_seconds(kind)
        print(f"  {kind.name}   cold {cold:4.1f} s   cached {cached:4.1f} s")


def _print_counts(kind: Kind, image: CardImage) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = FolderCache(Path(folder) / "cards")
        rounds = [_traced_login(kind, image, cache) for _ in range(2)]
    size = len(image.content(bytes.fromhex("3F000001C002")))
    for name, phases, bound in zip(("cold", "cached"), rounds, kind.bounds, strict=True):
        total = sum(phases)
        verdict = "met" if total <= bound else f"over by {total - bound}"
        print(
            f"  {kind.name}   {size:4d} bytes   {name:6} {total:2d} ({total - 1:2d})"
            f"   bound {bound:2d}: {verdict}"
        )
    recognise, reading, tries, signing = rounds[0]
    blocks = -(-size // BLOCK_BYTES)
    print(
        f"      recognise {recognise}, directories {reading - 1 - blocks}, certificate 1 + {size}"
        f"/{BLOCK_BYTES} = {blocks}, tries left {tries}, PIN and signature {signing}"
    )


def _traced_login(kind: Kind, image: CardImage, cache: CardCache) -> list[int]:
    """Return how many commands each part of a login took: those of a known card read nothing."""
    lines: list[str] = []
    terminal = SoftwareTerminal(SoftwareCard(image, t0=kind.t0))
    _login(TracedConnection(terminal.connect(READER), lines.append), cache)
    text = "\n".join(lines)
    return [part.count("\n> ") for part in text.split("begin")[1:]]


def _login(connection: CardConnection, cache: CardCache | None) -> None:
    card = open_card(connection, cache=cache)
    try:
        card.authentication_certificate()
        card.tries_left()
        with PIN(bytearray(cards.PIN)) as pin:
            card.sign(pin, lambda certificate: MESSAGE)
    finally:
        card.close()


def _with_short_certificate(kind: Kind) -> CardImage:
    """Return a card whose certificate has the size with which the bounds were counted."""
    key = cards.authentication_key()
    common_name = ""
    while True:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name + "x")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(pki.NOW)
            .not_valid_after(pki.NOW + timedelta(days=1))
            .add_extension(
                x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(200)), False
            )
            .sign(key, hashes.SHA256())
        )
        missing = SHORT_CERTIFICATE_BYTES - len(
            certificate.public_bytes(serialization.Encoding.DER)
        )
        if missing <= 0:
            return kind.image(authentication=Credential(certificate=certificate, key=key))
        common_name += "x" * max(missing // 2, 1)


class _Gateway:
    """Accepts everything, in no time."""

    def claim(self, rid: str, key: AgentKey) -> Claim:
        return Claim(nonce=bytes(32), label="bench", expires_in=170)

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


def _own_seconds(kind: Kind) -> tuple[float, float]:
    """Return how long a whole sign-in of a known card takes beside the card, and the card."""
    image = kind.image()
    spent = 0.0

    def timed(number: int, command: bytes, transmit: Transmit) -> bytes:
        nonlocal spent
        began = perf_counter()
        answer = transmit(command)
        spent += perf_counter() - began
        return answer

    with tempfile.TemporaryDirectory() as folder:
        cache = FolderCache(Path(folder) / "cards")
        sign_in = SignIn(
            terminal=MeddledTerminal(SoftwareCard(image, t0=kind.t0), timed),
            open_card=partial(open_card, cache=cache),
            entry=Person(),
            gateway_at=lambda origin: _Gateway(),
            watch=lambda lease: None,
        )
        request = LoginRequest(rid="A" * 22, origin="https://portal.example", language="fr")
        whole = median_seconds(lambda: sign_in.run(request, _Progress()), LOGINS)
    card = spent / (LOGINS * ROUNDS + 1)
    return whole - card, card


def _real_seconds(kind: Kind) -> list[float]:
    """Return how long a person waits for a cold and for a cached login, PIN typing left out."""
    waits = []
    with tempfile.TemporaryDirectory() as folder:
        cache = FolderCache(Path(folder) / "cards")
        for _ in range(2):
            waited: list[float] = []
            card = TimedCard(
                SoftwareCard(kind.image(), t0=kind.t0),
                realistic(SoftwareCard(kind.image(), t0=kind.t0)),
                sleep=waited.append,
            )
            _login(SoftwareTerminal(card).connect(READER), cache)
            waits.append(sum(waited))
    return waits


if __name__ == "__main__":
    main()
