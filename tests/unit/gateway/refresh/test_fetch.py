import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import pytest

from cps.issuer.http_faults import HTTPFault
from cps.issuer.server import OCSP_PATH
from gateway.refresh.fetch import Fetched, Fetcher, FetchError, TimeLimits, Version
from tests.support import pki
from tests.support.published import PublishedAuthority
from tests.support.responder import question

_T = TypeVar("_T")
LIMIT = 65_536
PATIENT = TimeLimits(connect=10, silence=10, total=10)
QUICK = TimeLimits(connect=5, silence=0.2, total=0.3)
"""For servers that say nothing, or little at a time."""


def run(work: Callable[[Fetcher], Awaitable[_T]]) -> _T:
    async def inside() -> _T:
        async with Fetcher.open() as fetcher:
            return await work(fetcher)

    return asyncio.run(inside())


def get(
    address: str,
    *,
    max_bytes: int = LIMIT,
    known: Version | None = None,
    limits: TimeLimits = PATIENT,
) -> Fetched | None:
    return run(
        lambda fetcher: fetcher.get(address, max_bytes=max_bytes, known=known, limits=limits)
    )


def list_of(authority: PublishedAuthority) -> str:
    return authority.url(authority.list_path)


def test_what_is_there_is_fetched_with_its_version(authority: PublishedAuthority) -> None:
    fetched = get(list_of(authority))
    assert fetched is not None
    assert fetched.body == authority.documents[authority.list_path].content
    assert fetched.version.etag is not None
    assert fetched.version.last_modified == "Mon, 23 Nov 2026 12:00:00 GMT"


def test_what_is_known_is_not_sent_again(authority: PublishedAuthority) -> None:
    first = get(list_of(authority))
    assert first is not None
    assert get(list_of(authority), known=first.version) is None
    assert get(list_of(authority), known=Version(last_modified=first.version.last_modified)) is None
    authority.publish(authority.list_path, b"new")
    assert get(list_of(authority), known=first.version) is not None


def test_a_request_says_no_more_than_it_must(authority: PublishedAuthority) -> None:
    get(list_of(authority))
    (request,) = authority.server.requests
    assert set(request.headers) == {"host", "accept", "accept-encoding", "user-agent"}
    assert request.headers["accept-encoding"] == "identity"


BROKEN = [
    pytest.param(HTTPFault.NOT_FOUND, "status 404", id="404"),
    pytest.param(HTTPFault.SERVER_ERROR, "status 500", id="500"),
    pytest.param(HTTPFault.UNAVAILABLE, "status 503", id="503"),
    pytest.param(HTTPFault.REDIRECT, "status 302", id="redirect"),
    pytest.param(HTTPFault.REDIRECT_LOOP, "status 302", id="redirect loop"),
    pytest.param(HTTPFault.NO_REPLY, "127.0.0.1", id="no reply"),
    pytest.param(HTTPFault.SILENT, "took too long", id="silent"),
    pytest.param(HTTPFault.GARBAGE, "127.0.0.1", id="garbage"),
    pytest.param(HTTPFault.LONG_HEADER, "127.0.0.1", id="long header"),
    pytest.param(HTTPFault.SLOW_BODY, "took too long", id="slow body"),
    pytest.param(HTTPFault.TRUNCATED, "127.0.0.1", id="truncated"),
    pytest.param(HTTPFault.OVERSIZE, "larger than", id="endless"),
    pytest.param(HTTPFault.OVERSIZE_LENGTH, "larger than", id="large"),
]


@pytest.mark.parametrize(("fault", "problem"), BROKEN)
def test_a_server_that_lets_down_is_an_error_within_bounds(
    authority: PublishedAuthority, fault: HTTPFault, problem: str
) -> None:
    authority.server.faults[authority.list_path] = fault
    begin = time.perf_counter()
    with pytest.raises(FetchError, match=problem):
        get(list_of(authority), limits=QUICK if problem == "took too long" else PATIENT)
    assert time.perf_counter() - begin < PATIENT.total


def test_a_redirection_is_not_followed(authority: PublishedAuthority) -> None:
    authority.server.faults[authority.list_path] = HTTPFault.REDIRECT_LOOP
    with pytest.raises(FetchError):
        get(list_of(authority))
    assert len(authority.server.requests) == 1


def test_a_small_body_does_not_become_a_large_one(authority: PublishedAuthority) -> None:
    authority.server.faults[authority.list_path] = HTTPFault.COMPRESSED
    with suppress(FetchError):
        fetched = get(list_of(authority), max_bytes=1024 * 1024, limits=QUICK)
        assert fetched is not None
        assert len(fetched.body) <= 1024 * 1024


def test_the_limit_is_exact(authority: PublishedAuthority) -> None:
    size = len(authority.documents[authority.list_path].content)
    assert get(list_of(authority), max_bytes=size) is not None
    with pytest.raises(FetchError, match=f"larger than {size - 1} bytes"):
        get(list_of(authority), max_bytes=size - 1)


def test_nobody_there_is_an_error() -> None:
    with pytest.raises(FetchError, match=r"127\.0\.0\.1:1"):
        get("http://127.0.0.1:1/a")


def test_a_version_that_cannot_be_repeated_is_none(authority: PublishedAuthority) -> None:
    assert get(list_of(authority), known=Version(etag='"other"')) is not None


def test_a_question_is_posted(authority: PublishedAuthority) -> None:
    asked = question(pki.leaf())
    answer = run(
        lambda fetcher: fetcher.post(
            authority.ocsp_url,
            asked,
            content_type="application/ocsp-request",
            max_bytes=LIMIT,
            limits=PATIENT,
        )
    )
    assert answer.startswith(b"\x30")


def test_nothing_new_is_no_answer_to_a_question(authority: PublishedAuthority) -> None:
    authority.server.faults[OCSP_PATH] = HTTPFault.NOT_MODIFIED
    with pytest.raises(FetchError, match="304"):
        run(lambda f: f.post(authority.ocsp_url, b"x", content_type="a/b", max_bytes=LIMIT))


def test_a_proxy_of_the_environment_is_used_and_told_the_password(
    authority: PublishedAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = authority.server.url.removeprefix("http://")
    monkeypatch.setenv("http_proxy", f"http://user:pass%20word@{proxy}")
    # The server answers as if it were asked directly: a proxy is asked with the whole address.
    get(f"http://lists.invalid{authority.list_path}")
    (request,) = authority.server.requests
    assert request.headers["host"] == "lists.invalid"
    assert request.headers["proxy-authorization"] == "Basic dXNlcjpwYXNzIHdvcmQ="


def test_a_proxy_is_not_used_where_the_environment_says_so(
    authority: PublishedAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(FetchError):
        get(list_of(authority))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert get(list_of(authority)) is not None


def test_a_proxy_that_refuses_is_an_error(
    authority: PublishedAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", authority.server.url)
    with pytest.raises(FetchError, match="status 404"):
        get("http://lists.invalid/no-such-list")


def test_the_password_of_a_proxy_goes_to_the_proxy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy, ThreadPoolExecutor(1) as thread:

        def refuse() -> bytes:
            connection, _ = proxy.accept()
            with connection:
                head = connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
            return head

        head = thread.submit(refuse)
        monkeypatch.setenv("https_proxy", f"http://user:word@127.0.0.1:{proxy.getsockname()[1]}")
        with pytest.raises(FetchError, match="407"):
            get("https://lists.invalid/a")
        assert head.result(5).startswith(b"CONNECT lists.invalid:443 ")
        assert b"Proxy-Authorization: Basic dXNlcjp3b3Jk" in head.result(5)
