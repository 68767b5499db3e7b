import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from gateway.edge.peer import peer_named_by_front


@pytest.mark.parametrize(
    ("fields", "peer"),
    [
        pytest.param([("X-CPS-Client", "192.0.2.7")], "192.0.2.7", id="IPv4"),
        pytest.param([("X-CPS-Client", "2001:db8::1")], "2001:db8::1", id="IPv6"),
        pytest.param([], "", id="none"),
        pytest.param([("X-CPS-Client", "a"), ("X-CPS-Client", "b")], "", id="two"),
        pytest.param([("X-CPS-Client", "192.0.2.7")] * 2, "", id="the same twice"),
        pytest.param([("X-CPS-Client", "unix:")], "", id="no address"),
        pytest.param([("X-CPS-Client", "")], "", id="empty"),
        pytest.param([("X_CPS_Client", "192.0.2.7")], "", id="another name"),
    ],
)
def test_only_one_address_that_our_nginx_names_counts(
    fields: list[tuple[str, str]], peer: str
) -> None:
    request = make_mocked_request("GET", "/", headers=CIMultiDict(fields))
    assert peer_named_by_front(request) == peer
