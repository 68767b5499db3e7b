"""How facts of a session stand in a store: a text each."""

import dataclasses
import json

from cps.authtoken.jwk import AgentKey
from gateway.errors import StoreUnavailableError
from gateway.identity import CardKind, VerifiedIdentity
from gateway.session.model import EndReason

_IDENTITY_MEMBERS = tuple(field.name for field in dataclasses.fields(VerifiedIdentity))


def identity_to_text(identity: VerifiedIdentity) -> str:
    """Return *identity* as the text that a store keeps."""
    # dataclasses.asdict would copy every value first, which takes longer than all the rest.
    return json.dumps({name: getattr(identity, name) for name in _IDENTITY_MEMBERS})


def identity_from_text(text: str) -> VerifiedIdentity:
    """Return the identity that a store kept; it was verified before it was written.

    :raises StoreUnavailableError: where *text* is not what :func:`identity_to_text` writes.
    """
    try:
        members = json.loads(text)
        return VerifiedIdentity(
            **{
                **members,
                "card_type": CardKind(members["card_type"]),
                # JSON has one kind of list; a session of an older version has no such members.
                "specialities": tuple(members.get("specialities", ())),
                "certificate_issuer": members.get("certificate_issuer", ""),
            }
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise StoreUnavailableError("an identity in the store cannot be read") from exc


def national_id_in(text: str) -> str:
    """Return the national number in the identity that a store kept, whatever else it holds.

    A session must end even where its identity cannot be read; then the number is empty.
    """
    try:
        members = json.loads(text)
        return str(members["national_id"])
    except (KeyError, TypeError, ValueError):
        return ""


def agent_key_to_text(key: AgentKey) -> str:
    """Return *key* as the text that a store keeps."""
    return json.dumps(key.to_json())


def agent_key_from_text(text: str) -> AgentKey:
    """Return the agent's key that a store kept; it was checked before it was written.

    :raises StoreUnavailableError: where *text* is not what :func:`agent_key_to_text` writes.
    """
    try:
        return AgentKey.checked_before(json.loads(text))
    except ValueError as exc:
        raise StoreUnavailableError("an agent's key in the store cannot be read") from exc


def reason_from_text(text: str) -> EndReason | None:
    """Return the reason that a store kept, ``None`` for one that only a newer gateway knows."""
    return next((reason for reason in EndReason if reason == text), None)
