"""The catalogue's texts of `cps card`: complete, proper French, each of them used."""

import re
from pathlib import Path

from cps.authtoken.catalogue import catalogue
from cps.card.contents import read_contents
from cps.card_commands.reading import Value, description_of
from cps.simulator.personalise import Update
from tests.support import cards, pki
from tests.unit.cps.card_commands.around import READER, Desk

TABLES = ("card_command", "card_kind", "card_readers", "card_doctor", "card_pin", "card_trace")
KEYS = sorted(key for key in catalogue() if key.startswith("card_") and "card_type" not in key)
NO_BREAK = "\u00a0"
SOURCES = Path(__file__).parents[4] / "cps" / "card_commands"


def test_french_has_its_typography() -> None:
    plain_space = re.compile(r" [;:?!»]|« ")
    no_space = re.compile(rf"[^{NO_BREAK}][;:?!](\s|$)")
    straight = re.compile(r"'|\.\.\.")
    wrong = [
        key
        for key in KEYS
        if any(form.search(catalogue()[key]["fr"]) for form in (plain_space, no_space, straight))
    ]
    assert KEYS
    assert wrong == []


def test_both_languages_fill_the_same_places() -> None:
    def places(key: str, language: str) -> set[str]:
        return set(re.findall(r"{(\w*)}", catalogue()[key][language]))

    assert [key for key in KEYS if places(key, "fr") != places(key, "en")] == []


def test_every_text_is_used() -> None:
    read = "".join(file.read_text(encoding="utf-8") for file in SOURCES.glob("*.py"))
    sources = read.replace("'", '"')
    kinds = {"cps3", "cps4", "cps3-contactless", "other"}
    unused = [
        key
        for key in KEYS
        if key.partition(".")[0] in TABLES
        and f'"{key}"' not in sources
        and f'"{key.partition(".")[2]}"' not in sources
        and key.partition(".")[2] not in kinds
    ]
    assert unused == []


def test_every_value_that_a_card_shows_has_a_name_and_no_other_has() -> None:
    image = cards.image(update=Update(begun=pki.NOW, ended=pki.NOW))
    desk = Desk(image)
    connection = desk.terminal.connect(READER)
    description = description_of(
        read_contents(connection), desk.terminal.readers()[0], t0=connection.t0
    )
    named = {key.partition(".")[2] for key in KEYS if key.startswith("card_read.")}
    assert named == set(_names(description)) | {"yes", "no", "nothing", "pair"}


def _names(value: Value) -> list[str]:
    if isinstance(value, dict):
        return [name for key, entry in value.items() for name in (key, *_names(entry))]
    if isinstance(value, list):
        return [name for entry in value for name in _names(entry)]
    return []
