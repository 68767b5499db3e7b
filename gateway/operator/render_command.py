"""``cps-gateway render``: configurations for the proxy that a site keeps."""

import argparse
from pathlib import Path
from urllib.parse import urlsplit

from gateway.edge.render.files import RENDERERS, files_for
from gateway.edge.render.front import Front
from gateway.errors import ConfigurationError
from gateway.serve.places import Places
from gateway.settings import Settings
from gateway.settings_portals import Portals

_TEXT = "write the configuration of a proxy that the site keeps"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_GETS_CERTIFICATES = "caddy"
_ONE_FILE = "haproxy"


def add_render_command(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``render``."""
    parser.description = _TEXT
    parser.add_argument("proxy", choices=sorted(RENDERERS), metavar="PROXY", help="%(choices)s")
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the settings, TOML"
    )
    parser.add_argument(
        "--certificate", type=Path, metavar="FILE",
        help="what the proxy shows to browsers, PEM; for HAProxy with its key in the same file;"
        " Caddy gets one by itself",
    )  # fmt: skip
    parser.add_argument("--key", type=Path, metavar="FILE", help="the key of that certificate")
    parser.add_argument(
        "--output", type=Path, default=Path(), metavar="FOLDER",
        help="where the files are written, and will stand; default: here",
    )  # fmt: skip


def run_render(options: argparse.Namespace) -> int:
    """Write the files, say their names, and return the exit code.

    :raises ConfigurationError: for settings or arguments that the proxy cannot follow.
    """
    proxy: str = options.proxy
    portals = Portals.load(options.config)
    if portals.are_several:
        reason = "render is for one portal; several are behind an engine of ours"
        raise ConfigurationError(str(options.config), "portals", reason)
    folder: Path = options.output.absolute()
    front = front_of(
        portals.common, proxy, certificate=options.certificate, key=options.key, file=options.config
    )
    files = files_for(proxy, front, folder)
    try:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as exc:
        reason = f"{folder} cannot be written: {exc.strerror}"
        raise ConfigurationError(str(options.config), "--output", reason) from exc
    for name in files:
        print(folder / name)
    return 0


def front_of(
    settings: Settings, proxy: str, *, certificate: Path | None, key: Path | None, file: Path
) -> Front:
    """Return what the proxy stands before and behind.

    :param file: the settings file, to name in the error.
    :raises ConfigurationError: where settings and arguments do not fit.
    """
    origin = urlsplit(settings.portal.origin)
    if settings.edge.engine != "external":
        reason = 'is to be "external" where the site keeps its own proxy'
        raise ConfigurationError(str(file), "edge.engine", reason)
    is_plain = origin.scheme == "http"
    fault = _tls_fault(proxy, is_plain=is_plain, has_certificate=certificate is not None,
                       has_key=key is not None)  # fmt: skip
    if fault is not None:
        raise ConfigurationError(str(file), "--certificate", fault)
    places = Places.of(settings)
    return Front(
        settings=settings,
        relay_socket=places.relay_socket.absolute(),
        verdict_socket=places.verdict_socket.absolute(),
        runtime_folder=settings.runtime_dir.absolute(),
        certificate=None if certificate is None else certificate.absolute(),
        key=None if key is None else key.absolute(),
        port=origin.port or _DEFAULT_PORTS[origin.scheme],
        is_plain=is_plain,
    )


def _tls_fault(proxy: str, *, is_plain: bool, has_certificate: bool, has_key: bool) -> str | None:
    """Return what is wrong with the files for TLS, ``None`` where nothing is."""
    if is_plain:
        return "has no use: the origin is http" if has_certificate or has_key else None
    if not has_certificate:
        if proxy == _GETS_CERTIFICATES and not has_key:
            return None
        return "is missing: the origin is https"
    if proxy == _ONE_FILE:
        return "is one file with the key for HAProxy; leave --key out" if has_key else None
    return None if has_key else "needs --key too"
