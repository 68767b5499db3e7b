from datetime import timedelta
from time import process_time

import pytest

from gateway.guard.record import MAX_FIELDS, AmbiguousRecordError
from gateway.guard.routes import SensitiveRoutes
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
    query = "&".join(["x=1"] * (MAX_FIELDS + 1))
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


def test_no_path_takes_long_to_look_at() -> None:
    begun = process_time()
    assert matched("/*/*/*/*/{record}/**", "/" * 60_000) == (False, None)
    assert matched("/*/*/*/*/{record}/**", "/a" * 30_000) == (True, "a")
    assert process_time() - begun < 1


FORM = ("application/x-www-form-urlencoded",)


@pytest.mark.parametrize(
    ("target", "content_types"),
    [
        ("/a", FORM),
        ("/a", ("Multipart/Form-Data; boundary=x",)),
        ("/a", ()),
        ("/a", ("text/plain", *FORM)),
        ("/a?_method=PUT", ("application/json",)),
        ("/a?_METHOD[]=PUT", ("application/json",)),
        ("/a?X-HTTP-Method-Override=PUT", ("application/json",)),
    ],
    ids=["form", "parts", "no type", "two types", "query", "another spelling", "a header's name"],
)
def test_a_form_may_ask_by_another_method(target: str, content_types: tuple[str, ...]) -> None:
    only_put = routes({"path": "/a", "methods": ["PUT"]})
    assert only_put.match("POST", target, content_types) is not None
    assert only_put.match("GET", target, content_types) is None


def test_what_no_portal_takes_for_another_method_is_not_meant() -> None:
    only_put = routes({"path": "/a", "methods": ["PUT"]})
    assert only_put.match("POST", "/a?method=PUT", ("application/json",)) is None


def test_a_form_is_judged_by_the_route_of_its_own_method_first() -> None:
    both = routes({"path": "/a", "methods": ["PUT"]}, {"path": "/a", "methods": ["POST"]})
    match = both.match("POST", "/a?_method=PUT", FORM)
    assert match is not None
    assert match.route.name == "r1"


@pytest.mark.parametrize("place", ["form:nir", "json:nir", "json:nir.number"])
def test_a_record_of_the_body_is_not_named_in_the_query_too(place: str) -> None:
    one = routes({"path": "/a", "record": place})
    assert one.match("POST", "/a?page=1", FORM) is not None
    with pytest.raises(AmbiguousRecordError, match="another place"):
        one.match("POST", "/a?NIR=7", FORM)
