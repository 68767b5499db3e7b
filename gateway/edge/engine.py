"""The seam for engines: what stands in front of the portal and lets no request pass unseen."""

from typing import Protocol

from aiohttp import web

from gateway.edge.notices import Notice


class Answers(Protocol):
    """What answers the requests that an engine takes: the relay of a portal, or of several."""

    async def watch(self) -> None:
        """Cut the answers to sessions that end, until cancelled; must run while requests come."""

    async def close(self) -> None:
        """Close the connections to portals and control planes."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer *request*, whatever it is.

        :raises ConnectionError: where an answer breaks off after its head.
        """

    def refuse(self, request: web.BaseRequest, notice: Notice, detail: str) -> web.Response:
        """Return the answer that says *notice*, and log *detail*."""


class Engine(Protocol):
    """An HTTP server in front of the portal, with the gateway's decision behind it."""

    @property
    def address(self) -> str:
        """Where it listens, ``host:port``; known once it was started."""

    async def start(self) -> None:
        """Listen.

        :raises OSError: where the address cannot be listened on.
        """

    async def run(self) -> None:
        """Work until cancelled; a return or an exception means that it works no more."""

    async def reload(self) -> None:
        """Take certificates that were renewed, while requests go on.

        :raises ConfigurationError: where they cannot be used; then the old ones stay.
        """

    async def stop(self) -> None:
        """Take no more requests, let those under way end for a short time, then end them."""
