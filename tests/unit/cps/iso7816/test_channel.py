"""The channel: T=0 and T=1 manners, and a card that promises, lies or goes."""

import pytest

from cps.apdu import CommandAPDU, ResponseAPDU
from cps.errors import CardDataError, CardMuteError, CardRemovedError, TransportError
from cps.iso7816.channel import Channel
from cps.transport.replay import ReplayConnection

SELECT = CommandAPDU(cla=0, ins=0xA4, p1=0, p2=0x0C, data=b"\x3f\x00")
READ = CommandAPDU(cla=0, ins=0xB0, p1=0, p2=0, ne=256)
VERIFY = CommandAPDU(cla=0, ins=0x20, p1=0, p2=1, data=b"1234")
SIGN = CommandAPDU(cla=0, ins=0x88, p1=0, p2=0, data=b"\x01", ne=256)


def answer_to(command: CommandAPDU, script: str, *, t0: bool = True) -> ResponseAPDU:
    card = ReplayConnection(script, t0=t0)
    answer = Channel(card).transmit(command)
    card.close()
    return answer


def refusal_of(command: CommandAPDU, script: str, *, t0: bool = True) -> str:
    card = ReplayConnection(script, t0=t0)
    with pytest.raises(CardDataError) as caught:
        Channel(card).transmit(command)
    card.close()
    return str(caught.value)


def test_a_command_without_answer_goes_as_it_is() -> None:
    assert answer_to(SELECT, "> 00 A4 00 0C 02 3F 00\n< 90 00").sw == 0x9000


def test_on_t0_data_and_answer_are_two_commands() -> None:
    answer = answer_to(
        SIGN,
        """
        > 00 88 00 00 01 01   # without Le
        < 61 03
        > 00 C0 00 00 03
        < AA BB CC 90 00
        """,
    )
    assert answer == ResponseAPDU(data=b"\xaa\xbb\xcc", sw=0x9000)


def test_on_t1_they_are_one_command() -> None:
    answer = answer_to(SIGN, "> 00 88 00 00 01 01 00\n< AA BB CC 90 00", t0=False)
    assert answer.data == b"\xaa\xbb\xcc"


def test_a_driver_that_fetches_by_itself_is_welcome() -> None:
    assert answer_to(SIGN, "> 00 88 00 00 01 01\n< AA BB CC 90 00").data == b"\xaa\xbb\xcc"


def test_an_answer_is_fetched_in_as_many_pieces_as_the_card_likes() -> None:
    answer = answer_to(
        SIGN,
        f"""
        > 00 88 00 00 01 01
        < 61 00
        > 00 C0 00 00 00
        < {"11" * 231} 61 19
        > 00 C0 00 00 19
        < {"22" * 25} 90 00
        """,
    )
    assert answer == ResponseAPDU(data=b"\x11" * 231 + b"\x22" * 25, sw=0x9000)


def test_what_was_read_before_more_is_promised_is_kept() -> None:
    answer = answer_to(READ, "> 00 B0 00 00 00\n< AA 61 01\n> 00 C0 00 00 01\n< BB 90 00")
    assert answer.data == b"\xaa\xbb"


def test_on_t0_a_bare_command_has_a_fifth_byte() -> None:
    bare = CommandAPDU(cla=0, ins=0x20, p1=0, p2=1)
    assert answer_to(bare, "> 00 20 00 01 00\n< 63 C3").sw == 0x63C3
    assert answer_to(bare, "> 00 20 00 01\n< 63 C3", t0=False).sw == 0x63C3


def test_a_bare_command_gets_no_data() -> None:
    bare = CommandAPDU(cla=0, ins=0x20, p1=0, p2=1)
    assert "1 bytes where 0" in refusal_of(bare, "> 00 20 00 01 00\n< AA 90 00")


@pytest.mark.parametrize("number", [0, 1, 3])
def test_the_class_names_the_channel(number: int) -> None:
    assert Channel(ReplayConnection(""), number=number).cla == number


@pytest.mark.parametrize("number", [-1, 4])
def test_a_channel_that_the_class_cannot_name_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="channel"):
        Channel(ReplayConnection(""), number=number)


def test_get_response_keeps_the_class_of_its_command() -> None:
    command = CommandAPDU(cla=0x01, ins=0x88, p1=0, p2=0, data=b"\x01", ne=256)
    assert answer_to(command, "> 01 88 00 00 01 01\n< 61 01\n> 01 C0 00 00 01\n< AA 90 00").data


def test_a_refusal_while_fetching_is_the_answer() -> None:
    answer = answer_to(SIGN, "> 00 88 00 00 01 01\n< 61 03\n> 00 C0 00 00 03\n< 6F 00")
    assert answer.sw == 0x6F00


def test_a_wrong_length_is_corrected_once() -> None:
    answer = answer_to(READ, "> 00 B0 00 00 00\n< 6C 02\n> 00 B0 00 00 02\n< AA BB 90 00")
    assert answer == ResponseAPDU(data=b"\xaa\xbb", sw=0x9000)


def test_a_length_that_is_still_wrong_is_the_answer() -> None:
    answer = answer_to(READ, "> 00 B0 00 00 00\n< 6C 02\n> 00 B0 00 00 02\n< 6C 03")
    assert answer == ResponseAPDU(sw=0x6C03)


def test_a_wrong_length_while_fetching_is_corrected_once() -> None:
    answer = answer_to(
        SIGN,
        """
        > 00 88 00 00 01 01
        < 61 00
        > 00 C0 00 00 00
        < 6C 02
        > 00 C0 00 00 02
        < AA BB 90 00
        """,
    )
    assert answer.data == b"\xaa\xbb"


@pytest.mark.parametrize("sw", ["6C 04", "61 04"], ids=["another length", "something to fetch"])
def test_verify_is_never_sent_twice(sw: str) -> None:
    answer = answer_to(VERIFY, f"> 00 20 00 01 04 31 32 33 34\n< {sw}")
    assert answer.sw == int(sw.replace(" ", ""), 16)


@pytest.mark.parametrize("sw", ["6E 00", "6A 86", "6D 00", "67 00"])
def test_a_refused_command_is_not_tried_again(sw: str) -> None:
    assert answer_to(READ, f"> 00 B0 00 00 00\n< {sw}").sw == int(sw.replace(" ", ""), 16)


def test_data_that_nobody_asked_for_are_refused() -> None:
    assert "1 bytes where 0" in refusal_of(SELECT, "> 00 A4 00 0C 02 3F 00\n< AA 90 00")


@pytest.mark.parametrize("t0", [True, False], ids=["T=0", "T=1"])
def test_more_data_than_asked_for_are_refused(t0: bool) -> None:
    command = CommandAPDU(cla=0, ins=0xB0, p1=0, p2=0, ne=1)
    assert "2 bytes where 1" in refusal_of(command, "> 00 B0 00 00 01\n< AA BB 90 00", t0=t0)


def test_more_data_than_promised_are_refused() -> None:
    script = "> 00 88 00 00 01 01\n< 61 01\n> 00 C0 00 00 01\n< AA BB 90 00"
    assert "2 bytes where 1" in refusal_of(SIGN, script)


def test_a_promise_of_bytes_that_never_come_is_refused() -> None:
    script = "> 00 88 00 00 01 01\n< 61 01\n> 00 C0 00 00 01\n< 61 01"
    assert "gives none" in refusal_of(SIGN, script)


def test_an_answer_may_go_on_as_often_as_allowed() -> None:
    more = "> 00 C0 00 00 01\n< AA 61 01\n" * 15
    last = "> 00 C0 00 00 01\n< BB 90 00"
    answer = answer_to(SIGN, f"> 00 88 00 00 01 01\n< 61 01\n{more}{last}")
    assert answer.data == b"\xaa" * 15 + b"\xbb"


def test_an_answer_without_end_is_refused() -> None:
    more = "> 00 C0 00 00 01\n< AA 61 01\n" * 16
    assert "goes on" in refusal_of(SIGN, f"> 00 88 00 00 01 01\n< 61 01\n{more}")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("90", id="half a status word"),
        pytest.param("12 34", id="no status word"),
        pytest.param("60 00", id="a procedure byte"),
        pytest.param("AA" * 257 + "90 00", id="257 bytes"),
    ],
)
def test_what_is_no_answer_is_refused(answer: str) -> None:
    assert "INS B0" in refusal_of(READ, f"> 00 B0 00 00 00\n< {answer}")


def test_an_error_names_the_command_and_not_its_data() -> None:
    message = refusal_of(VERIFY, "> 00 20 00 01 04 31 32 33 34\n< 12 34")
    assert "INS 20" in message
    assert "1234" not in message.replace("1234 is no status word", "")


@pytest.mark.parametrize(
    ("fault", "error"), [("removed", CardRemovedError), ("mute", CardMuteError)]
)
def test_a_card_that_goes_between_two_pieces_is_not_a_refusal(
    fault: str, error: type[TransportError]
) -> None:
    card = ReplayConnection(f"> 00 88 00 00 01 01\n< 61 01\n> 00 C0 00 00 01\n! {fault}")
    with pytest.raises(error):
        Channel(card).transmit(SIGN)
    card.close()
