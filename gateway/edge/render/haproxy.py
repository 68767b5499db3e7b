"""HAProxy: a file of sections to load beside the site's own, and the Lua that asks."""

from pathlib import Path

from gateway.edge.headers import withheld_pattern
from gateway.edge.render.front import TOLD_FIELDS, Front, render
from gateway.errors import ConfigurationError


def haproxy_files(front: Front, folder: Path) -> dict[str, str]:
    """Return the files, by their names.

    :param folder: where they will stand.
    :raises ConfigurationError: for a certificate to show to the portal whose key stands apart.
    """
    return {
        "cps-gateway.cfg": render(
            front,
            "haproxy.cfg",
            lua=str(folder / "cps-gateway.lua"),
            bind=_bind(front),
            withheld=withheld_pattern(),
            relayed="".join(
                f"    acl cps_relayed path_beg {path}\n"
                for path in front.settings.edge.relayed_paths
            ),
            server=_server(front),
        ),
        "cps-gateway.lua": render(
            front,
            "haproxy.lua",
            told="\n".join(f'  "{name.lower()}",' for name in (*TOLD_FIELDS, "Cookie")),
        ),
    }


def _bind(front: Front) -> str:
    address = front.address or "::"
    line = f"{address}:{front.port}" + ("" if front.address else " v4v6")
    if front.certificate is not None:
        line += f" ssl crt {front.certificate} alpn http/1.1 ssl-min-ver TLSv1.2"
    return line


def _server(front: Front) -> str:
    line = f"{front.upstream_host}:{front.upstream_port}"
    if front.upstream.scheme == "https":
        line += (
            f" ssl ssl-min-ver TLSv1.2 verify required ca-file {front.authorities}"
            f" sni str({front.upstream.hostname}) verifyhost {front.upstream.hostname}"
        )
    if front.client_pair is not None:
        certificate, key = front.client_pair
        if certificate != key:
            reason = "HAProxy wants certificate and key in one file; name that one in both settings"
            raise ConfigurationError("settings", "portal.upstream_key", reason)
        line += f" crt {certificate}"
    return line
