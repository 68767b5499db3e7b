"""A session: who is in, by which card, until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from typing import Protocol

from cps.authtoken.jwk import AgentKey
from gateway.identity import VerifiedIdentity


@unique
class EndReason(StrEnum):
    """Why a session ended."""

    LOGOUT = "logout"
    IDLE = "idle"
    ABSOLUTE = "absolute"
    REPLACED = "replaced"
    """The same browser logged in again."""
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session as the store holds it; the cookie itself is nowhere, only its hash."""

    key: bytes
    """SHA-256 of the cookie's 32 bytes: the session's name inside the gateway."""
    identity: VerifiedIdentity
    agent_key: AgentKey
    """The key that the card vouched for: the presence lease will be signed by it."""
    created_at: datetime
    seen_at: datetime
    """Last request, exact to the touch interval."""


class SessionStore(Protocol):
    """Where sessions live; one contract suite runs on every implementation.

    Every method raises :class:`gateway.errors.StoreUnavailableError` where the store is away.
    """

    def create(self, identity: VerifiedIdentity, agent_key: AgentKey, *, now: datetime) -> bytes:
        """Return the 32 random bytes of a new session's cookie."""

    def get(self, key: bytes, *, now: datetime) -> Session:
        """Return the living session, marking it as seen at most every touch interval.

        A session past its idle or absolute limit is ended here, with that reason.

        :param key: SHA-256 of the cookie's bytes.
        :raises SessionRequiredError: where there is none that is valid at *now*.
        """

    def end(self, key: bytes, reason: EndReason, *, now: datetime) -> bool:
        """End the session everywhere; return whether it was alive."""

    def ended_since(self, cursor: int, *, now: datetime) -> tuple[int, Sequence[bytes]]:
        """Return the keys of sessions ended after *cursor*, and the cursor for the next call.

        Limits are enforced here too, so that an open stream does not outlive its session.

        :param cursor: 0 for the first call, which belongs before the first session is let in.
        :raises StoreReplacedError: where the store no longer has the past that *cursor* stands
            for: every session known so far is over. It holds the cursor for the next call.
        """
