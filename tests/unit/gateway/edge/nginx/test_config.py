import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.edge.nginx.config import TARGET, write_configuration
from gateway.edge.nginx.site import Site
from gateway.edge.notices import RefusedRequestError
from gateway.edge.target import read_target
from gateway.settings import Settings
from gateway.settings_edge import EdgeSettings
from gateway.settings_guard import GuardSettings
from gateway.settings_portals import MAX_PORTALS
from tests.support.nginx import behind, nginx_program, site
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


def alone(folder: Path, **edge: object) -> Site:
    """Return a site with one portal."""
    return site(folder, behind(changed(folder, **edge), folder))


CONFIGURATIONS = {
    "plain": {},
    "cache": {"verdict_cache_seconds": 2},
    "paths": {"relayed_paths": ["/exports/", "/a.b", "/~x"]},
    "fields": {"passed_fields": [f"X-Field-Of-A-Very-Long-Name-{n}" for n in range(100)]},
}


def accepted(folder: Path, chosen: Site) -> str:
    """Return the configuration, which nginx accepts."""
    text = write_configuration(chosen)
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
    accepted(tmp_path, alone(tmp_path, **edge))


@pytest.mark.parametrize("listen", ["127.0.0.1:8443", "[::1]:8443"])
def test_nginx_accepts_tls_on_both_sides(tmp_path: Path, listen: str) -> None:
    files = write_server_files(tmp_path, "portal.example")
    portal = behind(
        changed(tmp_path),
        tmp_path,
        tls=(files.certificate, files.key),
        portal="[::1]:8444",
        portal_tls="behind.example",
        authorities=files.certificate,
    )
    text = accepted(tmp_path, replace(site(tmp_path, portal), listen=(listen,)))
    assert f"listen {listen} ssl http2;" in text
    assert "proxy_ssl_verify on;" in text
    assert 'proxy_ssl_name "behind.example";' in text


@pytest.mark.parametrize("label", ["a $host", 'a "b', "a \\", "a; } server {", "${x", "'", "#"])
def test_no_name_of_a_portal_is_read_as_configuration(tmp_path: Path, label: str) -> None:
    chosen = changed(tmp_path)
    chosen = chosen.model_copy(update={"portal": chosen.portal.model_copy(update={"label": label})})
    accepted(tmp_path, site(tmp_path, behind(chosen, tmp_path)))


@pytest.mark.parametrize("names", [(), ("one", "two")], ids=["one portal", "several"])
def test_a_linter_finds_nothing(tmp_path: Path, names: tuple[str, ...]) -> None:
    files = write_server_files(tmp_path, "one.example")
    tls = files.certificate, files.key
    chosen = alone(tmp_path, verdict_cache_seconds=2)
    if names:
        chosen = several(tmp_path, *names, tls=tls, verdict_cache_seconds=2)
    text = write_configuration(chosen)
    # It does not know possessive repetition, which only makes expressions cheaper.
    file = tmp_path / "lint.conf"
    file.write_text(text.replace("++", "+").replace(")*+", ")*").replace("]*+", "]*"))
    # Names are looked up once on purpose: nothing resolves names while requests pass. What browsers
    # are to remember of its pages (HSTS) the portal says; the gateway's own pages say it.
    done = subprocess.run(
        [sys.executable, "-m", "gixy", "--skips", "missing_resolver,hsts_header", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "No issues found" in done.stdout, done.stdout + done.stderr


def test_a_verdict_is_kept_by_host_rule_and_session(tmp_path: Path) -> None:
    text = write_configuration(alone(tmp_path, verdict_cache_seconds=2))
    assert 'proxy_cache_key "portal.example|portal|$cps_session";' in text
    assert "proxy_cache_valid 200 2s;" in text
    assert text.count("proxy_cache_valid") == 1


def test_no_verdict_is_kept_where_that_is_not_wanted(tmp_path: Path) -> None:
    assert "proxy_cache" not in write_configuration(alone(tmp_path))


def test_the_browsers_word_for_the_host_goes_nowhere(tmp_path: Path) -> None:
    text = write_configuration(alone(tmp_path))
    uses = [line.strip() for line in text.splitlines() if "$http_host" in line]
    assert uses == ['map "$server_name $http_host" $cps_fault_of_host {']


def several(
    folder: Path, *names: str, tls: tuple[Path, Path] | None = None, **edge: object
) -> Site:
    """Return a site with portals of these names, each at a host of its own."""
    portals = []
    for name in names:
        settings_ = changed(folder, **edge)
        facts = {"name": name, "origin": f"https://{name}.example", "label": f"Portail {name}"}
        portal = settings_.portal.model_copy(update=facts)
        own = folder / name
        portals.append(behind(settings_.model_copy(update={"portal": portal}), own, tls=tls))
        own.mkdir()
    return site(folder, *portals)


@pytest.mark.parametrize("edge", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
@pytest.mark.parametrize("has_tls", [True, False], ids=["TLS", "no TLS"])
def test_nginx_accepts_several_portals(
    tmp_path: Path, edge: dict[str, object], has_tls: bool
) -> None:
    files = write_server_files(tmp_path, "one.example") if has_tls else None
    tls = None if files is None else (files.certificate, files.key)
    accepted(tmp_path, several(tmp_path, "one", "a-b", "two", tls=tls, **edge))


def test_all_servers_of_an_address_take_the_same_kind_of_connection(tmp_path: Path) -> None:
    files = write_server_files(tmp_path, "one.example")
    chosen = several(tmp_path, "one", "two", tls=(files.certificate, files.key))
    text = accepted(tmp_path, replace(chosen, proxies=("10.0.0.1",)))
    listens = re.findall(r"(?m)^ *listen (.*);$", text)
    assert len(listens) == 3
    assert set(listens) == {f"{chosen.listen[0]} ssl http2 proxy_protocol"}


def test_nginx_accepts_as_many_portals_as_there_may_be(tmp_path: Path) -> None:
    names = [f"portal-with-a-long-name-{number:02}" for number in range(MAX_PORTALS)]
    accepted(tmp_path, several(tmp_path, *names, verdict_cache_seconds=2))


def server_of(text: str, name: str) -> str:
    """Return the server of this name."""
    (found,) = [each for each in text.split("    server {\n") if f"server_name {name};" in each]
    return found


def test_nothing_of_one_portal_is_named_in_the_server_of_another(tmp_path: Path) -> None:
    text = write_configuration(several(tmp_path, "one", "two", verdict_cache_seconds=2))
    for name, other in (("one", "two"), ("two", "one")):
        server = server_of(text, f'"{name}.example"').partition("# ----- ")[0]
        assert not re.search(rf"_of_{other}\b|/{other}/|{other}\.example", server)
        assert f"proxy_pass http://cps_verdict_of_{name}/" in server
        assert f"proxy_pass http://$cps_behind_of_{name}$request_uri;" in server
        assert f"proxy_pass http://cps_control_plane_of_{name}$request_uri;" in server
        assert f"proxy_cache cps_verdicts_of_{name};" in server
        assert f'proxy_cache_key "{name}.example|portal|$cps_session";' in server


def test_each_portal_is_asked_about_at_a_socket_of_its_own(tmp_path: Path) -> None:
    text = write_configuration(several(tmp_path, "one", "two", verdict_cache_seconds=2))
    for name in ("one", "two"):
        verdict = f"upstream cps_verdict_of_{name} {{\n        server unix:{tmp_path}/{name}/"
        assert f"{verdict}verdict.sock max_fails=0;" in text
        assert f'proxy_cache_path "{tmp_path}/{name}/verdicts"' in text
        opens = f'$cps_behind_of_{name} {{\n        default cps_nobody;\n        "let-in" '
        assert f"{opens}cps_portal_of_{name};" in text


def test_a_name_of_tls_is_compared_where_several_portals_have_certificates(tmp_path: Path) -> None:
    files = write_server_files(tmp_path, "one.example")
    text = write_configuration(several(tmp_path, "one", "two", tls=(files.certificate, files.key)))
    assert '"~^one\\x2eexample one\\x2eexample$" $cps_fault_of_name;' in text
    assert '"~^two\\x2eexample (?i:two\\x2eexample)$" $cps_fault_of_place;' in text
    assert "ssl_reject_handshake on;" in server_of(text, "_")
    # It is the first, so whoever names no portal is its.
    assert text.index("server_name _;") < text.index('server_name "one.example";')


def test_other_names_of_a_site_are_left_to_it(tmp_path: Path) -> None:
    files = write_server_files(tmp_path, "one.example")
    chosen = several(tmp_path, "one", "two", tls=(files.certificate, files.key))
    text = write_configuration(replace(chosen, refuses_handshakes=False))
    assert "ssl_reject_handshake" not in text
    assert "$cps_fault_of_name {" in text


def test_the_paths_of_one_portal_are_no_paths_of_another(tmp_path: Path) -> None:
    chosen = several(tmp_path, "one", "two")
    one, two = chosen.portals
    guard = GuardSettings.model_validate({"routes": [{"name": "r", "path": "/patients/{record}"}]})
    guarded = replace(two, settings=two.settings.model_copy(update={"guard": guard}))
    text = write_configuration(replace(chosen, portals=(one, guarded)))
    assert '"~*^two\\x2eexample /patients/[^/]+/?$" path;' in text
    assert text.count("/patients/") == 1
