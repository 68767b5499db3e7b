"""The security headers: on every answer, whatever it is."""

import re
from pathlib import Path

import pytest

from tests.support.gateway_fakes import ORIGIN, FakedGateway, make_gateway, make_settings

PATHS = [
    "/_cps/login",
    "/_cps/login/status?r=AAAAAAAAAAAAAAAAAAAAAA",
    "/_cps/callback?code=x",
    "/_cps/session",
    "/_cps/logout",
    "/_cps/agent/claim",
    "/_cps/.well-known/jwks.json",
    "/_cps/static/login.js",
    "/_cps/base.css",
    "/_cps/diag",
    "/_cps/nothing",
]
WEB = Path(__file__).parents[4] / "gateway" / "web"


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_protected(gateway: FakedGateway, path: str) -> None:
    headers = gateway.browser().open(path).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert headers["Server"] == "cps-gateway"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert not [name for name, _ in headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("path", [p for p in PATHS if not re.search(r"static|base\.css|jwks", p)])
def test_nothing_personal_is_stored(gateway: FakedGateway, path: str) -> None:
    assert gateway.browser().open(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/_cps/static/gateway.css", "/_cps/base.css"])
def test_static_files_are_checked_for_a_newer_version(gateway: FakedGateway, path: str) -> None:
    answer = gateway.browser().open(path)
    assert answer.headers["Cache-Control"] == "no-cache"
    again = gateway.browser().open(path, {"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_plain_http_development_is_not_told_to_stay_on_https(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, origin="http://127.0.0.1:8080", environment="test")
    gateway = make_gateway(tmp_path, settings)
    answer = gateway.app.test_client().get("/_cps/logout", base_url=ORIGIN)
    assert "Strict-Transport-Security" not in answer.headers


@pytest.mark.parametrize("template", sorted((WEB / "templates").iterdir()), ids=lambda p: p.name)
def test_no_template_needs_an_inline_script_or_style(template: Path) -> None:
    html = template.read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe", html)
    assert not re.search(r"<script(?![^>]*\ssrc=)", html)


@pytest.mark.parametrize("file", sorted((WEB / "static").iterdir()), ids=lambda p: p.name)
def test_no_static_file_reaches_outside(file: Path) -> None:
    content = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|@import|url\(|innerHTML|eval\(", content)
