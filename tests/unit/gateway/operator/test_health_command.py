import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer

import pytest

from gateway.operator.health_command import run_health
from tests.support.settings_files import MINIMAL, settings_folder, write


@contextmanager
def answering(folder: Path, body: bytes) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Log nothing."""

        def address_string(self) -> str:
            return "socket"

    (folder / "state").mkdir(mode=0o700)
    with UnixStreamServer(str(folder / "state" / "monitor.sock"), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(settings_folder(tmp_path), MINIMAL)


def test_a_ready_gateway_is_exit_code_0(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(file.parent, json.dumps({"ready": True, "problems": []}).encode()):
        assert run_health(file) == 0
    assert capsys.readouterr().out == "ready\n"


def test_what_keeps_people_out_is_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(file.parent, json.dumps({"ready": False, "problems": ["store away"]}).encode()):
        assert run_health(file) == 1
    assert capsys.readouterr().err == "problem: store away\n"


def test_no_gateway_is_a_problem(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_health(file) == 1
    assert "no gateway answers" in capsys.readouterr().err


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"x" * 100_000], ids=["none", "list", "empty", "huge"]
)
def test_nonsense_is_a_problem(file: Path, body: bytes) -> None:
    with answering(file.parent, body):
        assert run_health(file) == 1
