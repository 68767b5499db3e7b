import email
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Literal

import pytest

from gateway.errors import ConfigurationError
from gateway.notify import mail
from gateway.notify.mail import Mail, MailServer, read_addresses
from gateway.notify.notice import NotSentError
from tests.support.gateway_fakes import CLIENT, ORIGIN, TEST_PERSON
from tests.unit.gateway.notify.notices import NOTICE, tls_pair

ADDRESS = "camille@cabinet.example"


class Stub:
    """A mail server for one connection, which says what it is told to."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        self._context = server
        self.trusting = client
        self.tls: Literal["starttls", "implicit"] = "starttls"
        self.offers_tls = True
        self.refuses = b""
        self.said: list[bytes] = []
        self.content = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

        self._listener.settimeout(5)
        self._thread.start()

    def close(self) -> None:
        # Wakes one that nobody asked.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()

    def _serve(self) -> None:
        # A client that breaks off is what some tests are about.
        with suppress(OSError), ExitStack() as opened:
            connection = opened.enter_context(self._listener.accept()[0])
            connection.settimeout(5)
            if self.tls == "implicit":
                connection = opened.enter_context(self._secured(connection))
            connection.sendall(b"220 stub\r\n")
            self._talk(connection, opened)

    def _secured(self, connection: socket.socket) -> ssl.SSLSocket:
        return self._context.wrap_socket(connection, server_side=True)

    def _talk(self, connection: socket.socket, opened: ExitStack) -> None:
        reader = opened.enter_context(connection.makefile("rb"))
        while line := reader.readline(4096).strip():
            self.said.append(line)
            verb = line.upper().split()[0]
            if self.refuses and line.upper().startswith(self.refuses):
                connection.sendall(b"550 no\r\n")
            elif verb == b"EHLO":
                extras = b"250-STARTTLS\r\n" if self.offers_tls else b""
                connection.sendall(b"250-stub\r\n" + extras + b"250 AUTH PLAIN\r\n")
            elif verb == b"STARTTLS":
                connection.sendall(b"220 go\r\n")
                connection = opened.enter_context(self._secured(connection))
                reader = opened.enter_context(connection.makefile("rb"))
            elif verb == b"AUTH":
                connection.sendall(b"235 in\r\n")
            elif verb == b"DATA":
                connection.sendall(b"354 go\r\n")
                while (line := reader.readline(4096)) != b".\r\n":
                    self.content += line
                connection.sendall(b"250 taken\r\n")
            elif verb == b"QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                connection.sendall(b"250 fine\r\n")


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[Stub]:
    server = Stub(*tls_pair(tmp_path))
    yield server
    server.close()


def way(stub: Stub, context: ssl.SSLContext | None = None) -> Mail:
    server = MailServer(
        host="localhost",
        port=stub.port,
        tls=stub.tls,
        context=context or stub.trusting,
        user="cps",
        password="hidden",
    )
    addresses = {TEST_PERSON.national_id: ADDRESS}
    return Mail(server, addresses, sender="cps@portal.example", portal=ORIGIN, label="Été")


def taken(stub: Stub) -> EmailMessage:
    return email.message_from_bytes(stub.content, policy=default)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_the_holder_gets_a_mail(stub: Stub, tls: Literal["starttls", "implicit"]) -> None:
    stub.tls = tls
    way(stub).send(NOTICE)
    message = taken(stub)
    assert message["To"] == ADDRESS
    assert message["From"] == "cps@portal.example"
    assert message["Subject"] == "Connexion à Été avec votre carte"
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_content()
    for told in (ORIGIN, CLIENT, "23/11/2026", "12:00", "0001"):
        assert told in text, told
    for kept in (TEST_PERSON.card_number, TEST_PERSON.national_id, TEST_PERSON.family_name):
        assert kept not in text, kept


def test_the_mail_is_in_the_language_of_the_browser(stub: Stub) -> None:
    way(stub).send(replace(NOTICE, language="en"))
    assert taken(stub)["Subject"] == "Login to Été with your card"


def test_no_mail_and_no_password_goes_without_tls(stub: Stub) -> None:
    stub.offers_tls = False
    with pytest.raises(NotSentError):
        way(stub).send(NOTICE)
    assert not any(line.startswith((b"AUTH", b"mail", b"MAIL")) for line in stub.said)


def test_a_server_that_nobody_vouches_for_learns_no_password(stub: Stub) -> None:
    with pytest.raises(NotSentError, match="SSL"):
        way(stub, ssl.create_default_context()).send(NOTICE)
    hidden = b64encode(b"\0cps\0hidden")
    assert not any(hidden in line for line in stub.said)


@pytest.mark.parametrize("refused", [b"AUTH", b"MAIL", b"RCPT", b"DATA"])
def test_a_refusal_is_a_failure_that_names_nobody(stub: Stub, refused: bytes) -> None:
    stub.refuses = refused
    with pytest.raises(NotSentError) as caught:
        way(stub).send(NOTICE)
    assert ADDRESS not in str(caught.value)


def test_a_server_that_says_nothing_is_given_up(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "WAIT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stub.port = silent.getsockname()[1]
        with pytest.raises(NotSentError, match=r"Timeout|Disconnected"):
            way(stub).send(NOTICE)


def test_whose_address_is_unknown_gets_none(stub: Stub) -> None:
    stranger = replace(TEST_PERSON, national_id="899900000999")
    known = way(stub)
    assert known.reaches(NOTICE)
    assert not known.reaches(replace(NOTICE, identity=stranger))


def test_addresses_are_read_by_national_id(tmp_path: Path) -> None:
    file = tmp_path / "addresses.toml"
    file.write_text(f'"{TEST_PERSON.national_id}" = "{ADDRESS}"\n')
    assert read_addresses(file, key="notify.addresses") == {TEST_PERSON.national_id: ADDRESS}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"not TOML", id="no TOML"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(b'"8 999" = "a@b.example"', id="no number"),
        pytest.param(b'"899900000013" = "a@b, c@d"', id="two addresses"),
        pytest.param(b'"899900000013" = "a@b\\nBcc: c@d"', id="a header"),
        pytest.param(b'"899900000013" = 1', id="no address"),
        pytest.param(b"[people]", id="a table"),
        pytest.param(b"#" * 20, id="too large"),
    ],
)
def test_another_file_is_refused(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content.startswith(b"#"):
        monkeypatch.setattr(mail, "MAX_ADDRESSES_BYTES", 10)
    file = tmp_path / "addresses.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_addresses(file, key="notify.addresses")
    assert caught.value.key == "notify.addresses"


def test_addresses_that_are_gone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_addresses(tmp_path / "none", key="notify.addresses")
