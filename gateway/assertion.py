"""The signed assertion: who is in, as the gateway tells the portal behind it."""

import os
import secrets
import stat
import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from cps.authtoken.encoding import b64url_encode
from gateway.errors import ConfigurationError
from gateway.identity import CardKind, VerifiedIdentity
from gateway.session.model import Session

ALGORITHM = "ES256"
ASSERTION_LIFE = timedelta(seconds=60)
"""How long an assertion is good for the portal."""
REUSE_TIME = timedelta(seconds=30)
"""How long one assertion serves the requests of a session, so that not each costs a signature."""
MAX_KEPT = 10_000
"""Most sessions whose assertion is kept; the one used longest ago goes."""
MAX_KEY_BYTES = 10_000
CARD_AND_PIN = "urn:cps-gateway:acr:card-and-pin"
"""The gateway's own name for "a card signed after its PIN"; no level of a national scheme."""

_PROFESSIONS = "1.2.250.1.213.1.1.5.5"
_REGISTERS = {"0": "ADELI", "8": "RPPS"}


class AssertionSigner:
    """Signs assertions with the gateway's key; may be asked from any thread.

    :param issuer: the gateway's origin.
    :param audience: the portal's name.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, *, issuer: str, audience: str) -> None:
        self._key = ECKey.import_key(key)
        self._public = ECKey.import_key(key.public_key())
        self._issuer = issuer
        self._audience = audience
        self._header = {"alg": ALGORITHM, "kid": self._public.thumbprint()}
        self._kept: OrderedDict[bytes, tuple[datetime, str]] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def load_or_create(cls, path: Path, issuer: str, audience: str) -> Self:
        """Return the signer with the key in *path*, made now where there is none.

        :param path: PEM, mode 0600; processes that start together end up with one key.
        :raises ConfigurationError: for a file that is open to other users, cannot be read or
            written, or holds another key than EC P-256.
        """
        try:
            if not path.exists():
                _make_key_file(path)
            if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                reason = "other users can open it; take that away with chmod go="
                raise ConfigurationError(str(path), "(file)", reason)
            with path.open("rb") as file:
                pem = file.read(MAX_KEY_BYTES)
        except OSError as exc:
            raise ConfigurationError(str(path), "(file)", f"no access: {exc.strerror}") from exc
        return cls(_read_key(path, pem), issuer=issuer, audience=audience)

    def assertion(self, session: Session, now: datetime) -> str:
        """Return a JWT that says who is in, good for at most 60 s and at least 30 s.

        Claims bear the names of Pro Santé Connect where the certificate holds what they mean.

        Source: RFC 7519 §4.1; RFC 8176 §2.
        """
        with self._lock:
            kept = self._kept.get(session.key)
            if kept is not None and timedelta(0) <= now - kept[0] < REUSE_TIME:
                self._kept.move_to_end(session.key)
                return kept[1]
        token = jwt.encode(self._header, self._claims(session, now), self._key, [ALGORITHM])
        with self._lock:
            self._kept[session.key] = (now, token)
            self._kept.move_to_end(session.key)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return token

    def jwks(self) -> dict[str, object]:
        """Return the key set that the portal verifies with; it holds the public key alone.

        Source: RFC 7517 §5.
        """
        members = self._public.as_dict(kid=self._header["kid"], use="sig", alg=ALGORITHM)
        return {"keys": [members]}

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
    register = _REGISTERS.get(identity.national_id[:1])
    if register is not None:
        claims["otherIds"] = [{"identifiant": identity.national_id, "origine": register}]
    if identity.profession is not None:
        claims["SubjectRole"] = [f"{identity.profession}^{_PROFESSIONS}"]
    if identity.card_type is CardKind.CPE:
        if identity.organisation is not None:
            claims["SubjectOrganization"] = identity.organisation
        if identity.organisation_id is not None:
            claims["SubjectOrganizationID"] = identity.organisation_id
    return claims


def _make_key_file(path: Path) -> None:
    """Write a new key beside *path* and give it the name, unless another process was first."""
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return
    finally:
        draft.unlink()


def _read_key(path: Path, pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ConfigurationError(str(path), "(file)", "is not a private key in PEM") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigurationError(str(path), "(file)", "is not an EC P-256 key")
    return key
