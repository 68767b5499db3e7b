"""TLS with browsers: what is spoken, and which portal's certificate is shown."""

import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from gateway.errors import ConfigurationError
from gateway.settings import ListenSettings

_TLS_PROTOCOLS = ["http/1.1"]


def tls_context(listen: ListenSettings) -> ssl.SSLContext | None:
    """Return how TLS is spoken to browsers, or ``None`` where it is not.

    :raises ConfigurationError: for files that do not hold a certificate and its key.
    """
    if listen.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(_TLS_PROTOCOLS)
    load_certificate(context, listen)
    return context


def load_certificate(context: ssl.SSLContext, listen: ListenSettings) -> None:
    """Have *context* show the certificate that the settings name, at each handshake from now on.

    :raises ConfigurationError: for files that do not hold a certificate and its key.
    """
    if listen.tls_certificate is None:
        return
    try:
        # Without a password asked for, an encrypted key is an error and not a prompt.
        context.load_cert_chain(listen.tls_certificate, listen.tls_key, password=lambda: b"")
    except (OSError, ValueError) as exc:
        reason = f"no certificate that fits listen.tls_key: {exc}"
        raise ConfigurationError(
            str(listen.tls_certificate), "listen.tls_certificate", reason
        ) from exc


class OneCertificate:
    """The certificate of a gateway with one portal, whatever name a browser asks for."""

    def __init__(self, listen: ListenSettings) -> None:
        """Read the files.

        :raises ConfigurationError: for files that cannot be used.
        """
        self._listen = listen
        self.context = tls_context(listen)

    def reload(self) -> None:
        """Take certificates that were renewed.

        :raises ConfigurationError: where they cannot be used; then nothing is changed.
        """
        if self.context is not None:
            # Tried on a context of its own, so that a bad pair of files changes nothing.
            tls_context(self._listen)
            load_certificate(self.context, self._listen)


class PortalCertificates:
    """A certificate for each portal, chosen by the name that a browser asks for.

    Every portal has a context of its own even where they share a certificate: by it is known later
    which portal a connection was made with.
    """

    def __init__(self, listens: Mapping[str, ListenSettings]) -> None:
        """Read the files.

        :param listens: by the portals' origins; each names a certificate.
        :raises ConfigurationError: for files that cannot be used.
        """
        self._listens = {_name(origin): listen for origin, listen in listens.items()}
        self._hosts = {urlsplit(origin).netloc: _name(origin) for origin in listens}
        self._contexts = {name: _context(listen) for name, listen in self._listens.items()}
        # A handshake begins with it, and goes on with a portal's or not at all.
        self.context = _context(next(iter(self._listens.values())))
        self.context.sni_callback = self._choose

    def is_of(self, host: str, context: ssl.SSLContext) -> bool:
        """Return whether *context* is that of the portal at *host*.

        :param host: host and port as in a Host header.
        """
        name = self._hosts.get(host)
        return name is not None and self._contexts[name] is context

    def reload(self) -> None:
        """Take certificates that were renewed.

        :raises ConfigurationError: where one cannot be used; then nothing is changed.
        """
        for listen in self._listens.values():
            tls_context(listen)
        for name, listen in self._listens.items():
            load_certificate(self._contexts[name], listen)

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext
    ) -> int | None:
        """Have *connection* go on as the portal's that *name* is of; end it for any other name.

        Source: RFC 6066 §3.
        """
        chosen = self._contexts.get((name or "").lower())
        if chosen is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = chosen
        return None


def _context(listen: ListenSettings) -> ssl.SSLContext:
    context = tls_context(listen)
    if context is None:
        raise ConfigurationError("settings", "listen.tls_certificate", "is missing for a portal")
    return context


def _name(origin: str) -> str:
    return urlsplit(origin).hostname or ""
