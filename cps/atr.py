"""Which card is it? The answer to reset, compared with what the issuer expects to vary."""

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class CardType(StrEnum):
    """A generation of CPS card and its interface."""

    CPS3 = "cps3"
    CPS3_CONTACTLESS = "cps3-contactless"
    CPS4 = "cps4"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownATR:
    """An answer to reset with the bits that may differ."""

    card: CardType
    atr: bytes
    mask: bytes
    """As long as *atr*: a bit of 0 may differ."""

    def matches(self, atr: bytes) -> bool:
        """Return whether *atr* is this one under the mask."""
        return len(atr) == len(self.atr) and all(
            (have ^ want) & bits == 0
            for have, want, bits in zip(atr, self.atr, self.mask, strict=True)
        )


CPS3_CONTACT_ATR = bytes.fromhex("3BAC00402A001225006480000310009000")
CPS3_CONTACTLESS_ATR = bytes.fromhex("3B8F80010031B86404B0ECC1739401808290000E")
CPS4_ATR = bytes.fromhex("3B9B188001001225006480040100009044")
CPS4_T0_ATR = bytes.fromhex("3BDC18FF00001225006480000401009000")
"""Of the release candidate that speaks T=0 alone."""

# Masks as the issuer's own middleware states them; interface and version bytes may vary. CPS4 comes
# first: the mask of the CPS3 fits the CPS4 that speaks T=0 only.
KNOWN_ATRS = (
    KnownATR(card=CardType.CPS4, atr=CPS4_ATR, mask=b"\xff" * len(CPS4_ATR)),
    KnownATR(
        card=CardType.CPS4,
        atr=bytes.fromhex("3B9B188001001225006480000401009044"),
        mask=b"\xff" * 17,
    ),
    KnownATR(card=CardType.CPS4, atr=CPS4_T0_ATR, mask=b"\xff" * len(CPS4_T0_ATR)),
    KnownATR(
        card=CardType.CPS3,
        atr=CPS3_CONTACT_ATR,
        mask=bytes.fromhex("FF00000000FFFFFFFFFFFF000000FFFFFF"),
    ),
    KnownATR(
        card=CardType.CPS3_CONTACTLESS,
        atr=CPS3_CONTACTLESS_ATR,
        mask=bytes.fromhex("FFFFFFFFFFFFFFFF0000FFC0FFFFFFFFFFFFFFFF"),
    ),
)


def recognise(atr: bytes) -> CardType | None:
    """Return the kind of CPS card that answers *atr*, or ``None`` for any other card.

    Source: ISO/IEC 7816-3:2006 §8.2 for the form; values from the issuer's middleware.
    """
    return next((known.card for known in KNOWN_ATRS if known.matches(atr)), None)
