"""Looking for lines: by person, card or record, from some time on."""

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from gateway.journal.files import ChainFile, chain_files, lines_of
from gateway.journal.index import build_index, has_index, places_of
from gateway.journal.line import MAX_LINE_BYTES, Fields, decode_whole


def find(
    folder: Path, chain: str, name: str, value: str, *, since: datetime | None = None
) -> Iterator[Fields]:
    """Yield the fields of the lines of *chain* whose field *name* is *value*, oldest first.

    :param name: one of :data:`gateway.journal.index.INDEXED`.
    :param since: aware UTC; earlier lines are left out.
    :raises OSError: where the files cannot be read.
    """
    begin = "" if since is None else since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    files = chain_files(folder, chain)
    for file, following in pairwise(files):
        # Where the clock was set back, the next file was begun on an earlier day.
        if since is None or max(file.day, following.day) >= since.date():
            yield from _chosen(_in_full_file(file, name, value), name, value, begin)
    for file in files[-1:]:
        yield from _chosen(_in_open_file(file, name, value), name, value, begin)


def index_full_files(folder: Path, chain: str) -> int:
    """Make the indexes that are missing, and return how many that were."""
    count = 0
    for file, _ in pairwise(chain_files(folder, chain)):
        if not has_index(file.path):
            build_index(file.path)
            count += 1
    return count


def _chosen(contents: Iterator[bytes], name: str, value: str, begin: str) -> Iterator[Fields]:
    for content in contents:
        try:
            fields = decode_whole(content).fields
        except ValueError:
            continue
        if fields.get(name) == value and str(fields.get("at")) >= begin:
            yield fields


def _in_full_file(file: ChainFile, name: str, value: str) -> Iterator[bytes]:
    if not has_index(file.path):
        build_index(file.path)
    with file.path.open("rb") as content:
        for place in places_of(file.path, name, value):
            content.seek(place)
            yield content.readline(MAX_LINE_BYTES + 1)


def _in_open_file(file: ChainFile, name: str, value: str) -> Iterator[bytes]:
    wanted = f"{json.dumps(name)}:{json.dumps(value)}".encode("ascii")
    return (content for _, content in lines_of(file.path) if wanted in content)
