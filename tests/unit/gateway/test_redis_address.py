import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.redis_address import RedisAddress


def address(
    host: str | None = None,
    port: int = 6379,
    path: str | None = None,
    tls: bool = False,
    user: str | None = None,
    database: int = 0,
) -> RedisAddress:
    return RedisAddress(host=host, port=port, path=path, tls=tls, user=user, database=database)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://redis.example", address("redis.example")),
        ("redis://redis.example/", address("redis.example")),
        ("redis://127.0.0.1:7000/3", address("127.0.0.1", 7000, database=3)),
        ("rediss://gateway@[::1]", address("::1", tls=True, user="gateway")),
        ("unix:///run/redis.sock", address(path="/run/redis.sock")),
        ("unix://me@/run/r?db=9999", address(path="/run/r", user="me", database=9999)),
    ],
)
def test_a_url_names_a_server_and_a_database(url: str, expected: RedisAddress) -> None:
    assert RedisAddress.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="empty"),
        pytest.param("redis.example:6379", id="no scheme"),
        pytest.param("http://redis.example", id="another scheme"),
        pytest.param("redis://", id="no host"),
        pytest.param("redis://redis.example:0", id="port 0"),
        pytest.param("redis://redis.example:65536", id="port too high"),
        pytest.param("redis://redis.example/10000", id="database too high"),
        pytest.param("redis://redis.example/-1", id="database negative"),
        pytest.param("redis://redis.example/١", id="database in other digits"),
        pytest.param("redis://redis.example/0/", id="more path"),
        pytest.param("redis://redis.example?db=1", id="query"),
        pytest.param("redis://redis.example#1", id="fragment"),
        pytest.param("redis://a b", id="space"),
        pytest.param("redis://redis.example\n", id="line end"),
        pytest.param("redis://[::1", id="bracket"),
        pytest.param("redis://@redis.example", id="empty user"),
        pytest.param("redis://a%20b@redis.example", id="user in another form"),
        pytest.param("unix://run/redis.sock", id="relative path"),
        pytest.param("unix:///" + "x" * 107, id="path too long"),
        pytest.param("unix:///run/redis.sock?database=1", id="another parameter"),
        pytest.param("unix:///run/redis.sock?db=", id="empty database"),
        pytest.param("unix:///run/redis.sock?db=1&db=2", id="two databases"),
    ],
)
def test_another_form_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is wanted"):
        RedisAddress.parse(url)


@pytest.mark.parametrize("user", ["", "gateway"], ids=["no user", "user"])
@pytest.mark.parametrize("scheme", ["redis", "rediss", "unix"])
def test_a_password_is_refused_and_not_repeated(scheme: str, user: str) -> None:
    with pytest.raises(ValueError, match="redis_password_file") as caught:
        RedisAddress.parse(f"{scheme}://{user}:very-secret@host/run")
    assert "very-secret" not in str(caught.value)


def test_an_address_shows_no_user() -> None:
    assert str(RedisAddress.parse("redis://me@redis.example/1")) == "redis.example:6379"
    assert str(RedisAddress.parse("unix://me@/run/r")) == "/run/r"


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    for prefix in ("", "redis://", "unix:///"):
        try:
            RedisAddress.parse(prefix + text)
        except ValueError:
            continue
