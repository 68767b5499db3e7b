import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from cps.atr import CardType
from cps.errors import CardBusyError, CardDataError
from cps.issuer import oids
from cps.issuer.folder import AuthorityFolder
from cps.issuer.hierarchy import HierarchyKeys
from cps.issuer.numbers import luhn_digit
from cps.simulator.image import CardImage
from cps.simulator.personalise import AUTHENTICATION_CERTIFICATE
from cps.virtual.holders import CardKind
from cps.virtual.store import VirtualCardError, VirtualCards
from tests.support import cards, pki

VERIFY = "00 20 00 01 04 31323334"


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


@pytest.mark.parametrize("kind", list(CardKind))
def test_the_certificate_says_what_kind_of_card_it_is(
    virtual: VirtualCards, authority: AuthorityFolder, kind: CardKind
) -> None:
    profession = {CardKind.CPS: 60, CardKind.CPF: 10}.get(kind)
    certificate = certificate_of(make(virtual, authority, kind=kind, profession=profession))

    extension = certificate.extensions.get_extension_for_oid(oids.CARD_TYPE).value
    assert extension.public_bytes()[-1] == kind.code
    [card] = virtual.cards()
    assert card.kind is kind


def test_a_cps4_has_the_same_certificates_but_the_technical_one(
    virtual: VirtualCards, authority: AuthorityFolder
) -> None:
    path = make(virtual, authority, generation=CardType.CPS4)

    assert CardImage.read(path).card is CardType.CPS4
    card = virtual.card(path.stem)
    assert card.generation is CardType.CPS4
    assert list(card.certificate_serials) == ["authentication", "signature"]


def test_validity_is_the_one_asked_for(virtual: VirtualCards, authority: AuthorityFolder) -> None:
    begin, end = pki.NOW - timedelta(days=30), pki.NOW - timedelta(days=1)
    certificate = certificate_of(make(virtual, authority, not_before=begin, not_after=end))

    assert (certificate.not_valid_before_utc, certificate.not_valid_after_utc) == (begin, end)


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
        ({"rpps": "99900000012"}, "check digit is wrong"),
        ({"pin": "123"}, "a PIN has 4 digits"),
        ({"pin": "12345"}, "a PIN has 4 digits"),
        ({"pin": "123x"}, "a PIN has 4 digits"),
        ({"puk": "1234567"}, "a PUK has 8 digits"),
        ({"family_name": ""}, "family name has 1 to"),
        ({"kind": CardKind.CPE}, "a CPE names neither"),
        ({"not_after": pki.NOW}, "a later moment"),
        ({"not_before": pki.NOW, "not_after": pki.NOW - timedelta(days=1)}, "a later moment"),
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


def test_a_blocked_card_takes_no_pin_until_it_is_unblocked(
    virtual: VirtualCards, authority: AuthorityFolder
) -> None:
    path = make(virtual, authority)

    virtual.block(path.stem)
    assert cards.send(cards.powered_card(CardImage.read(path)), VERIFY) == "6983"
    assert virtual.card(path.stem).puk_tries_left == 10

    virtual.unblock(path.stem)
    assert cards.send(cards.powered_card(CardImage.read(path)), VERIFY) == "9000"


def test_unblocking_gives_the_tries_of_the_puk_back_too(
    virtual: VirtualCards, authority: AuthorityFolder
) -> None:
    path = make(virtual, authority)
    with CardImage.open(path) as image:
        cards.send(cards.powered_card(image), "00 20 00 02 08 3030303030303030")
    assert virtual.card(path.stem).puk_tries_left == 9

    virtual.unblock(path.stem)

    assert virtual.card(path.stem).puk_tries_left == 10


def test_a_card_that_runs_is_not_changed_behind_its_back(
    virtual: VirtualCards, authority: AuthorityFolder
) -> None:
    path = make(virtual, authority)

    with CardImage.open(path):
        for change in (virtual.block, virtual.unblock, virtual.delete):
            with pytest.raises(CardBusyError):
                change(path.stem)

    assert virtual.card(path.stem).tries_left == 3


def test_a_revoked_card_is_in_the_next_list_with_all_its_certificates(
    virtual: VirtualCards, authority: AuthorityFolder
) -> None:
    path = make(virtual, authority)
    serials = set(virtual.card(path.stem).certificate_serials.values())

    count = virtual.revoke(path.stem, authority, x509.ReasonFlags.key_compromise)

    crl = authority.read_list("intermediate.crl")
    assert count == len(serials) == 3
    assert {entry.serial_number for entry in crl} == serials
    with pytest.raises(VirtualCardError, match="is revoked already"):
        virtual.revoke(path.stem, authority)


def test_only_the_authority_that_issued_a_card_revokes_it(
    virtual: VirtualCards, authority: AuthorityFolder, tmp_path: Path
) -> None:
    path = make(virtual, authority)
    keys = HierarchyKeys(root=pki.key("foreign root"), intermediate=pki.key("foreign intermediate"))
    other = AuthorityFolder.create(tmp_path / "other", now=pki.NOW, keys=keys)

    with pytest.raises(VirtualCardError, match="did not issue"):
        virtual.revoke(path.stem, other)


def test_a_deleted_card_is_gone(virtual: VirtualCards, authority: AuthorityFolder) -> None:
    path = make(virtual, authority)

    virtual.delete(path.stem)

    assert list(path.parent.iterdir()) == []
    with pytest.raises(VirtualCardError, match="no card"):
        virtual.delete(path.stem)


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
