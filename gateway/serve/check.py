"""What a settings file leads to, and what is wrong with it, for the operator to read."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509

from gateway.edge.embedded import require_safe_parser
from gateway.edge.nginx.engine import site_of, try_out
from gateway.edge.nginx.program import find_program
from gateway.edge.sockets import require_group
from gateway.edge.tls import tls_context
from gateway.errors import ConfigurationError
from gateway.journal.places import journal_folder
from gateway.notify.notifier import ways_of
from gateway.serve.places import Places, for_nginx
from gateway.settings import Settings
from gateway.settings_access import PeopleSettings
from gateway.settings_portals import Portals
from gateway.tracing import require_installed
from gateway.trust.crl import RevocationLists
from gateway.trust.revocation_list import RevocationList
from gateway.trust.store import TrustStore

_DAY = "%Y-%m-%d"
_MINUTE = "%Y-%m-%d %H:%M UTC"


def describe(settings_path: Path, now: datetime) -> tuple[list[str], list[str]]:
    """Return what is configured, a line each, and what would keep people out.

    :param now: aware UTC.
    :raises ConfigurationError: where the gateway would not start.
    """
    portals = Portals.load(settings_path)
    settings = portals.common
    engine, store = _tried(portals, now)
    problems = RevocationLists.of(settings, store, now).problems(now)
    lines = [
        *(line for each in portals.portals for line in _portal(each)),
        f"engine         {engine}",
        *(line for each in store.anchors for line in _authority("anchor", each, now)),
        *(line for each in store.intermediates for line in _authority("intermediate", each, now)),
        *(line for file in settings.trust.crls for line in _list(file, store, now)),
    ]
    return lines, list(problems)


def _tried(portals: Portals, now: datetime) -> tuple[str, TrustStore]:
    """Try what a start would try, each for itself, and return engine and authorities.

    :raises ConfigurationError: with every fault found.
    """
    faults: list[ConfigurationError] = []
    engine: str | None = None
    store: TrustStore | None = None
    with _noted(faults):
        require_safe_parser()
    settings = portals.common
    for each in portals.portals:
        with _noted(faults):
            tls_context(each.listen)
    with _noted(faults):
        store = TrustStore.load(settings.trust, settings.environment, now)
    with _noted(faults):
        ways_of(settings.notify, settings.portal)
    with _noted(faults):
        require_installed(settings.tracing.endpoint)
    with _noted(faults):
        engine = _engine(portals)
    if engine is None or store is None or faults:
        # nginx finds faults of TLS files again.
        first, *others = {str(fault): fault for fault in faults}.values()
        raise ConfigurationError(first.file, first.key, first.reason, others) from first
    return engine, store


@contextmanager
def _noted(faults: list[ConfigurationError]) -> Iterator[None]:
    """Go on behind the block where it finds a fault, which is noted."""
    try:
        yield
    except ConfigurationError as exc:
        faults.append(exc)


def _portal(settings: Settings) -> Iterator[str]:
    login, listen = settings.login, settings.listen
    professions = ", ".join(map(str, login.professions)) or "any"
    if settings.portal.name is not None:
        yield f"portal         {settings.portal.name}"
    yield f"environment    {settings.environment}"
    yield f"origin         {settings.portal.origin}"
    yield f"upstream       {settings.portal.upstream}"
    yield f"listens on     {listen.address} port {listen.port}, {_tls(settings)}"
    if listen.trusted_proxies:
        yield f"proxies        {', '.join(listen.trusted_proxies)}; {_proxies_say(settings)}"
    yield f"let in         cards {', '.join(login.card_types)}; professions {professions}"
    yield from (f"allow          {rule}" for rule in map(_people, login.allow))
    yield from (f"deny           {rule}" for rule in map(_people, login.deny))
    if (admin := settings.admin).identities:
        yield f"administrators {', '.join(admin.identities)}; signed in at most {admin.fresh} ago"
    yield f"store          {settings.store.engine}"
    for table in settings.trust.revocation:
        yield f"revocation     {table.authority}: {', '.join((*table.crl, *table.ocsp))}"
    yield f"state          {settings.state_dir}"
    yield f"audit log      {_audit_log(settings)}"


def _audit_log(settings: Settings) -> str:
    audit = settings.audit
    if audit.journal:
        return f"a chain of files in {journal_folder(settings)}"
    return str(audit.file or audit.syslog or "standard output")


def _people(rule: PeopleSettings) -> str:
    given = rule.model_dump(exclude_defaults=True)
    return "; ".join(f"{name} {', '.join(map(str, values))}" for name, values in given.items())


def _engine(portals: Portals) -> str:
    """Return what stands in front of the portal, having tried it out.

    :raises ConfigurationError: where nginx is wanted and cannot do it.
    """
    settings = portals.common
    if settings.edge.engine == "external":
        if settings.edge.proxy_group is not None:
            require_group(settings.edge.proxy_group)
        return "external: the proxy of this site, configured by cps-gateway render"
    if settings.edge.engine == "embedded":
        return "embedded"
    places = Places.of(settings)
    program = find_program(settings.edge.nginx_program)
    site = site_of(
        tuple(map(for_nginx, portals.portals)),
        folder=places.nginx,
        relay_socket=places.relay_socket,
    )
    with TemporaryDirectory(prefix="cps-") as folder:
        asyncio.run(try_out(program, site, Path(folder)))
    return f"nginx, {program}"


def _tls(settings: Settings) -> str:
    certificate = settings.listen.tls_certificate
    return "no TLS" if certificate is None else f"TLS with {certificate}"


def _proxies_say(settings: Settings) -> str:
    if settings.listen.proxy_protocol:
        return "the PROXY protocol names the browser, and nobody else may connect"
    return f"{settings.listen.proxy_field} names the browser"


def _authority(kind: str, certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    yield f"{kind:14} {certificate.subject.rfc4514_string()}"
    yield f"{'':14} {begin:{_DAY}} to {end:{_DAY}}, {(end - now).days} days left"


def _list(file: Path, store: TrustStore, now: datetime) -> Iterator[str]:
    yield f"{'list':14} {file}"
    try:
        found = RevocationList.parse(file.read_bytes(), store.authorities())
    except (OSError, ValueError):
        # The reason stands among the problems.
        yield f"{'':14} not usable"
        return
    hours = (now - found.this_update).total_seconds() / 3600
    yield f"{'':14} of {found.authority.subject.rfc4514_string()}"
    yield (
        f"{'':14} {len(found)} entries, {hours:.0f} h old, good until {found.next_update:{_MINUTE}}"
    )
