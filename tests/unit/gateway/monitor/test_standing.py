import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from gateway.database import Database
from gateway.errors import StoreUnavailableError
from gateway.guard.sqlite import SCHEMA, SQLiteGuardStore
from gateway.guard.store import Block, GuardStore
from gateway.monitor.standing import Standing, StandingCollector
from gateway.session.memory import MemorySessionStore
from gateway.session.model import SessionCounts
from gateway.settings import SessionSettings
from gateway.trust.crl import RevocationLists
from tests.support import pki
from tests.support.gateway_fakes import FakeClock
from tests.support.logins import DOCTOR, agent_key
from tests.support.trust import trust_store


class AbsentStore(MemorySessionStore):
    """A store that does not answer."""

    def counts(self) -> SessionCounts:
        raise StoreUnavailableError("server away")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(pki.NOW)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "control.sock"
    with closing(socket.socket(socket.AF_UNIX)) as waiting:
        waiting.bind(str(path))
        waiting.listen()
        yield path


@pytest.fixture
def lists(tmp_path: Path) -> RevocationLists:
    files = (tmp_path / "root.crl", tmp_path / "middle.crl")
    for file, issuer in zip(
        files, (pki.hierarchy().root, pki.hierarchy().intermediate), strict=True
    ):
        file.write_bytes(pki.der(pki.crl(issuer=issuer)))
    return RevocationLists.load(files, trust_store(), pki.NOW)


def standing(
    lists: RevocationLists,
    clock: FakeClock,
    *sockets: Path,
    sessions: MemorySessionStore | None = None,
    guard: GuardStore | None = None,
) -> Standing:
    return Standing(
        sessions=sessions or MemorySessionStore(SessionSettings()),
        revocation=lists,
        sockets=sockets,
        clock=clock,
        guard=guard,
    )


def test_all_well_is_no_problem(lists: RevocationLists, clock: FakeClock, control: Path) -> None:
    health = standing(lists, clock, control).health()
    assert health.problems == ()
    assert health.counts == SessionCounts(sessions=0, leases=0, unrecorded_ends=0)


def test_a_process_that_does_not_answer_is_a_problem(
    lists: RevocationLists, clock: FakeClock, tmp_path: Path
) -> None:
    (problem,) = standing(lists, clock, tmp_path / "control.sock").health().problems
    assert problem.startswith("control does not answer")


def test_lists_that_are_over_are_a_problem_for_each_authority(
    lists: RevocationLists, clock: FakeClock
) -> None:
    clock.advance(timedelta(days=3).total_seconds())
    problems = standing(lists, clock).health().problems
    assert len(problems) == 2
    assert all("no revocation list in force" in problem for problem in problems)


def test_a_store_that_is_away_is_a_problem(lists: RevocationLists, clock: FakeClock) -> None:
    away = AbsentStore(SessionSettings())
    health = standing(lists, clock, sessions=away).health()
    assert health.counts is None
    assert health.problems == ("the session store does not answer: server away",)


def test_ends_that_cannot_be_recorded_are_a_problem(
    lists: RevocationLists, clock: FakeClock
) -> None:
    found = standing(lists, clock)
    found.record_problem = "disk full"
    assert found.health().problems == ("disk full",)


def samples(found: Standing) -> dict[str, list[float]]:
    registry = CollectorRegistry()
    registry.register(StandingCollector(found, version="1.2.3", environment="test"))
    values: dict[str, list[float]] = {}
    for metric in registry.collect():
        for sample in metric.samples:
            values.setdefault(sample.name, []).append(sample.value)
    return values


def test_the_numbers_say_how_the_gateway_stands(lists: RevocationLists, clock: FakeClock) -> None:
    sessions = MemorySessionStore(SessionSettings())
    sessions.create(DOCTOR, agent_key(), now=pki.NOW)
    told = samples(standing(lists, clock, sessions=sessions))
    assert told["cps_gateway"] == [1]
    assert told["cps_ready"] == [1]
    assert told["cps_store_up"] == [1]
    assert told["cps_sessions"] == [1]
    assert told["cps_unrecorded_ends"] == [0]
    assert len(told["cps_revocation_list_left_seconds"]) == 2
    assert min(told["cps_revocation_list_left_seconds"]) > 0


def test_the_numbers_say_what_is_wrong(lists: RevocationLists, clock: FakeClock) -> None:
    clock.advance(timedelta(days=3).total_seconds())
    told = samples(standing(lists, clock, sessions=AbsentStore(SessionSettings())))
    assert told["cps_ready"] == [0]
    assert told["cps_store_up"] == [0]
    assert "cps_sessions" not in told
    assert max(told["cps_revocation_list_left_seconds"]) < 0
    assert told["cps_remarks"] != [0]


def test_the_numbers_say_how_many_the_guard_keeps_out(
    lists: RevocationLists, clock: FakeClock, tmp_path: Path
) -> None:
    with closing(Database(tmp_path / "guard.db", schema=SCHEMA)) as database:
        guard = SQLiteGuardStore(database)
        guard.block(Block(identity="899900000013", rule="records", at=pki.NOW))
        found = standing(lists, clock, guard=guard)
        assert samples(found)["cps_guard_blocked"] == [1]
    assert samples(standing(lists, clock))["cps_guard_blocked"] == [0]


class AbsentGuard(SQLiteGuardStore):
    """A store that does not answer."""

    def blocks(self) -> list[Block]:
        raise StoreUnavailableError("server away")


def test_a_guard_whose_store_is_away_tells_no_number(
    lists: RevocationLists, clock: FakeClock, tmp_path: Path
) -> None:
    with closing(Database(tmp_path / "guard.db", schema=SCHEMA)) as database:
        found = standing(lists, clock, guard=AbsentGuard(database))
        assert "cps_guard_blocked" not in samples(found)
