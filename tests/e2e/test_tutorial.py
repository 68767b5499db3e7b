"""The tutorial, done as it stands: its files written, its commands typed, its card used."""

import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.trust.crl import LOOK_AGAIN
from tests.support.browser import Browser, Page
from tests.support.serving import ROOT, START_SECONDS, free_port

TUTORIAL = ROOT / "docs" / "tutorial.md"
AGENT = re.compile(r"^cps (agent .*)$", re.MULTILINE)
PORTAL_PORT, GATEWAY_PORT = "8000", "8443"
PIN = b"1234"


class Shell:
    """The terminal of somebody who does the tutorial."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def type(self, commands: str) -> str:
        """Type commands and return what they wrote."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{commands}\necho end of block\n")
        self._process.stdin.flush()
        lines = list(iter(self._process.stdout.readline, "end of block\n"))
        written = "".join(lines)
        assert "Traceback" not in written, written
        return written


@contextmanager
def shell() -> Iterator[Shell]:
    """Give a terminal in the project; what was started in it ends with it."""
    with subprocess.Popen(
        ["bash", "-m", "-u"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield Shell(process)
        finally:
            if process.poll() is None:
                assert process.stdin is not None
                process.stdin.write("kill %1 %2 2>/dev/null\nwait\nexit\n")
                process.stdin.close()
                process.wait(START_SECONDS)


@contextmanager
def agent(folder: Path, arguments: str) -> Iterator[int]:
    """Run the tutorial's agent, with somebody who types the PIN; give its port."""
    pin = folder / "pin"
    pin.touch(mode=0o600)
    pin.write_bytes(PIN)
    with subprocess.Popen(
        [sys.executable, "-m", "cps.main", *arguments.split(), "--port", "0", "--pin-file", "pin"],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert ready.startswith(b"ready http://127.0.0.1:"), ready
            yield int(ready.rpartition(b":")[2])
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def sign_in(browser: Browser, port: int) -> Page:
    """Go the whole way that the button begins."""
    page = browser.to_agent(browser.follow(browser.open("/")), port)
    while page.status == 303:
        page = browser.follow(page)
    return page


def test_the_tutorial_works_as_it_stands(tmp_path: Path) -> None:
    if not (ROOT / ".venv" / "bin" / "activate").exists():
        pytest.skip("the tutorial begins with the project's own virtual environment, .venv")
    ports = {PORTAL_PORT: str(free_port()), GATEWAY_PORT: str(free_port())}
    text = TUTORIAL.read_text(encoding="utf-8")
    for written, free in ports.items():
        text = re.sub(rf"\b{written}\b", free, text)
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (portal,) = (body for kind, body in blocks if kind == "python")
    (settings,) = (body for kind, body in blocks if kind == "toml")
    enter, run_portal, ask_directly, make_card, run_gateway, revoke, audit, end = (
        body for kind, body in blocks if kind == "sh"
    )
    # The folder is the reader's choice; everything else is typed as it is written.
    enter = enter.replace("mkdir tutorial && cd tutorial", f"cd {tmp_path}")
    (tmp_path / "portal.py").write_text(portal, encoding="utf-8")
    (tmp_path / "gateway.toml").write_text(settings, encoding="utf-8")
    (agent_arguments,) = AGENT.findall(text)
    browser = Browser(f"http://localhost:{ports[GATEWAY_PORT]}", tls=ssl.create_default_context())

    with shell() as terminal:
        terminal.type(enter)
        terminal.type(run_portal)
        _await(tmp_path / "portal.log", "Running on")
        assert terminal.type(ask_directly).strip() == "403"
        assert "durand-camille" in terminal.type(make_card)
        assert "TEST AC RACINE SIMULATEUR FORT" in terminal.type(run_gateway)
        _await(tmp_path / "gateway.log", "ready ")
        with agent(tmp_path, agent_arguments) as port:
            assert sign_in(browser, port).text == "Bonjour CAMILLE"
        # Its agent went, so its session did.
        assert browser.open("/").status == 303
        assert "durand-camille" in terminal.type(revoke)
        time.sleep(LOOK_AGAIN.total_seconds() + 0.5)
        with agent(tmp_path, agent_arguments) as port:
            assert sign_in(browser, port).agent_error == "cert_revoked"
        events = [json.loads(line)["event"] for line in terminal.type(audit).splitlines()]
        assert {"login_accepted", "session_started", "session_ended", "login_refused"} <= set(
            events
        )
        terminal.type(end)


def _await(file: Path, words: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (file.exists() and words in file.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline, file
        time.sleep(0.1)
