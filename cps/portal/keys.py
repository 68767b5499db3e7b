"""The gateway's public keys: fetched, kept, and fetched again without holding up a request."""

import logging
import threading
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import urllib3
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from cps.authtoken.encoding import parse_object
from cps.portal.errors import AssertionRefusedError, KeysUnavailableError

JWKS_PATH = "/_cps/.well-known/jwks.json"
MAX_BYTES = 16_384
"""Largest key set that is read."""
REFRESH_SECONDS = 300
"""Age at which keys are fetched anew, in the background; requests go on with those known."""
KEEP_SECONDS = 900
"""Age at which keys count no more, where the gateway does not answer for so long."""
RETRY_SECONDS = 5
"""Shortest time between two fetches, whatever assertions ask for."""
WAIT_SECONDS = 3.0
"""Longest wait for the gateway to connect, and for each part of its answer."""

_log = logging.getLogger(__name__)

Fetch = Callable[[], bytes]


class KeySource:
    """The keys under one address; may be asked from any thread.

    :param fetch: returns the key set; raises :class:`KeysUnavailableError`.
    :param clock: seconds that only rise.
    """

    def __init__(self, fetch: Fetch, *, clock: Callable[[], float] = monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._fetching = threading.Lock()
        self._keys: Mapping[str, ECKey] = {}
        self._good_at = float("-inf")
        self._tried_at = float("-inf")

    def key(self, kid: str) -> ECKey:
        """Return the key of that name.

        The network is asked only where no key is known or none has this name, and then at most
        every ``RETRY_SECONDS``.

        :raises AssertionRefusedError: where the gateway has no such key.
        :raises KeysUnavailableError: where the gateway's keys cannot be had.
        """
        found = self._known(kid)
        if found is None:
            asked_at = self._clock()
            with self._fetching:
                # Another thread may have fetched while this one waited.
                if self._tried_at < asked_at and self._may_try():
                    self._refresh()
            found = self._known(kid)
        elif self._clock() - self._good_at > REFRESH_SECONDS:
            self._refresh_aside()
        if found is not None:
            return found
        if self._is_over():
            raise KeysUnavailableError("the gateway's keys cannot be fetched")
        raise AssertionRefusedError("signed with a key that the gateway does not publish")

    def _known(self, kid: str) -> ECKey | None:
        return None if self._is_over() else self._keys.get(kid)

    def _is_over(self) -> bool:
        return self._clock() - self._good_at > KEEP_SECONDS

    def _may_try(self) -> bool:
        return self._clock() - self._tried_at >= RETRY_SECONDS

    def _refresh_aside(self) -> None:
        """Fetch in a thread of its own, unless a fetch is under way or was just tried."""
        if self._may_try() and self._fetching.acquire(blocking=False):
            try:
                threading.Thread(target=self._refresh_and_release, daemon=True).start()
            except BaseException:
                self._fetching.release()
                raise

    def _refresh_and_release(self) -> None:
        try:
            self._refresh()
        finally:
            self._fetching.release()

    def _refresh(self) -> None:
        """Replace the keys; those known stay where that fails."""
        self._tried_at = self._clock()
        try:
            self._keys = read_key_set(self._fetch())
        except KeysUnavailableError as exc:
            _log.warning("%s", exc)
        except ValueError as exc:
            _log.warning("the gateway's keys: %s", exc)
        else:
            self._good_at = self._tried_at


def read_key_set(raw: bytes) -> Mapping[str, ECKey]:
    """Return the keys in *raw* that check ES256 signatures, by name.

    :param raw: a JWK set; keys for other purposes are passed over.
    :raises ValueError: for anything else, a private key among them, or a set without a usable key.

    Source: RFC 7517 §4, §5.
    """
    members = parse_object(raw, max_bytes=MAX_BYTES).get("keys")
    if not isinstance(members, list):
        raise ValueError("no list of keys")  # noqa: TRY004 - one error for callers
    keys = {}
    for jwk in members:
        if not isinstance(jwk, dict) or "d" in jwk:
            raise ValueError("an entry is no public key")
        kid = jwk.get("kid")
        wanted = (jwk.get("kty"), jwk.get("crv"), jwk.get("alg"), jwk.get("use"))
        if not isinstance(kid, str) or wanted != ("EC", "P-256", "ES256", "sig"):
            continue
        try:
            keys[kid] = ECKey.import_key(jwk)
            # The library makes the key when it is first used; a point off the curve shows then.
            _ = keys[kid].public_key
        except (JoseError, ValueError) as exc:
            raise ValueError("a key is malformed") from exc
    if not keys:
        raise ValueError("no key for ES256")
    return keys


def fetch_from(address: str, *, ca_file: Path | None = None) -> Fetch:
    """Return what fetches the key set at *address*.

    :param address: https; http only for this machine itself.
    :param ca_file: PEM, the only authorities of the gateway's certificate; default: the system's.
    :raises ValueError: for another address.
    """
    parts = urlsplit(address)
    if parts.scheme != "https" and not (
        parts.scheme == "http" and _is_loopback(parts.hostname or "")
    ):
        raise ValueError(f"{address}: https is wanted; whoever gives other keys decides who is in")
    pool = urllib3.PoolManager(
        retries=False,
        timeout=WAIT_SECONDS,
        ca_certs=None if ca_file is None else str(ca_file),
    )

    def fetch() -> bytes:
        try:
            response = pool.request("GET", address, redirect=False, preload_content=False)
            try:
                body = response.read(MAX_BYTES + 1)
            finally:
                # Never used again: what is left of an answer that was too long is not read.
                response.close()
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise KeysUnavailableError(
                f"the gateway's keys cannot be fetched: {type(exc).__name__}"
            ) from exc
        if response.status != 200:
            raise KeysUnavailableError(f"the gateway's keys: status {response.status}")
        return body

    return fetch


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
