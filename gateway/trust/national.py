"""The authorities of the IGC-Santé, by their fingerprints; no certificate of theirs is in here."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives import hashes

_CARD_FAMILIES = ("FORT", "STANDARD")


@dataclass(frozen=True, slots=True, kw_only=True)
class NationalAuthority:
    """One of the nine; all were made on 25 June 2013 and end in June 2033."""

    name: str
    """CN of its subject."""
    root: bool
    leads_to_cards: bool
    """Whether certificates of cards come from it, or from an authority below it.

    Samples of cards are of the families FORT and STANDARD, by the authorities for persons.
    """


def _root(family: str) -> NationalAuthority:
    return NationalAuthority(
        name=f"AC RACINE IGC-SANTE {family}", root=True, leads_to_cards=family in _CARD_FAMILIES
    )


def _intermediate(family: str, population: str) -> NationalAuthority:
    return NationalAuthority(
        name=f"AC IGC-SANTE {family} {population}",
        root=False,
        leads_to_cards=family in _CARD_FAMILIES and population == "PERSONNES",
    )


NATIONAL_AUTHORITIES: Mapping[str, NationalAuthority] = MappingProxyType(
    {
        "2d9e22ca19f777c6b745257c723ecb8df3c35fa6f1f6ec36b83600c97346967f": _root("ELEMENTAIRE"),
        "53d30a19570826bde0c0762501f1f1c7a659f976c6c023123df5239df34a4eea": _root("FORT"),
        "5891815e864506c662afb32f8de5b8de38bffa1af721780b69e19a0c050386c3": _root("STANDARD"),
        "d834ee5b40686b73573f60547bf6052c6d404d942a5665cdb2c0b9137b5d27b2": _intermediate(
            "ELEMENTAIRE", "ORGANISATIONS"
        ),
        "19c1eaeab477b6fbc233cda3b53fbdbc3f4e9bf6cf6973e46f7dfaef89c06c6c": _intermediate(
            "ELEMENTAIRE", "PERSONNES"
        ),
        "23f69674002d1dd4b018baecd908dc92687942bb48e5140ff895e2f56bc49c0d": _intermediate(
            "FORT", "ORGANISATIONS"
        ),
        "38284e4f6107456e70c7439c85da7d564d0fe1fe1a968c9eb6d43e1fc0d63c3a": _intermediate(
            "FORT", "PERSONNES"
        ),
        "c0520a2b14fb68836a807bf86ab2b3e07d1b6061d91bc9c7b86a6f8de4b5638e": _intermediate(
            "STANDARD", "ORGANISATIONS"
        ),
        "6c339ebcb3e1b0102b143c9694225c2a4ab2ef6fedf7d364da8db305e7f7d997": _intermediate(
            "STANDARD", "PERSONNES"
        ),
    }
)
"""By the SHA-256 of the certificate's DER, in small hexadecimal letters.

The national agency publishes them in the specification of its middleware (Annexe C).
"""


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of *certificate* in small hexadecimal letters."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def national_authority(certificate: x509.Certificate) -> NationalAuthority | None:
    """Return which of the national authorities *certificate* is, byte for byte, or ``None``."""
    return NATIONAL_AUTHORITIES.get(fingerprint(certificate))
