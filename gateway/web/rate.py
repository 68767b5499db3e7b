"""How often one address may ask for a login, and one person be let in: counted before all else."""

import ipaddress
import math
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType

from flask import Flask, request
from limits import RateLimitItemPerMinute

from cps.authtoken.token import AuthToken
from gateway.clock import Clock
from gateway.errors import TooManyRequestsError
from gateway.identity import VerifiedIdentity
from gateway.login.challenge import Challenge
from gateway.rates import CountingMemory, MakeCounters
from gateway.settings import RateSettings
from gateway.web.inbound import KNOWN_ADDRESSES, client_address
from gateway.web.parts import Audit, Verifier

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "/_cps/login": "login",
        "/_cps/start": "login",
        "/_cps/start/answer": "login",
        "/_cps/agent/claim": "claim",
        "/_cps/agent/begin": "claim",
        "/_cps/agent/token": "token",
        # A claim ends in one of the two.
        "/_cps/agent/abort": "token",
        "/_cps/agent/lease": "lease",
        "/_cps/callback": "callback",
    }
)
"""The paths that are counted by address, each with the name of what it counts as: all of which a
refusal is recorded."""
ENTER = "enter"
"""What the relay counts as, for a browser that it leads to the login page."""
_IDENTITY = "identity"
COUNTED = (*dict.fromkeys(KINDS.values()), ENTER, _IDENTITY)
"""The names of all that is counted."""
_NETWORK_BITS = 64
"""Of an IPv6 address: what one household or site is given, whose every address is its own."""


class Rates:
    """Counts, and refuses what is too much.

    :param make_counters: for each of ``COUNTED``; default: in this process alone.
    """

    def __init__(
        self,
        settings: RateSettings,
        *,
        clock: Clock,
        audit: Audit,
        make_counters: MakeCounters | None = None,
    ) -> None:
        make = make_counters or CountingMemory(COUNTED).counters
        self._clock = clock
        self._audit = audit
        self._limits = {
            kind: (RateLimitItemPerMinute(amount), make(kind, clock))
            for kind, amount in (
                ("login", settings.login_per_minute),
                # The login page comes next.
                (ENTER, settings.login_per_minute),
                ("claim", settings.claim_per_minute),
                ("token", settings.token_per_minute),
                # A good token ends in one callback.
                ("callback", settings.token_per_minute),
                ("lease", settings.lease_per_minute),
                (_IDENTITY, settings.identity_per_minute),
            )
        }

    def require_address(self, kind: str, address: str | None) -> None:
        """Count one request of *address*.

        :param kind: one of the values of ``KINDS``, or ``ENTER``.
        :param address: as the edge in front wrote it; those without one are counted together.
        :raises TooManyRequestsError: past the limit of this minute; the audit log gets one line a
            minute of it, or a flood would fill the disk.
        :raises StoreUnavailableError: where nothing can be counted.
        """
        count, limit = self._count(kind, network_of(address))
        if count <= limit:
            return
        if count == limit + 1:
            self._audit.record("rate_limited", kind=kind, client=address, per_minute=limit)
        raise self._error(kind, f"more than {limit} a minute from one address", recorded=True)

    def require_identity(self, identity: VerifiedIdentity) -> None:
        """Count one accepted login of *identity*.

        :raises TooManyRequestsError: past the limit of this minute.
        :raises StoreUnavailableError: where nothing can be counted.
        """
        count, limit = self._count(_IDENTITY, identity.national_id)
        if count > limit:
            reason = f"more than {limit} logins a minute of one person"
            raise self._error(_IDENTITY, reason, recorded=False)

    def _count(self, kind: str, subject: str) -> tuple[int, int]:
        item, counters = self._limits[kind]
        return counters.incr(item.key_for(subject), item.get_expiry()), item.amount

    def _error(self, kind: str, reason: str, *, recorded: bool) -> TooManyRequestsError:
        item, counters = self._limits[kind]
        remaining = counters.get_expiry(item.key_for()) - self._clock().timestamp()
        seconds = max(1, math.ceil(remaining))
        return TooManyRequestsError(f"{kind}: {reason}", seconds, recorded=recorded)


class RatedVerifier:
    """Decides as *verifier* does, and lets one person in only so often."""

    def __init__(self, verifier: Verifier, rates: Rates) -> None:
        self._verifier = verifier
        self._rates = rates

    def verify(self, token: AuthToken, challenge: Challenge, *, now: datetime) -> VerifiedIdentity:
        """Return who signed.

        :raises LoginRejectedError: with the first failed check; counting is the last.
        :raises StoreUnavailableError: where nothing can be counted.
        """
        identity = self._verifier.verify(token, challenge, now=now)
        self._rates.require_identity(identity)
        return identity


def limit_rates(app: Flask, rates: Rates) -> None:
    """Have *app* count before it looks at anything else of a request."""

    @app.before_request
    def _count() -> None:
        kind = KINDS.get(request.path)
        if kind is not None:
            rates.require_address(kind, client_address())


@lru_cache(maxsize=KNOWN_ADDRESSES)
def network_of(address: str | None) -> str:
    """Return what is counted together with *address*: itself, or its IPv6 network.

    :param address: an IP address, or ``None`` where it is not known.
    """
    if address is None:
        return "unknown"
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), _NETWORK_BITS), strict=False))
