"""The presence lease on the gateway's side: what a message about the card does to its session."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_encode
from cps.authtoken.jwk import AgentKey
from cps.authtoken.lease import LEASE_ID_BYTES, MAX_COUNTER, LeaseEvent, LeaseMessage
from gateway.errors import LoginRejectedError
from gateway.session.model import EndReason, SessionStore
from gateway.settings_presence import PresenceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a message did."""

    alive: bool
    """Whether the session, or the login that waits for its browser, still lives."""
    ended: tuple[bytes, EndReason] | None = None
    """Key of the session that the message ended, and why."""


class LeaseDesk:
    """Grants leases, and takes the messages about them.

    :param origin: the portal's, to which every message is bound.
    """

    def __init__(self, sessions: SessionStore, *, origin: str, settings: PresenceSettings) -> None:
        self._sessions = sessions
        self._origin = origin
        self._settings = settings
        self._endings = {
            LeaseEvent.REMOVED: EndReason.CARD_REMOVED,
            LeaseEvent.BYE: EndReason.AGENT_ENDED,
            LeaseEvent.LOCKED_END: EndReason.SCREEN_LOCKED,
        }
        if settings.locked == "end":
            self._endings[LeaseEvent.LOCKED] = EndReason.SCREEN_LOCKED

    def grant(self, agent_key: AgentKey | None, *, now: datetime) -> str | None:
        """Return the id of a new lease, ``None`` where sessions do without.

        :param agent_key: with which the login was claimed.
        :raises LoginRejectedError: RID_UNKNOWN for a login that never was.
        """
        if self._settings.mode == "off":
            return None
        if agent_key is None:
            raise LoginRejectedError(ErrorCode.RID_UNKNOWN, "no agent claimed this login")
        grace = timedelta(seconds=self._settings.grace_seconds)
        return self._sessions.open_lease(agent_key, grace=grace, now=now)

    def terms(self, lease: str | None) -> dict[str, object] | None:
        """Return what the agent is told of *lease*, as members of an answer."""
        if lease is None:
            return None
        settings = self._settings
        return {
            "id": lease,
            "heartbeat": settings.heartbeat_seconds,
            "grace": settings.grace_seconds,
        }

    def hear(self, message: LeaseMessage, *, now: datetime, client: str | None = None) -> Heard:
        """Do what *message* asks for, once.

        :param client: IP address of who sent it, for the record.
        :raises LoginRejectedError: SIG_INVALID for a message that the lease's own key did not
            sign for this gateway, REQUEST_FORBIDDEN for one that is not newer than the last.
        """
        key = self._sessions.lease_key(message.lease)
        if key is None:
            return Heard(alive=False)
        try:
            message.require_signed_by(key, origin=self._origin)
        except ValueError as exc:
            raise LoginRejectedError(ErrorCode.SIG_INVALID, str(exc)) from exc
        reason = self._endings.get(message.event)
        if reason is None:
            return Heard(alive=self._sessions.renew_lease(message.lease, message.counter, now=now))
        session = self._sessions.end_lease(
            message.lease, message.counter, reason, now=now, client=client
        )
        return Heard(alive=False, ended=None if session is None else (session, reason))


def give_back(sessions: SessionStore, lease: str | None, *, now: datetime) -> None:
    """End a lease for which no session will come; its agent hears it at its next message.

    :param lease: ``None`` where sessions do without.
    """
    if lease is not None:
        # Above what any message of the agent's can say; there is no session that has a reason.
        sessions.end_lease(lease, MAX_COUNTER + 1, EndReason.LOGOUT, now=now)


def new_lease_id() -> str:
    """Return a random name for a lease; it gives no right without the agent's key."""
    return b64url_encode(secrets.token_bytes(LEASE_ID_BYTES))


def stale_counter(counter: int) -> LoginRejectedError:
    """Return the refusal of a message that is repeated, or came after a later one."""
    return LoginRejectedError(
        ErrorCode.REQUEST_FORBIDDEN, f"counter {counter} is not above the last one"
    )


def lease_is_over() -> LoginRejectedError:
    """Return the refusal of a session whose lease ended before it began."""
    return LoginRejectedError(
        ErrorCode.CARD_REMOVED, "the lease was over before the browser came back"
    )
