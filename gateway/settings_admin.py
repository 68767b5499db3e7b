"""``[admin]``: who may end sessions in the browser, and how fresh their signature must be."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.settings_access import RegisterNumber
from gateway.settings_guard import Duration

MAX_ADMINISTRATORS = 100


class AdminSettings(BaseModel):
    """``[admin]``: the page on which administrators see and end sessions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    identities: Annotated[
        tuple[RegisterNumber, ...], Field(strict=False, max_length=MAX_ADMINISTRATORS)
    ] = ()
    """National numbers of administrators, with the digit for their kind, such as 8 before an RPPS
    number; up to 100. Default: nobody, and then nobody finds the page."""
    fresh: Duration = "5m"
    """How long ago an administrator's card may have signed in, such as ``5m``, 30s to 24h; later it
    is asked for again. Default 5m."""
