"""nginx for tests: the program, or the reason to skip, and what it is to do."""

from functools import cache
from pathlib import Path

import pytest

from gateway.edge.nginx.config import Site
from gateway.edge.nginx.program import find_program
from gateway.errors import ConfigurationError


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


def site(folder: Path, **changes: object) -> Site:
    """Return a site whose sockets are in *folder* and that listens there."""
    values: dict[str, object] = {
        "folder": folder,
        "listen": (f"unix:{folder / 'listen'}",),
        "tls": None,
        "portal": "127.0.0.1:9",
        "portal_tls": None,
        "authorities": None,
        "verdict_socket": folder / "verdict.sock",
        "control_socket": folder / "control.sock",
        "client_field": "X-CPS-Client",
        "relay_socket": folder / "relay.sock",
        "connections": 256,
        "refusal_log": "/dev/stdout",
        "user": "root" if Path("/proc/self").stat().st_uid == 0 else None,
    }
    return Site(**{**values, **changes})  # type: ignore[arg-type]  # the names are checked at run time
