"""Recorded dialogues of other programs with each kind of card, played to ours.

The card that was recorded had other keys, other files and another serial number. So the answers
are compared by their status word and their shape: as many bytes, or, in a file of another size, as
many as it has; the same tags where the answer is one data object. What depends on a key is asked
for our key.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import padding

from cps import tlv
from cps.simulator.card import Card
from cps.simulator.chip import SoftwareCard
from cps.simulator.faults import Fault, FaultKind, faulty_card
from cps.simulator.image import CardImage
from cps.simulator.personalise import Update
from tests.support import cards
from tests.support.shared import shared_file

TRANSCRIPTS = [
    "cps3-01-list-cold",
    "cps3-02-auth-sign-cold",
    "cps3-03-auth-sign-warm",
    "cps3-04-sig-sign",
    "cps3-05-decrypt",
    "cps3-06-pin-wrong-block-unblock",
    "cps3-07-pin-change",
    "cps3-08-removal",
    "cps3-09-data-objects",
    "cps3-10-auth-sign-cold-warm-exact",
    "minimal-cps3",
    "opensc-cps3",
    "cps3cl-01-list-and-sign",
    "cps3cl-02-sign-cold-warm",
    "minimal-cps3cl",
    "opensc-cps3cl",
    "cps4-01-list-cold",
    "cps4-02-auth-sign-cold",
    "cps4-03-sig-sign",
    "cps4-04-decrypt",
    "cps4-05-pin-wrong-block-unblock",
    "cps4-06-pin-change",
    "cps4-07-isd-first",
    "cps4-08-auth-sign-cold-warm",
    "minimal-cps4",
]
# Of these dialogues nothing is left out. One was recorded with a fault of the card.
FAULTS = {"cps4-07-isd-first": [Fault(kind=FaultKind.STUCK)]}

UPDATE = Update(
    begun=datetime(2026, 1, 1, 12, tzinfo=UTC), ended=datetime(2026, 1, 1, 12, 1, tzinfo=UTC)
)
# PSO DECIPHER in two parts, as a CPS3 and a CPS4 want it: where the cryptogram begins in each.
DECIPHER = {
    "cps3-05-decrypt": (bytes.fromhex("102A8086FF81"), bytes.fromhex("002A808602")),
    "opensc-cps3": (bytes.fromhex("102A8086FF81"), bytes.fromhex("002A808602")),
    "cps4-04-decrypt": (bytes.fromhex("112A8086FF"), bytes.fromhex("012A808601")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One recorded command with its answer, or an event."""

    line: int
    event: str | None
    command: bytes
    answer: bytes


def steps(name: str) -> Iterator[Step]:
    lines = shared_file(f"transcripts/{name}.jsonl").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        entry = json.loads(line)
        if "c" in entry or "event" in entry:
            yield Step(
                line=number,
                event=entry.get("event"),
                command=bytes.fromhex(entry.get("c", "")),
                answer=bytes.fromhex(entry.get("r", "")),
            )


def recorded_image(name: str) -> CardImage:
    """Return a card like the one recorded: one of them had been updated."""
    if "cps4" in name:
        return cards.cps4_image()
    return cards.image(update=UPDATE if name == "cps3-09-data-objects" else None)


def recorded_card(name: str) -> Card:
    def make(image: CardImage) -> Card:
        return SoftwareCard(image, contactless="cps3cl" in name)

    return faulty_card(recorded_image(name), FAULTS.get(name, []), make=make)


def for_our_key(name: str, command: bytes, cryptogram: bytes) -> bytes:
    """Return *command* with a cryptogram for our card's key in place of the recorded one."""
    if name in DECIPHER:
        first, last = DECIPHER[name]
        held = 260 - len(first)
        if command.startswith(first):
            return first + cryptogram[:held]
        if command.startswith(last):
            # On T=1 there is an Le behind the data.
            return last + cryptogram[held:] + command[len(last) + 256 - held :]
    return command


def tags(data: bytes) -> list[int]:
    """Return the tags of the data objects in *data*, inside ones too, in their order."""
    found: list[int] = []
    for item in tlv.iterate(data):
        found.append(item.tag)
        if item.constructed:
            found += tags(item.value)
    return found


def require_same_shape(step: Step, command: bytes, answer: bytes) -> None:
    where = f"line {step.line}: {command.hex().upper()}"
    recorded, given = step.answer[:-2], answer[:-2]
    assert answer[-2:].hex() == step.answer[-2:].hex(), where
    if command[1] == 0xB0:
        # A file of ours may be shorter than the one whose size the other program had been told.
        assert bool(given) == bool(recorded), where
        assert len(given) <= len(recorded), where
    else:
        assert len(given) == len(recorded), where
    if recorded[:1] in (b"\x62", b"\x6f", b"\x70"):
        assert tags(given) == tags(recorded), where


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_the_card_answers_a_recorded_dialogue_in_the_same_way(name: str) -> None:
    card = recorded_card(name)
    public_key = cards.authentication_key().public_key()
    cryptogram = public_key.encrypt(bytes(48), padding.PKCS1v15())
    events = {"power on": card.power_on, "power off": card.power_off, "reset": card.reset}
    exchanges = 0

    for step in steps(name):
        if step.event is not None:
            events[step.event]()
            continue
        command = for_our_key(name, step.command, cryptogram)
        answer = card.execute(command)
        exchanges += 1
        require_same_shape(step, command, answer)

    assert exchanges > 0


def test_every_recorded_dialogue_is_played_or_has_its_reason_here() -> None:
    folder = shared_file(f"transcripts/{TRANSCRIPTS[0]}.jsonl").parent
    missing = [file.stem for file in folder.glob("*.jsonl") if file.stem not in TRANSCRIPTS]

    assert missing == []
