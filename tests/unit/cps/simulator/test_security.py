"""The counters that outlive the process, on every card."""

import hmac
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from tests.support import cards

PIN, PUK = 0, 1
# A process that is killed at the moment when the digits would be compared.
KILLED = """
import hmac, os, signal, sys
from pathlib import Path
from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage

card = SoftwareCard(CardImage.open(Path(sys.argv[1])))
card.power_on()
hmac.compare_digest = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
for command in sys.argv[2:]:
    card.execute(bytes.fromhex(command))
"""

Generation = tuple[Callable[[], CardImage], str]


@pytest.fixture(params=["cps3", "cps4"])
def generation(request: pytest.FixtureRequest) -> Generation:
    """Give a maker of cards and the class of their commands."""
    return (cards.image, "00") if request.param == "cps3" else (cards.cps4_image, "01")


@pytest.fixture
def path(tmp_path: Path, generation: Generation) -> Path:
    generation[0]().write(tmp_path / "card.json")
    return tmp_path / "card.json"


@pytest.fixture
def verify(generation: Generation) -> str:
    return f"{generation[1]} 20 00 01 04"


def opened(image: CardImage, verify: str) -> SoftwareCard:
    """Return a card that takes the PIN: a CPS4 once its application is selected."""
    card = cards.powered_card(image)
    if verify.startswith("01"):
        assert cards.send(card, cards.OPEN_CPS4) == "9000"
    return card


def tries_left(path: Path, which: int = PIN) -> int:
    return CardImage.read(path).reference_data[which].tries_left


def test_a_try_is_on_the_disk_before_the_digits_are_compared(
    path: Path, verify: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def die(*_: object) -> bool:
        # As if the process were killed here.
        seen.append(tries_left(path))
        raise KeyboardInterrupt

    with CardImage.open(path) as image:
        card = opened(image, verify)
        monkeypatch.setattr(hmac, "compare_digest", die)
        with pytest.raises(KeyboardInterrupt):
            cards.send(card, f"{verify} 31323334")

    assert seen == [2]
    assert tries_left(path) == 2


@pytest.mark.parametrize(("reference", "digits"), [(1, "31323334"), (2, "3132333435363738")])
def test_killing_the_process_in_the_middle_of_verify_gives_no_try_back(
    path: Path, generation: Generation, reference: int, digits: str
) -> None:
    cla = generation[1]
    verify = f"{cla}2000{reference:02X}{len(digits) // 2:02X}{digits}"
    before = tries_left(path, reference - 1)
    commands = [cards.OPEN_CPS4.replace(" ", "")] * (cla == "01") + [verify]

    process = subprocess.run([sys.executable, "-c", KILLED, str(path), *commands], check=False)

    assert process.returncode == -signal.SIGKILL
    assert tries_left(path, reference - 1) == before - 1
    CardImage.open(path).close()


@pytest.mark.parametrize(
    ("command", "which"),
    [
        ("00240001 08 31323334 34333231", PIN),
        ("002C0001 10 3132333435363738 34333231FFFFFFFF", PUK),
    ],
    ids=["change", "unblock"],
)
def test_killing_the_process_where_a_code_comes_with_a_new_one_gives_no_try_back(
    tmp_path: Path, command: str, which: int
) -> None:
    path = tmp_path / "card.json"
    cards.image().write(path)
    before = tries_left(path, which)

    process = subprocess.run([sys.executable, "-c", KILLED, str(path), command], check=False)

    assert process.returncode == -signal.SIGKILL
    assert tries_left(path, which) == before - 1
    assert CardImage.read(path).reference_data[PIN].digits == cards.PIN


def test_where_a_try_cannot_be_stored_nothing_is_compared(
    path: Path, verify: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CardImage.open(path) as image:
        card = opened(image, verify)
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", refuse)
            assert cards.send(card, f"{verify} 31323334") == "6581"
        assert cards.send(card, verify[:-3]) == "63C2"


def refuse(descriptor: int) -> None:
    raise OSError("no room")


def test_where_a_new_pin_cannot_be_stored_the_old_one_stays(
    path: Path, generation: Generation, verify: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CardImage.open(path) as image:
        card = opened(image, verify)
        assert cards.send(card, f"{verify} 31323334") == "9000"
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", refuse)
            assert cards.send(card, f"{generation[1]} 24 01 01 04 34333231") == "6581"
        assert cards.send(card, f"{verify} 31323334") == "9000"


def test_where_unblocking_cannot_be_stored_the_pin_stays_blocked(
    path: Path, generation: Generation, verify: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cla = generation[1]
    unblock = "00 2C 03 01" if cla == "00" else "01 2C 03 81"
    with CardImage.open(path) as image:
        card = opened(image, verify)
        for _ in range(3):
            cards.send(card, f"{verify} 39393939")
        assert cards.send(card, f"{cla} 20 00 02 08 3132333435363738") == "9000"
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", refuse)
            assert cards.send(card, unblock) == "6581"
        assert cards.send(card, f"{verify} 31323334") == "6983"


def test_tries_outlive_the_process(path: Path, verify: str) -> None:
    for expected in ("63C2", "63C1", "63C0", "6983"):
        with CardImage.open(path) as image:
            assert cards.send(opened(image, verify), f"{verify} 39393939") == expected
