import re
from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.settings import MAX_RUNTIME_DIR_BYTES, Settings
from gateway.settings_portals import MAX_PORTALS, OWN_TABLES, Portals
from tests.support.settings_files import MINIMAL, SEVERAL, settings_folder, with_line, write

DOCUMENTS = Path(__file__).parents[3] / "docs"
TWO = 'name = "two"'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings_folder(tmp_path)


def load(folder: Path, text: str = SEVERAL) -> Portals:
    return Portals.load(write(folder, text), {})


def of_two(lines: str, text: str = SEVERAL) -> str:
    """Return settings in which portal two has further *lines*."""
    return text.replace(TWO, f"{TWO}\n{lines}")


def behind(tables: str, text: str = SEVERAL) -> str:
    """Return settings in which *tables* of portal two stand behind its own lines."""
    return text.replace("[trust]", f"{tables}\n[trust]")


def faults(folder: Path, text: str, environ: dict[str, str] | None = None) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        Portals.load(write(folder, text), environ or {})
    found = [caught.value, *caught.value.others]
    assert len({fault.key for fault in found}) == len(found)
    return {fault.key: fault.reason for fault in found}


def test_one_portal_is_as_it_always_was(folder: Path) -> None:
    portals = load(folder, MINIMAL)
    assert portals.portals == (portals.common,) == (Settings.load(folder / "gateway.toml", {}),)
    assert not portals.are_several
    assert portals.in_folder(folder / "a").portals[0].runtime_dir == folder / "a"


def test_each_portal_has_complete_settings(folder: Path) -> None:
    tables = "[portals.session]\nidle_seconds = 600\n[[portals.login.deny]]\ncard_types = ['CPF']"
    portals = load(folder, behind(tables, with_line("session", "idle_seconds = 900", SEVERAL)))
    one, two = portals.portals
    assert portals.are_several
    assert portals.names == ("one", "two")
    assert (one.session.idle_seconds, two.session.idle_seconds) == (900, 600)
    assert (len(one.login.deny), len(two.login.deny)) == (0, 1)
    assert two.portal.audience == "https://two.example"
    assert one.trust == two.trust == portals.common.trust


def test_each_portal_may_have_administrators_of_its_own(folder: Path) -> None:
    common = with_line("admin", 'identities = ["899900000013"]', SEVERAL)
    one, two = load(folder, behind("[portals.admin]\nidentities = ['80']", common)).portals
    assert one.admin.identities == ("899900000013",)
    assert two.admin.identities == ("80",)


def test_each_portal_has_folders_of_its_own(folder: Path) -> None:
    portals = load(folder)
    portals.create_directories(file=folder / "gateway.toml")
    portals.create_directories(file=folder / "gateway.toml")
    (folder / "state" / "revocation").mkdir()
    for name, settings in zip(("one", "two"), portals.portals, strict=True):
        assert settings.state_dir == folder / "state" / "portals" / name
        assert settings.state_dir.stat().st_mode & 0o777 == 0o700
        assert settings.runtime_dir == folder / "state" / "sockets" / name
        assert (settings.state_dir / "revocation").samefile(folder / "state" / "revocation")


def test_a_folder_of_a_portal_that_others_can_write_is_refused(folder: Path) -> None:
    portals = load(folder)
    portals.create_directories(file=folder / "gateway.toml")
    portals.portals[1].state_dir.chmod(0o777)
    with pytest.raises(ConfigurationError, match="can be written by other users"):
        portals.create_directories(file=folder / "gateway.toml")


def test_a_portals_own_table_replaces_the_common_one(folder: Path) -> None:
    common = with_line("presence", 'mode = "off"', SEVERAL)
    one, two = load(folder, behind("[portals.presence]\ngrace_seconds = 90", common)).portals
    assert (one.presence.mode, two.presence.mode) == ("off", "required")


def test_a_portal_may_have_a_certificate_of_its_own(folder: Path) -> None:
    (folder / "two.pem").touch()
    text = with_line("listen", 'tls_certificate = "tls.pem"\ntls_key = "tls.key"', SEVERAL)
    one, two = load(folder, of_two('tls_certificate = "two.pem"', text)).portals
    assert one.listen.tls_certificate == folder / "tls.pem"
    assert two.listen.tls_certificate == folder / "two.pem"
    assert two.listen.tls_key == folder / "tls.key"


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        pytest.param(of_two("orgin = 1"), "portals.two.orgin", "is not a setting", id="key"),
        pytest.param(
            SEVERAL.replace("http://127.0.0.1:8002", "x"), "portals.two.upstream", "wanted",
            id="value",
        ),
        pytest.param(
            behind("[portals.login]\ncode_seconds = 1"), "portals.two.login.code_seconds",
            "below the smallest", id="value in a table",
        ),
        pytest.param(
            behind('[[portals.login.deny]]\npeple = ["8"]'), "portals.two.login.deny[0].peple",
            "is not a setting", id="key in a list",
        ),
        pytest.param(
            behind("[portals.presence]\ngrace_seconds = 40\nheartbeat_seconds = 30"),
            "portals.two.presence.grace_seconds",
            "must reach", id="contradiction",
        ),
        pytest.param(
            behind("[portals.login]\ncode_seconds = 100"), "presence.grace_seconds",
            r"\(portal two\)", id="contradiction with a common table",
        ),
        pytest.param(
            of_two('tls_certificate = "absent.pem"'), "portals.two.tls_certificate", "not a file",
            id="certificate",
        ),
        pytest.param(
            with_line("session", "idle_seconds = 1", SEVERAL), "session.idle_seconds", "below",
            id="common table, once",
        ),
        pytest.param(
            behind("[portals.trust]\nanchors = []"), "portals.two.trust", "holds for all",
            id="trust of one",
        ),
        pytest.param(
            of_two('state_dir = "x"'), "portals.two.state_dir", "holds for all", id="state_dir",
        ),
        pytest.param(
            SEVERAL.replace(TWO, ""), "portals[1].name", "is missing", id="no name",
        ),
        pytest.param(SEVERAL.replace(TWO, "name = 2"), "portals[1].name", "no text", id="number"),
        pytest.param(
            SEVERAL.replace(TWO, 'name = "../x"'), "portals.../x.name", "small letters",
            id="name that is a path",
        ),
        pytest.param(
            SEVERAL.replace(TWO, 'name = "one"'), "portals.one.name", "2 portals", id="name twice",
        ),
        pytest.param(
            SEVERAL + "[portal]\nlabel = 'x'", "portal", "stands beside", id="portal beside",
        ),
        pytest.param(
            "portals = []\n" + MINIMAL.replace("[portal]", "[listen]").replace("origin", "#"),
            "portals", f"1 to {MAX_PORTALS}", id="none",
        ),
        pytest.param("portals = 3\n", "portals", "tables", id="no tables"),
        pytest.param(
            SEVERAL.replace("https://two.example", "https://one.example:8443"),
            "portals.two.origin", "must differ from that of portal one",
            id="same host, on which browsers share cookies",
        ),
        pytest.param(
            of_two('audience = "https://one.example"'), "portals.two.audience", "must differ",
            id="same audience",
        ),
        pytest.param(
            with_line("journal", 'folder = "records"', SEVERAL), "portals.two.journal.folder",
            "must differ", id="same journal",
        ),
        pytest.param(
            with_line("monitor", "port = 9464", SEVERAL), "portals.two.monitor.port",
            "must differ", id="same port of the monitor",
        ),
        pytest.param(
            with_line("edge", 'engine = "external"', SEVERAL), "edge.engine",
            'several portals want "embedded" or', id="external",
        ),
        pytest.param(
            with_line("", f'runtime_dir = "{"r" * MAX_RUNTIME_DIR_BYTES}"', SEVERAL), "runtime_dir",
            "at most", id="runtime_dir",
        ),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_and_the_portal_named(
    folder: Path, text: str, key: str, reason: str
) -> None:
    found = faults(folder, text)
    assert set(found) == {key}
    assert re.search(reason, found[key])


def test_sockets_have_paths_that_the_system_takes(folder: Path) -> None:
    room = MAX_RUNTIME_DIR_BYTES - len(str(folder)) - 1
    text = with_line("", f'runtime_dir = "{"r" * room}"', SEVERAL)
    assert f"have more than {MAX_RUNTIME_DIR_BYTES} bytes" in faults(folder, text)["runtime_dir"]


def test_too_many_portals_are_refused(folder: Path) -> None:
    table = '[[portals]]\nname = "p{0}"\norigin = "https://p{0}.example"\n'
    more = "".join(table.format(number) for number in range(MAX_PORTALS))
    assert set(faults(folder, SEVERAL + more)) == {"portals"}


def test_with_tls_each_portal_has_a_name_and_a_certificate(folder: Path) -> None:
    tls = 'tls_certificate = "tls.pem"\ntls_key = "tls.key"'
    assert set(faults(folder, of_two(tls))) == {"portals.one.tls_certificate"}
    address = SEVERAL.replace("https://two.example", "https://10.0.0.1")
    assert set(faults(folder, with_line("listen", tls, address))) == {"portals.two.origin"}


def test_the_environment_counts_for_common_tables(folder: Path) -> None:
    file = write(folder, behind("[portals.session]\nidle_seconds = 600"))
    environ = {"CPS_GATEWAY__SESSION__IDLE_SECONDS": "900"}
    idle = [each.session.idle_seconds for each in Portals.load(file, environ).portals]
    assert idle == [900, 600]
    wrong = {"CPS_GATEWAY__SESSION__IDLE_SECONDS": "9"}
    assert set(faults(folder, SEVERAL, wrong)) == {"CPS_GATEWAY__SESSION__IDLE_SECONDS"}


def test_a_portal_is_chosen_by_its_name_alone(folder: Path) -> None:
    portals = load(folder)
    assert portals.choose("two", file=Path("f")) is portals.portals[1]
    for name in (None, "", "three", "Two"):
        with pytest.raises(ConfigurationError):
            portals.choose(name, file=Path("f"))


def test_the_document_names_every_table_of_a_portals_own() -> None:
    text = (
        (DOCUMENTS / "reference" / "settings.md")
        .read_text(encoding="utf-8")
        .partition("## Several portals")[2]
    )
    for name in OWN_TABLES:
        assert f"`{name}`" in text
    assert str(MAX_PORTALS) in text


def test_the_example_of_the_document_loads(folder: Path) -> None:
    text = (DOCUMENTS / "how-to" / "several-portals.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"(?s)```toml\n(.*?)```", text)
    common = SEVERAL[SEVERAL.index("[trust]") :]
    (folder / "tls").mkdir()
    (folder / "tls" / "dossier.pem").touch()
    (folder / "tls" / "dossier.key").touch(mode=0o600)
    tls = '[listen]\ntls_certificate = "tls.pem"\ntls_key = "tls.key"\n'
    portals = load(folder, f'state_dir = "state"\n{example}\n{tls}{common}')
    assert portals.names == ("tiers-payant", "dossier")
    assert portals.portals[1].session.idle_seconds == 900
