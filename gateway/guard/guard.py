"""The decision on one request to a sensitive route: let it pass, slow it down, or refuse it."""

import asyncio
import ipaddress
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique
from typing import Protocol
from zoneinfo import ZoneInfo

from gateway.clock import Clock
from gateway.errors import StoreUnavailableError
from gateway.guard.routes import Match
from gateway.guard.rules import ALARMING, Effect, Rule, rules_of
from gateway.guard.slow import SlowLane, TooManySlowedError
from gateway.guard.store import (
    MAX_STEP,
    NUMBER_MODULUS,
    Block,
    GuardStore,
    Observation,
    Observed,
    Records,
    Requests,
    Run,
)
from gateway.journal.access import Access, RecordNames, normalised
from gateway.journal.line import FieldValue
from gateway.journal.ring import Keys
from gateway.metrics.model import Metrics
from gateway.session.model import EndReason, Session, SessionStore
from gateway.settings_guard import GuardSettings

THREADS = 4
"""Requests for which the store is asked at a time."""
ASK_TIME = timedelta(days=1)
"""How long the card is asked for: longer than any session lives."""
TELLING_TIME = timedelta(seconds=10)
"""How long what is being told is not told by others: longer than it takes to write it."""
UNTOLD_TIME = timedelta(milliseconds=1)
"""How long that holds once it could not be written."""
MAX_NUMBER_DIGITS = 30
"""Longest name of a record that is read as a number."""
LONG_NUMBER_DIGITS = 13
"""Numbers so long may end in check digits, so that neighbours are further apart; of shorter ones
a portal has so few that any two may be near each other."""
IPV4_NETWORK, IPV6_NETWORK = 24, 48
"""Bits of an address that name its network."""


@unique
class Refusal(StrEnum):
    """What a request is not let through for."""

    STEP_UP = "step_up"
    """The card has to sign again."""
    TOO_MANY = "too_many"
    """Too many requests of the session are slowed down already."""
    ENDED = "ended"
    """The session was ended."""
    BLOCKED = "blocked"
    """The identity stays out."""


class GuardRefusedError(Exception):
    """The guard does not let a request through."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class Audit(Protocol):
    """Where what the guard does is recorded; :class:`gateway.audit.AuditLog`."""

    def record(self, event: str, /, **fields: FieldValue) -> None:
        """Write one event.

        :raises StoreUnavailableError: where it cannot be written.
        """


class Alarms(Protocol):
    """Who is told at once; :class:`gateway.guard.alarm.AlarmSender`."""

    def send(self, facts: dict[str, FieldValue]) -> None:
        """Take an alarm, from any thread, without waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Broken:
    """A rule whose limit a request has reached."""

    rule: Rule
    count: int
    """0 where nothing is counted."""


class Guard:
    """Counts requests and applies the rules; every process of the gateway has one."""

    def __init__(
        self,
        settings: GuardSettings,
        *,
        store: GuardStore,
        sessions: SessionStore,
        keys: Keys,
        audit: Audit,
        alarms: Alarms,
        clock: Clock,
        counts: Metrics | None = None,
    ) -> None:
        """Take the rules and what they work with.

        :param keys: the newest names records; machines that share a store should share them, for
            a record seen by two of them counts twice otherwise.
        :param counts: where it is noted how near people are to the limits; default: nowhere.
        """
        self._rules = rules_of(settings)
        self._zone = ZoneInfo(settings.timezone)
        self._store = store
        self._sessions = sessions
        self._keys = keys
        self._names = RecordNames(keys, "hashed")
        self._audit = audit
        self._alarms = alarms
        self._clock = clock
        self._counts = counts
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="guard")
        self._slow_lane = SlowLane(settings.slow_seconds)

    def close(self) -> None:
        """End; nothing can be asked afterwards."""
        self._executor.shutdown()

    async def admit(self, match: Match, access: Access, session: Session) -> str | None:
        """Return when the request may pass, with the name of what was done to it.

        :raises GuardRefusedError: where it may not.
        :raises StoreUnavailableError: where nobody can say.
        """
        deciding = asyncio.get_running_loop().run_in_executor(
            self._executor, self._decide, match, access, session
        )
        # Whoever hangs up has asked nevertheless.
        effect = await asyncio.shield(deciding)
        if effect is Effect.SLOW:
            try:
                await self._slow_lane.wait(session.key)
            except TooManySlowedError as exc:
                raise GuardRefusedError(Refusal.TOO_MANY) from exc
        return None if effect is None else effect.name.lower()

    def _decide(self, match: Match, access: Access, session: Session) -> Effect | None:
        now = self._clock()
        rules = [rule for rule in self._rules if rule.is_about(access.route)]
        observed = self._store.observe(self._observation(rules, access), now=now)
        self._note_share(rules, observed)
        broken = list(self._broken(rules, observed, now))
        if observed.is_blocked:
            self._end_sessions(access.who, now)
            # Where what led to it could not be written before.
            self._tell(broken, access, now)
            raise GuardRefusedError(Refusal.BLOCKED)
        strongest = max((each.rule.effect for each in broken), default=None)
        # What keeps somebody out comes before what might fail.
        if strongest is Effect.BLOCK:
            name = next(each.rule.name for each in broken if each.rule.effect is strongest)
            self._store.block(Block(identity=access.who, rule=name, at=now))
            self._end_sessions(access.who, now)
        elif strongest is Effect.END_SESSION:
            self._sessions.end(session.key, EndReason.GUARD, now=now, client=access.client)
        asked_at = self._tell(broken, access, now) or observed.asked_at
        if strongest is Effect.BLOCK:
            raise GuardRefusedError(Refusal.BLOCKED)
        if strongest is Effect.END_SESSION:
            raise GuardRefusedError(Refusal.ENDED)
        fresh = match.route.fresh
        if (asked_at is not None and session.created_at < asked_at) or (
            fresh is not None and now - session.created_at > fresh
        ):
            raise GuardRefusedError(Refusal.STEP_UP)
        return None if strongest is Effect.STEP_UP else strongest

    def _observation(self, rules: Sequence[Rule], access: Access) -> Observation:
        requests, records, runs = [], [], []
        record = access.record
        digits = "" if record is None else _digits(record)
        number = self._blinded(digits, access.who) if digits else None
        near = MAX_STEP if len(digits) >= LONG_NUMBER_DIGITS else 1
        for rule in rules:
            key = _counted(rule, access)
            if rule.count == "requests":
                requests.append(Requests(key=key, span=rule.period))
            elif rule.count == "records" and record is not None:
                member = self._names.hashed(record)
                records.append(Records(key=key, member=member, span=rule.period, limit=rule.limit))
            elif rule.count == "sequence" and number is not None:
                runs.append(Run(key=key, number=number, near=near, keep=rule.period))
        watches_networks = any(rule.count == "new_network" for rule in rules)
        return Observation(
            identity=access.who,
            requests=tuple(requests),
            records=tuple(records),
            runs=tuple(runs),
            network=network_of(access.client) if watches_networks else None,
        )

    def _note_share(self, rules: Sequence[Rule], observed: Observed) -> None:
        limits = [rule.limit for rule in rules if rule.count == "records"]
        # Without a record none of them was counted.
        if self._counts is not None and observed.records:
            pairs = zip(observed.records, limits, strict=True)
            self._counts.record_share(max(count / limit for count, limit in pairs))

    def _broken(
        self, rules: Sequence[Rule], observed: Observed, now: datetime
    ) -> Iterator[_Broken]:
        # In the order in which they were asked for; those without a record were not.
        counts = {
            "requests": iter(observed.requests),
            "records": iter(observed.records),
            "sequence": iter(observed.runs),
        }
        for rule in rules:
            if rule.count in counts:
                count = next(counts[rule.count], 0)
                if count >= rule.limit:
                    yield _Broken(rule=rule, count=count)
            elif rule.count == "new_network":
                if observed.is_new_network:
                    yield _Broken(rule=rule, count=0)
            elif rule.is_outside_hours(now, self._zone):
                yield _Broken(rule=rule, count=0)

    def _tell(self, broken: Sequence[_Broken], access: Access, now: datetime) -> datetime | None:
        """Record what is told for the first time; return *now* where it asks for the card."""
        asked_at = None
        for each in broken:
            rule = each.rule
            what = _counted(rule, access)
            if rule.count == "new_network":
                what += f" {network_of(access.client)}"
            # Said for good only once it is written: whoever dies before leaves it to the next.
            if not self._store.is_first(access.who, what, keep=TELLING_TIME, now=now):
                continue
            if rule.effect is Effect.STEP_UP:
                self._store.ask_for_card(access.who, keep=ASK_TIME, now=now)
                asked_at = now
            facts: dict[str, FieldValue] = {
                "effect": rule.effect.name.lower(),
                "rule": rule.name,
                "count": each.count,
                "route": access.route,
                "national_id": access.who,
                "card_number": access.card,
                "session": access.session,
                "client": access.client,
            }
            if rule.effect in ALARMING:
                self._alarms.send(facts)
            try:
                self._audit.record("guard", **facts)
            except StoreUnavailableError:
                self._store.say(access.who, what, keep=UNTOLD_TIME, now=now)
                raise
            self._store.say(access.who, what, keep=rule.period, now=now)
        return asked_at

    def _end_sessions(self, identity: str, now: datetime) -> None:
        """End every session of *identity*, on whatever machine it began."""
        for session in list(self._sessions.living(now=now)):
            if session.identity.national_id == identity:
                self._sessions.end(session.key, EndReason.GUARD, now=now)

    def _blinded(self, digits: str, who: str) -> int:
        """Return a record's number plus a secret one, which leaves differences as they are."""
        blinding = self._keys().current.records.blinding(who)
        return (int(digits) + blinding) % NUMBER_MODULUS


def network_of(address: str) -> str:
    """Return the network that an IP address belongs to; an address as it is if it is none."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    bits = IPV4_NETWORK if ip.version == 4 else IPV6_NETWORK
    return str(ipaddress.ip_network((ip, bits), strict=False))


def _digits(record: str) -> str:
    """Return the digits of a record's name, none where they are no number to follow."""
    digits = "".join(c for c in normalised(record) if c.isascii() and c.isdecimal())
    return digits if len(digits) <= MAX_NUMBER_DIGITS else ""


def _counted(rule: Rule, access: Access) -> str:
    """Return the key under which a rule counts, or has told: of a session or of all together."""
    return f"{rule.name} {access.session}" if rule.is_per_session else rule.name
