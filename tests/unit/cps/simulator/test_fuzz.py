"""Whatever a hostile host sends to any card: no way in without the PIN, and never a crash."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from tests.support import cards


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A kind of card and how it is powered."""

    image: Callable[[], CardImage]
    card: Callable[[CardImage], SoftwareCard]
    classes: tuple[int, ...]
    good: tuple[str, ...]
    """Commands that lead to what the PIN protects; random ones seldom get there."""
    begin: tuple[str, ...] = ()
    """Commands without which few others reach anything."""
    without_pin: frozenset[int] = frozenset()
    """Instructions that use a key which wants no PIN."""


CPS3_COMMANDS = (
    "00 A4 09 0C 06 3F000001D120",
    "00 A4 09 0C 06 3F000001D107",
    "00 B0 00 00 00",
    "00 D6 00 00 01 FF",
    "A0 A4 00 00 02 4010",
    "A0 B0 00 00 10",
    "00 A4 09 0C 04 3F000001",
    "00 22 41 A4 06 800102 840182",
    "00 88 00 00 01 00 00",
    "00 22 41 B6 06 800142 840181",
    "00 2A 9E 9A 20" + "00" * 32,
    "00 22 41 B8 06 80011A 840182",
    "10 2A 80 86 FF 81" + "00" * 254,
    "00 2A 80 86 02 0000",
    "00 24 01 01 04 39393939",
    "00 2C 02 01 04 39393939",
)
CPS4_COMMANDS = (
    "01 A4 08 0C 04 0001D120",
    "01 A4 08 0C 04 0001D107",
    "01 B0 00 00 00",
    "01 D6 00 00 01 FF",
    "01 A4 08 0C 02 0001",
    "01 22 81 B6 04 91022890",
    "01 22 81 B6 04 91022CA0",
    "01 2A 9E 9A 20" + "00" * 32 + "00",
    "01 22 41 B8 03 830120",
    "11 2A 80 86 FF" + "00" * 255,
    "01 2A 80 86 01 00 00",
    "01 24 01 01 04 39393939",
    "01 2C 03 81",
    cards.OPEN_CPS4,
)
PROFILES = {
    "CPS3": Profile(
        image=cards.image, card=SoftwareCard, classes=(0x00, 0x10, 0xA0), good=CPS3_COMMANDS
    ),
    "CPS3 contactless": Profile(
        image=cards.image,
        card=partial(SoftwareCard, contactless=True),
        classes=(0x00, 0x10, 0xA0),
        good=CPS3_COMMANDS,
        without_pin=frozenset({0x88}),
    ),
    "CPS4 on T=1": Profile(
        image=cards.cps4_image,
        card=SoftwareCard,
        classes=(0x00, 0x01, 0x11),
        good=CPS4_COMMANDS,
        begin=(cards.OPEN_CPS4,),
    ),
    "CPS4 on T=0": Profile(
        image=cards.cps4_image,
        card=partial(SoftwareCard, t0=True),
        classes=(0x00, 0x01, 0x11),
        good=CPS4_COMMANDS,
        begin=(cards.OPEN_CPS4,),
    ),
}

INSTRUCTIONS = [0x20, 0x22, 0x24, 0x2A, 0x2C, 0x70, 0x84, 0x88, 0xA4, 0xB0, 0xC0, 0xCB, 0xD6]
FIRST = [0x00, 0x01, 0x02, 0x03, 0x04, 0x08, 0x09, 0x3F, 0x41, 0x80, 0x81, 0x90, 0x9C, 0x9E]
SECOND = [0x00, 0x01, 0x02, 0x04, 0x0C, 0x81, 0x86, 0x9A, 0xA0, 0xA4, 0xAA, 0xB6, 0xB8, 0xFF]
DATA = [
    bytes.fromhex(data)
    for data in (
        "02 3F00",
        "02 0001",
        "04 3F000001",
        "04 0001D107",
        "04 0001D120",
        "06 3F000001D107",
        "06 3F000001D120",
        "06 3F000001D121",
        "08 8025000001FF0100",
        "07 A0000001510000",
        "06 800102 840182",
        "06 800102 840183",
        "06 800142 840181",
        "06 80011A 840182",
        "03 800140",
        "05 9000 8001 61",
        "04 91022890",
        "04 91022CA0",
        "03 830120",
        "0A 4D087006BF810102A080",
        "0A 4D087006BFFB0302 7B80",
        "04 39393939",
        "08 3030303030303030",
        "02 4010",
        "20" + "00" * 32,
        "FF" + "00" * 255,
        "01 00",
        "00",
    )
]
# The right PIN and the right PUK in one of the commands that take them would make these lies.
SECRETS = (cards.PIN, cards.PUK)


def commands(profile: Profile) -> st.SearchStrategy[bytes]:
    """Give random bytes, and commands that reach an instruction, which are rare among them."""
    known = st.tuples(
        st.sampled_from(profile.classes),
        st.sampled_from(INSTRUCTIONS),
        st.sampled_from(FIRST),
        st.sampled_from(SECOND),
    ).map(bytes)
    headers = st.one_of(st.binary(min_size=4, max_size=4), known)
    plain = st.binary(max_size=255).map(lambda data: bytes((len(data),)) + data)
    bodies = st.one_of(st.sampled_from(DATA), plain, st.binary(max_size=300))
    made = st.builds(
        lambda header, body, le: header + body + le,
        headers,
        bodies,
        st.sampled_from([b"", b"\x00"]),
    )
    good = st.sampled_from([bytes.fromhex(command) for command in profile.good])
    return st.one_of(good, made, st.binary(max_size=300))


@cache
def once(make: Callable[[], CardImage]) -> CardImage:
    """Return a card to copy from, which takes less time than making one."""
    return make()


def secrets_of(image: CardImage) -> list[bytes]:
    """Return the beginning of every content that wants the PIN, long enough to be told apart."""
    wanted = [*image.files, *image.cps2ter]
    return [file.content[:8] for file in wanted if file.content and file.contact[5] == 0x11]


@pytest.mark.parametrize("name", PROFILES)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_no_sequence_of_commands_breaks_a_card_or_opens_it_without_a_pin(
    name: str, data: st.DataObject
) -> None:
    profile = PROFILES[name]
    image = once(profile.image).copy()
    hidden = secrets_of(image)
    before = {file.path: file.content for file in image.files}
    card = profile.card(image)
    card.power_on()
    for opening in profile.begin:
        card.execute(bytes.fromhex(opening))

    for command in data.draw(st.lists(commands(profile), max_size=20)):
        if any(secret in command for secret in SECRETS):
            continue
        tries = [entry.tries_left for entry in image.reference_data]
        answer = card.execute(command)

        assert 2 <= len(answer) <= 258
        assert answer[-2] >> 4 in (0x6, 0x9)
        assert not any(content in answer for content in hidden)
        if uses_key(command) and command[1] not in profile.without_pin:
            assert len(answer) == 2
            assert answer[-2] not in (0x61, 0x90) or command[0] & 0x10
        now = [entry.tries_left for entry in image.reference_data]
        assert all(after <= earlier for after, earlier in zip(now, tries, strict=True))

    assert {file.path: file.content for file in image.files} == before
    assert [entry.digits for entry in image.reference_data] == [cards.PIN, cards.PUK]


def uses_key(command: bytes) -> bool:
    return command[1:2] == b"\x88" or command[1:4] in (b"\x2a\x9e\x9a", b"\x2a\x80\x86")


class Sequences(RuleBasedStateMachine):
    """Right and wrong PINs, resets, files and keys of a CPS3, beside a model of what is open.

    A key that may be used answers 6700 to data of a wrong length, which costs no RSA operation.
    """

    image: CardImage
    card: SoftwareCard

    cla = "00"
    new: Callable[[], CardImage] = staticmethod(cards.image)
    select_activity = "00 A4 09 0C 06 3F000001D120"
    select_application = "00 A4 09 0C 04 3F000001"
    choose_key = "00 22 41 A4 06 800102 840182"
    use_key = "00 88 00 00 67" + "00" * 103
    unblock = ("00 2C 02 01 04 31323334",)

    @initialize()
    def insert(self) -> None:
        self.image = once(self.new).copy()
        self.card = SoftwareCard(self.image)
        self.card.power_on()
        self.tries, self.puk_tries = 3, 10
        self.reset()

    def send(self, command: str) -> str:
        return self.card.execute(bytes.fromhex(command)).hex().upper()

    @rule()
    def reset(self) -> None:
        self.card.reset()
        if self.cla == "01":
            assert self.send(cards.OPEN_CPS4) == "9000"
        self.verified = self.puk_verified = False

    @rule()
    def give_the_right_pin(self) -> None:
        said = self.send(f"{self.cla} 20 00 01 04 31323334")
        assert said == ("9000" if self.tries else "6983")
        if self.tries:
            self.verified, self.tries = True, 3

    @rule()
    def give_a_wrong_pin(self) -> None:
        said = self.send(f"{self.cla} 20 00 01 04 39393939")
        if self.tries:
            self.tries -= 1
            self.verified = False
            assert said == f"63C{self.tries}"
        else:
            assert said == "6983"

    @rule()
    def give_the_right_puk(self) -> None:
        if self.puk_tries:
            assert self.send(f"{self.cla} 20 00 02 08 3132333435363738") == "9000"
            self.puk_verified, self.puk_tries = True, 10

    @rule()
    def give_a_wrong_puk(self) -> None:
        said = self.send(f"{self.cla} 20 00 02 08 3030303030303030")
        if self.puk_tries:
            self.puk_tries -= 1
            self.puk_verified = False
            assert said == f"63C{self.puk_tries:X}"
        else:
            assert said == "6983"

    @rule()
    def unblock_the_pin(self) -> None:
        said = [self.send(command) for command in self.unblock]
        assert said[0] == ("9000" if self.puk_verified else "6982")
        if self.puk_verified:
            self.tries = 3

    @rule()
    def read_an_activity(self) -> None:
        assert self.send(self.select_activity) == "9000"
        said = self.send(f"{self.cla} B0 00 00 01")
        assert said == ("EE9000" if self.verified else "6982")

    @rule()
    def try_the_key(self) -> None:
        assert self.send(self.select_application) == "9000"
        assert self.send(self.choose_key) == "9000"
        assert self.send(self.use_key) == ("6700" if self.verified else "6982")

    @precondition(lambda self: self.verified)
    @rule()
    def change_the_pin_to_the_same(self) -> None:
        assert self.send(f"{self.cla} 24 01 01 04 31323334") == "9000"

    @invariant()
    def the_counters_are_those_of_the_model(self) -> None:
        if hasattr(self, "tries"):
            assert [entry.tries_left for entry in self.image.reference_data] == [
                self.tries,
                self.puk_tries,
            ]


class CPS4Sequences(Sequences):
    """The same on a CPS4."""

    cla = "01"
    new = staticmethod(cards.cps4_image)
    select_activity = "01 A4 08 0C 04 0001D120"
    select_application = "01 A4 08 0C 02 0001"
    choose_key = "01 22 41 B8 03 830120"
    use_key = "01 2A 80 86 01 00 00"
    unblock = ("01 2C 03 81",)


@pytest.mark.parametrize("machine", [Sequences, CPS4Sequences], ids=["CPS3", "CPS4"])
def test_in_any_order_a_card_is_open_after_its_pin_and_not_before(
    machine: type[Sequences],
) -> None:
    limits = settings(max_examples=20, stateful_step_count=25, deadline=None)
    run_state_machine_as_test(machine, settings=limits)
