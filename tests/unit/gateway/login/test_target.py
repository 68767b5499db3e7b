import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.login.target import MAX_TARGET_CHARS, same_origin_target


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/patients",
        "/patients/?page=2&sort=name",
        "/a%20b/%C3%A9",
        "/go?next=https://other.example//x",
        "/a/.hidden/..x",
        "/@name",
        "/a:b",
        "/_cpsx",
        "/_cps/admin",
        "/_cps/admin?identity=899900000013&page=2",
        "/_cps/admin/session/0123456789abcdef",
        "/?q=%0A",
        "/" + "a" * (MAX_TARGET_CHARS - 1),
    ],
)
def test_a_path_of_this_origin_is_kept(target: str) -> None:
    assert same_origin_target(target) == target


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("", id="empty"),
        pytest.param("e", id="no slash"),
        pytest.param("//e", id="two slashes"),
        pytest.param("///e", id="three slashes"),
        pytest.param("/\\e", id="backslash"),
        pytest.param("\\\\e", id="two backslashes"),
        pytest.param("/%5ce", id="encoded backslash"),
        pytest.param("/%2fe", id="encoded second slash"),
        pytest.param("/%2Fe", id="encoded second slash, upper case"),
        pytest.param("/a//e", id="two slashes inside"),
        pytest.param("/\te", id="tab"),
        pytest.param("/\t/e", id="tab between slashes"),
        pytest.param("/%09/e", id="encoded tab between slashes"),
        pytest.param("/..//e", id="dots then two slashes"),
        pytest.param("/../e", id="dots"),
        pytest.param("/.", id="dot"),
        pytest.param("/%2e%2e/e", id="encoded dots"),
        pytest.param("/a/.%2e", id="half encoded dots"),
        pytest.param("https:e", id="scheme without slashes"),
        pytest.param("https://e/", id="another origin"),
        pytest.param("https://portal.example@e/", id="user name"),
        pytest.param("@e", id="at sign"),
        pytest.param("javascript:alert(1)", id="javascript"),
        pytest.param("/a\r\nSet-Cookie: x=y", id="line end"),
        pytest.param("/a\nb", id="line feed"),
        pytest.param("/%0d%0aSet-Cookie:x=y", id="encoded line end"),
        pytest.param("/a\0", id="NUL"),
        pytest.param("/a%00", id="encoded NUL"),
        pytest.param("/a%7f", id="encoded DEL"),
        pytest.param("/a b", id="space"),
        pytest.param(" /a", id="space before"),
        pytest.param("/é", id="not ASCII"),
        pytest.param("//é.example", id="international name"),
        pytest.param("/。/e", id="ideographic full stop"),
        pytest.param("/\u202ea", id="direction override"),
        pytest.param("/a#b", id="fragment"),
        pytest.param("/_cps", id="our own pages"),
        pytest.param("/_cps/logout", id="our logout"),
        pytest.param("/%5fcps/logout", id="our logout, encoded"),
        pytest.param("/_cps/adminx", id="nearly the administrators' page"),
        pytest.param("/%5fcps/admin", id="the administrators' page, encoded"),
        pytest.param("/_cps/admin/../logout", id="our logout, by the administrators' page"),
        pytest.param("/_cps/admin/%2e%2e/logout", id="the same, encoded"),
        pytest.param("/_cps/admin%2f..%2flogout", id="the same, all encoded"),
        pytest.param("/" + "a" * MAX_TARGET_CHARS, id="too long"),
        pytest.param("/" + "a" * 8192, id="8 KiB"),
    ],
)
def test_anything_else_leads_to_the_first_page(target: str) -> None:
    assert same_origin_target(target) == "/"


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("/\\.%2fFeE5cC09a?#@:\t"), max_size=12))
def test_what_is_kept_starts_with_one_slash_however_it_is_decoded(target: str) -> None:
    kept = same_origin_target(target)
    path = kept.partition("?")[0].lower()
    assert kept.startswith("/")
    for sequence in ("//", "\\", "/%2f", "%5c", "\t", "%09", "#"):
        assert sequence not in path
