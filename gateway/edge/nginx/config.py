"""The configuration of nginx, written from the settings into one template."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from gateway.edge.forward import IDLE_CONNECTION_SECONDS, STALL_SECONDS
from gateway.edge.nginx.fields import passed_fields, variable_of
from gateway.edge.nginx.notices import notice_locations, notice_texts, quoted
from gateway.edge.pages import CHALLENGE, OwnPages
from gateway.edge.relay import CONTROL_BODY_SECONDS, MAX_CONTROL_BODY, METHODS
from gateway.edge.templates import fill
from gateway.edge.verdict import (
    DOOR_FIELD,
    IDENTITY_FIELDS,
    LET_IN,
    LET_IN_FIELD,
    POLICY,
    SESSION_FIELD,
)
from gateway.edge.verdict_cache import LEVELS, MAX_OPEN_FILES, cache_key
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from gateway.settings import PortalSettings, Settings
from gateway.settings_guard import RouteSettings

HEADER_SECONDS = 15
"""Time for a request's head."""
BODY_PAUSE_SECONDS = 60
"""Longest pause of a browser that sends a body."""
IDLE_SECONDS = 75
"""How long a browser's connection is kept for the next request."""
VERDICT_SECONDS = 3
"""Longest wait for a verdict; the store's own patience is shorter."""
VERDICTS_FOLDER = "verdicts"

_VALUES_AT_A_TIME = 40
_SLACK_SECONDS = 60
# One percent-encoded byte that has one reading: no dot, slash, backslash, percent sign, `;`, `#` or
# control character that another decoder would find.
_ENCODED_ASCII = "%(?!2[35EFef]|3[Bb]|5[Cc]|7[Ff]|[01])[0-7][0-9A-Fa-f]"
_TAIL = "%[89ABab][0-9A-Fa-f]"
# What is not ASCII is UTF-8. Source: RFC 3629 §4.
_ENCODED_UTF_8 = "|".join(
    (
        f"%(?:[Cc][2-9A-Fa-f]|[Dd][0-9A-Fa-f]){_TAIL}",
        f"%[Ee]0%[ABab][0-9A-Fa-f]{_TAIL}",
        f"%(?:[Ee][1-9A-Ca-cEFef]){_TAIL}{_TAIL}",
        f"%[Ee][Dd]%[89][0-9A-Fa-f]{_TAIL}",
        f"%[Ff]0%[9ABab][0-9A-Fa-f]{_TAIL}{_TAIL}",
        f"%[Ff][1-3]{_TAIL}{_TAIL}{_TAIL}",
        f"%[Ff]4%8[0-9A-Fa-f]{_TAIL}{_TAIL}",
    )
)
_SEGMENT = f"(?:[A-Za-z0-9_.~!$&'()*+,=:@|^{{}}\\x5b\\x5d-]++|{_ENCODED_ASCII}|{_ENCODED_UTF_8})++"
TARGET = f"(?=/)(?:/(?![.]{{1,2}}(?:[/? ]|$)){_SEGMENT})*+/?(?:[?][\\x21\\x22\\x24-\\x7e]*+)?"
"""A request target with one reading, for nginx's regular expressions and for Python's: the same
targets as :func:`gateway.edge.target.read_target`. Possessive, so that none costs more than a look.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One run of nginx: where it listens, and what stands behind it."""

    folder: Path
    """Where nginx keeps what it writes."""
    listen: tuple[str, ...]
    """What follows ``listen`` in the configuration, once for each address."""
    tls: tuple[Path, Path] | None
    """Certificate and key."""
    portal: str
    """What follows ``server``: host and port of the portal, or a Unix socket."""
    portal_tls: str | None
    """The portal's name in its certificate; ``None`` for plain http."""
    authorities: Path | None
    """From whom the portal's certificate may come, where it has one."""
    verdict_socket: Path
    control_socket: Path
    client_field: str
    """Tells who listens there the browser's address."""
    relay_socket: Path
    connections: int
    """Connections of one worker, of all kinds."""
    user: str | None
    """Whose the workers are, where nginx is started by root."""
    refusal_log: str
    """Where a line for each refused request goes."""


def write_configuration(site: Site, settings: Settings) -> str:
    """Return the text of nginx.conf.

    :raises ConfigurationError: for a header in ``edge.passed_fields`` that never passes.
    """
    values = {**_process_values(site, settings), "site": write_site(site, settings)}
    return fill(_template("nginx.conf"), values)


def write_site(site: Site, settings: Settings) -> str:
    """Return what stands in nginx's ``http`` block: the guard, the verdict and the portal.

    :raises ConfigurationError: for a header in ``edge.passed_fields`` that never passes.
    """
    return fill(_template("site.conf"), _site_values(site, settings))


def _template(name: str) -> str:
    place = resources.files("gateway.edge.nginx").joinpath("templates", name)
    return place.read_text(encoding="utf-8")


def _process_values(site: Site, settings: Settings) -> dict[str, str]:
    return {
        "user": f"user {site.user};" if site.user else "",
        "folder": str(site.folder),
        "workers": str(settings.edge.workers or "auto"),
        "connections": str(site.connections),
        "descriptors": str(2 * site.connections + MAX_OPEN_FILES),
    }


def _site_values(site: Site, settings: Settings) -> dict[str, str]:
    origin = urlsplit(settings.portal.origin)
    pages = OwnPages(
        label=settings.portal.label,
        origin=settings.portal.origin,
        is_test=settings.environment == "test",
    )
    limits, edge = settings.limits, settings.edge
    names = passed_fields(edge.passed_fields)
    return {
        "folder": str(site.folder),
        "refusal_log": site.refusal_log,
        "header_bytes": str(limits.header_bytes),
        "body_bytes": str(limits.body_bytes),
        "header_seconds": str(HEADER_SECONDS),
        "body_pause_seconds": str(BODY_PAUSE_SECONDS),
        "stall_seconds": str(STALL_SECONDS),
        "idle_seconds": str(IDLE_SECONDS),
        "methods": "|".join(METHODS),
        "allow": ", ".join(METHODS),
        "target": TARGET,
        "host_pattern": _literal(origin.netloc),
        "value_maps": "\n".join(_value_maps(("Authorization", "Cookie", *names))),
        "too_many_cookie_bytes": str(limits.cookie_bytes + 1),
        "own_cookies": f"{SESSION_COOKIE}|{LOGIN_COOKIE}",
        "relayed_paths": "\n".join(_relayed_paths(edge.relayed_paths, settings.guard.routes)),
        "let_in": LET_IN,
        "let_in_variable": LET_IN_FIELD.lower().replace("-", "_"),
        "session_cookie": SESSION_COOKIE,
        "login_cookie": LOGIN_COOKIE,
        "challenge": CHALLENGE,
        "notice_texts": "\n".join(notice_texts(pages)),
        "notices": "\n".join(notice_locations(pages)),
        "protecting_fields": "\n".join(
            f"            add_header {name} {quoted(value)} always;"
            for name, value in pages.protecting_fields().items()
        ),
        "portal": site.portal,
        "portal_idle_seconds": str(IDLE_CONNECTION_SECONDS),
        "portal_scheme": "http" if site.portal_tls is None else "https",
        "portal_tls": "\n".join(_portal_tls(site, settings.portal)),
        "verdict_socket": str(site.verdict_socket),
        "control_socket": str(site.control_socket),
        "relay_socket": str(site.relay_socket),
        "connect_seconds": str(limits.upstream_connect_seconds),
        "read_seconds": str(limits.upstream_read_seconds),
        "longest_seconds": str(settings.session.absolute_seconds + _SLACK_SECONDS),
        "answer_head_bytes": str(limits.header_bytes),
        "busy_bytes": str(2 * limits.header_bytes),
        "listen": "\n".join(_listen(site)),
        "host_name": quoted(origin.hostname or ""),
        "host": quoted(origin.netloc),
        "bare_host": origin.netloc,
        "scheme": origin.scheme,
        "identity_variables": "\n".join(
            f"            auth_request_set $cps_{_variable(name)} $upstream_http_{_variable(name)};"
            for name in IDENTITY_FIELDS
        ),
        "identity_fields": "\n".join(
            f"            proxy_set_header {name} $cps_{_variable(name)};"
            for name in IDENTITY_FIELDS
        ),
        "passed_fields": "\n".join(
            f"            proxy_set_header {name} {variable_of(name)};" for name in names
        ),
        "control_body_bytes": str(MAX_CONTROL_BODY),
        "control_body_seconds": str(CONTROL_BODY_SECONDS),
        "client_field": site.client_field,
        "policy": POLICY,
        "session_field": SESSION_FIELD.decode(),
        "door_field": DOOR_FIELD.decode(),
        "verdict_seconds": str(VERDICT_SECONDS),
        "verdict_cache_zone": "\n".join(_cache_zone(site, edge.verdict_cache_seconds)),
        "verdict_cache": "\n".join(_cache(origin.netloc, edge.verdict_cache_seconds)),
    }


def _literal(text: str) -> str:
    """Return a regular expression that matches *text* alone, good inside nginx's quotes."""
    return "".join(c if c.isalnum() or c in "/_~:-" else f"\\x{ord(c):02x}" for c in text)


def _variable(name: str) -> str:
    return name.lower().replace("-", "_")


def _value_maps(names: Iterable[str]) -> Iterator[str]:
    """Look for control characters in all values that pass, a few together."""
    variables = [variable_of(name) for name in names]
    groups = [
        "".join(variables[start : start + _VALUES_AT_A_TIME])
        for start in range(0, len(variables), _VALUES_AT_A_TIME)
    ]
    for number, group in enumerate(groups, start=1):
        following = f"values_{number + 1}" if number < len(groups) else "cookies"
        yield f'    map "{group}" $cps_fault_of_values_{number} {{'
        yield f"        default $cps_fault_of_{following};"
        yield '        "~[\\x01-\\x08\\x0a-\\x1f\\x7f]" "400 control character in a header";'
        yield "    }"


def _relayed_paths(paths: Iterable[str], routes: Iterable[RouteSettings]) -> Iterator[str]:
    yield "    map $uri $cps_by_relay_for_path {"
    yield "        default $cps_by_relay_for_place;"
    for path in paths:
        yield f'        "~^{_literal(path)}" path;'
    for route in routes:
        # What is sensitive goes through the relay, which counts and records it.
        yield f'        "~*^{_pattern(route.path)}$" path;'
    yield "    }"


def _pattern(path: str) -> str:
    """Return a regular expression for what a sensitive route's path means."""
    start = path.removesuffix("/**")
    segments = ("[^/]+" if s in ("*", "{record}") else _literal(s) for s in start.split("/"))
    return "/".join(segments) + ("/?" if start == path else "(?:/.*)?")


def _listen(site: Site) -> Iterator[str]:
    if site.tls is None:
        yield from (f"        listen {each};" for each in site.listen)
        return
    certificate, key = site.tls
    yield from (f"        listen {each} ssl http2;" for each in site.listen)
    yield f"        ssl_certificate {quoted(str(certificate))};"
    yield f"        ssl_certificate_key {quoted(str(key))};"
    yield "        ssl_protocols TLSv1.2 TLSv1.3;"
    yield "        ssl_session_cache shared:cps_tls:2m;"
    yield "        ssl_session_tickets off;"


def _portal_tls(site: Site, portal: PortalSettings) -> Iterator[str]:
    if site.portal_tls is not None:
        authorities = portal.upstream_ca or site.authorities
        yield f"            proxy_ssl_name {quoted(site.portal_tls)};"
        yield "            proxy_ssl_server_name on;"
        yield "            proxy_ssl_protocols TLSv1.2 TLSv1.3;"
        yield "            proxy_ssl_verify on;"
        yield "            proxy_ssl_verify_depth 5;"
        yield f"            proxy_ssl_trusted_certificate {quoted(str(authorities))};"
        if portal.upstream_certificate is not None:
            yield f"            proxy_ssl_certificate {quoted(str(portal.upstream_certificate))};"
            yield f"            proxy_ssl_certificate_key {quoted(str(portal.upstream_key))};"


def _cache_zone(site: Site, seconds: int) -> Iterator[str]:
    if seconds:
        yield (
            f"    proxy_cache_path {quoted(str(site.folder / VERDICTS_FOLDER))} levels={LEVELS}"
            " keys_zone=cps_verdicts:10m max_size=64m inactive=10s use_temp_path=off;"
        )


def _cache(host: str, seconds: int) -> Iterator[str]:
    if seconds:
        yield "            proxy_cache cps_verdicts;"
        yield f'            proxy_cache_key "{cache_key(host, POLICY, "$cps_session")}";'
        yield f"            proxy_cache_valid 200 {seconds}s;"
        yield "            proxy_cache_methods GET HEAD;"
        yield "            proxy_cache_use_stale off;"
        yield "            proxy_cache_background_update off;"
        yield "            proxy_cache_lock on;"
        # Where the folder cannot be written, each request would wait so long for another's verdict.
        yield "            proxy_cache_lock_timeout 1s;"
        yield "            proxy_cache_lock_age 1s;"
        # Opening the file would cost as much as all else that is done with a kept verdict. One that
        # is taken away is spoilt first, which a file that is open shows too.
        yield f"            open_file_cache max={MAX_OPEN_FILES} inactive=10s;"
