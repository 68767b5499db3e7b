from dataclasses import replace

import pytest

from gateway.identity import NationalIdKind
from tests.support.logins import DOCTOR


@pytest.mark.parametrize(
    ("national_id", "kind"),
    [
        ("00B6087510", NationalIdKind.ADELI),
        ("112345678901/EMPLOYE-1", NationalIdKind.ADELI_PRACTICE),
        ("30B0057881/CPET0002", NationalIdKind.FINESS),
        ("4123456789/A.1", NationalIdKind.SIREN),
        ("512345678901234/a_b", NationalIdKind.SIRET),
        ("699900000011017/1", NationalIdKind.RPPS_PRACTICE),
        ("899990000016", NationalIdKind.RPPS),
        ("9123456789", NationalIdKind.STUDENT),
    ],
    ids=lambda value: value.name if isinstance(value, NationalIdKind) else "",
)
def test_the_first_digit_tells_the_register(national_id: str, kind: NationalIdKind) -> None:
    assert replace(DOCTOR, national_id=national_id).national_id_kind is kind
