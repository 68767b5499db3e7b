"""Notices for the holder of the card: mails, to addresses that the operator knows."""

import smtplib
import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from cps.authtoken.catalogue import text
from gateway.errors import ConfigurationError
from gateway.notify.notice import LoginNotice, NotSentError
from gateway.settings_access import RegisterNumber
from gateway.settings_notify import MailAddress

WAIT_SECONDS = 10.0
"""Longest wait for the server to connect, or for each of its answers."""
MAX_ADDRESSES_BYTES = 16_777_216
SHOWN_DIGITS = 4
"""Last digits of the card's number in a mail, which is read on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Takes mails from us."""

    host: str
    port: int
    tls: Literal["starttls", "implicit"]
    context: ssl.SSLContext
    user: str | None
    password: str | None


class Mail:
    """Sends each notice once, to a holder whose address is known."""

    name = "mail"

    def __init__(
        self,
        server: MailServer,
        addresses: Mapping[str, str],
        *,
        sender: str,
        portal: str,
        label: str,
    ) -> None:
        """Take where to.

        :param addresses: mail addresses by national id.
        :param sender: address that mails come from.
        :param portal: the portal's origin.
        :param label: the portal's name.
        """
        self._server = server
        self._addresses = addresses
        self._sender = sender
        self._portal = portal
        self._label = label

    def reaches(self, notice: LoginNotice) -> bool:
        return notice.identity.national_id in self._addresses

    def send(self, notice: LoginNotice) -> None:
        server = self._server
        try:
            with self._connected() as connection:
                # Never a mail or a password on a connection that others read.
                if server.tls == "starttls":
                    connection.starttls(context=server.context)
                if server.user is not None and server.password is not None:
                    connection.login(server.user, server.password)
                connection.send_message(self._message(notice))
        except smtplib.SMTPResponseException as exc:
            raise NotSentError(f"{type(exc).__name__} {exc.smtp_code}") from exc
        except (OSError, ValueError) as exc:
            raise NotSentError(type(exc).__name__) from exc

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        if server.tls == "implicit":
            return smtplib.SMTP_SSL(
                server.host, server.port, timeout=WAIT_SECONDS, context=server.context
            )
        return smtplib.SMTP(server.host, server.port, timeout=WAIT_SECONDS)

    def _message(self, notice: LoginNotice) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender
        message["To"] = self._addresses[notice.identity.national_id]
        message["Date"] = format_datetime(notice.at)
        message["Message-ID"] = f"<{notice.id}@{self._sender.rpartition('@')[2]}>"
        # Holiday notices and the like are for people who write mails. Source: RFC 3834 §5.
        message["Auto-Submitted"] = "auto-generated"
        message["Subject"] = text("login_notice.subject", notice.language, label=self._label)
        message["Content-Language"] = notice.language
        message.set_content(
            text(
                "login_notice.body",
                notice.language,
                label=self._label,
                portal=self._portal,
                date=notice.at.strftime("%d/%m/%Y"),
                time=notice.at.strftime("%H:%M"),
                client=notice.client or "-",
                card=notice.identity.card_number[-SHOWN_DIGITS:],
            )
        )
        return message


def read_addresses(file: Path, *, key: str) -> Mapping[str, str]:
    """Return the mail addresses in *file*, by national id.

    :param file: TOML, at most ``MAX_ADDRESSES_BYTES``.
    :param key: the setting that names the file, for the error.
    :raises ConfigurationError: for a file that holds anything else.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_ADDRESSES_BYTES + 1)
    except OSError as exc:
        raise ConfigurationError(str(file), key, f"cannot be read: {exc.strerror}") from exc
    if len(content) > MAX_ADDRESSES_BYTES:
        raise ConfigurationError(str(file), key, f"is larger than {MAX_ADDRESSES_BYTES} bytes")
    try:
        return TypeAdapter(dict[RegisterNumber, MailAddress]).validate_python(
            tomllib.loads(content.decode()), strict=True
        )
    except ValidationError as exc:
        line = str(exc.errors()[0]["loc"][0])[:60]
        reason = f'{line!r}: "national id" = "mail address" is wanted'
        raise ConfigurationError(str(file), key, reason) from exc
    except ValueError as exc:
        raise ConfigurationError(str(file), key, f"is not TOML: {exc}") from exc
