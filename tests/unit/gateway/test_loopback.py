import pytest

from gateway.loopback import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_alone(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "localhost.example", "10.0.0.1", "::", "127.1"])  # noqa: S104 - an address to refuse
def test_what_may_be_another_machine(host: str) -> None:
    assert not is_loopback(host)
