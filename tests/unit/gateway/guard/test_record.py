import pytest

from gateway.guard.record import (
    AmbiguousRecordError,
    BodyKind,
    form_text,
    is_form,
    kind_of_body,
    record_in_fields,
    record_in_json,
    require_not_in_fields,
    require_not_in_json,
)


@pytest.mark.parametrize(
    ("content_types", "kind"),
    [
        ((), BodyKind.FORM),
        ((" ",), BodyKind.FORM),
        (("application/x-www-form-urlencoded",), BodyKind.FORM),
        (("APPLICATION/x-www-form-urlencoded; charset=UTF-8",), BodyKind.FORM),
        (("application/x-www-form-urlencoded, text/plain",), BodyKind.FORM),
        (("application/x-www-form-urlencoded x",), BodyKind.FORM),
        (("multipart/form-data; boundary=x",), BodyKind.MULTIPART),
        (("multipart/mixed",), BodyKind.MULTIPART),
        (("application/json",), BodyKind.JSON),
        (("application/fhir+json; charset=utf8",), BodyKind.JSON),
        (("application/octet-stream",), BodyKind.OTHER),
        (("text/plain; charset=iso-8859-1",), BodyKind.OTHER),
    ],
)
def test_a_body_is_what_portals_take_it_for(content_types: tuple[str, ...], kind: BodyKind) -> None:
    assert kind_of_body(content_types) is kind
    assert is_form(content_types) == (kind in (BodyKind.FORM, BodyKind.MULTIPART))


@pytest.mark.parametrize(
    "content_types",
    [
        ("application/json", "application/x-www-form-urlencoded"),
        ("application/x-www-form-urlencoded; charset=utf-16",),
        ('application/json; charset="utf-7"',),
        ("text/plain; a=/json",),
        ("application/x-www-form-urlencoded; a=/json",),
        ("application/json; a=multipart/form-data",),
        ("text/json",),
        ('application/x-www-form-urlencoded"',),
    ],
    ids=[
        "two",
        "form in another charset",
        "JSON in another charset",
        "JSON in the parameters",
        "a form that names JSON",
        "JSON that names a form",
        "another JSON",
        "a form with a quote",
    ],
)
def test_types_with_two_readings(content_types: tuple[str, ...]) -> None:
    with pytest.raises(AmbiguousRecordError):
        kind_of_body(content_types)


@pytest.mark.parametrize(
    "name", ["ins_id", "INS_ID", "ins.id", "ins%20id", "ins_id[]", "ins_id%00x"]
)
def test_a_form_that_names_a_record_beside_the_query_is_refused(name: str) -> None:
    require_not_in_fields("page=1", "ins_id")
    with pytest.raises(AmbiguousRecordError):
        require_not_in_fields(f"page=1&{name}=7", "ins_id")


@pytest.mark.parametrize("name", ["ins_id", "INS_ID", "ins.id", "ins_id[]"])
def test_a_json_body_that_names_a_record_beside_the_query_is_refused(name: str) -> None:
    require_not_in_json(b'{"page": {"ins_id": 7}}', "ins_id")
    require_not_in_json(b"[7]", "ins_id")
    with pytest.raises(AmbiguousRecordError):
        require_not_in_json(f'{{"{name}": 7}}'.encode(), "ins_id")


def test_a_body_that_is_not_what_it_says_is_refused() -> None:
    with pytest.raises(AmbiguousRecordError, match="not JSON"):
        require_not_in_json(b"ins_id=7", "ins_id")
    with pytest.raises(AmbiguousRecordError, match="UTF-8"):
        form_text(b"\xff")


def test_a_field_twice_is_refused() -> None:
    assert record_in_fields("a=1&b=2", "a") == "1"
    with pytest.raises(AmbiguousRecordError, match="twice"):
        record_in_fields("a=1&a=2", "a")


@pytest.mark.parametrize(
    ("content", "record"),
    [
        (b'{"A": {"B": "7"}}', "7"),
        (b'{"a": {"b": "7"}}', "7"),
        (b'{"a": {"b": 7}}', "7"),
        (b'{"a": {"b": null}}', None),
        (b'{"a": {}}', None),
        (b"{}", None),
        (b"null", None),
        ('{"a": {"b": "é"}}'.encode(), "é"),
    ],
)
def test_records_in_bodies(content: bytes, record: str | None) -> None:
    assert record_in_json(content, ("a", "b")) == record


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'"x"', b'{"a": 1}', b'{"a": {"b": 1.5}}', b'{"a": {"b": {}}}',
     b'{"a": {"b": 1}, "a": {"b": 2}}', b'{"x": 1, "x": 1}', b"\xff",
     b'{"a": {"b": 1, "B": 2}}', b'{"a": {"b": 1}, "A": {"b": 2}}', b"[" * 5000],
    ids=ascii,
)  # fmt: skip
def test_bodies_with_two_readings(content: bytes) -> None:
    with pytest.raises(AmbiguousRecordError):
        record_in_json(content, ("a", "b"))
