"""What the relay says of the client: an address, or nothing."""

import pytest

from tests.support.gateway_fakes import FakedGateway, claim_body


@pytest.mark.parametrize(
    ("written", "recorded"),
    [
        pytest.param("192.0.2.7", "192.0.2.7", id="IPv4"),
        pytest.param("2001:DB8::1", "2001:db8::1", id="IPv6"),
        pytest.param("::ffff:192.0.2.7", "192.0.2.7", id="IPv4 in the form of IPv6"),
        pytest.param("", None, id="none"),
        pytest.param("192.0.2.7, 198.51.100.1", None, id="a list"),
        pytest.param("somebody", None, id="no address"),
        pytest.param("fe80::1%" + "x" * 5000, None, id="too long"),
    ],
)
def test_client_is_recorded_as_an_address_or_not_at_all(
    gateway: FakedGateway, written: str, recorded: str | None
) -> None:
    rid = gateway.browser().begin()
    gateway.post_json("/_cps/agent/claim", claim_body(rid), {"X-CPS-Client": written})
    (event,) = gateway.audit.named("login_claimed")
    assert event["client"] == recorded
