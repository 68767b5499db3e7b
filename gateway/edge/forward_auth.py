"""Forward authentication: a site's own proxy describes a request and is told whether it may pass.

Caddy, Traefik, Envoy and HAProxy ask at one path. What they ask about is judged as if it had come
to the relay itself, in the same order; a permission carries what the portal is to be told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self
from urllib.parse import unquote

from aiohttp import hdrs, web

from gateway.edge.body import is_invitation_awaited
from gateway.edge.headers import (
    Fields,
    identity_fields,
    logs_connection_in,
    passed_cookies,
    route_fields,
    values_of,
)
from gateway.edge.notices import MALFORMED, NOT_FOUND, RefusedRequestError
from gateway.edge.relay import Relay
from gateway.edge.target import INTERNAL_PATH, Target, read_target, require_host
from gateway.edge.verdict import LET_IN, LET_IN_FIELD
from gateway.errors import SessionRequiredError

FORWARD_AUTH_PATH = f"{INTERNAL_PATH}/forward-auth"
"""Where proxies ask; what they pass on never has such a path."""
LET_IN_ADDRESS = "192.0.2.1"
"""Says the same to Traefik, which cannot look for words but for addresses. Source: RFC 5737 §3
(nobody's, for documentation)."""
REMOVE_FIELD = "X-Envoy-Auth-Headers-To-Remove"
"""Names what the portal must not see; Envoy takes nothing away unless it is told so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """The request that a proxy asks about, as the proxy understood it."""

    method: str
    target: str
    host: str

    @classmethod
    def read(cls, fields: Sequence[tuple[bytes, bytes]]) -> Self:
        """Return what a question describes.

        :param fields: of the question: the request's own, and three that the proxy writes.
        :raises RefusedRequestError: 400 where one of the three is missing or stands twice.
        """
        return cls(
            method=_the_one(b"x-forwarded-method", fields),
            target=_the_one(b"x-forwarded-uri", fields),
            host=_the_one(b"x-forwarded-host", fields),
        )


class ForwardAuthRelay(Relay):
    """A relay that also answers the questions of proxies."""

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path.startswith(FORWARD_AUTH_PATH):
            return await self._judge(request)
        return await super()._answer(request)

    async def _judge(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer 200 with what the portal is to be told, or what the browser gets instead."""
        described = Described.read(request.raw_headers)
        self._require_sane_head(request, described.method)
        target = read_target(described.target)
        require_host((described.host,), self._host)
        if target.is_control_plane:
            raise RefusedRequestError(NOT_FOUND, "a path of the gateway is never the portal's")
        if self._is_the_relays(request, target):
            raise RefusedRequestError(MALFORMED, "does not pass through the relay, and has to")
        is_invitation_awaited(request)
        if any(
            logs_connection_in(name.decode("latin-1").lower(), value)
            for name, value in request.raw_headers
        ):
            raise RefusedRequestError(MALFORMED, "a login of the whole connection")
        try:
            session = self._session_of(request)
        except SessionRequiredError:
            answer = await self._show_the_door(request, target, described.method)
            # Traefik would make a path one of the address at which it asks.
            answer.headers[hdrs.LOCATION] = self._origin + answer.headers[hdrs.LOCATION]
            return answer
        cookies = passed_cookies(request.raw_headers)
        fields = [
            (LET_IN_FIELD, LET_IN),
            ("X-Forwarded-For", LET_IN_ADDRESS),
            *identity_fields(session, self._signer.assertion(session, self._clock())),
            *_route_fields(host=self._host, scheme=self._scheme, peer=self._peer_of(request)),
            *(cookies or [(REMOVE_FIELD, hdrs.COOKIE)]),
            (hdrs.CACHE_CONTROL, "no-store"),
        ]
        return web.Response(status=HTTPStatus.OK, headers=fields)

    def _is_the_relays(self, request: web.BaseRequest, target: Target) -> bool:
        """Return whether a request lives long, so that only the relay can cut it in time.

        Proxies send it there, unless it is spelt in a way that they read differently.
        """
        return (
            hdrs.UPGRADE in request.headers
            or any(
                "text/event-stream" in each.lower()
                for each in request.headers.getall(hdrs.ACCEPT, [])
            )
            or unquote(target.path).startswith(self._relayed_paths)
        )


def _route_fields(*, host: str, scheme: str, peer: str) -> Fields:
    """Say how the request came; every proxy writes X-Forwarded-For itself."""
    fields = route_fields(host=host, scheme=scheme, peer=peer)
    return [(name, value) for name, value in fields if name != "X-Forwarded-For"]


def _the_one(name: bytes, fields: Sequence[tuple[bytes, bytes]]) -> str:
    values = values_of(name, fields)
    if len(values) != 1:
        raise RefusedRequestError(MALFORMED, "not a question of a proxy")
    return values[0]
