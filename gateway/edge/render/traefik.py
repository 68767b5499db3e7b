"""Traefik: its own file, for the entry point, and the dynamic one with routers and middlewares."""

import json
from collections.abc import Iterator
from pathlib import Path

from gateway.edge.headers import withheld_pattern
from gateway.edge.render.front import Front, render


def traefik_files(front: Front, folder: Path) -> dict[str, str]:
    """Return the files, by their names.

    :param folder: where the dynamic file will stand.
    """
    upstream = front.upstream
    return {
        "traefik.yml": render(
            front,
            "traefik.yml",
            address=f"{front.address or ''}:{front.port}",
            dynamic_file=json.dumps(str(folder / "cps-gateway.yml")),
        ),
        "cps-gateway.yml": render(
            front,
            "cps-gateway.yml",
            host_name=front.host_name,
            relayed="".join(
                f" || PathPrefix(`{path}`)" for path in front.settings.edge.relayed_paths
            ),
            withheld=withheld_pattern(),
            router_tls="" if front.is_plain else "\n      tls: {}",
            upstream_tls="".join(_upstream_tls(front)),
            certificates=_certificates(front),
            upstream=f"{upstream.scheme}://{front.upstream_host}:{front.upstream_port}",
        ),
    }


def _upstream_tls(front: Front) -> Iterator[str]:
    if front.upstream.scheme != "https":
        return
    yield f"      serverName: {front.upstream.hostname}\n"
    if front.settings.portal.upstream_ca is not None:
        yield f"      rootCAs: [{front.authorities}]\n"
    if front.client_pair is not None:
        certificate, key = front.client_pair
        yield f"      certificates: [{{certFile: {certificate}, keyFile: {key}}}]\n"


def _certificates(front: Front) -> str:
    if front.certificate is None:
        return ""
    return (
        "\ntls:\n  certificates:\n"
        f"    - certFile: {front.certificate}\n      keyFile: {front.key}\n"
        "  options:\n    default:\n      sniStrict: true\n"
    )
