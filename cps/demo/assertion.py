"""How a portal knows who is there: the gateway's signed assertion, and nothing else."""

import json
import threading
from dataclasses import dataclass
from time import monotonic

import urllib3
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

JWKS_PATH = "/_cps/.well-known/jwks.json"
JWKS_MAX_BYTES = 16_384
JWKS_SECONDS = 300
LEEWAY_SECONDS = 5


class AssertionRefusedError(Exception):
    """The request carries no assertion that the gateway signed for this portal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Professional:
    """The person whom the gateway vouches for."""

    national_id: str
    given_name: str
    family_name: str
    card_type: str


class AssertionVerifier:
    """Checks assertions against the keys that the gateway publishes.

    :param gateway: the gateway's origin: issuer of the assertions and place of the keys.
    :param audience: what the assertions must be meant for.
    """

    def __init__(self, gateway: str, audience: str) -> None:
        self._gateway = gateway
        self._claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": gateway},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            exp={"essential": True},
        )
        self._http = urllib3.PoolManager(retries=False, timeout=3)
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._fetched_at = 0.0

    def require_professional(self, assertion: str | None) -> Professional:
        """Return whom *assertion* names.

        :param assertion: the value of the ``X-CPS-Assertion`` header.
        :raises AssertionRefusedError: where there is none, or it is not signed with ES256 by the
            gateway, for this portal, for now.

        Source: RFC 7519 §7.2; RFC 8725 §3.1, §3.8, §3.9.
        """
        if not assertion:
            raise AssertionRefusedError("no assertion: the portal is reached around the gateway")
        try:
            token = jwt.decode(assertion, self._key_set(), algorithms=["ES256"])
            self._claims.validate(token.claims)
            return Professional(
                national_id=str(token.claims["SubjectNameID"]),
                given_name=str(token.claims["given_name"]),
                family_name=str(token.claims["family_name"]),
                card_type=str(token.claims["card_type"]),
            )
        except (JoseError, ValueError, KeyError) as exc:
            raise AssertionRefusedError(f"assertion refused: {type(exc).__name__}") from exc

    def _key_set(self) -> KeySet:
        with self._lock:
            if self._keys is None or monotonic() - self._fetched_at > JWKS_SECONDS:
                self._keys = self._fetch()
                self._fetched_at = monotonic()
            return self._keys

    def _fetch(self) -> KeySet:
        try:
            response = self._http.request(
                "GET", self._gateway + JWKS_PATH, redirect=False, preload_content=False
            )
            body = response.read(JWKS_MAX_BYTES)
            response.release_conn()
        except urllib3.exceptions.HTTPError as exc:
            raise AssertionRefusedError("the gateway's keys cannot be fetched") from exc
        if response.status != 200:
            raise AssertionRefusedError(f"the gateway's keys: status {response.status}")
        return KeySet.import_key_set(json.loads(body))
