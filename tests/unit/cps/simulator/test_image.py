import base64
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cps.errors import CardBusyError, CardDataError
from cps.simulator.image import MAX_IMAGE_BYTES, CardImage
from tests.support import cards

# A process that is killed when what it writes is not in its place yet.
KILLED = """
import os, signal, sys
from pathlib import Path
from cps.simulator.image import CardImage

image = CardImage.open(Path(sys.argv[1]))
image.reference_data[0].tries_left -= 1
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
image.commit()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "card.json"
    cards.image().write(path)
    return path


def test_a_written_card_reads_back_the_same(path: Path) -> None:
    image, again = cards.image(), CardImage.read(path)

    assert again.card == image.card
    assert [file.path for file in again.files] == [file.path for file in image.files]
    assert again.reference_data == image.reference_data
    assert [key.reference for key in again.keys] == [0x81, 0x82, 0x83]
    assert [key.private_key.private_numbers() for key in again.keys] == [
        key.private_key.private_numbers() for key in image.keys
    ]


def test_a_card_file_is_for_its_owner_alone_even_after_changes(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    with CardImage.open(path) as image:
        image.commit()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir() if file.name.startswith(".")] == []


def test_writing_never_replaces_another_card(path: Path) -> None:
    before = path.read_bytes()

    with pytest.raises(FileExistsError):
        cards.image().write(path)

    assert path.read_bytes() == before


def test_a_commit_is_on_the_disk(path: Path) -> None:
    with CardImage.open(path) as image:
        image.reference_data[0].tries_left = 2
        image.commit()

        assert CardImage.read(path).reference_data[0].tries_left == 2


def test_a_failed_commit_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def refuse(descriptor: int) -> None:
        raise OSError("no room")

    with CardImage.open(path) as image:
        image.reference_data[0].tries_left = 2
        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="no room"):
            image.commit()

    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["card.json", "card.json.lock"]


def test_what_a_killed_commit_left_is_deleted_by_who_opens_the_card_next(path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    left = [file for file in path.parent.iterdir() if file.name.startswith(".card.json.")]
    other = path.with_name(".card.json2.abcd")
    other.touch()

    CardImage.open(path).close()

    assert killed.returncode == -signal.SIGKILL
    assert len(left) == 1, "the process was killed before its draft was there"
    assert sorted(file.name for file in path.parent.iterdir()) == [
        other.name,
        "card.json",
        "card.json.lock",
    ]
    assert CardImage.read(path).reference_data[0].tries_left == 3


def test_a_card_is_open_once_at_a_time(path: Path) -> None:
    with (
        CardImage.open(path),
        pytest.raises(CardBusyError, match="another process runs this card"),
    ):
        CardImage.open(path)

    CardImage.open(path).close()


def test_a_card_is_open_once_under_whatever_name(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.json"
    link.parent.mkdir()
    link.symlink_to(path)

    with CardImage.open(path), pytest.raises(CardBusyError):
        CardImage.open(link)
    with CardImage.open(link) as image:
        image.reference_data[0].tries_left = 2
        image.commit()

    assert link.is_symlink()
    assert CardImage.read(path).reference_data[0].tries_left == 2


def test_a_closed_card_does_not_forget_a_try_in_silence(path: Path) -> None:
    image = CardImage.open(path)
    image.close()
    image.close()

    with pytest.raises(OSError, match="was closed"):
        image.commit()


def test_a_failed_opening_lets_the_card_go(path: Path) -> None:
    path.write_text("{}")
    with pytest.raises(CardDataError):
        CardImage.open(path)

    path.unlink()
    cards.image().write(path)

    CardImage.open(path).close()


def test_opening_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        CardImage.open(tmp_path / "none.json")

    assert list(tmp_path.iterdir()) == []


def test_a_deleted_card_leaves_nothing_behind(path: Path) -> None:
    image = CardImage.open(path)
    image.delete()

    assert list(path.parent.iterdir()) == []
    with pytest.raises(OSError, match="was closed"):
        image.commit()
    with pytest.raises(FileNotFoundError):
        CardImage.open(path)


def test_only_who_has_a_card_open_deletes_it(path: Path) -> None:
    with pytest.raises(OSError, match="not open"):
        CardImage.read(path).delete()
    image = CardImage.open(path)
    image.close()
    with pytest.raises(OSError, match="not open"):
        image.delete()

    assert path.is_file()


def test_a_lock_taken_while_the_card_was_deleted_holds_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def after_deletion(descriptor: int, operation: int) -> None:
        path.unlink()
        path.with_name("card.json.lock").unlink()
        # Somebody makes a card of the same name before the lock is looked at.
        cards.image().write(path)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", after_deletion)
    with pytest.raises(FileNotFoundError, match="there is no such card"):
        CardImage.open(path)


def test_a_copy_is_the_same_card_and_what_is_done_to_it_is_not_kept(path: Path) -> None:
    with CardImage.open(path) as image:
        copy = image.copy()
        copy.reference_data[0].tries_left = 1
        copy.files[1].content = b""
        copy.keys[0].reference = 0x84
        copy.commit()

        assert [file.path for file in copy.files] == [file.path for file in image.files]
        assert image.reference_data[0].tries_left == 3
        assert image.files[1].content
        assert image.keys[0].reference == 0x81
    assert CardImage.read(path).reference_data[0].tries_left == 3


def _without_format(document: dict[str, Any]) -> None:
    del document["format"]


def _other_format(document: dict[str, Any]) -> None:
    document["format"] = "cps-card:2"


def _unknown_card(document: dict[str, Any]) -> None:
    document["card"] = "cps9"


def _odd_path(document: dict[str, Any]) -> None:
    document["files"][0]["path"] = "3f"


def _bad_sfi(document: dict[str, Any]) -> None:
    document["files"][1]["sfi"] = 31


def _too_many_tries(document: dict[str, Any]) -> None:
    document["reference_data"][0]["tries_left"] = 4


def _negative_tries(document: dict[str, Any]) -> None:
    document["reference_data"][0]["tries_left"] = -1


def _negative_uses(document: dict[str, Any]) -> None:
    document["reference_data"][1]["uses_left"] = -1


def _too_many_uses(document: dict[str, Any]) -> None:
    document["reference_data"][1]["uses_left"] = 0x10000


def _infinite_tries(document: dict[str, Any]) -> None:
    document["reference_data"][0]["tries_left"] = float("inf")


def _key_of_another_kind(document: dict[str, Any]) -> None:
    key = base64.b64decode(document["keys"][0]["pkcs8"])
    other = key.replace(bytes.fromhex("2A864886F70D010101"), bytes.fromhex("2A864886F70D016301"))
    document["keys"][0]["pkcs8"] = base64.b64encode(other).decode()


def _bad_base64(document: dict[str, Any]) -> None:
    document["keys"][0]["pkcs8"] = "!"


def _no_key(document: dict[str, Any]) -> None:
    document["keys"][0]["pkcs8"] = base64.b64encode(b"no key").decode()


def _short_rules(document: dict[str, Any]) -> None:
    document["keys"][0]["contact"] = "11"


def _files_of_another_type(document: dict[str, Any]) -> None:
    document["files"] = 7


@pytest.mark.parametrize(
    "spoil",
    [
        _without_format,
        _other_format,
        _unknown_card,
        _odd_path,
        _bad_sfi,
        _too_many_tries,
        _negative_tries,
        _infinite_tries,
        _negative_uses,
        _too_many_uses,
        _bad_base64,
        _no_key,
        _key_of_another_kind,
        _short_rules,
        _files_of_another_type,
    ],
    ids=lambda spoil: str(spoil.__name__).strip("_").replace("_", " "),
)
def test_a_damaged_card_is_refused_and_its_text_shows_no_secret(
    path: Path, spoil: Callable[[dict[str, Any]], None]
) -> None:
    document = json.loads(path.read_text())
    spoil(document)
    path.write_text(json.dumps(document))

    with pytest.raises(CardDataError, match="not a card of format") as caught:
        CardImage.read(path)

    assert "1234" not in str(caught.value).replace(str(path), "")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"\xff", b"{" * 5000], ids=["empty", "list", "null", "ff", "{"]
)
def test_what_is_no_json_object_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(CardDataError):
        CardImage.read(path)


def test_an_oversize_file_is_refused_before_it_is_parsed(path: Path) -> None:
    path.write_bytes(b" " * MAX_IMAGE_BYTES + b" ")

    with pytest.raises(CardDataError, match="more than"):
        CardImage.read(path)


def test_an_image_shows_no_pin_and_no_key() -> None:
    shown = repr(cards.image())

    assert "b'1234'" not in shown
    assert "12345678" not in shown
    assert "PrivateKey" not in shown


def test_the_content_of_a_file_is_found_by_its_path_alone() -> None:
    image = cards.image()

    assert image.content(bytes.fromhex("3F00D003"))[:2] == b"\x5a\x0a"
    for path in ("3F00", "3F00D004"):
        with pytest.raises(LookupError):
            image.content(bytes.fromhex(path))
