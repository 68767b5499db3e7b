import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.edge.peer import Address, address_text, peer_named_by_front, read_address


@pytest.mark.parametrize(
    ("fields", "peer"),
    [
        pytest.param([("X-Forwarded-For", "192.0.2.7")], "192.0.2.7", id="IPv4"),
        pytest.param([("X-Forwarded-For", "2001:db8::1")], "2001:db8::1", id="IPv6"),
        pytest.param([("X-Forwarded-For", "::ffff:192.0.2.7")], "192.0.2.7", id="IPv4 in IPv6"),
        pytest.param([], "", id="none"),
        pytest.param([("X-Forwarded-For", "fe80::1%eth0")], "", id="a zone"),
        pytest.param([("X-Forwarded-For", 'fe80::1%";for=192.0.2.7;x="')], "", id="a lie as zone"),
        pytest.param([("X-Forwarded-For", "fe80::1%" + "x" * 8000)], "", id="a long zone"),
        pytest.param([("X-Forwarded-For", "a"), ("X-Forwarded-For", "b")], "", id="two"),
        pytest.param([("X-Forwarded-For", "192.0.2.7")] * 2, "", id="the same twice"),
        pytest.param([("X-Forwarded-For", "unix:")], "", id="no address"),
        pytest.param([("X-Forwarded-For", "")], "", id="empty"),
        pytest.param([("X_Forwarded_For", "192.0.2.7")], "", id="another name"),
    ],
)
def test_only_one_address_that_the_proxy_names_counts(
    fields: list[tuple[str, str]], peer: str
) -> None:
    request = make_mocked_request("GET", "/", headers=CIMultiDict(fields))
    assert peer_named_by_front(request) == peer


@settings(max_examples=100, deadline=None)
@given(st.ip_addresses(), st.text(max_size=20))
def test_one_address_has_one_spelling_whatever_is_added(address: Address, added: str) -> None:
    assert read_address(str(address)) == address
    try:
        found = read_address(f"{address}%{added}")
    except ValueError:
        return
    pytest.fail(f"taken for {address_text(found)}")
