"""What is told of a login, and what a way of telling it is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.identity import VerifiedIdentity


class NotSentError(Exception):
    """A notice did not go out; the text says why, and names nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginNotice:
    """A session was opened."""

    id: str
    """A random name of this notice."""
    at: datetime
    """Aware UTC."""
    identity: VerifiedIdentity
    session: str
    """The session's name, as in the audit log."""
    client: str | None
    """IP address of the browser, ``None`` where it is not known."""
    language: str
    """Of that browser: ``fr`` or ``en``."""


class Way(Protocol):
    """One way of telling."""

    name: str
    """For log and metrics."""

    def reaches(self, notice: LoginNotice) -> bool:
        """Return whether anybody would be told, without asking another machine."""

    def send(self, notice: LoginNotice) -> None:
        """Tell, and wait until it is taken.

        :raises NotSentError: where it was not.
        """
