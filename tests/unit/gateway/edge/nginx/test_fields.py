import re
from pathlib import Path

import pytest

from gateway.edge.headers import is_withheld
from gateway.edge.nginx.fields import USUAL_FIELDS, passed_fields, variable_of
from gateway.errors import ConfigurationError

DOCUMENT = Path(__file__).parents[5] / "docs" / "reference" / "engines.md"


def test_no_usual_field_is_one_that_must_not_pass() -> None:
    assert [name for name in USUAL_FIELDS if is_withheld(name.lower())] == []
    assert [name for name in USUAL_FIELDS if not re.fullmatch(r"[A-Za-z0-9-]+", name)] == []
    assert len({name.lower() for name in USUAL_FIELDS}) == len(USUAL_FIELDS)


def test_further_fields_pass_once() -> None:
    names = passed_fields(["X-Tenant", "x-tenant", "ACCEPT"])
    assert names == (*USUAL_FIELDS, "X-Tenant")


@pytest.mark.parametrize(
    "name",
    ["X-CPS-Subject", "x-cps-new", "Host", "Cookie", "Connection", "X-Forwarded-For", "Forwarded",
     "X-Original-URL", "Client-Cert", "Remote-User", "Transfer-Encoding", "Content-Length"],
)  # fmt: skip
def test_no_setting_lets_a_claim_pass(name: str) -> None:
    with pytest.raises(ConfigurationError, match="never passed") as caught:
        passed_fields([name])
    assert caught.value.key == "edge.passed_fields"


def test_the_document_names_every_field_that_passes() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    listed = text.partition("### Headers that pass")[2].partition("`Authorization`")[0]
    assert tuple(re.findall(r"`([A-Za-z0-9-]+)`", listed)) == USUAL_FIELDS


def test_a_field_has_its_variable() -> None:
    assert variable_of("X-CSRF-Token") == "$http_x_csrf_token"
