"""What the gateway is measured beside: a portal of nginx, and nginx as a plain proxy before it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.serving import free_port

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
START_SECONDS = 10.0
UPSTREAM = """
from aiohttp import web
async def answer(request): return web.Response(body=b"x" * 1024)
app = web.Application(); app.router.add_get("/", answer)
web.run_app(app, host="127.0.0.1", port={port}, print=lambda *_: print("ready", flush=True))
"""
_TICK = os.sysconf("SC_CLK_TCK")

_COMMON = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
worker_processes 2;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    keepalive_requests 100000000;
    {more}
}}
"""
_PORTAL = """
    sendfile on;
    server {{ listen 127.0.0.1:{port}; root {folder}/files; }}
"""
_PROXY = """
    upstream portal {{ server {portal}; keepalive 64; keepalive_requests 100000000; }}
    # As many buffers as the gateway's own configuration has, and no disk.
    proxy_buffer_size 16k; proxy_buffers 16 16k; proxy_busy_buffers_size 32k;
    proxy_max_temp_file_size 0;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://portal;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
"""
_PYTHON_PORTAL = """
from pathlib import Path
from aiohttp import web
app = web.Application()
for file in Path({folder!r}).iterdir():
    async def answer(request, content=file.read_bytes()): return web.Response(body=content)
    app.router.add_get("/" + file.name, answer)
web.run_app(app, host="127.0.0.1", port={port}, print=None)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that was started for a measurement."""

    address: str
    """Host and port."""
    group: int
    """Its process group."""


@contextmanager
def portal(folder: Path) -> Iterator[Server]:
    """Serve files of 1 kB and 1 MB."""
    files = folder / "files"
    files.mkdir(parents=True)
    (files / "1k").write_bytes(b"x" * 1024)
    (files / "1m").write_bytes(b"x" * 1024**2)
    port = free_port()
    if NGINX is None:
        program = _PYTHON_PORTAL.format(folder=str(files), port=port)
        with _running([sys.executable, "-c", program], port) as server:
            yield server
        return
    with _nginx(folder, _PORTAL.format(port=port, folder=folder), port) as server:
        yield server


@contextmanager
def plain_proxy(folder: Path, portal: str) -> Iterator[Server]:
    """Run nginx as a proxy that checks nothing.

    :param portal: host and port.
    """
    port = free_port()
    folder.mkdir()
    with _nginx(folder, _PROXY.format(port=port, portal=portal), port) as server:
        yield server


def cpu_seconds(group: int) -> float:
    """Return what the processes of a group have used of processors so far."""
    return sum(_ticks(entry, group) for entry in Path("/proc").iterdir()) / _TICK


def _ticks(entry: Path, group: int) -> int:
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12]) if int(fields[2]) == group else 0


def memory_megabytes(group: int) -> float:
    """Return the memory of a group of processes, what they share counted once."""
    total = 0.0
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if os.getpgid(int(entry.name)) == group:
                total += process_megabytes(int(entry.name))
    return total


def process_megabytes(pid: int) -> float:
    """Return the memory of a process, its part of what it shares."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.partition("\nPss:")[2].split()[0]) / 1024


@contextmanager
def _nginx(folder: Path, more: str, port: int) -> Iterator[Server]:
    assert NGINX is not None
    user = "user root;" if os.geteuid() == 0 else ""
    file = folder / "nginx.conf"
    file.write_text(_COMMON.format(folder=folder, user=user, more=more))
    command = [NGINX, "-p", str(folder), "-c", str(file), "-e", "stderr"]
    with _running(command, port) as server:
        yield server


@contextmanager
def _running(command: list[str], port: int) -> Iterator[Server]:
    with subprocess.Popen(command, process_group=0) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _is_open(port):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield Server(address=f"127.0.0.1:{port}", group=process.pid)
        finally:
            process.terminate()


def _is_open(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False
