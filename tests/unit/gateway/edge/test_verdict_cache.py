import asyncio
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.edge import verdict_cache
from gateway.edge.verdict_cache import VerdictCache

COOKIE = "A" * 43


def file_of(folder: Path, cookie: str = COOKIE, policy: str = "portal") -> Path:
    """Write the file that nginx makes for a verdict, as its documentation says."""
    name = hashlib.md5(f"portal.example|{policy}|{cookie}".encode()).hexdigest()  # noqa: S324
    file = folder / name[-1] / name[-3:-1] / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return file


def with_cache(
    folder: Path, act: Callable[[VerdictCache], Awaitable[None]], seconds: int = 2
) -> None:
    async def main() -> None:
        await act(VerdictCache(folder, host="portal.example", seconds=seconds))

    asyncio.run(main())


@pytest.fixture(autouse=True)
def _haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict_cache, "SWEEP_SECONDS", 0.01)


def test_the_verdicts_of_a_session_that_ended_are_removed(tmp_path: Path) -> None:
    one, two = file_of(tmp_path), file_of(tmp_path, policy="admin")
    other = file_of(tmp_path, "B" * 43)

    async def act(cache: VerdictCache) -> None:
        cache.remember(b"a", "portal", COOKIE)
        cache.remember(b"a", "admin", COOKIE)
        cache.remember(b"b", "portal", "B" * 43)
        cache.remove(b"a")

    with_cache(tmp_path, act)
    assert (one.exists(), two.exists(), other.exists()) == (False, False, True)


def test_a_verdict_that_nginx_has_open_is_spoilt(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    file.write_bytes(b"\x05" + bytes(7) + b"until when, and the answer")

    async def act(cache: VerdictCache) -> None:
        cache.remember(b"a", "portal", COOKIE)
        with file.open("rb") as opened:
            cache.remove(b"a")
            assert opened.read() == bytes(8) + b"until when, and the answer"

    with_cache(tmp_path, act)


def test_a_verdict_that_nginx_writes_meanwhile_is_not_lost_sight_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_of(tmp_path)
    written = os.write

    def write_while_nginx_does(opened: int, content: bytes) -> int:
        late = tmp_path / "late"
        late.touch()
        late.replace(file)
        return written(opened, content)

    async def act(cache: VerdictCache) -> None:
        cache.remember(b"a", "portal", COOKIE)
        cache.remove(b"a")

    monkeypatch.setattr(os, "write", write_while_nginx_does)
    with_cache(tmp_path, act)
    # The next look spoils and removes it: unlinked unspoilt, nginx would go on reading it.
    assert list(file.parent.iterdir()) == [file]


def test_what_another_put_in_a_verdicts_place_is_not_written_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = file_of(tmp_path)
    file.unlink()
    precious = tmp_path / "precious"
    precious.write_text("kept")
    file.symlink_to(precious)

    async def act(cache: VerdictCache) -> None:
        cache.remember(b"a", "portal", COOKIE)
        cache.remove(b"a")

    with caplog.at_level(logging.ERROR, logger="gateway.edge"):
        with_cache(tmp_path, act)
    assert precious.read_text() == "kept"
    assert "cannot be removed" in caplog.text


def test_a_verdict_that_nginx_writes_late_is_removed_too(tmp_path: Path) -> None:
    async def act(cache: VerdictCache) -> None:
        cache.remember(b"a", "portal", COOKIE)
        cache.remove(b"a")
        late = file_of(tmp_path)
        sweeping = asyncio.create_task(cache.sweep())
        async with asyncio.timeout(2):
            while late.exists():
                await asyncio.sleep(0.005)
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping

    with_cache(tmp_path, act)


def test_what_was_removed_is_forgotten_once_nginx_would_not_use_it(tmp_path: Path) -> None:
    async def act(cache: VerdictCache) -> None:
        cache.remember(b"a", "portal", COOKIE)
        cache.remove(b"a")
        sweeping = asyncio.create_task(cache.sweep())
        await asyncio.sleep(0.05)
        assert cache._removed == {}
        sweeping.cancel()

    with_cache(tmp_path, act, seconds=0)


def test_every_verdict_can_be_removed(tmp_path: Path) -> None:
    files = [file_of(tmp_path, letter * 43) for letter in "AB"]

    async def act(cache: VerdictCache) -> None:
        for letter in "AB":
            cache.remember(letter.encode(), "portal", letter * 43)
        cache.remove_all()

    with_cache(tmp_path, act)
    assert not any(file.exists() for file in files)


def test_a_session_without_verdicts_is_nothing_to_do(tmp_path: Path) -> None:
    async def act(cache: VerdictCache) -> None:
        cache.remove(b"never seen")

    with_cache(tmp_path, act)


def test_a_file_that_cannot_be_removed_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = file_of(tmp_path)
    file.unlink()
    file.mkdir()

    async def act(cache: VerdictCache) -> None:
        cache.remember(b"a", "portal", COOKIE)
        cache.remove(b"a")

    with caplog.at_level(logging.ERROR):
        with_cache(tmp_path, act)
    assert "cannot be removed" in caplog.text


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict_cache, "MAX_SESSIONS", 2)

    async def act(cache: VerdictCache) -> None:
        for number in range(5):
            cache.remember(bytes([number]), "portal", COOKIE)
        assert len(cache._files) == 2

    with_cache(tmp_path, act)
