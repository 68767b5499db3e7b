"""Who holds a virtual card: people that do not exist, as each kind of card names them."""

from enum import StrEnum, unique

from cps.authtoken.catalogue import text
from cps.issuer.hierarchy import Gamme
from cps.issuer.leaf import (
    CARD_TYPE_CPA,
    CARD_TYPE_CPE,
    CARD_TYPE_CPF,
    CARD_TYPE_CPS,
    Holder,
    Structure,
)
from cps.issuer.numbers import luhn_digit, rpps_national_id
from cps.virtual.errors import VirtualCardError

# Numbers that no real person has.
RPPS_PREFIX = "9990"
RPPS_DIGITS = 11
MAX_NAME_LENGTH = 60

FUTURE_PROFESSIONS = (10, 21, 40, 50)
"""Codes of table G16: what one is in training for with a CPF."""

EMPLOYEE_TITLE = "Personnel santé ou social"
EMPLOYER = Structure(county="Paris (75)", name="HOPITAL IMAGINAIRE", number="10B9900001")


@unique
class CardKind(StrEnum):
    """Whom a card is for: table G02, where the two of employees have two names each."""

    CPS = "CPS"
    """A health professional."""
    CPF = "CPF"
    """A professional in training."""
    CPE = "CPE"
    """An employee of a health establishment."""
    CPA = "CPA"
    """Another authorised employee."""

    @property
    def code(self) -> int:
        """Return the code in certificates."""
        return _CODES[self]

    @property
    def gamme(self) -> Gamme:
        """Return the family of authorities that issues this kind."""
        return Gamme.FORT if self in (CardKind.CPS, CardKind.CPF) else Gamme.STANDARD

    @classmethod
    def of_code(cls, code: int) -> "CardKind":
        """Return the kind with *code*.

        :raises ValueError: where there is none.
        """
        for kind, known in _CODES.items():
            if known == code:
                return kind
        raise ValueError(f"no card type has the code {code}")


_CODES = {
    CardKind.CPS: CARD_TYPE_CPS,
    CardKind.CPF: CARD_TYPE_CPF,
    CardKind.CPE: CARD_TYPE_CPE,
    CardKind.CPA: CARD_TYPE_CPA,
}


def make_holder(
    *,
    kind: CardKind,
    family_name: str,
    given_name: str,
    profession: int | None,
    rpps: str | None,
    number: str,
) -> Holder:
    """Return the holder of a new card.

    :param profession: code of table G15, for a CPF of table G16; none for an employee.
    :param rpps: 11 digits with a right check digit; one of nobody where absent.
    :param number: six digits that no other card of the folder has.
    :raises VirtualCardError: for what no such card can have.
    """
    _require_name("family name", family_name)
    _require_name("given name", given_name)
    if kind.gamme is Gamme.STANDARD:
        if profession is not None or rpps is not None:
            raise VirtualCardError(f"a {kind} names neither a profession nor an RPPS number")
        return Holder(
            national_id=f"3{EMPLOYER.number[1:]}/{kind}T{number}",
            family_name=family_name,
            given_name=given_name,
            title=EMPLOYEE_TITLE,
            profession=None,
            structure=EMPLOYER,
        )
    if profession is None:
        raise VirtualCardError(f"a {kind} names a profession")
    in_training = kind is CardKind.CPF
    if in_training and profession not in FUTURE_PROFESSIONS:
        codes = ", ".join(map(str, FUTURE_PROFESSIONS))
        raise VirtualCardError(f"a CPF is for a training with one of the codes {codes}")
    return Holder(
        national_id=_national_id(rpps, number),
        family_name=family_name,
        given_name=given_name,
        title=_title(profession),
        profession=None if in_training else profession,
        future_profession=profession if in_training else None,
    )


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
