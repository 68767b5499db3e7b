from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.support.settings_files import faults, settings_folder, with_line, write

HOOK = 'webhook_url = "https://hook.example/cps"\nwebhook_secret_file = "redis.password"'
MAIL = 'smtp_host = "mail.example"\nmail_from = "a@b.example"\naddresses = "tls.pem"'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings_folder(tmp_path)


@pytest.mark.parametrize("lines", [HOOK, MAIL, f"{HOOK}\n{MAIL}"], ids=["hook", "mail", "both"])
def test_each_way_is_optional(folder: Path, lines: str) -> None:
    Settings.load(write(folder, with_line("notify", lines)))


@pytest.mark.parametrize(
    ("lines", "key", "reason"),
    [
        pytest.param('webhook_url = "http://hook.example"', "webhook_url", "https", id="no TLS"),
        pytest.param('webhook_url = "https://u:p@hook.example"', "webhook_url", "user", id="user"),
        pytest.param('webhook_url = "https://hook.example/#a"', "webhook_url", "fragment",
                     id="fragment"),
        pytest.param('webhook_url = "https://hook.example:0"', "webhook_url", "port", id="port 0"),
        pytest.param('webhook_url = "https://hook.example:x"', "webhook_url", "URL", id="no port"),
        pytest.param('webhook_url = "https://a/\\nX: y"', "webhook_url", "https", id="two lines"),
        pytest.param('webhook_url = "https://hook.example"', "webhook_secret_file", "missing",
                     id="no secret"),
        pytest.param('webhook_secret_file = "redis.password"', "webhook_secret_file",
                     "webhook_url", id="secret alone"),
        pytest.param(HOOK.replace("redis.", "open."), "webhook_secret_file", "every user",
                     id="open secret"),
        pytest.param(f'{HOOK}\nwebhook_ca = "none"', "webhook_ca", "not a file", id="authority"),
        pytest.param(MAIL.replace("mail.example", "mail example"), "smtp_host", "name", id="host"),
        pytest.param(f"{MAIL}\nsmtp_port = 0", "smtp_port", "smallest", id="mail port"),
        pytest.param(f'{MAIL}\nsmtp_tls = "none"', "smtp_tls", "implicit", id="mail without TLS"),
        pytest.param(f'{MAIL}\nsmtp_ca = "none"', "smtp_ca", "not a file", id="mail authority"),
        pytest.param(f'{MAIL}\nsmtp_user = ""', "smtp_user", "at least 1", id="empty user"),
        pytest.param(f'{MAIL}\nsmtp_user = "u"', "smtp_password_file", "together", id="user alone"),
        pytest.param(f'{MAIL}\nsmtp_password_file = "redis.password"', "smtp_user", "together",
                     id="password alone"),
        pytest.param(f'{MAIL}\nsmtp_user = "u"\nsmtp_password_file = "open.password"',
                     "smtp_password_file", "every user", id="open password"),
        pytest.param(MAIL.replace("a@b.example", "A <a@b.example>"), "mail_from", "mail address",
                     id="sender with a name"),
        pytest.param(MAIL.replace("a@b.example", "a@b.example\\nBcc: c@d"), "mail_from",
                     "mail address", id="sender with a header"),
        pytest.param(MAIL.replace("tls.pem", "none"), "addresses", "not a file", id="no file"),
        pytest.param('smtp_host = "mail.example"\nmail_from = "a@b.example"', "addresses",
                     "missing", id="no addresses"),
        pytest.param("smtp_port = 465", "smtp_port", "smtp_host", id="port alone"),
    ],
)  # fmt: skip
def test_a_wrong_value_stops_the_start(folder: Path, lines: str, key: str, reason: str) -> None:
    found = faults(folder, with_line("notify", lines))
    assert set(found) == {f"notify.{key}"}
    assert reason in found[f"notify.{key}"]
