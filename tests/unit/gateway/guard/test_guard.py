import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.database import Database
from gateway.errors import SessionRequiredError, StoreUnavailableError
from gateway.guard.guard import TELLING_TIME, Guard, GuardRefusedError, Refusal, network_of
from gateway.guard.routes import SensitiveRoutes
from gateway.guard.sqlite import DATABASE_FILE, SCHEMA, SQLiteGuardStore
from gateway.journal.access import Access
from gateway.journal.line import FieldValue
from gateway.session.cookie import cookie_hash
from gateway.session.memory import MemorySessionStore
from gateway.settings import SessionSettings
from gateway.settings_guard import GuardSettings, RouteSettings, RuleSettings
from tests.support.chains import new_ring
from tests.support.relay import PERSON, new_agent_key
from tests.support.watching import ListedAlarms, ListedAudit

NIGHT = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
ROUTES = (
    RouteSettings(name="rights", path="/rights/{record}"),
    RouteSettings(name="export", path="/export"),
)


class Watchman:
    """A guard, and a person that it watches."""

    def __init__(self, folder: Path, *rules: RuleSettings) -> None:
        self.now = NIGHT
        self.database = Database(folder / DATABASE_FILE, schema=SCHEMA)
        self.store = SQLiteGuardStore(self.database)
        self.sessions = MemorySessionStore(SessionSettings())
        self.audit = ListedAudit()
        self.alarms = ListedAlarms()
        self.routes = SensitiveRoutes(ROUTES)
        self.client = "192.0.2.7"
        self.ring = new_ring()
        self.rules = rules
        self.guard = self._new_guard()
        self.log_in()

    def _new_guard(self) -> Guard:
        return Guard(
            GuardSettings(routes=ROUTES, rules=self.rules, slow_seconds=1),
            store=self.store,
            sessions=self.sessions,
            keys=lambda: self.ring,
            audit=self.audit,
            alarms=self.alarms,
            clock=lambda: self.now,
        )

    def use_audit(self, audit: ListedAudit) -> None:
        """Go on with another audit log."""
        self.guard.close()
        self.audit = audit
        self.guard = self._new_guard()

    def log_in(self) -> None:
        cookie = self.sessions.create(PERSON, new_agent_key(), now=self.now)
        self.session = self.sessions.get(cookie_hash(cookie), now=self.now)

    def ask(self, target: str) -> str | None:
        """Return what was done to a request: nothing, an effect, or a refusal."""
        match = self.routes.match("GET", target)
        assert match is not None
        access = Access(
            who=PERSON.national_id,
            card=PERSON.card_number,
            session=self.session.key.hex()[:16],
            client=self.client,
            route=match.route.name,
            method="GET",
            record=match.record,
        )
        try:
            return asyncio.run(self.guard.admit(match, access, self.session))
        except GuardRefusedError as exc:
            return exc.refusal

    def lives(self) -> bool:
        try:
            self.sessions.get(self.session.key, now=self.now)
        except SessionRequiredError:
            return False
        return True

    def close(self) -> None:
        self.guard.close()
        self.database.close()


@pytest.fixture
def watch(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Watchman]:
    watchman = Watchman(tmp_path, *request.param)
    yield watchman
    watchman.close()


def records(limit: int, **more: object) -> RuleSettings:
    facts = {"count": "records", "limit": limit, "per": "hour", "effect": "block", **more}
    return RuleSettings.model_validate(facts)


@pytest.mark.parametrize("watch", [[records(3)]], indirect=True)
def test_the_record_that_reaches_the_limit_is_refused_already(watch: Watchman) -> None:
    asked = [watch.ask(f"/rights/{n}") for n in ("a", "b", "a", "b", "c")]
    assert asked == [None, None, None, None, Refusal.BLOCKED]
    assert not watch.lives()
    assert [event["rule"] for event in watch.audit.events] == ["records identity 3 hour block"]
    assert [alarm["count"] for alarm in watch.alarms.sent] == [3]


@pytest.mark.parametrize("watch", [[records(3)]], indirect=True)
def test_records_of_an_hour_ago_do_not_count(watch: Watchman) -> None:
    for name in "abcdef":
        assert watch.ask(f"/rights/{name}") is None
        watch.now += timedelta(minutes=31)


@pytest.mark.parametrize("watch", [[records(3, routes=["export"])]], indirect=True)
def test_a_rule_may_be_about_one_route_alone(watch: Watchman) -> None:
    assert [watch.ask(f"/rights/{n}") for n in range(5)] == [None] * 5


@pytest.mark.parametrize("watch", [[records(2, of="session")]], indirect=True)
def test_a_rule_may_count_each_session_apart(watch: Watchman) -> None:
    assert watch.ask("/rights/a") is None
    watch.log_in()
    assert watch.ask("/rights/b") is None
    assert watch.ask("/rights/c") == Refusal.BLOCKED


STRONGEST = [
    records(2, effect="alarm"),
    records(3, effect="end_session"),
    records(2, effect="log"),
]


@pytest.mark.parametrize("watch", [STRONGEST], indirect=True)
def test_the_strongest_effect_decides_and_each_is_told_once(watch: Watchman) -> None:
    assert [watch.ask(f"/rights/{n}") for n in "ab"] == [None, "alarm"]
    assert watch.ask("/rights/a") == "alarm"
    assert watch.ask("/rights/c") == Refusal.ENDED
    assert watch.audit.values("effect") == ["alarm", "log", "end_session"]
    assert [alarm["effect"] for alarm in watch.alarms.sent] == ["alarm", "end_session"]


SEQUENCE = [RuleSettings(count="sequence", limit=4, effect="end_session")]


@pytest.mark.parametrize("watch", [SEQUENCE], indirect=True)
@pytest.mark.parametrize(
    "names",
    [
        ["100", "101", "102", "103"],
        ["D-0103", "D-0102", "D-0101", "D-0100"],
        ["185017500000101", "185017500000298", "185017500000396", "185017500000493"],
    ],
    ids=["numbers", "letters and numbers", "social security numbers with their key"],
)
def test_who_walks_through_numbers_is_stopped(watch: Watchman, names: list[str]) -> None:
    assert [watch.ask(f"/rights/{n}") for n in names] == [None, None, None, Refusal.ENDED]


@pytest.mark.parametrize("watch", [SEQUENCE], indirect=True)
@pytest.mark.parametrize(
    "names",
    [
        ["100", "9000", "101", "9001", "102", "9002"],
        ["100", "9000", "101", "9500", "102", "9900", "103"],
        ["185017500000101", "285017500000195", "185017500000298", "285017500000292",
         "185017500000396", "285017500000389"],
        ["100", "5000", "9000", "101", "100", "9001", "5001"],
    ],
    ids=["two in turns", "hidden among others", "with their keys", "repeated between"],
)  # fmt: skip
def test_who_walks_through_numbers_in_turns_is_stopped(watch: Watchman, names: list[str]) -> None:
    asked = [watch.ask(f"/rights/{n}") for n in names]
    assert asked[-1] == Refusal.ENDED
    assert asked[:4] == [None] * 4


@pytest.mark.parametrize("watch", [SEQUENCE], indirect=True)
def test_numbers_of_patients_are_no_walk(watch: Watchman) -> None:
    names = [
        "1850175000001",
        "2910613000017",
        "1850175000001",
        "1790999000003",
        "abc",
        "é",
        "9" * 40,
    ]
    assert [watch.ask(f"/rights/{n}") for n in names] == [None] * 7


HOURS = [RuleSettings(count="outside_hours", hours="07:00-21:00", effect="alarm")]


@pytest.mark.parametrize("watch", [HOURS], indirect=True)
def test_requests_at_night_are_told_once(watch: Watchman) -> None:
    assert [watch.ask("/rights/a") for _ in range(3)] == ["alarm"] * 3
    assert len(watch.alarms.sent) == 1
    watch.now += timedelta(hours=8)
    assert watch.ask("/rights/a") is None


NETWORK = [RuleSettings(count="new_network", effect="alarm")]


@pytest.mark.parametrize("watch", [NETWORK], indirect=True)
def test_a_new_network_is_told_each_time_there_is_one(watch: Watchman) -> None:
    for client, effect in (
        ("192.0.2.7", None),
        ("192.0.2.99", None),
        ("198.51.100.1", "alarm"),
        ("198.51.100.2", None),
        ("2001:db8::1", "alarm"),
        ("2001:db8:0:ffff::1", None),
    ):
        watch.client = client
        assert watch.ask("/rights/a") == effect, client
    assert len(watch.alarms.sent) == 2


STEP_UP = [records(2, effect="step_up")]


@pytest.mark.parametrize("watch", [STEP_UP], indirect=True)
def test_the_card_is_asked_for_in_every_session_that_is_older(watch: Watchman) -> None:
    older = watch.session
    watch.now += timedelta(seconds=1)
    assert [watch.ask(f"/rights/{n}") for n in "ab"] == [None, Refusal.STEP_UP]
    watch.now += timedelta(seconds=1)
    watch.log_in()
    assert watch.ask("/rights/c") is None
    watch.session = older
    assert watch.ask("/export") == Refusal.STEP_UP


@pytest.mark.parametrize("watch", [[records(2)]], indirect=True)
def test_a_blocked_identity_is_out_in_all_its_sessions(watch: Watchman) -> None:
    older = watch.session
    watch.log_in()
    assert [watch.ask(f"/rights/{n}") for n in "ab"] == [None, Refusal.BLOCKED]
    assert not watch.lives()
    watch.session = older
    assert not watch.lives()
    watch.log_in()
    assert watch.ask("/export") == Refusal.BLOCKED
    assert not watch.lives()


@pytest.mark.parametrize("watch", [[records(2)]], indirect=True)
def test_another_person_is_not_meant(watch: Watchman) -> None:
    other = replace(PERSON, national_id="899900000099")
    cookie = watch.sessions.create(other, new_agent_key(), now=watch.now)
    [watch.ask(f"/rights/{n}") for n in "ab"]
    assert watch.sessions.get(cookie_hash(cookie), now=watch.now).identity == other


@pytest.mark.parametrize("watch", [[records(2)]], indirect=True)
def test_who_cannot_be_recorded_is_blocked_nevertheless(
    watch: Watchman, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailableError("disk full")

    monkeypatch.setattr(watch.audit, "record", fail, raising=False)
    watch.ask("/rights/a")
    with pytest.raises(StoreUnavailableError):
        watch.ask("/rights/b")
    assert watch.store.is_blocked(PERSON.national_id)
    assert not watch.lives()
    assert len(watch.alarms.sent) == 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("unknown", "unknown"),
    ],
)
def test_networks(address: str, network: str) -> None:
    assert network_of(address) == network


class BrokenAudit(ListedAudit):
    """Cannot be written for a number of times."""

    failures = 1

    def record(self, event: str, /, **fields: FieldValue) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("disk full")
        super().record(event, **fields)


@pytest.mark.parametrize("watch", [[records(2, effect="alarm")]], indirect=True)
def test_what_could_not_be_written_is_told_at_the_next_request(watch: Watchman) -> None:
    watch.use_audit(BrokenAudit())
    watch.ask("/rights/a")
    with pytest.raises(StoreUnavailableError):
        watch.ask("/rights/b")
    watch.now += timedelta(seconds=1)
    assert watch.ask("/rights/b") == "alarm"
    assert watch.ask("/rights/b") == "alarm"
    assert watch.audit.values("effect") == ["alarm"]


@pytest.mark.parametrize("watch", [[records(2, effect="alarm")]], indirect=True)
def test_what_a_process_died_over_is_told_by_another(watch: Watchman) -> None:
    watch.ask("/rights/a")
    rule = "records identity 2 hour alarm"
    assert watch.store.is_first(PERSON.national_id, rule, keep=TELLING_TIME, now=watch.now)
    assert watch.ask("/rights/b") == "alarm"
    assert watch.audit.events == []
    watch.now += TELLING_TIME
    assert watch.ask("/rights/b") == "alarm"
    assert watch.audit.values("rule") == [rule]


@pytest.mark.parametrize("watch", [[records(2)]], indirect=True)
def test_a_block_that_could_not_be_written_is_told_when_it_holds_again(watch: Watchman) -> None:
    watch.use_audit(BrokenAudit())
    watch.ask("/rights/a")
    with pytest.raises(StoreUnavailableError):
        watch.ask("/rights/b")
    watch.now += timedelta(seconds=1)
    assert [watch.ask("/rights/b") for _ in range(2)] == [Refusal.BLOCKED] * 2
    assert watch.audit.values("effect") == ["block"]
