"""What a person reads before typing the PIN."""

import pytest

from cps.agent.pin_entry import PINRequest
from cps.authtoken.catalogue import LANGUAGES

ORIGIN = "https://portal.example"


def pin_request(
    *,
    tries_left: int = 3,
    was_wrong: bool = False,
    length: tuple[int, int] | None = None,
    plain_http: bool = False,
    language: str = "fr",
) -> PINRequest:
    return PINRequest(
        origin=ORIGIN,
        label="Portail d’essai",
        holder="CAMILLE EXEMPLE",
        card_digits="5678",
        tries_left=tries_left,
        was_wrong=was_wrong,
        length=length,
        plain_http=plain_http,
        language=language,
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_portal_address_holder_card_and_tries_are_told(language: str) -> None:
    told = "\n".join(pin_request(language=language).lines())
    for fact in ("Portail d’essai", ORIGIN, "CAMILLE EXEMPLE", "5678", "3"):
        assert fact in told


def test_a_wrong_pin_is_told_only_after_one() -> None:
    assert "faux" in "\n".join(pin_request(was_wrong=True).plain_lines())
    assert "faux" not in "\n".join(pin_request().plain_lines())


@pytest.mark.parametrize(("length", "shown"), [((4, 4), " 4 chiffres"), ((4, 8), " 4–8 chiffres")])
def test_the_cards_own_length_is_told_after_another_was_typed(
    length: tuple[int, int], shown: str
) -> None:
    assert shown in "\n".join(pin_request(length=length).plain_lines())


def test_an_unencrypted_portal_is_told_first() -> None:
    assert "DÉVELOPPEMENT" in pin_request(plain_http=True).plain_lines()[0]
    assert "DÉVELOPPEMENT" not in "\n".join(pin_request().plain_lines())


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_blocked_card_is_told_with_the_way_out(language: str) -> None:
    told = "\n".join(pin_request(language=language).blocked_lines())
    for fact in ("PUK", "cps card pin unblock", "esante.gouv.fr", "CAMILLE EXEMPLE"):
        assert fact in told
