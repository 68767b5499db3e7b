"""The settings file: every key, its unit, its range and its default; nothing is read elsewhere."""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from cps.authtoken.token import MAX_TOKEN_BYTES
from gateway.errors import ConfigurationError
from gateway.loopback import is_loopback
from gateway.redis_address import RedisAddress
from gateway.settings_access import CardTypeName, PeopleSettings
from gateway.settings_admin import AdminSettings
from gateway.settings_checks import (
    Audience,
    InputFile,
    IPNetwork,
    Label,
    ListenAddress,
    NotEmpty,
    Origin,
    PolicyIdentifier,
    PortalName,
    PrivateFolder,
    RedisURL,
    SecretFile,
    Upstream,
    Version,
    require_private_folder,
)
from gateway.settings_edge import EdgeSettings, edge_contradictions
from gateway.settings_environment import key_of, variables, with_environment
from gateway.settings_guard import GuardSettings, JournalSettings, guard_contradictions
from gateway.settings_notify import NotifySettings, notify_contradictions
from gateway.settings_operation import (
    AuditSettings,
    MonitorSettings,
    operation_contradictions,
)
from gateway.settings_presence import PresenceSettings, presence_contradictions
from gateway.settings_revocation import Moment, RevocationSettings
from gateway.settings_tracing import TracingSettings

MAX_RUNTIME_DIR_BYTES = 90
"""Longest folder for sockets: a Unix socket's whole path has at most 107 bytes on Linux."""
_MIB = 1024**2
_TIB = 1024**4
_CONTRADICTION = "contradiction"


class _Table(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


class PortalSettings(_Table):
    """``[portal]``: the web portal that the gateway stands in front of."""

    name: PortalName | None = None
    """Its name for commands, folders and the audit log: small letters, digits and ``-``, at most
    32. Default: none, where the gateway has one portal."""
    origin: Origin
    """The address that browsers see, ``https://host[:port]``; signed by the card at each login."""
    upstream: Upstream
    """Where the portal itself answers, ``http://host[:port]`` or ``https://host[:port]``."""
    upstream_ca: InputFile | None = None
    """PEM file: the authorities of the portal's own certificate. Default: those of the system."""
    upstream_certificate: InputFile | None = None
    """PEM file: the certificate that the gateway shows to the portal. Default: none."""
    upstream_key: SecretFile | None = None
    """PEM file: the key of that certificate, closed to other users. Default: none."""
    label: Label
    """The portal's name as the agent's window and the pages show it, 1 to 64 characters."""
    audience: Audience = Field(default_factory=lambda values: values["origin"])
    """Audience of the signed assertion, 1 to 255 ASCII characters; default: the origin."""


class ListenSettings(_Table):
    """``[listen]``: where the gateway waits for browsers."""

    address: ListenAddress = "127.0.0.1"
    """IP address to listen on; one that is not loopback needs TLS. Default 127.0.0.1."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8443
    """TCP port, 1 to 65535, default 8443."""
    tls_certificate: InputFile | None = None
    """PEM file: the server's certificate and its intermediates. Default: no TLS here."""
    tls_key: SecretFile | None = None
    """PEM file: the key of that certificate, closed to other users. Default: no TLS here."""
    trusted_proxies: Annotated[tuple[IPNetwork, ...], Field(strict=False, max_length=100)] = ()
    """Addresses and networks of proxies in front that are believed whom they name. Default: none.
    """
    proxy_field: Literal["X-Forwarded-For", "Forwarded"] = "X-Forwarded-For"
    """The one header in which they name them; default X-Forwarded-For."""
    proxy_protocol: bool = False
    """Whether they, and nobody else, connect with a PROXY header, version 1 or 2, that names the
    browser. Default false."""


class TrustSettings(_Table):
    """``[trust]``: which authorities a card's certificate may come from."""

    anchors: Annotated[tuple[InputFile, ...], Field(strict=False), NotEmpty]
    """Files with the root certificates, at least one."""
    intermediates: Annotated[tuple[InputFile, ...], Field(strict=False), NotEmpty]
    """Files with the authorities that issue to persons, at least one; none is taken from a card."""
    crls: Annotated[tuple[InputFile, ...], Field(strict=False)] = ()
    """Files with revocation lists, complete or delta; without a list in force nobody gets in.
    Default: none, and then [[trust.revocation]] says where lists are fetched."""
    revocation: Annotated[tuple[RevocationSettings, ...], Field(strict=False)] = ()
    """Tables with the addresses of lists and responders, of one authority each. Default: none."""
    refresh_seconds: Annotated[int, Field(ge=60, le=86_400)] = 3600
    """Time between two looks at the addresses of lists, seconds, 60 to 86400, default 3600 (1 h).
    """
    grace_until: Moment | None = None
    """Until then lists count that ended at most a week ago; TOML date and time with its zone. For
    emergencies: every login that needs it says so in the audit log. Default: none."""
    policies: Annotated[tuple[PolicyIdentifier, ...], Field(strict=False)] = ()
    """Certificate policies (OIDs) of which a path must have one; default: none demanded."""


class LoginSettings(_Table):
    """``[login]``: one login attempt, and who may log in."""

    card_types: Annotated[tuple[CardTypeName, ...], Field(strict=False), NotEmpty] = ("CPS",)
    """Card types let in, of CPS, CPF, CPE and CPA; default CPS alone."""
    professions: Annotated[
        tuple[Annotated[int, Field(ge=0, le=999)], ...], Field(strict=False)
    ] = ()
    """Codes of professions let in (table G15), 0 to 999; default: none named, so any."""
    allow: Annotated[tuple[PeopleSettings, ...], Field(strict=False)] = ()
    """Tables that describe people; whoever none of them describes stays out. Default: no table."""
    deny: Annotated[tuple[PeopleSettings, ...], Field(strict=False)] = ()
    """Tables that describe people who stay out whatever else is said. Default: no table."""
    challenge_seconds: Annotated[int, Field(ge=30, le=600)] = 180
    """Time from the login page to the card's signature, seconds, 30 to 600, default 180."""
    code_seconds: Annotated[int, Field(ge=5, le=120)] = 30
    """Life of the one-time code that the browser brings back, seconds, 5 to 120, default 30."""
    pre_session_seconds: Annotated[int, Field(ge=60, le=1800)] = 300
    """Life of the cookie that binds a login to its browser, seconds, 60 to 1800, default 300."""
    from_agent: bool = True
    """Whether a login may begin in the agent, for browsers that do not find it; default true."""
    token_bytes: Annotated[int, Field(ge=4000, le=MAX_TOKEN_BYTES)] = MAX_TOKEN_BYTES
    """Largest login token accepted, bytes, 4000 to 10000, default 10000."""
    min_agent: Version = "0.1.0"
    """Oldest agent version let in, ``major.minor.patch``, default 0.1.0."""
    targets: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    """Pages to return to that are kept, rows, 100 to 1000000, default 10000; the oldest go."""
    target_seconds: Annotated[int, Field(ge=60, le=86_400)] = 3600
    """How long a page to return to is kept, seconds, 60 to 86400, default 3600 (1 h)."""
    challenges: Annotated[int, Field(ge=100, le=1_000_000)] = 100_000
    """Login attempts that are kept, rows, 100 to 1000000, default 100000; the oldest go."""
    processes: Annotated[int, Field(ge=1, le=16)] | None = None
    """Processes that answer logins, 1 to 16; default one for each two cores, 4 at most."""


class SessionSettings(_Table):
    """``[session]``: how long a login lasts."""

    idle_seconds: Annotated[int, Field(ge=60, le=86_400)] = 3600
    """Longest pause between two requests, seconds, 60 to 86400, default 3600 (1 h)."""
    absolute_seconds: Annotated[int, Field(ge=60, le=86_400)] = 14_400
    """Longest session whatever its use, seconds, 60 to 86400, default 14400 (4 h)."""
    touch_seconds: Annotated[int, Field(ge=1, le=300)] = 30
    """Shortest time between two notes of a session's use, seconds, 1 to 300, default 30."""


class RateSettings(_Table):
    """``[rate]``: how often one address may ask, and one person be let in, in a minute."""

    login_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 300
    """Login pages for one address, 1 to 1000000, default 300; a whole site may share an address."""
    claim_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 300
    """Logins claimed by agents of one address, 1 to 1000000, default 300."""
    token_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 300
    """Signatures handed in from one address, 1 to 1000000, default 300; as many ends of logins."""
    lease_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    """Signs of a card's presence from one address, 1 to 1000000, default 20000."""
    identity_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 30
    """Logins of one person that succeed, 1 to 1000000, default 30."""


class StoreSettings(_Table):
    """``[store]``: where sessions and login attempts are kept."""

    engine: Literal["sqlite", "redis"] = "sqlite"
    """``sqlite``, the default, a file in state_dir; or ``redis``, for several machines."""
    redis_url: RedisURL | None = None
    """``rediss://host[:port][/database]``, ``redis://…`` or ``unix:///path[?db=database]``."""
    redis_password_file: SecretFile | None = None
    """File with the password in its first line, closed to other users. Default: no password."""
    redis_tls_ca: InputFile | None = None
    """PEM file: the authorities of the server's certificate. Default: those of the system."""
    redis_tls_certificate: InputFile | None = None
    """PEM file: the certificate that the gateway shows to the server. Default: none."""
    redis_tls_key: SecretFile | None = None
    """PEM file: the key of that certificate, closed to other users. Default: none."""


class LimitsSettings(_Table):
    """``[limits]``: what one request may cost."""

    header_bytes: Annotated[int, Field(ge=4096, le=65_536)] = 16_384
    """Largest request head, bytes, 4096 to 65536, default 16384."""
    body_bytes: Annotated[int, Field(ge=_MIB, le=_TIB)] = 1024 * _MIB
    """Largest body passed to the portal, bytes, 1048576 to 1099511627776, default 1073741824."""
    cookie_bytes: Annotated[int, Field(ge=1024, le=32_768)] = 8192
    """Largest sum of a request's Cookie headers, bytes, 1024 to 32768, default 8192."""
    upstream_connect_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    """Time for a connection to the portal, seconds, 1 to 60, default 5."""
    upstream_read_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    """Longest silence of the portal while it answers, seconds, 1 to 3600, default 60."""
    store_seconds: Annotated[int, Field(ge=1, le=30)] = 5
    """Longest wait for an answer of the store, seconds, 1 to 30, default 5; then nobody gets in."""


class Settings(_Table):
    """Everything the operator decides; cannot change while the gateway runs."""

    environment: Literal["production", "test"] = "production"
    """``production``, the default, refuses test authorities and plain http; or ``test``."""
    state_dir: PrivateFolder
    """Folder of the database and the signing key, the gateway's own; made if it is missing."""
    runtime_dir: PrivateFolder = Field(default_factory=lambda values: values["state_dir"])
    """Folder of the sockets, a path of at most 90 bytes; default: state_dir."""
    portal: PortalSettings
    listen: ListenSettings = ListenSettings()
    trust: TrustSettings
    login: LoginSettings = LoginSettings()
    presence: PresenceSettings = PresenceSettings()
    session: SessionSettings = SessionSettings()
    admin: AdminSettings = AdminSettings()
    rate: RateSettings = RateSettings()
    store: StoreSettings = StoreSettings()
    edge: EdgeSettings = EdgeSettings()
    limits: LimitsSettings = LimitsSettings()
    guard: GuardSettings = GuardSettings()
    journal: JournalSettings = JournalSettings()
    audit: AuditSettings = AuditSettings()
    monitor: MonitorSettings = MonitorSettings()
    tracing: TracingSettings = TracingSettings()
    notify: NotifySettings = NotifySettings()

    @classmethod
    def load(cls, path: Path, environ: Mapping[str, str] | None = None) -> Self:
        """Return the settings in *path*, having looked at the files and folders they name.

        :param path: a TOML file; relative paths inside start at its folder.
        :param environ: variables that come before the file; default: the process's own.
        :raises ConfigurationError: with every fault found, each with its key and reason.
        """
        given = os.environ if environ is None else environ
        return cls.of_values(read_values(path, given), path, given)

    @classmethod
    def of_values(cls, values: Mapping[str, Any], path: Path, environ: Mapping[str, str]) -> Self:
        """Return the settings that *values* are, as :func:`read_values` returned them.

        :raises ConfigurationError: see :meth:`load`.
        """
        named = {key_of(name): name for name in variables(environ)}
        try:
            return cls.model_validate(values, context={"folder": path.absolute().parent})
        except ValidationError as exc:
            faults = [
                ConfigurationError("environment", named[key], reason)
                if key in named
                else ConfigurationError(str(path), key, reason)
                for error in exc.errors()
                for key, reason in _explain(error)
            ]
            first, *others = faults
            raise ConfigurationError(first.file, first.key, first.reason, others) from exc

    @model_validator(mode="after")
    def _require_consistent(self, info: ValidationInfo) -> Self:
        faults = [*_contradictions(self)]
        # A generation's own folder is a little longer than the one that the file names.
        if info.context is not None and len(os.fsencode(self.runtime_dir)) > MAX_RUNTIME_DIR_BYTES:
            reason = f"a path of at most {MAX_RUNTIME_DIR_BYTES} bytes is wanted"
            faults.append(("runtime_dir", reason))
        if faults:
            raise PydanticCustomError(_CONTRADICTION, "{faults}", {"faults": tuple(faults)})
        return self


def read_values(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what stands in the file at *path* and in the environment, not yet looked at.

    :raises ConfigurationError: for a file that cannot be read, and variables that are no settings.
    """
    try:
        return with_environment(tomllib.loads(path.read_text(encoding="utf-8")), environ)
    except OSError as exc:
        raise ConfigurationError(str(path), "(file)", f"cannot be read: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:  # The latter for tables and lists nested too deep.
        raise ConfigurationError(str(path), "(file)", f"is not TOML: {exc}") from exc


def create_directories(settings: Settings, *, file: Path) -> None:
    """Make the state and runtime folders, mode 0700, and refuse any that others can write.

    :param file: the settings file, to name in the error.
    :raises ConfigurationError: where a folder cannot be made or is not the gateway's own.
    """
    for key, folder in (("state_dir", settings.state_dir), ("runtime_dir", settings.runtime_dir)):
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            require_private_folder(folder)
        except OSError as exc:
            reason = f"{folder} cannot be made: {exc.strerror}"
            raise ConfigurationError(str(file), key, reason) from exc
        except ValueError as exc:
            raise ConfigurationError(str(file), key, str(exc)) from exc


def _contradictions(settings: Settings) -> Iterator[tuple[str, str]]:
    """Name each pair of settings, good alone, that cannot stand together."""
    portal, listen, login = settings.portal, settings.listen, settings.login
    session, limits = settings.session, settings.limits
    origin = urlsplit(portal.origin)
    if origin.scheme == "http" and not (
        settings.environment == "test" and is_loopback(origin.hostname or "")
    ):
        yield (
            "portal.origin",
            "https is wanted; http is only for a loopback address with environment test",
        )
    if portal.upstream in (portal.origin, *_own_addresses(listen)):
        yield "portal.upstream", "is the gateway itself; name the portal behind it"
    yield from _upstream_contradictions(portal)
    if (listen.tls_certificate is None) != (listen.tls_key is None):
        missing = "tls_key" if listen.tls_key is None else "tls_certificate"
        yield f"listen.{missing}", "tls_certificate and tls_key are wanted together"
    if listen.tls_certificate is None and not is_loopback(listen.address):
        yield (
            "listen.address",
            f"{listen.address} can be reached from other machines: set listen.tls_certificate",
        )
    if listen.tls_certificate is not None and origin.scheme == "http":
        yield "portal.origin", "https is wanted where listen.tls_certificate is set"
    yield from _proxy_contradictions(listen, engine=settings.edge.engine)
    if session.idle_seconds > session.absolute_seconds:
        yield "session.idle_seconds", "must not exceed session.absolute_seconds"
    if session.touch_seconds * 2 > session.idle_seconds:
        yield "session.touch_seconds", "must not exceed half of session.idle_seconds"
    if login.pre_session_seconds < login.challenge_seconds + login.code_seconds:
        yield (
            "login.pre_session_seconds",
            "must reach login.challenge_seconds and login.code_seconds together",
        )
    yield from presence_contradictions(settings.presence, code_seconds=login.code_seconds)
    if limits.cookie_bytes > limits.header_bytes:
        yield "limits.cookie_bytes", "must not exceed limits.header_bytes"
    yield from _trust_contradictions(settings.trust)
    yield from _store_contradictions(settings.store, settings.environment)
    yield from operation_contradictions(
        settings.audit, settings.monitor, listens_on=(listen.address, listen.port)
    )
    yield from edge_contradictions(
        settings.edge,
        has_tls=listen.tls_certificate is not None,
        has_own_runtime_dir=settings.runtime_dir != settings.state_dir,
    )
    yield from guard_contradictions(settings.guard, engine=settings.edge.engine)
    yield from notify_contradictions(settings.notify)


def _proxy_contradictions(listen: ListenSettings, *, engine: str) -> Iterator[tuple[str, str]]:
    if engine == "external" and listen.proxy_protocol:
        yield "listen.proxy_protocol", 'is the proxy\'s where edge.engine is "external"'
    elif listen.proxy_protocol and not listen.trusted_proxies:
        yield "listen.trusted_proxies", "is missing; proxy_protocol = true believes those alone"
    if engine != "embedded" and listen.trusted_proxies and not listen.proxy_protocol:
        reason = 'is for edge.engine = "embedded"'
        if engine == "nginx":
            reason += ", or for proxy_protocol = true"
        yield "listen.trusted_proxies", reason
    if listen.proxy_protocol and "proxy_field" in listen.model_fields_set:
        yield "listen.proxy_field", "is not read where proxy_protocol is true; take it away"


def _upstream_contradictions(portal: PortalSettings) -> Iterator[tuple[str, str]]:
    if (portal.upstream_certificate is None) != (portal.upstream_key is None):
        missing = "upstream_key" if portal.upstream_key is None else "upstream_certificate"
        yield f"portal.{missing}", "upstream_certificate and upstream_key are wanted together"
    if not portal.upstream.startswith("https:"):
        for name in ("upstream_ca", "upstream_certificate", "upstream_key"):
            if getattr(portal, name) is not None:
                yield f"portal.{name}", "is for a portal.upstream that begins with https"


def _trust_contradictions(trust: TrustSettings) -> Iterator[tuple[str, str]]:
    if not trust.crls and not any(each.crl for each in trust.revocation):
        yield "trust.crls", "is missing; name files, or addresses in [[trust.revocation]]"
    for number, each in enumerate(trust.revocation):
        if each.authority not in trust.anchors + trust.intermediates:
            reason = "is not among trust.anchors and trust.intermediates"
            yield f"trust.revocation[{number}].authority", reason
        if not (each.crl or each.delta or each.ocsp):
            yield f"trust.revocation[{number}]", "names no address: crl, delta or ocsp is wanted"


def _store_contradictions(store: StoreSettings, environment: str) -> Iterator[tuple[str, str]]:
    if store.engine == "sqlite":
        for name in sorted(store.model_fields_set - {"engine"}):
            yield f"store.{name}", 'is for store.engine = "redis"'
        return
    if store.redis_url is None:
        yield "store.redis_url", 'is missing; store.engine = "redis" wants it'
        return
    address = RedisAddress.parse(store.redis_url)
    if (store.redis_tls_certificate is None) != (store.redis_tls_key is None):
        missing = "redis_tls_key" if store.redis_tls_key is None else "redis_tls_certificate"
        yield f"store.{missing}", "redis_tls_certificate and redis_tls_key are wanted together"
    if not address.tls:
        for name in ("redis_tls_ca", "redis_tls_certificate", "redis_tls_key"):
            if getattr(store, name) is not None:
                yield f"store.{name}", "is for an address with rediss://"
    if address.user is not None and store.redis_password_file is None:
        yield "store.redis_password_file", f"is missing; the user {address.user} wants it"
    if environment == "production" and address.host is not None:
        # Whoever can write there opens sessions.
        if not address.tls and not is_loopback(address.host):
            yield "store.redis_url", f"{address.host} is another machine: rediss:// is wanted"
        if store.redis_password_file is None and store.redis_tls_certificate is None:
            reason = "is missing; or set redis_tls_certificate, or use a Unix socket"
            yield "store.redis_password_file", reason


def _own_addresses(listen: ListenSettings) -> tuple[str, ...]:
    host = f"[{listen.address}]" if ":" in listen.address else listen.address
    return f"http://{host}:{listen.port}", f"https://{host}:{listen.port}"


_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "missing": "is missing",
        "bool_type": "true or false is wanted, not {input}",
        "int_type": "a whole number is wanted, not {input}",
        "string_type": "text is wanted, not {input}",
        "path_type": "a path is wanted, not {input}",
        "is_instance_of": "a path is wanted, not {input}",
        "tuple_type": "a list is wanted, not {input}",
        "model_type": "a table is wanted, not {input}",
        "literal_error": "{expected} is wanted, not {input}",
        "greater_than_equal": "{input} is below the smallest value allowed, {ge}",
        "less_than_equal": "{input} is above the largest value allowed, {le}",
        "string_too_short": "at least {min_length} character is wanted",
        "string_too_long": "at most {max_length} characters are wanted",
        "value_error": "{error}",
    }
)


def _explain(error: ErrorDetails) -> Sequence[tuple[str, str]]:
    """Return key and reason, in an operator's words, of one fault that pydantic found."""
    facts = error.get("ctx", {})
    kind = error["type"]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
    key = key.removeprefix(".")
    if kind == _CONTRADICTION:
        faults: Sequence[tuple[str, str]] = facts["faults"]
        return faults
    if kind == "default_factory_not_called":
        # The fault is in another key, which is named for itself.
        return ()
    if kind == "extra_forbidden":
        return ((key, "is not a setting" + _nearest(key)),)
    if kind not in _REASONS:
        return ((key, error["msg"]),)
    return ((key, _REASONS[kind].format(input=repr(error["input"])[:60], **facts)),)


def _nearest(key: str) -> str:
    """Return a hint at the setting that was probably meant by the unknown *key*."""
    table, _, name = key.rpartition(".")
    known = [(k, *k.rpartition(".")[::2]) for k in _keys(Settings)]
    # The right name in a wrong table is as common as a slip of the pen.
    found = [k for k, _, known_name in known if known_name == name]
    if not found:
        siblings = {known_name: k for k, known_table, known_name in known if known_table == table}
        found = [siblings[n] for n in difflib.get_close_matches(name, siblings, n=1)]
    return f"; did you mean {found[0]}?" if found else ""


def _keys(table: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Name every key of *table*, with those of the tables in it."""
    for name, field in table.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")
