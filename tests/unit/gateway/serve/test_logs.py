import logging
import re

import pytest

from gateway.serve.logs import OneLineFormatter, configure_logs


def _record(message: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("gateway.x", logging.ERROR, "f", 1, message, values, None)


def test_an_event_from_outside_cannot_begin_a_line() -> None:
    line = OneLineFormatter("%(message)s").format(_record("a %s", "b\r\nc\x1b[31m\u2028d\u202ee"))
    assert line == r"a b\r\nc\x1b[31m\u2028d\u202ee"


def test_a_trace_stays_in_its_line() -> None:
    record = _record("failed")
    try:
        int("x")
    except ValueError as exc:
        record.exc_info = (ValueError, exc, exc.__traceback__)
    line = OneLineFormatter("%(message)s").format(record)
    assert "\n" not in line
    assert line.endswith("ValueError: invalid literal for int() with base 10: 'x'")


@pytest.mark.parametrize(
    ("is_test", "begin"),
    [pytest.param(False, "", id="real"), pytest.param(True, "TEST ", id="test")],
)
def test_lines_go_to_standard_error_with_the_time(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    is_test: bool,
    begin: str,
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    level = root.level
    try:
        configure_logs(is_test=is_test)
        logging.getLogger("gateway.x").info("é")
        logging.getLogger("aiohttp.websocket").error("a secret of the browser")
        logging.getLogger("opentelemetry.exporter.otlp").error("a key in an address")
        logging.getLogger("opentelemetry.util.re").error("a key in a field")
    finally:
        root.setLevel(level)
        for quiet in ("aiohttp", "opentelemetry.exporter", "opentelemetry.util"):
            logging.getLogger(quiet).setLevel(logging.NOTSET)
    shown = capsys.readouterr()
    assert shown.out == ""
    line = begin + r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO gateway.x: é\n"
    assert re.fullmatch(line, shown.err)
