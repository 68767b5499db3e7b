"""The way from a login that began here to the browser: an address of ours, good once, and soon.

A browser is told an address by its command line, which other users of the machine can read. So it
is told one of the agent's own, which is of no use to them: the agent refuses their connections
before it looks at the key, and only its answer, which no command line holds, has the code.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from cps.agent.checks import START_PATH, Refusal, RefusedRequestError
from cps.authtoken.encoding import b64url_encode

KEY_BYTES = 32
KEY_SECONDS = 15.0
"""How long a browser may take to start; a gateway's code lives no longer either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    key: str = field(repr=False)
    address: str = field(repr=False)
    ends_at: float


class Handover:
    """Keeps one address at most, and gives it out once; for one thread, that of the event loop.

    :param clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._kept: _Kept | None = None

    def keep(self, address: str) -> str:
        """Keep *address* in the place of any other.

        :param address: where the browser is to go; it holds a code.
        :returns: path and query at which the agent gives it out.
        """
        key = b64url_encode(secrets.token_bytes(KEY_BYTES))
        self._kept = _Kept(key=key, address=address, ends_at=self._clock() + KEY_SECONDS)
        return f"{START_PATH}?k={key}"

    def take(self, key: str) -> str:
        """Return the address that *key* was made for, once.

        :raises RefusedRequestError: START_KEY for a wrong key, which uses nothing up, and for one
            whose time is over.
        """
        kept = self._kept if self.waits() else None
        if kept is None or not hmac.compare_digest(kept.key, key):
            raise RefusedRequestError(Refusal.START_KEY)
        self._kept = None
        return kept.address

    def waits(self) -> bool:
        """Return whether an address still waits for its browser."""
        if self._kept is not None and self._clock() >= self._kept.ends_at:
            self._kept = None
        return self._kept is not None
