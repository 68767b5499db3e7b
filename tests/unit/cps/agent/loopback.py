"""A running agent server and a browser made of a raw socket."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cps.agent.checks import PeerCheck
from cps.agent.handover import Handover
from cps.agent.origins import AllowList
from cps.agent.pages import Pages
from cps.agent.portals import Portals
from cps.agent.ports import listen
from cps.agent.progress import Progress
from cps.agent.server import AgentServer, ServerLimits, belongs_to_this_user
from cps.agent.signin import CompletedSignIn, LoginRequest
from cps.agent.workflow import Workflow, WorkflowLimits
from tests.unit.cps.agent.fakes import RID

PORTAL = "https://portal.example"
HOST = "portal.example"
TIMEOUT = 5.0

SignInFunction = Callable[[LoginRequest, Progress], CompletedSignIn]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer, taken apart."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(slots=True, kw_only=True)
class Recorder:
    """A sign-in that succeeds at once and remembers that it ran."""

    seen: list[LoginRequest] = field(default_factory=list)

    def __call__(self, request: LoginRequest, progress: Progress) -> CompletedSignIn:
        self.seen.append(request)
        return completed(request)


def completed(request: LoginRequest) -> CompletedSignIn:
    return CompletedSignIn(redirect=f"{request.origin}/_cps/callback?code=CODE")


class Browser:
    """Sends bytes to the agent and reads what comes back."""

    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), TIMEOUT)

    def send(self, raw: bytes) -> bytes:
        """Return everything the agent answers to *raw* until it closes."""
        with self.connect() as connection:
            connection.sendall(raw)
            return read_all(connection)

    def request(
        self,
        *,
        method: str = "GET",
        target: str = f"/v1/login?r={RID}&o={HOST}",
        host: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> Response:
        return parse(self.send(self.head(method, target, host, headers) + body))

    def head(
        self,
        method: str = "GET",
        target: str = f"/v1/login?r={RID}&o={HOST}",
        host: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}"]
        lines += [f"{name}: {value}" for name, value in headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def read_all(connection: socket.socket) -> bytes:
    raw = b""
    while chunk := connection.recv(65536):
        raw += chunk
    return raw


def parse(raw: bytes) -> Response:
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    assert len({name.lower() for name, _ in pairs}) == len(pairs), "a header is repeated"
    return Response(
        status=int(status.split()[1]),
        headers=dict(pairs),
        body=body.decode(),
    )


@contextmanager
def running_agent(
    sign_in: SignInFunction,
    *,
    workflow: WorkflowLimits | None = None,
    limits: ServerLimits | None = None,
    portals: tuple[str, ...] = (PORTAL,),
    belongs_to_user: PeerCheck = belongs_to_this_user,
    pages: Pages | None = None,
    confirmed: Path | None = None,
    handover: Handover | None = None,
) -> Iterator[Browser]:
    """Yield a browser for a server that runs in a thread of its own until the end."""
    listener = listen((0,))
    port = listener.getsockname()[1]
    ready, loop_box = threading.Event(), []
    ended = asyncio.Event()

    async def serve() -> None:
        server = AgentServer(
            portals=Portals(AllowList.of(portals, (), development=True), confirmed),
            workflow=Workflow(sign_in, workflow or WorkflowLimits(second_tab=0.01)),
            handover=handover or Handover(),
            pages=pages or Pages(),
            belongs_to_user=belongs_to_user,
            limits=limits or ServerLimits(),
        )
        await server.start(listener)
        loop_box.append(asyncio.get_running_loop())
        ready.set()
        await ended.wait()
        await server.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(TIMEOUT)
    try:
        yield Browser(port)
    finally:
        loop_box[0].call_soon_threadsafe(ended.set)
        thread.join(TIMEOUT)
        assert not thread.is_alive()
