"""What the guard remembers, shared by every process and machine: one contract, two stores."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

MAX_STEP = 200
"""Numbers that are at most so far apart are consecutive: two digits at the end of a social security
number follow from the others."""
MAX_NUMBERS = 1000
"""Numbers remembered of one run; the ones not seen for longest go."""
MAX_NETWORKS = 50
"""Networks remembered of one identity; the ones not seen for longest go."""
NETWORK_TIME = timedelta(days=90)
"""How long a network is remembered."""
NUMBER_MODULUS = 2**48
"""Numbers are blinded by adding a secret one, modulo this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Requests to be counted in a span of the clock, such as this minute."""

    key: str
    """Names who is counted, and where."""
    span: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Distinct records to be counted in the time before now."""

    key: str
    member: str
    """The record that is asked for now."""
    span: timedelta
    limit: int
    """Most records that are remembered; what is counted never exceeds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A number, of a run of consecutive ones."""

    key: str
    number: int
    """Below ``NUMBER_MODULUS``."""
    near: int
    """How far apart numbers are neighbours, whatever was asked for between them."""
    keep: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One request, and what is to be counted with it."""

    identity: str
    requests: tuple[Requests, ...] = ()
    records: tuple[Records, ...] = ()
    runs: tuple[Run, ...] = ()
    network: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The counts with this request in them, in the order of the observation."""

    requests: tuple[int, ...]
    records: tuple[int, ...]
    runs: tuple[int, ...]
    """How many consecutive numbers there were, this one included: one after another, or as
    neighbours of others in the time for which numbers are kept."""
    is_new_network: bool
    """Whether the identity has been seen, but never from this network."""
    is_blocked: bool
    asked_at: datetime | None
    """When the card was last asked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """An identity that stays out."""

    identity: str
    rule: str
    """What it was blocked by."""
    at: datetime


class GuardStore(Protocol):
    """Where counts live; one contract suite runs on every implementation.

    Every method is one atomic step, and raises :class:`gateway.errors.StoreUnavailableError` where
    the store is away.
    """

    def observe(self, observation: Observation, *, now: datetime) -> Observed:
        """Count one request and return the counts."""

    def is_first(self, identity: str, what: str, *, keep: timedelta, now: datetime) -> bool:
        """Return whether *what* was not said of *identity* in the time *keep*; who asks says it."""

    def say(self, identity: str, what: str, *, keep: timedelta, now: datetime) -> None:
        """Note that *what* was said of *identity*, for the time *keep* from now, not any other.

        :param keep: a millisecond or more.
        """

    def ask_for_card(self, identity: str, *, keep: timedelta, now: datetime) -> None:
        """Note that sessions older than *now* need the card's signature anew.

        :param keep: how long that holds.
        """

    def block(self, block: Block) -> bool:
        """Keep an identity out until it is cleared; return whether it was not blocked before."""

    def is_blocked(self, identity: str) -> bool:
        """Return whether *identity* is kept out."""

    def blocks(self) -> Sequence[Block]:
        """Return who is kept out, the earliest first."""

    def clear(self, identity: str) -> bool:
        """Let *identity* in again, all its counts forgotten; return whether it was blocked."""
