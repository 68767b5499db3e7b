"""Whom the guard keeps out: a good card does not let them in."""

from datetime import datetime

from cps.authtoken.codes import ErrorCode
from cps.authtoken.token import AuthToken
from gateway.errors import LoginRejectedError
from gateway.guard.store import GuardStore
from gateway.identity import VerifiedIdentity
from gateway.login.challenge import Challenge
from gateway.web.parts import Verifier


class UnblockedVerifier:
    """A :class:`gateway.web.parts.Verifier` that lets nobody in whom the guard blocked."""

    def __init__(self, verifier: Verifier, guard: GuardStore) -> None:
        self._verifier = verifier
        self._guard = guard

    def verify(self, token: AuthToken, challenge: Challenge, *, now: datetime) -> VerifiedIdentity:
        """Return who signed.

        :raises LoginRejectedError: with the first failed check; NOT_AUTHORISED for the blocked.
        :raises StoreUnavailableError: where nobody can say who is blocked.
        """
        identity = self._verifier.verify(token, challenge, now=now)
        if self._guard.is_blocked(identity.national_id):
            raise LoginRejectedError(ErrorCode.NOT_AUTHORISED, "blocked by the guard")
        return identity
