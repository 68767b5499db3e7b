"""A login that the system hands over: a link of the scheme ``cps-login``, opened by a login page.

It serves where a page cannot know the agent's port, as on a terminal server with one agent for each
user, or where the agent does not run yet. It only leads the default browser to the agent of this
user; every check is the agent's own, and the code goes back through the browser as ever.
"""

import os
import re
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress

from cps.agent.checks import PATH
from cps.agent.errors import AgentError
from cps.agent.peer import listener_user
from cps.agent.ports import ADDRESS, PORTS
from cps.authtoken.token import require_rid

START_SECONDS = 15.0
"""How long an agent may take to start."""
_LOOK_SECONDS = 0.1
_CONNECT_SECONDS = 0.5
_LINK = re.compile(r"cps-login:v1\?r=([A-Za-z0-9_-]{22})&o=([a-z0-9.:\[\]-]{1,255})\Z")


def open_link(
    link: str,
    *,
    ports: Sequence[int] = PORTS,
    browse: Callable[[str], object] = webbrowser.open,
    start: Callable[[], None] | None = None,
    patience: float = START_SECONDS,
) -> None:
    """Open the agent's address for *link* in the default browser, starting the agent if need be.

    The browser's command line, which other users of the machine can read, holds the request id
    and nothing that is secret.

    :param browse: opens an address in the default browser.
    :param start: starts an agent; default: ``cps agent`` with the user's own settings.
    :param patience: seconds that it may take.
    :raises AgentError: for another link, or where no agent comes up.

    Source: docs/reference/protocol.md, "When the browser does not find the agent".
    """
    target = read_link(link)
    port = own_port(ports)
    if port is None:
        (start or _start_agent)()
        port = _await_port(ports, patience)
    browse(f"http://{ADDRESS}:{port}{target}")


def read_link(link: str) -> str:
    """Return path and query of the agent's address for *link*.

    :raises AgentError: for a link of another form; anybody can make the system open one.
    """
    found = _LINK.match(link)
    if found is None:
        raise AgentError("not a link of a login page")
    rid, host = found.groups()
    try:
        require_rid(rid)
    except ValueError as exc:
        raise AgentError("not a link of a login page") from exc
    return f"{PATH}?r={rid}&o={host}"


def own_port(ports: Sequence[int] = PORTS) -> int | None:
    """Return the port on which this user's agent listens, ``None`` where none does.

    Only Linux says whose port it is; elsewhere the first that answers is taken for ours.
    """
    return next((port for port in ports if _is_ours(port)), None)


def _is_ours(port: int) -> bool:
    return listener_user(port) == os.getuid() if sys.platform == "linux" else _answers(port)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection((ADDRESS, port), _CONNECT_SECONDS):
        return True
    return False


def _await_port(ports: Sequence[int], patience: float) -> int:
    ends = time.monotonic() + patience
    while time.monotonic() < ends:
        if (port := own_port(ports)) is not None:
            return port
        time.sleep(_LOOK_SECONDS)
    raise AgentError("the agent does not start; run `cps agent` to see why")


def _start_agent() -> None:
    """Start an agent that outlives us."""
    subprocess.Popen(
        [sys.executable, "-I", "-m", "cps.main", "agent"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
