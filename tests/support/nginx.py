"""nginx for tests: the program, or the reason to skip, and what it is to do."""

from functools import cache
from pathlib import Path

import pytest

from gateway.edge.nginx.program import find_program
from gateway.edge.nginx.site import Behind, Site
from gateway.errors import ConfigurationError
from gateway.settings import Settings


@cache
def _found() -> Path | str:
    try:
        return find_program(None)
    except ConfigurationError as exc:
        return exc.reason


def nginx_program() -> Path:
    """Return the nginx of this machine, or skip the test with the reason."""
    found = _found()
    if isinstance(found, str):
        pytest.skip(found)
    return found


needs_nginx = pytest.mark.skipif(isinstance(_found(), str), reason=f"nginx: {_found()}")


def behind(settings: Settings, folder: Path, **changes: object) -> Behind:
    """Return a portal whose sockets are in *folder*."""
    values: dict[str, object] = {
        "settings": settings,
        "tls": None,
        "portal": "127.0.0.1:9",
        "portal_tls": None,
        "authorities": None,
        "verdict_socket": folder / "verdict.sock",
        "control_socket": folder / "control.sock",
        "verdicts": folder / "verdicts",
    }
    return Behind(**{**values, **changes})  # type: ignore[arg-type]  # the names are checked at run time


def site(folder: Path, *portals: Behind) -> Site:
    """Return a site whose relay is asked in *folder*, and that listens there."""
    return Site(
        folder=folder,
        listen=(f"unix:{folder / 'listen'}",),
        portals=portals,
        refuses_handshakes=True,
        client_field="X-CPS-Client",
        relay_socket=folder / "relay.sock",
        connections=256,
        user="root" if Path("/proc/self").stat().st_uid == 0 else None,
        refusal_log="/dev/stdout",
    )
