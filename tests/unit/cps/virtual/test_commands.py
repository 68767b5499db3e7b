import argparse
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType

import pytest
from cryptography import x509

from cps.atr import CPS3_CONTACT_ATR, CPS3_CONTACTLESS_ATR, CPS4_ATR, CPS4_T0_ATR
from cps.issuer.folder import AuthorityFolder
from cps.issuer.hierarchy import HierarchyKeys
from cps.simulator.faults import GARBAGE
from cps.simulator.image import CardImage
from cps.simulator.timing import TimedCard
from cps.virtual import commands, insertion
from cps.virtual.commands import add_commands
from cps.virtual.control import ask
from cps.virtual.insertion import REMOVE
from tests.support import cards, pki
from tests.support.virtual_reader import LoneReader, lone_reader

SECONDS = 5
STATUS = bytes.fromhex("0020000100")
USING_A_KEY = (
    "00 A4 09 0C 04 3F000001",
    "00 20 00 01 04 31323334",
    "00 22 41 A4 06 80 01 02 84 01 82",
    "00 88 00 00 14" + "00" * 20,
)


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
    add_commands(parser.add_subparsers(required=True), clock=lambda: pki.NOW)
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
    assert listed.startswith("exemple-camille  CPS3 CPS  899900000011  card 2899")
    assert listed.endswith("  valid 2026-11-23 to 2029-11-23  PIN tries left: 3\n")


def test_a_card_of_each_generation_kind_and_validity_is_made(
    home: Path, authority: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("--family-name", "EXEMPLE", "--given-name", "CAMILLE", "--home", home)
    common = ("new", *names, "--authority", authority)
    cps4 = ("--generation", "cps4", "--profession", "60", "--valid-to", "2026-12-24")
    past = ("--type", "CPF", "--profession", "10", "--valid-from", "2020-01-02")

    assert run(*common, *cps4) == 0
    assert run(*common, *past, "--valid-to", "2021-01-02") == 0
    assert run(*common, "--type", "CPE", "--valid-from", "2027-01-01") == 0
    capsys.readouterr()
    assert run("list", "--home", home) == 0

    lines = capsys.readouterr().out.splitlines()
    assert "CPS4 CPS" in lines[0]
    assert "valid 2026-11-23 to 2026-12-24  PIN" in lines[0]
    assert "CPS3 CPF" in lines[1]
    assert "valid 2020-01-02 to 2021-01-02 (expired)" in lines[1]
    assert "CPS3 CPE  30B9900001/CPET" in lines[2]
    assert "valid 2027-01-01 to 2030-01-01 (not yet)" in lines[2]


def test_all_of_a_card_is_shown_but_its_secrets(
    card: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show", "--home", home, card.stem) == 0

    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["file"] == str(card)
    assert shown["card"] == f"CPS3 CPS {pki.CARD_NUMBER}, chip {cards.SERIAL}"
    assert shown["holder"] == "CAMILLE EXEMPLE, Médecin"
    assert shown["PIN"] == "tries left  3"
    assert shown["PUK"] == "tries left  10"
    assert shown["certificates"].count(",") == 2
    assert shown["in"] == "the reader   no"


def test_a_card_is_blocked_unblocked_and_deleted(
    card: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("block", "--home", home, card.stem) == 0
    assert CardImage.read(card).reference_data[0].tries_left == 0
    assert run("unblock", "--home", home, card.stem) == 0
    assert CardImage.read(card).reference_data[0].tries_left == 3
    assert run("delete", "--home", home, card.stem) == 0

    assert not card.exists()
    assert capsys.readouterr().out == "blocked exemple\nunblocked exemple\ndeleted exemple\n"


def test_a_card_is_revoked_with_its_reason(
    home: Path, authority: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new(home, authority)
    revoke = ("revoke", "--home", home, "--authority", authority, "exemple-camille")

    assert run(*revoke, "--reason", "keyCompromise") == 0
    assert "revoked exemple-camille: 3 certificates" in capsys.readouterr().out
    assert run(*revoke) == 1
    assert "revoked already" in capsys.readouterr().err

    issued = AuthorityFolder.open(authority).issued()
    assert {entry.reason for entry in issued} == {x509.ReasonFlags.key_compromise}


def test_a_revoked_card_is_shown_as_such(
    home: Path, authority: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new(home, authority)
    new(home, authority)
    place = ("--home", home, "--authority", authority)
    assert run("list", *place) == 0
    assert "revoked" not in capsys.readouterr().out

    assert run("revoke", *place, "exemple-camille", "--reason", "certificateHold") == 0
    assert run("show", *place, "exemple-camille") == 0
    assert re.search(r"validity .* \(revoked \d{4}-\d\d-\d\d, on hold\)", capsys.readouterr().out)

    assert run("revoke", *place, "exemple-camille-2") == 0
    capsys.readouterr()
    assert run("list", *place) == 0
    held, revoked = capsys.readouterr().out.splitlines()
    assert ", on hold)" in held
    assert re.search(r"\(revoked \d{4}-\d\d-\d\d\)", revoked)


def test_an_authority_that_is_named_must_be_there(
    home: Path, authority: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new(home, authority)
    assert run("list", "--home", home, "--authority", tmp_path / "none") == 1
    assert "none" in capsys.readouterr().err


def test_home_and_authority_have_places_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(AuthorityFolder, "create", quick_authority(AuthorityFolder.create))
    person = ("--family-name", "EXEMPLE", "--given-name", "CAMILLE")

    assert run("new", *person, "--profession", "10") == 0
    assert run("new", *person, "--profession", "10") == 0
    assert run("new", *person, "--type", "CPE") == 0

    fort, standard = tmp_path / "cps" / "authority", tmp_path / "cps" / "authority-standard"
    assert capsys.readouterr().out.splitlines() == [
        f"{fort}: new test authority",
        "exemple-camille: new CPS3 card",
        "exemple-camille-2: new CPS3 card",
        f"{standard}: new test authority",
        "exemple-camille-3: new CPS3 card",
    ]
    assert run("list") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    names = [AuthorityFolder.open(folder).hierarchy for folder in (fort, standard)]
    assert ["FORT" in str(each.root.certificate.subject) for each in names] == [True, False]
    assert run("revoke", "exemple-camille-3") == 0
    assert len([e for e in AuthorityFolder.open(standard).issued() if e.revoked_at]) == 3


def quick_authority(create: Callable[..., AuthorityFolder]) -> Callable[..., AuthorityFolder]:
    """Return *create* with short keys, which it makes in no time."""
    keys = HierarchyKeys(root=pki.key("ours root"), intermediate=pki.key("ours intermediate"))

    def with_keys(path: Path, **options: object) -> AuthorityFolder:
        return create(path, keys=keys, **options)

    return with_keys


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


@pytest.mark.parametrize(
    "command", [["remove"], ["swap", "exemple"], ["reset"]], ids=lambda c: c[0]
)
def test_without_a_card_in_the_reader_nothing_is_done_to_it(
    card: Path, home: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert run(*command, "--home", home, "--port", "1") == 1
    assert f"no card of {home} is in the virtual reader" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--valid-from", "tomorrow"], "'tomorrow' is no day"),
        (["--type", "CPX"], "invalid"),
        (["--generation", "cps2"], "invalid choice"),
    ],
    ids=["day", "type", "generation"],
)
def test_what_new_does_not_understand_is_told(
    home: Path, authority: Path, capsys: pytest.CaptureFixture[str], options: list[str], text: str
) -> None:
    with pytest.raises(SystemExit):
        new(home, authority, *options)
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--fault", "melted"], "'melted' is no fault"),
        (["--port", "0"], "'0' is no port"),
        (["--port", "65536"], "'65536' is no port"),
        (["--port", "x"], "'x' is no port"),
        (["--contactless", "--t0"], "not allowed with"),
        (["--timing", "quick"], "invalid choice"),
        (["--bit-rate", "999"], "'999' is no bit rate"),
        (["--key-seconds", "61"], "0 to 60 seconds"),
    ],
    ids=["fault", "port 0", "port 65536", "port x", "two interfaces", "timing", "line", "key"],
)
def test_what_insert_does_not_understand_is_told(
    card: Path, home: Path, capsys: pytest.CaptureFixture[str], options: list[str], text: str
) -> None:
    with pytest.raises(SystemExit):
        run("insert", "--home", home, card.stem, *options)
    assert text in capsys.readouterr().err


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


class Inserting:
    """``cps virtual insert`` in the main thread, while a second one plays the others."""

    def __init__(self, home: Path, reader: LoneReader) -> None:
        self.home = home
        self.reader = reader
        self.codes: list[int] = []

    def run(self, *options: object, meanwhile: Callable[[], None]) -> int:
        """Insert the card ``exemple`` until it is removed, and do *meanwhile* once it is there."""
        failures: list[BaseException] = []

        def play() -> None:
            try:
                self.reader.await_cards(1)
                meanwhile()
            except BaseException as exc:
                failures.append(exc)
                raise
            finally:
                ask(self.home, self.reader.port, REMOVE)

        playing = threading.Thread(target=play)
        playing.start()
        code = run("insert", "--home", self.home, "--port", self.reader.port, "exemple", *options)
        playing.join(SECONDS)
        assert failures == []
        return code


@pytest.fixture
def inserting(card: Path, home: Path, handlers: None) -> Iterator[Inserting]:
    with lone_reader() as reader:
        yield Inserting(home, reader)


def test_a_card_in_the_reader_is_shown_there_and_removed_by_name(
    inserting: Inserting, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def meanwhile() -> None:
        at = ("--home", home, "--port", inserting.reader.port)
        assert run("remove", *at, "other") == 1
        assert run("remove", *at, "exemple") == 0

    assert inserting.run(meanwhile=meanwhile) == 0

    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "inserted exemple"
    assert sorted(said.out.splitlines()[1:]) == ["removed exemple", "removed exemple"]
    assert "not other but exemple is in the virtual reader" in said.err


def test_a_card_is_swapped(
    inserting: Inserting,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(insertion, "SWAP_SECONDS", 0.0)
    cards.cps4_image().write(home / "autre.json")
    at = ("--home", home, "--port", inserting.reader.port)

    def meanwhile() -> None:
        assert run("swap", *at, "nobody") == 1
        assert run("swap", *at, "autre") == 0
        inserting.reader.await_cards(2)

    assert inserting.run(meanwhile=meanwhile) == 0

    assert inserting.reader.atrs == [CPS3_CONTACT_ATR, CPS4_ATR]
    said = capsys.readouterr()
    assert "no card 'nobody'" in said.err
    assert said.out.count("inserted autre") == 2, "by who holds it and by who asked"


@pytest.mark.parametrize(
    ("options", "atr"),
    [([], CPS3_CONTACT_ATR), (["--contactless"], CPS3_CONTACTLESS_ATR)],
    ids=["contact", "contactless"],
)
def test_a_card_is_inserted_by_the_interface_asked_for(
    inserting: Inserting, options: list[str], atr: bytes
) -> None:
    assert inserting.run(*options, meanwhile=lambda: None) == 0

    assert inserting.reader.atrs == [atr]


def test_a_cps4_may_speak_t0_alone(inserting: Inserting, card: Path) -> None:
    card.unlink()
    cards.cps4_image().write(card)

    assert inserting.run("--t0", meanwhile=lambda: None) == 0

    assert inserting.reader.atrs == [CPS4_T0_ATR]


def test_a_fault_happens_to_the_inserted_card(inserting: Inserting) -> None:
    answers: list[bytes] = []

    def meanwhile() -> None:
        answers.extend(inserting.reader.ask(STATUS) for _ in range(3))

    assert inserting.run("--fault", "garbage@1", "--fault", "mute@3", meanwhile=meanwhile) == 0

    assert answers == [GARBAGE, b"\x63\xc3", b""]


@pytest.mark.parametrize(
    ("options", "bit_rate", "key_operation"),
    [
        pytest.param(["--timing", "realistic"], 9600, 0.5, id="as is known"),
        pytest.param(["--bit-rate", "38400"], 38400, 0.5, id="on another line"),
        pytest.param(["--key-seconds", "0.3"], 9600, 0.3, id="with another key"),
        pytest.param(
            ["--timing", "realistic", "--bit-rate", "1000", "--key-seconds", "2"],
            1000,
            2.0,
            id="with all of them",
        ),
    ],
)
def test_a_realistic_card_takes_its_time(
    inserting: Inserting,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    bit_rate: int,
    key_operation: float,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(commands, "TimedCard", partial(TimedCard, sleep=slept.append))

    def meanwhile() -> None:
        inserting.reader.ask(STATUS)
        for command in USING_A_KEY:
            inserting.reader.ask(bytes.fromhex(command))

    assert inserting.run(*options, meanwhile=meanwhile) == 0

    assert slept[0] == pytest.approx(0.08 + 7 * 12 / bit_rate)
    # A header, its answer, a character in between, and the challenge.
    assert slept[-1] == pytest.approx(0.08 + (8 + 20) * 12 / bit_rate + key_operation)


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
