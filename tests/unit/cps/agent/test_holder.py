"""The name that a person is shown before the PIN."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cps.agent.holder import MAX_HOLDER_CHARACTERS, read_holder
from cps.errors import CardDataError
from tests.support import pki


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


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_anything_else_is_refused_as_card_data(raw: bytes) -> None:
    with pytest.raises(CardDataError):
        read_holder(raw)
