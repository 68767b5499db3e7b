"""``[[login.allow]]`` and ``[[login.deny]]``: people, described by what they have in common."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

CardTypeName = Literal["CPS", "CPF", "CPE", "CPA"]
_Code = Annotated[str, Field(pattern=r"^[0-9A-Z]{1,10}$")]
RegisterNumber = Annotated[str, Field(pattern=r"^[0-9A-Z]{2,20}(/[0-9A-Za-z._-]{1,32})?$")]


class PeopleSettings(BaseModel):
    """One such table: somebody is meant who has one of the values in every list that is given."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    card_types: Annotated[tuple[CardTypeName, ...], Field(strict=False)] = ()
    """Card types, of CPS, CPF, CPE and CPA."""
    professions: Annotated[
        tuple[Annotated[int, Field(ge=0, le=999)], ...], Field(strict=False)
    ] = ()
    """Codes of professions (table G15), 0 to 999."""
    specialities: Annotated[tuple[_Code, ...], Field(strict=False)] = ()
    """Codes of specialities (table R01) such as SM54; one of somebody's own is enough."""
    structures: Annotated[tuple[RegisterNumber, ...], Field(strict=False)] = ()
    """Numbers of structures, with the digit for their kind, as an employee's card names them."""
    people: Annotated[tuple[RegisterNumber, ...], Field(strict=False)] = ()
    """National numbers, with the digit for their kind, such as 8 before an RPPS number."""

    @model_validator(mode="after")
    def _require_some(self) -> Self:
        if not any(getattr(self, name) for name in type(self).model_fields):
            raise ValueError("describes nobody: at least one list with a value is wanted")
        return self
