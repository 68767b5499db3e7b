from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cps.demo import people
from cps.demo.portal import create_portal
from cps.portal.assertion import AssertionVerifier, Professional
from cps.portal.errors import AssertionRefusedError


class FakeVerifier(AssertionVerifier):
    """Believes one text and no other."""

    def __init__(self) -> None:
        super().__init__("https://gateway.invalid", "https://gateway.invalid")

    def require_professional(self, assertion: str | None) -> Professional:
        if assertion != "genuine":
            raise AssertionRefusedError("not genuine")
        return Professional(
            national_id="899900000017",
            given_name="CAMILLE",
            family_name="<b>ESSAI</b>",
            card_type="CPS",
        )


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[FlaskClient]:
    database = tmp_path / "insured.sqlite"
    people.create_database(database)
    with create_portal(database=database, verifier=FakeVerifier()).test_client() as client:
        yield client


def get(portal: FlaskClient, path: str) -> str:
    return portal.get(path, headers={"X-CPS-Assertion": "genuine"}).get_data(as_text=True)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="around the gateway"),
        pytest.param({"X-CPS-Subject": "899900000017", "X-CPS-Name": "X"}, id="bare headers"),
        pytest.param({"X-CPS-Assertion": "forged"}, id="forged"),
    ],
)
def test_nobody_comes_in_without_the_signed_assertion(
    portal: FlaskClient, headers: dict[str, str]
) -> None:
    insured = next(people.made_up_people())
    answer = portal.get(f"/?numero={insured.nir}", headers=headers)
    assert answer.status_code == 403
    assert insured.family_name not in answer.get_data(as_text=True)


def test_rights_of_an_insured_person_are_shown(portal: FlaskClient) -> None:
    insured = next(people.made_up_people())
    page = get(portal, f"/?numero={insured.nir}{insured.key:02d}")
    assert insured.family_name in page
    assert insured.rights_until.strftime("%d/%m/%Y") in page


@pytest.mark.parametrize(
    ("number", "says"),
    [
        pytest.param("12", "13 chiffres", id="too short"),
        pytest.param("200066800000A", "13 chiffres", id="letter"),
        pytest.param("200066800000000", "La clé ne correspond pas", id="wrong key"),
        pytest.param("1000000000000", "Aucun assuré", id="unknown"),
        pytest.param("' OR 1=1 --", "13 chiffres", id="SQL"),
    ],
)
def test_a_wrong_number_is_explained(portal: FlaskClient, number: str, says: str) -> None:
    page = portal.get(
        "/", query_string={"numero": number}, headers={"X-CPS-Assertion": "genuine"}
    ).get_data(as_text=True)
    assert says in page
    assert 'id="droits"' not in page


def test_names_are_escaped(portal: FlaskClient) -> None:
    assert "&lt;b&gt;ESSAI&lt;/b&gt;" in get(portal, "/")


def test_pages_are_not_kept_by_the_browser(portal: FlaskClient) -> None:
    answer = portal.get("/", headers={"X-CPS-Assertion": "genuine"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
