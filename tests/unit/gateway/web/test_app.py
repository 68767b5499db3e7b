"""The application as a whole: its routes, its limits, and that it keeps nothing itself."""

from pathlib import Path

import pytest
from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from gateway.web.app import MAX_BODY_BYTES, create_app
from tests.support.gateway_fakes import (
    ORIGIN,
    FakedGateway,
    FakeSigner,
    make_gateway,
)


def test_routes_are_exactly_those_of_the_protocol(gateway: FakedGateway) -> None:
    routes = {
        (rule.rule, method)
        for rule in gateway.app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }
    assert routes == {
        ("/_cps/login", "GET"),
        ("/_cps/login/status", "GET"),
        ("/_cps/callback", "GET"),
        ("/_cps/start", "GET"),
        ("/_cps/start", "POST"),
        ("/_cps/start/answer", "POST"),
        ("/_cps/agent/claim", "POST"),
        ("/_cps/agent/begin", "POST"),
        ("/_cps/agent/token", "POST"),
        ("/_cps/agent/abort", "POST"),
        ("/_cps/agent/lease", "POST"),
        ("/_cps/session", "GET"),
        ("/_cps/logout", "GET"),
        ("/_cps/logout", "POST"),
        ("/_cps/admin", "GET"),
        ("/_cps/admin/session/<name>", "GET"),
        ("/_cps/admin/end", "POST"),
        ("/_cps/admin/blocked", "GET"),
        ("/_cps/admin/clear", "POST"),
        ("/_cps/diag", "GET"),
        ("/_cps/base.css", "GET"),
        ("/_cps/internal/enter", "POST"),
        ("/_cps/.well-known/jwks.json", "GET"),
        ("/_cps/static/<path:filename>", "GET"),
    }


def test_two_processes_on_one_store_serve_one_login(tmp_path: Path) -> None:
    first = make_gateway(tmp_path)
    second = create_app(
        settings=first.settings,
        clock=first.clock,
        challenges=first.challenges,
        sessions=first.sessions,
        verifier=first.verifier,
        audit=first.audit,
        signer=FakeSigner(),
    )
    browser = first.browser()
    code = first.code_for(browser.begin())
    browser.client.application = second
    assert browser.open(f"/_cps/callback?code={code}").status_code == 303
    assert browser.open("/_cps/session").status_code == 200


def test_static_folder_has_no_way_out(gateway: FakedGateway) -> None:
    client = gateway.app.test_client()
    for path in ("../app.py", "%2e%2e/app.py", "..%2fapp.py", "/etc/passwd"):
        answer = client.get(f"/_cps/static/{path}", base_url=ORIGIN)
        assert answer.status_code == 404


def test_body_is_bounded_where_a_view_sets_no_limit(gateway: FakedGateway) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)
    with (
        gateway.app.test_request_context("/_cps/logout", method="POST", data=body),
        pytest.raises(RequestEntityTooLarge),
    ):
        request.get_data()
