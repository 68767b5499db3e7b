"""The PIN window itself, on a display of its own."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("tkinter", reason="needs tkinter")
if shutil.which("Xvfb") is None:
    pytest.skip("needs Xvfb", allow_module_level=True)

import tkinter as tk

from cps.agent.pin_window import PINWindow

TEXTS: dict[str, Any] = {
    "title": "PIN",
    "lines": ["WARNING", "Log in to Portal"],
    "warns": True,
    "prompt": "PIN:",
    "form": "4 to 8 digits",
    "accept": "OK",
    "cancel": "Cancel",
    "confirm": None,
    "word": "YES",
    "min_digits": 4,
    "max_digits": 8,
}


@pytest.fixture(scope="module")
def display() -> Iterator[None]:
    reading, writing = os.pipe()
    with subprocess.Popen(
        [
            "Xvfb",
            "-displayfd",
            str(writing),
            "-screen",
            "0",
            "800x600x24",
            "-nolisten",
            "tcp",
            "-noreset",
        ],
        pass_fds=(writing,),
        stderr=subprocess.DEVNULL,
    ) as server:
        os.close(writing)
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        before = os.environ.get("DISPLAY")
        os.environ["DISPLAY"] = f":{number}"
        yield
        if before is None:
            del os.environ["DISPLAY"]
        else:
            os.environ["DISPLAY"] = before
        server.terminate()


@pytest.fixture
def shown(display: None) -> Iterator[Callable[..., PINWindow]]:
    root = tk.Tk()

    def show(**change: object) -> PINWindow:
        window = PINWindow(root, TEXTS | change)
        root.update()
        return window

    yield show
    if exists(root):
        root.destroy()


def exists(root: tk.Misc) -> bool:
    try:
        return bool(root.winfo_exists())
    except tk.TclError:
        return False


def type_into(field: tk.Entry | None, words: str) -> None:
    assert field is not None
    field.delete(0, "end")
    field.insert(0, words)


def labels(root: tk.Misc) -> list[str]:
    found = [str(root.cget("text"))] if root.winfo_class() == "TLabel" else []
    return found + [words for child in root.winfo_children() for words in labels(child)]


def test_a_pin_is_taken_and_the_window_goes(shown: Callable[..., PINWindow]) -> None:
    window = shown()
    type_into(window._pin, "4711")
    window.accept()
    assert window.digits == "4711"
    assert not exists(window._root)


@pytest.mark.parametrize("typed", ["", "123", "123456789", "12a4", "１２３４"])
def test_what_is_no_pin_is_said_and_not_taken(shown: Callable[..., PINWindow], typed: str) -> None:
    window = shown()
    type_into(window._pin, typed)
    window.accept()
    assert window.digits is None
    assert "4 to 8 digits" in labels(window._root)


def test_the_last_try_wants_its_word(shown: Callable[..., PINWindow]) -> None:
    window = shown(confirm="Last try, type YES:")
    type_into(window._pin, "4711")
    window.accept()
    assert window.digits is None
    type_into(window._word, " yes ")
    window.accept()
    assert window.digits == "4711"


def test_the_pin_is_not_shown_and_everything_else_is(shown: Callable[..., PINWindow]) -> None:
    window = shown()
    assert window._pin.cget("show") not in ("", None)
    assert {"WARNING", "Log in to Portal", "PIN:"} <= set(labels(window._root))


def test_escape_says_no(shown: Callable[..., PINWindow]) -> None:
    window = shown()
    type_into(window._pin, "4711")
    window._root.event_generate("<Escape>")
    window._root.update_idletasks() if exists(window._root) else None
    assert window.digits is None
