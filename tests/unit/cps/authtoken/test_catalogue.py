"""The catalogue's own rules: every text once, in both languages; and which language is shown."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from cps.authtoken import catalogue


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give an empty folder in place of the package's own."""
    monkeypatch.setattr(resources, "files", lambda _package: tmp_path)
    catalogue.catalogue.cache_clear()
    yield tmp_path
    catalogue.catalogue.cache_clear()


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")


def test_a_text_is_found_by_table_and_name_and_filled(folder: Path) -> None:
    write(folder, "a.toml", '[pin.tries]\nfr = "Il reste {count} essais."\nen = "{count} left."\n')
    assert catalogue.text("pin.tries", "fr", count=2) == "Il reste 2 essais."
    assert catalogue.text("pin.tries", "en", count=2) == "2 left."


def test_all_files_make_one_catalogue(folder: Path) -> None:
    write(folder, "a.toml", '[one.x]\nfr = "a"\nen = "a"\n')
    write(folder, "b.toml", '[two.x]\nfr = "b"\nen = "b"\n')
    write(folder, "notes.txt", "no catalogue")
    assert sorted(catalogue.catalogue()) == ["one.x", "two.x"]


def test_a_text_given_twice_is_refused(folder: Path) -> None:
    write(folder, "a.toml", '[one.x]\nfr = "a"\nen = "a"\n')
    write(folder, "b.toml", '[one.x]\nfr = "b"\nen = "b"\n')
    with pytest.raises(ValueError, match=r"b\.toml: one\.x is given twice"):
        catalogue.catalogue()


@pytest.mark.parametrize(
    "languages",
    [
        pytest.param('fr = "a"', id="no English"),
        pytest.param('en = "a"', id="no French"),
        pytest.param('fr = "a"\nen = "a"\nde = "a"', id="a third language"),
    ],
)
def test_a_text_needs_exactly_both_languages(folder: Path, languages: str) -> None:
    write(folder, "a.toml", f"[one.x]\n{languages}\n")
    with pytest.raises(ValueError, match=r"a\.toml: one\.x wants fr and en"):
        catalogue.catalogue()


@pytest.mark.parametrize(
    ("key", "language"),
    [
        pytest.param("one.y", "fr", id="unknown key"),
        pytest.param("one.x", "de", id="unknown language"),
        pytest.param("one.x", "fr", id="missing value"),
    ],
)
def test_a_text_that_cannot_be_shown_is_a_defect(folder: Path, key: str, language: str) -> None:
    write(folder, "a.toml", '[one.x]\nfr = "{name}"\nen = "{name}"\n')
    with pytest.raises(KeyError):
        catalogue.text(key, language)


def test_the_project_has_a_catalogue() -> None:
    assert catalogue.text("error.no_card", "fr")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        pytest.param(None, "fr", id="no header"),
        pytest.param("", "fr", id="empty"),
        pytest.param("en", "en", id="English"),
        pytest.param("en-GB,en;q=0.9", "en", id="British English"),
        pytest.param("EN-US", "en", id="capitals"),
        pytest.param("fr-FR,fr;q=0.9,en;q=0.8", "fr", id="French first"),
        pytest.param("en;q=0.5,fr;q=0.7", "fr", id="French by weight"),
        pytest.param("fr;q=0.5,en;q=0.7", "en", id="English by weight"),
        pytest.param("de,en;q=0.5", "en", id="a language that we lack"),
        pytest.param("de", "fr", id="only a language that we lack"),
        pytest.param("en;q=0", "fr", id="English refused"),
        pytest.param("en;q=x,fr;q=0.1", "fr", id="a weight that is none"),
        pytest.param("en;q=nan", "fr", id="not a number"),
        pytest.param(";;;,,,", "fr", id="nonsense"),
        pytest.param("x," * 400 + "en", "fr", id="behind what is looked at"),
    ],
)
def test_best_language(header: str | None, language: str) -> None:
    assert catalogue.best_language(header) == language
