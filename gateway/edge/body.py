"""The body of a request on its way through: in order, as it comes, within size and time."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import hdrs, web

from gateway.edge.notices import (
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    EXPECTATION_FAILED,
    MALFORMED,
    RefusedRequestError,
)

BODY_PAUSE_SECONDS = 60
"""Longest pause of a browser that sends a body."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def is_invitation_awaited(request: web.BaseRequest) -> bool:
    """Return whether the browser sends its body only when it is invited to.

    :raises RefusedRequestError: 417 where it expects anything else.
    """
    expect = request.headers.get(hdrs.EXPECT)
    if expect is not None and expect.lower() != "100-continue":
        raise RefusedRequestError(EXPECTATION_FAILED, "unknown Expect")
    return expect is not None


class RequestBody:
    """Passes a request's body on in pieces; back-pressure comes from who takes them."""

    def __init__(self, request: web.BaseRequest, *, limit: int) -> None:
        """Refuse a body that says it is too large.

        :param limit: bytes allowed.
        :raises RefusedRequestError: 413 for a larger Content-Length, 417 for an unknown Expect, 400
            where length and coding are both stated: somebody else may find another end.
        """
        self._request = request
        self._limit = limit
        self.refusal: RefusedRequestError | None = None
        """Why the body broke off while it was passed on."""
        self._is_awaited = is_invitation_awaited(request)
        if {hdrs.TRANSFER_ENCODING, hdrs.CONTENT_LENGTH} <= request.headers.keys():
            # The parser lets an empty coding stand beside a length.
            raise RefusedRequestError(MALFORMED, "length and coding of a body")
        if (request.content_length or 0) > limit:
            raise RefusedRequestError(BODY_TOO_LARGE, "Content-Length above the limit")

    @property
    def exists(self) -> bool:
        """Whether the request has a body, be it empty in the end."""
        return self._request.can_read_body

    async def read(self) -> bytes:
        """Return the whole body.

        :raises RefusedRequestError: 413 past the limit, 408 for a browser that stops sending.
        """
        return b"".join([piece async for piece in self])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._is_awaited:
            await self._invite()
        size = 0
        while True:
            try:
                async with asyncio.timeout(BODY_PAUSE_SECONDS):
                    piece = await self._request.content.readany()
            except TimeoutError as exc:
                self.refusal = RefusedRequestError(BODY_TOO_SLOW, "body stopped coming")
                raise self.refusal from exc
            if not piece:
                return
            size += len(piece)
            if size > self._limit:
                self.refusal = RefusedRequestError(BODY_TOO_LARGE, "body above the limit")
                raise self.refusal
            yield piece

    async def _invite(self) -> None:
        """Tell a client that waits for it to send the body. Source: RFC 9110 §10.1.1."""
        self._is_awaited = False
        writer = self._request.writer
        await writer.write(_CONTINUE)
        # The count tells aiohttp whether the answer has begun, which this is not.
        writer.output_size = 0
