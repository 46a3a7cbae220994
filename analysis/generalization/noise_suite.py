"""Suites: which noises, at which levels, over which crops, under one name."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mtd.utils.errors import BadInput, nearest

FOLDER = Path(__file__).parent / "suites"


@dataclass(frozen=True)
class Suite:
    """A benchmark's noises and images.

    Attributes:
        name: of the suite.
        about: one line that says what it is.
        noises: their texts, in the order of tables and figures.
        in_distribution: those that models were trained on of which nothing else is known.
        crop: side of crops; None for whole images.
        limit: number of crops or images; None for all.
    """

    name: str
    about: str = ""
    noises: tuple[str, ...] = ()
    in_distribution: tuple[str, ...] = ()
    crop: int | None = None
    limit: int | None = None


def names() -> list[str]:
    """The suites that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> Suite:
    """A suite by its name, or from a TOML file.

    Raises:
        BadInput: no such suite or file, damaged, unknown keys, or values of another kind.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if name not in names():
            raise BadInput(f"suite {name!r}: {nearest(name, names())} A file ends in .toml")
        path = FOLDER / f"{name}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"suite {name}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise BadInput(f"suite {name}: not TOML ({error})") from None
    known = [field.name for field in fields(Suite)]
    for key in values:
        if key not in known:
            raise BadInput(f"suite {name}: no key {key!r}; {nearest(key, known)}")
    return Suite(**{"name": path.stem, **_checked(name, values)})


def _checked(name: str, values: dict[str, Any]) -> dict[str, Any]:
    checked = dict(values)
    for key in ("noises", "in_distribution"):
        texts = values.get(key, [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise BadInput(f'suite {name}: {key} is a list of texts such as ["gaussian:15"]')
        checked[key] = tuple(texts)
    for key, least in (("crop", 8), ("limit", 1)):
        value = values.get(key)
        if value is not None and (type(value) is not int or value < least):
            raise BadInput(
                f"suite {name}: {key} {value!r}: expected a whole number from {least} up"
            )
    for key in ("name", "about"):
        if not isinstance(values.get(key, ""), str):
            raise BadInput(f"suite {name}: {key} is a text")
    if not checked["noises"]:
        raise BadInput(f"suite {name}: no noises in it")
    return checked
