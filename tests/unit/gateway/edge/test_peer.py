import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from gateway.edge.peer import peer_named_by_front


@pytest.mark.parametrize(
    ("fields", "peer"),
    [
        pytest.param([("X-Forwarded-For", "192.0.2.7")], "192.0.2.7", id="IPv4"),
        pytest.param([("X-Forwarded-For", "2001:db8::1")], "2001:db8::1", id="IPv6"),
        pytest.param([("X-Forwarded-For", "::ffff:192.0.2.7")], "192.0.2.7", id="IPv4 in IPv6"),
        pytest.param([], "", id="none"),
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
