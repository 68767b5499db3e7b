"""Cards that lie: torn files, wrong lengths, endless answers. No PIN is sent to any of them."""

from collections.abc import Callable, Mapping

import pytest

from cps.authtoken.codes import ErrorCode
from cps.simulator.image import CardImage
from gateway.login.challenge import ChallengeState
from tests.support import cards
from tests.support.browser import Browser, Page
from tests.support.line import Desk, Line
from tests.support.meddling import VERIFY, each_answer, sends_pin
from tests.support.person import Person

FILES: Mapping[str, str] = {
    "serial number": "3F00D003",
    "PINs": "3F0000017001",
    "certificates": "3F0000017005",
    "authentication certificate": "3F000001C002",
}
SPARED: Mapping[str, str] = {"object directory": "3F0000015031", "private keys": "3F0000017002"}
"""Files that are only read of a card that is not like others."""
DAMAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "torn": lambda content: content[: len(content) * 2 // 3],
    "last byte missing": lambda content: content[:-1],
    "first byte missing": lambda content: content[1:],
    "length of four bytes": lambda content: content[:1] + b"\x84\xff\xff\xff\xff" + content[2:],
    "length without end": lambda content: content[:1] + b"\x80" + content[2:],
    "zeros": lambda content: bytes(len(content)),
    "ones": lambda content: b"\xff" * len(content),
    "deep nesting": lambda content: b"\x30\x82\x01\xf0" * 124,
}
READ_BINARY, GET_RESPONSE, INTERNAL_AUTHENTICATE = 0xB0, 0xC0, 0x88


def sign_in(line: Line, desk: Desk, language: str = "fr") -> tuple[Page, Page]:
    """Return the login page and what the agent answers."""
    browser: Browser = line.browser(language=language)
    login = browser.open("/_cps/login")
    return login, browser.to_agent(login, desk.port)


def damaged(path: str, damage: Callable[[bytes], bytes]) -> CardImage:
    """Return a card one of whose files is damaged."""
    image = cards.image()
    (file,) = (each for each in image.files if each.path == bytes.fromhex(path))
    assert file.content is not None
    file.content = damage(file.content)
    return image


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_ends_the_login_before_it_is_claimed(
    line: Line, file: str, damage: str
) -> None:
    person = Person()
    image = damaged(FILES[file], DAMAGES[damage])
    with line.desk(image, entry=person) as desk, line.nobody_gets_in():
        login, page = sign_in(line, desk)
    erased = file == "certificates" and damage in ("zeros", "ones")
    page.require_failed(ErrorCode.CERT_MISSING if erased else ErrorCode.CARD_MALFORMED)
    assert person.asked == []
    assert desk.terminal.verifications == 0
    assert line.state(login.rid) is ChallengeState.NEW


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", SPARED)
def test_a_damaged_file_that_no_login_needs_hinders_none(
    line: Line, file: str, damage: str
) -> None:
    with line.desk(damaged(SPARED[file], DAMAGES[damage])) as desk:
        line.log_in(line.browser(), desk)
    assert desk.terminal.verifications == 1


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_card_without_a_certificate_is_said_before_a_pin_is_asked(
    line: Line, language: str
) -> None:
    person = Person()
    image = cards.image()
    image.files = [file for file in image.files if file.path != bytes.fromhex("3F000001C002")]
    with line.desk(image, entry=person) as desk, line.nobody_gets_in():
        _, page = sign_in(line, desk, language)
    page.require_failed(ErrorCode.CERT_MISSING, language)
    assert (person.asked, desk.terminal.verifications) == ([], 0)


Answer = Callable[[bytes, bytes], bytes]


def to(instruction: int, answer: bytes) -> Answer:
    """Return: whatever the card says to that instruction, the client reads *answer*."""
    return lambda command, said: answer if command[1] == instruction else said


LIES: Mapping[str, tuple[Answer, ErrorCode]] = {
    "success without data": (to(READ_BINARY, b"\x90\x00"), ErrorCode.CARD_MALFORMED),
    "one byte": (to(READ_BINARY, b"\x90"), ErrorCode.CARD_MALFORMED),
    "nothing": (to(READ_BINARY, b""), ErrorCode.CARD_MALFORMED),
    "more than was asked for": (
        to(READ_BINARY, bytes(300) + b"\x90\x00"),
        ErrorCode.CARD_MALFORMED,
    ),
    "more to fetch that is not there": (to(READ_BINARY, b"\x61\xff"), ErrorCode.CARD_REFUSED),
    "always more to fetch": (
        lambda command, said: b"\x61\xff" if command[1] in (READ_BINARY, GET_RESPONSE) else said,
        ErrorCode.CARD_MALFORMED,
    ),
    "more to fetch without end": (
        lambda command, said: {
            READ_BINARY: b"\x61\xff",
            GET_RESPONSE: bytes(255) + b"\x61\xff",
        }.get(command[1], said),
        ErrorCode.CARD_MALFORMED,
    ),
    "always another length": (to(READ_BINARY, b"\x6c\x10"), ErrorCode.CARD_REFUSED),
    "a status word of nobody": (to(READ_BINARY, b"\x12\x34"), ErrorCode.CARD_MALFORMED),
    "memory failure": (to(READ_BINARY, b"\x65\x81"), ErrorCode.CARD_REFUSED),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_card_ends_the_login_soon(line: Line, lie: str) -> None:
    answer, code = LIES[lie]
    with line.desk() as desk:
        desk.terminal.meddle = each_answer(answer)
        with line.nobody_gets_in():
            _, page = sign_in(line, desk)
    page.require_failed(code)
    assert desk.terminal.verifications == 0
    assert len(desk.terminal.commands) < 200


def tries(count: int) -> Answer:
    """Return: the card tells its tries by a data object alone, and claims that so many are left."""

    def answer(command: bytes, said: bytes) -> bytes:
        if command[1] == VERIFY and not sends_pin(command):
            return b"\x6a\x86"
        return said.replace(b"\x9b\x01\x03", bytes((0x9B, 1, count)))

    return answer


@pytest.mark.parametrize(
    ("count", "code"),
    [
        pytest.param(16, ErrorCode.CARD_MALFORMED, id="more than there can be"),
        pytest.param(0x83, ErrorCode.CARD_MALFORMED, id="negative"),
        pytest.param(0, ErrorCode.PIN_BLOCKED, id="none"),
    ],
)
def test_a_card_that_lies_about_its_tries_gets_no_pin(
    line: Line, count: int, code: ErrorCode
) -> None:
    with line.desk() as desk:
        desk.terminal.meddle = each_answer(tries(count))
        with line.nobody_gets_in():
            _, page = sign_in(line, desk)
    page.require_failed(code)
    assert desk.terminal.verifications == 0


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(bytes(256), id="zeros"),
        pytest.param(b"\xff" * 256, id="larger than the modulus"),
        pytest.param(bytes(255), id="a byte less"),
        pytest.param(b"", id="none"),
    ],
)
def test_a_signature_that_is_none_is_not_handed_in(line: Line, signature: bytes) -> None:
    def answer(command: bytes, said: bytes) -> bytes:
        return signature + b"\x90\x00" if command[1] == INTERNAL_AUTHENTICATE else said

    with line.desk() as desk:
        desk.terminal.meddle = each_answer(answer)
        with line.nobody_gets_in():
            login, page = sign_in(line, desk)
    page.require_failed(ErrorCode.CARD_MALFORMED)
    assert line.state(login.rid) is ChallengeState.FAILED
    assert desk.terminal.verifications == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(b"\x63\x00", ErrorCode.CARD_REFUSED, id="wrong, without a count"),
        pytest.param(b"\x69\x82", ErrorCode.CARD_REFUSED, id="not allowed"),
        pytest.param(b"\x69\x84", ErrorCode.PIN_BLOCKED, id="invalidated"),
        pytest.param(b"\x6f\x00", ErrorCode.CARD_REFUSED, id="no diagnosis"),
        pytest.param(b"\x90", ErrorCode.CARD_MALFORMED, id="half a status word"),
    ],
)
def test_what_is_not_a_wrong_pin_is_not_asked_again(
    line: Line, answer: bytes, code: ErrorCode
) -> None:
    person = Person()
    with line.desk(entry=person) as desk:
        desk.terminal.meddle = each_answer(
            lambda command, said: answer if sends_pin(command) else said
        )
        with line.nobody_gets_in():
            _, page = sign_in(line, desk)
    page.require_failed(code)
    assert (len(person.asked), desk.terminal.verifications) == (1, 1)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_person_is_told_and_the_next_card_works(line: Line, language: str) -> None:
    with line.desk(damaged(FILES["certificates"], DAMAGES["torn"])) as desk:
        _, page = sign_in(line, desk, language)
        page.require_failed(ErrorCode.CARD_MALFORMED, language)
    with line.desk() as desk:
        line.log_in(line.browser(), desk)


def test_a_card_of_another_issuer_is_not_ours(line: Line) -> None:
    image = damaged(FILES["serial number"], lambda content: content[:2] + b"\x12" + content[3:])
    with line.desk(image) as desk, line.nobody_gets_in():
        _, page = sign_in(line, desk)
    page.require_failed(ErrorCode.CARD_UNSUPPORTED)
