"""``--config`` and ``--portal``: of which portal a command is."""

import argparse
from pathlib import Path

from gateway.settings import Settings
from gateway.settings_portals import Portals


def add_config(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add both options to *parser*.

    :param required: whether there is no other way to say what is meant.
    """
    parser.add_argument(
        "--config", type=Path, required=required, metavar="FILE", help="the settings, TOML"
    )
    parser.add_argument("--portal", metavar="NAME", help="which one, where there are several")


def chosen_portal(options: argparse.Namespace) -> Settings:
    """Return the settings that *options* name, as parsed by what :func:`add_config` added.

    :raises ConfigurationError: for settings that cannot be used, and where no portal or a wrong one
        is named.
    """
    return Portals.load(options.config).choose(options.portal, file=options.config)
