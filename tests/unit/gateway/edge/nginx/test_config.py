import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.edge.nginx.config import TARGET, Site, write_configuration
from gateway.edge.notices import RefusedRequestError
from gateway.edge.target import read_target
from gateway.settings import Settings
from gateway.settings_edge import EdgeSettings
from tests.support.nginx import nginx_program, site
from tests.support.relay import relay_settings
from tests.support.server_certificate import write_server_files

_PIECES = st.sampled_from(
    ["/", "//", "/.", "/..", "/a", "b", ".", "..", "%", "%2", "%2e", "%2F", "%61", "%C3%A9", "%c3",
     "%e2%82%ac", "%ED%A0%80", "%F0%9F%98%80", "%f4%90%80%80", "%c0%ae", "%25", "%00", "%7f", ";",
     "#", "?", "=", "&", "\\", "|", "^", "[", "]", "{", "}", "<", ">", '"', "'", "`", " ", "~", "!",
     "$", "é", "\x01", "\x7f", ":", "@", "_", "-", "*", "(", ")", "+", ","]
)  # fmt: skip


def changed(folder: Path, **edge: object) -> Settings:
    chosen = relay_settings(folder, upstream="http://127.0.0.1:9")
    return chosen.model_copy(
        update={"edge": EdgeSettings.model_validate({"engine": "nginx", **edge})}
    )


@settings(max_examples=500, deadline=None)
@given(st.lists(_PIECES, max_size=8).map("".join))
@example("/")
@example("/a/b/?x=%zz")
def test_nginx_reads_targets_as_the_relay_does(raw: str) -> None:
    is_good = re.fullmatch(TARGET, raw) is not None
    try:
        read_target(raw)
    except RefusedRequestError as exc:
        if "another spelling" in exc.detail:
            return  # Left to a rule of its own, and to the relay.
        assert not is_good
    else:
        assert is_good


def test_a_long_target_costs_no_more_than_a_look() -> None:
    for piece in ("a", "/a", "%61", "%C3%A9", "/a.b%C3%A9"):
        assert re.fullmatch(TARGET, "/x" + piece * 2000) is not None
        assert re.fullmatch(TARGET, "/x" + piece * 2000 + "\\") is None


CONFIGURATIONS = {
    "plain": {},
    "cache": {"verdict_cache_seconds": 2},
    "paths": {"relayed_paths": ["/exports/", "/a.b", "/~x"]},
    "fields": {"passed_fields": [f"X-Field-Of-A-Very-Long-Name-{n}" for n in range(100)]},
}


def accepted(folder: Path, chosen: Site, settings_: Settings) -> str:
    """Return the configuration, which nginx accepts."""
    text = write_configuration(chosen, settings_)
    file = folder / "nginx.conf"
    file.write_text(text)
    done = subprocess.run(
        [nginx_program(), "-t", "-q", "-p", folder, "-c", file, "-e", "stderr"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return text


@pytest.mark.parametrize("edge", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_nginx_accepts_what_is_written(tmp_path: Path, edge: dict[str, object]) -> None:
    accepted(tmp_path, site(tmp_path), changed(tmp_path, **edge))


@pytest.mark.parametrize("listen", ["127.0.0.1:8443", "[::1]:8443"])
def test_nginx_accepts_tls_on_both_sides(tmp_path: Path, listen: str) -> None:
    files = write_server_files(tmp_path, "portal.example")
    chosen = replace(
        site(tmp_path),
        listen=(listen,),
        tls=(files.certificate, files.key),
        portal="[::1]:8444",
        portal_tls="behind.example",
        authorities=files.certificate,
    )
    text = accepted(tmp_path, chosen, changed(tmp_path))
    assert f"listen {listen} ssl http2;" in text
    assert "proxy_ssl_verify on;" in text
    assert 'proxy_ssl_name "behind.example";' in text


@pytest.mark.parametrize("label", ["a $host", 'a "b', "a \\", "a; } server {", "${x", "'", "#"])
def test_no_name_of_a_portal_is_read_as_configuration(tmp_path: Path, label: str) -> None:
    chosen = changed(tmp_path)
    chosen = chosen.model_copy(update={"portal": chosen.portal.model_copy(update={"label": label})})
    accepted(tmp_path, site(tmp_path), chosen)


def test_a_linter_finds_nothing(tmp_path: Path) -> None:
    text = write_configuration(site(tmp_path), changed(tmp_path, verdict_cache_seconds=2))
    # It does not know possessive repetition, which only makes expressions cheaper.
    file = tmp_path / "lint.conf"
    file.write_text(text.replace("++", "+").replace(")*+", ")*").replace("]*+", "]*"))
    # Names are looked up once on purpose: nothing resolves names while requests pass.
    done = subprocess.run(
        [sys.executable, "-m", "gixy", "--skips", "missing_resolver", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "No issues found" in done.stdout, done.stdout + done.stderr


def test_a_verdict_is_kept_by_host_rule_and_session(tmp_path: Path) -> None:
    text = write_configuration(site(tmp_path), changed(tmp_path, verdict_cache_seconds=2))
    assert 'proxy_cache_key "portal.example|portal|$cps_session";' in text
    assert "proxy_cache_valid 200 2s;" in text
    assert text.count("proxy_cache_valid") == 1


def test_no_verdict_is_kept_where_that_is_not_wanted(tmp_path: Path) -> None:
    assert "proxy_cache" not in write_configuration(site(tmp_path), changed(tmp_path))


def test_the_browsers_word_for_the_host_goes_nowhere(tmp_path: Path) -> None:
    text = write_configuration(site(tmp_path), changed(tmp_path))
    uses = [line.strip() for line in text.splitlines() if "$http_host" in line]
    assert uses == ["map $http_host $cps_fault_of_host {"]
