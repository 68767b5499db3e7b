"""One assertion, checked: who is there."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from joserfc import jwt
from joserfc.errors import JoseError

from cps.authtoken.encoding import b64url_decode, parse_object
from cps.portal.errors import AssertionRefusedError
from cps.portal.keys import JWKS_PATH, KeySource, fetch_from

ASSERTION_HEADER = "X-CPS-Assertion"
MAX_CHARS = 4096
"""Longest assertion that is looked at; the gateway's have about 1000 characters."""
MAX_LIFE_SECONDS = 60
"""Longest life that an assertion may claim."""
LEEWAY_SECONDS = 5
"""How far the gateway's clock and the portal's may differ."""

_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}\Z")
_MAX_HEADER_BYTES = 500
_MAX_TEXT = 500
_MAX_INSTANT = 2**53
_PROFESSION = re.compile(r"([0-9]{1,3})\^1\.2\.250\.1\.213\.1\.1\.5\.5\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Professional:
    """The person whom the gateway vouches for."""

    national_id: str
    """RPPS or ADELI number with its prefix, or the number of a structure's card."""
    given_name: str
    family_name: str
    card_type: str
    """``CPS``, ``CPF``, ``CPE`` or ``CPA``."""
    profession: int | None = None
    """Code of table G15; ``None`` where the card names none."""
    organisation: str | None = None
    """The structure of a CPE's holder."""
    organisation_id: str | None = None
    logged_in_at: datetime | None = None
    """When the card signed, aware UTC."""


class AssertionVerifier:
    """Checks assertions with the keys that the gateway publishes; may be asked from any thread.

    :param gateway: the gateway's origin, issuer of the assertions.
    :param audience: what the assertions must be meant for: ``portal.audience`` of the gateway.
    :param keys_url: where the keys are; default: the well-known address below *gateway*.
    :param ca_file: PEM, the only authorities of that address's certificate; default: the system's.
    :param keys: another source of keys, instead of the two above.
    :param clock: the present, aware UTC.
    :raises ValueError: for a *keys_url* that is not https, unless it is on this machine.
    """

    def __init__(
        self,
        gateway: str,
        audience: str,
        *,
        keys_url: str | None = None,
        ca_file: Path | None = None,
        keys: KeySource | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._gateway = gateway
        self._audience = audience
        self._keys = keys or KeySource(fetch_from(keys_url or gateway + JWKS_PATH, ca_file=ca_file))
        self._clock = clock or _system_clock

    def require_professional(self, assertion: str | None) -> Professional:
        """Return whom *assertion* names.

        :param assertion: the value of the ``X-CPS-Assertion`` header.
        :raises AssertionRefusedError: where there is none, or it is not signed with ES256 by the
            gateway, for this portal, for now.
        :raises KeysUnavailableError: where the gateway's keys cannot be had.

        Source: RFC 7519 §7.2; RFC 8725 §3.1, §3.8, §3.9, §3.11.
        """
        if not assertion:
            raise AssertionRefusedError("no assertion: the portal is reached around the gateway")
        if len(assertion) > MAX_CHARS or not _FORM.match(assertion):
            raise AssertionRefusedError("not of an assertion's form")
        key = self._keys.key(_kid(assertion))
        try:
            claims = jwt.decode(assertion, key, algorithms=["ES256"]).claims
            self._require_meant_for_now(claims)
            return _professional(claims)
        except (JoseError, ValueError) as exc:
            raise AssertionRefusedError(f"assertion refused: {exc}") from exc

    def _require_meant_for_now(self, claims: Mapping[str, object]) -> None:
        if claims.get("iss") != self._gateway:
            raise ValueError("iss: another gateway")
        if claims.get("aud") != self._audience:
            raise ValueError("aud: meant for another portal")
        now = self._clock().timestamp()
        issued, begins, ends = (_instant(claims, name) for name in ("iat", "nbf", "exp"))
        if not begins - LEEWAY_SECONDS <= now < ends + LEEWAY_SECONDS:
            raise ValueError("exp, nbf: not now")
        if not issued <= ends <= issued + MAX_LIFE_SECONDS or issued > now + LEEWAY_SECONDS:
            raise ValueError("iat: not of an assertion's life")


def _kid(assertion: str) -> str:
    """Return the name of the key, from a header that says nothing but what it must.

    :raises AssertionRefusedError: for another header: no algorithm, key or address is ever taken
        from what somebody sent.
    """
    try:
        raw = b64url_decode(assertion.partition(".")[0])
        header = parse_object(raw, max_bytes=_MAX_HEADER_BYTES)
    except ValueError as exc:
        raise AssertionRefusedError("malformed header") from exc
    kid = header.get("kid")
    if header != {"alg": "ES256", "typ": "JWT", "kid": kid} or not isinstance(kid, str):
        raise AssertionRefusedError("header: exactly alg ES256, typ JWT and kid are wanted")
    return kid


def _professional(claims: Mapping[str, object]) -> Professional:
    national_id = _text(claims, "SubjectNameID")
    if claims.get("sub") != f"cps:{national_id}":
        raise ValueError("sub: another person than SubjectNameID")
    organisation = claims.get("SubjectOrganization")
    organisation_id = claims.get("SubjectOrganizationID")
    return Professional(
        national_id=national_id,
        given_name=_text(claims, "given_name"),
        family_name=_text(claims, "family_name"),
        card_type=_text(claims, "card_type"),
        profession=_profession(claims.get("SubjectRole")),
        organisation=None if organisation is None else _text(claims, "SubjectOrganization"),
        organisation_id=(
            None if organisation_id is None else _text(claims, "SubjectOrganizationID")
        ),
        logged_in_at=datetime.fromtimestamp(_instant(claims, "auth_time"), UTC),
    )


def _profession(roles: object) -> int | None:
    if roles is None:
        return None
    match = (
        _PROFESSION.match(roles[0])
        if isinstance(roles, list) and len(roles) == 1 and isinstance(roles[0], str)
        else None
    )
    if match is None:
        raise ValueError("SubjectRole: one profession is wanted")
    return int(match[1])


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_TEXT:
        raise ValueError(f"{name}: text is wanted")
    return value


def _instant(claims: Mapping[str, object], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int or not 0 <= value < _MAX_INSTANT:
        raise ValueError(f"{name}: a time is wanted")
    return value


def _system_clock() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the one place where a portal's check reads the clock
