"""Everything that a card shows, as values and as lines."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from cps.card.contents import CertificateFile, PublicKeyFile, read_contents
from cps.card_commands.reading import Value, description_of, lines_of, printable
from cps.pkcs15.description import PublicKeyEntry
from cps.pkcs15.directory import CertificateEntry
from cps.simulator.image import CardImage
from cps.simulator.personalise import Update
from tests.support import cards, pki
from tests.unit.cps.card.test_certificate import NAMED_IN_BITS, OF_NO_VERSION, Damage
from tests.unit.cps.card_commands.around import READER, Desk


def described(image: CardImage, *, t0: bool = True) -> dict[str, Value]:
    desk = Desk(image, t0=t0)
    (reader,) = desk.terminal.readers()
    connection = desk.terminal.connect(READER)
    return description_of(read_contents(connection), reader, t0=connection.t0)


def entries(description: dict[str, Value], name: str) -> list[dict[str, Value]]:
    found = description[name]
    assert isinstance(found, list)
    return [entry for entry in found if isinstance(entry, dict)]


@pytest.mark.parametrize(
    ("make", "kind", "label", "t0"),
    [
        pytest.param(cards.image, "cps3", "CPS3", True, id="CPS3"),
        pytest.param(cards.cps4_image, "cps4", "CPS4", False, id="CPS4"),
    ],
)
def test_the_card_is_described(
    make: Callable[[], CardImage], kind: str, label: str, t0: bool
) -> None:
    description = described(make(), t0=t0)
    assert (description["kind"], description["serial"]) == (kind, cards.SERIAL)
    assert description["protocol"] == ("T=0" if t0 else "T=1")
    token = description["token"]
    assert isinstance(token, dict)
    assert str(token["label"]).startswith(label)
    assert [pin["tries_left"] for pin in entries(description, "pins")] == [3, 10]
    assert [pin["is_puk"] for pin in entries(description, "pins")] == [False, True]
    assert [key["bits"] for key in entries(description, "public_keys")] == [2048, 2048]
    signature, authentication = entries(description, "private_keys")
    assert signature["usage"] == "non repudiation"
    assert str(authentication["usage"]).startswith("decipher, sign")
    assert description["faults"] == []


def test_certificates_are_decoded() -> None:
    image = cards.image()
    _, authentication = entries(described(image), "certificates")
    certificate = cards.certificate_of(image, "3F000001C002")
    assert authentication["subject"] == certificate.subject.rfc4514_string()
    assert authentication["serial_number"] == f"{certificate.serial_number:X}"
    assert authentication["not_after"] == certificate.not_valid_after_utc.isoformat()
    assert authentication["key"] == "RSA 2048"


@pytest.mark.parametrize("damage", [OF_NO_VERSION, NAMED_IN_BITS], ids=["version", "name"])
def test_a_certificate_that_cannot_be_read_has_no_values(damage: Damage) -> None:
    image = cards.image()
    for file in image.files:
        if file.content is not None:
            file.content = file.content.replace(*damage)
    for certificate in entries(described(image), "certificates"):
        assert set(certificate) == {"label", "id", "content"}
        assert certificate["content"] is None


def test_data_behind_the_pin_is_named_alone() -> None:
    by_label = {entry["label"]: entry for entry in entries(described(cards.image()), "data")}
    assert by_label["CPS_NAME_PS"]["content"]
    assert by_label["CPS_ACTIVITY_01_PS"] == {
        "label": "CPS_ACTIVITY_01_PS",
        "path": "3f000001d120",
        "private": True,
        "content": None,
    }


def test_the_last_update_is_told() -> None:
    image = cards.image(update=Update(begun=pki.NOW, ended=pki.NOW))
    updated = described(image)["updated"]
    assert isinstance(updated, dict)
    assert set(updated) == {"begun", "ended"}


def test_a_description_is_json() -> None:
    description = described(cards.image())
    assert json.loads(json.dumps(description)) == description


def test_what_a_file_holds_and_nobody_understands_is_nothing() -> None:
    desk = Desk()
    connection = desk.terminal.connect(READER)
    contents = read_contents(connection)
    entry = PublicKeyEntry(label="odd", id=b"1", path=b"12")
    certificate = CertificateEntry(label="odd", id=b"1", path=b"12")
    odd = replace(
        contents,
        public_keys=(
            PublicKeyFile(entry=entry, content=b"\x30\x00"),
            PublicKeyFile(entry=entry, content=None),
        ),
        certificates=(
            CertificateFile(entry=certificate, content=b"\x30\x00"),
            CertificateFile(entry=certificate, content=None),
        ),
        token=None,
    )
    description = description_of(odd, desk.terminal.readers()[0], t0=True)
    assert [key["bits"] for key in entries(description, "public_keys")] == [None, None]
    assert [each["content"] for each in entries(description, "certificates")] == [None, None]
    assert description["token"] is None


# Lines.


@pytest.mark.parametrize(
    ("language", "line"),
    [
        pytest.param("fr", "Numéro de série de la puce\u00a0: 28000001", id="French"),
        pytest.param("en", "Serial number of the chip: 28000001", id="English"),
    ],
)
def test_the_names_of_values_are_in_the_persons_language(language: str, line: str) -> None:
    assert line in list(lines_of(described(cards.image()), language))


def test_lists_are_counted_and_their_entries_marked() -> None:
    lines = list(lines_of({"pins": [{"label": "one", "is_puk": True}, {"label": ""}]}, "en"))
    assert lines == [
        "Codes: 2",
        "  - Name: one",
        "    Unblocking code: yes",
        "  - Name: nothing",
    ]


def test_entries_within_entries_are_further_in() -> None:
    lines = list(lines_of({"token": {"algorithms": [], "label": None}}, "fr"))
    assert lines == ["Jeton", "  Algorithmes\u00a0: 0", "  Nom\u00a0: rien"]


def test_a_card_cannot_steer_the_terminal() -> None:
    lines = list(lines_of({"faults": ["\x1b[2J\u202eevil"]}, "en"))
    assert lines == ["Not readable: 1", "  - \ufffd[2J\ufffdevil"]
    assert printable("É ’\u00a0") == "É ’\ufffd"
