"""Published test sets: `python -m mtd.testsets NAME DIR` checks that one is complete.

A recipe says where to get a test set, and what its folder holds; `--download NAME` gets those that
have an address. Heavy packages are imported when a set is opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mtd.data import test_set_downloads
from mtd.data.test_sets import RECIPES, Recipe, check, pairs, photographs
from mtd.utils import cli, output
from mtd.utils.errors import BadInput, Partial, one_of
from mtd.utils.messages import note, plural

EXAMPLES = """\
  python -m mtd.testsets
  python -m mtd.testsets --download kodak24 cbsd68
  python -m mtd.testsets kodak24 data/Kodak24
  python -m mtd.testsets monte_carlo:64 renders --tone-map reinhard
"""


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "mtd.testsets",
        "List the known test sets, download some, or check that one is complete.",
        EXAMPLES,
    )
    own = p.group("images")
    own.add_argument(
        "name", nargs="?", metavar="NAME", help="a test set; without it, all are listed"
    )
    own.add_argument(
        "folder",
        nargs="?",
        metavar="DIR",
        help="folder of the test set; without it, that of --download",
    )
    own.add_argument(
        "--download",
        nargs="+",
        default=[],
        metavar="NAME",
        help="download test sets into the folder of MTD_HOME (~/.cache/mtd), where "
        "--testset NAME finds them",
    )
    own.add_argument(
        "--tone-map",
        metavar="NAME",
        help="for linear EXR: srgb, gamma2.2, reinhard (default: srgb)",
    )
    p.add_quiet()
    return p


def describe(recipe: Recipe) -> str:
    """A test set in a few lines."""
    forms = "\n".join(f"  holds:  {form}" for form in recipe.forms)
    return (
        f"{recipe.name}: {recipe.what}\n{forms}\n  layout: {recipe.layout}\n"
        f"  source: {recipe.source}\n  get:    {test_set_downloads.described(recipe.name)}"
    )


def facts(recipe: Recipe) -> dict[str, Any]:
    """A test set as values by name."""
    return {
        "name": recipe.name,
        "what": recipe.what,
        "holds": [str(form) for form in recipe.forms],
        "layout": recipe.layout,
        "source": recipe.source,
        **test_set_downloads.facts(recipe.name),
    }


def download(names: Sequence[str], quiet: bool) -> None:
    """Download test sets, and show what each of them holds.

    Raises:
        BadInput: a test set that is unknown, or none could be downloaded.
        Partial: some could, others could not.
    """
    for name in names:
        one_of("test set", name, RECIPES)
    failed, done = [], []
    for name in names:
        try:
            folder = test_set_downloads.download(name, quiet=quiet)
        except BadInput as error:
            failed.append(str(error))
            continue
        done.append(holds(name, str(folder), None))
        output.show(f"{report(done[-1])}\n  folder: {folder}", results={"downloaded": done})
    if failed and done:
        for message in failed:
            note(message)
            output.fail(message)
        raise Partial(f"{plural(len(failed), 'test set')} of {len(names)} not downloaded")
    if failed:
        raise BadInput("; ".join(failed))


def holds(name: str, folder: str, tone_map: str | None) -> dict[str, Any]:
    """What a folder holds of a test set.

    Raises:
        BadInput: see `mtd.data.test_sets.open`.
    """
    opened, form = check(name, folder, tone_map)
    images, sides = photographs(opened), pairs(opened)
    return {
        "name": name,
        "folder": folder,
        "images": len(images),
        "pairs": bool(sides),
        "sizes": dict(Counter(f"{image.height} x {image.width}" for image in images)),
        "form": form.text,
        "matched": "; ".join(one.source for one in sides) or None,
        "tone_map": sides[0].tone_map if sides else None,
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
    """List all, download some, or check one.

    Raises:
        BadInput: an unknown test set, or one that is incomplete or cannot be downloaded.
    """
    options = parser().parse_args()
    if options.download:
        if options.name is not None:
            raise BadInput(f"{options.name}: give the test sets to download behind --download")
        download(options.download, options.quiet)
        return
    if options.name is None:
        text = "\n\n".join(describe(recipe) for recipe in RECIPES.values())
        output.show(text, results={"test_sets": [facts(recipe) for recipe in RECIPES.values()]})
        return
    folder = options.folder
    if folder is None:
        one_of("test set", options.name, RECIPES)
        recipe = RECIPES[options.name]
        output.show(describe(recipe), results={"test_sets": [facts(recipe)]})
        if not (folder := test_set_downloads.located(options.name)):
            return
    found = holds(options.name, str(folder), options.tone_map)
    output.show(report(found), results={"found": found})


if __name__ == "__main__":
    cli.run(main)
