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

from cps.atr import CardType
from cps.issuer.commands import system_clock
from cps.issuer.folder import AuthorityFolder
from cps.issuer.leaf import Holder, LeafRequest, Purpose
from cps.simulator.cio import PIN_DIGITS, PUK_DIGITS
from cps.simulator.image import CardImage
from cps.simulator.personalise import (
    Person,
    personalise_cps3,
    personalise_cps4,
    require_digits,
)
from cps.simulator.security import PIN_REFERENCE
from cps.simulator.tree import Credential
from cps.virtual.description import VirtualCard, describe
from cps.virtual.errors import VirtualCardError as VirtualCardError  # callers find it here
from cps.virtual.holders import CardKind, make_holder

TEST_PIN = "1234"
TEST_PUK = "12345678"

# Numbers that no real card has.
CARD_NUMBER_PREFIX = "2899"
SERIAL_PREFIX = "28"
RANDOM_DIGITS = 6

SUFFIX = ".json"
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MAX_STEM_LENGTH = 60
MAX_CARDS = 1000
KEY_BITS = 2048


def generate_key() -> rsa.RSAPrivateKey:
    """Return a new key of a card's length."""
    return rsa.generate_private_key(65537, KEY_BITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edition:
    """What all certificates of a new card have in common."""

    authority: AuthorityFolder
    holder: Holder
    kind: CardKind
    card_number: str
    not_before: datetime
    not_after: datetime | None


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
        self.home = home
        self._clock = clock
        self._keys = keys

    def new(
        self,
        authority: AuthorityFolder,
        *,
        family_name: str,
        given_name: str,
        profession: int | None = None,
        rpps: str | None = None,
        pin: str = TEST_PIN,
        puk: str = TEST_PUK,
        kind: CardKind = CardKind.CPS,
        generation: CardType = CardType.CPS3,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Path:
        """Make a card and return its file; its name is made of the holder's.

        :param profession: code of table G15, for a CPF of table G16; none for an employee.
        :param rpps: 11 digits with a right check digit; an unused one where absent.
        :param pin: 4 digits.
        :param puk: 8 digits.
        :param generation: CPS3 or CPS4.
        :param not_before: aware; now where absent.
        :param not_after: aware; three years later where absent.
        :raises VirtualCardError: for a value no card can have, or a full folder or authority.
        """
        try:
            require_digits("PIN", pin, PIN_DIGITS)
            require_digits("PUK", puk, PUK_DIGITS)
        except ValueError as exc:
            raise VirtualCardError(str(exc)) from exc
        not_before = not_before or self._clock()
        if not_after is not None and not_after <= not_before:
            raise VirtualCardError("a card is valid to a later moment than it is valid from")
        card_number = self._unused_card_number(authority)
        number = card_number.removeprefix(CARD_NUMBER_PREFIX)
        holder = make_holder(
            kind=kind,
            family_name=family_name,
            given_name=given_name,
            profession=profession,
            rpps=rpps,
            number=number,
        )
        edition = _Edition(
            authority=authority,
            holder=holder,
            kind=kind,
            card_number=card_number,
            not_before=not_before,
            not_after=not_after,
        )
        image = self._personalise(edition, generation, SERIAL_PREFIX + number, pin, puk)
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._unused_path(f"{family_name} {given_name}")
        image.write(path)
        return path

    def path(self, name: str) -> Path:
        """Return the file of the card *name*.

        :raises VirtualCardError: where there is no such card.
        """
        path = self.home / (name + SUFFIX)
        if not NAME.fullmatch(name) or not path.is_file():
            raise VirtualCardError(f"no card {name!r} in {self.home}")
        return path

    def cards(self) -> list[VirtualCard]:
        """Return every card, by name.

        :raises CardDataError: for a damaged file.
        """
        paths = sorted(self.home.glob("[a-z0-9]*" + SUFFIX), key=lambda path: path.stem)
        return [describe(path) for path in paths]

    def card(self, name: str) -> VirtualCard:
        """Return one card.

        :raises VirtualCardError: where there is no such card.
        :raises CardDataError: for a damaged file.
        """
        return describe(self.path(name))

    def block(self, name: str) -> None:
        """Take every try of a card's PIN.

        :raises VirtualCardError: where there is no such card.
        :raises CardBusyError: where a process runs it.
        """
        with CardImage.open(self.path(name)) as image:
            for entry in image.reference_data:
                if entry.reference == PIN_REFERENCE:
                    entry.tries_left = 0
            image.commit()

    def unblock(self, name: str) -> None:
        """Give every try of a card's PIN and PUK back; both stay as they are.

        :raises VirtualCardError: where there is no such card.
        :raises CardBusyError: where a process runs it.
        """
        with CardImage.open(self.path(name)) as image:
            for entry in image.reference_data:
                entry.tries_left = entry.tries_maximum
            image.commit()

    def revoke(
        self, name: str, authority: AuthorityFolder, reason: x509.ReasonFlags | None = None
    ) -> int:
        """Revoke a card's certificates, write new lists, and return how many it were.

        :raises VirtualCardError: where there is no such card, the authority did not issue it, or
            all of its certificates are revoked already.
        """
        card = self.card(name)
        serials = set(card.certificate_serials.values())
        issued = [entry for entry in authority.issued() if entry.serial in serials]
        if not issued:
            raise VirtualCardError(f"the authority in {authority.path} did not issue {name}")
        good = [entry for entry in issued if entry.revoked_at is None]
        if not good:
            raise VirtualCardError(f"{name} is revoked already")
        for entry in good:
            authority.revoke(entry.serial, now=self._clock(), reason=reason)
        return len(good)

    def delete(self, name: str) -> None:
        """Delete a card for good.

        :raises VirtualCardError: where there is no such card.
        :raises CardBusyError: where a process runs it.
        """
        CardImage.open(self.path(name)).delete()

    def _personalise(
        self, edition: _Edition, generation: CardType, serial: str, pin: str, puk: str
    ) -> CardImage:
        holder = edition.holder
        person = Person(family_name=holder.family_name, given_name=holder.given_name)
        authentication = self._credential(edition, Purpose.AUTHENTICATION)
        signature = self._credential(edition, Purpose.SIGNATURE)
        if generation is CardType.CPS4:
            return personalise_cps4(
                serial=serial,
                card_number=edition.card_number,
                person=person,
                authentication=authentication,
                signature=signature,
                pin=pin,
                puk=puk,
            )
        return personalise_cps3(
            serial=serial,
            card_number=edition.card_number,
            person=person,
            authentication=authentication,
            signature=signature,
            technical=self._credential(edition, Purpose.TECHNICAL),
            pin=pin,
            puk=puk,
            made_at=edition.not_before,
        )

    def _credential(self, edition: _Edition, purpose: Purpose) -> Credential:
        key = self._keys()
        request = LeafRequest(
            holder=edition.holder,
            public_key=key.public_key(),
            card_number=edition.card_number,
            not_before=edition.not_before,
            not_after=edition.not_after,
            purpose=purpose,
            card_type=edition.kind.code,
        )
        return Credential(certificate=edition.authority.issue(request), key=key)

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
            path = self.home / f"{stem if count == 1 else f'{stem}-{count}'}{SUFFIX}"
            if not path.exists():
                return path
        raise VirtualCardError(f"{self.home} holds {MAX_CARDS} cards of that name")


def _plain(names: str) -> str:
    """Return *names* in small plain letters and digits joined by hyphens."""
    folded = unicodedata.normalize("NFKD", names).encode("ascii", "ignore").decode("ascii").lower()
    return "-".join(re.findall("[a-z0-9]+", folded))[:MAX_STEM_LENGTH].strip("-") or "card"
