"""A folder of software cards, each made with certificates of a test authority."""

import re
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from cps import tlv
from cps.authtoken.catalogue import text
from cps.errors import CardDataError
from cps.issuer import oids
from cps.issuer.commands import system_clock
from cps.issuer.folder import AuthorityFolder
from cps.issuer.leaf import Holder, LeafRequest, Purpose
from cps.issuer.numbers import luhn_digit, rpps_national_id
from cps.simulator.cio import PIN_DIGITS, PUK_DIGITS
from cps.simulator.image import CardImage
from cps.simulator.personalise import (
    AUTHENTICATION_CERTIFICATE,
    Person,
    personalise_cps3,
    require_digits,
)
from cps.simulator.security import PIN_REFERENCE
from cps.simulator.tree import Credential

TEST_PIN = "1234"
TEST_PUK = "12345678"

# Numbers that no real card and no real person has.
CARD_NUMBER_PREFIX = "2899"
SERIAL_PREFIX = "28"
RPPS_PREFIX = "9990"
RPPS_DIGITS = 11
RANDOM_DIGITS = 6

SUFFIX = ".json"
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MAX_NAME_LENGTH = 60
MAX_CARDS = 1000
KEY_BITS = 2048


class VirtualCardError(Exception):
    """What was asked of the folder of cards cannot be done; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualCard:
    """One card of the folder, as ``cps virtual list`` shows it."""

    name: str
    national_id: str
    card_number: str
    tries_left: int


def generate_key() -> rsa.RSAPrivateKey:
    """Return a new key of a card's length."""
    return rsa.generate_private_key(65537, KEY_BITS)


class VirtualCards:
    """The cards in one folder, a file ``NAME.json`` each; the folder is made with the first card.

    :param clock: gives the time that certificates are valid from, aware.
    :param keys: makes the cards' keys.
    """

    def __init__(
        self,
        home: Path,
        *,
        clock: Callable[[], datetime] = system_clock,
        keys: Callable[[], rsa.RSAPrivateKey] = generate_key,
    ) -> None:
        self._home = home
        self._clock = clock
        self._keys = keys

    def new(
        self,
        authority: AuthorityFolder,
        *,
        family_name: str,
        given_name: str,
        profession: int,
        rpps: str | None = None,
        pin: str = TEST_PIN,
        puk: str = TEST_PUK,
    ) -> Path:
        """Make a CPS3 card and return its file; its name is made of the holder's.

        :param profession: code of table G15.
        :param rpps: 11 digits with a right check digit; an unused one where absent.
        :param pin: 4 digits.
        :param puk: 8 digits.
        :raises VirtualCardError: for a value no card can have, or a full folder or authority.
        """
        _require_name("family name", family_name)
        _require_name("given name", given_name)
        try:
            require_digits("PIN", pin, PIN_DIGITS)
            require_digits("PUK", puk, PUK_DIGITS)
        except ValueError as exc:
            raise VirtualCardError(str(exc)) from exc
        card_number = self._unused_card_number(authority)
        number = card_number.removeprefix(CARD_NUMBER_PREFIX)
        holder = Holder(
            national_id=_national_id(rpps, number),
            family_name=family_name,
            given_name=given_name,
            title=_title(profession),
            profession=profession,
        )
        made_at = self._clock()

        def credential(purpose: Purpose) -> Credential:
            key = self._keys()
            request = LeafRequest(
                holder=holder,
                public_key=key.public_key(),
                card_number=card_number,
                not_before=made_at,
                purpose=purpose,
            )
            return Credential(certificate=authority.issue(request), key=key)

        image = personalise_cps3(
            serial=SERIAL_PREFIX + number,
            card_number=card_number,
            person=Person(family_name=family_name, given_name=given_name),
            authentication=credential(Purpose.AUTHENTICATION),
            signature=credential(Purpose.SIGNATURE),
            technical=credential(Purpose.TECHNICAL),
            pin=pin,
            puk=puk,
            made_at=made_at,
        )
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._unused_path(f"{family_name} {given_name}")
        image.write(path)
        return path

    def path(self, name: str) -> Path:
        """Return the file of the card *name*.

        :raises VirtualCardError: where there is no such card.
        """
        path = self._home / (name + SUFFIX)
        if not NAME.fullmatch(name) or not path.is_file():
            raise VirtualCardError(f"no card {name!r} in {self._home}")
        return path

    def cards(self) -> list[VirtualCard]:
        """Return every card, by name.

        :raises CardDataError: for a damaged file.
        """
        return [_describe(path) for path in sorted(self._home.glob("[a-z0-9]*" + SUFFIX))]

    def _unused_card_number(self, authority: AuthorityFolder) -> str:
        used = {entry.card_number for entry in authority.issued()}
        if len(used) >= MAX_CARDS:
            raise VirtualCardError(f"the authority issued {MAX_CARDS} cards: make a new one")
        while True:
            number = f"{secrets.randbelow(10**RANDOM_DIGITS):0{RANDOM_DIGITS}}"
            if CARD_NUMBER_PREFIX + number not in used:
                return CARD_NUMBER_PREFIX + number

    def _unused_path(self, names: str) -> Path:
        stem = _plain(names)
        for count in range(1, MAX_CARDS + 1):
            path = self._home / f"{stem if count == 1 else f'{stem}-{count}'}{SUFFIX}"
            if not path.exists():
                return path
        raise VirtualCardError(f"{self._home} holds {MAX_CARDS} cards of that name")


def _describe(path: Path) -> VirtualCard:
    image = CardImage.read(path)
    try:
        certificate = x509.load_der_x509_certificate(image.content(AUTHENTICATION_CERTIFICATE))
        token = certificate.extensions.get_extension_for_oid(oids.TOKEN_ID).value.public_bytes()
        names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return VirtualCard(
            name=path.stem,
            national_id=str(names[0].value),
            card_number=tlv.read(token)[0].value.decode("ascii").rpartition("/")[2],
            tries_left=next(
                entry.tries_left
                for entry in image.reference_data
                if entry.reference == PIN_REFERENCE
            ),
        )
    except (ValueError, LookupError, StopIteration, x509.ExtensionNotFound) as exc:
        raise CardDataError(f"{path}: not a card made here") from exc


def _national_id(rpps: str | None, number: str) -> str:
    if rpps is None:
        return rpps_national_id(RPPS_PREFIX + number)
    if len(rpps) != RPPS_DIGITS or not (rpps.isascii() and rpps.isdecimal()):
        raise VirtualCardError(f"an RPPS number has {RPPS_DIGITS} digits")
    if luhn_digit(rpps[:-1]) != rpps[-1]:
        raise VirtualCardError("the RPPS number's check digit is wrong")
    return rpps_national_id(rpps[:-1])


def _require_name(what: str, name: str) -> None:
    if not (1 <= len(name) <= MAX_NAME_LENGTH and name.isprintable() and name.strip() == name):
        raise VirtualCardError(f"a {what} has 1 to {MAX_NAME_LENGTH} printable characters")


def _title(profession: int) -> str:
    try:
        return text(f"profession.{profession}", "fr")
    except KeyError:
        raise VirtualCardError(f"no profession has the code {profession}") from None


def _plain(names: str) -> str:
    """Return *names* in small plain letters and digits joined by hyphens."""
    folded = unicodedata.normalize("NFKD", names).encode("ascii", "ignore").decode("ascii").lower()
    return "-".join(re.findall("[a-z0-9]+", folded))[:MAX_NAME_LENGTH].strip("-") or "card"
