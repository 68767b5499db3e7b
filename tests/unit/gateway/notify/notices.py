"""A notice, and real servers with TLS on this machine to send it to."""

import ssl
from pathlib import Path

from gateway.notify.notice import LoginNotice
from tests.support.gateway_fakes import CLIENT, NOW, TEST_PERSON
from tests.support.server_certificate import write_server_files

NOTICE = LoginNotice(
    id="ab" * 16,
    at=NOW,
    identity=TEST_PERSON,
    session="0123456789abcdef",
    client=CLIENT,
    language="fr",
)


def tls_pair(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a server on localhost shows, and what trusts it."""
    files = write_server_files(folder, "localhost")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    return server, ssl.create_default_context(cafile=files.certificate)
