"""Extra test material that is not in the repository; a test without it is skipped."""

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def shared_file(name: str) -> Path:
    """Return a file of the folder ``CPS_SHARED``, by default ``shared`` beside the project.

    :param name: relative to that folder, such as ``certs/AC_FORT_PERSONNES_20130625.cer``.
    """
    file = Path(os.environ.get("CPS_SHARED", PROJECT.parent / "shared")) / name
    if not file.is_file():
        pytest.skip(f"extra test material is absent: {name} (set CPS_SHARED)")
    return file
