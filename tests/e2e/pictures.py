"""Pictures of the pages, for people who want to see them: `make pictures`."""

import os
from pathlib import Path

from playwright.sync_api import Page

FOLDER = os.environ.get("CPS_PICTURES")
"""Where they are left; none are taken where it is not set."""


def take_picture(page: Page, name: str) -> None:
    """Leave a picture of the whole page."""
    if FOLDER is not None:
        page.screenshot(path=Path(FOLDER) / f"{name}.png", full_page=True)
