import importlib
import re
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal, get_args, get_origin

import annotated_types
import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.errors import ConfigurationError
from gateway.settings import MAX_RUNTIME_DIR_BYTES, Settings, create_directories
from tests.support.settings_files import MINIMAL, faults, settings_folder, with_line, write

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"

ONLY_ALONE = {
    "audit.journal",
    "audit.syslog",
    "edge.proxy_group",
    "listen.proxy_protocol",
    "listen.trusted_proxies",
}
"""Settings that another one excludes; test_settings_operation.py, _edge.py and
_proxies.py give them."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings_folder(tmp_path)


def test_the_smallest_file_is_enough(folder: Path) -> None:
    settings = Settings.load(write(folder, MINIMAL))
    assert settings.environment == "production"
    assert settings.state_dir == folder / "state"
    assert settings.runtime_dir == settings.state_dir
    assert settings.portal.audience == "https://portal.example"
    assert settings.trust.crls == (folder / "root.crl", folder / "intermediate.crl")
    assert settings.login.card_types == ("CPS",)
    assert settings.audit.file is None


def test_every_setting_can_be_given(folder: Path) -> None:
    settings = Settings.load(
        write(
            folder,
            """
            environment = "test"
            state_dir = "state"
            runtime_dir = "run"
            [portal]
            name = "tiers-payant"
            origin = "https://portal.example:8443"
            upstream = "https://[::1]:9000"
            upstream_ca = "tls.pem"
            upstream_certificate = "tls.pem"
            upstream_key = "tls.key"
            label = "Portail tiers payant, été"
            audience = "tiers-payant"
            [listen]
            address = "0.0.0.0"
            port = 443
            tls_certificate = "tls.pem"
            tls_key = "tls.key"
            proxy_field = "Forwarded"
            [trust]
            anchors = ["root.pem"]
            intermediates = ["intermediate.pem"]
            crls = ["root.crl"]
            policies = ["1.2.250.1.213.1.7.2.1.1.1.1"]
            refresh_seconds = 600
            grace_until = 2026-12-01T08:00:00Z
            [[trust.revocation]]
            authority = "intermediate.pem"
            crl = ["http://a.example/a.crl", "https://b.example/a.crl"]
            delta = ["ldap://a.example/cn=a"]
            ocsp = ["http://ocsp.example"]
            ocsp_nonce = "optional"
            ocsp_responders = ["tls.pem"]
            [login]
            card_types = ["CPS", "CPE"]
            professions = [10, 60]
            allow = [{professions = [10]}]
            deny = [{people = ["899900000011"]}]
            challenge_seconds = 60
            code_seconds = 10
            pre_session_seconds = 100
            from_agent = false
            token_bytes = 8000
            min_agent = "1.2.3"
            targets = 200
            target_seconds = 600
            challenges = 300
            processes = 3
            [session]
            idle_seconds = 600
            absolute_seconds = 1200
            touch_seconds = 10
            [admin]
            identities = ["899900000013"]
            fresh = "90s"
            [rate]
            login_per_minute = 1
            claim_per_minute = 2
            token_per_minute = 3
            lease_per_minute = 4
            identity_per_minute = 5
            [store]
            engine = "redis"
            redis_url = "rediss://gateway@redis.example:6380/1"
            redis_password_file = "redis.password"
            redis_tls_ca = "redis-ca.pem"
            redis_tls_certificate = "tls.pem"
            redis_tls_key = "tls.key"
            [edge]
            engine = "nginx"
            workers = 2
            nginx_program = "tls.pem"
            verdict_cache_seconds = 2
            relayed_paths = ["/exports/"]
            passed_fields = ["X-Tenant"]
            [limits]
            header_bytes = 8192
            body_bytes = 2000000
            cookie_bytes = 4096
            upstream_connect_seconds = 2
            upstream_read_seconds = 20
            store_seconds = 3
            [audit]
            file = "audit.jsonl"
            [monitor]
            address = "::1"
            port = 9464
            [tracing]
            endpoint = "http://127.0.0.1:4318/v1/traces"
            [notify]
            webhook_url = "https://hook.example/cps"
            webhook_secret_file = "redis.password"
            webhook_ca = "tls.pem"
            smtp_host = "mail.example"
            smtp_port = 465
            smtp_tls = "implicit"
            smtp_ca = "tls.pem"
            smtp_user = "cps"
            smtp_password_file = "redis.password"
            mail_from = "cps@portal.example"
            addresses = "tls.pem"
            [guard]
            timezone = "Indian/Reunion"
            slow_seconds = 3
            alarm_url = "https://alarms.example/cps"
            [[guard.routes]]
            name = "rights"
            path = "/rights"
            methods = ["GET"]
            record = "query:nir"
            fresh = "10m"
            [[guard.rules]]
            count = "requests"
            limit = 9
            per = "day"
            effect = "log"
            [journal]
            folder = "journal"
            records = "plain"
            unwritable = "alarm"
            file_bytes = 2000000
            retention_days = 200
            [presence]
            mode = "off"
            heartbeat_seconds = 10
            grace_seconds = 30
            locked = "end"
            """,
        )
    )
    given = settings.model_dump()
    default = Settings.load(write(folder, MINIMAL)).model_dump()
    for key in keys():
        table, _, name = key.rpartition(".")
        outer, _, inner = table.partition(".")
        if inner:
            # A list of tables, which is empty by default.
            assert name in given[outer][inner][0]
            continue
        one, other = (values[table] if table else values for values in (given, default))
        if key not in {"state_dir", "trust.anchors", "trust.intermediates", *ONLY_ALONE}:
            assert one[name] != other[name], key


def test_an_absolute_path_stays(folder: Path) -> None:
    text = with_line("trust", f'anchors = ["{folder}/root.pem"]')
    assert Settings.load(write(folder, text)).trust.anchors == (folder / "root.pem",)


def test_settings_cannot_change(folder: Path) -> None:
    settings = Settings.load(write(folder, MINIMAL))
    with pytest.raises(ValidationError):
        settings.session.idle_seconds = 1
    with pytest.raises(ValidationError):
        settings.environment = "test"


@pytest.mark.parametrize(
    "upstream",
    ["https://portal.example", "http://127.0.0.1:8443", "https://127.0.0.1:8443"],
)
def test_the_upstream_is_not_the_gateway(folder: Path, upstream: str) -> None:
    found = faults(folder, with_line("portal", f'upstream = "{upstream}"'))
    assert "itself" in found["portal.upstream"]


@pytest.mark.parametrize(
    ("environment", "origin", "fine"),
    [
        ("production", "https://portal.example", True),
        ("production", "http://portal.example", False),
        ("production", "http://127.0.0.1:9000", False),
        ("production", "http://localhost:9000", False),
        ("test", "https://portal.example", True),
        ("test", "http://portal.example", False),
        ("test", "http://127.0.0.1.portal.example", False),
        ("test", "http://192.168.1.5", False),
        ("test", "http://127.0.0.1:9000", True),
        ("test", "http://localhost:9000", True),
        ("test", "http://[::1]:9000", True),
    ],
)
def test_http_is_for_a_test_on_this_machine_alone(
    folder: Path, environment: str, origin: str, fine: bool
) -> None:
    text = with_line("", f'environment = "{environment}"')
    text = with_line("portal", f'origin = "{origin}"', text)
    if fine:
        assert Settings.load(write(folder, text)).portal.origin == origin
    else:
        assert "https is wanted" in faults(folder, text)["portal.origin"]


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "::", "192.168.1.5", "2001:db8::1"],  # noqa: S104 - refused is what is tested
)
def test_other_machines_are_served_with_tls_alone(folder: Path, address: str) -> None:
    text = with_line("listen", f'address = "{address}"')
    assert "tls_certificate" in faults(folder, text)["listen.address"]
    text = with_line("listen", 'tls_certificate = "tls.pem"\ntls_key = "tls.key"', text)
    assert Settings.load(write(folder, text)).listen.address == address


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.53", "::1"])
def test_this_machine_may_be_served_without_tls(folder: Path, address: str) -> None:
    text = with_line("listen", f'address = "{address}"')
    assert Settings.load(write(folder, text)).listen.tls_certificate is None


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('tls_certificate = "tls.pem"', "listen.tls_key"),
        ('tls_key = "tls.key"', "listen.tls_certificate"),
    ],
    ids=["certificate alone", "key alone"],
)
def test_tls_files_come_together(folder: Path, line: str, key: str) -> None:
    assert set(faults(folder, with_line("listen", line))) == {key}


def test_tls_wants_an_https_origin(folder: Path) -> None:
    text = with_line("listen", 'tls_certificate = "tls.pem"\ntls_key = "tls.key"')
    text = with_line("", 'environment = "test"', text)
    text = with_line("portal", 'origin = "http://127.0.0.1:8443"', text)
    assert set(faults(folder, text)) == {"portal.origin"}


@pytest.mark.parametrize(
    ("table", "line", "key"),
    [
        pytest.param("session", "idle_seconds = 14401", "session.idle_seconds", id="idle"),
        pytest.param("session", "idle_seconds = 60\ntouch_seconds = 31", "session.touch_seconds",
                     id="touch"),
        pytest.param("login", "challenge_seconds = 271", "login.pre_session_seconds", id="cookie"),
        pytest.param("limits", "cookie_bytes = 16385", "limits.cookie_bytes", id="cookies"),
        pytest.param("", f'runtime_dir = "{"x" * MAX_RUNTIME_DIR_BYTES}"', "runtime_dir",
                     id="sockets"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_stop_the_start(
    folder: Path, table: str, line: str, key: str
) -> None:
    assert set(faults(folder, with_line(table, line))) == {key}


@pytest.mark.parametrize(
    ("upstream", "lines", "key", "reason"),
    [
        pytest.param("https://p.example", 'upstream_certificate = "tls.pem"', "upstream_key",
                     "together", id="certificate alone"),
        pytest.param("https://p.example", 'upstream_key = "tls.key"', "upstream_certificate",
                     "together", id="key alone"),
        pytest.param("https://p.example", 'upstream_ca = "no"', "upstream_ca", "not a file",
                     id="authority missing"),
        pytest.param("http://127.0.0.1:8000", 'upstream_ca = "tls.pem"', "upstream_ca", "https",
                     id="authority without TLS"),
    ],
)  # fmt: skip
def test_a_portals_tls_that_cannot_be_used_stops_the_start(
    folder: Path, upstream: str, lines: str, key: str, reason: str
) -> None:
    text = with_line("portal", f'upstream = "{upstream}"\n{lines}')
    found = faults(folder, text)
    assert set(found) == {f"portal.{key}"}
    assert reason in found[f"portal.{key}"]


def test_a_portal_may_have_an_authority_of_its_own(folder: Path) -> None:
    lines = 'upstream_ca = "tls.pem"\nupstream_certificate = "tls.pem"\nupstream_key = "tls.key"'
    text = with_line("portal", f'upstream = "https://p.example"\n{lines}')
    assert Settings.load(write(folder, text)).portal.upstream_ca == folder / "tls.pem"


REDIS = 'engine = "redis"\nredis_url = '
PASSWORD = '\nredis_password_file = "redis.password"'
BOTH_KEYS = '\nredis_tls_certificate = "tls.pem"\nredis_tls_key = "tls.key"'


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(REDIS + '"unix:///run/redis.sock"', id="socket"),
        pytest.param(REDIS + '"redis://127.0.0.1"' + PASSWORD, id="this machine"),
        pytest.param(REDIS + '"rediss://redis.example"' + PASSWORD, id="password"),
        pytest.param(REDIS + '"rediss://redis.example"' + BOTH_KEYS, id="certificate"),
        pytest.param(
            REDIS + '"rediss://redis.example"\nredis_tls_ca = "redis-ca.pem"' + PASSWORD,
            id="own authority",
        ),
    ],
)
def test_a_redis_server_can_be_the_store(folder: Path, lines: str) -> None:
    settings = Settings.load(write(folder, with_line("store", lines)))
    assert settings.store.engine == "redis"


@pytest.mark.parametrize(
    ("lines", "key", "reason"),
    [
        pytest.param('engine = "mysql"', "engine", "'sqlite' or 'redis' is wanted", id="engine"),
        pytest.param('engine = "redis"', "redis_url", "is missing", id="no address"),
        pytest.param('redis_url = "unix:///r"', "redis_url", "store.engine", id="not for SQLite"),
        pytest.param('engine = "sqlite"\nredis_tls_ca = "tls.pem"', "redis_tls_ca",
                     "store.engine", id="TLS not for SQLite"),
        pytest.param(REDIS + '"http://redis.example"' + PASSWORD, "redis_url", "redis://",
                     id="no address of Redis"),
        pytest.param(REDIS + '"rediss://:secret@redis.example"', "redis_url", "redis_password_file",
                     id="password in the settings"),
        pytest.param(REDIS + '"redis://redis.example"' + PASSWORD, "redis_url", "rediss://",
                     id="another machine without TLS"),
        pytest.param(REDIS + '"redis://127.0.0.1"', "redis_password_file", "is missing",
                     id="no password on a port"),
        pytest.param(REDIS + '"rediss://redis.example"', "redis_password_file", "is missing",
                     id="no password with TLS"),
        pytest.param(REDIS + '"unix://gateway@/run/redis.sock"', "redis_password_file",
                     "the user gateway wants it", id="user without password"),
        pytest.param(REDIS + '"unix:///r"\nredis_password_file = "open.password"',
                     "redis_password_file", "chmod o=", id="password open to all"),
        pytest.param(REDIS + '"unix:///r"\nredis_password_file = "no"', "redis_password_file",
                     "not a file", id="password file missing"),
        pytest.param(REDIS + '"unix:///r"\nredis_tls_ca = "tls.pem"', "redis_tls_ca", "rediss://",
                     id="authority without TLS"),
        pytest.param(REDIS + '"rediss://h"\nredis_tls_ca = "no"' + PASSWORD, "redis_tls_ca",
                     "not a file", id="authority missing"),
        pytest.param(REDIS + '"rediss://h"\nredis_tls_certificate = "tls.pem"', "redis_tls_key",
                     "together", id="certificate alone"),
        pytest.param(REDIS + '"rediss://h"\nredis_tls_key = "tls.key"' + PASSWORD,
                     "redis_tls_certificate", "together", id="key alone"),
    ],
)  # fmt: skip
def test_a_store_that_cannot_be_used_stops_the_start(
    folder: Path, lines: str, key: str, reason: str
) -> None:
    found = faults(folder, with_line("store", lines))
    assert set(found) == {f"store.{key}"}
    assert reason in found[f"store.{key}"]
    assert "secret" not in "".join(found.values())


def test_a_developer_may_use_redis_without_tls_and_password(folder: Path) -> None:
    text = with_line("", 'environment = "test"')
    text = with_line("store", REDIS + '"redis://redis.example"', text)
    assert Settings.load(write(folder, text)).store.redis_url == "redis://redis.example"


@pytest.mark.parametrize(
    ("table", "line", "key", "hint"),
    [
        pytest.param("session", "idle_second = 60", "session.idle_second",
                     "session.idle_seconds", id="slip"),
        pytest.param("portal", 'orgin = "x"', "portal.orgin", "portal.origin", id="left out"),
        pytest.param("", "idle_seconds = 60", "idle_seconds", "session.idle_seconds",
                     id="table forgotten"),
        pytest.param("listen", 'file = "x"', "listen.file", "audit.file", id="other table"),
        pytest.param("sesion", "idle_seconds = 60", "sesion", "session", id="table"),
    ],
)  # fmt: skip
def test_an_unknown_key_names_the_nearest_known_one(
    folder: Path, table: str, line: str, key: str, hint: str
) -> None:
    found = faults(folder, with_line(table, line))
    assert found[key] == f"is not a setting; did you mean {hint}?"


def test_an_unknown_key_without_a_neighbour_is_refused_too(folder: Path) -> None:
    assert faults(folder, with_line("", "zzz = 1")) == {"zzz": "is not a setting"}


def test_all_faults_are_shown_at_once(folder: Path) -> None:
    text = with_line("", 'environment = "x"')
    text = with_line("listen", "port = 0", text)
    text = with_line("portal", 'origin = "x"', text)
    assert set(faults(folder, text)) == {"environment", "listen.port", "portal.origin"}
    text = with_line("session", "idle_seconds = 20000")
    text = with_line("limits", "cookie_bytes = 20000", text)
    assert set(faults(folder, text)) == {"session.idle_seconds", "limits.cookie_bytes"}


@pytest.mark.parametrize("key", ["state_dir", "portal.origin", "trust.anchors", "portal", "trust"])
def test_what_has_no_default_is_asked_for(folder: Path, key: str) -> None:
    name = key.rpartition(".")[2]
    line, whole_table = rf"(?m)^{name} =.*\n", rf"(?m)^\[{name}\]\n(?:[a-z].*\n)*"
    pattern = whole_table if f"[{name}]" in MINIMAL else line
    assert faults(folder, re.sub(pattern, "", MINIMAL)) == {key: "is missing"}


def test_a_table_is_a_table(folder: Path) -> None:
    assert faults(folder, with_line("", "session = 3")) == {"session": "a table is wanted, not 3"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"state_dir = ", "is not TOML", id="cut"),
        pytest.param(b"a = 1\na = 2", "is not TOML", id="twice"),
        pytest.param(b"a = '\xff'", "is not TOML", id="not UTF-8"),
        pytest.param(b"a = " + b"[" * 100_000, "is not TOML", id="nested"),
        pytest.param(b"a" + b".a" * 20_000 + b" = 1", "is not TOML", id="deep"),
    ],
)
def test_a_file_that_is_no_toml_is_refused(folder: Path, content: bytes, reason: str) -> None:
    file = folder / "gateway.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        Settings.load(file)
    assert caught.value.key == "(file)"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        Settings.load(tmp_path / "no.toml")


def test_the_start_makes_its_folders_for_itself_alone(folder: Path) -> None:
    file = write(folder, with_line("", 'runtime_dir = "run"'))
    settings = Settings.load(file)
    assert not settings.state_dir.exists()
    create_directories(settings, file=file)
    create_directories(settings, file=file)
    for made in (folder / "state", folder / "run"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_folder_that_changed_before_the_start_is_refused(folder: Path) -> None:
    file = write(folder, MINIMAL)
    settings = Settings.load(file)
    (folder / "state").mkdir()
    (folder / "state").chmod(0o777)
    with pytest.raises(ConfigurationError, match="chmod") as caught:
        create_directories(settings, file=file)
    assert (caught.value.file, caught.value.key) == (str(file), "state_dir")


def test_a_file_in_the_folders_place_is_refused(folder: Path) -> None:
    file = write(folder, MINIMAL)
    settings = Settings.load(file)
    (folder / "state").touch()
    with pytest.raises(ConfigurationError, match="cannot be made") as caught:
        create_directories(settings, file=file)
    assert caught.value.key == "state_dir"


def fields(table: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Return every key that is not a table, or a list of tables, with its field."""
    for name, field in table.model_fields.items():
        parts = (field.annotation, *get_args(field.annotation)[:1])
        inner = next((p for p in parts if isinstance(p, type) and issubclass(p, BaseModel)), None)
        if inner is not None:
            yield from fields(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def keys() -> list[str]:
    return [key for key, _ in fields()]


def limits(field: FieldInfo) -> tuple[int, int] | None:
    """Return the smallest and the largest value of a number."""
    lowest = [mark.ge for mark in field.metadata if isinstance(mark, annotated_types.Ge)]
    highest = [mark.le for mark in field.metadata if isinstance(mark, annotated_types.Le)]
    if not lowest and not highest:
        return None
    assert isinstance(lowest[0], int)
    assert isinstance(highest[0], int)
    return lowest[0], highest[0]


NUMBERS = [(key, *bounds) for key, field in fields() if (bounds := limits(field))]


@pytest.mark.parametrize(("key", "lowest", "highest"), NUMBERS, ids=[n[0] for n in NUMBERS])
def test_a_number_outside_its_range_stops_the_start(
    folder: Path, key: str, lowest: int, highest: int
) -> None:
    table, _, name = key.rpartition(".")
    below = faults(folder, with_line(table, f"{name} = {lowest - 1}"))
    assert below == {key: f"{lowest - 1} is below the smallest value allowed, {lowest}"}
    above = faults(folder, with_line(table, f"{name} = {highest + 1}"))
    assert above == {key: f"{highest + 1} is above the largest value allowed, {highest}"}


def test_every_number_has_a_range() -> None:
    unbounded = [key for key, field in fields() if field.annotation is int and not limits(field)]
    assert unbounded == []


def documented() -> dict[str, tuple[str, str, str]]:
    """Return default, range and meaning of each key in the document's table."""
    rows = re.findall(
        r"(?m)^\| `([a-z_.]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$",
        DOCUMENT.read_text(encoding="utf-8").partition("## Limits that are no settings")[0],
    )
    table = {row[0]: (row[1], row[2], row[3]) for row in rows}
    assert len(table) == len(rows)
    return table


def expected_default(key: str, field: FieldInfo) -> str:
    if field.default_factory is not None:
        return {"portal.audience": "`portal.origin`", "runtime_dir": "`state_dir`"}[key]
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None:
        return "none"
    if isinstance(field.default, tuple):
        return f"`{list(field.default)}`".replace("'", '"')
    text = str(field.default)
    return f"`{text.lower() if isinstance(field.default, bool) else text}`"


def test_every_setting_is_documented_and_no_other() -> None:
    assert set(documented()) == set(keys())


@pytest.mark.parametrize(("key", "field"), list(fields()), ids=keys())
def test_the_document_tells_the_default_and_the_range(key: str, field: FieldInfo) -> None:
    default, span, meaning = documented()[key]
    assert default == expected_default(key, field)
    bounds = limits(field)
    if bounds is not None:
        assert span == f"{bounds[0]} to {bounds[1]}"
    for choice in choices(field.annotation):
        assert f"`{choice}`" in span
    assert len(meaning) > 5


def choices(annotation: object) -> list[str]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [choice for part in get_args(annotation) for choice in choices(part)]


@pytest.mark.parametrize(("key", "field"), list(fields()), ids=keys())
def test_every_setting_has_a_docstring_with_its_range_and_default(
    key: str, field: FieldInfo
) -> None:
    text = field.description or ""
    assert len(text) > 20
    bounds = limits(field)
    if bounds is not None:
        assert f"{bounds[0]} to {bounds[1]}" in text
        assert f"default {field.default}" in text
    if key.endswith("_seconds"):
        assert "seconds" in text
    if key.endswith("_bytes"):
        assert "bytes" in text


def test_the_example_of_the_document_is_a_settings_file(folder: Path) -> None:
    (example,) = re.findall(r"(?s)```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"))
    (folder / "igc-sante").mkdir()
    for name in ("root.pem", "persons.pem", "root.crl", "persons.crl"):
        (folder / "igc-sante" / name).touch()
    text = example.replace("/var/lib/cps-gateway", "state")
    assert Settings.load(write(folder, text)).portal.label == "Portail tiers payant"


def test_the_limits_without_a_setting_are_documented_with_their_values() -> None:
    text = DOCUMENT.read_text(encoding="utf-8").partition("## Limits that are no settings")[2]
    rows = re.findall(r"(?m)^\| ([^|]+) \| ([^|]+) \| (`[^|]+) \|$", text)
    assert len(rows) >= 7
    for what, values, names in rows:
        for name in re.findall(r"`([a-zA-Z_.]+)`", names):
            module, _, constant = name.rpartition(".")
            value = getattr(importlib.import_module(module), constant)
            seconds = value.total_seconds() if isinstance(value, timedelta) else value
            assert re.search(rf"\b{seconds:.12g}\b", values), what
