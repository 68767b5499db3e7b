"""The rehearsal: hostile requests sent through a generated configuration before it goes live.

What a regular expression inside nginx's quotes really says shows only when nginx runs it. So a
second nginx, on Unix sockets of its own, gets each request below with a session that is good, and
stand-ins for portal, verdict, control plane and relay tell what came through.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.edge.nginx.config import write_configuration
from gateway.edge.nginx.process import NginxProcess
from gateway.edge.nginx.site import Behind, Site
from gateway.edge.verdict import LET_IN, LET_IN_FIELD
from gateway.errors import ConfigurationError
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from gateway.settings_guard import GuardSettings

ANSWER_SECONDS = 5
MAX_ANSWER_BYTES = 65536
GOOD_COOKIE = "A" * 43
SUBJECT = "rehearsal"

MALFORMED_TARGETS = (
    "/public/../admin",
    "/..",
    "/a/.",
    "/./admin",
    "/%2e%2e/admin",
    "/.%2e/admin",
    "/..%2fadmin",
    "/..%5cadmin",
    "/public/..;/admin",
    "/admin;x=1",
    "/admin%3bx=1",
    "/%252e%252e/admin",
    "/%c0%ae%c0%ae/admin",
    "/x/%ff",
    "/x/%ed%a0%80",
    "/a#b",
    "/a?b#c",
    "/a%23b",
    "//admin",
    "/a//b",
    "/a\\b",
    "/%00",
    "/a%0d%0ab",
    "/%zz",
    '/"',
    "/<a>",
    "/\xe9",
    "/a?\xe9",
    "admin",
    "*",
    "http://other.example/",
    "/_CPS/login",
    "/_cps;x/login",
    "/_cps//login",
    "/_cps/../x",
    "/_cps/login%20",
)
"""Refused with 400, whoever asks."""
MALFORMED_FIELDS = (
    "X-CPS-Subject : evil",
    "Accept: a\r\n folded",
    "Accept: a\x01b",
    "Accept: a\x0bb",
    "Accept: a\x7fb",
    "Accept: a\x00b",
    "Content-Length: 4\r\nTransfer-Encoding: chunked",
    "Content-Length: 4\r\nContent-Length: 5",
    "Content-Length: +4",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
)
"""Refused with 400 or 501, beside a good session."""
SPOOFED_FIELDS = (
    "X-CPS-Subject",
    "x-cps-subject",
    "X_CPS_Subject",
    "X.CPS.Subject",
    "X-CPS-Assertion",
    "X-CPS-Verdict",
    "X-CPS-Anything",
    "X-Forwarded-For",
    "X-Forwarded-Prefix",
    "Forwarded",
    "X-Original-URL",
    "X-Real-IP",
    "Proxy-Authorization",
)
"""Names under which nothing of a browser's reaches the portal."""


@dataclass(slots=True)
class _StandIn:
    """A server that notes what it is asked and always answers the same."""

    answer: bytes
    heads: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head.decode("latin-1"))
                writer.write(self.answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.close()


def _answer(*lines: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "Content-Length: 0", "", ""]).encode()


class _Stage:
    """A second nginx, and the stand-ins behind it for one of its portals."""

    def __init__(self, site: Site, behind: Behind) -> None:
        self.site = site
        self.behind = behind
        self.host = behind.host
        self.portal = _StandIn(_answer())
        self.verdict = _StandIn(_answer(f"{LET_IN_FIELD}: {LET_IN}", f"X-CPS-Subject: {SUBJECT}"))
        self.control_plane = _StandIn(_answer())

    @property
    def stand_ins(self) -> tuple[_StandIn, ...]:
        """All that stands in for a part of this portal."""
        return self.portal, self.verdict, self.control_plane

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[None]:
        """Let the stand-ins serve."""
        async with (
            _serving(self.portal, Path(self.behind.portal.removeprefix("unix:"))),
            _serving(self.verdict, self.behind.verdict_socket),
            _serving(self.control_plane, self.behind.control_socket),
        ):
            yield

    def request(self, *lines: str, target: str = "/", method: str = "GET") -> bytes:
        head = [f"{method} {target} HTTP/1.1", f"Host: {self.host}", *lines, "Connection: close"]
        return "\r\n".join([*head, "", ""]).encode("latin-1")

    def with_session(self, *lines: str, target: str = "/", method: str = "GET") -> bytes:
        cookie = f"Cookie: a=1; {SESSION_COOKIE}={GOOD_COOKIE}; {LOGIN_COOKIE}=x; b=2"
        return self.request(cookie, *lines, target=target, method=method)

    async def status(self, raw: bytes) -> int:
        """Send a request and return the answer's status; what came through is known then."""
        for stand_in in self.stand_ins:
            stand_in.heads.clear()
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(
                self.site.listen[0].removeprefix("unix:")
            )
            try:
                writer.write(raw)
                answer = await reader.read(MAX_ANSWER_BYTES)
            finally:
                writer.close()
        first = answer.split(b"\r\n")[0].split(b" ")
        return int(first[1]) if len(first) > 1 and first[1].isdigit() else 0

    async def require_refusal(self, raw: bytes, *statuses: int) -> None:
        status = await self.status(raw)
        if status not in statuses or self.portal.heads:
            raise _fault(raw, f"answered with {status}, {len(self.portal.heads)} at the portal")


@asynccontextmanager
async def _serving(stand_in: _StandIn, place: Path) -> AsyncIterator[None]:
    server = await asyncio.start_unix_server(stand_in.serve, place)
    try:
        yield
    finally:
        server.close()


def _fault(raw: bytes, what: str) -> ConfigurationError:
    # The request is one of those above, so it may be shown.
    reason = f"the generated configuration does not hold: {raw.splitlines()[:4]!r} {what}"
    return ConfigurationError("nginx.conf", "edge.engine", reason)


async def rehearse(program: Path, site: Site) -> None:
    """Refuse a configuration that lets anything through which it should not.

    :param site: what is about to go live.
    :raises ConfigurationError: naming the request.
    """
    # Names are short: the path of a Unix socket has at most 107 bytes.
    folder = site.folder / "try"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    trial = replace(
        site,
        folder=folder,
        listen=(f"unix:{folder / 'web'}",),
        portals=tuple(_on_trial(each, folder, n) for n, each in enumerate(site.portals)),
        relay_socket=folder / "way",
        connections=512,
        # Its requests come from here: who may connect is nginx's own affair.
        proxies=(),
    )
    stages = [_Stage(trial, behind) for behind in trial.portals]
    nginx = NginxProcess(program, folder, is_logged=False)
    try:
        async with AsyncExitStack() as standing:
            await standing.enter_async_context(_serving(_StandIn(_answer()), trial.relay_socket))
            for stage in stages:
                await standing.enter_async_context(stage.standing())
            await nginx.start(write_configuration(trial))
            try:
                for stage in stages:
                    await _play(stage)
                    await _require_apart(stage, stages)
            finally:
                await nginx.stop(seconds=0)
    except (OSError, TimeoutError) as exc:
        raise ConfigurationError("nginx.conf", "edge.engine", f"rehearsal failed: {exc!r}") from exc
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _on_trial(behind: Behind, folder: Path, number: int) -> Behind:
    """Return a portal whose parts are stand-ins."""
    # What is sensitive goes to the relay, which judges for itself; here everything else is tried.
    settings = behind.settings.model_copy(update={"guard": GuardSettings()})
    return replace(
        behind,
        settings=settings,
        tls=None,
        portal=f"unix:{folder / f'app{number}'}",
        portal_tls=None,
        verdict_socket=folder / f"ask{number}",
        control_socket=folder / f"own{number}",
        verdicts=folder / f"verdicts{number}",
    )


async def _play(stage: _Stage) -> None:
    for target in MALFORMED_TARGETS:
        await stage.require_refusal(stage.with_session(target=target), 400)
        await stage.require_refusal(stage.request(target=target), 400)
    for line in MALFORMED_FIELDS:
        await stage.require_refusal(stage.with_session(line), 400, 501)
    for method in ("TRACE", "PROPFIND", "get", "CONNECT"):
        await stage.require_refusal(stage.with_session(method=method), 400, 405)
    for target in ("/_cps/internal/verdict", "/_cps/internal/enter", "/_cps/internal/notice/x"):
        await stage.require_refusal(stage.with_session(target=target), 404)
    await _require_one_session(stage)
    await _require_closed_to_strangers(stage)
    await _require_host(stage)
    await _require_true_identity(stage)


async def _require_one_session(stage: _Stage) -> None:
    good = f"{SESSION_COOKIE}={GOOD_COOKIE}"
    for cookie in (f"{good}; {SESSION_COOKIE}=B", f"{SESSION_COOKIE}=B; {good}"):
        await stage.require_refusal(stage.request(f"Cookie: {cookie}"), 400)
    for cookie in (f"={good}", f'{SESSION_COOKIE}="{GOOD_COOKIE}"', good.lower(), f"{good}="):
        await stage.require_refusal(stage.request(f"Cookie: {cookie}"), 401)
        if stage.verdict.heads:
            raise _fault(stage.request(f"Cookie: {cookie}"), "was taken for a session")


async def _require_closed_to_strangers(stage: _Stage) -> None:
    for lines in ((), ("Accept: application/json",), ("Sec-Fetch-Mode: cors",)):
        await stage.require_refusal(stage.request(*lines), 401)
    # Answered by the relay, which stands for the login page here.
    await stage.require_refusal(stage.request("Sec-Fetch-Mode: navigate"), 200)
    form = stage.request("Sec-Fetch-Mode: navigate", "Content-Length: 0", method="POST")
    await stage.require_refusal(form, 401)


async def _require_host(stage: _Stage) -> None:
    raw = stage.with_session()
    for host in ("other.example", f"{stage.host}.", f"x@{stage.host}"):
        wrong = raw.replace(f"Host: {stage.host}".encode(), f"Host: {host}".encode())
        await stage.require_refusal(wrong, 400, 421)


async def _require_true_identity(stage: _Stage) -> None:
    """Let good requests through and look at what the portal is told."""
    for name in SPOOFED_FIELDS:
        for lines in ((f"{name}: evil",), (f"{name}: evil", f"{name}: evil")):
            raw = stage.with_session(*lines)
            status = await stage.status(raw)
            if status != 200 or len(stage.portal.heads) != 1:
                raise _fault(raw, f"answered with {status}")
            _require_portal_head(raw, stage.portal.heads[0])


def _require_portal_head(raw: bytes, head: str) -> None:
    lines = head.split("\r\n")[1:]
    names = [line.partition(":")[0].lower() for line in lines if line]
    subjects: Sequence[str] = [x for x in lines if x.lower().startswith("x-cps-subject:")]
    if (
        "evil" in head
        or "__Host-cps" in head
        or subjects != [f"X-CPS-Subject: {SUBJECT}"]
        or "Cookie: a=1; b=2" not in lines
        or len(names) != len(set(names))
    ):
        raise _fault(raw, f"reached the portal as {json.dumps(head)}")


async def _require_apart(stage: _Stage, stages: Sequence[_Stage]) -> None:
    """Refuse where a portal's request is another portal's too."""
    others = [other for other in stages if other is not stage]
    for target in ("/", "/_cps/login"):
        for other in others:
            for stand_in in other.stand_ins:
                stand_in.heads.clear()
        raw = stage.with_session(target=target)
        status = await stage.status(raw)
        asked = [head for other in others for each in other.stand_ins for head in each.heads]
        if status != 200 or asked:
            raise _fault(raw, f"answered with {status}, {len(asked)} asked of another portal")
