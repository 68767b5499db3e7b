import json
from datetime import time, timedelta
from pathlib import Path

import pytest

from gateway.settings import Settings
from gateway.settings_guard import read_duration, read_hours
from tests.support.settings_files import MINIMAL, faults, settings_folder, with_line, write

ROUTE = 'routes = [{{name = "rights", path = "{path}"{rest}}}]'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings_folder(tmp_path)


def route(path: str = "/rights/{record}", rest: str = "") -> str:
    return with_line("guard", ROUTE.format(path=path, rest=rest))


def rule(text: str) -> str:
    return with_line("guard", f"rules = [{{{text}}}]")


def test_no_route_is_sensitive_where_nothing_is_said(folder: Path) -> None:
    settings = Settings.load(write(folder, MINIMAL))
    assert settings.guard.routes == ()
    assert settings.journal.unwritable == "refuse"


@pytest.mark.parametrize(
    "path",
    [
        "/rights",
        "/rights/{record}",
        "/a/*/b/{record}/c",
        "/a/**",
        "/**",
        "/{record}",
        "/a.b/~c-d_",
        "/",
    ],
)
def test_a_path_has_places_for_the_record_and_for_anything(folder: Path, path: str) -> None:
    assert Settings.load(write(folder, route(path))).guard.routes[0].path == path


@pytest.mark.parametrize(
    "path",
    ["", "rights", "/rights/", "/a//b", "/../a", "/a/**/b", "/a*", "/{id}", "/a/{record}x",
     "/{record}/{record}", "/%61", "/é", "/a b", "/_cps/x", "/_CPS", "/" + "a" * 200],
    ids=ascii,
)  # fmt: skip
def test_another_path_is_refused(folder: Path, path: str) -> None:
    assert set(faults(folder, route(path))) == {"guard.routes[0].path"}


@pytest.mark.parametrize(
    "place", ["query:nir", "form:nir", "json:patient.id", "json:nir", "query:a-b.c"]
)
def test_a_record_is_named_in_query_or_body(folder: Path, place: str) -> None:
    text = route("/rights", f', record = "{place}"')
    assert Settings.load(write(folder, text)).guard.routes[0].record == place


@pytest.mark.parametrize(
    "place",
    ["", "path", "query:", "query:a b", "json:", "json:a..b", "header:x", "form:", "json:a[0]"],
)
def test_another_place_is_refused(folder: Path, place: str) -> None:
    found = faults(folder, route("/rights", f', record = "{place}"'))
    assert set(found) == {"guard.routes[0].record"}


def test_a_record_has_one_place(folder: Path) -> None:
    found = faults(folder, route("/rights/{record}", ', record = "query:nir"'))
    assert "two places" in found["guard.routes[0]"]


@pytest.mark.parametrize("fresh", ["30s", "10m", "4h", "24h", "1440m"])
def test_a_time_has_a_unit(folder: Path, fresh: str) -> None:
    text = route(rest=f', fresh = "{fresh}"')
    assert Settings.load(write(folder, text)).guard.routes[0].fresh == fresh


@pytest.mark.parametrize("fresh", ["", "10", "m", "0m", "29s", "25h", "1d", "-5m", "1.5h", "10 m"])
def test_another_time_is_refused(folder: Path, fresh: str) -> None:
    found = faults(folder, route(rest=f', fresh = "{fresh}"'))
    assert set(found) == {"guard.routes[0].fresh"}


@pytest.mark.parametrize(
    ("rest", "key"),
    [
        (', methods = ["TRACE"]', "methods[0]"),
        (', methods = ["get"]', "methods[0]"),
        (', method = "GET"', "method"),
    ],
    ids=["TRACE", "small letters", "other key"],
)
def test_other_methods_are_refused(folder: Path, rest: str, key: str) -> None:
    assert set(faults(folder, route(rest=rest))) == {f"guard.routes[0].{key}"}


@pytest.mark.parametrize("name", ["", "Rights", "1", "a b", "é", "a" * 33], ids=ascii)
def test_another_name_is_refused(folder: Path, name: str) -> None:
    text = with_line("guard", f'routes = [{{name = "{name}", path = "/a"}}]')
    assert set(faults(folder, text)) == {"guard.routes[0].name"}


def test_two_routes_have_two_names(folder: Path) -> None:
    tables = ['{name = "a", path = "/a"}', '{name = "a", path = "/b"}']
    found = faults(folder, with_line("guard", f"routes = [{', '.join(tables)}]"))
    assert set(found) == {"guard.routes[1].name"}


@pytest.mark.parametrize(
    "text",
    [
        'count = "requests", of = "session", limit = 120, per = "minute", effect = "slow"',
        'count = "records", limit = 200, per = "hour", effect = "block"',
        'count = "sequence", limit = 20, effect = "end_session"',
        'count = "outside_hours", hours = "07:00-21:00", effect = "step_up"',
        'count = "outside_hours", hours = "22:00-06:00", effect = "log"',
        'count = "new_network", effect = "alarm"',
    ],
    ids=["requests", "records", "sequence", "hours", "night", "network"],
)
def test_a_rule_says_what_counts(folder: Path, text: str) -> None:
    assert len(Settings.load(write(folder, rule(text))).guard.rules) == 1


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('count = "requests", limit = 1, effect = "log"', ""),
        ('count = "records", per = "hour", effect = "log"', ""),
        ('count = "sequence", limit = 20, per = "hour", effect = "log"', ""),
        ('count = "new_network", limit = 1, effect = "log"', ""),
        ('count = "outside_hours", effect = "log"', ""),
        ('count = "outside_hours", hours = "7-21", effect = "log"', ".hours"),
        ('count = "outside_hours", hours = "24:00-07:00", effect = "log"', ".hours"),
        ('count = "outside_hours", hours = "07:00-07:00", effect = "log"', ".hours"),
        ('count = "people", effect = "log"', ".count"),
        ('count = "new_network", effect = "shout"', ".effect"),
        ('count = "new_network"', ".effect"),
        ('count = "records", limit = 0, per = "hour", effect = "log"', ".limit"),
        ('count = "records", limit = 10001, per = "hour", effect = "log"', ".limit"),
        ('count = "records", limit = 1, per = "week", effect = "log"', ".per"),
        ('count = "new_network", of = "card", effect = "log"', ".of"),
        ('count = "new_network", effect = "log", routes = ["nowhere"]', ".routes"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(folder: Path, text: str, key: str) -> None:
    assert set(faults(folder, rule(text))) == {f"guard.rules[0]{key}"}


@pytest.mark.parametrize(
    ("table", "line", "key"),
    [
        ("guard", 'timezone = "Europe/Atlantis"', "guard.timezone"),
        ("guard", 'timezone = "../etc/passwd"', "guard.timezone"),
        ("guard", 'alarm_url = "ftp://a.example"', "guard.alarm_url"),
        ("journal", 'folder = "no/where"', "journal.folder"),
        ("journal", 'records = "none"', "journal.records"),
        ("journal", 'unwritable = "ignore"', "journal.unwritable"),
    ],
)
def test_another_value_is_refused(folder: Path, table: str, line: str, key: str) -> None:
    assert set(faults(folder, with_line(table, line))) == {key}


def test_settings_reach_the_processes_as_they_are(folder: Path) -> None:
    given = Settings.load(write(folder, route("/rights", ', record = "query:nir", fresh = "10m"')))
    sent = json.loads(given.model_dump_json(exclude_unset=True))
    assert Settings.model_validate(sent) == given


def test_times_are_read() -> None:
    assert read_duration("90s") == timedelta(seconds=90)
    assert read_duration("4h") == timedelta(hours=4)
    assert read_hours("22:00-06:30") == (time(22), time(6, 30))


def two(one: str, other: str) -> str:
    return with_line("guard", f'routes = [{{name = "a", {one}}}, {{name = "b", {other}}}]')


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('path = "/a/{record}"', 'path = "/A/b"'),
        ('path = "/a/**"', 'path = "/a"'),
        ('path = "/a/**"', 'path = "/a/b/{record}"'),
        ('path = "/**"', 'path = "/a", methods = ["GET"]'),
        ('path = "/*/b"', 'path = "/a/*"'),
        ('path = "/a", methods = ["GET", "POST"]', 'path = "/a", methods = ["POST", "PUT"]'),
    ],
)
def test_routes_that_mean_one_request_are_refused(folder: Path, one: str, other: str) -> None:
    for text in (two(one, other), two(other, one)):
        found = faults(folder, text)
        assert set(found) == {"guard.routes[1].path"}
        assert "tell them apart" in found["guard.routes[1].path"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('path = "/a/{record}"', 'path = "/a"'),
        ('path = "/a/**"', 'path = "/ab"'),
        ('path = "/a/*/c"', 'path = "/a/*/d"'),
        ('path = "/a/{record}/c/**"', 'path = "/a/{record}"'),
        ('path = "/a", methods = ["GET"]', 'path = "/a", methods = ["POST"]'),
    ],
)
def test_routes_that_never_meet_are_taken(folder: Path, one: str, other: str) -> None:
    for text in (two(one, other), two(other, one)):
        assert len(Settings.load(write(folder, text)).guard.routes) == 2
