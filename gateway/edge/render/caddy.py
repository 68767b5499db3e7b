"""Caddy: one site block."""

from collections.abc import Iterator
from pathlib import Path

from gateway.edge.headers import CLAIM_PREFIXES, CLAIMS
from gateway.edge.render.front import TOLD_FIELDS, Front, render

_ODD = "!#$%&'*+.^_`|~"
"""What a name may hold besides letters, digits and ``-``. Source: RFC 9110 §5.6.2."""


def caddy_files(front: Front, _folder: Path) -> dict[str, str]:
    """Return the files, by their names."""
    scheme = "http" if front.is_plain else "https"
    return {
        "cps-gateway.caddy": render(
            front,
            "cps-gateway.caddy",
            site=f"{scheme}://{front.host_name}:{front.port}",
            bind="" if front.address is None else f"\tbind {front.address}\n",
            tls=("" if front.certificate is None else f"\ttls {front.certificate} {front.key}\n"),
            wiped="\n".join(_wiped()),
            relayed="".join(f" || path('{path}*')" for path in front.settings.edge.relayed_paths),
            told="\n".join(_told()),
            upstream_tls="".join(_upstream_tls(front)),
            upstream=f"{front.upstream.scheme}://{front.upstream_host}:{front.upstream_port}",
        )
    }


def _upstream_tls(front: Front) -> Iterator[str]:
    if front.upstream.scheme != "https":
        return
    yield f"\t\t\t\ttls_server_name {front.upstream.hostname}\n"
    if front.settings.portal.upstream_ca is not None:
        yield f"\t\t\t\ttls_trust_pool file {front.authorities}\n"
    if front.client_pair is not None:
        certificate, key = front.client_pair
        yield f"\t\t\t\ttls_client_auth {certificate} {key}\n"


def _wiped() -> Iterator[str]:
    for character in _ODD:
        yield f'\t\trequest_header "-*{character}*"'
    for prefix in CLAIM_PREFIXES:
        yield f"\t\trequest_header -{prefix}*"
    for name in sorted(CLAIMS):
        yield f"\t\trequest_header -{name}"


def _told() -> Iterator[str]:
    for name in (*TOLD_FIELDS, "Cookie"):
        matcher = f"@told_{name.lower().replace('-', '_')}"
        # Caddy looks for the spelling that Go gives to names.
        value = f"{{rp.header.{name.title()}}}"
        yield f"\t\t\t\t\t{matcher} vars_regexp {value} ."
        yield f"\t\t\t\t\trequest_header {matcher} {name} {value}"
