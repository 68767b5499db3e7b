"""Who may enter this portal, among those whose card proved itself."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from cps.authtoken.codes import ErrorCode
from gateway.errors import LoginRejectedError
from gateway.identity import CardKind, VerifiedIdentity
from gateway.settings import LoginSettings
from gateway.settings_access import PeopleSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Those who have one of the values in every list that is not empty."""

    card_types: Collection[CardKind] = ()
    professions: Collection[int] = ()
    specialities: Collection[str] = ()
    """One of a person's own is enough."""
    structures: Collection[str] = ()
    national_ids: Collection[str] = ()

    @classmethod
    def of(cls, people: PeopleSettings) -> Self:
        """Return those whom a table of the settings describes."""
        return cls(
            card_types=frozenset(CardKind[name] for name in people.card_types),
            professions=frozenset(people.professions),
            specialities=frozenset(people.specialities),
            structures=frozenset(people.structures),
            national_ids=frozenset(people.people),
        )

    def include(self, identity: VerifiedIdentity) -> bool:
        """Return whether *identity* is one of them; where all lists are empty, nobody is."""
        lists: list[tuple[Collection[object], Collection[object]]] = [
            (self.card_types, (identity.card_type,)),
            (self.professions, (identity.profession,)),
            (self.specialities, identity.specialities),
            (self.structures, (identity.organisation_id,)),
            (self.national_ids, (identity.national_id,)),
        ]
        given = [(wanted, own) for wanted, own in lists if wanted]
        return bool(given) and all(any(each in wanted for each in own) for wanted, own in given)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRules:
    """Whom a portal lets in."""

    card_types: Collection[CardKind]
    professions: Collection[int] = ()
    """Codes of table G15; empty for any, and then also for none."""
    allow: Collection[People] = ()
    """One of these it must be; empty for anybody."""
    deny: Collection[People] = ()
    """None of these, whatever else is said."""

    @classmethod
    def of(cls, login: LoginSettings) -> Self:
        """Return the rules in the settings' ``[login]`` table."""
        return cls(
            card_types=frozenset(CardKind[name] for name in login.card_types),
            professions=frozenset(login.professions),
            allow=tuple(map(People.of, login.allow)),
            deny=tuple(map(People.of, login.deny)),
        )

    def require_access(self, identity: VerifiedIdentity) -> None:
        """Refuse a person whom the portal does not let in.

        :raises LoginRejectedError: CERT_TYPE for a kind of card that is not let in at all,
            NOT_AUTHORISED for a person.
        """
        if identity.card_type not in self.card_types:
            raise LoginRejectedError(
                ErrorCode.CERT_TYPE, f"{identity.card_type.name} cards are not let in"
            )
        if any(people.include(identity) for people in self.deny):
            raise LoginRejectedError(ErrorCode.NOT_AUTHORISED, "denied by login.deny")
        if self.professions and identity.profession not in self.professions:
            raise LoginRejectedError(
                ErrorCode.NOT_AUTHORISED, f"profession {identity.profession} is not let in"
            )
        if self.allow and not any(people.include(identity) for people in self.allow):
            raise LoginRejectedError(ErrorCode.NOT_AUTHORISED, "allowed by no login.allow")
