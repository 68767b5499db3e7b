import os
import subprocess
import sys
from pathlib import Path

from gateway.metrics.folder import all_processes, environment_with, new_folder

ROOT = Path(__file__).parents[4]
COUNT_ONE = "from gateway.metrics.model import Metrics; Metrics().decision('login_accepted', {})"


def test_what_several_processes_count_is_added_up(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    new_folder(folder)
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", COUNT_ONE], cwd=ROOT, env=environment_with(folder), check=True
        )
    registry = all_processes(folder)
    assert registry.get_sample_value("cps_logins_total", {"result": "accepted"}) == 2


WAIT = """
import sys
from gateway.metrics.model import Metrics
metrics = Metrics()
metrics.journal_waits()
metrics.journal_done(written=True)
metrics.journal_waits()
print("waits", flush=True)
sys.stdin.read()
"""


def test_what_waits_in_a_process_is_forgotten_with_it(tmp_path: Path) -> None:
    def waiting() -> float | None:
        return all_processes(tmp_path).get_sample_value("cps_journal_waiting")

    with subprocess.Popen(
        [sys.executable, "-c", WAIT],
        cwd=ROOT,
        env=environment_with(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert waiting() == 1
        process.kill()
    assert waiting() is None
    written = {"result": "written"}
    assert all_processes(tmp_path).get_sample_value("cps_journal_lines_total", written) == 1


def test_numbers_begin_anew_with_the_gateway(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    new_folder(folder)
    (folder / "counter_1.db").write_bytes(b"of an earlier run")
    new_folder(folder)
    assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_childs_environment_is_ours_and_the_folder(tmp_path: Path) -> None:
    given = environment_with(tmp_path)
    assert given["PROMETHEUS_MULTIPROC_DIR"] == str(tmp_path)
    assert given["PATH"] == os.environ["PATH"]
