"""What a test authority remembers: its names, and each certificate with its revocation."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509

from cps.issuer.hierarchy import AuthorityNames, Gamme, Population
from cps.issuer.leaf import Purpose

INDEX_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """One certificate that the intermediate signed."""

    serial: int
    national_id: str
    card_number: str
    purpose: Purpose
    not_after: datetime
    """Aware, UTC."""
    revoked_at: datetime | None = None
    """Aware, UTC; ``None`` while the certificate is good."""
    reason: x509.ReasonFlags | None = None
    released_at: datetime | None = None
    """Aware, UTC; when the last hold was lifted, ``None`` if there was none."""

    @property
    def is_on_hold(self) -> bool:
        """Return whether the revocation can be taken back."""
        return self.revoked_at is not None and self.reason is x509.ReasonFlags.certificate_hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """All that the folder of an authority holds beside keys and certificates."""

    names: AuthorityNames
    list_number: int
    """The crlNumber of the lists written last; all lists of the folder count together."""
    issued: tuple[IssuedCertificate, ...]
    """Oldest first."""


def index_to_bytes(index: Index) -> bytes:
    """Return *index* as JSON."""
    values = {
        "version": INDEX_VERSION,
        "names": _names_to_json(index.names),
        "list_number": index.list_number,
        "issued": [_entry_to_json(entry) for entry in index.issued],
    }
    return json.dumps(values, ensure_ascii=False, indent=1).encode()


def index_from_bytes(data: bytes) -> Index:
    """Return the index that :func:`index_to_bytes` wrote.

    :raises ValueError: for anything else.
    """
    try:
        values = json.loads(data)
    except ValueError as exc:
        raise ValueError("it is no JSON") from exc
    try:
        if values["version"] != INDEX_VERSION:
            raise ValueError("it was written by another version of this program")
        return Index(
            names=_names_from_json(values["names"]),
            list_number=int(values["list_number"]),
            issued=tuple(_entry_from_json(entry) for entry in values["issued"]),
        )
    except (KeyError, TypeError) as exc:
        raise ValueError("a member is missing or has the wrong type") from exc


def _names_to_json(names: AuthorityNames) -> dict[str, str]:
    return {
        "organisation": names.organisation,
        "registration": names.registration,
        "unit": names.unit,
        "prefix": names.prefix,
        "gamme": names.gamme.name,
        "population": names.population.name,
        "host": names.host,
    }


def _names_from_json(values: dict[str, str]) -> AuthorityNames:
    return AuthorityNames(
        organisation=values["organisation"],
        registration=values["registration"],
        unit=values["unit"],
        prefix=values["prefix"],
        gamme=Gamme[values["gamme"]],
        population=Population[values["population"]],
        host=values["host"],
    )


def _entry_to_json(entry: IssuedCertificate) -> dict[str, Any]:
    return {
        "serial": f"{entry.serial:X}",
        "national_id": entry.national_id,
        "card_number": entry.card_number,
        "purpose": entry.purpose.value,
        "not_after": entry.not_after.isoformat(),
        "revoked_at": entry.revoked_at.isoformat() if entry.revoked_at else None,
        "reason": entry.reason.value if entry.reason else None,
        "released_at": entry.released_at.isoformat() if entry.released_at else None,
    }


def _entry_from_json(values: dict[str, Any]) -> IssuedCertificate:
    revoked_at = values["revoked_at"]
    reason = values["reason"]
    # Folders from before certificates could be put on hold do not have it.
    released_at = values.get("released_at")
    return IssuedCertificate(
        serial=int(values["serial"], 16),
        national_id=values["national_id"],
        card_number=values["card_number"],
        purpose=Purpose(values["purpose"]),
        not_after=datetime.fromisoformat(values["not_after"]),
        revoked_at=datetime.fromisoformat(revoked_at) if revoked_at else None,
        reason=x509.ReasonFlags(reason) if reason else None,
        released_at=datetime.fromisoformat(released_at) if released_at else None,
    )
