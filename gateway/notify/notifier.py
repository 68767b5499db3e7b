"""Hands notices out, beside the logins: whatever becomes of a notice, no login waits for it."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence

from gateway.client_tls import client_context
from gateway.notify.mail import Mail, MailServer, read_addresses
from gateway.notify.notice import LoginNotice, NotSentError, Way
from gateway.notify.webhook import MIN_SECRET_CHARS, Webhook
from gateway.secret_file import read_secret
from gateway.settings import PortalSettings
from gateway.settings_notify import NotifySettings

MAX_WAITING = 1000
"""Notices that wait for one way; further ones are dropped."""
SENT, FAILED, DROPPED = "sent", "failed", "dropped"

Count = Callable[[str, str], None]
"""Told the way and what became of a notice."""

_log = logging.getLogger("gateway.notify")


class Notifier:
    """Tells every way of each login; a way that is slow or down holds up no other.

    What waits when the process ends is lost: the record of logins is the audit log.
    """

    def __init__(self, ways: Sequence[Way], count: Count) -> None:
        self._outboxes = [_Outbox(way, count) for way in ways]

    def start(self) -> None:
        """Begin to send, in a thread for each way, until the process ends."""
        for outbox in self._outboxes:
            # Daemons: no time-out of another machine delays the end of the process.
            name = f"notify {outbox.way.name}"
            threading.Thread(target=outbox.run, name=name, daemon=True).start()

    def tell(self, notice: LoginNotice) -> None:
        """Take a notice, from any thread, without waiting and without an error."""
        for outbox in self._outboxes:
            outbox.put(notice)


class _Outbox:
    def __init__(self, way: Way, count: Count) -> None:
        self.way = way
        self._count = count
        self._waiting: queue.Queue[LoginNotice] = queue.Queue(MAX_WAITING)

    def put(self, notice: LoginNotice) -> None:
        if not self.way.reaches(notice):
            return
        try:
            self._waiting.put_nowait(notice)
        except queue.Full:
            self._note(notice, DROPPED, "too many wait")

    def run(self) -> None:
        while True:
            notice = self._waiting.get()
            try:
                self.way.send(notice)
            except NotSentError as exc:
                self._note(notice, FAILED, str(exc))
            except Exception as exc:  # noqa: BLE001 - else a defect ends all notices in silence
                _log.exception("a defect in notices by %s", self.way.name)
                self._note(notice, FAILED, type(exc).__name__)
            else:
                self._count(self.way.name, SENT)

    def _note(self, notice: LoginNotice, result: str, reason: str) -> None:
        self._count(self.way.name, result)
        _log.error(
            "notice of session %s by %s %s: %s", notice.session, self.way.name, result, reason
        )


def ways_of(notify: NotifySettings, portal: PortalSettings) -> list[Way]:
    """Return the ways that the settings name, having read their files.

    :raises ConfigurationError: for a file that cannot be used.
    """
    ways: list[Way] = []
    if notify.webhook_url is not None and notify.webhook_secret_file is not None:
        secret = read_secret(
            notify.webhook_secret_file,
            key="notify.webhook_secret_file",
            min_chars=MIN_SECRET_CHARS,
        )
        context = client_context(notify.webhook_ca, None, None, keys="notify.webhook_")
        ways.append(Webhook(notify.webhook_url, secret, context, portal=portal.origin))
    if notify.smtp_host is not None and notify.mail_from is not None and notify.addresses:
        file = notify.smtp_password_file
        server = MailServer(
            host=notify.smtp_host,
            port=notify.smtp_port,
            tls=notify.smtp_tls,
            context=client_context(notify.smtp_ca, None, None, keys="notify.smtp_"),
            user=notify.smtp_user,
            password=None if file is None else read_secret(file, key="notify.smtp_password_file"),
        )
        addresses = read_addresses(notify.addresses, key="notify.addresses")
        ways.append(
            Mail(
                server,
                addresses,
                sender=notify.mail_from,
                portal=portal.origin,
                label=portal.label,
            )
        )
    return ways
