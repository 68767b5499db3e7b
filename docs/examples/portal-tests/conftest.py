"""The whole line for a portal's tests: portal, gateway, agent with a software card, browser.

``cps_issuer``, ``cps_card``, ``make_cps_card`` and ``cps_reader`` come from the plugin that is
installed with ``cps-gateway``.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from browser import Browser
from programs import free_port, running

HERE = Path(__file__).parent
SETTINGS = """
environment = "test"
state_dir = "{state}"
runtime_dir = "{runtime}"

[portal]
origin = "{origin}"
upstream = "http://127.0.0.1:{upstream}"
label = "Mon portail"

[listen]
port = {port}

[trust]
anchors = ["{authority}/root.pem"]
intermediates = ["{authority}/intermediate.pem"]
crls = ["{authority}/root.crl", "{authority}/intermediate.crl"]

[login]
card_types = ["CPS", "CPE"]
"""


@pytest.fixture(scope="session")
def upstream() -> int:
    """Give the port that the portal itself listens on."""
    return free_port()


@pytest.fixture(scope="session")
def gateway(cps_issuer, upstream: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the portal with a gateway in front of it, and give the gateway's address."""
    folder = tmp_path_factory.mktemp("gateway")
    port = free_port()
    origin = f"http://localhost:{port}"
    settings = folder / "gateway.toml"
    portal = (sys.executable, str(HERE / "portal.py"))
    serve = (sys.executable, "-m", "gateway.main", "serve", "--config", str(settings))
    # The gateway's sockets want a short path.
    with TemporaryDirectory(prefix="gateway-") as runtime:
        settings.write_text(
            SETTINGS.format(
                state=folder / "state",
                runtime=runtime,
                origin=origin,
                upstream=upstream,
                port=port,
                authority=cps_issuer.path,
            )
        )
        with (
            running(*portal, ready=" * Serving", GATEWAY=origin, PORT=str(upstream)),
            running(*serve, ready="ready "),
        ):
            yield origin


@pytest.fixture
def browser(gateway: str) -> Browser:
    """Give a browser without any session."""
    return Browser(gateway)


@pytest.fixture
def agent_with(gateway: str) -> Iterator[Callable[..., str]]:
    """Give a function that runs an agent with a card, or without for the one in the reader.

    It returns the agent's address.
    """
    with ExitStack() as stack:

        def start(card, *, in_reader: bool = False) -> str:
            where = () if in_reader else ("--virtual-card", str(card.path))
            command = (
                *(sys.executable, "-m", "cps.main", "agent", "--portal", gateway),
                *("--development", "--port", "0", "--pin-file", str(card.pin_file), *where),
            )
            return stack.enter_context(running(*command, ready="ready ")).removeprefix("ready ")

        yield start
