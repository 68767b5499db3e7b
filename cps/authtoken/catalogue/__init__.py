"""The one catalogue of user texts, French and English: `text` looks a sentence up by its key."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

LANGUAGES = ("fr", "en")
DEFAULT_LANGUAGE = "fr"


def text(key: str, language: str, /, **values: object) -> str:
    """Return the sentence *key* in *language*, its ``{name}`` places filled.

    :param key: ``table.name`` as in the catalogue's files, such as ``error.no_card``.
    :param language: ``fr`` or ``en``.
    :param values: what fills the places.
    :raises KeyError: for an unknown key, language or missing value: a defect, found by the tests.
    """
    return catalogue()[key][language].format(**values)


def best_language(accept_language: str | None) -> str:
    """Return ``en`` where the browser prefers English to French, else ``fr``.

    :param accept_language: the header's value, at most a few hundred characters are looked at.

    Source: RFC 9110 §12.5.4 (weights; unknown languages are passed over).
    """
    best, best_weight = DEFAULT_LANGUAGE, 0.0
    for entry in (accept_language or "")[:400].split(","):
        tag, _, parameter = entry.strip().partition(";")
        weight_text = parameter.strip().removeprefix("q=") if parameter else "1"
        try:
            weight = float(weight_text)
        except ValueError:
            continue
        language = tag.strip().lower().partition("-")[0]
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best


def language_of(environment: Mapping[str, str]) -> str:
    """Return ``en`` where the user's locale is English, else ``fr``.

    Source: POSIX.1-2024, XBD 8.2: of these variables the first that is set counts.
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "")
    return "en" if locale.lower().startswith("en") else DEFAULT_LANGUAGE


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Return every sentence: key to language to text.

    :raises ValueError: for a key given twice or without one of the languages.
    """
    sentences: dict[str, Mapping[str, str]] = {}
    for file in sorted(resources.files(__name__).iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".toml"):
            continue
        for table, names in tomllib.loads(file.read_text(encoding="utf-8")).items():
            for name, languages in names.items():
                key = f"{table}.{name}"
                if key in sentences:
                    raise ValueError(f"{file.name}: {key} is given twice")
                if set(languages) != set(LANGUAGES):
                    raise ValueError(f"{file.name}: {key} wants fr and en")
                sentences[key] = languages
    return sentences
