"""A link that the system hands over: one form, one agent, this user's own."""

import socket
import sys

import pytest

from cps.agent.errors import AgentError
from cps.agent.handoff import open_link, own_port, read_link
from cps.agent.peer import listener_user
from cps.main import main
from gateway.web.login_pages import scheme_url
from tests.unit.cps.agent.fakes import RID

LINK = f"cps-login:v1?r={RID}&o=portal.example"
TARGET = f"/v1/login?r={RID}&o=portal.example"


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://portal.example", "portal.example"),
        ("https://portal.example:8443", "portal.example:8443"),
        ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
    ],
)
def test_the_login_pages_link_is_understood(origin: str, host: str) -> None:
    assert read_link(scheme_url(RID, origin)) == f"/v1/login?r={RID}&o={host}"


@pytest.mark.parametrize(
    "link",
    [
        pytest.param("", id="nothing"),
        pytest.param("https://evil.example/", id="a page"),
        pytest.param(LINK.replace("cps-login", "cps-logout"), id="another scheme"),
        pytest.param(LINK.replace("v1", "v2"), id="another version"),
        pytest.param(LINK.replace("v1", "//host/v1"), id="with a host"),
        pytest.param(LINK.replace(RID, RID[:-1]), id="short request id"),
        pytest.param(LINK.replace(RID, RID[:-1] + "x"), id="no canonical request id"),
        pytest.param(LINK + "&o=other.example", id="two portals"),
        pytest.param(LINK + "\n--flag", id="a second line"),
        pytest.param(LINK + " --new-window=https://evil.example", id="an option of the browser"),
        pytest.param(LINK + "/../x", id="a path"),
        pytest.param(LINK + "%0d%0aX: y", id="escapes"),
        pytest.param(LINK + "x" * 5000, id="too long"),
        pytest.param(LINK.upper(), id="capitals"),
    ],
)
def test_any_other_link_opens_nothing(link: str) -> None:
    opened: list[str] = []
    started: list[bool] = []
    with pytest.raises(AgentError, match="not a link of a login page"):
        open_link(link, browse=opened.append, start=lambda: started.append(True))
    assert (opened, started) == ([], [])


def test_the_default_browser_is_led_to_the_agent_of_this_user() -> None:
    opened: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as agent:
        port = agent.getsockname()[1]
        open_link(LINK, ports=(free_port(), port), browse=opened.append)
    assert opened == [f"http://127.0.0.1:{port}{TARGET}"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells whose port it is")
def test_the_agent_of_another_user_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terminal server: the first port is somebody else's."""
    with (
        socket.create_server(("127.0.0.1", 0)) as theirs,
        socket.create_server(("127.0.0.1", 0)) as ours,
    ):
        ports = (theirs.getsockname()[1], ours.getsockname()[1])

        def user_of(port: int) -> int | None:
            return 65_534 if port == ports[0] else listener_user(port)

        monkeypatch.setattr("cps.agent.handoff.listener_user", user_of)
        assert own_port(ports) == ports[1]
        assert own_port(ports[:1]) is None


def test_an_agent_that_does_not_run_is_started() -> None:
    opened: list[str] = []
    port = free_port()
    with socket.socket() as agent:

        def start() -> None:
            agent.bind(("127.0.0.1", port))
            agent.listen()

        open_link(LINK, ports=(port,), browse=opened.append, start=start)
    assert opened == [f"http://127.0.0.1:{port}{TARGET}"]


def test_an_agent_that_does_not_start_is_said_and_nothing_is_opened() -> None:
    opened: list[str] = []
    with pytest.raises(AgentError, match="does not start"):
        open_link(
            LINK, ports=(free_port(),), browse=opened.append, start=lambda: None, patience=0.05
        )
    assert opened == []


def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agent", "open", "https://evil.example/"]) == 1
    assert "not a link of a login page" in capsys.readouterr().err


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
