"""Agent and gateway as programs of their own, before a portal whose answers have no end."""

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import cards
from tests.support.browser import Browser
from tests.support.relay import RawServer
from tests.support.serving import ServedGateway, free_port, served_gateway, write_settings
from tests.support.streams import EndlessPortal

STOP_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """Where everything is; the gateway is started by those who want it."""

    origin: str
    portal: EndlessPortal
    agent: subprocess.Popen[str]
    agent_port: int
    settings: Path
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    """Unused: the origin is one of plain http on this machine."""

    def gateway(self) -> AbstractContextManager[ServedGateway]:
        """Run the gateway until the block ends; what it stored is there for the next one."""
        return served_gateway(self.settings, int(self.origin.rpartition(":")[2]))

    def log_in(self) -> Browser:
        """Return a browser that the card in the reader has let in."""
        browser = Browser(self.origin, tls=self.tls)
        back = browser.to_agent(browser.open("/_cps/login"), self.agent_port)
        assert browser.follow(back).status == 303
        return browser


@contextmanager
def whole(folder: Path, *, more: str = "") -> Iterator[Whole]:
    """Run the portal and an agent that knows the PIN.

    :param more: further tables of the gateway's settings.
    """
    portal, port = EndlessPortal(), free_port()
    origin = f"http://localhost:{port}"
    pin = folder / "pin"
    pin.touch(mode=0o600)
    pin.write_bytes(cards.PIN)
    command = [sys.executable, "-m", "cps.main", "agent", "--portal", origin, "--development"]
    with RawServer(portal).on_port() as upstream:
        settings = write_settings(folder, upstream=upstream, port=port, more=more)
        with (
            (folder / "agent.log").open("w") as log,
            subprocess.Popen(
                [*command, "--port", "0", "--pin-file", str(pin)],
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"HOME": str(folder)},
                text=True,
            ) as agent,
        ):
            try:
                assert agent.stdout is not None
                yield Whole(
                    origin=origin,
                    portal=portal,
                    agent=agent,
                    agent_port=int(agent.stdout.readline().rpartition(":")[2]),
                    settings=settings,
                )
            finally:
                agent.kill()
                agent.wait(STOP_SECONDS)
