"""The agent's requests to a gateway, over connections of its own."""

import json
import platform
import re
import ssl
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from cps.agent import VERSION
from cps.agent.errors import SignInError
from cps.agent.origins import is_loopback
from cps.agent.pinned import pinned_pool
from cps.authtoken.abort import AbortMessage
from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_decode, parse_object
from cps.authtoken.frame import NONCE_BYTES
from cps.authtoken.jwk import AgentKey
from cps.authtoken.lease import LeaseMessage, require_lease_id
from cps.authtoken.token import ALGORITHMS, AuthToken, require_rid

PROTOCOL_VERSION = 1
KEYS_PATH = "/_cps/.well-known/jwks.json"
"""What a gateway answers to everybody."""
MAX_LEASE_SECONDS = 3600
"""Longest heartbeat and grace that a gateway may ask for."""
MAX_ANSWER_BYTES = 4096
MAX_LABEL_CHARACTERS = 64
MAX_CHALLENGE_SECONDS = 600
CODE_BYTES = 32
_CHUNK_BYTES = 1024
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})\Z")
_INCIDENT = re.compile(r"[A-Za-z0-9-]{1,32}\Z")
_WORKSTATION_CODES = frozenset(
    {
        ErrorCode.NO_SERVICE,
        ErrorCode.NO_READER,
        ErrorCode.NO_CARD,
        ErrorCode.CARD_REMOVED,
        ErrorCode.PIN_WRONG,
        ErrorCode.PIN_BLOCKED,
        ErrorCode.PIN_CANCELLED,
        ErrorCode.PINPAD_FAILED,
        ErrorCode.PORT_IN_USE,
    }
)
"""What only the workstation can know: a gateway that claims it is not believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the gateway hands out for one login, to the agent that claimed it."""

    nonce: bytes = field(repr=False)
    """32 bytes."""
    label: str
    """The portal's name: printable, at most 64 characters."""
    expires_in: int
    """Seconds, 0 to 600."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTerms:
    """What the gateway asks for while the session lives."""

    id: str = field(repr=False)
    """The lease's id, 22 characters."""
    heartbeat: float
    """Seconds between two messages, 1 to 3600."""
    grace: float
    """Seconds of silence that end the session, at least the heartbeat, at most 3600."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A login that the gateway accepted."""

    code: str = field(repr=False)
    """The one-time code, 43 characters."""
    lease: LeaseTerms | None
    """``None`` where the session does without the card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one request may take, in seconds."""

    connect: float
    read: float
    """Between two pieces of an answer, and for its body as a whole."""


LOGIN_PATIENCE = Patience(connect=10.0, read=20.0)
LEASE_PATIENCE = Patience(connect=2.0, read=3.0)
"""For what a person or a card does not wait for; a message of a lease is sent anew, and soon."""


class GatewayClient:
    """One gateway, reached without cookies, redirects or retries.

    :param origin: the portal's, from the agent's own list.
    :param tls: how servers prove themselves.
    :param pins: SHA-256 of the public keys of which the server must have one besides; any where
        there is none.
    :param login: how long claim and token may take.
    :param lease: how long a message about the card, or about its end, may take.
    """

    def __init__(
        self,
        origin: str,
        *,
        tls: ssl.SSLContext,
        pins: Collection[bytes] = (),
        login: Patience = LOGIN_PATIENCE,
        lease: Patience = LEASE_PATIENCE,
    ) -> None:
        self._origin = origin
        self._tls = tls
        self._pins = pins
        self._login = login
        self._lease = lease

    def claim(self, rid: str, key: AgentKey) -> Claim:
        """Claim the login *rid* for *key*, once.

        :raises SignInError: with the gateway's own code; ORIGIN_DENIED where the gateway believes
            to be another portal; AGENT_TOO_OLD; TLS_ERROR, PROXY_ERROR or GATEWAY_UNREACHABLE.

        Source: docs/reference/protocol.md, "Agent to gateway".
        """
        answer = self._introduce("/_cps/agent/claim", key, {"rid": rid})
        return self._claimed(answer)

    def begin(self, key: AgentKey) -> tuple[str, Claim]:
        """Begin a login, claimed for *key* at once, and return its request id.

        :raises SignInError: as :meth:`claim`; REQUEST_FORBIDDEN where the gateway has no such
            logins.

        Source: docs/reference/protocol.md, "A login that begins in the agent".
        """
        answer = self._introduce("/_cps/agent/begin", key, {})
        claim = self._claimed(answer)
        try:
            return require_rid(str(answer.get("rid"))), claim
        except ValueError as exc:
            raise _unreachable("begin answered without a request id") from exc

    def hand_in(self, token: AuthToken) -> Accepted:
        """Hand in what the card signed and return the one-time code, and what comes with it.

        :raises SignInError: with the gateway's own code; TLS_ERROR, PROXY_ERROR or
            GATEWAY_UNREACHABLE.

        Source: docs/reference/protocol.md, "Agent to gateway".
        """
        answer = self._exchange("/_cps/agent/token", token.to_json(), self._login)
        try:
            return _read_accepted(answer)
        except (ValueError, KeyError) as exc:
            raise _unreachable(f"token answered with {type(exc).__name__}: {exc}") from exc

    def give_up(self, message: AbortMessage) -> None:
        """Tell that a claimed login is over, and why.

        :raises SignInError: where it did not arrive, or was refused; the login then ends with its
            time.

        Source: docs/reference/protocol.md, "A login given up".
        """
        self._exchange("/_cps/agent/abort", message.to_json(), self._lease)

    def tell(self, message: LeaseMessage) -> bool:
        """Send a message about the card and return whether the session still lives.

        :raises SignInError: with the gateway's own code; TLS_ERROR, PROXY_ERROR or
            GATEWAY_UNREACHABLE.

        Source: docs/reference/protocol.md, "The lease".
        """
        answer = self._exchange("/_cps/agent/lease", message.to_json(), self._lease)
        alive = answer.get("alive")
        if not isinstance(alive, bool):
            raise _unreachable("lease answered without saying whether the session lives")
        return alive

    def server_time(self) -> datetime:
        """Return the present as the gateway's server tells it with any answer.

        :raises SignInError: TLS_ERROR, PROXY_ERROR or GATEWAY_UNREACHABLE.

        Source: RFC 9110 §6.6.1.
        """
        response, _ = self._send("HEAD", KEYS_PATH, b"", self._lease)
        try:
            told = parsedate_to_datetime(response.headers.get("Date", ""))
        except ValueError as exc:
            raise _unreachable("the answer has no date") from exc
        return told if told.tzinfo else told.replace(tzinfo=UTC)

    def _introduce(
        self, path: str, key: AgentKey, members: Mapping[str, object]
    ) -> dict[str, object]:
        agent = {"name": "cps", "version": VERSION, "os": platform.system() or "unknown"}
        body = {"v": PROTOCOL_VERSION, **members, "jwk": key.to_json(), "agent": agent}
        return self._exchange(path, json.dumps(body).encode("ascii"), self._login)

    def _claimed(self, answer: Mapping[str, object]) -> Claim:
        if answer.get("origin") != self._origin:
            # Whatever answers there, the card must not sign for it.
            raise SignInError(ErrorCode.ORIGIN_DENIED, "the gateway names another origin")
        try:
            _require_new_enough(answer)
            return _read_claim(answer)
        except (ValueError, KeyError) as exc:
            raise _unreachable(f"claim answered with {type(exc).__name__}: {exc}") from exc

    def _exchange(self, path: str, body: bytes, patience: Patience) -> dict[str, object]:
        response, raw = self._send("POST", path, body, patience)
        try:
            answer = parse_object(raw, max_bytes=MAX_ANSWER_BYTES)
        except ValueError as exc:
            raise _unreachable(f"{path} answered {response.status}, no JSON: {exc}") from exc
        if response.status != 200:
            raise _refusal(path, response.status, answer)
        return answer

    def _send(
        self, method: str, path: str, body: bytes, patience: Patience
    ) -> tuple[urllib3.BaseHTTPResponse, bytes]:
        # One connection for each request: an idle one that the network dropped while the person
        # typed the PIN would fail the login.
        try:
            with self._pool(patience) as pool:
                response = pool.request(
                    method,
                    self._origin + path,
                    body=body or None,
                    headers={"Content-Type": "application/json", "Accept": "application/json"},
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                )
                return response, _read_bounded(response, patience.read)
        except urllib3.exceptions.SSLError as exc:
            raise SignInError(ErrorCode.TLS_ERROR, str(exc)) from exc
        except (urllib3.exceptions.ProxyError, urllib3.exceptions.ProxySchemeUnknown) as exc:
            raise SignInError(ErrorCode.PROXY_ERROR, str(exc)) from exc
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise _unreachable(str(exc)) from exc

    def _pool(self, patience: Patience) -> urllib3.PoolManager:
        timeout = urllib3.Timeout(connect=patience.connect, read=patience.read)
        manager: urllib3.PoolManager
        proxy = proxy_for(self._origin)
        if proxy is None:
            manager = urllib3.PoolManager(ssl_context=self._tls, timeout=timeout, retries=False)
        else:
            credentials = urllib3.util.parse_url(proxy).auth
            manager = urllib3.ProxyManager(
                proxy,
                proxy_headers=(
                    urllib3.util.make_headers(proxy_basic_auth=credentials) if credentials else None
                ),
                ssl_context=self._tls,
                timeout=timeout,
                retries=False,
            )
        if self._pins:
            # Without https nothing could be pinned: then nothing is sent.
            manager.pool_classes_by_scheme = {"https": pinned_pool(self._pins)}
        return manager


def proxy_for(origin: str) -> str | None:
    """Return the system's proxy for *origin*, ``None`` where it is reached directly.

    This machine is always reached directly: a proxy would answer for its own machine.
    """
    parts = urlsplit(origin)
    if is_loopback(origin) or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _read_bounded(response: urllib3.BaseHTTPResponse, seconds: float) -> bytes:
    deadline = time.monotonic() + seconds
    raw = bytearray()
    for chunk in response.stream(_CHUNK_BYTES):
        raw += chunk
        if len(raw) > MAX_ANSWER_BYTES:
            raise _unreachable(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
        if time.monotonic() > deadline:
            raise _unreachable(f"an answer that took more than {seconds:.0f} s")
    return bytes(raw)


def _refusal(path: str, status: int, answer: Mapping[str, object]) -> SignInError:
    """Return the error that the gateway's own words stand for, if it may say them."""
    named = answer.get("error")
    code = next((code for code in ErrorCode if code == named), None)
    if code is None or code in _WORKSTATION_CODES or not 400 <= status <= 599:
        return _unreachable(f"{path} answered {status} without a code that is the gateway's")
    incident = answer.get("ref")
    if not isinstance(incident, str) or not _INCIDENT.match(incident):
        incident = None
    return SignInError(code, f"the gateway answered {status} to {path}", incident=incident)


def _require_new_enough(answer: Mapping[str, object]) -> None:
    minimum = answer["min_agent"]
    algorithms = answer["alg"]
    if not isinstance(minimum, str) or not isinstance(algorithms, list):
        raise ValueError("min_agent or alg")  # noqa: TRY004 - one error for the caller
    if _numbers(VERSION) < _numbers(minimum):
        raise SignInError(ErrorCode.AGENT_TOO_OLD, f"the gateway wants {minimum}")
    if not ALGORITHMS & {entry for entry in algorithms if isinstance(entry, str)}:
        raise SignInError(ErrorCode.AGENT_TOO_OLD, "the gateway wants another algorithm")


def _read_claim(answer: Mapping[str, object]) -> Claim:
    version, nonce, label = answer["v"], answer["nonce"], answer["label"]
    expires_in = answer["expires_in"]
    if type(version) is not int or version != PROTOCOL_VERSION:
        raise ValueError("v")
    if not isinstance(nonce, str):
        raise ValueError("nonce")  # noqa: TRY004 - one error for the caller
    if (
        not isinstance(label, str)
        or not 1 <= len(label) <= MAX_LABEL_CHARACTERS
        or not label.isprintable()
    ):
        # It is shown in a terminal, where control characters would be obeyed.
        raise ValueError("label")
    if type(expires_in) is not int or not 0 <= expires_in <= MAX_CHALLENGE_SECONDS:
        raise ValueError("expires_in")
    return Claim(nonce=b64url_decode(nonce, length=NONCE_BYTES), label=label, expires_in=expires_in)


def _read_accepted(answer: Mapping[str, object]) -> Accepted:
    code, lease = answer["code"], answer["lease"]
    if not isinstance(code, str):
        raise ValueError("code")  # noqa: TRY004 - one error for the caller
    b64url_decode(code, length=CODE_BYTES)
    return Accepted(code=code, lease=None if lease is None else _read_terms(lease))


def _read_terms(lease: object) -> LeaseTerms:
    if not isinstance(lease, Mapping):
        raise ValueError("lease")  # noqa: TRY004 - one error for the caller
    name, heartbeat, grace = lease["id"], lease["heartbeat"], lease["grace"]
    if not isinstance(name, str):
        raise ValueError("lease.id")  # noqa: TRY004 - one error for the caller
    if type(heartbeat) is not int or type(grace) is not int:
        raise ValueError("lease.heartbeat or lease.grace")
    if not 1 <= heartbeat <= grace <= MAX_LEASE_SECONDS:
        raise ValueError("lease.heartbeat or lease.grace")
    return LeaseTerms(id=require_lease_id(name), heartbeat=heartbeat, grace=grace)


def _numbers(version: str) -> tuple[int, ...]:
    match = _VERSION.match(version)
    if match is None:
        raise ValueError("min_agent")
    return tuple(int(number) for number in match.groups())


def _unreachable(detail: str) -> SignInError:
    return SignInError(ErrorCode.GATEWAY_UNREACHABLE, detail)
