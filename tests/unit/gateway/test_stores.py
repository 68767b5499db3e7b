import re
import time
from pathlib import Path

import pytest

from cps.authtoken.codes import ErrorCode
from gateway.database import Database
from gateway.errors import (
    ConfigurationError,
    LoginRejectedError,
    SessionRequiredError,
    StoreUnavailableError,
)
from gateway.secret_file import MAX_SECRET_CHARS
from gateway.session.cookie import cookie_hash
from gateway.session.model import EndReason
from gateway.settings import Settings
from gateway.stores import DATABASE_FILE, Stores, open_stores
from tests.support.logins import DOCTOR, MOMENT, agent_key
from tests.support.redis_servers import RedisProcess, redis_process
from tests.support.settings_files import MINIMAL, settings_folder, with_line, write

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"
BROWSER = b"b" * 32
PASSWORD = "a-made-up-password"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir(mode=0o700)
    return settings_folder(tmp_path)


def settings(folder: Path, store: str, text: str = MINIMAL) -> Settings:
    return Settings.load(write(folder, with_line("store", store, text)))


def redis(url: str, *lines: str) -> str:
    return "\n".join(['engine = "redis"', f'redis_url = "{url}"', *lines])


def log_in(stores: Stores) -> bytes:
    """Go through a whole login and return the key of the session."""
    key = agent_key()
    target_id = stores.challenges.keep_target("/a", now=MOMENT)
    rid = stores.challenges.create(target_id=target_id, pre_hash=BROWSER, now=MOMENT).rid
    assert stores.challenges.knows_browser(BROWSER, now=MOMENT)
    stores.challenges.claim(rid, key, now=MOMENT)
    stores.challenges.take(rid, now=MOMENT)
    code = stores.challenges.complete(rid, DOCTOR, now=MOMENT)
    login = stores.challenges.redeem(code, BROWSER, now=MOMENT)
    return cookie_hash(stores.sessions.create(login.identity, login.agent_key, now=MOMENT))


def test_without_a_setting_the_stores_are_a_file_in_the_state_folder(folder: Path) -> None:
    stores = open_stores(Settings.load(write(folder, MINIMAL)))
    key = log_in(stores)
    assert stores.sessions.get(key, now=MOMENT).identity == DOCTOR
    assert (folder / "state" / DATABASE_FILE).exists()
    stores.close()
    with pytest.raises(StoreUnavailableError):
        stores.sessions.get(key, now=MOMENT)


def test_a_redis_server_serves_every_gateway_of_a_portal(
    folder: Path, shared_redis: RedisProcess
) -> None:
    chosen = settings(folder, redis(f"unix://{shared_redis.socket}?db=1"))
    one, two = open_stores(chosen), open_stores(chosen)
    key = log_in(one)
    assert two.sessions.get(key, now=MOMENT).identity == DOCTOR
    two.sessions.end(key, EndReason.LOGOUT, now=MOMENT)
    assert key in one.sessions.ended_since(0, now=MOMENT)[1]
    assert list((folder / "state").iterdir()) == []
    for stores in (one, two):
        stores.close()
    with pytest.raises(StoreUnavailableError):
        two.sessions.get(key, now=MOMENT)


def test_portals_that_share_a_server_share_no_session(
    folder: Path, shared_redis: RedisProcess
) -> None:
    store = redis(f"unix://{shared_redis.socket}?db=2")
    other_portal = with_line("portal", 'origin = "https://other.example"')
    one = open_stores(settings(folder, store))
    other = open_stores(settings(folder, store, other_portal))
    key = log_in(one)
    with pytest.raises(SessionRequiredError):
        other.sessions.get(key, now=MOMENT)
    assert other.sessions.ended_since(0, now=MOMENT)[1] == []
    rid = one.challenges.create(target_id=None, pre_hash=BROWSER, now=MOMENT).rid
    with pytest.raises(LoginRejectedError) as caught:
        other.challenges.claim(rid, agent_key(), now=MOMENT)
    assert caught.value.reason is ErrorCode.RID_UNKNOWN
    for stores in (one, other):
        stores.close()


def test_the_rights_of_the_reference_are_enough(folder: Path) -> None:
    rights = re.search(r"user gateway on \S+ (.+)", DOCUMENT.read_text(encoding="utf-8"))
    assert rights is not None
    (folder / "redis.password").write_text(PASSWORD + "\n", encoding="utf-8")
    user = ("--user", "gateway", "on", f">{PASSWORD}", *rights[1].split())
    with redis_process(*user, "--user", "default", "off") as process:
        stores = open_stores(
            settings(
                folder,
                redis(f"unix://gateway@{process.socket}", 'redis_password_file = "redis.password"'),
            )
        )
        key = log_in(stores)
        stores.challenges.fail("A" * 22)
        stores.sessions.get(key, now=MOMENT)
        assert stores.sessions.end(key, EndReason.LOGOUT, now=MOMENT)
        assert stores.sessions.ended_since(0, now=MOMENT)[1] == [key]
        stores.close()


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\na second line\n"], ids=repr)
def test_the_password_is_the_first_line_of_its_file(folder: Path, ending: str) -> None:
    (folder / "redis.password").write_text(PASSWORD + ending, encoding="utf-8", newline="")
    with redis_process("--requirepass", PASSWORD) as process:
        store = redis(f"unix://{process.socket}", 'redis_password_file = "redis.password"')
        stores = open_stores(settings(folder, store))
        log_in(stores)
        stores.close()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\nsecond line", id="empty line"),
        pytest.param(b"x" * (MAX_SECRET_CHARS + 1), id="long"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
    ],
)
def test_a_file_without_a_password_stops_the_start(folder: Path, content: bytes) -> None:
    (folder / "redis.password").write_bytes(content)
    store = redis("unix:///r", 'redis_password_file = "redis.password"')
    with pytest.raises(ConfigurationError) as caught:
        open_stores(settings(folder, store))
    assert caught.value.key == "store.redis_password_file"
    assert "x" * 9 not in str(caught.value)


def test_tls_files_that_hold_nothing_stop_the_start(folder: Path) -> None:
    (folder / "redis.password").write_text(PASSWORD, encoding="utf-8")
    with_password = 'redis_password_file = "redis.password"'
    store = redis("rediss://redis.example", with_password, 'redis_tls_ca = "redis-ca.pem"')
    with pytest.raises(ConfigurationError) as caught:
        open_stores(settings(folder, store))
    assert caught.value.key == "store.redis_tls_ca"


def test_a_gateway_starts_before_its_server(folder: Path) -> None:
    stores = open_stores(settings(folder, redis("unix:///nowhere/redis.sock")))
    with pytest.raises(StoreUnavailableError):
        stores.sessions.get(bytes(32), now=MOMENT)
    stores.close()


def test_the_wait_is_that_of_the_settings_or_of_the_caller(folder: Path) -> None:
    (folder / "redis.password").write_text(PASSWORD, encoding="utf-8")
    with redis_process("--requirepass", PASSWORD) as process, process.paused():
        store = redis(f"unix://{process.socket}", 'redis_password_file = "redis.password"')
        chosen = settings(folder, store, with_line("limits", "store_seconds = 1"))
        # The password is the second of five steps that share the time.
        for wait, step in ((None, 0.2), (0.25, 0.05)):
            stores = open_stores(chosen, wait_seconds=wait)
            begin = time.monotonic()
            with pytest.raises(StoreUnavailableError, match="Timeout"):
                stores.sessions.get(bytes(32), now=MOMENT)
            assert step <= time.monotonic() - begin < step + 0.1
            stores.close()


def test_a_locked_file_is_waited_for_as_long(folder: Path) -> None:
    chosen = settings(folder, "")
    stores = open_stores(chosen, wait_seconds=0.1)
    other = Database(folder / "state" / DATABASE_FILE)
    with other.transaction():
        begin = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="locked"):
            stores.challenges.keep_target("/", now=MOMENT)
        assert 0.1 <= time.monotonic() - begin < 0.3
    stores.close()
    other.close()
