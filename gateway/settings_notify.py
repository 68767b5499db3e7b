"""``[notify]``: who is told of each login, besides the audit log."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.settings_checks import InputFile, SecretFile

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_MAIL_ADDRESS = re.compile(
    r"(?!\.)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
)


def _require_webhook(value: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"{value!r} is not a URL") from exc
    if (
        parts.scheme != "https"
        or not parts.hostname
        or port == 0
        or parts.username is not None
        or "#" in value
        or not value.isascii()
        or not value.isprintable()
        or " " in value
    ):
        raise ValueError("https://host[:port]/path is wanted, without user name or fragment")
    return value


def _require_host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(f"{value!r} is not the name or IPv4 address of a server")
    return value


def _require_mail_address(value: str) -> str:
    if not _MAIL_ADDRESS.fullmatch(value):
        raise ValueError(f"{value!r} is not a mail address like name@host.example")
    return value


MailAddress = Annotated[str, AfterValidator(_require_mail_address)]
"""A mail address alone, in ASCII, with nothing around it."""


class NotifySettings(BaseModel):
    """``[notify]``: a webhook and mail, each for itself; without either nobody is told."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    webhook_url: Annotated[str, AfterValidator(_require_webhook)] | None = None
    """Address that each login is posted to as JSON, ``https://…``. Default: none."""
    webhook_secret_file: SecretFile | None = None
    """File with the secret of its signature in the first line, 32 to 1024 characters, closed to
    other users."""
    webhook_ca: InputFile | None = None
    """PEM file: the authorities of that server. Default: those of the system."""
    smtp_host: Annotated[str, AfterValidator(_require_host)] | None = None
    """The mail server's name; a mail for each login goes to the holder. Default: none."""
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    """Its TCP port, 1 to 65535, default 587."""
    smtp_tls: Literal["starttls", "implicit"] = "starttls"
    """How TLS begins: ``starttls``, the default, on a plain connection, or ``implicit``, at once.
    """
    smtp_ca: InputFile | None = None
    """PEM file: the authorities of that server. Default: those of the system."""
    smtp_user: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """Name to log in there with, 1 to 255 characters. Default: no login."""
    smtp_password_file: SecretFile | None = None
    """File with the password in its first line, closed to other users. Default: no login."""
    mail_from: MailAddress | None = None
    """Address that mails come from; wanted with smtp_host."""
    addresses: InputFile | None = None
    """TOML file with a line ``"national id" = "mail address"`` for each holder; wanted with
    smtp_host."""


def notify_contradictions(notify: NotifySettings) -> Iterator[tuple[str, str]]:
    """Name each setting, good alone, that does not fit the others."""
    yield from _of_way(notify, "webhook_url", needs=("webhook_secret_file",))
    yield from _of_way(notify, "smtp_host", needs=("mail_from", "addresses"))
    if (notify.smtp_user is None) != (notify.smtp_password_file is None):
        missing = "smtp_user" if notify.smtp_user is None else "smtp_password_file"
        yield f"notify.{missing}", "smtp_user and smtp_password_file are wanted together"


def _of_way(
    notify: NotifySettings, way: str, *, needs: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    prefix = way.partition("_")[0] + "_"
    if getattr(notify, way) is not None:
        for name in needs:
            if getattr(notify, name) is None:
                yield f"notify.{name}", f"is missing; notify.{way} wants it"
        return
    for name in sorted(notify.model_fields_set):
        if name in needs or name.startswith(prefix):
            yield f"notify.{name}", f"is for a notify.{way}, which is missing"
