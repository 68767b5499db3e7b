"""HTTP as the refresher needs it: from configured addresses alone, bounded in size and time."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from gateway.errors import GatewayError

MAX_HEADER_CHARS = 500
"""Of an ETag or a date that a server wants to have repeated."""
_CHUNK_BYTES = 65_536
_OK, _NOT_MODIFIED = 200, 304
_HEADERS: Mapping[str, str] = MappingProxyType(
    # What is fetched is signed as it is; a compressed one could be small and large at once.
    {"Accept-Encoding": "identity", "User-Agent": "cps-gateway"}
)


class FetchError(GatewayError):
    """An address did not give what was asked of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """How long a fetch may take, seconds."""

    connect: float = 10
    silence: float = 20
    """Longest pause between two pieces."""
    total: float = 120
    """For the largest list on a slow line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """How a server calls what it sent; both may be absent."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a server sent."""

    body: bytes
    version: Version


class Fetcher:
    """Fetches from the addresses that it is given, and from nowhere else.

    No redirection is followed, no cookie kept, no password sent. Proxies of the environment count.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        """Hold the connections."""
        async with aiohttp.ClientSession(
            auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), headers=_HEADERS
        ) as session:
            yield cls(session)

    async def get(
        self,
        address: str,
        *,
        max_bytes: int,
        known: Version | None = None,
        limits: TimeLimits | None = None,
    ) -> Fetched | None:
        """Return what is at *address*, or ``None`` where that is what is *known* already.

        :param max_bytes: more is an error.
        :raises FetchError: for anything but that.
        """
        headers = {}
        if known is not None and known.etag is not None:
            headers["If-None-Match"] = known.etag
        if known is not None and known.last_modified is not None:
            headers["If-Modified-Since"] = known.last_modified
        return await self._request(
            "GET", address, headers=headers, body=None, max_bytes=max_bytes, limits=limits
        )

    async def post(
        self,
        address: str,
        body: bytes,
        *,
        content_type: str,
        max_bytes: int,
        limits: TimeLimits | None = None,
    ) -> bytes:
        """Return the answer to *body*.

        :raises FetchError: see :meth:`get`.
        """
        fetched = await self._request(
            "POST",
            address,
            headers={"Content-Type": content_type},
            body=body,
            max_bytes=max_bytes,
            limits=limits,
        )
        if fetched is None:
            raise FetchError(f"{address}: status 304 to a question")
        return fetched.body

    async def _request(
        self,
        method: str,
        address: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        max_bytes: int,
        limits: TimeLimits | None,
    ) -> Fetched | None:
        allowed = limits or TimeLimits()
        url = URL(address, encoded=True)
        proxy, told = _proxy_for(url)
        try:
            async with self._session.request(
                method,
                url,
                # Without TLS the proxy reads the request itself, with it only the one for a tunnel.
                headers={**headers, **told} if url.scheme == "http" else headers,
                data=body,
                allow_redirects=False,
                proxy=proxy,
                proxy_headers=told,
                timeout=aiohttp.ClientTimeout(
                    total=allowed.total, connect=allowed.connect, sock_read=allowed.silence
                ),
            ) as response:
                if response.status == _NOT_MODIFIED:
                    return None
                if response.status != _OK:
                    raise FetchError(f"{address}: status {response.status}")
                return Fetched(
                    body=await _read(response, address, max_bytes), version=_version(response)
                )
        except TimeoutError as exc:
            raise FetchError(f"{address}: took too long") from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise FetchError(f"{address}: {exc or type(exc).__name__}") from exc


async def _read(response: aiohttp.ClientResponse, address: str, max_bytes: int) -> bytes:
    if response.content_length is not None and response.content_length > max_bytes:
        raise FetchError(f"{address}: larger than {max_bytes} bytes")
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > max_bytes:
            raise FetchError(f"{address}: larger than {max_bytes} bytes")
    return bytes(body)


def _version(response: aiohttp.ClientResponse) -> Version:
    return Version(
        etag=_repeatable(response.headers.get("ETag")),
        last_modified=_repeatable(response.headers.get("Last-Modified")),
    )


def _repeatable(value: str | None) -> str | None:
    """Return a header's value where it can be sent back as it is."""
    if value is None or len(value) > MAX_HEADER_CHARS:
        return None
    return value if value.isascii() and value.isprintable() else None


def _proxy_for(url: URL) -> tuple[URL | None, Mapping[str, str]]:
    """Return the proxy that the environment names for *url*, and what it wants to be told."""
    named = getproxies().get(url.scheme)
    if named is None or proxy_bypass(f"{url.host}:{url.port}"):
        return None, {}
    proxy = URL(named)
    if proxy.user is None:
        return proxy, {}
    password = aiohttp.encode_basic_auth(proxy.user, proxy.password or "")
    return proxy.with_user(None), {"Proxy-Authorization": password}
