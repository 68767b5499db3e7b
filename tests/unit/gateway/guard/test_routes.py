from datetime import timedelta
from time import process_time

import pytest

from gateway.guard.routes import (
    MAX_QUERY_FIELDS,
    AmbiguousRecordError,
    SensitiveRoutes,
    record_in_body,
)
from gateway.settings_guard import RouteSettings


def routes(*tables: dict[str, object]) -> SensitiveRoutes:
    settings = [
        RouteSettings.model_validate({"name": f"r{number}", **table})
        for number, table in enumerate(tables)
    ]
    return SensitiveRoutes(settings)


def matched(path: str, target: str) -> tuple[bool, str | None]:
    match = routes({"path": path}).match("GET", target)
    return match is not None, None if match is None else match.record


@pytest.mark.parametrize(
    ("path", "target", "record"),
    [
        ("/rights/{record}", "/rights/185", "185"),
        ("/rights/{record}", "/RIGHTS/185/", "185"),
        ("/rights/{record}", "/rights/a%20b?x=1", "a b"),
        ("/rights/{record}", "/rights/%C3%A9t%C3%A9", "été"),
        ("/a/{record}/b", "/a/7/b", "7"),
        ("/a/*/{record}", "/a/x/7", "7"),
        ("/a/{record}/**", "/a/7", "7"),
        ("/a/{record}/**", "/a/7/b/c", "7"),
        ("/a", "/a", None),
        ("/", "/", None),
        ("/**", "/whatever/there/is", None),
    ],
)
def test_requests_that_are_meant(path: str, target: str, record: str | None) -> None:
    assert matched(path, target) == (True, record)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/rights/{record}", "/rights"),
        ("/rights/{record}", "/rights/"),
        ("/rights/{record}", "/rights/1/2"),
        ("/rights/{record}", "/x/rights/1"),
        ("/a.b", "/axb"),
        ("/", "/a"),
        ("/a/**", "/ab"),
    ],
)
def test_requests_that_are_not_meant(path: str, target: str) -> None:
    assert matched(path, target) == (False, None)


def test_nothing_is_sensitive_where_nothing_is_said() -> None:
    assert routes().match("GET", "/") is None


def test_methods_tell_routes_apart() -> None:
    both = routes({"path": "/a", "methods": ["GET"]}, {"path": "/a", "methods": ["POST"]})
    names = {
        method: found.route.name if (found := both.match(method, "/a")) else None
        for method in ("GET", "HEAD", "POST", "PUT")
    }
    assert names == {"GET": "r0", "HEAD": "r0", "POST": "r1", "PUT": None}


def test_two_routes_may_both_name_a_record() -> None:
    both = routes({"path": "/a/{record}"}, {"path": "/b/{record}"})
    match = both.match("GET", "/b/7")
    assert match is not None
    assert (match.route.name, match.record) == ("r1", "7")


def test_a_signatures_age_is_read() -> None:
    match = routes({"path": "/a", "fresh": "10m"}).match("GET", "/a")
    assert match is not None
    assert match.route.fresh == timedelta(minutes=10)


def test_a_flood_of_fields_is_refused() -> None:
    query = "&".join(["x=1"] * (MAX_QUERY_FIELDS + 1))
    with pytest.raises(AmbiguousRecordError, match="too many"):
        routes({"path": "/a", "record": "query:nir"}).match("GET", f"/a?{query}")


@pytest.mark.parametrize(
    ("query", "record"),
    [
        pytest.param("ins_id=7", "7", id="as named"),
        pytest.param("INS_ID=7", "7", id="capitals"),
        pytest.param("ins.id=7", "7", id="a dot, which PHP folds"),
        pytest.param("ins%20id=7", "7", id="a space, which PHP folds"),
        pytest.param("ins_id%00x=7", "7", id="a zero byte, where PHP ends"),
        pytest.param("ins_id[]=7", "7", id="a list of one"),
        pytest.param("sort=a;b&ins_id=7", "7", id="a semicolon elsewhere"),
        pytest.param("other=7", None, id="none"),
    ],
)
def test_records_in_queries(query: str, record: str | None) -> None:
    match = routes({"path": "/a", "record": "query:ins_id"}).match("GET", f"/a?{query}")
    assert match is not None
    assert match.record == record


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("ins_id=7&ins_id=8", id="twice"),
        pytest.param("ins_id=7&INS_ID=8", id="other capitals"),
        pytest.param("ins_id=7&ins.id=8", id="a dot"),
        pytest.param("ins_id=7&ins_id%00x=8", id="a zero byte"),
        pytest.param("x=1;ins_id=8", id="after a semicolon"),
        pytest.param("ins_id=7;ins_id=8", id="twice by a semicolon"),
        pytest.param("ins_id=7;x=8", id="a value cut by a semicolon"),
    ],
)
def test_queries_with_two_readings(query: str) -> None:
    with pytest.raises(AmbiguousRecordError):
        routes({"path": "/a", "record": "query:ins_id"}).match("GET", f"/a?{query}")


@pytest.mark.parametrize(
    ("content", "record"),
    [
        (b'{"A": {"B": "7"}}', "7"),
        (b'{"a": {"b": "7"}}', "7"),
        (b'{"a": {"b": 7}}', "7"),
        (b'{"a": {"b": null}}', None),
        (b'{"a": {}}', None),
        (b"{}", None),
        (b"null", None),
        ('{"a": {"b": "é"}}'.encode(), "é"),
    ],
)
def test_records_in_bodies(content: bytes, record: str | None) -> None:
    assert record_in_body(content, ("a", "b")) == record


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'"x"', b'{"a": 1}', b'{"a": {"b": 1.5}}', b'{"a": {"b": {}}}',
     b'{"a": {"b": 1}, "a": {"b": 2}}', b'{"x": 1, "x": 1}', b"\xff",
     b'{"a": {"b": 1, "B": 2}}', b'{"a": {"b": 1}, "A": {"b": 2}}', b"[" * 5000],
    ids=ascii,
)  # fmt: skip
def test_bodies_with_two_readings(content: bytes) -> None:
    with pytest.raises(AmbiguousRecordError):
        record_in_body(content, ("a", "b"))


def test_no_path_takes_long_to_look_at() -> None:
    begun = process_time()
    assert matched("/*/*/*/*/{record}/**", "/" * 60_000) == (False, None)
    assert matched("/*/*/*/*/{record}/**", "/a" * 30_000) == (True, "a")
    assert process_time() - begun < 1
