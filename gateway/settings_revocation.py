"""``[[trust.revocation]]``: where the revocation data of one authority comes from."""

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from gateway.settings_checks import InputFile

MAX_ADDRESS_CHARS = 2048
FETCHED_SCHEMES = ("http", "https")
"""What the gateway fetches; what is fetched is signed, so ``http`` will do."""
KNOWN_SCHEMES = (*FETCHED_SCHEMES, "ldap", "ldaps")
"""What certificates name besides; such an address is shown as not fetched."""


def is_fetched(address: str) -> bool:
    """Return whether the gateway can fetch from that address."""
    return urlsplit(address).scheme in FETCHED_SCHEMES


def _require_list_address(value: str) -> str:
    return _require_address(value, KNOWN_SCHEMES)


def _require_responder_address(value: str) -> str:
    return _require_address(value, FETCHED_SCHEMES)


def _require_address(value: str, schemes: tuple[str, ...]) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"{value!r} is not a URL") from exc
    if (
        parts.scheme not in schemes
        or not parts.hostname
        or port == 0
        or parts.username is not None
        or parts.fragment
        or len(value) > MAX_ADDRESS_CHARS
        or not value.isascii()
        or not value.isprintable()
        or " " in value
    ):
        raise ValueError(f"an address with {' or '.join(schemes)} and without user name is wanted")
    return value


def _read_moment(value: object) -> object:
    """Read a date and time that was written as text: so it goes from one process to another."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError as exc:
        raise ValueError(f"{value!r} is not a date and time") from exc


Moment = Annotated[AwareDatetime, BeforeValidator(_read_moment)]
"""A date and time with its zone."""
ListAddress = Annotated[str, AfterValidator(_require_list_address)]
ResponderAddress = Annotated[str, AfterValidator(_require_responder_address)]


class RevocationSettings(BaseModel):
    """``[[trust.revocation]]``, once for each list: an authority's lists and responders."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    authority: InputFile
    """Whose data this is: one of the files in trust.anchors or trust.intermediates."""
    crl: Annotated[tuple[ListAddress, ...], Field(strict=False)] = ()
    """Addresses of its complete list; the ones behind the first stand in for it. Default: none."""
    delta: Annotated[tuple[ListAddress, ...], Field(strict=False)] = ()
    """Addresses of its delta list, in the same way. Default: none."""
    ocsp: Annotated[tuple[ResponderAddress, ...], Field(strict=False)] = ()
    """Addresses of its OCSP responders, in the same way. Default: none."""
    ocsp_nonce: Literal["required", "optional", "off"] = "required"
    """Whether answers must repeat our nonce; ``optional`` accepts an answer without one, ``off``
    sends none. Default required."""
    ocsp_responders: Annotated[tuple[InputFile, ...], Field(strict=False)] = ()
    """Files with certificates of responders that may answer without having been named by the
    authority. Default: none."""
