import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edge.proxies import MAX_HOPS, ProxyField, client_of

PROXY, OTHER_PROXY, BROWSER, LIE = "10.0.0.1", "10.0.0.2", "192.0.2.7", "198.51.100.66"
TRUSTED = (ipaddress.ip_network("10.0.0.0/24"), ipaddress.ip_network("2001:db8::/64"))


def found(*values: str, remote: str = PROXY, field: ProxyField = "X-Forwarded-For") -> str:
    return client_of(remote, values, trusted=TRUSTED, field=field)


def test_who_is_no_proxy_speaks_for_itself() -> None:
    assert found(LIE, remote=BROWSER) == BROWSER


def test_a_proxy_that_names_nobody_is_meant_itself() -> None:
    assert found() == PROXY


def test_the_last_that_no_proxy_is_counts() -> None:
    assert found(f"{LIE}, {BROWSER}, {OTHER_PROXY}") == BROWSER


def test_several_fields_are_one_list() -> None:
    assert found(LIE, BROWSER) == BROWSER


def test_a_list_of_proxies_alone_is_the_first_of_them() -> None:
    assert found(f"{OTHER_PROXY}, {PROXY}") == OTHER_PROXY


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(("unknown",), id="a word"),
        pytest.param(("",), id="nothing"),
        pytest.param((f"{BROWSER},",), id="an empty end"),
        pytest.param((f"{BROWSER}:443",), id="a port"),
        pytest.param((f'"{BROWSER}"',), id="quotes"),
        pytest.param(("192.0.2.07",), id="octal"),
        pytest.param(("fe80::1%eth0\x00",), id="a control character"),
        pytest.param((", ".join([OTHER_PROXY] * (MAX_HOPS + 1)),), id="too long"),
    ],
)
def test_what_cannot_be_read_is_nobodys(values: tuple[str, ...]) -> None:
    assert found(*values) == ""


def test_a_lie_that_cannot_be_read_does_not_matter_before_what_a_proxy_wrote() -> None:
    assert found(f"<script>, {BROWSER}") == BROWSER


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(f"for={BROWSER}", BROWSER, id="address"),
        pytest.param(f"For={BROWSER};proto=https;by={PROXY}", BROWSER, id="more facts"),
        pytest.param('for="[2001:db8:1::7]"', "2001:db8:1::7", id="IPv6"),
        pytest.param('for="[2001:db8:1::7]:4711"', "2001:db8:1::7", id="IPv6 with port"),
        pytest.param(f'for="{BROWSER}:4711"', BROWSER, id="with port"),
        pytest.param(f"for={LIE}, for={BROWSER}, for={OTHER_PROXY}", BROWSER, id="list"),
        pytest.param(f'for={LIE};host="a,b;for=x", for={BROWSER}', BROWSER, id="quoted comma"),
        pytest.param("for=unknown", "", id="unknown"),
        pytest.param("for=_hidden", "", id="hidden"),
        pytest.param(f"proto=https, for={BROWSER};", "", id="not well formed"),
        pytest.param(f"for={BROWSER};for={LIE}", "", id="two of them"),
        pytest.param("proto=https", "", id="none"),
        pytest.param(f'for="{BROWSER}', "", id="quote without end"),
        pytest.param("for=2001:db8:1::7", "", id="IPv6 without brackets"),
    ],
)
def test_the_standards_field(value: str, expected: str) -> None:
    assert found(value, field="Forwarded") == expected


def test_an_ipv4_proxy_on_an_ipv6_socket_is_trusted() -> None:
    assert found(BROWSER, remote=f"::ffff:{PROXY}") == BROWSER


def test_an_ipv4_browser_has_one_spelling() -> None:
    assert found(f"::ffff:{BROWSER}") == BROWSER
    assert found(remote=f"::ffff:{BROWSER}") == BROWSER


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["X-Forwarded-For", "Forwarded"]))
def test_nothing_that_a_browser_sends_changes_what_the_proxy_adds(
    sent: str, field: ProxyField
) -> None:
    added = BROWSER if field == "X-Forwarded-For" else f"for={BROWSER}"
    assert found(sent, added, field=field) in {BROWSER, ""}
    if field == "X-Forwarded-For" and sent.count(",") < MAX_HOPS - 2:
        assert found(sent, added, field=field) == BROWSER
