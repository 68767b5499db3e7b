import pytest


@pytest.fixture(autouse=True)
def no_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writes return before the disk has them: no test of this folder cuts the power."""
    monkeypatch.setattr("cps.issuer.files.os.fsync", lambda _: None)
