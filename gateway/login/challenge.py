"""A challenge: one login attempt, from the page that offers it to the code that ends it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, unique
from typing import Protocol

from cps.authtoken.codes import ErrorCode
from cps.authtoken.jwk import AgentKey
from gateway.identity import VerifiedIdentity


@unique
class ChallengeState(StrEnum):
    """How far a login attempt is; it only moves down this list."""

    NEW = "new"
    CLAIMED = "claimed"
    TAKEN = "taken"
    """The token arrived: whatever the outcome, no second token is looked at."""
    VERIFIED = "verified"
    OFFERED = "offered"
    """Begun by an agent, and now in a browser whose person is asked whether to go on."""
    USED = "used"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A login attempt as the store holds it; `repr` shows no nonce."""

    rid: str
    """Request id: 16 bytes in base64url, public."""
    nonce: "Nonce"
    target: str
    """Path of the same origin to return to."""
    agent_key: AgentKey | None
    """The agent's key, from the claim on."""
    expires_at: datetime


class Nonce(bytes):
    """32 random bytes that neither `repr` nor a log shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Nonce(hidden)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedLogin:
    """What a redeemed code stands for."""

    identity: VerifiedIdentity
    agent_key: AgentKey
    target: str
    lease: str | None = None
    """The lease that the session is to have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A login that an agent began, as it is put to the person in front of a browser."""

    rid: str
    identity: VerifiedIdentity
    answer_code: str = field(repr=False)
    """Goes with the answer; good once, in this browser."""


class ChallengeStore(Protocol):
    """Login attempts; each change of state is one atomic step, whoever else tries it at once.

    A browser begins an attempt (:meth:`create`, :meth:`claim`, :meth:`redeem`), or an agent does
    (:meth:`begin`, :meth:`offer`, :meth:`settle`). What lies between is the same for both; neither
    kind can take a step of the other.

    Every method raises :class:`gateway.errors.StoreUnavailableError` where the store is away, and
    refuses with :class:`gateway.errors.LoginRejectedError`.
    """

    def keep_target(self, target: str, *, now: datetime) -> str:
        """Keep the path to return to and return its random id; the oldest go past the limit."""

    def create(self, *, target_id: str | None, pre_hash: bytes, now: datetime) -> Challenge:
        """Return a new challenge bound to the browser whose pre-session cookie has *pre_hash*.

        :param target_id: from :meth:`keep_target`; unknown or ``None`` leads to ``/``.
        :param pre_hash: SHA-256 of the cookie's 32 bytes.
        """

    def begin(self, agent_key: AgentKey, *, now: datetime) -> Challenge:
        """Return a new challenge that *agent_key* began, ``claimed`` by it and in no browser."""

    def knows_browser(self, pre_hash: bytes, *, now: datetime) -> bool:
        """Return whether a living challenge is bound to *pre_hash*: the cookie may serve again."""

    def claim(self, rid: str, agent_key: AgentKey, *, now: datetime) -> Challenge:
        """Move ``new`` to ``claimed`` and return the challenge, once.

        :raises LoginRejectedError: RID_UNKNOWN, RID_EXPIRED or RID_USED.
        """

    def take(self, rid: str, *, now: datetime) -> Challenge:
        """Move ``claimed`` to ``taken`` and return the challenge, once: no outcome can reuse it.

        :raises LoginRejectedError: RID_UNKNOWN (also where unclaimed), RID_EXPIRED or RID_USED.
        """

    def fail(self, rid: str, code: ErrorCode | None = None) -> None:
        """Move any unfinished state to ``failed``.

        :param code: why, for the browser that began.
        """

    def claimant(self, rid: str) -> AgentKey | None:
        """Return the key with which *rid* was claimed, ``None`` where no token is waited for."""

    def abort(self, rid: str, agent_key: AgentKey, code: ErrorCode, *, now: datetime) -> None:
        """Move ``claimed``, by *agent_key*, to ``failed``, once.

        :param code: why, for the browser that began.
        :raises LoginRejectedError: RID_UNKNOWN (also where unclaimed), RID_EXPIRED or RID_USED.
        """

    def failure(self, rid: str) -> ErrorCode | None:
        """Return why *rid* failed, ``None`` where it did not or nobody said."""

    def complete(
        self, rid: str, identity: VerifiedIdentity, *, now: datetime, lease: str | None = None
    ) -> str:
        """Move ``taken`` to ``verified`` and return the one-time code, of which a hash is kept.

        :param lease: what :meth:`redeem` or :meth:`settle` is to give to the session.
        :raises LoginRejectedError: RID_EXPIRED or RID_USED.
        """

    def redeem(self, code: str, pre_hash: bytes | None, *, now: datetime) -> CompletedLogin:
        """Move ``verified`` to ``used`` for the right code in the right browser, once.

        A right code with a wrong or missing cookie moves to ``failed``: it was seen elsewhere. So
        does that of an attempt that an agent began, which is in no browser.

        :raises LoginRejectedError: CODE_INVALID, COOKIE_MISSING or BROWSER_MISMATCH.
        """

    def offer(self, code: str, pre_hash: bytes, *, now: datetime) -> Offer:
        """Move ``verified``, begun by an agent, to ``offered`` in the browser of *pre_hash*, once.

        The code of an attempt that a browser began moves it to ``failed``: it was seen elsewhere.

        :raises LoginRejectedError: CODE_INVALID.
        """

    def settle(self, answer_code: str, pre_hash: bytes | None, *, now: datetime) -> CompletedLogin:
        """Move ``offered`` to ``used``, once, for the answer of the person, whichever it is.

        The right answer code with a wrong or missing cookie moves to ``failed``.

        :raises LoginRejectedError: CODE_INVALID, COOKIE_MISSING or BROWSER_MISMATCH.
        """

    def state(self, rid: str, pre_hash: bytes, *, now: datetime) -> ChallengeState:
        """Return how far *rid* is, to the browser that began it.

        :raises LoginRejectedError: RID_UNKNOWN, RID_EXPIRED or BROWSER_MISMATCH.
        """
