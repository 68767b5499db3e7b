import argparse
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from cps.issuer.folder import AuthorityFolder
from cps.issuer.hierarchy import HierarchyKeys
from cps.simulator.image import CardImage
from cps.virtual.commands import add_commands
from tests.support import cards, pki

SECONDS = 5


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "cards"


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    keys = HierarchyKeys(root=pki.key("ours root"), intermediate=pki.key("ours intermediate"))
    return AuthorityFolder.create(tmp_path / "authority", now=pki.NOW, keys=keys).path


@pytest.fixture
def card(home: Path) -> Path:
    home.mkdir()
    cards.image().write(home / "exemple.json")
    return home / "exemple.json"


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers(required=True))
    options = parser.parse_args(["virtual", *map(str, arguments)])
    code: int = options.run(options)
    return code


def new(home: Path, authority: Path, *more: object) -> int:
    names = ("--family-name", "EXEMPLE", "--given-name", "CAMILLE", "--profession", "10")
    return run("new", "--home", home, "--authority", authority, *names, *more)


def test_a_card_is_made_and_listed(
    home: Path, authority: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(home, authority, "--rpps", "99900000011") == 0
    assert capsys.readouterr().out == "exemple-camille: new CPS3 card\n"

    assert run("list", "--home", home) == 0
    listed = capsys.readouterr().out
    assert listed.startswith("exemple-camille  899900000011  card 2899")
    assert listed.endswith("PIN tries left: 3\n")


def test_the_pin_comes_from_a_file_that_others_cannot_read(
    home: Path,
    authority: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "pin"
    file.touch(mode=0o600)
    file.write_text("4321\n")

    assert new(home, authority, "--pin-file", file) == 0
    image = CardImage.read(home / "exemple-camille.json")
    assert cards.send(cards.powered_card(image), "00 20 00 01 04 34333231") == "9000"

    file.chmod(0o640)
    assert new(home, authority, "--pin-file", file) == 1
    shown = capsys.readouterr()
    assert "0600" in shown.err
    assert "4321" not in shown.out + shown.err


@pytest.mark.parametrize(
    ("content", "text"),
    [("12345", "a PIN has 4 digits"), ("", "a PIN has 4 digits"), ("\xff\xff", "a PIN has 4")],
    ids=["long", "empty", "not ascii"],
)
def test_a_pin_file_with_no_pin_is_refused_without_showing_it(
    home: Path,
    authority: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    text: str,
) -> None:
    file = tmp_path / "pin"
    file.touch(mode=0o600)
    file.write_text(content, encoding="latin-1")

    assert new(home, authority, "--pin-file", file) == 1
    assert text in capsys.readouterr().err
    assert new(home, authority, "--pin-file", tmp_path / "none") == 1
    assert "No such file" in capsys.readouterr().err


def test_what_cannot_be_done_is_said_in_one_line(
    home: Path, authority: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(home, tmp_path / "nowhere") == 1
    assert new(home, authority, "--rpps", "1") == 1
    assert run("insert", "--home", home, "nobody") == 1

    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["cps virtual"] * 3
    assert "no card 'nobody'" in lines[2]


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put the signals' handlers back: ``insert`` sets them for the rest of the program."""
    before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_an_inserted_card_stays_until_a_signal_and_is_then_removed(
    card: Path, home: Path, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    ended: list[bytes] = []

    def play_the_reader(server: socket.socket) -> None:
        link, _ = server.accept()
        with link:
            link.settimeout(SECONDS)
            link.sendall(b"\x00\x01\x04")
            link.recv(64)
            os.kill(os.getpid(), number)
            ended.append(link.recv(64))

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(SECONDS)
        playing = threading.Thread(target=play_the_reader, args=(server,))
        playing.start()
        code = run("insert", "--home", home, "--port", server.getsockname()[1], card.stem)
        playing.join(SECONDS)

    assert code == 0
    assert capsys.readouterr().out == "inserted exemple\nremoved exemple\n"
    assert ended == [b""]
    CardImage.open(card).close()


@pytest.mark.usefixtures("handlers")
def test_a_card_that_another_process_runs_is_not_inserted(
    card: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with CardImage.open(card):
        assert run("insert", "--home", home, card.stem) == 1

    assert "another process runs this card" in capsys.readouterr().err


@pytest.mark.usefixtures("handlers")
def test_without_a_reader_insert_says_so_and_lets_the_card_go(
    card: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert run("insert", "--home", home, "--port", port, card.stem) == 1
    assert "no virtual reader listens" in capsys.readouterr().err
    CardImage.open(card).close()
