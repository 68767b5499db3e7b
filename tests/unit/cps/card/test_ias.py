"""The CPS3: a login exchange by exchange, and what becomes of it at each of them."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from cps.card.card import CPSCard
from cps.card.recognise import open_card
from cps.errors import (
    CardBusyError,
    CardDataError,
    CardError,
    CardMuteError,
    CardRefusedError,
    CardRemovedError,
    CardResetError,
    NoServiceError,
    PINLengthError,
    PINRejectedError,
    TransportError,
)
from cps.transport.replay import ReplayConnection
from cps.transport.trace import TracedConnection
from tests.support import pki
from tests.unit.cps.card import dialogue
from tests.unit.cps.card.dialogue import (
    DIGITS,
    MESSAGE,
    USER_PIN,
    Files,
    asking_tries,
    authenticating,
    entered,
    exchange,
    opening,
    pin_object,
    reading,
    select,
    signature_by,
    signing,
    tries,
    verifying,
)

OPENED = opening() + reading()
"""The dialogue up to where everything is read."""


def log_in(connection: ReplayConnection) -> bytes:
    """Do all that an agent does with a card, and return the signature."""
    card = open_card(connection)
    card.authentication_certificate()
    card.tries_left()
    return card.sign(entered(), MESSAGE)


def opened(script: str, *, reset: bool = True) -> CPSCard:
    """Return a card that was opened and read, and goes on as *script* says."""
    card = open_card(ReplayConnection(OPENED + script), reset=reset)
    card.authentication_certificate()
    return card


def transaction(body: str, end: str = "reset") -> str:
    return f"begin\n{body}end {end}\n"


# The whole login.


def test_a_login_reads_asks_and_signs() -> None:
    connection = ReplayConnection(dialogue.login())
    signature = log_in(connection)
    connection.close()
    pki.key("leaf").public_key().verify(signature, MESSAGE, padding.PKCS1v15(), hashes.SHA256())


def test_a_login_takes_few_commands() -> None:
    commands = dialogue.login().count(">")
    blocks = -(-len(dialogue.certificate()) // 256)
    # Recognise 2, directories 8, certificate 1 and its blocks, tries left 3, sign 7.
    assert commands == 21 + blocks


def test_a_second_signature_reads_nothing_again() -> None:
    again = transaction(
        asking_tries(pin_object(3)) + verifying() + authenticating(signature_by(pki.key("leaf")))
    )
    card = opened(tries(3) + signing() + again)
    assert card.tries_left() == 3
    assert card.sign(entered(), MESSAGE) == card.sign(entered(), MESSAGE)
    card.close()


def test_a_policy_may_leave_the_card_as_it_is() -> None:
    card = opened(tries(3) + signing().replace("end reset", "end leave"), reset=False)
    card.tries_left()
    card.sign(entered(), MESSAGE)
    card.close()


def test_the_pin_is_in_no_trace_of_a_login() -> None:
    lines: list[str] = []
    card = open_card(TracedConnection(ReplayConnection(dialogue.login()), lines.append))
    card.tries_left()
    card.sign(entered(), MESSAGE)
    text = "\n".join(lines)
    assert "> 00 20 00 01 **" in text
    for writing in (DIGITS, DIGITS.encode().hex(" ").upper()):
        assert writing not in text


# A card that goes, at every step.

STEPS = dialogue.login().splitlines()


def _cut_points() -> list[int]:
    """Return the lines at which a fault can come: instead of an answer, a begin or an end."""
    return [n for n, line in enumerate(STEPS) if line.startswith(("<", "begin", "end"))]


@pytest.mark.parametrize("at", _cut_points(), ids=lambda at: f"line {at} {STEPS[at].split()[0]}")
def test_a_card_removed_at_any_step_is_removed_and_nothing_else(at: int) -> None:
    connection = ReplayConnection("\n".join([*STEPS[:at], "! removed"]))
    with pytest.raises(CardError) as caught:
        log_in(connection)
    assert type(caught.value) is CardRemovedError
    # The dialogue ended there: nothing, and no PIN, was sent after it.
    connection.close()


VERIFY_STEP = next(n for n, line in enumerate(STEPS) if line.startswith("> 00 20"))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param("removed", CardRemovedError, id="removed"),
        pytest.param("reset", CardResetError, id="reset"),
        pytest.param("mute", CardMuteError, id="mute"),
        pytest.param("busy", CardBusyError, id="busy"),
        pytest.param("no service", NoServiceError, id="no service"),
    ],
)
def test_a_fault_during_verify_is_not_a_wrong_pin_and_not_retried(
    fault: str, error: type[TransportError]
) -> None:
    connection = ReplayConnection("\n".join([*STEPS[: VERIFY_STEP + 1], f"! {fault}"]))
    with pytest.raises(TransportError) as caught:
        log_in(connection)
    assert type(caught.value) is error
    connection.close()


# The PIN.


@pytest.mark.parametrize(
    ("sw", "left"),
    [
        pytest.param("63 C2", 2, id="two left"),
        pytest.param("63 C1", 1, id="one left"),
        pytest.param("63 C0", 0, id="none left"),
        pytest.param("69 83", 0, id="blocked by another program meanwhile"),
        pytest.param("69 84", 0, id="used up"),
    ],
)
def test_a_wrong_pin_tells_the_tries_left_and_ends_with_a_reset(sw: str, left: int) -> None:
    card = opened(tries(3) + transaction(select("3F00") + verifying(sw)))
    card.tries_left()
    with pytest.raises(PINRejectedError) as caught:
        card.sign(entered(), MESSAGE)
    assert caught.value.tries_left == left
    card.close()


def test_after_a_wrong_pin_the_tries_are_asked_again() -> None:
    wrong = transaction(select("3F00") + verifying("63 C2", "9999"))
    right = transaction(
        asking_tries(pin_object(2)) + verifying() + authenticating(signature_by(pki.key("leaf")))
    )
    card = opened(tries(3) + wrong + right)
    card.tries_left()
    with pytest.raises(PINRejectedError):
        card.sign(entered("9999"), MESSAGE)
    card.sign(entered(), MESSAGE)
    card.close()


@pytest.mark.parametrize("asked_before", [True, False], ids=["asked before", "not asked before"])
def test_a_blocked_pin_is_not_sent(asked_before: bool) -> None:
    if asked_before:
        card = opened(tries(0) + transaction(select("3F00")))
        assert card.tries_left() == 0
    else:
        card = opened(transaction(asking_tries(pin_object(0))))
    with pytest.raises(PINRejectedError) as caught:
        card.sign(entered(), MESSAGE)
    assert caught.value.tries_left == 0
    card.close()


PLAIN_PIN = USER_PIN.replace(
    bytes.fromhex("0303040C10 0A0101 020104 020108"),
    bytes.fromhex("0303040810 0A0101 020104 020104"),
)
"""Four digits stored, no padding: only four digits can be right."""


@pytest.mark.parametrize(
    ("aodf", "digits", "longest"),
    [
        pytest.param(PLAIN_PIN, "12345", 4, id="longer than what is stored"),
        pytest.param(
            USER_PIN.replace(
                bytes.fromhex("020104 020108"), bytes.fromhex("020106 020108")
            ).replace(bytes.fromhex("020108 020104"), bytes.fromhex("020108 020108")),
            "1234",
            8,
            id="shorter than the card's",
        ),
    ],
)
def test_a_pin_of_another_length_is_not_sent(aodf: bytes, digits: str, longest: int) -> None:
    card = open_card(ReplayConnection(opening() + reading(Files(aodf=aodf))))
    with pytest.raises(PINLengthError) as caught:
        card.sign(entered(digits), MESSAGE)
    assert caught.value.longest == longest
    assert digits not in str(caught.value)
    card.close()


@pytest.mark.parametrize(
    "aodf",
    [
        pytest.param(USER_PIN.replace(b"\x04\x01\xff", b"\x05\x01\xff"), id="no byte to pad with"),
        pytest.param(USER_PIN.replace(b"\x0a\x01\x01", b"\x0a\x01\x00"), id="packed digits"),
    ],
)
def test_a_pin_that_cannot_be_written_is_not_sent(aodf: bytes) -> None:
    card = open_card(ReplayConnection(opening() + reading(Files(aodf=aodf))))
    with pytest.raises(CardDataError, match="AODF"):
        card.sign(entered(), MESSAGE)
    card.close()


def test_a_pin_is_sent_unpadded_where_the_card_wants_it_so() -> None:
    body = select("3F00") + exchange(f"00 20 00 01 04 {DIGITS.encode().hex()}", "63 C2")
    script = opening() + reading(Files(aodf=PLAIN_PIN)) + tries(3) + transaction(body)
    card = open_card(ReplayConnection(script))
    card.tries_left()
    with pytest.raises(PINRejectedError):
        card.sign(entered(), MESSAGE)
    card.close()


@pytest.mark.parametrize(
    "sw",
    [
        pytest.param("67 00", id="wrong length"),
        pytest.param("69 82", id="security status"),
        pytest.param("69 85", id="conditions"),
        pytest.param("6A 88", id="no such PIN"),
        pytest.param("63 00", id="a warning without count"),
        pytest.param("61 10", id="success of another kind"),
    ],
)
def test_another_answer_to_verify_is_no_login_and_no_wrong_pin(sw: str) -> None:
    card = opened(tries(3) + transaction(select("3F00") + verifying(sw)))
    card.tries_left()
    with pytest.raises(CardRefusedError) as caught:
        card.sign(entered(), MESSAGE)
    assert not isinstance(caught.value, PINRejectedError)
    card.close()


# The tries left.


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        pytest.param(
            "70 16 BF 81 01 12 A0 10 9A 01 03 9B 01 03 A1 08 8C 06 F3 00 00 13 FF 00",
            3,
            id="a real card",
        ),
        pytest.param(pin_object(1), 1, id="one left"),
        pytest.param(pin_object(15), 15, id="fifteen left"),
        pytest.param(pin_object(0), 0, id="blocked"),
        pytest.param(pin_object(3, "9D 02 00 64"), 3, id="100 uses left"),
        pytest.param(pin_object(3, "9D 02 00 00"), 0, id="no uses left"),
        pytest.param("70 09 BF 81 01 05 A0 03 9B 01 02", 2, id="no more than the count"),
    ],
)
def test_tries_left_are_read_without_spending_one(answer: str, left: int) -> None:
    card = opened(transaction(asking_tries(answer), "leave"))
    assert card.tries_left() == left
    card.close()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("00", id="nothing"),
        pytest.param("70 7F BF 81 01", id="a length that lies"),
        pytest.param("70 09 BF 81 02 05 A0 03 9B 01 03", id="another PIN"),
        pytest.param("70 09 BF 81 01 05 A0 03 9A 01 03", id="only the maximum"),
        pytest.param("70 08 BF 81 01 04 A0 02 9B 00", id="an empty count"),
        pytest.param("70 09 BF 81 01 05 A0 03 9B 01 10", id="sixteen tries"),
        pytest.param("70 0A BF 81 01 06 A0 04 9B 02 01 00", id="two hundred fifty-six tries"),
        pytest.param("70 00", id="no PIN"),
    ],
)
def test_a_count_that_makes_no_sense_is_refused(answer: str) -> None:
    card = opened(transaction(asking_tries(answer), "leave"))
    with pytest.raises(CardDataError, match="GET DATA"):
        card.tries_left()
    card.close()


def test_a_card_that_does_not_tell_the_tries_is_not_sent_a_pin() -> None:
    request = exchange("00 CB 3F FF 0A 4D 08 70 06 BF 81 01 02 A0 80", "6A 88")
    card = opened(transaction(select("3F00") + request))
    with pytest.raises(CardRefusedError, match="GET DATA"):
        card.sign(entered(), MESSAGE)
    card.close()


# The signature.


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(lambda: signature_by(pki.key("other card")), id="of another key"),
        pytest.param(lambda: signature_by(pki.key("leaf"), b"another"), id="of another message"),
        pytest.param(lambda: bytes(256), id="of zeros"),
        pytest.param(lambda: signature_by(pki.key("leaf"))[:255], id="truncated"),
    ],
)
def test_a_wrong_signature_never_leaves(signature: Callable[[], bytes]) -> None:
    body = select("3F00") + verifying() + authenticating(signature())
    card = opened(tries(3) + transaction(body))
    card.tries_left()
    with pytest.raises(CardDataError, match="not one of the certificate's key"):
        card.sign(entered(), MESSAGE)
    card.close()


@pytest.mark.parametrize(
    ("step", "sw", "command"),
    [
        pytest.param(0, "6A 82", "SELECT", id="no application"),
        pytest.param(1, "6A 88", "MANAGE SECURITY ENVIRONMENT", id="no such key"),
        pytest.param(2, "69 82", "INTERNAL AUTHENTICATE", id="PIN not accepted for the key"),
        pytest.param(3, "6F 00", "INTERNAL AUTHENTICATE", id="while it is fetched"),
    ],
)
def test_a_refusal_behind_the_pin_drops_the_verified_state(
    step: int, sw: str, command: str
) -> None:
    exchanges = authenticating(signature_by(pki.key("leaf"))).splitlines()
    exchanges = [*exchanges[: 2 * step + 1], f"< {sw}", ""]
    body = select("3F00") + verifying() + "\n".join(exchanges)
    card = opened(tries(3) + transaction(body, "reset"))
    card.tries_left()
    with pytest.raises(CardRefusedError) as caught:
        card.sign(entered(), MESSAGE)
    assert caught.value.command == command
    card.close()
