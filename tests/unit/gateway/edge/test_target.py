import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edge.notices import MALFORMED, WRONG_HOST, RefusedRequestError
from gateway.edge.target import read_target, require_host


def test_a_portal_path_is_kept_as_it_came() -> None:
    target = read_target("/caf%C3%A9/?q=%2e%2e/")
    assert target.raw == "/caf%C3%A9/?q=%2e%2e/"
    assert target.path == "/caf%C3%A9/"
    assert not target.is_control_plane
    assert not target.is_internal


@pytest.mark.parametrize(
    "raw", ["/_cps", "/_cps/", "/_cps/login?t=x", "/_cps/.well-known/jwks.json"]
)
def test_the_control_planes_paths_are_its_own(raw: str) -> None:
    assert read_target(raw).is_control_plane


@pytest.mark.parametrize("raw", ["/_cpsx", "/x/_cps", "/_cp", "/_cps.", "/_cps-x", "/?/_cps/"])
def test_neighbours_of_the_control_planes_path_are_the_portals(raw: str) -> None:
    assert not read_target(raw).is_control_plane


@pytest.mark.parametrize("raw", ["/_cps/internal", "/_cps/internal/enter", "/_cps/Internal/enter"])
def test_internal_paths_are_known(raw: str) -> None:
    assert read_target(raw).is_internal


def test_a_name_that_begins_like_the_internal_path_is_not_internal() -> None:
    assert not read_target("/_cps/internals").is_internal


@pytest.mark.parametrize(
    "raw",
    ["", "a", "*", "http://h/", "/a#b", "/a b", "/\x7f", "/a?b c", "/a?\xe9", "/%f", "/a%2Fb"],
    ids=ascii,
)
def test_what_has_two_readings_is_refused(raw: str) -> None:
    with pytest.raises(RefusedRequestError) as caught:
        read_target(raw)
    assert caught.value.notice is MALFORMED
    # The detail goes to the log, which quotes no request.
    assert raw == "" or raw not in caught.value.detail.split()


PIECES = st.sampled_from(
    ["/", ".", "%2e", "%2F", "_cps", "%5fcps", "_CPS", "a", ";", "%", "\\", "//", "internal", "?"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=8).map("".join))
def test_no_path_hides_the_control_plane_from_the_relay(raw: str) -> None:
    """Whatever a lenient program makes of it, a target that passes names the side it goes to."""
    try:
        target = read_target(raw)
    except RefusedRequestError:
        return
    lenient = target.path.lower().replace("%5f", "_")
    while "//" in lenient:
        lenient = lenient.replace("//", "/")
    assert target.is_control_plane == (lenient.split("/")[1] == "_cps")
    assert "/../" not in lenient + "/"


def test_the_portals_host_is_let_in() -> None:
    require_host(("portal.example:8443",), "portal.example:8443")


@pytest.mark.parametrize(
    "values",
    [(), ("",), ("evil.example",), ("portal.example", "portal.example"), ("portal.example:443",)],
    ids=["none", "empty", "other", "twice", "with port"],
)
def test_any_other_host_is_misdirected(values: tuple[str, ...]) -> None:
    with pytest.raises(RefusedRequestError) as caught:
        require_host(values, "portal.example")
    assert caught.value.notice is WRONG_HOST
