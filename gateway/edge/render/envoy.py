"""Envoy: one file with listener, routes and clusters."""

import json
from collections.abc import Iterator
from pathlib import Path

from gateway.edge.headers import CLAIM_PREFIXES, CLAIMS
from gateway.edge.render.front import TOLD_FIELDS, Front, render

_KIB = 1024
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."


def envoy_files(front: Front, _folder: Path) -> dict[str, str]:
    """Return the files, by their names."""
    limits = front.settings.limits
    return {
        "envoy.yaml": render(
            front,
            "envoy.yaml",
            address=front.address or "::",
            is_both=str(front.address is None).lower(),
            port=str(front.port),
            tls=_listener_tls(front),
            hosts=json.dumps([front.host]),
            wiped="\n".join(_wiped()),
            header_kib=str(limits.header_bytes // _KIB),
            relayed="\n".join(_relayed(front)),
            told="\n".join(
                f"                    - exact: {name.lower()}" for name in (*TOLD_FIELDS, "Cookie")
            ),
            upstream_host=front.upstream.hostname or "",
            upstream_port=str(front.upstream_port),
            upstream_tls=_upstream_tls(front),
        )
    }


def _wiped() -> Iterator[str]:
    # Envoy itself invites to send a body; any other expectation is nobody's.
    matchers = [
        # Not the names that begin with a colon, which are HTTP's own.
        {"safe_regex": {"regex": "[^:a-z0-9-].*|[a-z0-9-].*[^a-z0-9-].*"}},
        *({"prefix": prefix} for prefix in CLAIM_PREFIXES),
        *({"exact": name} for name in sorted({*CLAIMS, "expect", "proxy-authorization"})),
    ]
    for matcher in matchers:
        yield f"                - remove_on_match: {{key_matcher: {json.dumps(matcher)}}}"


def _relayed(front: Front) -> Iterator[str]:
    for path in front.settings.edge.relayed_paths:
        yield f"              - match: {{prefix: {json.dumps(path)}}}"
        yield "                route: *to_gateway"
        yield "                typed_per_filter_config: *unasked"


def _listener_tls(front: Front) -> str:
    if front.certificate is None:
        return ""
    return f"""
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": {_TLS}DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_params: {{tls_minimum_protocol_version: TLSv1_2}}
            tls_certificates:
            - certificate_chain: {{filename: {front.certificate}}}
              private_key: {{filename: {front.key}}}"""


def _upstream_tls(front: Front) -> str:
    if front.upstream.scheme != "https":
        return ""
    name, own = front.upstream.hostname, ""
    if front.client_pair is not None:
        certificate, key = front.client_pair
        own = f"""
          tls_certificates:
          - certificate_chain: {{filename: {certificate}}}
            private_key: {{filename: {key}}}"""
    return f"""
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": {_TLS}UpstreamTlsContext
        sni: {name}
        common_tls_context:{own}
          validation_context:
            trusted_ca: {{filename: {front.authorities}}}
            match_typed_subject_alt_names:
            - {{san_type: DNS, matcher: {{exact: {name}}}}}"""
