"""What every rendered configuration is made of."""

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from gateway.edge.forward_auth import FORWARD_AUTH_PATH, LET_IN_ADDRESS
from gateway.edge.relay import METHODS
from gateway.edge.system_authorities import system_authorities
from gateway.edge.templates import fill
from gateway.edge.verdict import IDENTITY_FIELDS, LET_IN, LET_IN_FIELD
from gateway.errors import ConfigurationError
from gateway.settings import Settings

QUESTION_SECONDS = 3
"""Longest wait for the gateway's answer; the store's own patience is shorter."""
TOLD_FIELDS = (*IDENTITY_FIELDS, "Forwarded")
"""What the gateway tells the portal, besides the cookies that are not its own."""

_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]")
_PLAIN = re.compile(r"[A-Za-z0-9/._@+-]+")
_SLACK_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """A site's proxy: where it listens, and what stands behind it."""

    settings: Settings
    relay_socket: Path
    """Where it asks, and where it passes what is the gateway's own."""
    verdict_socket: Path
    """Where nginx asks."""
    runtime_folder: Path
    """Where no other user can make a socket."""
    certificate: Path | None = None
    """PEM file; ``None`` for plain HTTP, or for a proxy that gets certificates by itself."""
    key: Path | None = None
    address: str | None = None
    """IP address to listen on; ``None`` for all."""
    port: int
    is_plain: bool
    """Whether it speaks HTTP without TLS."""

    @property
    def host(self) -> str:
        """Host and port of the origin, as browsers send them."""
        return urlsplit(self.settings.portal.origin).netloc

    @property
    def host_name(self) -> str:
        """The origin's host alone."""
        return urlsplit(self.settings.portal.origin).hostname or ""

    @property
    def upstream(self) -> SplitResult:
        """The portal's own address."""
        return urlsplit(self.settings.portal.upstream)

    @property
    def upstream_host(self) -> str:
        """The portal's own host, as an address has it: IPv6 in brackets."""
        name = self.upstream.hostname or ""
        return f"[{name}]" if ":" in name else name

    @property
    def upstream_port(self) -> int:
        """The portal's own port."""
        return self.upstream.port or (443 if self.upstream.scheme == "https" else 80)

    @property
    def authorities(self) -> Path:
        """From whom the portal's certificate may come.

        :raises ConfigurationError: where the system names nobody.
        """
        return self.settings.portal.upstream_ca or system_authorities()

    @property
    def client_pair(self) -> tuple[Path, Path] | None:
        """Certificate and key that are shown to the portal."""
        portal = self.settings.portal
        if portal.upstream_certificate is None or portal.upstream_key is None:
            return None
        return portal.upstream_certificate, portal.upstream_key

    @property
    def relay_address(self) -> str:
        """Where the gateway listens for proxies that know no Unix sockets."""
        listen = self.settings.listen
        host = f"[{listen.address}]" if ":" in listen.address else listen.address
        return f"{host}:{listen.port}"

    @property
    def longest_seconds(self) -> int:
        """How long a stream may stay open: the gateway cuts it when its session ends."""
        return self.settings.session.absolute_seconds + _SLACK_SECONDS


def render(front: Front, name: str, **values: str) -> str:
    """Return the template *name* with *values*, and with those that every proxy has a place for.

    :raises ConfigurationError: for a path or a host that could be read as something else.
    """
    portal = front.settings.portal
    for key, path in (
        ("runtime_dir", front.relay_socket),
        ("portal.upstream_ca", portal.upstream_ca),
        ("portal.upstream_certificate", portal.upstream_certificate),
        ("portal.upstream_key", portal.upstream_key),
        ("--certificate", front.certificate),
        ("--key", front.key),
    ):
        if path is not None and not _PLAIN.fullmatch(str(path)):
            reason = f"{path}: proxies want a path of letters, digits and /._@+-"
            raise ConfigurationError("settings", key, reason)
    if not _HOST.fullmatch(front.upstream_host):
        reason = f"{front.upstream_host} is no host that every proxy reads alike"
        raise ConfigurationError("settings", "portal.upstream", reason)
    common = {
        "host": front.host,
        "scheme": urlsplit(front.settings.portal.origin).scheme,
        "relay_socket": str(front.relay_socket),
        "relay_address": front.relay_address,
        "forward_auth_path": FORWARD_AUTH_PATH,
        "question_seconds": str(QUESTION_SECONDS),
        "let_in": LET_IN,
        "let_in_field": LET_IN_FIELD,
        "let_in_name": LET_IN_FIELD.lower(),
        "let_in_address": LET_IN_ADDRESS,
        "methods": " ".join(METHODS),
        "connect_seconds": str(front.settings.limits.upstream_connect_seconds),
        "read_seconds": str(front.settings.limits.upstream_read_seconds),
        "longest_seconds": str(front.longest_seconds),
        "body_bytes": str(front.settings.limits.body_bytes),
    }
    template = resources.files("gateway.edge.render").joinpath("templates", name)
    text = template.read_text(encoding="utf-8")
    used = {k: v for k, v in common.items() if f"<<{k}>>" in text}
    return fill(text, {**used, **values})
