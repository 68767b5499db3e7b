import csv

import pytest

from gateway.coded_tables import coded_tables
from tests.support.shared import shared_file


@pytest.mark.parametrize(
    ("code", "name"),
    [("SM54", "Médecine générale (SM)"), ("ZZ99", "ZZ99"), ("", "")],
    ids=["known", "unknown", "empty"],
)
def test_a_speciality_has_its_name_or_stays_a_code(code: str, name: str) -> None:
    assert coded_tables().speciality(code) == name


@pytest.mark.parametrize(("code", "name"), [(40, "Chirurgien-Dentiste en formation"), (99, "99")])
def test_a_future_profession_has_its_name_or_stays_a_code(code: int, name: str) -> None:
    assert coded_tables().future_profession(code) == name


def test_the_version_of_the_tables_is_known() -> None:
    assert coded_tables().version == "02.18 of 2020-02-28"


def test_the_tables_are_those_of_the_dictionary() -> None:
    file = shared_file("tables/DICO-FR.GIP.utf8.tsv")
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    for table, names in (
        ("R01", coded_tables().specialities),
        ("G16", coded_tables().future_professions),
    ):
        assert names == {row[1]: row[5] for row in rows if row[0] == table}
