"""Fronts for the tests of what is rendered."""

from pathlib import Path

from gateway.edge.render.front import Front
from tests.support.proxies import for_proxy, front_of
from tests.support.relay import relay_settings


def front(folder: Path, *, upstream: str = "http://127.0.0.1:3000", **changes: object) -> Front:
    """Return a front with two relayed paths."""
    settings = for_proxy(
        relay_settings(folder, upstream=upstream), relayed_paths=["/exports/", "/a.b"]
    )
    return front_of(settings, folder, **changes)


def https_front(folder: Path, **changes: object) -> Front:
    """Return a front that speaks TLS on both sides."""
    chosen: dict[str, object] = {
        "is_plain": False,
        "address": None,
        "port": 443,
        "certificate": folder / "portal.pem",
        "key": folder / "portal.key",
        **changes,
    }
    return front(folder, upstream="https://behind.example", **chosen)
