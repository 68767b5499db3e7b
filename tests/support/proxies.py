"""Proxies that a site keeps: the real programs with what `cps-gateway render` writes for them."""

import asyncio
import shutil
import ssl
import subprocess
import sysconfig
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import pytest

from gateway.clock import system_clock
from gateway.edge.book import SessionBook
from gateway.edge.embedded import RelayBehindProxy
from gateway.edge.forward_auth import ForwardAuthRelay
from gateway.edge.peer import peer_named_by_front
from gateway.edge.relay import create_relay
from gateway.edge.render.files import files_for
from gateway.edge.render.front import Front
from gateway.edge.render.nginx import REFUSAL_LOG
from gateway.edge.verdict import Verdicts, VerdictServer
from gateway.session.limits import SessionLimits
from gateway.session.memory import MemorySessionStore
from gateway.session.model import SessionStore
from gateway.settings import Settings
from gateway.settings_edge import EdgeSettings
from tests.support.loop_thread import loop_thread
from tests.support.relay import FakeSigner, RunningRelay, Wire, raw_request
from tests.support.server_certificate import ServerFiles
from tests.support.serving import free_port

ProxyName = Literal["nginx", "haproxy", "caddy", "traefik", "envoy"]
PROXIES: tuple[ProxyName, ...] = get_args(ProxyName)
START_SECONDS = 20
STOP_SECONDS = 5


@cache
def program(name: str) -> Path | None:
    """Return the program of this name, of this environment or of the system."""
    places = (
        sysconfig.get_path("scripts"),
        "/usr/local/sbin",
        "/usr/sbin",
        "/usr/local/bin",
        "/usr/bin",
    )
    found = shutil.which(name, path=":".join(places))
    return None if found is None else Path(found)


def proxy_program(name: ProxyName) -> Path:
    """Return the program of this machine, or skip the test."""
    found = program(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def for_proxy(settings: Settings, **edge: object) -> Settings:
    """Return *settings* with the external engine, on a port that is free."""
    listen = settings.listen.model_copy(update={"port": free_port()})
    chosen = EdgeSettings.model_validate({"engine": "external", **edge})
    return settings.model_copy(update={"listen": listen, "edge": chosen})


def front_of(settings: Settings, folder: Path, **changes: object) -> Front:
    """Return a proxy on a free port of this machine, without TLS."""
    values: dict[str, object] = {
        "settings": settings,
        "relay_socket": folder / "relay.sock",
        "verdict_socket": folder / "verdict.sock",
        "runtime_folder": folder,
        "address": "127.0.0.1",
        "port": free_port(),
        "is_plain": True,
    }
    return Front(**{**values, **changes})  # type: ignore[arg-type]  # the names are checked at run time


def tls_front(name: ProxyName, settings: Settings, files: ServerFiles, **changes: object) -> Front:
    """Return a proxy on a free port of this machine, with TLS; sockets stand beside its files."""
    folder = files.certificate.parent
    certificate, key = files.certificate, files.key
    pair: dict[str, object] = {"certificate": certificate, "key": key}
    if name == "haproxy":
        both = folder / "both.pem"
        both.write_bytes(certificate.read_bytes() + key.read_bytes())
        pair = {"certificate": both}
    return front_of(settings, folder, is_plain=False, **pair, **changes)


@contextmanager
def running_program(name: ProxyName, front: Front, folder: Path) -> Iterator[None]:
    """Run the proxy with its rendered files until the block ends.

    :param folder: for its files.
    """
    folder.mkdir(exist_ok=True)
    for file, text in files_for(name, front, folder).items():
        (folder / file).write_text(text, encoding="utf-8")
    arguments = _ARGUMENTS[name](folder)
    log = folder / "log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            [proxy_program(name), *arguments],
            stdout=out,
            stderr=out,
            cwd=folder,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
        ) as process,
    ):
        try:
            _wait_for(front, process, log)
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            process.kill()


def _wait_for(front: Front, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        if _status(front) not in (None, 404):
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def _status(front: Front) -> int | None:
    """Return what a program without a session is answered; 404 before the configuration is read."""
    context = None
    if not front.is_plain:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    address = f"127.0.0.1:{front.port}"
    with suppress(OSError, EOFError, ValueError), Wire.open(address, context) as wire:
        wire.send(raw_request("/", host=front.host))
        return wire.response().status
    return None


def _nginx(folder: Path) -> list[str]:
    rendered = folder / "cps-gateway.conf"
    rendered.write_text(rendered.read_text().replace(str(REFUSAL_LOG), str(folder / "refusals")))
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr;\n"
        f"events {{ worker_connections 512; }}\n"
        f"http {{ client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"access_log off;\ninclude {folder}/cps-gateway.conf; }}\n"
    )
    # Its workers are nobody's who could not open our sockets.
    return ["-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr", "-g", "user root;"]


def _haproxy(folder: Path) -> list[str]:
    return ["-db", "-f", str(folder / "cps-gateway.cfg")]


def _caddy(folder: Path) -> list[str]:
    (folder / "Caddyfile").write_text(
        "{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n}\nimport cps-gateway.caddy\n"
    )
    return ["run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def _traefik(folder: Path) -> list[str]:
    return ["--configFile", str(folder / "traefik.yml")]


def _envoy(folder: Path) -> list[str]:
    return ["-c", str(folder / "envoy.yaml"), "--concurrency", "1", "--disable-hot-restart",
            "-l", "warning"]  # fmt: skip


_ARGUMENTS: Mapping[ProxyName, Callable[[Path], list[str]]] = MappingProxyType(
    {
        "nginx": _nginx,
        "haproxy": _haproxy,
        "caddy": _caddy,
        "traefik": _traefik,
        "envoy": _envoy,
    }
)


@contextmanager
def running_gateway(front: Front, control_socket: Path) -> Iterator[SessionStore]:
    """Run what the proxy asks until the block ends, and give the sessions that it knows."""
    settings = front.settings
    store = MemorySessionStore(settings.session)

    async def run(until_stopped: Callable[[SessionStore], Awaitable[None]]) -> None:
        book = SessionBook(store, system_clock, SessionLimits.of(settings.session))
        verdicts = Verdicts(book, FakeSigner(), system_clock, None)
        relay = create_relay(
            settings=settings,
            clock=system_clock,
            sessions=store,
            signer=FakeSigner(),
            control_socket=control_socket,
            peer_of=peer_named_by_front,
            kind=ForwardAuthRelay,
        )
        parts = (
            VerdictServer(book, verdicts, front.verdict_socket),
            RelayBehindProxy(
                relay,
                socket=front.relay_socket,
                group=None,
                listen=settings.listen,
                limits=settings.limits,
            ),
        )
        for part in parts:
            await part.start()
        work = [asyncio.create_task(part.run()) for part in parts]
        await until_stopped(store)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        for part in reversed(parts):
            await part.stop()

    with loop_thread(run) as (known, _):
        yield known


@contextmanager
def running_proxy(
    name: ProxyName,
    settings: Settings,
    folder: Path,
    control_socket: Path,
    files: ServerFiles | None = None,
) -> Iterator[RunningRelay]:
    """Run the proxy, and the gateway that it asks, until the block ends.

    :param folder: of the sockets; its path must be short.
    :param files: certificate and key where the proxy speaks TLS.
    """
    proxy_program(name)
    front = front_of(settings, folder) if files is None else tls_front(name, settings, files)
    with (
        running_gateway(front, control_socket) as store,
        running_program(name, front, folder / "proxy"),
    ):
        yield RunningRelay(f"127.0.0.1:{front.port}", store, lambda: None)
