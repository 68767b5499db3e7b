"""Configurations of other programs are written from templates with places like ``<<name>>``."""

import re
from collections.abc import Mapping

_PLACE = re.compile(r"<<([a-z_]+)>>")


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return *template* with a value in each place.

    :raises KeyError: for a place without a value.
    :raises ValueError: for a value without a place.
    """
    unused = set(values)

    def value(place: re.Match[str]) -> str:
        unused.discard(place[1])
        return values[place[1]]

    text = _PLACE.sub(value, template)
    if unused:
        raise ValueError(f"no place for {', '.join(sorted(unused))}")
    return text
