"""The look that the pages of gateway, edge and agent share: one style, one mark, one plain page."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources
from string import Template

_PAGE = Template(
    '<!doctype html><html lang="$language"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">$refresh'
    "<title>$title – $label</title><style>$style</style></head><body>$banners"
    '<header class="top">$mark<span>$label</span></header>'
    "<main><h1>$title</h1><p>$sentence</p>$link$small</main></body></html>\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainPage:
    """A page that loads nothing and runs nothing: a title, a sentence, a way on."""

    language: str
    """``fr`` or ``en``."""
    label: str
    """Who speaks: the portal's name, or the agent's."""
    title: str
    """A few words."""
    sentence: str
    """What happened and what to do."""
    banners: Sequence[str] = ()
    """Warnings above everything else."""
    link: tuple[str, str] | None = None
    """Where to go on from here, and the words for it."""
    small: Sequence[str] = ()
    """Lines for the support: code and incident number."""
    refresh_seconds: int | None = None
    """After how long browsers ask for the page again; ``None`` for never."""

    def html(self) -> str:
        """Return the page; whatever its texts hold, they stay text."""
        refresh = banners = link = small = ""
        if self.refresh_seconds is not None:
            refresh = f'<meta http-equiv="refresh" content="{self.refresh_seconds}">'
        if self.banners:
            lines = "".join(f'<p class="banner">{escape(words)}</p>' for words in self.banners)
            banners = f"<aside>{lines}</aside>"
        if self.link is not None:
            address, words = self.link
            link = (
                f'<p><a class="button" href="{escape(address)}" rel="noreferrer">'
                f"{escape(words)}</a></p>"
            )
        if self.small:
            small = f'<p class="small">{"<br>".join(map(escape, self.small))}</p>'
        return _PAGE.substitute(
            language=self.language,
            label=escape(self.label),
            title=escape(self.title),
            sentence=escape(self.sentence),
            banners=banners,
            style=base_style(),
            mark=mark(),
            refresh=refresh,
            link=link,
            small=small,
        )


@cache
def plain_page_policy() -> str:
    """Return the Content-Security-Policy of a :class:`PlainPage`: its one style and nothing else.

    Source: W3C Content Security Policy Level 3 §6.6.
    """
    digest = b64encode(hashlib.sha256(base_style().encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def base_style() -> str:
    """Return the style sheet without comments and needless space."""
    bare = re.sub(r"/\*.*?\*/", "", _read("base.css"), flags=re.DOTALL)
    bare = re.sub(r"\s*([{};,])\s*", r"\1", bare)
    return re.sub(r"\s+", " ", bare).replace(": ", ":").replace(";}", "}").strip()


@cache
def mark() -> str:
    """Return the mark, a card, as an SVG element that takes the colour of the text around it."""
    return _read("mark.svg").strip()


def _read(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
