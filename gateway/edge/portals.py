"""Several portals on one port: each request goes to the relay of the portal that it names.

A relay refuses by itself whatever is not for its portal, so that a mistake here opens nothing.
"""

import asyncio
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import web

from gateway.edge.headers import values_of
from gateway.edge.notices import WRONG_HOST, Notice
from gateway.edge.relay import Relay
from gateway.edge.tls import PortalCertificates


class PortalRelays:
    """The relays of one gateway, as if they were one."""

    def __init__(
        self, relays: Mapping[str, Relay], certificates: PortalCertificates | None
    ) -> None:
        """Take what answers.

        :param relays: by their portals' origins; at least one.
        :param certificates: what TLS is spoken with, ``None`` where it is not.
        """
        self._relays = {urlsplit(origin).netloc: relay for origin, relay in relays.items()}
        self._first = next(iter(self._relays.values()))
        self._certificates = certificates

    async def watch(self) -> None:
        """Cut the answers to sessions that end, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for relay in self._relays.values():
                group.create_task(relay.watch())

    async def close(self) -> None:
        """Close the connections to portals and control planes."""
        for relay in self._relays.values():
            await relay.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer *request*, whatever it is; one for no portal is refused by any of the relays.

        :raises ConnectionError: where an answer breaks off after its head; the connection is cut.
        """
        relay = self._relay_of(request)
        if not self._has_its_certificate(request):
            return relay.refuse(request, WRONG_HOST, "TLS was begun for another portal")
        return await relay.handle(request)

    def refuse(self, request: web.BaseRequest, notice: Notice, detail: str) -> web.Response:
        """Return the answer that says *notice*, and log *detail*."""
        return self._relay_of(request).refuse(request, notice, detail)

    def _relay_of(self, request: web.BaseRequest) -> Relay:
        hosts = values_of(b"host", request.raw_headers)
        return self._relays.get(hosts[0], self._first) if len(hosts) == 1 else self._first

    def _has_its_certificate(self, request: web.BaseRequest) -> bool:
        """Return whether the connection was made with the portal that *request* is for.

        What one portal's name was resolved and checked for is no way to another portal.
        """
        if self._certificates is None:
            return True
        if request.transport is None:
            return False
        connection: ssl.SSLObject = request.transport.get_extra_info("ssl_object")
        return any(
            self._certificates.is_of(host, connection.context)
            for host in values_of(b"host", request.raw_headers)
        )
