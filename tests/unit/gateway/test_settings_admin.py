import pytest
from pydantic import ValidationError

from gateway.settings_admin import MAX_ADMINISTRATORS, AdminSettings


def test_without_a_name_there_is_no_administrator() -> None:
    assert AdminSettings().identities == ()
    assert AdminSettings().fresh == "5m"


def test_administrators_are_national_numbers() -> None:
    admin = AdminSettings.model_validate(
        {"identities": ["899900000013", "30B0000001/CPET00001"], "fresh": "90s"}
    )
    assert admin.identities == ("899900000013", "30B0000001/CPET00001")


@pytest.mark.parametrize(
    "table",
    [
        pytest.param({"identities": "899900000013"}, id="no list"),
        pytest.param({"identities": [899900000013]}, id="a whole number"),
        pytest.param({"identities": ["*"]}, id="everybody"),
        pytest.param({"identities": [""]}, id="an empty number"),
        pytest.param({"identities": ["899900000013 "]}, id="a space behind"),
        pytest.param({"identities": ["899900000013\n"]}, id="a line end behind"),
        pytest.param({"identities": ["80"] * (MAX_ADMINISTRATORS + 1)}, id="too many"),
        pytest.param({"fresh": "29s"}, id="too short"),
        pytest.param({"fresh": "25h"}, id="too long"),
        pytest.param({"fresh": 300}, id="without its unit"),
        pytest.param({"enabled": True}, id="unknown key"),
    ],
)
def test_anything_else_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AdminSettings.model_validate(table)
