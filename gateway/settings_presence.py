"""``[presence]``: whether a session ends when the card leaves its reader, and how fast."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

HEARTBEATS_IN_GRACE = 2
"""Fewest heartbeats that ``grace_seconds`` has room for, so that one that is lost ends nothing."""


class PresenceSettings(BaseModel):
    """``[presence]``: the lease on the card's presence, which every login from then on gets."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    mode: Literal["required", "off"] = "required"
    """``required``, the default, ends a session with the card's presence; ``off`` does not."""
    heartbeat_seconds: Annotated[int, Field(ge=1, le=120)] = 20
    """Time between two messages of the agent, seconds, 1 to 120, default 20."""
    grace_seconds: Annotated[int, Field(ge=5, le=600)] = 60
    """Silence of the agent that ends the session, seconds, 5 to 600, default 60."""
    locked: Literal["ignore", "end"] = "ignore"
    """What a locked screen does to the session: ``ignore``, the default, or ``end``."""


def presence_contradictions(
    presence: PresenceSettings, *, code_seconds: int
) -> Iterator[tuple[str, str]]:
    """Name each pair of settings, good alone, that cannot stand together.

    :param code_seconds: ``login.code_seconds``, for which a lease waits for its session.
    """
    if presence.grace_seconds < HEARTBEATS_IN_GRACE * presence.heartbeat_seconds:
        reason = f"must reach {HEARTBEATS_IN_GRACE} times presence.heartbeat_seconds"
        yield "presence.grace_seconds", reason
    if presence.grace_seconds < code_seconds:
        yield "presence.grace_seconds", "must reach login.code_seconds"
