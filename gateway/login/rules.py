"""Who may enter this portal, among those whose card proved itself."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from cps.authtoken.codes import ErrorCode
from gateway.errors import LoginRejectedError
from gateway.identity import CardKind, VerifiedIdentity
from gateway.settings import LoginSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRules:
    """The card types and professions that a portal lets in."""

    card_types: Collection[CardKind]
    professions: Collection[int] = ()
    """Codes of table G15; empty for any, and then also for none."""

    @classmethod
    def of(cls, login: LoginSettings) -> Self:
        """Return the rules in the settings' ``[login]`` table."""
        return cls(
            card_types=frozenset(CardKind[name] for name in login.card_types),
            professions=frozenset(login.professions),
        )

    def require_access(self, identity: VerifiedIdentity) -> None:
        """Refuse a person whom the portal does not let in.

        :raises LoginRejectedError: CERT_TYPE for the card, NOT_AUTHORISED for the profession.
        """
        if identity.card_type not in self.card_types:
            raise LoginRejectedError(
                ErrorCode.CERT_TYPE, f"{identity.card_type.name} cards are not let in"
            )
        if self.professions and identity.profession not in self.professions:
            raise LoginRejectedError(
                ErrorCode.NOT_AUTHORISED, f"profession {identity.profession} is not let in"
            )
