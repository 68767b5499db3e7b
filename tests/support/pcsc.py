"""The PC/SC service with the virtual reader, for tests marked ``pcscd``.

`tests/conftest.py` makes :func:`pcscd` known to every test.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from cps.virtual.reader import ReaderUnavailableError, VirtualReader, virtual_reader

__all__ = ["VirtualReader", "pcscd"]


@pytest.fixture(scope="session")
def pcscd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualReader]:
    """Give the virtual reader of a pcscd that runs, or of one that this starts and stops."""
    with ExitStack() as stack:
        try:
            reader = stack.enter_context(virtual_reader(tmp_path_factory.mktemp("pcscd") / "log"))
        except ReaderUnavailableError as exc:
            pytest.skip(str(exc))
        yield reader
