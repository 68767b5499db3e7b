"""What is read of a card from its file."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cps.atr import CardType
from cps.errors import CardDataError
from cps.simulator.image import CardImage
from cps.virtual.description import describe
from cps.virtual.holders import CardKind
from tests.support import cards, pki


def test_a_cps3_is_described_by_its_file_and_its_certificates(tmp_path: Path) -> None:
    image = cards.image()
    image.write(tmp_path / "card.json")

    card = describe(tmp_path / "card.json")

    assert card.name == "card"
    assert (card.generation, card.kind) == (CardType.CPS3, CardKind.CPS)
    assert (card.family_name, card.given_name, card.title) == ("EXEMPLE", "CAMILLE", "Médecin")
    assert card.national_id == pki.DOCTOR.national_id
    assert (card.card_number, card.serial) == (pki.CARD_NUMBER, cards.SERIAL)
    assert card.not_before == pki.CARDS_SINCE
    assert card.not_after == datetime(2029, 8, 15, 12, tzinfo=UTC)
    assert (card.tries_left, card.puk_tries_left) == (3, 10)
    assert card.certificate_serials == {
        "authentication": cards.certificate_of(image, "3F000001C002").serial_number,
        "signature": cards.certificate_of(image, "3F000001C001").serial_number,
        "technical": cards.certificate_of(image, "3F000002C003").serial_number,
    }


def test_a_cps4_has_two_certificates(tmp_path: Path) -> None:
    cards.cps4_image(pki.NURSE).write(tmp_path / "card.json")

    card = describe(tmp_path / "card.json")

    assert card.generation is CardType.CPS4
    assert card.title == "Infirmier"
    assert list(card.certificate_serials) == ["authentication", "signature"]


def _without_certificate(image: CardImage) -> None:
    image.files = [file for file in image.files if file.path[-2:] != b"\xc0\x02"]


def _with_another_file_as_certificate(image: CardImage) -> None:
    for file in image.files:
        if file.path[-2:] == b"\xc0\x02":
            file.content = b"no certificate"


def _without_pin(image: CardImage) -> None:
    image.reference_data = image.reference_data[1:]


@pytest.mark.parametrize(
    "spoil",
    [_without_certificate, _with_another_file_as_certificate, _without_pin],
    ids=["no certificate", "damaged certificate", "no PIN"],
)
def test_what_was_not_made_here_is_told(tmp_path: Path, spoil: object) -> None:
    image = cards.image()
    assert callable(spoil)
    spoil(image)
    image.write(tmp_path / "card.json")

    with pytest.raises(CardDataError, match="not a card made here"):
        describe(tmp_path / "card.json")
