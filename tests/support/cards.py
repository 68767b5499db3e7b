"""Software cards on the hierarchy of :mod:`tests.support.pki`, made in memory."""

from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from cps.issuer.leaf import Holder, Purpose
from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from cps.simulator.personalise import Person, Update, personalise_cps3, personalise_cps4
from cps.simulator.tree import Credential
from tests.support import pki

PIN = b"1234"
PUK = b"12345678"
WRONG_PIN = b"9999"
SERIAL = "28000001"
OPEN_CPS4 = "01 A4 04 0C 08 8025000001FF0100"
"""Selects the application of a CPS4, which opens its channel."""


def authentication_key() -> rsa.RSAPrivateKey:
    """Return the session's key behind the authentication certificate of :func:`image`."""
    return pki.key("card authentication")


def signature_key() -> rsa.RSAPrivateKey:
    """Return the session's key behind the signature certificate of :func:`image`."""
    return pki.key("card signature")


def technical_key() -> rsa.RSAPrivateKey:
    """Return the session's key without PIN."""
    return pki.key("card technical")


def image(
    holder: Holder = pki.DOCTOR,
    *,
    authentication: Credential | None = None,
    signature: Credential | None = None,
    technical: Credential | None = None,
    serial: str = SERIAL,
    card_number: str = pki.CARD_NUMBER,
    update: Update | None = None,
) -> CardImage:
    """Return a new CPS3 card: PIN 1234, PUK 12345678, all tries left.

    :param authentication: certificate and key to use instead of good ones; the others likewise.
    :param update: when it was last updated; never where absent.
    """
    return personalise_cps3(
        serial=serial,
        card_number=card_number,
        person=Person(family_name=holder.family_name, given_name=holder.given_name),
        authentication=authentication
        or credential(holder, Purpose.AUTHENTICATION, authentication_key(), card_number),
        signature=signature or credential(holder, Purpose.SIGNATURE, signature_key(), card_number),
        technical=technical or credential(holder, Purpose.TECHNICAL, technical_key(), card_number),
        pin=PIN.decode(),
        puk=PUK.decode(),
        made_at=pki.NOW,
        update=update,
    )


def cps4_image(
    holder: Holder = pki.DOCTOR,
    *,
    authentication: Credential | None = None,
    signature: Credential | None = None,
    serial: str = SERIAL,
    card_number: str = pki.CARD_NUMBER,
) -> CardImage:
    """Return a new CPS4 card: PIN 1234, PUK 12345678, all tries left; keys as :func:`image`."""
    return personalise_cps4(
        serial=serial,
        card_number=card_number,
        person=Person(family_name=holder.family_name, given_name=holder.given_name),
        authentication=authentication
        or credential(holder, Purpose.AUTHENTICATION, authentication_key(), card_number),
        signature=signature or credential(holder, Purpose.SIGNATURE, signature_key(), card_number),
        pin=PIN.decode(),
        puk=PUK.decode(),
    )


@cache
def credential(
    holder: Holder, purpose: Purpose, key: rsa.RSAPrivateKey, card_number: str = pki.CARD_NUMBER
) -> Credential:
    """Return a good certificate of the test hierarchy with its key."""
    certificate = pki.leaf(holder, leaf_key=key, purpose=purpose, card_number=card_number)
    return Credential(certificate=certificate, key=key)


def powered_card(card_image: CardImage | None = None) -> SoftwareCard:
    """Return a card that has power."""
    card = SoftwareCard(card_image or image())
    card.power_on()
    return card


def opened_cps4(card_image: CardImage | None = None, *, t0: bool = False) -> SoftwareCard:
    """Return a CPS4 that has power and an open channel."""
    card = SoftwareCard(card_image or cps4_image(), t0=t0)
    card.power_on()
    card.execute(bytes.fromhex(OPEN_CPS4))
    return card


def certificate_of(card_image: CardImage, path: str) -> x509.Certificate:
    """Return the certificate in the file *path*, such as ``3F000001C002``."""
    return x509.load_der_x509_certificate(card_image.content(bytes.fromhex(path)))


def send(card: SoftwareCard, command: str) -> str:
    """Return the answer to a command, both in hexadecimal, spaces as you like in the command.

    T=0 is obeyed: what the card has to give is fetched, so that data and status word come at once.
    """
    raw = bytes.fromhex(command)
    answer = card.execute(raw)
    data = answer[:-2]
    while answer[-2] == 0x61:
        answer = card.execute(bytes((raw[0], 0xC0, 0x00, 0x00, answer[-1])))
        data += answer[:-2]
    return (data + answer[-2:]).hex().upper()
