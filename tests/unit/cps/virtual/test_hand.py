"""A card in a test's hand."""

from pathlib import Path

import pytest

from cps.errors import CardBusyError, CardMuteError
from cps.issuer.folder import AuthorityFolder
from cps.issuer.hierarchy import HierarchyKeys
from cps.virtual.hand import CardInHand
from cps.virtual.store import TEST_PIN, TEST_PUK, VirtualCards
from tests.support import pki

STATUS = bytes.fromhex("0020000100")


@pytest.fixture
def hand(tmp_path: Path) -> CardInHand:
    keys = HierarchyKeys(root=pki.key("ours root"), intermediate=pki.key("ours intermediate"))
    authority = AuthorityFolder.create(tmp_path / "authority", now=pki.NOW, keys=keys)
    store = VirtualCards(
        tmp_path / "cards", clock=lambda: pki.NOW, keys=lambda: pki.key("card authentication")
    )
    path = store.new(authority, family_name="EXEMPLE", given_name="CAMILLE", profession=10)
    return CardInHand(
        path=path, pin=TEST_PIN, puk=TEST_PUK, pin_file=tmp_path / "pin", authority=authority
    )


def test_it_is_opened_once_at_a_time_and_let_go(hand: CardInHand) -> None:
    with hand.opened() as card:
        card.power_on()
        assert card.execute(STATUS) == b"\x63\xc3"
        with pytest.raises(CardBusyError), hand.opened():
            pass

    with hand.opened(contactless=True) as card:
        assert not card.t0


def test_faults_are_named_as_on_the_command_line(hand: CardInHand) -> None:
    with hand.opened("mute@2") as card:
        card.power_on()
        card.execute(STATUS)
        with pytest.raises(CardMuteError):
            card.execute(STATUS)
    with pytest.raises(ValueError, match="is no fault"), hand.opened("melted"):
        pass


def test_its_state_is_the_files(hand: CardInHand) -> None:
    hand.block()
    assert hand.details.tries_left == 0
    hand.unblock()
    assert hand.details.tries_left == 3

    hand.revoke()
    assert all(entry.revoked_at is not None for entry in hand.authority.issued())
