"""The configuration of nginx, written from the settings into one template."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources

from gateway.edge.forward import IDLE_CONNECTION_SECONDS, STALL_SECONDS
from gateway.edge.nginx.fields import passed_fields, variable_of
from gateway.edge.nginx.notices import notice_locations, notice_texts, quoted
from gateway.edge.nginx.proxied import first_fault, proxied_lines
from gateway.edge.nginx.site import Behind, Site, open_verdicts
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

HEADER_SECONDS = 15
"""Time for a request's head."""
BODY_PAUSE_SECONDS = 60
"""Longest pause of a browser that sends a body."""
IDLE_SECONDS = 75
"""How long a browser's connection is kept for the next request."""
TLS_1_2_CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
"""What is spoken of TLS 1.2: fresh keys and authenticated encryption, as HTTP/2 wants it."""
VERDICT_SECONDS = 3
"""Longest wait for a verdict; the store's own patience is shorter."""

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


def write_configuration(site: Site) -> str:
    """Return the text of nginx.conf.

    :raises ConfigurationError: for a header in ``edge.passed_fields`` that never passes.
    """
    return _filled("nginx.conf", {**_process_values(site), "site": write_site(site)})


def write_site(site: Site) -> str:
    """Return what stands in nginx's ``http`` block: the guard, the verdicts and the portals.

    :raises ConfigurationError: for a header in ``edge.passed_fields`` that never passes.
    """
    values = {
        **_site_values(site),
        "nobody": _nobody(site) if site.knows_names and site.refuses_handshakes else "",
        "portals": "".join(_portal(site, behind) for behind in site.portals),
    }
    return _filled("site.conf", values)


def _portal(site: Site, behind: Behind) -> str:
    """Return what stands there for one portal alone."""
    pages = _pages(behind)
    values = {
        **_limits_values(behind),
        **_fields_values(behind),
        **_verdict_values(behind),
        "title": f"Portal {behind.settings.portal.name}" if behind.of else "The portal",
        "of": behind.of,
        "notice_texts": "\n".join(notice_texts(pages, of=behind.of)),
        "notices": _notices(site, behind),
        "portal": behind.portal,
        "portal_idle_seconds": str(IDLE_CONNECTION_SECONDS),
        "portal_scheme": "http" if behind.portal_tls is None else "https",
        "portal_tls": "\n".join(_portal_tls(behind)),
        "control_socket": str(behind.control_socket),
        "listen": "\n".join((*_listen(site), *_certificate(behind))),
        "server_name": quoted(behind.host_name),
        "control_body_bytes": str(MAX_CONTROL_BODY),
        "control_body_seconds": str(CONTROL_BODY_SECONDS),
        "client_field": site.client_field,
    }
    return _filled("portal.conf", values)


def _nobody(site: Site) -> str:
    """Return the server for handshakes, and requests after them, that are for no portal."""
    values = {
        "listen": "\n".join((*_listen(site), *_tls())),
        "notices": _notices(site, site.portals[0]),
    }
    return _filled("nobody.conf", values)


def _notices(site: Site, behind: Behind) -> str:
    """Return the locations in which a server says what it refuses."""
    pages = _pages(behind)
    values = {
        "refusal_log": site.refusal_log,
        "notices": "\n".join(notice_locations(pages, of=behind.of)),
        "protecting_fields": "\n".join(
            f"            add_header {name} {quoted(value)} always;"
            for name, value in pages.protecting_fields().items()
        ),
    }
    return _filled("notices.conf", values)


def _pages(behind: Behind) -> OwnPages:
    portal = behind.settings.portal
    is_test = behind.settings.environment == "test"
    return OwnPages(label=portal.label, origin=portal.origin, is_test=is_test)


def _filled(template: str, values: Mapping[str, str]) -> str:
    place = resources.files("gateway.edge.nginx").joinpath("templates", template)
    return fill(place.read_text(encoding="utf-8"), values)


def _process_values(site: Site) -> dict[str, str]:
    descriptors = 2 * site.connections + open_verdicts(site.portals)
    return {
        "user": f"user {site.user};" if site.user else "",
        "folder": str(site.folder),
        "workers": str(site.common.edge.workers or "auto"),
        "connections": str(site.connections),
        "descriptors": str(descriptors),
    }


def _site_values(site: Site) -> dict[str, str]:
    names = passed_fields(site.common.edge.passed_fields)
    return {
        "folder": str(site.folder),
        "proxies": "\n".join(proxied_lines(site.proxies)),
        "first_fault": first_fault(site.proxies),
        "methods": "|".join(METHODS),
        "allow": ", ".join(METHODS),
        "target": TARGET,
        "hosts": "\n".join(_hosts(site)),
        "value_maps": "\n".join(_value_maps(("Authorization", "Cookie", *names))),
        "too_many_cookie_bytes": str(site.common.limits.cookie_bytes + 1),
        "own_cookies": f"{SESSION_COOKIE}|{LOGIN_COOKIE}",
        "relayed_paths": "\n".join(_relayed_paths(site.portals)),
        "session_cookie": SESSION_COOKIE,
        "login_cookie": LOGIN_COOKIE,
        "challenge": CHALLENGE,
        "relay_socket": str(site.relay_socket),
    }


def _limits_values(behind: Behind) -> dict[str, str]:
    limits = behind.settings.limits
    return {
        "header_bytes": str(limits.header_bytes),
        "body_bytes": str(limits.body_bytes),
        "header_seconds": str(HEADER_SECONDS),
        "body_pause_seconds": str(BODY_PAUSE_SECONDS),
        "stall_seconds": str(STALL_SECONDS),
        "idle_seconds": str(IDLE_SECONDS),
        "connect_seconds": str(limits.upstream_connect_seconds),
        "read_seconds": str(limits.upstream_read_seconds),
        "longest_seconds": str(behind.settings.session.absolute_seconds + _SLACK_SECONDS),
        "answer_head_bytes": str(limits.header_bytes),
        "busy_bytes": str(2 * limits.header_bytes),
    }


def _fields_values(behind: Behind) -> dict[str, str]:
    names = passed_fields(behind.settings.edge.passed_fields)
    return {
        "host": quoted(behind.host),
        "bare_host": behind.host,
        "scheme": behind.scheme,
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
    }


def _verdict_values(behind: Behind) -> dict[str, str]:
    return {
        "verdict_socket": str(behind.verdict_socket),
        "let_in": LET_IN,
        "let_in_variable": _variable(LET_IN_FIELD),
        "policy": POLICY,
        "session_field": SESSION_FIELD.decode(),
        "door_field": DOOR_FIELD.decode(),
        "verdict_seconds": str(VERDICT_SECONDS),
        "verdict_cache_zone": "\n".join(_cache_zone(behind)),
        "verdict_cache": "\n".join(_cache(behind)),
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


def _hosts(site: Site) -> Iterator[str]:
    """Let each server take the requests for its own portal alone."""
    behind_names = "$cps_fault_of_name" if site.knows_names else "$cps_fault_of_place"
    for behind in site.portals:
        name, host = _literal(behind.host_name), _literal(behind.host)
        yield f'        "~^{name} {host}$" {behind_names};'
    yield "    }"
    if site.knows_names:
        # What one portal's name was resolved and checked for is no way to another portal.
        yield '    map "$server_name $ssl_server_name" $cps_fault_of_name {'
        yield '        default "421 TLS was begun for another portal";'
        for behind in site.portals:
            name = _literal(behind.host_name)
            yield f'        "~^{name} (?i:{name})$" $cps_fault_of_place;'
        yield "    }"


def _relayed_paths(portals: Sequence[Behind]) -> Iterator[str]:
    yield '    map "$server_name $uri" $cps_by_relay_for_path {'
    yield "        default $cps_by_relay_for_place;"
    for behind in portals:
        name = _literal(behind.host_name)
        for path in behind.settings.edge.relayed_paths:
            yield f'        "~^{name} {_literal(path)}" path;'
        for route in behind.settings.guard.routes:
            # What is sensitive goes through the relay, which counts and records it.
            yield f'        "~*^{name} {_pattern(route.path)}$" path;'
    yield "    }"


def _pattern(path: str) -> str:
    """Return a regular expression for what a sensitive route's path means."""
    start = path.removesuffix("/**")
    segments = ("[^/]+" if s in ("*", "{record}") else _literal(s) for s in start.split("/"))
    return "/".join(segments) + ("/?" if start == path else "(?:/.*)?")


def _listen(site: Site) -> Iterator[str]:
    further = "" if site.portals[0].tls is None else " ssl http2"
    further += " proxy_protocol" if site.proxies else ""
    yield from (f"        listen {each}{further};" for each in site.listen)


def _certificate(behind: Behind) -> Iterator[str]:
    if behind.tls is not None:
        certificate, key = behind.tls
        yield f"        ssl_certificate {quoted(str(certificate))};"
        yield f"        ssl_certificate_key {quoted(str(key))};"
        yield from _tls()


def _tls() -> Iterator[str]:
    yield "        ssl_protocols TLSv1.2 TLSv1.3;"
    yield f"        ssl_ciphers {TLS_1_2_CIPHERS};"
    yield "        ssl_session_cache shared:cps_tls:2m;"
    yield "        ssl_session_tickets off;"


def _portal_tls(behind: Behind) -> Iterator[str]:
    portal = behind.settings.portal
    if behind.portal_tls is not None:
        authorities = portal.upstream_ca or behind.authorities
        yield f"            proxy_ssl_name {quoted(behind.portal_tls)};"
        yield "            proxy_ssl_server_name on;"
        yield "            proxy_ssl_protocols TLSv1.2 TLSv1.3;"
        yield "            proxy_ssl_verify on;"
        yield "            proxy_ssl_verify_depth 5;"
        yield f"            proxy_ssl_trusted_certificate {quoted(str(authorities))};"
        if portal.upstream_certificate is not None:
            yield f"            proxy_ssl_certificate {quoted(str(portal.upstream_certificate))};"
            yield f"            proxy_ssl_certificate_key {quoted(str(portal.upstream_key))};"


def _cache_zone(behind: Behind) -> Iterator[str]:
    if behind.settings.edge.verdict_cache_seconds:
        yield (
            f"    proxy_cache_path {quoted(str(behind.verdicts))} levels={LEVELS}"
            f" keys_zone=cps_verdicts{behind.of}:10m max_size=64m inactive=10s use_temp_path=off;"
        )


def _cache(behind: Behind) -> Iterator[str]:
    seconds = behind.settings.edge.verdict_cache_seconds
    if seconds:
        yield f"            proxy_cache cps_verdicts{behind.of};"
        yield f'            proxy_cache_key "{cache_key(behind.host, POLICY, "$cps_session")}";'
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
