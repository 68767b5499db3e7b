from pathlib import Path

import pytest

from gateway.edge.nginx.config import write_configuration
from gateway.edge.nginx.engine import site_of
from gateway.edge.nginx.proxied import first_fault, proxied_lines
from gateway.edge.nginx.site import Placed, Site
from tests.support.relay import relay_settings


def planned(folder: Path, *, proxy_protocol: bool) -> Site:
    settings = relay_settings(folder, upstream="http://127.0.0.1:8000")
    own = {"trusted_proxies": ("10.0.0.1", "2001:db8::/64"), "proxy_protocol": proxy_protocol}
    listen = settings.listen.model_copy(update=own)
    placed = Placed(
        settings=settings.model_copy(update={"listen": listen}),
        verdict_socket=folder / "verdict.sock",
        control_socket=folder / "control.sock",
        verdicts=folder / "verdicts",
    )
    return site_of((placed,), folder=folder / "nginx", relay_socket=folder / "relay.sock")


def test_without_proxies_nothing_is_written() -> None:
    assert list(proxied_lines(())) == []
    assert first_fault(()) == "$cps_fault"


def test_each_proxy_is_believed_and_nobody_else() -> None:
    text = "\n".join(proxied_lines(("10.0.0.1", "2001:db8::/64")))
    for each in ("10.0.0.1", "2001:db8::/64"):
        assert f"    set_real_ip_from {each};\n" in text
        assert f"        {each} proxy;\n" in text
    assert text.count("set_real_ip_from") == 2
    assert "        default stranger;\n" in text


@pytest.mark.parametrize("proxy_protocol", [True, False], ids=["on", "off"])
def test_the_connection_is_judged_before_the_request(
    tmp_path: Path, *, proxy_protocol: bool
) -> None:
    text = write_configuration(planned(tmp_path, proxy_protocol=proxy_protocol))
    assert (" proxy_protocol;" in text) is proxy_protocol
    # Whatever sets the first fault, nothing but it leads to the next one.
    assert text.count(" $cps_fault {") == 1
    assert ("map $request_method $cps_fault {" in text) is not proxy_protocol
    assert text.count("$cps_fault_of_method") == (2 if proxy_protocol else 0)
