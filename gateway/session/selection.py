"""Which of the living sessions an administrator means: by name, identity or card, or all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.session.model import Session, SessionStore
from gateway.session.recorder import session_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What must be true of a session; what is ``None`` may be anything."""

    name: str | None = None
    """As list and audit log give it."""
    identity: str | None = None
    """National number of a person."""
    card: str | None = None
    """Number of a card."""

    @property
    def is_everything(self) -> bool:
        """Whether every session of the portal is meant."""
        return self.name is None and self.identity is None and self.card is None

    def is_about(self, session: Session) -> bool:
        """Return whether *session* is meant."""
        return (
            (self.name is None or session_name(session.key) == self.name)
            and (self.identity is None or session.identity.national_id == self.identity)
            and (self.card is None or session.identity.card_number == self.card)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Some of the sessions that are meant."""

    sessions: Sequence[Session]
    """The oldest first."""
    count: int
    """How many there are in all."""


def find(
    store: SessionStore, selection: Selection, *, now: datetime, first: int = 0, most: int
) -> Found:
    """Return the sessions that are meant, not more than *most* of them.

    :param first: how many of the oldest are passed over.
    :raises StoreUnavailableError: where the store is away.
    """
    kept: list[Session] = []
    count = 0
    for session in filter(selection.is_about, store.living(now=now)):
        if count >= first and len(kept) < most:
            kept.append(session)
        count += 1
        if count > first + most and selection.is_everything:
            # The store knows how many there are, without reading each.
            return Found(sessions=kept, count=max(count, store.counts().sessions))
    return Found(sessions=kept, count=count)
