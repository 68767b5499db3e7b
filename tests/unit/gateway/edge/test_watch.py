"""What becomes of sensitive requests: judged, recorded, and only then answered."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import pytest
from pytest_mock import MockerFixture

from cps.authtoken.codes import ErrorCode
from gateway.clock import system_clock
from gateway.guard.record import MAX_BODY_BYTES
from gateway.journal.access import RecordNames
from tests.support.relay import PERSON, RawServer, RunningRelay, Wire, echo, raw_request
from tests.support.watching import WatchedPlace, log_in

ROUTES: list[dict[str, object]] = [
    {"name": "rights", "path": "/rights/{record}", "methods": ["GET"]},
    {"name": "search", "path": "/search", "record": "query:nir"},
    {"name": "look", "path": "/look", "methods": ["POST"], "record": "json:patient.id"},
    {"name": "export", "path": "/export", "fresh": "10m"},
    {"name": "find", "path": "/find", "record": "form:nir"},
]
FORM = "Content-Type: application/x-www-form-urlencoded"
NO_RULE = {"count": "requests", "limit": 10_000, "per": "day", "effect": "log"}
NAVIGATION = ("Sec-Fetch-Mode: navigate", "Accept: text/html")
JSON = "Content-Type: application/json"


class Watching:
    """A running relay with its place."""

    def __init__(self, place: WatchedPlace, relay: RunningRelay, portal: RawServer) -> None:
        self.place = place
        self.relay = relay
        self.portal = portal
        self.cookie = relay.log_in()

    def get(self, target: str, *fields: str) -> int:
        """Ask and return the status."""
        return self.relay.ask(raw_request(target, *fields, cookie=self.cookie)).status

    def post(self, target: str, body: bytes, *fields: str) -> int:
        """Post and return the status."""
        return self.relay.ask(
            raw_request(target, *fields, method="POST", cookie=self.cookie, body=body)
        ).status

    def records(self) -> list[object]:
        """Return the records in the journal."""
        return [line["record"] for line in self.place.accesses()]

    def statuses(self) -> list[object]:
        """Return the results in the journal."""
        return [line["status"] for line in self.place.accesses()]


@contextmanager
def watching(folder: Path, *rules: dict[str, object], **journal: object) -> Iterator[Watching]:
    place = WatchedPlace(
        folder / "place",
        {"routes": ROUTES, "rules": rules or [NO_RULE]},
        {"records": "plain", **journal},
        slow_seconds=0.2,
    )
    portal = RawServer(echo)
    with place.running(portal) as relay:
        yield Watching(place, relay, portal)


class Quiet:
    """A relay that several tests use, each looking at what it brought about itself."""

    def __init__(self, run: Watching) -> None:
        self.run = run
        self._lines = len(run.records())
        self._received = run.portal.all_received

    def new_records(self) -> list[object]:
        """Return the records in the journal since the test began."""
        return self.run.records()[self._lines :]

    def reached_the_portal(self) -> bool:
        """Return whether anything came to the portal since the test began."""
        return self.run.portal.all_received != self._received


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    with watching(tmp_path_factory.mktemp("watch")) as running:
        yield running


@pytest.fixture
def quiet(run: Watching) -> Quiet:
    return Quiet(run)


def test_a_sensitive_request_is_recorded_with_its_result(tmp_path: Path) -> None:
    with watching(tmp_path) as run:
        assert run.get("/rights/1850175000001") == 200
        (line,) = run.place.accesses()
    assert line["who"] == PERSON.national_id
    assert line["card"] == PERSON.card_number
    assert line["client"] == "127.0.0.1"
    assert (line["route"], line["method"]) == ("rights", "GET")
    assert (line["record"], line["status"]) == ("p:1850175000001", 200)


def test_other_requests_leave_no_trace(quiet: Quiet) -> None:
    for target in ("/", "/rights", "/rights/1/more", "/other/rights/1"):
        assert quiet.run.get(target) == 200
    assert quiet.run.post("/rights/1", b"{}", JSON) == 200
    assert quiet.reached_the_portal()
    assert quiet.new_records() == []


def test_records_are_hashed_where_nothing_is_said(tmp_path: Path) -> None:
    with watching(tmp_path, records="hashed") as run:
        run.get("/rights/1850175000001")
        names = RecordNames(lambda: run.place.keys, "hashed")
        assert run.records() == [names.hashed("1850175000001")]


@pytest.mark.parametrize(
    "target",
    ["/rights/123", "/RIGHTS/123", "/rights/123/", "/rights/%31%32%33", "/r%69ghts/123"],
    ids=["plain", "capitals", "slash", "encoded record", "encoded route"],
)
def test_no_spelling_of_a_path_escapes(quiet: Quiet, target: str) -> None:
    quiet.run.get(target)
    assert quiet.new_records() == ["p:123"]


def test_an_answer_begins_only_when_its_line_is_on_the_disk(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    with watching(tmp_path) as run:
        seen: list[bool] = []

        def slow_disk(_: int) -> None:
            sleep(0.2)
            seen.append(wire.is_silent(0.05))

        with run.relay.wire() as wire:
            mocker.patch("os.fdatasync", side_effect=slow_disk)
            wire.send(raw_request("/rights/1", cookie=run.cookie))
            sleep(0.3)
            mocker.stopall()
            assert wire.response().status == 200
        assert seen == [True]


def test_what_cannot_be_recorded_is_not_answered(tmp_path: Path, mocker: MockerFixture) -> None:
    with watching(tmp_path) as run:
        mocker.patch("os.fdatasync", side_effect=OSError(28, "No space left on device"))
        assert run.get("/rights/1") == 503
        run.portal.forget()
        # From then on the portal is not even asked.
        assert run.get("/rights/2") == 503
        assert b"/rights/2" not in run.portal.all_received
        assert run.get("/") == 200
        mocker.stopall()
        assert run.get("/rights/3") == 200


def test_by_setting_it_is_answered_and_an_alarm_raised(
    tmp_path: Path, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    with watching(tmp_path, unwritable="alarm") as run:
        mocker.patch("os.fdatasync", side_effect=OSError(28, "No space left on device"))
        assert run.get("/rights/1") == 200
        mocker.stopall()
    assert "alarm: effect=alarm rule=the journal cannot be written" in caplog.text


def test_a_browser_that_hangs_up_is_recorded_all_the_same(tmp_path: Path) -> None:
    def wait(wire: Wire) -> None:
        wire.request()
        wire.is_silent(0.5)

    place = WatchedPlace(tmp_path / "place", {"routes": ROUTES, "rules": [NO_RULE]})
    portal = RawServer(wait)
    with place.running(portal) as relay:
        cookie = relay.log_in()
        with relay.wire() as wire:
            wire.send(raw_request("/rights/1", cookie=cookie))
            while not portal.all_received:
                sleep(0.01)
        deadline = monotonic() + 5
        while not place.seen_by(PERSON.national_id) and monotonic() < deadline:
            sleep(0.01)
    assert [line["status"] for line in place.accesses()] == [None]


def test_a_portal_that_fails_is_recorded(tmp_path: Path) -> None:
    place = WatchedPlace(tmp_path / "place", {"routes": ROUTES, "rules": [NO_RULE]})
    with place.running(RawServer(lambda wire: wire.request())) as relay:
        assert relay.ask(raw_request("/rights/1", cookie=relay.log_in())).status == 502
    assert [line["status"] for line in place.accesses()] == [502]


def test_a_record_is_found_in_the_query(quiet: Quiet) -> None:
    assert quiet.run.get("/search?x=1&NIR=1+85") == 200
    assert quiet.run.get("/search?x=1") == 200
    assert quiet.new_records() == ["p:185", None]


@pytest.mark.parametrize(
    "query", ["nir=1&nir=2", "nir=1&NIR=2", "nir[]=1&nir[]=2", "nir=1&%6eir=2"]
)
def test_two_records_in_a_query_are_refused(quiet: Quiet, query: str) -> None:
    assert quiet.run.get(f"/search?{query}") == 400
    assert not quiet.reached_the_portal()


def test_a_record_is_found_in_the_body_which_passes_unchanged(quiet: Quiet) -> None:
    body, run = b'{ "patient": {"id": 1850175000001, "x": 1} }', quiet.run
    answer = run.relay.ask(raw_request("/look", JSON, method="POST", cookie=run.cookie, body=body))
    assert answer.status == 200
    assert json.loads(answer.body)["body"] == body.decode()
    assert quiet.new_records() == ["p:1850175000001"]


@pytest.mark.parametrize(
    ("body", "fields", "status"),
    [
        (b"{", (JSON,), 400),
        (b'{"patient": {"id": 1, "id": 2}}', (JSON,), 400),
        (b'{"patient": {"id": [1, 2]}}', (JSON,), 400),
        (b'{"patient": {"id": true}}', (JSON,), 400),
        (b'{"patient": 7}', (JSON,), 400),
        (b"[" * 60_000, (JSON,), 400),
        (b"patient.id=1", ("Content-Type: application/x-www-form-urlencoded",), 400),
        (b'{"patient": {"id": 1}}', (), 400),
        (b"x", (JSON, "Content-Encoding: gzip"), 400),
        (b" " * (MAX_BODY_BYTES + 1), (JSON,), 413),
    ],
    ids=[
        *("cut", "twice", "list", "truth value", "no object", "deep", "form", "no type"),
        *("compressed", "large"),
    ],
)
def test_a_body_with_two_readings_is_refused(
    quiet: Quiet, body: bytes, fields: tuple[str, ...], status: int
) -> None:
    assert quiet.run.post("/look", body, *fields) == status
    assert not quiet.reached_the_portal()


def test_a_body_without_a_record_passes(quiet: Quiet) -> None:
    assert quiet.run.post("/look", b'{"patient": null}', JSON) == 200
    assert quiet.run.post("/look", b"") == 200
    assert quiet.new_records() == [None, None]


def test_an_old_signature_is_asked_for_again(tmp_path: Path) -> None:
    with watching(tmp_path) as run:
        assert run.get("/export") == 200
        run.cookie = log_in(run.relay, at=system_clock() - timedelta(minutes=11))
        answer = run.relay.ask(raw_request("/export", cookie=run.cookie))
        assert answer.status == 401
        assert json.loads(answer.body)["error"] == ErrorCode.STEP_UP_REQUIRED
        assert json.loads(answer.body)["login"] == "/_cps/login"
        page = run.relay.ask(raw_request("/export", *NAVIGATION, cookie=run.cookie))
        assert (page.status, page.one("Location")) == (303, "/_cps/login?t=TARGET")
        # A form cannot be repeated by a redirect.
        assert run.post("/export", b"x", *NAVIGATION) == 401
        assert run.get("/rights/1") == 200
        assert run.statuses() == [200, 401, 401, 401, 200]
        # The session goes on until its holder has signed.
        run.cookie = run.relay.log_in()
        assert run.get("/export") == 200


def test_a_rule_asks_for_the_card_until_it_has_signed(tmp_path: Path) -> None:
    rule = {"count": "records", "limit": 3, "per": "hour", "effect": "step_up"}
    with watching(tmp_path, rule) as run:
        assert [run.get(f"/rights/{n}") for n in (10, 20, 30, 40, 10)] == [200, 200, 401, 401, 401]
        run.cookie = run.relay.log_in()
        assert [run.get(f"/rights/{n}") for n in (30, 40)] == [200, 200]
        assert run.place.audit.values("effect") == ["step_up"]


def test_a_session_is_ended(tmp_path: Path) -> None:
    rule = {"count": "sequence", "limit": 4, "effect": "end_session"}
    with watching(tmp_path, rule) as run:
        assert [run.get(f"/rights/{n}") for n in range(100, 106)] == [200, 200, 200, 401, 401, 401]
        assert run.get("/") == 401
        assert run.statuses() == [200, 200, 200, 401]


def test_an_identity_is_blocked_until_it_is_cleared(tmp_path: Path) -> None:
    rule = {"count": "records", "limit": 3, "per": "hour", "effect": "block"}
    with watching(tmp_path, rule) as run:
        other = run.relay.log_in()
        assert [run.get(f"/rights/{n}") for n in (10, 20, 30)] == [200, 200, 403]
        # Every session of the identity is over, and a new one gets nowhere either.
        assert run.get("/") == 401
        assert run.relay.ask(raw_request("/", cookie=other)).status == 401
        run.cookie = run.relay.log_in()
        assert run.get("/rights/10") == 403
        assert run.get("/") == 401
        assert run.place.guard_store().clear(PERSON.national_id)
        run.cookie = run.relay.log_in()
        assert run.get("/rights/10") == 200
        (event,) = run.place.audit.events
    assert event["event"] == "guard"
    assert event["rule"] == "records identity 3 hour block"
    assert event["national_id"] == PERSON.national_id


def test_requests_are_slowed_down_one_after_another(tmp_path: Path) -> None:
    rule = {"count": "requests", "of": "session", "limit": 2, "per": "day", "effect": "slow"}
    with watching(tmp_path, rule) as run:
        assert run.get("/rights/1") == 200
        begun = monotonic()
        wires = [run.relay.wire() for _ in range(2)]
        for wire in wires:
            wire.send(raw_request("/rights/1", cookie=run.cookie))
        assert [wire.response().status for wire in wires] == [200, 200]
        for wire in wires:
            wire.reset()
        assert monotonic() - begun > 0.35
        assert [line["effect"] for line in run.place.accesses()] == [None, "slow", "slow"]


def test_a_rule_that_only_logs_lets_pass(tmp_path: Path) -> None:
    rule = {"count": "requests", "limit": 2, "per": "hour", "effect": "log"}
    with watching(tmp_path, rule) as run:
        assert [run.get("/rights/1") for _ in range(4)] == [200] * 4
        assert run.place.audit.values("effect") == ["log"]


def test_a_guard_without_its_memory_lets_nobody_pass(tmp_path: Path) -> None:
    with watching(tmp_path) as run:
        (tmp_path / "place" / "guard.db").unlink()
        assert run.get("/rights/1") == 503
        assert run.portal.all_received == b""
        assert run.get("/") == 200
        assert run.statuses() == [503]


def test_sensitive_requests_and_lines_are_counted(tmp_path: Path) -> None:
    rule = {"count": "records", "limit": 2, "per": "hour", "effect": "block"}
    with watching(tmp_path, rule) as run:
        assert [run.get(f"/rights/{n}") for n in (1, 2)] == [200, 403]
        run.get("/elsewhere")
        told = run.place.counts.registry.get_sample_value
        assert told("cps_sensitive_requests_total", {"effect": "none"}) == 1
        assert told("cps_sensitive_requests_total", {"effect": "blocked"}) == 1
        assert told("cps_journal_lines_total", {"result": "written"}) == 2
        assert told("cps_journal_waiting") == 0
        assert told("cps_guard_record_share_sum") == 1.5


def test_lines_that_fail_are_counted(tmp_path: Path, mocker: MockerFixture) -> None:
    with watching(tmp_path) as run:
        mocker.patch("os.fdatasync", side_effect=OSError(28, "disk full"))
        assert run.get("/rights/1") == 503
        mocker.stopall()
        told = run.place.counts.registry.get_sample_value
        assert (told("cps_journal_lines_total", {"result": "failed"}) or 0) >= 1
        assert told("cps_journal_waiting") == 0


def test_a_record_in_a_form_is_recorded_and_reaches_the_portal(quiet: Quiet) -> None:
    assert quiet.run.post("/find", b"page=1&nir=1850175000001", FORM) == 200
    assert quiet.new_records() == ["p:1850175000001"]
    assert b"nir=1850175000001" in quiet.run.portal.all_received


PARTS = "Content-Type: multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("target", "body", "fields"),
    [
        pytest.param("/find", b"nir=1&nir=2", (FORM,), id="a field twice"),
        pytest.param("/find?nir=1", b"nir=2", (FORM,), id="query and form"),
        pytest.param("/find", b"--x", (PARTS,), id="a form in parts"),
        pytest.param("/find", b'{"nir": 1}', (JSON,), id="JSON where a form is wanted"),
        pytest.param("/search?nir=1", b"nir=2", (FORM,), id="a form beside the query"),
        pytest.param("/search", b"NIR[]=2", (FORM,), id="a form instead of the query"),
        pytest.param("/search?nir=1", b"nir=2", (), id="a form without its type"),
        pytest.param("/search?nir=1", b'{"nir": 2}', (JSON,), id="JSON beside the query"),
        pytest.param("/search?nir=1", b"--x", (PARTS,), id="parts beside the query"),
        pytest.param("/search?nir=1", b"x", (FORM, "Content-Encoding: gzip"), id="a packed form"),
    ],
)
def test_a_record_that_the_portal_might_find_elsewhere_is_refused(
    quiet: Quiet, target: str, body: bytes, fields: tuple[str, ...]
) -> None:
    assert quiet.run.post(target, body, *fields) == 400
    assert not quiet.reached_the_portal()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"page=2", FORM),
        (b'{"page": 2}', JSON),
        (b"x" * (MAX_BODY_BYTES + 1), "Content-Type: application/pdf"),
    ],
    ids=["form", "JSON", "large file"],
)
def test_a_body_without_a_record_passes_beside_the_query(
    quiet: Quiet, body: bytes, field: str
) -> None:
    assert quiet.run.post("/search?nir=7", body, field) == 200
    assert quiet.new_records() == ["p:7"]


def test_a_form_that_may_be_another_methods_is_recorded(quiet: Quiet) -> None:
    assert quiet.run.post("/rights/7", b"_method=GET", FORM) == 200
    assert quiet.new_records() == ["p:7"]
