"""Notices for a program of the site: JSON over TLS, signed."""

import hashlib
import hmac
import http.client
import json
import ssl
from http import HTTPStatus
from urllib.parse import urlsplit

from gateway.notify.notice import LoginNotice, NotSentError

SIGNATURE_HEADER = "X-CPS-Signature"
"""``sha256=`` and the HMAC-SHA-256 of the body, hexadecimal."""
MIN_SECRET_CHARS = 32
WAIT_SECONDS = 5.0
"""Longest wait for the server to connect, or to go on."""


class Webhook:
    """Posts each notice once; redirects are not followed, and no proxy is asked."""

    name = "webhook"

    def __init__(self, url: str, secret: str, context: ssl.SSLContext, *, portal: str) -> None:
        """Take where to.

        :param url: ``https://…``.
        :param secret: that the receiver checks signatures with.
        :param portal: the portal's origin, named in each notice.
        """
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secret = secret.encode()
        self._context = context
        self._portal = portal

    def reaches(self, notice: LoginNotice) -> bool:
        return True

    def send(self, notice: LoginNotice) -> None:
        body = json.dumps(self._facts(notice)).encode()
        signature = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=WAIT_SECONDS, context=self._context
        )
        try:
            connection.request(
                "POST",
                self._target,
                body,
                {"Content-Type": "application/json", SIGNATURE_HEADER: f"sha256={signature}"},
            )
            status = connection.getresponse().status
        except (OSError, ValueError, http.client.HTTPException) as exc:
            raise NotSentError(type(exc).__name__) from exc
        finally:
            connection.close()
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise NotSentError(f"answer {status}")

    def _facts(self, notice: LoginNotice) -> dict[str, str | None]:
        identity = notice.identity
        return {
            "event": "login",
            "id": notice.id,
            "time": notice.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "portal": self._portal,
            "national_id": identity.national_id,
            "family_name": identity.family_name,
            "given_name": identity.given_name,
            "card_number": identity.card_number,
            "session": notice.session,
            "client": notice.client,
        }
