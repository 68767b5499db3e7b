"""Everything that a card shows: of whole cards, of damaged ones, and of cards that refuse."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509

from cps.atr import CPS3_CONTACTLESS_ATR
from cps.card.contents import CardContents, read_contents
from cps.errors import CardContactlessError, CardRemovedError, CardUnsupportedError
from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from cps.simulator.personalise import Update
from cps.transport.replay import ReplayConnection
from tests.support import cards
from tests.support.meddling import Meddle, MeddledTerminal, each_answer, removed_before


def contents_of(image: CardImage, meddle: Meddle | None = None) -> CardContents:
    terminal = MeddledTerminal(SoftwareCard(image))
    if meddle is not None:
        terminal.meddle = meddle
    return read_contents(terminal.connect("Software reader"))


def without(image: CardImage, path: str) -> CardImage:
    """Return *image* without one of its files."""
    image.files[:] = [file for file in image.files if file.path != bytes.fromhex(path)]
    return image


def damaged(image: CardImage, path: str, content: bytes) -> CardImage:
    """Return *image* with other content in one of its files."""
    (file,) = (file for file in image.files if file.path == bytes.fromhex(path))
    file.content = content
    return image


IMAGES = [
    pytest.param(cards.image, id="CPS3"),
    pytest.param(cards.cps4_image, id="CPS4"),
]


@pytest.mark.parametrize("make", IMAGES)
def test_a_whole_card_is_read_without_fault(make: Callable[[], CardImage]) -> None:
    image = make()
    contents = contents_of(image)

    assert contents.faults == ()
    assert contents.serial == cards.SERIAL
    assert contents.token is not None
    assert [pin.tries_left for pin in contents.pins] == [3, 10]
    assert [key.label for key in contents.private_keys] == ["CPS_PRIV_SIG", "CPS_PRIV_AUT"]
    assert all(key.content for key in contents.public_keys)
    found = [x509.load_der_x509_certificate(file.content or b"") for file in contents.certificates]
    assert found == [
        cards.certificate_of(image, "3F000001C001"),
        cards.certificate_of(image, "3F000001C002"),
    ]


def test_what_stands_behind_the_pin_is_named_and_not_read() -> None:
    contents = contents_of(cards.image())
    by_label = {file.entry.label: file.content for file in contents.data}
    assert by_label["CPS_NAME_PS"]
    assert by_label["CPS_ACTIVITY_01_PS"] is None


def test_nothing_is_spent_and_nothing_is_verified() -> None:
    terminal = MeddledTerminal(SoftwareCard(cards.image()))
    read_contents(terminal.connect("Software reader"))
    assert terminal.verifications == 0


def test_a_cps3_tells_its_last_update() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    contents = contents_of(cards.image(update=Update(begun=moment, ended=moment)))
    assert contents.updated is not None
    assert contents.updated.begun == "2026-01-02 03:04:05"


@pytest.mark.parametrize("path", ["3F002F01", "3F00D010"], ids=["EF.ATR", "EF_ACTUA"])
def test_what_need_not_be_there_is_no_fault(path: str) -> None:
    contents = contents_of(without(cards.image(), path))
    assert contents.faults == ()


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        pytest.param("3F002F00", "EF.DIR: SELECT", id="EF.DIR"),
        pytest.param("3F0000015031", "ODF: SELECT", id="ODF"),
        pytest.param("3F0000015032", "TokenInfo: SELECT", id="TokenInfo"),
        pytest.param("3F0000017001", "AODF: SELECT", id="AODF"),
        pytest.param("3F0000017002", "PrKDF: SELECT", id="PrKDF"),
        pytest.param("3F0000017004", "PuKDF: SELECT", id="PuKDF"),
        pytest.param("3F0000017005", "CDF: SELECT", id="CDF"),
        pytest.param("3F0000017006", "DODF: SELECT", id="DODF"),
        pytest.param("3F000001B001", "CPS_PUB_SIG: SELECT", id="a public key"),
        pytest.param("3F000001C002", "Certificat d'Auth.*: SELECT", id="a certificate"),
        pytest.param("3F000001D101", "CPS_ID_CARD: SELECT", id="a file of data"),
    ],
)
def test_a_missing_file_is_named_and_the_rest_is_read(path: str, fault: str) -> None:
    contents = contents_of(without(cards.image(), path))
    (found,) = contents.faults
    assert re.match(fault, found)
    assert contents.serial == cards.SERIAL


@pytest.mark.parametrize(
    ("path", "content"),
    [
        pytest.param("3F00D003", b"\x5a\x0a", id="EF.SN"),
        pytest.param("3F002F00", b"\x61\x7f", id="EF.DIR"),
        pytest.param("3F0000015031", b"\xa8\x7f", id="ODF"),
        pytest.param("3F0000015032", b"\x30\x7f", id="TokenInfo"),
        pytest.param("3F0000017001", b"\x30\x00", id="AODF"),
        pytest.param("3F000001C001", b"\x30\x03\x01\x02\x03", id="a certificate"),
        pytest.param("3F000001C001", b"\x30\x80", id="a certificate without length"),
    ],
)
def test_a_damaged_file_is_named_and_the_rest_is_read(path: str, content: bytes) -> None:
    contents = contents_of(damaged(cards.image(), path, content))
    assert len(contents.faults) == 1
    assert contents.atr_file


def test_a_card_of_another_issuer_has_no_serial_number() -> None:
    image = damaged(cards.image(), "3F00D003", bytes.fromhex("5A0A8025000002280000016F"))
    assert contents_of(image).serial is None


def test_a_pin_that_tells_no_tries_is_named() -> None:
    def silent(command: bytes, said: bytes) -> bytes:
        return b"\x6a\x88" if command[1] in (0x20, 0xCB) else said

    contents = contents_of(cards.image(), each_answer(silent))
    assert [pin.tries_left for pin in contents.pins] == [None, None]
    assert len(contents.faults) == 2


def test_a_card_that_refuses_everything_is_only_faults() -> None:
    contents = contents_of(cards.image(), each_answer(lambda command, said: b"\x6f\x00"))
    assert contents.serial is None
    assert contents.certificates == ()
    assert len(contents.faults) == 6


@pytest.mark.parametrize("number", [1, 10, 30])
def test_a_card_that_goes_is_gone(number: int) -> None:
    terminal = MeddledTerminal(SoftwareCard(cards.image()))
    terminal.meddle = removed_before(terminal, number)
    with pytest.raises(CardRemovedError):
        read_contents(terminal.connect("Software reader"))


@pytest.mark.parametrize(
    ("atr", "error"),
    [
        pytest.param(CPS3_CONTACTLESS_ATR, CardContactlessError, id="contactless"),
        pytest.param(b"\x3b\x00", CardUnsupportedError, id="unknown"),
    ],
)
def test_another_card_is_not_read(atr: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_contents(ReplayConnection("", atr=atr))
