"""Published test sets: `python -m mtd.testsets NAME DIR` checks that one is complete.

Nothing is downloaded; a recipe says where to get a test set, and what its folder holds. Heavy
packages are imported when a set is opened.
"""

from __future__ import annotations

from collections import Counter

from mtd.data.test_sets import RECIPES, Recipe, check, photographs
from mtd.utils import cli
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


def report(name: str, folder: str, tone_map: str | None) -> str:
    """What a folder holds of a test set, in a few lines.

    Raises:
        BadInput: see `mtd.data.test_sets.open`.
    """
    opened, form = check(name, folder, tone_map)
    images = photographs(opened)
    sizes = Counter(f"{image.height} x {image.width}" for image in images)
    lines = [
        f"{name}: {len(images)} {'images' if isinstance(opened, list) else 'pairs'}",
        "  sizes (height x width): " + ", ".join(f"{size} ({n})" for size, n in sizes.items()),
    ]
    if form.text:
        lines.append(f"  form: {form.text}")
    if not isinstance(opened, list):
        lines.append(f"  matched: {opened.source}; tone map: {opened.tone_map}")
    return "\n".join(lines)


def main() -> None:
    """List all, or check one."""
    options = parser().parse_args()
    if options.name is None:
        print("\n\n".join(describe(recipe) for recipe in RECIPES.values()))
        return
    if options.folder is None:
        one_of("test set", options.name, RECIPES)
        print(describe(RECIPES[options.name]))
        return
    print(report(options.name, options.folder, options.tone_map))


if __name__ == "__main__":
    cli.run(main)
