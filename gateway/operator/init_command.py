"""``cps-gateway init``: write a settings file, with comments, after a few questions."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from gateway.settings_checks import Label, Origin, Upstream

EXIT_PROBLEMS = 1

_FILE = """\
# Settings of the CPS gateway; docs/reference/settings.md has every key.
# After a change: cps-gateway check --config THIS_FILE, then systemctl reload cps-gateway

# Database and keys: the gateway's own folder, in every backup.
state_dir = {state_dir}
{runtime_dir}
[portal]
# What browsers see; the card signs it at each login.
origin = {origin}
# Where the portal itself answers. Let it listen where only the gateway reaches it.
upstream = {upstream}
# Its name in the agent's window and on the pages.
label = {label}

[listen]
# Other machines reach the gateway by TLS alone; without it a front on this machine is needed.
{listen}
[trust]
# What `cps-gateway trust import` wrote, and prints as lines to put here.
anchors = {anchors}
intermediates = {intermediates}
{revocation}
[audit]
# Every decision, in chained files below state_dir; `cps-gateway audit verify` checks them.
journal = true

[monitor]
# /readyz and /metrics, on this machine alone.
port = 9464
"""
_REVOCATION = """
[[trust.revocation]]
# Where the lists of this authority are fetched; docs/how-to/revocation.md.
authority = {authority}
crl = [{address}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """Something that only the operator knows."""

    name: str
    text: str
    kind: TypeAdapter[str]
    default: str = ""


_QUESTIONS = (
    _Question(
        name="origin",
        text="Address that browsers see (https://host[:port])",
        kind=TypeAdapter(Origin),
    ),
    _Question(
        name="upstream",
        text="Address where the portal itself answers",
        kind=TypeAdapter(Upstream),
        default="http://127.0.0.1:8000",
    ),
    _Question(name="label", text="Name of the portal, for people", kind=TypeAdapter(Label)),
)


def add_init_command(parser: argparse.ArgumentParser) -> None:
    """Add what ``init`` takes to its *parser*."""
    parser.add_argument("file", type=Path, help="the file to write; it must not exist")
    for question in _QUESTIONS:
        parser.add_argument(f"--{question.name}", help=f"{question.text}; asked for otherwise")
    parser.add_argument("--state-dir", default="/var/lib/cps-gateway", metavar="DIR")
    parser.add_argument("--runtime-dir", metavar="DIR", help="folder of sockets, such as /run/…")
    parser.add_argument("--address", default="127.0.0.1", help="IP address to listen on")
    parser.add_argument("--port", type=int, default=8443)
    parser.add_argument("--tls-certificate", metavar="FILE")
    parser.add_argument("--tls-key", metavar="FILE")
    parser.add_argument("--anchor", action="append", default=[], metavar="FILE")
    parser.add_argument("--intermediate", action="append", default=[], metavar="FILE")
    parser.add_argument(
        "--crl",
        action="append",
        default=[],
        nargs=2,
        metavar=("FILE", "URL"),
        help="an authority, and the address of its list; may be repeated",
    )


def run_init(options: argparse.Namespace, *, ask: Callable[[str], str] = input) -> int:
    """Write the file and return the exit code.

    :param options: as parsed by what :func:`add_init_command` added.
    :param ask: puts a question and returns the answer.
    """
    try:
        answers = {
            question.name: _answer(question, getattr(options, question.name), ask)
            for question in _QUESTIONS
        }
        # Never an existing file: it may hold what somebody needs.
        with options.file.open("x", encoding="utf-8") as file:
            file.write(_text(options, answers))
    except (EOFError, ValueError) as exc:
        print(f"nothing was written: {exc or 'no answer'}", file=sys.stderr)
        return EXIT_PROBLEMS
    except OSError as exc:
        print(f"{options.file} cannot be written: {exc.strerror}", file=sys.stderr)
        return EXIT_PROBLEMS
    print(f"{options.file} written; now: cps-gateway check --config {options.file}")
    return 0


def _answer(question: _Question, given: str | None, ask: Callable[[str], str]) -> str:
    """Return a value that the setting takes: the one given, or the answer, asked for until good.

    :raises ValueError: for a value given that the setting does not take.
    """
    if given is not None:
        reason = _fault(question, given)
        if reason is not None:
            raise ValueError(f"--{question.name}: {reason}")
        return given
    shown = f" [{question.default}]" if question.default else ""
    while True:
        answer = ask(f"{question.text}{shown}: ").strip() or question.default
        reason = _fault(question, answer)
        if reason is None:
            return answer
        print(reason, file=sys.stderr)


def _fault(question: _Question, value: str) -> str | None:
    try:
        question.kind.validate_python(value)
    except ValidationError as exc:
        return exc.errors()[0]["msg"].removeprefix("Value error, ")
    return None


def _text(options: argparse.Namespace, answers: dict[str, str]) -> str:
    listen = f"address = {_toml(options.address)}\nport = {options.port}\n"
    for name in ("tls_certificate", "tls_key"):
        value = getattr(options, name)
        listen += f"{name} = {_toml(value)}\n" if value else f'# {name} = "server.pem"\n'
    runtime = options.runtime_dir
    return _FILE.format(
        state_dir=_toml(options.state_dir),
        runtime_dir=f"runtime_dir = {_toml(runtime)}\n" if runtime else "",
        listen=listen,
        anchors=_toml(options.anchor),
        intermediates=_toml(options.intermediate),
        revocation="".join(
            _REVOCATION.format(authority=_toml(authority), address=_toml(address))
            for authority, address in options.crl
        )
        or "crls = []\n",
        **{name: _toml(value) for name, value in answers.items()},
    )


def _toml(value: str | list[str]) -> str:
    # A text, and a list of texts, is written the same way in JSON.
    return json.dumps(value, ensure_ascii=False)
