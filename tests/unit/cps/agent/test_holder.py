"""The name that a person is shown before the PIN."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cps.agent.holder import MAX_HOLDER_CHARACTERS, read_holder
from cps.errors import CardDataError
from tests.support import pki
from tests.unit.cps.card.test_certificate import NAMED_IN_BITS, OF_NO_VERSION, Damage


def test_given_name_and_surname_are_shown() -> None:
    assert read_holder(pki.der(pki.leaf(pki.NURSE, serial=7))) == "ÉLODIE MODELE-DUPONT"


def test_control_characters_never_reach_a_terminal() -> None:
    certificate = pki.leaf(serial=8)
    der = pki.patched(certificate, b"CAMILLE", b"\x1b[2JMIL")
    shown = read_holder(der)
    assert shown.isprintable()
    assert shown.endswith("EXEMPLE")


def test_the_name_is_bounded() -> None:
    assert len(read_holder(pki.der(pki.leaf(serial=9)))) <= MAX_HOLDER_CHARACTERS


@pytest.mark.parametrize("cut", [0, 1, 10, 400])
def test_a_cut_certificate_is_refused(cut: int) -> None:
    with pytest.raises(CardDataError):
        read_holder(pki.der(pki.leaf(serial=5))[:cut])


@pytest.mark.parametrize("damage", [OF_NO_VERSION, NAMED_IN_BITS], ids=["version", "name"])
def test_a_certificate_that_the_library_cannot_read_is_card_data(damage: Damage) -> None:
    der = pki.der(pki.leaf())
    assert der.replace(*damage) != der
    with pytest.raises(CardDataError):
        read_holder(der.replace(*damage))


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 2000), byte=st.integers(0, 0xFF))
def test_any_other_byte_makes_another_name_or_card_data(at: int, byte: int) -> None:
    der = bytearray(pki.der(pki.leaf()))
    der[at % len(der)] = byte
    with suppress(CardDataError):
        assert read_holder(bytes(der)).isprintable()


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_anything_else_is_refused_as_card_data(raw: bytes) -> None:
    with pytest.raises(CardDataError):
        read_holder(raw)
