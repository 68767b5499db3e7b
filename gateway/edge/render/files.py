"""Which proxies there is a configuration for, and the files of each."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from gateway.edge.render.caddy import caddy_files
from gateway.edge.render.envoy import envoy_files
from gateway.edge.render.front import Front
from gateway.edge.render.haproxy import haproxy_files
from gateway.edge.render.nginx import nginx_files
from gateway.edge.render.traefik import traefik_files

RENDERERS: Mapping[str, Callable[[Front, Path], dict[str, str]]] = MappingProxyType(
    {
        "caddy": caddy_files,
        "envoy": envoy_files,
        "haproxy": haproxy_files,
        "nginx": nginx_files,
        "traefik": traefik_files,
    }
)
"""By the names of the programs."""


def files_for(proxy: str, front: Front, folder: Path) -> dict[str, str]:
    """Return the files for a proxy, by their names.

    :param folder: where they will stand, for those that name each other.
    """
    return RENDERERS[proxy](front, folder)
