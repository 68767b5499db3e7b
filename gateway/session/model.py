"""A session: who is in, by which card, until when."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
    CARD_REMOVED = "card_removed"
    """The card left its reader, or the reader or its service went away."""
    AGENT_ENDED = "agent_ended"
    SCREEN_LOCKED = "screen_locked"
    CARD_REVOKED = "card_revoked"
    """The card was revoked, or put on hold, after it had logged in."""
    GUARD = "guard"
    """It did what nobody does in the course of ordinary work."""
    PRESENCE_LOST = "presence_lost"
    """Nothing was heard of the card for too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session as the store holds it; the cookie itself is nowhere, only its hash."""

    key: bytes
    """SHA-256 of the cookie's 32 bytes: the session's name inside the gateway."""
    identity: VerifiedIdentity
    agent_key: AgentKey
    """The key that the card vouched for: messages about the lease are signed by it."""
    created_at: datetime
    seen_at: datetime
    """Last request, exact to the touch interval."""
    present_until: datetime | None = None
    """When the session is over unless the agent says before that the card is there; ``None`` for a
    session that does without a lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnd:
    """The end of a session, as it is recorded."""

    key: bytes
    """The session's; see :class:`Session`."""
    national_id: str
    """Whose it was."""
    reason: str
    """An :class:`EndReason`, or one that only a newer gateway knows."""
    at: datetime
    client: str | None
    """IP address of who ended it, ``None`` where no request did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCounts:
    """How much a store holds now."""

    sessions: int
    leases: int
    """Of sessions, and of logins whose browser is not back yet."""
    unrecorded_ends: int
    """Ends of sessions that wait for their line in the audit log."""


class SessionStore(Protocol):
    """Where sessions live; one contract suite runs on every implementation.

    Every method raises :class:`gateway.errors.StoreUnavailableError` where the store is away.
    """

    def open_lease(self, agent_key: AgentKey, *, grace: timedelta, now: datetime) -> str:
        """Return the id of a new lease, which waits for its session during *grace*.

        :param agent_key: by which messages about the lease are signed.
        :param grace: the lease is over where nothing is heard of the card for so long.
        """

    def create(
        self,
        identity: VerifiedIdentity,
        agent_key: AgentKey,
        *,
        now: datetime,
        lease: str | None = None,
    ) -> bytes:
        """Return the 32 random bytes of a new session's cookie.

        :param lease: from :meth:`open_lease`, used once: the session ends with it.
        :raises LoginRejectedError: CARD_REMOVED for a lease that is over already.
        """

    def get(self, key: bytes, *, now: datetime) -> Session:
        """Return the living session, marking it as seen at most every touch interval.

        A session past its idle or absolute limit, or its lease, is ended here, with that reason.

        :param key: SHA-256 of the cookie's bytes.
        :raises SessionRequiredError: where there is none that is valid at *now*.
        """

    def end(
        self, key: bytes, reason: EndReason, *, now: datetime, client: str | None = None
    ) -> bool:
        """End the session everywhere, and its lease; return whether it was alive.

        :param client: IP address of who asked for it, for the record.
        """

    def why_ended(self, key: bytes) -> EndReason | None:
        """Return why the session *key* ended, as long as that is told by :meth:`ended_since`."""

    def ended_since(self, cursor: int, *, now: datetime) -> tuple[int, Sequence[bytes]]:
        """Return the keys of sessions ended after *cursor*, and the cursor for the next call.

        Limits and leases are enforced here too, so that an open stream does not outlive its
        session.
        """

    def record_ends(self, record: Callable[[SessionEnd], None], *, now: datetime) -> int:
        """Hand each end that is not yet recorded to *record*, oldest first; return how many.

        However many processes ask, one gets each end. One whose *record* raises, or whose process
        dies meanwhile, is handed out again later.
        """

    def living(self, *, now: datetime) -> Iterator[Session]:
        """Return the sessions that live at *now*, the oldest first; nothing is ended or noted."""

    def counts(self) -> SessionCounts:
        """Return how much there is, without looking at each."""

    def lease_key(self, lease: str) -> AgentKey | None:
        """Return the key of a lease, ``None`` where there is no such lease any more."""

    def renew_lease(self, lease: str, counter: int, *, now: datetime) -> bool:
        """Note that the card is there; return whether the lease still runs.

        One atomic step. A lease that waits for its session is not prolonged.

        :param counter: of the message, whose signature was checked.
        :raises LoginRejectedError: REQUEST_FORBIDDEN for a counter that is not above the last.
        """

    def end_lease(
        self,
        lease: str,
        counter: int,
        reason: EndReason,
        *,
        now: datetime,
        client: str | None = None,
    ) -> bytes | None:
        """End a lease and its session, as one step; return the session's key if there was one.

        :param counter: of the message, whose signature was checked.
        :param client: IP address of who sent it, for the record.
        :raises LoginRejectedError: REQUEST_FORBIDDEN for a counter that is not above the last.
        """
