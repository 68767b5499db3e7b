import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from cps.errors import CardDataError
from cps.issuer.folder import AuthorityFolder
from cps.issuer.hierarchy import HierarchyKeys
from cps.issuer.numbers import luhn_digit
from cps.simulator.image import CardImage
from cps.simulator.personalise import AUTHENTICATION_CERTIFICATE
from cps.virtual.store import VirtualCardError, VirtualCards
from tests.support import cards, pki


@pytest.fixture
def authority(tmp_path: Path) -> AuthorityFolder:
    keys = HierarchyKeys(root=pki.key("ours root"), intermediate=pki.key("ours intermediate"))
    return AuthorityFolder.create(tmp_path / "authority", now=pki.NOW, keys=keys)


@pytest.fixture
def virtual(tmp_path: Path) -> VirtualCards:
    return VirtualCards(tmp_path / "cards", clock=lambda: pki.NOW, keys=three_keys())


def three_keys() -> Callable[[], rsa.RSAPrivateKey]:
    """Return a maker of keys that makes the same three again and again, which takes no time."""
    count = 0

    def next_key() -> rsa.RSAPrivateKey:
        nonlocal count
        count += 1
        return pki.key(f"virtual {count % 3}")

    return next_key


def make(virtual: VirtualCards, authority: AuthorityFolder, **changes: object) -> Path:
    values: dict[str, object] = {
        "family_name": "Démo-Exemple",
        "given_name": "Élodie",
        "profession": 60,
    }
    return virtual.new(authority, **(values | changes))  # type: ignore[arg-type]


def certificate_of(path: Path) -> x509.Certificate:
    content = CardImage.read(path).content(AUTHENTICATION_CERTIFICATE)
    return x509.load_der_x509_certificate(content)


def test_a_new_card_is_a_file_for_its_owner_alone(
    virtual: VirtualCards, authority: AuthorityFolder, tmp_path: Path
) -> None:
    path = make(virtual, authority)

    assert path == tmp_path / "cards" / "demo-exemple-elodie.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_certificate_names_the_holder_and_is_issued_by_the_authority(
    virtual: VirtualCards, authority: AuthorityFolder
) -> None:
    certificate = certificate_of(make(virtual, authority))
    subject = {attribute.oid: attribute.value for attribute in certificate.subject}

    certificate.verify_directly_issued_by(authority.hierarchy.intermediate.certificate)
    assert subject[x509.NameOID.SURNAME] == "Démo-Exemple"
    assert subject[x509.NameOID.GIVEN_NAME] == "Élodie"
    assert subject[x509.NameOID.TITLE] == "Infirmier"
    assert certificate.not_valid_before_utc == pki.NOW


def test_numbers_are_of_nobody_and_pass_their_checks(
    virtual: VirtualCards, authority: AuthorityFolder
) -> None:
    make(virtual, authority)
    [card] = virtual.cards()

    assert card.national_id.startswith("89990")
    assert luhn_digit(card.national_id[1:-1]) == card.national_id[-1]
    assert card.card_number.startswith("2899")
    assert len(card.card_number) == 10
    assert {entry.card_number for entry in authority.issued()} == {card.card_number}


def test_a_given_rpps_number_is_used(virtual: VirtualCards, authority: AuthorityFolder) -> None:
    make(virtual, authority, rpps="99900000011")

    assert virtual.cards()[0].national_id == "899900000011"


def test_two_cards_of_one_name_are_two_cards(
    virtual: VirtualCards, authority: AuthorityFolder
) -> None:
    first, second = make(virtual, authority), make(virtual, authority)

    assert (first.stem, second.stem) == ("demo-exemple-elodie", "demo-exemple-elodie-2")
    assert len({card.card_number for card in virtual.cards()}) == 2


def test_a_name_without_a_letter_we_can_write_is_called_card(
    virtual: VirtualCards, authority: AuthorityFolder
) -> None:
    assert make(virtual, authority, family_name="李", given_name="明").stem == "card"


def test_the_pin_is_the_one_asked_for(virtual: VirtualCards, authority: AuthorityFolder) -> None:
    card = cards.powered_card(CardImage.read(make(virtual, authority, pin="4321")))

    assert cards.send(card, "00 20 00 01 04 31323334") == "63C2"
    assert cards.send(card, "00 20 00 01 04 34333231") == "9000"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"profession": 9999}, "no profession has the code 9999"),
        ({"rpps": "9990000001"}, "has 11 digits"),
        ({"rpps": "9990000001x"}, "has 11 digits"),
        ({"rpps": "99900000012"}, "check digit is wrong"),
        ({"pin": "123"}, "a PIN has 4 digits"),
        ({"pin": "12345"}, "a PIN has 4 digits"),
        ({"pin": "123x"}, "a PIN has 4 digits"),
        ({"puk": "1234567"}, "a PUK has 8 digits"),
        ({"family_name": ""}, "family name has 1 to"),
        ({"family_name": " A"}, "family name has 1 to"),
        ({"given_name": "A" * 61}, "given name has 1 to"),
        ({"given_name": "A\nB"}, "given name has 1 to"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_no_card_can_have_is_refused_before_anything_is_issued(
    virtual: VirtualCards, authority: AuthorityFolder, change: dict[str, object], text: str
) -> None:
    with pytest.raises(VirtualCardError, match=text):
        make(virtual, authority, **change)

    assert authority.issued() == ()
    assert virtual.cards() == []


def test_the_list_shows_what_is_left_of_the_pin(
    virtual: VirtualCards, authority: AuthorityFolder
) -> None:
    path = make(virtual, authority)
    with CardImage.open(path) as image:
        cards.send(cards.powered_card(image), "00 20 00 01 04 39393939")

    [card] = virtual.cards()

    assert (card.name, card.tries_left) == (path.stem, 2)


def test_a_file_that_is_no_card_made_here_is_told(
    virtual: VirtualCards, authority: AuthorityFolder
) -> None:
    path = make(virtual, authority)
    image = CardImage.read(path)
    image.files = [file for file in image.files if file.path != AUTHENTICATION_CERTIFICATE]
    path.unlink()
    image.write(path)

    with pytest.raises(CardDataError, match="not a card made here"):
        virtual.cards()


def test_a_folder_that_is_not_there_holds_no_card(virtual: VirtualCards) -> None:
    assert virtual.cards() == []


@pytest.mark.parametrize("name", ["none", "", "../cards/demo-a", "a/b", ".", "A", "-", "a-"])
def test_a_card_is_found_by_its_name_and_by_no_path(
    virtual: VirtualCards, authority: AuthorityFolder, name: str
) -> None:
    path = make(virtual, authority, family_name="Demo", given_name="A")

    assert virtual.path("demo-a") == path
    with pytest.raises(VirtualCardError, match="no card"):
        virtual.path(name)
