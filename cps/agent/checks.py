"""What a request from the browser must be before anything at all is done for it."""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum, unique
from types import MappingProxyType

from aiohttp import web

from cps.authtoken.codes import ErrorCode
from cps.authtoken.token import require_rid

PATH = "/v1/login"
START_PATH = "/v1/start"
"""Where a login that began here is handed to the browser; see :mod:`cps.agent.handover`."""
MAX_TARGET_BYTES = 512
"""Path and query together."""
LOOPBACK = "127.0.0.1"
_QUERY_MEMBERS = frozenset({"r", "o"})
_HOST = re.compile(r"[a-z0-9.:\[\]-]+\Z")
_START_QUERY = re.compile(r"k=([A-Za-z0-9_-]{43})\Z")

PeerCheck = Callable[[tuple[str, int], tuple[str, int]], bool]
"""Whether the connection from a client's address to the server's belongs to the agent's user."""


@unique
class Refusal(StrEnum):
    """Why a request was refused, in the order of the checks."""

    PEER = "peer"
    HOST = "host"
    METHOD = "method"
    TARGET = "target"
    BODY = "body"
    FETCH = "fetch"
    ORIGIN_HEADER = "origin_header"
    BUSY = "busy"
    PAUSED = "paused"
    PORTAL = "portal"
    START_KEY = "start_key"
    """No login that began here waits for this browser."""
    NOT_HTTP = "not_http"
    """The server could not read it as HTTP."""


STATUS: Mapping[Refusal, int] = MappingProxyType(
    {
        Refusal.PEER: 403,
        Refusal.HOST: 403,
        Refusal.METHOD: 405,
        Refusal.TARGET: 400,
        Refusal.BODY: 400,
        Refusal.FETCH: 403,
        Refusal.ORIGIN_HEADER: 403,
        Refusal.BUSY: 409,
        Refusal.PAUSED: 429,
        Refusal.PORTAL: 403,
        Refusal.START_KEY: 403,
        Refusal.NOT_HTTP: 400,
    }
)
"""The HTTP status of each refusal."""

_FORBIDDEN = frozenset(
    {Refusal.PEER, Refusal.HOST, Refusal.METHOD, Refusal.FETCH, Refusal.ORIGIN_HEADER}
)


class RefusedRequestError(Exception):
    """A request is refused; nothing was done for it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal

    @property
    def code(self) -> ErrorCode:
        """Return the code whose sentence the page shows."""
        match self.refusal:
            case Refusal.BUSY | Refusal.PAUSED:
                return ErrorCode.BUSY
            case Refusal.PORTAL:
                return ErrorCode.ORIGIN_DENIED
            case Refusal.START_KEY:
                return ErrorCode.CODE_INVALID
            case refusal if refusal in _FORBIDDEN:
                return ErrorCode.REQUEST_FORBIDDEN
            case _:
                return ErrorCode.REQUEST_MALFORMED


def read_request(request: web.BaseRequest, belongs_to_user: PeerCheck) -> tuple[str, str]:
    """Return the request id and the portal's host, after every check of the request itself.

    :param belongs_to_user: whose connection it is; see :data:`PeerCheck`.
    :returns: the rid in its right form, and a host that is on no list yet.
    :raises RefusedRequestError: with the first failed check.

    Source: docs/reference/protocol.md, "Browser to agent".
    """
    _require_own_get(request, belongs_to_user)
    rid, host = _require_target(request.raw_path)
    _require_bare_navigation(request)
    return rid, host


def is_start(request: web.BaseRequest) -> bool:
    """Return whether *request* is for a login that began here; nothing of it is checked."""
    return request.raw_path.partition("?")[0] == START_PATH


def read_start_request(request: web.BaseRequest, belongs_to_user: PeerCheck) -> str:
    """Return the key of a login that began here, after every check of the request itself.

    :param belongs_to_user: whose connection it is; see :data:`PeerCheck`.
    :returns: 43 characters.
    :raises RefusedRequestError: with the first failed check.

    Source: docs/reference/protocol.md, "A login that begins in the agent"; W3C Fetch Metadata
    §2.3; Fetch, "Sec-Purpose".
    """
    _require_own_get(request, belongs_to_user)
    path, _, query = request.raw_path.partition("?")
    found = _START_QUERY.match(query)
    if path != START_PATH or found is None:
        raise RefusedRequestError(Refusal.TARGET)
    _require_bare_navigation(request)
    # The agent itself had it opened: a page that leads here read the key where it must not.
    if any(site != "none" for site in request.headers.getall("Sec-Fetch-Site", [])):
        raise RefusedRequestError(Refusal.FETCH)
    if "Sec-Purpose" in request.headers:
        raise RefusedRequestError(Refusal.FETCH)
    return found[1]


def came_by_a_click(request: web.BaseRequest) -> bool:
    """Return whether the browser says that a person's click or key opened the page.

    No page can say it by itself; old browsers never do.

    Source: W3C Fetch Metadata §2.4.
    """
    return request.headers.getall("Sec-Fetch-User", []) == ["?1"]


def _require_own_get(request: web.BaseRequest, belongs_to_user: PeerCheck) -> None:
    port = _require_peer(request, belongs_to_user)
    # A name that an attacker's DNS points here would be in Host: only the literal address is ours.
    if request.headers.getall("Host", []) not in ([f"{LOOPBACK}:{port}"], [f"[::1]:{port}"]):
        raise RefusedRequestError(Refusal.HOST)
    if request.method != "GET":
        raise RefusedRequestError(Refusal.METHOD)


def _require_bare_navigation(request: web.BaseRequest) -> None:
    if request.body_exists or "Content-Length" in request.headers:
        raise RefusedRequestError(Refusal.BODY)
    _require_navigation(request)
    if "Origin" in request.headers:
        raise RefusedRequestError(Refusal.ORIGIN_HEADER)


def _require_peer(request: web.BaseRequest, belongs_to_user: PeerCheck) -> int:
    """Return the port that the request came to, from this machine and this user."""
    transport = request.transport
    if transport is None:
        raise RefusedRequestError(Refusal.PEER)
    client = transport.get_extra_info("peername")
    server = transport.get_extra_info("sockname")
    if client is None or client[0] != LOOPBACK or server[0] != LOOPBACK:
        raise RefusedRequestError(Refusal.PEER)
    if not belongs_to_user(client, server):
        raise RefusedRequestError(Refusal.PEER)
    port: int = server[1]
    return port


def _require_target(target: str) -> tuple[str, str]:
    path, _, query = target.partition("?")
    parts = [part.partition("=") for part in query.split("&")]
    values = {name: value for name, _, value in parts}
    if (
        len(target) > MAX_TARGET_BYTES
        or path != PATH
        or len(parts) != len(values)
        or set(values) != _QUERY_MEMBERS
        or not _HOST.match(values["o"])
    ):
        raise RefusedRequestError(Refusal.TARGET)
    try:
        return require_rid(values["r"]), values["o"]
    except ValueError as exc:
        raise RefusedRequestError(Refusal.TARGET) from exc


def _require_navigation(request: web.BaseRequest) -> None:
    """Refuse what a browser says is no page being opened; old browsers say nothing.

    Source: W3C Fetch Metadata §2.1, §2.2.
    """
    for name, wanted in (("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")):
        if any(value != wanted for value in request.headers.getall(name, [])):
            raise RefusedRequestError(Refusal.FETCH)
