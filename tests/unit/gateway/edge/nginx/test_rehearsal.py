import asyncio
from pathlib import Path

import pytest

from gateway.edge.nginx import rehearsal
from gateway.edge.nginx.config import TARGET, write_configuration
from gateway.edge.nginx.rehearsal import rehearse
from gateway.edge.nginx.site import Site
from gateway.errors import ConfigurationError
from tests.support.nginx import behind, nginx_program, site
from tests.support.relay import relay_settings


def rehearsed(folder: Path, origin: str | None = None) -> None:
    chosen = relay_settings(folder, upstream="http://127.0.0.1:9")
    if origin is not None:
        portal = chosen.portal.model_copy(update={"origin": origin})
        chosen = chosen.model_copy(update={"portal": portal})
    asyncio.run(rehearse(nginx_program(), site(folder, behind(chosen, folder))))


def test_what_is_generated_holds_and_leaves_nothing(tmp_path: Path) -> None:
    rehearsed(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "origin", ["http://[::1]:8443", "http://127.0.0.1:8443", "https://a-b.portal.example:444"]
)
def test_a_portal_is_reached_by_any_kind_of_name(tmp_path: Path, origin: str) -> None:
    rehearsed(tmp_path, origin)


@pytest.mark.parametrize(
    ("intact", "broken"),
    [
        # The trap: inside nginx's quotes this is not what it looks like.
        pytest.param(TARGET, "/[^ ]*", id="any target"),
        pytest.param("(?![.]{1,2}(?:[/? ]|$))", "", id="dot segments"),
        pytest.param('"~[\\x01-\\x08\\x0a-\\x1f\\x7f]"', '"~never"', id="control characters"),
        pytest.param("auth_request /_cps/internal/verdict;", "", id="no verdict asked"),
        pytest.param("proxy_pass_request_headers off;", "", id="all headers pass"),
        pytest.param("proxy_set_header Cookie $cps_cookies;",
                     "proxy_set_header Cookie $http_cookie;", id="our cookies pass"),
        pytest.param('"400 a cookie of ours twice"', '""', id="two sessions"),
        pytest.param("[A-Za-z0-9_-]{43}", '[^;]*', id="any cookie"),
        pytest.param("~^portal\\x2eexample portal\\x2eexample$", "~portal", id="any host"),
        pytest.param('internal "404', 'other "404', id="internal paths open"),
        pytest.param("underscores_in_headers off;", "underscores_in_headers on;",
                     id="underscores alone change nothing"),
    ],
)  # fmt: skip
def test_a_hole_is_found_before_it_goes_live(
    tmp_path: Path, intact: str, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(trial: Site) -> str:
        text = write_configuration(trial)
        assert intact in text
        return text.replace(intact, broken)

    monkeypatch.setattr(rehearsal, "write_configuration", written)
    if "underscores" in broken:
        rehearsed(tmp_path)
        return
    with pytest.raises(ConfigurationError, match="does not hold") as caught:
        rehearsed(tmp_path)
    assert caught.value.key == "edge.engine"


def test_a_rehearsal_that_gets_no_answer_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "ANSWER_SECONDS", 0.0)
    with pytest.raises(ConfigurationError, match="rehearsal failed"):
        rehearsed(tmp_path)


def test_portals_that_are_not_apart_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    portals = []
    for name in ("one", "two"):
        chosen = relay_settings(tmp_path, upstream="http://127.0.0.1:9")
        facts = {"name": name, "origin": f"https://{name}.example"}
        portal = chosen.portal.model_copy(update=facts)
        portals.append(behind(chosen.model_copy(update={"portal": portal}), tmp_path))
    both = site(tmp_path, *portals)
    asyncio.run(rehearse(nginx_program(), both))

    def written(trial: Site) -> str:
        text = write_configuration(trial)
        asks = "proxy_pass http://cps_verdict_of_two/"
        assert asks in text
        return text.replace(asks, "proxy_pass http://cps_verdict_of_one/")

    monkeypatch.setattr(rehearsal, "write_configuration", written)
    with pytest.raises(ConfigurationError, match="asked of another portal"):
        asyncio.run(rehearse(nginx_program(), both))
