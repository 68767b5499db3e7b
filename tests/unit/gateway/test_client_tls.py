import ssl
from pathlib import Path

import pytest

from gateway.client_tls import client_context
from gateway.errors import ConfigurationError
from tests.support.server_certificate import ServerFiles, write_server_files


@pytest.fixture
def files(tmp_path: Path) -> ServerFiles:
    return write_server_files(tmp_path, "localhost")


def test_the_server_is_checked_and_tls_is_new(files: ServerFiles) -> None:
    context = client_context(files.certificate, files.certificate, files.key, keys="a_")
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.cert_store_stats()["x509"] == 1


@pytest.mark.parametrize(
    ("authority", "certificate", "key", "named"),
    [
        pytest.param("key", None, "key", "a_ca", id="no authority"),
        pytest.param("certificate", "key", "key", "a_certificate", id="no certificate"),
        pytest.param("certificate", "certificate", "locked_key", "a_certificate", id="locked key"),
    ],
)
def test_files_of_another_kind_are_refused_by_the_name_of_their_setting(
    files: ServerFiles, authority: str, certificate: str | None, key: str, named: str
) -> None:
    chosen = None if certificate is None else getattr(files, certificate)
    with pytest.raises(ConfigurationError) as caught:
        client_context(getattr(files, authority), chosen, getattr(files, key), keys="a_")
    assert caught.value.key == named
