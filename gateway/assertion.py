"""The signed assertion: who is in, as the gateway tells the portal behind it."""

import secrets
import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from joserfc import jwt

from cps.authtoken.encoding import b64url_encode
from gateway.assertion_keys import KeyRing, load_or_create, read
from gateway.identity import CardKind, NationalIdKind, VerifiedIdentity
from gateway.session.model import Session
from gateway.watched_file import WatchedFile

ALGORITHM = "ES256"
ASSERTION_LIFE = timedelta(seconds=60)
"""How long an assertion is good for the portal."""
REUSE_TIME = timedelta(seconds=30)
"""How long one assertion serves the requests of a session, so that not each costs a signature."""
MAX_KEPT = 10_000
"""Most sessions whose assertion is kept; the one used longest ago goes."""
LOOK_TIME = timedelta(seconds=1)
"""How long after a rotation a process may still use the keys that it knows."""
CARD_AND_PIN = "urn:cps-gateway:acr:card-and-pin"
"""The gateway's own name for "a card signed after its PIN"; no level of a national scheme."""

_PROFESSIONS = "1.2.250.1.213.1.1.5.5"
_REGISTERED = frozenset({NationalIdKind.ADELI, NationalIdKind.RPPS})


class AssertionSigner:
    """Signs assertions with the gateway's keys; may be asked from any thread.

    :param path: file of the keys, looked at again while the gateway runs.
    :param ring: what it holds; stays in use where the file can no longer be read.
    :param issuer: the gateway's origin.
    :param audience: the portal's name.
    """

    def __init__(self, path: Path, ring: KeyRing, *, issuer: str, audience: str) -> None:
        self._ring = ring
        self._file: WatchedFile[KeyRing] = WatchedFile(
            path, lambda place, _: read(place), label="assertion keys"
        )
        self._looked_at: datetime | None = None
        self._issuer = issuer
        self._audience = audience
        self._kept: OrderedDict[bytes, tuple[datetime, str, str]] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def load_or_create(cls, path: Path, issuer: str, audience: str) -> Self:
        """Return the signer with the keys in *path*, one made now where there is no such file.

        :param path: PEM, mode 0600; processes that start together end up with one key.
        :raises ConfigurationError: for a file that is open to other users, cannot be read or
            written, or holds other things than EC P-256 keys.
        """
        return cls(path, load_or_create(path), issuer=issuer, audience=audience)

    def assertion(self, session: Session, now: datetime) -> str:
        """Return a JWT that says who is in, good for at most 60 s and at least 30 s.

        Claims bear the names of Pro Santé Connect where the certificate holds what they mean.

        Source: RFC 7519 §4.1; RFC 8176 §2.
        """
        key = self._keys(now).signing(now)
        with self._lock:
            kept = self._kept.get(session.key)
            if kept is not None:
                signed_at, kid, token = kept
                if kid == key.kid and timedelta(0) <= now - signed_at < REUSE_TIME:
                    self._kept.move_to_end(session.key)
                    return token
        header = {"alg": ALGORITHM, "kid": key.kid}
        token = jwt.encode(header, self._claims(session, now), key.jwk, [ALGORITHM])
        with self._lock:
            self._kept[session.key] = (now, key.kid, token)
            self._kept.move_to_end(session.key)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return token

    def jwks(self, now: datetime) -> dict[str, object]:
        """Return the key set that the portal verifies with *now*; it holds public keys alone.

        Source: RFC 7517 §5.
        """
        return {
            "keys": [
                key.jwk.as_dict(private=False, kid=key.kid, use="sig", alg=ALGORITHM)
                for key in self._keys(now).published(now)
            ]
        }

    def _keys(self, now: datetime) -> KeyRing:
        if self._looked_at is None or abs(now - self._looked_at) >= LOOK_TIME:
            self._looked_at = now
            self._file.look()
        return self._file.current or self._ring

    def _claims(self, session: Session, now: datetime) -> dict[str, object]:
        issued = int(now.timestamp())
        return {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": f"cps:{session.identity.national_id}",
            "iat": issued,
            "nbf": issued,
            "exp": issued + int(ASSERTION_LIFE.total_seconds()),
            "jti": b64url_encode(secrets.token_bytes(16)),
            "auth_time": int(session.created_at.timestamp()),
            "acr": CARD_AND_PIN,
            "amr": ["sc", "pin"],
            "authMode": "CARD",
            **_identity_claims(session.identity),
        }


def _identity_claims(identity: VerifiedIdentity) -> dict[str, object]:
    """Return what the certificate says of the person; what it does not say is left out."""
    claims: dict[str, object] = {
        "SubjectNameID": identity.national_id,
        "preferred_username": identity.national_id,
        "given_name": identity.given_name,
        "family_name": identity.family_name,
        "card_type": identity.card_type.name,
        "card_number": identity.card_number,
    }
    kind = identity.national_id_kind
    if kind in _REGISTERED:
        claims["otherIds"] = [{"identifiant": identity.national_id, "origine": kind.name}]
    if identity.profession is not None:
        claims["SubjectRole"] = [f"{identity.profession}^{_PROFESSIONS}"]
    if identity.specialities:
        claims["codeSavoirFaire"] = list(identity.specialities)
    if identity.card_type is CardKind.CPE:
        if identity.organisation is not None:
            claims["SubjectOrganization"] = identity.organisation
        if identity.organisation_id is not None:
            claims["SubjectOrganizationID"] = identity.organisation_id
    return claims
