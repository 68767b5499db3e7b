"""A login exchange by exchange, on both generations, and what becomes of it at each of them."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from cps.card.cache import FolderCache
from cps.card.card import CPSCard
from cps.card.contact import ContactCard
from cps.card.credential import CardFiles
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
from tests.unit.cps.card import dialogue, dialogue4
from tests.unit.cps.card.dialogue import (
    DIGITS,
    MESSAGE,
    PUK,
    USER_PIN,
    Files,
    entered,
    exchange,
    signature_by,
)

CARDS = [pytest.param(dialogue, id="CPS3"), pytest.param(dialogue4, id="CPS4")]
PUK_DIGITS = "12345678"


@pytest.fixture(params=CARDS)
def says(request: pytest.FixtureRequest) -> ModuleType:
    """Give the pieces of a dialogue with each generation in turn."""
    module: ModuleType = request.param
    return module


def same_message(certificate: bytes) -> bytes:
    return MESSAGE


def log_in(connection: ReplayConnection) -> bytes:
    """Do all that an agent does with a card, and return the signature."""
    card = open_card(connection)
    card.authentication_certificate()
    card.tries_left()
    return card.sign(entered(), same_message).signature


def opened(says: ModuleType, script: str, *, reset: bool = True) -> ContactCard:
    """Return a card that was opened and read step by step, and goes on as *script* says."""
    card = open_card(says.connection(says.opening() + says.reading_unusual() + script), reset=reset)
    card.authentication_certificate()
    return card


def transaction(body: str, end: str = "reset") -> str:
    return f"begin\n{body}end {end}\n"


def behind_the_pin(
    says: ModuleType, body: str, verified: str = "90 00", *, selected: bool = True
) -> str:
    """Return a transaction that chooses the key, sends the PIN, and goes on.

    :param selected: whether the application is the current DF, because it was just read.
    """
    before = "" if selected else says.select("3F000001")
    return transaction(before + says.choosing() + says.verifying(verified) + body)


def signing_anew(says: ModuleType) -> str:
    """Return a whole signature of a card that was reset, or not read."""
    using = says.using(signature_by(pki.key("leaf")))
    return behind_the_pin(says, using, selected=False)


# The whole login.


def test_a_login_reads_asks_and_signs(says: ModuleType) -> None:
    connection = says.connection(says.login())
    signature = log_in(connection)
    connection.close()
    pki.key("leaf").public_key().verify(signature, MESSAGE, padding.PKCS1v15(), hashes.SHA256())


def test_the_card_is_what_a_program_wants(says: ModuleType) -> None:
    card: CPSCard = open_card(says.connection(says.opening()))
    assert (card.serial, card.interface) == ("99213845", "contact")
    card.close()


def test_a_login_takes_few_commands(says: ModuleType) -> None:
    blocks = -(-len(dialogue.certificate()) // 256)
    # Directories 4, certificate 1 and its blocks, tries left 1; then recognising and signing: on a
    # CPS3 1 and 5, the fetching of the signature in two parts included; on a CPS4 3 and 4.
    assert says.login().count(">") == 6 + blocks + (6 if says is dialogue else 7)


def test_a_second_signature_reads_nothing_again(says: ModuleType) -> None:
    again = says.tries(3) + signing_anew(says)
    card = opened(says, says.tries(3) + says.signing() + again)
    for _ in range(2):
        assert card.tries_left() == 3
        assert card.sign(entered(), same_message)
    card.close()


def test_a_policy_may_leave_the_card_as_it_is(says: ModuleType) -> None:
    script = says.tries(3) + says.signing().replace("end reset", "end leave")
    card = opened(says, script, reset=False)
    card.tries_left()
    card.sign(entered(), same_message)
    card.close()


def test_the_message_is_made_for_the_certificate_that_is_returned(says: ModuleType) -> None:
    card = opened(says, says.tries(3) + says.signing())
    card.tries_left()
    seen: list[bytes] = []

    def message_for(certificate: bytes) -> bytes:
        seen.append(certificate)
        return MESSAGE

    signed = card.sign(entered(), message_for)
    assert seen == [signed.certificate] == [dialogue.certificate()]
    card.close()


def test_the_pin_is_in_no_trace_of_a_login(says: ModuleType) -> None:
    lines: list[str] = []
    card = open_card(TracedConnection(says.connection(says.login()), lines.append))
    card.tries_left()
    card.sign(entered(), same_message)
    text = "\n".join(lines)
    assert " 20 00 01 ** ** ** ** **" in text
    for writing in (DIGITS, DIGITS.encode().hex(" ").upper()):
        assert writing not in text


# A card that goes, at every step.

STEPS = {says: says.login().splitlines() for says in (dialogue, dialogue4)}


def _cut_points() -> list[object]:
    """Return the lines at which a fault can come: instead of an answer, a begin or an end."""
    return [
        pytest.param(says, n, id=f"{says.__name__.rpartition('.')[2]} line {n} {line.split()[0]}")
        for says, lines in STEPS.items()
        for n, line in enumerate(lines)
        if line.startswith(("<", "begin", "end"))
    ]


@pytest.mark.parametrize(("says_what", "at"), _cut_points())
def test_a_card_removed_at_any_step_is_removed_and_nothing_else(
    says_what: ModuleType, at: int
) -> None:
    connection = says_what.connection("\n".join([*STEPS[says_what][:at], "! removed"]))
    with pytest.raises(CardError) as caught:
        log_in(connection)
    assert type(caught.value) is CardRemovedError
    # The dialogue ended there: nothing, and no PIN, was sent after it.
    connection.close()


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
    says: ModuleType, fault: str, error: type[TransportError]
) -> None:
    verify = says.verifying().splitlines()[0]
    steps = STEPS[says][: STEPS[says].index(verify) + 1]
    connection = says.connection("\n".join([*steps, f"! {fault}"]))
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
def test_a_wrong_pin_tells_the_tries_left_and_ends_with_a_reset(
    says: ModuleType, sw: str, left: int
) -> None:
    card = opened(says, says.tries(3) + behind_the_pin(says, "", sw))
    card.tries_left()
    with pytest.raises(PINRejectedError) as caught:
        card.sign(entered(), same_message)
    assert caught.value.tries_left == left
    card.close()


def test_after_a_wrong_pin_the_tries_are_asked_again(says: ModuleType) -> None:
    wrong = transaction(says.choosing() + says.verifying("63 C2", "9999"))
    begun = signing_anew(says).removeprefix("begin\n")
    card = opened(says, says.tries(3) + wrong + "begin\n" + says.asking_tries(2) + begun)
    card.tries_left()
    with pytest.raises(PINRejectedError):
        card.sign(entered("9999"), same_message)
    card.sign(entered(), same_message)
    card.close()


@pytest.mark.parametrize("asked_before", [True, False], ids=["asked before", "not asked before"])
def test_a_blocked_pin_is_not_sent(says: ModuleType, asked_before: bool) -> None:
    if asked_before:
        card = opened(says, says.tries(0) + transaction(""))
        assert card.tries_left() == 0
    else:
        card = opened(says, transaction(says.asking_tries(0)))
    with pytest.raises(PINRejectedError) as caught:
        card.sign(entered(), same_message)
    assert caught.value.tries_left == 0
    card.close()


PLAIN_PIN = USER_PIN.replace(
    bytes.fromhex("0303040C10 0A0101 020104 020108"),
    bytes.fromhex("0303040810 0A0101 020104 020104"),
)
"""Four digits stored, no padding: only four digits can be right."""
SIX_DIGITS = USER_PIN.replace(
    bytes.fromhex("020104 020108"), bytes.fromhex("020106 020108")
).replace(bytes.fromhex("020108 020104"), bytes.fromhex("020108 020108"))


@pytest.mark.parametrize(
    ("aodf", "digits", "longest"),
    [
        pytest.param(PLAIN_PIN, "12345", 4, id="longer than what is stored"),
        pytest.param(SIX_DIGITS, "1234", 8, id="shorter than the card's"),
    ],
)
def test_a_pin_of_another_length_is_not_sent(
    says: ModuleType, aodf: bytes, digits: str, longest: int
) -> None:
    card = open_card(says.connection(says.opening() + says.reading(Files(aodf=aodf))))
    with pytest.raises(PINLengthError) as caught:
        card.sign(entered(digits), same_message)
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
def test_a_pin_that_cannot_be_written_is_not_sent(says: ModuleType, aodf: bytes) -> None:
    card = open_card(says.connection(says.opening() + says.reading(Files(aodf=aodf))))
    with pytest.raises(CardDataError, match="AODF"):
        card.sign(entered(), same_message)
    card.close()


def test_a_pin_is_sent_unpadded_where_the_card_wants_it_so() -> None:
    sent = exchange(f"00 20 00 01 04 {DIGITS.encode().hex()}", "63 C2")
    script = dialogue.opening() + dialogue.reading(Files(aodf=PLAIN_PIN)) + dialogue.tries(3)
    card = open_card(ReplayConnection(script + transaction(dialogue.choosing() + sent)), reset=True)
    card.tries_left()
    with pytest.raises(PINRejectedError):
        card.sign(entered(), same_message)
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
def test_another_answer_to_verify_is_no_login_and_no_wrong_pin(says: ModuleType, sw: str) -> None:
    card = opened(says, says.tries(3) + behind_the_pin(says, "", sw))
    card.tries_left()
    with pytest.raises(CardRefusedError) as caught:
        card.sign(entered(), same_message)
    assert not isinstance(caught.value, PINRejectedError)
    card.close()


def test_a_card_that_does_not_tell_the_tries_is_not_sent_a_pin() -> None:
    script = dialogue.asking_data_object("00").splitlines()
    refused = [*script[:-3], "< 6A 88", ""]
    card = opened(dialogue, transaction("\n".join(refused)))
    with pytest.raises(CardRefusedError, match="GET DATA"):
        card.sign(entered(), same_message)
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
def test_a_wrong_signature_never_leaves(says: ModuleType, signature: Callable[[], bytes]) -> None:
    card = opened(says, says.tries(3) + behind_the_pin(says, says.using(signature())))
    card.tries_left()
    with pytest.raises(CardDataError, match="not one of the certificate's key"):
        card.sign(entered(), same_message)
    card.close()


@pytest.mark.parametrize("step", [0, 1])
def test_a_refusal_behind_the_pin_drops_the_verified_state(says: ModuleType, step: int) -> None:
    exchanges = says.using(signature_by(pki.key("leaf"))).splitlines()
    body = "\n".join([*exchanges[: 2 * step + 1], "< 6F 00", ""])
    card = opened(says, says.tries(3) + behind_the_pin(says, body))
    card.tries_left()
    with pytest.raises(CardRefusedError):
        card.sign(entered(), same_message)
    card.close()


@pytest.mark.parametrize("sw", ["69 85", "6A 88"])
def test_a_card_that_forgot_the_key_is_told_once_more(says: ModuleType, sw: str) -> None:
    using = says.using(signature_by(pki.key("leaf")))
    forgotten = using.splitlines()[0] + f"\n< {sw}\n"
    card = opened(says, says.tries(3) + behind_the_pin(says, forgotten + says.choosing() + using))
    card.tries_left()
    assert card.sign(entered(), same_message)
    card.close()


def test_a_card_that_forgets_the_key_again_is_given_up(says: ModuleType) -> None:
    forgotten = says.using(bytes(256)).splitlines()[0] + "\n< 69 85\n"
    card = opened(
        says, says.tries(3) + behind_the_pin(says, forgotten + says.choosing() + forgotten)
    )
    card.tries_left()
    with pytest.raises(CardRefusedError):
        card.sign(entered(), same_message)
    card.close()


def test_a_card_that_another_program_moved_is_moved_back_before_the_pin_is_sent(
    says: ModuleType,
) -> None:
    moved = says.choosing("6A 88") + says.select("3F000001") + says.choosing()
    using = says.using(signature_by(pki.key("leaf")))
    card = opened(says, says.tries(3) + transaction(moved + says.verifying() + using))
    card.tries_left()
    assert card.sign(entered(), same_message)
    card.close()


def test_a_card_whose_key_cannot_be_chosen_is_sent_no_pin(says: ModuleType) -> None:
    refused = says.choosing("6A 88") + says.select("3F000001") + says.choosing("6A 88")
    card = opened(says, says.tries(3) + transaction(refused))
    card.tries_left()
    with pytest.raises(CardRefusedError):
        card.sign(entered(), same_message)
    card.close()


# What was kept of the card.


def known(says: ModuleType, certificate: bytes | None = None) -> CardFiles:
    """Return what is kept of a card that was read step by step."""
    return CardFiles(
        private_keys=(says.own(Files().prkdf),),
        pins=(Files().aodf,),
        certificates=(says.own(Files().cdf),),
        certificate=certificate or dialogue.certificate(),
    )


def known_usual(says: ModuleType, certificate: bytes | None = None) -> CardFiles:
    """Return what is kept of a card that was like every other."""
    return replace(known(says, certificate), private_keys=())


class Cache:
    """A memory of one card."""

    def __init__(self, kept: CardFiles | None) -> None:
        self.kept = kept
        self.saved = 0

    def load(self, serial: str) -> CardFiles | None:
        assert serial == "99213845"
        return self.kept

    def save(self, serial: str, files: CardFiles) -> None:
        self.kept = files
        self.saved += 1


def cached(says: ModuleType, script: str, memory: Cache) -> ContactCard:
    return open_card(says.connection(says.opening() + script), cache=memory)


@cache
def old_certificate() -> bytes:
    """Return a certificate of another key, as the card had it before it was renewed."""
    return pki.der(pki.leaf(leaf_key=pki.key("other card")))


KNOWN = [pytest.param(known, id="read step by step"), pytest.param(known_usual, id="usual")]
Known = Callable[[ModuleType, bytes | None], CardFiles]


@pytest.mark.parametrize("kept", KNOWN)
def test_a_card_that_is_known_is_not_read(says: ModuleType, kept: Known) -> None:
    card = cached(says, says.tries(3) + signing_anew(says), Cache(kept(says, None)))
    assert card.authentication_certificate() == dialogue.certificate()
    card.tries_left()
    assert card.sign(entered(), same_message).certificate == dialogue.certificate()
    card.close()


def test_a_card_that_is_not_known_is_read_and_kept(says: ModuleType) -> None:
    memory = Cache(None)
    card = cached(says, says.reading(), memory)
    card.authentication_certificate()
    assert memory.kept == known_usual(says)
    card.close()


def test_a_card_that_is_not_like_others_is_read_step_by_step_and_kept(says: ModuleType) -> None:
    memory = Cache(None)
    card = cached(says, says.reading_unusual(), memory)
    card.authentication_certificate()
    assert memory.kept == known(says)
    card.close()


def asking_again(says: ModuleType) -> str:
    """Return how the serial number is read where the application is the current DF."""
    if says is dialogue4:
        return dialogue4.serial()
    # The short identifier is not known there.
    found = exchange("00 B0 9C 00 0C", "6A 82") + dialogue.select("3F00D003")
    return found + exchange("00 B0 00 00 0C", "5A 0A 80 25 00 00 01 99 21 38 45 0F 90 00")


def reading_again(says: ModuleType) -> str:
    """Return how everything is read once more within a transaction, and the key chosen."""
    return f"{asking_again(says)}{says.everything()}{says.choosing()}"


def misfitting(says: ModuleType, kept: str, fresh: str) -> str:
    """Return a signature that does not fit, reading once more, and one that does."""
    body = kept + reading_again(says) + fresh
    return f"{says.tries(3)}{behind_the_pin(says, body, selected=False)}"


@pytest.mark.parametrize("kept", KNOWN)
def test_a_renewed_certificate_is_read_and_signed_for_behind_the_same_pin(
    says: ModuleType, kept: Known
) -> None:
    signature = says.using(signature_by(pki.key("leaf"), b"old"), b"old")
    fresh = says.using(signature_by(pki.key("leaf"), b"new"), b"new")
    memory = Cache(kept(says, old_certificate()))
    card = cached(says, misfitting(says, signature, fresh), memory)
    card.tries_left()

    signed = card.sign(
        entered(), lambda certificate: b"old" if certificate == old_certificate() else b"new"
    )

    assert signed.certificate == dialogue.certificate() == card.authentication_certificate()
    pki.key("leaf").public_key().verify(
        signed.signature, b"new", padding.PKCS1v15(), hashes.SHA256()
    )
    assert (memory.kept, memory.saved) == (known(says), 1)
    card.close()


def test_a_key_that_is_not_there_any_more_is_looked_for_before_the_pin_is_sent(
    says: ModuleType,
) -> None:
    using = says.using(signature_by(pki.key("leaf")))
    body = says.select("3F000001") + says.choosing("6A 88") + reading_again(says)
    script = says.tries(3) + transaction(body + says.verifying() + using)
    card = cached(says, script, Cache(known(says)))
    card.tries_left()
    assert card.sign(entered(), same_message)
    card.close()


def test_a_signature_that_does_not_fit_the_cards_own_certificate_either_is_an_error(
    says: ModuleType,
) -> None:
    wrong = says.using(signature_by(pki.key("other card")))
    card = cached(says, misfitting(says, wrong, wrong), Cache(known(says)))
    card.tries_left()
    with pytest.raises(CardDataError, match="not one of the certificate's key"):
        card.sign(entered(), same_message)
    card.close()


def test_another_card_in_its_place_signs_for_nobody(says: ModuleType) -> None:
    wrong = says.using(signature_by(pki.key("other card")))
    script = misfitting(says, wrong, "").replace("99 21 38 45 0F", "99 21 38 46 0F")
    script = script[: script.index(says.everything())] + "end reset"
    card = cached(says, script, Cache(known(says)))
    card.tries_left()
    with pytest.raises(CardRemovedError, match="another card"):
        card.sign(entered(), same_message)
    card.close()


@pytest.mark.parametrize("sw", ["63 C2", "67 00"], ids=["wrong", "of another length"])
def test_after_a_refused_pin_the_card_is_asked_how_to_write_it(says: ModuleType, sw: str) -> None:
    refused = behind_the_pin(says, "", sw, selected=False)
    script = says.tries(3) + refused + says.reading() + says.tries(2)
    card = cached(says, script + says.signing(), Cache(known(says)))
    card.tries_left()
    with pytest.raises(CardRefusedError):
        card.sign(entered(), same_message)
    assert card.tries_left() == 2
    card.sign(entered(), same_message)
    card.close()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param({"certificate": b"\x30\x00"}, id="no certificate"),
        pytest.param({"private_keys": (b"",)}, id="no keys"),
        pytest.param({"private_keys": (), "pins": (b"",)}, id="no PIN of the usual key"),
        pytest.param({"private_keys": (), "certificates": (b"",)}, id="no directory"),
    ],
)
def test_what_was_kept_and_makes_no_sense_counts_for_nothing(
    says: ModuleType, damage: dict[str, Any]
) -> None:
    memory = Cache(replace(known(says), **damage))
    card = cached(says, says.reading(), memory)
    assert card.authentication_certificate() == dialogue.certificate()
    assert memory.kept == known_usual(says)
    card.close()


def test_a_folder_of_files_serves_as_cache(says: ModuleType, tmp_path: Path) -> None:
    folder = FolderCache(tmp_path / "cards")
    for script in (says.reading(), ""):
        card = open_card(says.connection(says.opening() + script), cache=folder)
        assert card.authentication_certificate() == dialogue.certificate()
        card.close()


# What is taken for granted of a card that is like every other.


def usual(says: ModuleType, script: str) -> ContactCard:
    """Return a card that was read where every card has its files, and goes on as *script* says."""
    card = open_card(says.connection(says.opening() + says.reading() + says.tries(3) + script))
    card.tries_left()
    return card


def test_a_key_that_is_not_the_usual_one_is_looked_for_before_the_pin_is_sent(
    says: ModuleType,
) -> None:
    refused = says.choosing("6A 88") + says.select("3F000001") + says.choosing("6A 88")
    using = says.using(signature_by(pki.key("leaf")))
    card = usual(says, transaction(refused + reading_again(says) + says.verifying() + using))
    assert card.sign(entered(), same_message)
    card.close()


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(lambda says: says.using(signature_by(pki.key("other card"))), id="another"),
        pytest.param(
            lambda says: says.using(bytes(256)).splitlines()[0] + "\n< 69 82\n", id="none"
        ),
    ],
)
def test_a_signature_of_a_key_that_is_not_the_usual_one_is_made_anew_behind_the_same_pin(
    says: ModuleType, first: Callable[[ModuleType], str]
) -> None:
    using = says.using(signature_by(pki.key("leaf")))
    body = says.choosing() + says.verifying() + first(says) + reading_again(says) + using
    card = usual(says, transaction(body))
    assert card.sign(entered(), same_message)
    card.close()


def test_a_wrong_signature_of_the_usual_key_never_leaves(says: ModuleType) -> None:
    wrong = says.using(signature_by(pki.key("other card")))
    body = says.choosing() + says.verifying() + wrong + reading_again(says) + wrong
    card = usual(says, transaction(body))
    with pytest.raises(CardDataError, match="not one of the certificate's key"):
        card.sign(entered(), same_message)
    card.close()


def test_after_a_wrong_pin_a_card_that_told_how_to_write_it_is_not_read_again(
    says: ModuleType,
) -> None:
    wrong = transaction(says.choosing() + says.verifying("63 C2", "9999"))
    card = usual(says, wrong + says.tries(2) + signing_anew(says))
    with pytest.raises(PINRejectedError):
        card.sign(entered("9999"), same_message)
    assert card.tries_left() == 2
    assert card.sign(entered(), same_message)
    card.close()


# A card that did not leave the reader since it told its serial number.


def unmoved(says: ModuleType, script: str, memory: Cache | None) -> ContactCard:
    opening = "" if says is dialogue else dialogue4.application()
    connection = says.connection(f"begin\n{opening}end leave\n{script}")
    return open_card(connection, "99213845", cache=memory)


def test_a_card_that_did_not_move_is_not_asked_for_its_number(says: ModuleType) -> None:
    card = unmoved(says, says.tries(3) + signing_anew(says), Cache(known(says)))
    assert card.serial == "99213845"
    card.tries_left()
    assert card.sign(entered(), same_message)
    card.close()


def test_before_anything_is_kept_under_a_number_the_card_tells_it(says: ModuleType) -> None:
    memory = Cache(None)
    card = unmoved(says, transaction(says.serial() + says.usual(), "leave"), memory)
    card.authentication_certificate()
    assert memory.kept == known_usual(says)
    card.close()


def test_a_card_that_moved_all_the_same_is_found_out(says: ModuleType) -> None:
    another = says.serial().replace("99 21 38 45 0F", "99 21 38 46 0F")
    card = unmoved(says, transaction(another, "leave"), Cache(None))
    with pytest.raises(CardRemovedError, match="another card"):
        card.authentication_certificate()
    card.close()


# Changing and unblocking the PIN.

AODF = USER_PIN + PUK
OLD = f"{DIGITS.encode().hex()} FFFFFFFF"
NEW = f"{b'4321'.hex()} FFFFFFFF"


def changing(says: ModuleType, sw: str = "90 00") -> str:
    if says is dialogue:
        return f"{says.select('3F00')}{exchange(f'00 24 00 01 10 {OLD} {NEW}', sw)}"
    changed = exchange(f"01 24 01 01 08 {NEW}", "90 00") if sw == "90 00" else ""
    return f"{says.select('3F00')}{says.verifying(sw)}{changed}"


def unblocking(says: ModuleType, sw: str = "90 00") -> str:
    cla = "00" if says is dialogue else "01"
    script: str = says.select("3F00")
    script += exchange(f"{cla} 20 00 02 08 {PUK_DIGITS.encode().hex()}", sw)
    if sw != "90 00":
        return script
    if says is dialogue:
        return script + exchange(f"00 2C 02 01 08 {NEW}", "90 00")
    return script + exchange("01 2C 03 81", "90 00") + exchange(f"01 24 01 01 08 {NEW}", "90 00")


def test_a_pin_is_changed_in_one_transaction_that_ends_with_a_reset(says: ModuleType) -> None:
    card = opened(says, transaction(says.asking_tries(3) + changing(says)))
    card.change_pin(entered(), entered("4321"))
    card.close()


def test_a_wrong_old_pin_is_told_with_the_tries_left(says: ModuleType) -> None:
    card = opened(says, says.tries(2) + transaction(changing(says, "63 C1")))
    card.tries_left()
    with pytest.raises(PINRejectedError) as caught:
        card.change_pin(entered(), entered("4321"))
    assert caught.value.tries_left == 1
    card.close()


def test_a_blocked_pin_is_not_changed(says: ModuleType) -> None:
    card = opened(says, transaction(says.asking_tries(0)))
    with pytest.raises(PINRejectedError):
        card.change_pin(entered(), entered("4321"))
    card.close()


def test_a_pin_of_another_length_is_not_set(says: ModuleType) -> None:
    card = open_card(says.connection(says.opening() + says.reading(Files(aodf=PLAIN_PIN + PUK))))
    for old, new in (("1234", "12345"), ("12345", "1234")):
        with pytest.raises(PINLengthError):
            card.change_pin(entered(old), entered(new))
    with pytest.raises(PINLengthError):
        card.unblock_pin(entered(PUK_DIGITS), entered("12345"))
    with pytest.raises(PINLengthError):
        card.unblock_pin(entered("1234567"), entered("1234"))
    card.close()


def test_a_pin_is_unblocked_in_one_transaction_that_ends_with_a_reset(says: ModuleType) -> None:
    card = opened(says, transaction(unblocking(says)))
    card.unblock_pin(entered(PUK_DIGITS), entered("4321"))
    card.close()


def test_a_wrong_puk_is_told_with_the_tries_it_has_left(says: ModuleType) -> None:
    card = opened(says, transaction(unblocking(says, "63 C9")))
    with pytest.raises(PINRejectedError) as caught:
        card.unblock_pin(entered(PUK_DIGITS), entered("4321"))
    assert caught.value.tries_left == 9
    card.close()


def test_the_tries_of_the_puk_are_its_own(says: ModuleType) -> None:
    asked = says.asking_tries(10).replace(" 20 00 01", " 20 00 02")
    card = opened(says, transaction(asked, "leave"))
    assert card.puk_tries_left() == 10
    card.close()


def test_a_card_that_names_no_puk_has_none_to_send(says: ModuleType) -> None:
    card = open_card(says.connection(says.opening() + says.reading(Files(aodf=USER_PIN))))
    for work in (
        card.puk_tries_left,
        lambda: card.unblock_pin(entered(PUK_DIGITS), entered("4321")),
    ):
        with pytest.raises(CardDataError, match="names no PUK"):
            work()
    card.close()
