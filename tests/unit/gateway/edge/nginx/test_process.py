import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.edge.nginx.process import NginxProcess, tell_error, tell_refusal
from gateway.errors import ConfigurationError
from tests.support.nginx import nginx_program


def configuration(folder: Path, more: str = "", text: str = "one") -> str:
    return f"""
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ }}
http {{
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    log_format refusal '$status $remote_addr 0a1b2c3d 400 a reason';
    access_log /dev/stdout refusal;
    server {{ listen unix:{folder}/listen; location / {{ return 400 {text}; }} {more} }}
}}
"""


def with_nginx(folder: Path, act: Callable[[NginxProcess], Awaitable[None]]) -> None:
    async def main() -> None:
        nginx = NginxProcess(nginx_program(), folder)
        try:
            async with asyncio.timeout(10):
                await act(nginx)
        finally:
            await nginx.stop(seconds=1)

    asyncio.run(main())


def asked(folder: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(folder / "listen"))
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
        return answer


def test_nginx_answers_once_it_was_started_and_its_refusals_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def act(nginx: NginxProcess) -> None:
        await nginx.start(configuration(tmp_path))
        assert asked(tmp_path).endswith(b"\r\n\r\none")

    with caplog.at_level(logging.INFO, "gateway.edge"):
        with_nginx(tmp_path, act)
    assert "400 to unix:: a reason [0a1b2c3d]" in caplog.messages


def test_a_configuration_that_nginx_refuses_is_told(tmp_path: Path) -> None:
    async def act(nginx: NginxProcess) -> None:
        with pytest.raises(ConfigurationError, match="unknown directive"):
            await nginx.start(configuration(tmp_path, more="nonsense;"))
        assert nginx.pid is None

    with_nginx(tmp_path, act)


def test_an_nginx_that_ends_at_once_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "nginx"
    program.write_text("#!/bin/sh\n[ $7 = -t ] && exit 0\necho address in use >&2\nexit 1\n")
    program.chmod(0o755)

    async def main() -> None:
        nginx = NginxProcess(program, tmp_path)
        with pytest.raises(OSError, match="did not start, exit code 1"):
            await nginx.start("")

    asyncio.run(main())
    assert "nginx: address in use" in caplog.messages


def test_its_end_is_known(tmp_path: Path) -> None:
    async def act(nginx: NginxProcess) -> None:
        await nginx.start(configuration(tmp_path))
        ending = asyncio.create_task(nginx.ended())
        await nginx.stop(seconds=1)
        assert await ending == 0
        assert not (tmp_path / "listen").exists()

    with_nginx(tmp_path, act)


def test_a_reload_takes_what_changed_and_nothing_that_is_wrong(tmp_path: Path) -> None:
    async def act(nginx: NginxProcess) -> None:
        await nginx.start(configuration(tmp_path))
        file = tmp_path / "nginx.conf"
        file.write_text(configuration(tmp_path, more="nonsense;", text="two"))
        with pytest.raises(ConfigurationError):
            await nginx.reload()
        assert asked(tmp_path).endswith(b"one")
        file.write_text(configuration(tmp_path, text="three"))
        await nginx.reload()
        while not asked(tmp_path).endswith(b"three"):
            await asyncio.sleep(0.01)

    with_nginx(tmp_path, act)


SECRET = "GET /_cps/callback?code=ONE-TIME HTTP/1.1"


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        pytest.param(
            '2026/11/23 17:54:17 [error] 12#12: *3 upstream sent invalid header: "a: ONE-TIME"'
            f' while reading, client: 127.0.0.1, server: x, request: "{SECRET}", host: "x"',
            "ERROR", 'nginx: upstream sent invalid header: "…" while reading', id="of a request",
        ),
        pytest.param(
            '2026/11/23 17:54:17 [error] 12#12: *3 a lone " quote, client: 127.0.0.1, request: "x',
            "ERROR", 'nginx: a lone "…"', id="a lone quote",
        ),
        pytest.param('2026/11/23 17:54:17 [emerg] 12#12: open() "/x" failed', "ERROR",
                     'nginx: open() "/x" failed', id="of nginx itself"),
        pytest.param("2026/11/23 17:54:17 [warn] 12#12: careful", "WARNING", "nginx: careful",
                     id="warning"),
        pytest.param("anything else", "ERROR", "nginx: anything else", id="unknown form"),
    ],
)  # fmt: skip
def test_the_log_has_what_nginx_says_without_the_request(
    line: str, level: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "gateway.edge"):
        tell_error(line)
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [(level, message)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("400 192.0.2.7 0a1b2c3d 400 a target", "400 to 192.0.2.7: a target [0a1b2c3d]"),
        ("502 192.0.2.7 0a1b2c3d -", "502 to 192.0.2.7: no reason of its own [0a1b2c3d]"),
        ("502 192.0.2.7 0a1b2c3d", "502 to 192.0.2.7: no reason of its own [0a1b2c3d]"),
        ("half", "a refusal that nginx did not describe"),
    ],
)
def test_a_refusal_is_one_line(line: str, message: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "gateway.edge"):
        tell_refusal(line)
    assert caplog.messages == [message]
