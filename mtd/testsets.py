"""Published test sets: `python -m mtd.testsets NAME DIR` checks that one is complete.

Nothing is downloaded; a recipe says where to get a test set, and what its folder holds. Heavy
packages are imported when a set is opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mtd.data.test_sets import RECIPES, Recipe, check, photographs
from mtd.utils import cli, output
from mtd.utils.errors import one_of

EXAMPLES = """\
  python -m mtd.testsets
  python -m mtd.testsets kodak24 data/Kodak24
  python -m mtd.testsets monte_carlo:64 renders --tone-map reinhard
"""


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "mtd.testsets",
        "List the known test sets, or check that one is complete.",
        EXAMPLES,
    )
    p.add_argument("name", nargs="?", help="a test set; without it, all are listed")
    p.add_argument("folder", nargs="?", metavar="DIR", help="folder of the test set")
    p.add_argument("--tone-map", metavar="NAME", help="for linear EXR: srgb, gamma2.2, reinhard")
    return p


def describe(recipe: Recipe) -> str:
    """A test set in a few lines."""
    forms = "\n".join(f"  holds:  {form}" for form in recipe.forms)
    return (
        f"{recipe.name}: {recipe.what}\n{forms}\n  layout: {recipe.layout}\n"
        f"  source: {recipe.source}"
    )


def facts(recipe: Recipe) -> dict[str, Any]:
    """A test set as values by name."""
    return {
        "name": recipe.name,
        "what": recipe.what,
        "holds": [str(form) for form in recipe.forms],
        "layout": recipe.layout,
        "source": recipe.source,
    }


def holds(name: str, folder: str, tone_map: str | None) -> dict[str, Any]:
    """What a folder holds of a test set.

    Raises:
        BadInput: see `mtd.data.test_sets.open`.
    """
    opened, form = check(name, folder, tone_map)
    images = photographs(opened)
    return {
        "name": name,
        "folder": folder,
        "images": len(images),
        "pairs": not isinstance(opened, list),
        "sizes": dict(Counter(f"{image.height} x {image.width}" for image in images)),
        "form": form.text,
        "matched": None if isinstance(opened, list) else opened.source,
        "tone_map": None if isinstance(opened, list) else opened.tone_map,
    }


def report(found: Mapping[str, Any]) -> str:
    """What `holds` gives, in a few lines."""
    sizes = ", ".join(f"{size} ({n})" for size, n in found["sizes"].items())
    lines = [
        f"{found['name']}: {found['images']} {'pairs' if found['pairs'] else 'images'}",
        f"  sizes (height x width): {sizes}",
    ]
    if found["form"]:
        lines.append(f"  form: {found['form']}")
    if found["pairs"]:
        lines.append(f"  matched: {found['matched']}; tone map: {found['tone_map']}")
    return "\n".join(lines)


def main() -> None:
    """List all, or check one."""
    options = parser().parse_args()
    if options.name is None:
        text = "\n\n".join(describe(recipe) for recipe in RECIPES.values())
        output.show(text, results={"test_sets": [facts(recipe) for recipe in RECIPES.values()]})
        return
    if options.folder is None:
        one_of("test set", options.name, RECIPES)
        recipe = RECIPES[options.name]
        output.show(describe(recipe), results={"test_sets": [facts(recipe)]})
        return
    found = holds(options.name, options.folder, options.tone_map)
    output.show(report(found), results={"found": found})


if __name__ == "__main__":
    cli.run(main)
