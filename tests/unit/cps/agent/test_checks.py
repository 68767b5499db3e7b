"""What each refusal answers, and what no real socket can show; the rest is in test_server.py."""

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict
from pytest_mock import MockerFixture

from cps.agent.checks import STATUS, Refusal, RefusedRequestError, read_request
from cps.authtoken.codes import ErrorCode
from tests.unit.cps.agent.fakes import RID

OURS = ("127.0.0.1", 24951)
CLIENT = ("127.0.0.1", 40000)
HOST = ("Host", "127.0.0.1:24951")


def refusal(
    mocker: MockerFixture,
    *,
    client: object = CLIENT,
    server: tuple[str, int] = OURS,
    headers: tuple[tuple[str, str], ...] = (HOST,),
) -> Refusal | None:
    """Return why a request over the connection from *client* to *server* is refused."""
    transport = mocker.Mock()
    transport.get_extra_info = {"peername": client, "sockname": server}.get
    request = make_mocked_request(
        "GET", f"/v1/login?r={RID}&o=portal.example", CIMultiDict(headers), transport=transport
    )
    try:
        read_request(request, lambda client, server: True)
    except RefusedRequestError as exc:
        return exc.refusal
    return None


@pytest.mark.parametrize("refusal", list(Refusal))
def test_each_refusal_is_a_client_error_with_a_code(refusal: Refusal) -> None:
    assert 400 <= STATUS[refusal] < 500
    assert RefusedRequestError(refusal).code in {
        ErrorCode.BUSY,
        ErrorCode.CODE_INVALID,
        ErrorCode.ORIGIN_DENIED,
        ErrorCode.REQUEST_FORBIDDEN,
        ErrorCode.REQUEST_MALFORMED,
    }


def test_a_connection_on_loopback_is_good(mocker: MockerFixture) -> None:
    assert refusal(mocker) is None


@pytest.mark.parametrize(
    "client", [("192.0.2.1", 40000), ("127.0.0.2", 40000), ("::1", 40000, 0, 0), None]
)
def test_a_peer_that_is_not_on_loopback_is_refused(mocker: MockerFixture, client: object) -> None:
    assert refusal(mocker, client=client) is Refusal.PEER


def test_a_connection_to_another_address_of_ours_is_refused(mocker: MockerFixture) -> None:
    assert refusal(mocker, server=("192.0.2.1", 24951)) is Refusal.PEER


def test_a_repeated_host_is_refused_whatever_the_parser_lets_pass(mocker: MockerFixture) -> None:
    assert refusal(mocker, headers=(HOST, HOST)) is Refusal.HOST
    assert refusal(mocker, headers=(HOST, ("Host", "evil.example"))) is Refusal.HOST
