from pathlib import Path

from gateway.trust.revocation_places import RevocationPlaces, authority_of, list_slots
from tests.support import pki
from tests.support.revocation_folder import AUTHORITIES, CARDS, CARDS_DELTA, RevocationFolder


def test_every_list_has_a_slot(tmp_path: Path) -> None:
    file = tmp_path / "a.crl"
    folder = RevocationFolder(tmp_path, files=[file], cards=[CARDS, "http://mirror.example/"])
    ours = pki.hierarchy()
    found = {slot.label: slot for slot in list_slots(folder.settings.trust, folder.store)}
    assert set(found) == {str(file), CARDS, CARDS_DELTA, AUTHORITIES}
    assert (found[str(file)].file, found[str(file)].addresses) == (file, ())
    assert (found[str(file)].authority, found[str(file)].delta) == (None, None)
    assert found[CARDS].addresses == (CARDS, "http://mirror.example/")
    assert (found[CARDS].authority, found[CARDS].delta) == (ours.intermediate.certificate, False)
    assert found[CARDS_DELTA].delta is True
    assert found[AUTHORITIES].authority == ours.root.certificate
    assert len({slot.name for slot in found.values()}) == 4


def test_the_name_of_a_slot_depends_on_where_its_list_comes_from_alone(tmp_path: Path) -> None:
    first = RevocationFolder(tmp_path).slot(CARDS)
    second = RevocationFolder(tmp_path, cards=[CARDS, CARDS_DELTA], delta=(), ocsp=()).slot(CARDS)
    assert first.name == second.name
    complete = RevocationFolder(tmp_path, cards=[CARDS_DELTA], delta=()).slot(CARDS_DELTA)
    assert complete.name != RevocationFolder(tmp_path).slot(CARDS_DELTA).name


def test_names_are_those_of_files_whatever_an_address_has_in_it(tmp_path: Path) -> None:
    folder = RevocationFolder(tmp_path, cards=["http://a.example/../../etc/passwd?x=/"])
    places = RevocationPlaces.of(folder.settings)
    for slot in list_slots(folder.settings.trust, folder.store):
        for path in (places.table(slot.name), places.original(slot.name)):
            assert path.parent == folder.settings.state_dir / "revocation"


def test_an_authority_is_found_by_its_file(tmp_path: Path) -> None:
    folder = RevocationFolder(tmp_path)
    trust = folder.settings.trust
    for file, authority in (
        (trust.anchors[0], pki.hierarchy().root),
        (trust.intermediates[0], pki.hierarchy().intermediate),
    ):
        assert authority_of(file, trust, folder.store) == authority.certificate


def test_the_socket_is_where_sockets_are(tmp_path: Path) -> None:
    folder = RevocationFolder(tmp_path)
    assert folder.places.socket.parent == folder.settings.runtime_dir
