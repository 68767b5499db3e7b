import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_encode
from gateway.errors import LoginRejectedError
from gateway.session.cookie import (
    LOGIN_COOKIE,
    MAX_COOKIE_BYTES,
    SESSION_COOKIE,
    clear_cookie,
    cookie_hash,
    read_cookie,
    set_cookie,
    strip_cookies,
)

VALUE = bytes(range(100, 132))
TEXT = b64url_encode(VALUE)
OTHER = b64url_encode(bytes(32))
OURS = f"{SESSION_COOKIE}={TEXT}"


def test_the_cookie_is_secure_for_scripts_and_bound_to_the_host() -> None:
    name, *attributes = set_cookie(SESSION_COOKIE, VALUE).split("; ")
    assert name == OURS
    assert set(attributes) == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}


def test_the_cookie_may_have_a_life() -> None:
    assert set_cookie(LOGIN_COOKIE, VALUE, 300).endswith("; Max-Age=300")


def test_a_cleared_cookie_keeps_the_attributes_that_browsers_want_of_a_host_cookie() -> None:
    name, *attributes = clear_cookie(SESSION_COOKIE).split("; ")
    assert name == f"{SESSION_COOKIE}="
    assert set(attributes) == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=0"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("sid", VALUE, id="another name"),
        pytest.param(SESSION_COOKIE, VALUE[:-1], id="short"),
        pytest.param(SESSION_COOKIE, b"", id="empty"),
    ],
)
def test_no_other_cookie_is_made(name: str, value: bytes) -> None:
    with pytest.raises(ValueError, match="ours"):
        set_cookie(name, value)


def test_only_our_cookies_are_cleared() -> None:
    with pytest.raises(ValueError, match="ours"):
        clear_cookie("portal")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([OURS], id="alone"),
        pytest.param([f"a=1; {OURS}; b=2"], id="among others"),
        pytest.param([f"a=1;{OURS};b=2"], id="no space"),
        pytest.param([f"a=1;\t{OURS} "], id="tab"),
        pytest.param(["a=1", OURS], id="second header"),
        pytest.param([f"$Version=1; {OURS}; $Path=/"], id="old attributes are other cookies"),
        pytest.param([f"{LOGIN_COOKIE}={OTHER}; {OURS}"], id="with the login cookie"),
        pytest.param([f"; ;{OURS};"], id="empty pairs"),
    ],
)
def test_the_cookie_is_found(headers: list[str]) -> None:
    assert read_cookie(headers, SESSION_COOKIE) == VALUE


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="no header"),
        pytest.param([""], id="empty"),
        pytest.param([f"a={TEXT}"], id="another name"),
        pytest.param([f'{SESSION_COOKIE}="{TEXT}"'], id="quoted"),
        pytest.param([f"\u2000{OURS}"], id="U+2000 before"),
        pytest.param([f"\xa0{OURS}"], id="U+00A0 before"),
        pytest.param([f"\x0b{OURS}"], id="vertical tab before"),
        pytest.param([f"={OURS}"], id="nameless"),
        pytest.param([f"$Version=1,{OURS}"], id="comma"),
        pytest.param([f'a="x, {OURS}"'], id="inside a quoted value"),
        pytest.param([f"{SESSION_COOKIE.lower()}={TEXT}"], id="other case"),
        pytest.param([f"{SESSION_COOKIE} ={TEXT}"], id="space before the sign"),
        pytest.param([f"{SESSION_COOKIE}= {TEXT}"], id="space after the sign"),
        pytest.param([SESSION_COOKIE], id="no value"),
        pytest.param([f"{SESSION_COOKIE}="], id="empty value"),
        pytest.param([f"{OURS}="], id="padding"),
        pytest.param([f"{SESSION_COOKIE}={TEXT[:-1]}"], id="42 characters"),
        pytest.param([f"{OURS}A"], id="44 characters"),
        pytest.param([f"{SESSION_COOKIE}={'A' * 42}B"], id="not canonical"),
        pytest.param([f"{SESSION_COOKIE}={'A' * 42}+"], id="base64, not base64url"),
        pytest.param([f"{OURS}\n"], id="newline"),
        pytest.param([f"{SESSION_COOKIE}={'٣' * 43}"], id="digits of another script"),
        pytest.param([f"{SESSION_COOKIE}={'%41' * 14}A"], id="percent-encoded"),
    ],
)
def test_another_form_is_not_ours(headers: list[str]) -> None:
    assert read_cookie(headers, SESSION_COOKIE) is None


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([f"{OURS}; {SESSION_COOKIE}=bad"], id="good then bad"),
        pytest.param([f"{SESSION_COOKIE}=bad; {OURS}"], id="bad then good"),
        pytest.param([f"{OURS}; {OURS}"], id="the same twice"),
        pytest.param([OURS, f"{SESSION_COOKIE}={OTHER}"], id="two headers"),
        pytest.param([f"{SESSION_COOKIE}=; {OURS}"], id="empty then good"),
    ],
)
def test_two_cookies_of_our_name_are_refused(headers: list[str]) -> None:
    with pytest.raises(LoginRejectedError) as caught:
        read_cookie(headers, SESSION_COOKIE)
    assert caught.value.reason is ErrorCode.REQUEST_MALFORMED
    assert TEXT not in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([f"{OURS}; a=" + "x" * 8192], id="one header"),
        pytest.param([OURS, "a=" + "x" * 4100, "b=" + "x" * 4100], id="several headers"),
        pytest.param([OURS, "a=" + "é" * 4096], id="counted in bytes"),
    ],
)
def test_more_cookies_than_the_limit_are_refused(headers: list[str]) -> None:
    with pytest.raises(LoginRejectedError) as caught:
        read_cookie(headers, SESSION_COOKIE)
    assert caught.value.reason is ErrorCode.REQUEST_TOO_LARGE


def test_cookies_up_to_the_limit_are_read() -> None:
    filler = "x" * (MAX_COOKIE_BYTES - len(OURS) - 4)
    assert read_cookie([f"{OURS}; a={filler}"[:MAX_COOKIE_BYTES]], SESSION_COOKIE) == VALUE
    assert read_cookie([OURS], SESSION_COOKIE, max_bytes=len(OURS)) == VALUE
    with pytest.raises(LoginRejectedError):
        read_cookie([OURS], SESSION_COOKIE, max_bytes=len(OURS) - 1)


@pytest.mark.parametrize(
    ("header", "left"),
    [
        pytest.param("a=1; b=2", "a=1; b=2", id="nothing of ours"),
        pytest.param(OURS, None, id="ours alone"),
        pytest.param(f"{OURS}; a=1", "a=1", id="first"),
        pytest.param(f"a=1; {OURS}; b=2", "a=1; b=2", id="between"),
        pytest.param(f"a=1; {OURS}", "a=1", id="last"),
        pytest.param(f"{OURS}; {LOGIN_COOKIE}={OTHER}; a=1", "a=1", id="both"),
        pytest.param(f"{OURS};{OURS};{SESSION_COOKIE}=x", None, id="repeated and malformed"),
        pytest.param('a="x; y"; b=é', 'a="x; y"; b=é', id="others are not judged"),
        pytest.param(f"x{OURS}", f"x{OURS}", id="a longer name is another cookie"),
        pytest.param("", "", id="empty"),
    ],
)
def test_the_portal_gets_every_cookie_but_ours(header: str, left: str | None) -> None:
    assert strip_cookies(header) == left


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.sampled_from('ab=; "$,\t'), max_size=6), max_size=5), st.integers(0, 5))
def test_our_value_never_reaches_the_portal(others: list[str], place: int) -> None:
    pairs = [*others[:place], OURS, *others[place:]]
    assert TEXT not in (strip_cookies("; ".join(pairs)) or "")


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_what_is_set_is_what_is_read(value: bytes) -> None:
    pair = set_cookie(LOGIN_COOKIE, value).partition(";")[0]
    assert read_cookie([pair], LOGIN_COOKIE) == value


def test_stores_know_the_hash_alone() -> None:
    assert cookie_hash(VALUE) == hashlib.sha256(VALUE).digest()
