"""What all pages share: the banners and the language."""

from pathlib import Path

import pytest

from tests.support.gateway_fakes import ORIGIN, FakedGateway, make_gateway, make_settings

TEST_BANNER = "Environnement de test"
PLAIN_BANNER = "n’est pas chiffrée"
PAGES = ["/_cps/login", "/_cps/logout", "/_cps/session", "/_cps/nothing"]


@pytest.mark.parametrize("path", PAGES)
def test_production_shows_no_banner(gateway: FakedGateway, path: str) -> None:
    text = gateway.browser().open(path).text
    assert TEST_BANNER not in text
    assert PLAIN_BANNER not in text


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    ("origin", "is_plain"),
    [(ORIGIN, False), ("http://127.0.0.1:8080", True)],
    ids=["https", "http"],
)
def test_test_environment_shows_on_every_page(
    tmp_path: Path, path: str, origin: str, *, is_plain: bool
) -> None:
    gateway = make_gateway(tmp_path, make_settings(tmp_path, origin=origin, environment="test"))
    text = gateway.browser().open(path).text
    assert TEST_BANNER in text
    assert (PLAIN_BANNER in text) is is_plain


@pytest.mark.parametrize("accepted", ["de", "", "x" * 5000, "fr;q=0.1,en;q=0"])
def test_french_is_spoken_where_nothing_better_is_known(
    gateway: FakedGateway, accepted: str
) -> None:
    answer = gateway.browser().open("/_cps/logout", {"Accept-Language": accepted})
    assert '<html lang="fr">' in answer.text
