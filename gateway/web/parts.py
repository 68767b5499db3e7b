"""What the pages work with: the settings, the clock, the stores and who decides, records, signs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cps.authtoken.token import AuthToken
from gateway.clock import Clock
from gateway.guard.store import GuardStore
from gateway.identity import VerifiedIdentity
from gateway.journal.line import FieldValue
from gateway.login.challenge import Challenge, ChallengeStore
from gateway.notify.notice import LoginNotice
from gateway.session.model import SessionStore
from gateway.settings import Settings


class Verifier(Protocol):
    """Who decides on a login; :class:`gateway.login.verify.LoginVerifier`."""

    def verify(self, token: AuthToken, challenge: Challenge, *, now: datetime) -> VerifiedIdentity:
        """Return who signed.

        :raises LoginRejectedError: with the first failed check.
        """


class Audit(Protocol):
    """Where decisions are recorded; :class:`gateway.audit.AuditLog`."""

    def record(self, event: str, /, **fields: FieldValue) -> None:
        """Write one event.

        :raises StoreUnavailableError: where it cannot be written.
        """


class Signer(Protocol):
    """Who signs assertions to the portal; :class:`gateway.assertion.AssertionSigner`."""

    def jwks(self, now: datetime) -> dict[str, object]:
        """Return the public keys with which assertions are checked *now*, as a JWK set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything the views use; nothing else reaches them."""

    settings: Settings
    clock: Clock
    challenges: ChallengeStore
    sessions: SessionStore
    verifier: Verifier
    audit: Audit
    signer: Signer
    tell_login: Callable[[LoginNotice], None]
    """Takes the notice of each login, without waiting and without an error."""
    guard: GuardStore | None
    """Who is kept out; ``None`` where no route is sensitive."""
