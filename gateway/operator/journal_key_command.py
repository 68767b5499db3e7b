"""``cps-gateway audit rotate-key``: change the key that signs the journal and names its records."""

import argparse
from functools import partial

from gateway.clock import Clock
from gateway.journal.places import KEY_FILE, chains_in, journal_folder, journal_keys, open_chain
from gateway.journal.ring import JournalRing, begin_change, finish_change, require_changeable
from gateway.operator.acts import record_act
from gateway.operator.portal_option import add_config
from gateway.settings import Settings


def add_rotate_key(parser: argparse.ArgumentParser) -> None:
    """Add the options to the *parser* of ``rotate-key``."""
    add_config(parser)
    steps = parser.add_mutually_exclusive_group()
    steps.add_argument(
        "--keep-old",
        action="store_true",
        help="keep what the old key signs with, for other machines that have the same file",
    )
    steps.add_argument(
        "--finish",
        action="store_true",
        help="hand over to the key that is there already, and remove what the old one signs with",
    )


def rotate_key(options: argparse.Namespace, settings: Settings, clock: Clock) -> None:
    """Change the key, or finish the change, and print a line for each key.

    Running processes go on with the new one at their next line.

    :param options: as parsed by what :func:`add_rotate_key` added.
    :raises ConfigurationError: for a file of keys that cannot be used, and where an earlier change
        is not finished.
    :raises StoreUnavailableError: where it cannot be recorded, and then nothing is changed; or
        where a chain cannot be written, and then ``--finish`` goes on from there.
    """
    file, keys = settings.state_dir / KEY_FILE, journal_keys(settings).current
    # What is refused is not recorded, nor done what cannot be recorded.
    record = partial(record_act, settings, clock, "journal_key_rotated", key=keys().current.kid)
    if options.finish:
        require_changeable(file)
        record()
    else:
        begin_change(file, clock(), before=record)
    folder = journal_folder(settings)
    for name in chains_in(folder):
        open_chain(settings, name, keys=keys, clock=clock).hand_over()
    if not options.keep_old:
        finish_change(file)
    for line in _lines(keys()):
        print(line)


def _lines(ring: JournalRing) -> list[str]:
    lines = [f"{key.verifier.kid}  signs no more" for key in ring.past]
    if ring.leaving is not None:
        lines.append(f"{ring.leaving.kid}  signs where nothing was handed over yet")
    return [*lines, f"{ring.current.kid}  signs"]
