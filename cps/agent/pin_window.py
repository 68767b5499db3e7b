"""The PIN window's program: texts in on standard input, digits out on standard output.

It imports nothing of the project, so that it runs isolated. Exit code: 0 with the digits, 1 where
the person said no.
"""

import json
import sys
import tkinter as tk
from tkinter import ttk
from typing import Any

_PADDING = 16
_WRAP_PIXELS = 420
_WARNING = "#b00020"


class PINWindow:
    """One question in one window.

    :param texts: what to show; see :func:`cps.agent.window.WindowPINEntry`.
    """

    def __init__(self, root: tk.Tk, texts: dict[str, Any]) -> None:
        self._root = root
        self._texts = texts
        self.digits: str | None = None
        """What was typed, once it was accepted."""
        root.title(texts["title"])
        root.resizable(width=False, height=False)
        root.attributes("-topmost", True)
        frame = ttk.Frame(root, padding=_PADDING)
        frame.grid()
        for row, line in enumerate(texts["lines"]):
            label = ttk.Label(frame, text=line, wraplength=_WRAP_PIXELS)
            if texts["warns"] and row == 0:
                label.config(background=_WARNING, foreground="#ffffff")
            label.grid(sticky="ew", pady=2)
        self._word = self._field(frame, texts["confirm"]) if texts["confirm"] else None
        self._pin = self._field(frame, texts["prompt"], show="\N{BULLET}")
        self._hint = ttk.Label(frame, text="", foreground=_WARNING)
        self._hint.grid(sticky="w")
        buttons = ttk.Frame(frame)
        buttons.grid(sticky="e", pady=(_PADDING, 0))
        ttk.Button(buttons, text=texts["cancel"], command=root.destroy).grid(row=0, column=0)
        ttk.Button(buttons, text=texts["accept"], command=self.accept).grid(row=0, column=1)
        root.bind("<Return>", lambda _: self.accept())
        root.bind("<Escape>", lambda _: root.destroy())
        (self._word or self._pin).focus_force()

    def accept(self) -> None:
        """Take what was typed, or say what is wrong with it."""
        typed = self._pin.get()
        shortest, longest = self._texts["min_digits"], self._texts["max_digits"]
        if not (typed.isascii() and typed.isdigit() and shortest <= len(typed) <= longest):
            self._hint.config(text=self._texts["form"])
        elif self._word is not None and not self._confirmed(self._word.get()):
            self._hint.config(text=self._texts["confirm"])
        else:
            self.digits = typed
            self._root.destroy()

    def _confirmed(self, typed: str) -> bool:
        return bool(typed.strip().casefold() == self._texts["word"].casefold())

    @staticmethod
    def _field(frame: ttk.Frame, label: str, show: str = "") -> ttk.Entry:
        ttk.Label(frame, text=label, wraplength=_WRAP_PIXELS).grid(sticky="w", pady=(12, 2))
        field = ttk.Entry(frame, show=show, width=16)
        field.grid(sticky="w")
        return field


def main() -> int:
    """Ask once."""
    root = tk.Tk()
    window = PINWindow(root, json.load(sys.stdin))
    root.mainloop()
    if window.digits is None:
        return 1
    sys.stdout.write(window.digits)
    return 0


if __name__ == "__main__":
    sys.exit(main())
