"""The agent as people start it, on a display: its window, a person's keys, and the login goes on.

The pictures go to the folder that the environment variable ``CPS_PICTURES`` names, where it is set.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cps.authtoken.codes import ErrorCode
from tests.support import cards
from tests.support.gateway_stub import GatewayStub, running_gateway
from tests.unit.cps.agent.fakes import RID
from tests.unit.cps.agent.loopback import Browser, Response

pytest.importorskip("PySide6.QtWidgets", reason="needs PySide6-Essentials", exc_type=ImportError)
for program in ("Xvfb", "xdotool"):
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}", allow_module_level=True)

WINDOW = "Agent CPS"
PATIENCE = 30
GRAB = """
import sys
from PySide6.QtGui import QGuiApplication
application = QGuiApplication([])
sys.exit(not application.primaryScreen().grabWindow(0).save(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def display() -> Iterator[dict[str, str]]:
    """Give the environment of a display without a screen."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "900x700x24"]
    with subprocess.Popen(
        [*command, "-nolisten", "tcp", "-noreset"], pass_fds=(writing,), stderr=subprocess.DEVNULL
    ) as server:
        os.close(writing)
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        left_out = ("QT_QPA_PLATFORM", "WAYLAND_DISPLAY")
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        yield environment | {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb", "LANG": "fr_FR"}
        server.terminate()


class Person:
    """Somebody in front of that display."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def sees_window(self) -> None:
        self._run("xdotool", "search", "--sync", "--onlyvisible", "--name", WINDOW)

    def sees_no_window(self) -> bool:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._run("xdotool", "search", "--onlyvisible", "--name", WINDOW, check=False):
                return True
            time.sleep(0.05)
        return False

    def types(self, *keys: str) -> None:
        # There is no window manager that would give the window the keyboard.
        self._run("xdotool", "search", "--onlyvisible", "--name", WINDOW, "windowfocus", "--sync")
        self._run("xdotool", "key", "--delay", "30", *keys)

    def takes_picture(self, file: Path) -> None:
        self._run(sys.executable, "-c", GRAB, str(file))

    def _run(self, *command: str, check: bool = True) -> int:
        return subprocess.run(
            command,
            env=self._environment,
            check=check,
            timeout=PATIENCE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ).returncode


@pytest.fixture
def person(display: dict[str, str]) -> Person:
    return Person(display)


@pytest.fixture
def gateway() -> Iterator[GatewayStub]:
    with running_gateway() as stub:
        yield stub


@contextmanager
def running_agent(
    folder: Path, gateway: GatewayStub, environment: dict[str, str]
) -> Iterator[Browser]:
    card = folder / "card.json"
    cards.image().write(card)
    arguments = ["--portal", gateway.origin, "--development", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-m", "cps.main", "agent", *arguments, "--virtual-card", str(card)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment | {"HOME": str(folder)},
        text=True,
    ) as agent:
        assert agent.stdout is not None
        yield Browser(int(agent.stdout.readline().rpartition(":")[2]))
        agent.terminate()
        agent.communicate(timeout=PATIENCE)
    assert agent.returncode == 0


class Login:
    """A browser that opens the agent and goes on as its pages say."""

    def __init__(self, browser: Browser, gateway: GatewayStub) -> None:
        self._browser = browser
        self._target = f"/v1/login?r={RID}&o={gateway.origin.removeprefix('http://')}"
        self._answers: list[Response] = []
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def outcome(self) -> Response:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self._answers[-1]

    def _go(self) -> None:
        click = (("Sec-Fetch-User", "?1"), ("Accept-Language", "fr"))
        while True:
            self._answers.append(self._browser.request(target=self._target, headers=click))
            if "http-equiv" not in self._answers[-1].body:
                return


def picture(tmp_path: Path, name: str) -> Path:
    return Path(os.environ.get("CPS_PICTURES", str(tmp_path))) / f"screen-{name}.png"


def test_a_pin_typed_into_the_window_logs_in(
    tmp_path: Path, gateway: GatewayStub, display: dict[str, str], person: Person
) -> None:
    with running_agent(tmp_path, gateway, display) as browser:
        login = Login(browser, gateway)
        person.sees_window()
        person.types(*"999", "BackSpace")
        person.takes_picture(picture(tmp_path, "pin"))
        person.types("BackSpace", "BackSpace", *cards.PIN.decode(), "Return")
        outcome = login.outcome()
        assert person.sees_no_window()
    assert outcome.status == 303, outcome.body


def test_a_closed_window_is_told_to_page_and_gateway(
    tmp_path: Path, gateway: GatewayStub, display: dict[str, str], person: Person
) -> None:
    with running_agent(tmp_path, gateway, display) as browser:
        login = Login(browser, gateway)
        person.sees_window()
        person.types("Escape")
        assert "pin_cancelled" in login.outcome().body
    assert [message.code for message in gateway.aborted] == [ErrorCode.PIN_CANCELLED]


def test_a_wrong_pin_opens_the_window_again(
    tmp_path: Path, gateway: GatewayStub, display: dict[str, str], person: Person
) -> None:
    with running_agent(tmp_path, gateway, display) as browser:
        login = Login(browser, gateway)
        person.sees_window()
        person.types(*cards.WRONG_PIN.decode(), "Return")
        assert person.sees_no_window()
        person.sees_window()
        person.takes_picture(picture(tmp_path, "pin-wrong"))
        person.types(*cards.PIN.decode(), "Return")
        assert login.outcome().status == 303


def test_the_last_try_is_confirmed_and_a_blocked_card_explained(
    tmp_path: Path, gateway: GatewayStub, display: dict[str, str], person: Person
) -> None:
    wrong = [*cards.WRONG_PIN.decode(), "Return"]
    with running_agent(tmp_path, gateway, display) as browser:
        login = Login(browser, gateway)
        for _ in range(2):
            person.sees_window()
            person.types(*wrong)
            assert person.sees_no_window()
        person.sees_window()
        person.takes_picture(picture(tmp_path, "pin-last-try"))
        person.types(*wrong)
        # Without the tick nothing happens, but that the keyboard is at it now.
        person.types("space", "Return")
        outcome = login.outcome()
        person.sees_window()
        person.takes_picture(picture(tmp_path, "pin-blocked"))
        person.types("Return")
        assert person.sees_no_window()
    assert "pin_blocked" in outcome.body
    assert [message.code for message in gateway.aborted] == [ErrorCode.PIN_BLOCKED]
