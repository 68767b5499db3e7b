import asyncio
from collections.abc import Iterator, Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway.edge import body
from gateway.edge.body import RequestBody
from gateway.edge.notices import (
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    EXPECTATION_FAILED,
    MALFORMED,
    RefusedRequestError,
)


class Content:
    """A body that comes in pieces, or stops coming."""

    def __init__(self, pieces: list[bytes | None]) -> None:
        self._pieces: Iterator[bytes | None] = iter(pieces)

    async def readany(self) -> bytes:
        piece = next(self._pieces, b"")
        if piece is None:
            await asyncio.sleep(60)
        return piece or b""


def _body(
    pieces: list[bytes | None], fields: Mapping[str, str] | None = None, *, limit: int = 10
) -> RequestBody:
    request: web.BaseRequest = make_mocked_request("POST", "/", headers=fields)
    # The only part of a request that the body reads from.
    request._payload = Content(pieces)  # type: ignore[assignment]
    return RequestBody(request, limit=limit)


def test_a_body_is_read_to_its_end() -> None:
    assert asyncio.run(_body([b"ab", b"cd"]).read()) == b"abcd"


def test_a_body_of_the_limit_passes() -> None:
    assert asyncio.run(_body([b"x" * 10]).read()) == b"x" * 10


def test_a_body_past_the_limit_is_refused_and_says_why() -> None:
    content = _body([b"x" * 10, b"x"])
    with pytest.raises(RefusedRequestError) as caught:
        asyncio.run(content.read())
    assert caught.value.notice is BODY_TOO_LARGE
    assert content.refusal is caught.value


def test_a_length_beside_an_empty_coding_is_refused() -> None:
    with pytest.raises(RefusedRequestError) as caught:
        _body([b"abcd"], {"Content-Length": "4", "Transfer-Encoding": ""})
    assert caught.value.notice is MALFORMED


def test_a_stated_length_past_the_limit_is_refused_at_once() -> None:
    with pytest.raises(RefusedRequestError) as caught:
        _body([], {"Content-Length": "11"})
    assert caught.value.notice is BODY_TOO_LARGE


def test_a_body_that_stops_coming_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_PAUSE_SECONDS", 0.02)
    with pytest.raises(RefusedRequestError) as caught:
        asyncio.run(_body([b"a", None]).read())
    assert caught.value.notice is BODY_TOO_SLOW


def test_an_unknown_expectation_is_refused() -> None:
    with pytest.raises(RefusedRequestError) as caught:
        _body([], {"Expect": "200-maybe"})
    assert caught.value.notice is EXPECTATION_FAILED
