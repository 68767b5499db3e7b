"""nginx: what its ``http`` block includes, the same that the engine of ours runs."""

from pathlib import Path

from gateway.edge.nginx.config import write_site
from gateway.edge.nginx.site import VERDICTS_FOLDER, Behind, Site
from gateway.edge.render.front import Front, render


def nginx_files(front: Front, _folder: Path) -> dict[str, str]:
    """Return the files, by their names."""
    is_https = front.upstream.scheme == "https"
    behind = Behind(
        settings=front.settings,
        tls=(
            None
            if front.certificate is None or front.key is None
            else (front.certificate, front.key)
        ),
        portal=f"{front.upstream_host}:{front.upstream_port}",
        portal_tls=front.upstream.hostname if is_https else None,
        authorities=front.authorities if is_https else None,
        verdict_socket=front.verdict_socket,
        # The relay passes on what is the control plane's: that one's own socket stays closed.
        control_socket=front.relay_socket,
        verdicts=front.runtime_folder / VERDICTS_FOLDER,
    )
    site = Site(
        folder=front.runtime_folder,
        listen=_listen(front),
        portals=(behind,),
        # Other names may be the site's own.
        refuses_handshakes=False,
        client_field="X-Forwarded-For",
        relay_socket=front.relay_socket,
        connections=0,
        user=None,
        refusal_log=str(REFUSAL_LOG),
    )
    text = write_site(site)
    return {"cps-gateway.conf": render(front, "cps-gateway.conf", site=text.rstrip())}


REFUSAL_LOG = Path("/var/log/nginx/cps-gateway.log")
"""Where a line for each refused request goes, without anything that was asked."""


def _listen(front: Front) -> tuple[str, ...]:
    if front.address is not None:
        return (f"{front.address}:{front.port}",)
    return (f"{front.port}", f"[::]:{front.port}")
