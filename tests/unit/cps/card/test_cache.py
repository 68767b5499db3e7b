"""What is kept of cards: private, whole or nothing, and never a reason to fail."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cps.card.cache import (
    MAX_CARDS,
    MAX_FILE_BYTES,
    FolderCache,
    _decode,
    _digest,
    _encode,
    default_folder,
)
from cps.card.credential import MAX_DIRECTORY_FILES, CardFiles

SERIAL = "28000001"
FILES = CardFiles(
    private_keys=(b"\x30\x00", b"\xff"),
    pins=(b"PIN",),
    certificates=(b"CDF",),
    certificate=bytes(range(256)),
)


@pytest.fixture
def cache(tmp_path: Path) -> FolderCache:
    return FolderCache(tmp_path / "deep" / "cards")


def file_of(tmp_path: Path, serial: str = SERIAL) -> Path:
    return tmp_path / "deep" / "cards" / f"{serial}.json"


def test_what_is_saved_is_loaded(cache: FolderCache) -> None:
    cache.save(SERIAL, FILES)
    assert cache.load(SERIAL) == FILES


CONTENTS = st.lists(st.binary(max_size=60), min_size=1, max_size=MAX_DIRECTORY_FILES).map(tuple)
CARD_FILES = st.builds(
    CardFiles,
    private_keys=st.one_of(st.just(()), CONTENTS),
    pins=CONTENTS,
    certificates=CONTENTS,
    certificate=st.binary(max_size=300),
)


@settings(max_examples=50, deadline=None)
@given(files=CARD_FILES)
def test_whatever_is_kept_comes_back_the_same(files: CardFiles) -> None:
    assert _decode(SERIAL, _encode(SERIAL, files)) == files


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 2000), byte=st.integers(0, 0xFF))
def test_with_another_byte_anywhere_nothing_comes_back_or_the_same(at: int, byte: int) -> None:
    raw = bytearray(_encode(SERIAL, FILES))
    raw[at % len(raw)] = byte
    with suppress(ValueError):
        assert _decode(SERIAL, bytes(raw)) == FILES


def test_nothing_is_known_of_another_card(cache: FolderCache) -> None:
    assert cache.load(SERIAL) is None
    cache.save(SERIAL, FILES)
    assert cache.load("28000002") is None


def test_the_newest_counts(cache: FolderCache) -> None:
    cache.save(SERIAL, FILES)
    newer = CardFiles(
        private_keys=(b"1",), pins=(b"2",), certificates=(b"3",), certificate=b"newer"
    )
    cache.save(SERIAL, newer)
    assert cache.load(SERIAL) == newer


def test_folder_and_file_are_the_users_own(cache: FolderCache, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        cache.save(SERIAL, FILES)
    finally:
        os.umask(before)
    assert file_of(tmp_path).parent.stat().st_mode & 0o777 == 0o700
    assert file_of(tmp_path).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file_of(tmp_path).parent.iterdir()] == [f"{SERIAL}.json"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda raw: b"", id="empty"),
        pytest.param(lambda raw: raw[:-1], id="truncated"),
        pytest.param(lambda raw: raw.replace(b'"UElO"', b'"UElP"'), id="another PIN file"),
        pytest.param(lambda raw: raw.replace(b'"v": 1', b'"v": 2'), id="another version"),
        pytest.param(lambda raw: b"[]", id="no object"),
        pytest.param(lambda raw: b"{}", id="no members"),
        pytest.param(lambda raw: b"[" * 50_000, id="deep"),
        pytest.param(lambda raw: b"\xff\xfe", id="no text"),
        pytest.param(lambda raw: raw + b" " * MAX_FILE_BYTES, id="too long"),
    ],
)
def test_a_damaged_file_counts_for_nothing(
    cache: FolderCache,
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    cache.save(SERIAL, FILES)
    whole = file_of(tmp_path).read_bytes()
    assert damage(whole) != whole
    file_of(tmp_path).write_bytes(damage(whole))
    assert cache.load(SERIAL) is None
    assert "of no use" in caplog.text
    cache.save(SERIAL, FILES)
    assert cache.load(SERIAL) == FILES


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"pins": []}, id="no AODF"),
        pytest.param({"pins": ["UElO"] * 5}, id="five AODF"),
        pytest.param({"pins": "UElO"}, id="no list"),
        pytest.param({"certificates": ["*"]}, id="no base64"),
        pytest.param({"certificate": None}, id="no certificate"),
        pytest.param({"serial": "28000002"}, id="of another card"),
    ],
)
def test_a_whole_file_of_another_form_counts_for_nothing(
    cache: FolderCache, tmp_path: Path, change: dict[str, object]
) -> None:
    cache.save(SERIAL, FILES)
    document = json.loads(file_of(tmp_path).read_bytes())
    del document["sha256"]
    document |= change
    document["sha256"] = _digest(document)
    file_of(tmp_path).write_text(json.dumps(document))
    assert cache.load(SERIAL) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_is_open_to_others_counts_for_nothing(
    cache: FolderCache, tmp_path: Path, mode: int
) -> None:
    cache.save(SERIAL, FILES)
    file_of(tmp_path).chmod(mode)
    assert cache.load(SERIAL) is None


def test_a_folder_that_is_open_to_others_counts_for_nothing(
    cache: FolderCache, tmp_path: Path
) -> None:
    cache.save(SERIAL, FILES)
    file_of(tmp_path).parent.chmod(0o755)
    assert cache.load(SERIAL) is None
    file_of(tmp_path).unlink()
    cache.save(SERIAL, FILES)
    assert not file_of(tmp_path).exists()


def test_a_file_of_another_user_counts_for_nothing(
    cache: FolderCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.save(SERIAL, FILES)
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert cache.load(SERIAL) is None


def test_a_link_is_not_followed(cache: FolderCache, tmp_path: Path) -> None:
    cache.save(SERIAL, FILES)
    elsewhere = tmp_path / "elsewhere"
    file_of(tmp_path).rename(elsewhere)
    file_of(tmp_path).symlink_to(elsewhere)
    assert cache.load(SERIAL) is None
    cache.save(SERIAL, FILES)
    assert not file_of(tmp_path).is_symlink()
    assert cache.load(SERIAL) == FILES


def test_a_folder_that_is_a_link_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    cache = FolderCache(tmp_path / "link")
    cache.save(SERIAL, FILES)
    assert list((tmp_path / "real").iterdir()) == []


def test_a_pipe_does_not_hold_the_program(cache: FolderCache, tmp_path: Path) -> None:
    cache.save(SERIAL, FILES)
    file_of(tmp_path).unlink()
    os.mkfifo(file_of(tmp_path), 0o600)
    assert cache.load(SERIAL) is None


def test_a_folder_that_cannot_be_made_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = FolderCache(tmp_path / "file" / "cards")
    cache.save(SERIAL, FILES)
    assert cache.load(SERIAL) is None


def test_a_draft_that_cannot_be_put_in_place_leaves_nothing(
    cache: FolderCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, target: Path) -> None:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", fail)
    cache.save(SERIAL, FILES)
    assert list(file_of(tmp_path).parent.iterdir()) == []


def test_only_so_many_cards_are_remembered(cache: FolderCache, tmp_path: Path) -> None:
    for number in range(MAX_CARDS + 1):
        serial = f"{number:08d}"
        cache.save(serial, FILES)
        if file_of(tmp_path, serial).exists():
            os.utime(file_of(tmp_path, serial), (number, number))
    assert len(list(file_of(tmp_path).parent.iterdir())) == MAX_CARDS
    assert cache.load("00000001") == FILES


@pytest.mark.parametrize("serial", ["../../x", "", "2800000a", "\u0661" * 8])
def test_a_serial_number_that_is_none_names_no_file(cache: FolderCache, serial: str) -> None:
    cache.save(serial, FILES)
    assert cache.load(serial) is None


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        pytest.param("/var/cache/me", "/var/cache/me/cps/cards", id="configured"),
        pytest.param("", "/somewhere/me/.cache/cps/cards", id="empty"),
        pytest.param(None, "/somewhere/me/.cache/cps/cards", id="not configured"),
        pytest.param("relative", "/somewhere/me/.cache/cps/cards", id="relative"),
    ],
)
def test_the_folder_is_the_one_for_caches(
    configured: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/somewhere/me")
    if configured is None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", configured)
    assert default_folder() == Path(expected)
