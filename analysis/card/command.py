"""Cards of a benchmark's models as a command and as a Python function."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtd.utils import cli, messages, near_paths, output, output_folders
from mtd.utils.errors import BadInput
from mtd.utils.file_names import file_name

if TYPE_CHECKING:
    from analysis.card.measured import Measured
    from analysis.card.record import About

EXAMPLES = """\
  python -m analysis.card runs/generalization-… --output-dir card
  python -m analysis.card runs/report-… --output-dir card --model masked
  python -m analysis.card runs/report-… --output-dir card --model masked --model-id me/masked \\
      --organization "My group" --relationship first_party --dataset me/benchmark
"""

IMAGES, CARD, BADGE = "images.jsonl", "README.md", "badge.html"

RELATIONSHIPS = ("first_party", "third_party", "collaborative", "other")
"""Of who ran the benchmark to the model; as Every Eval Ever has them."""


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "analysis.card",
        "Write a benchmark's results as cards that others can read, a folder for each model: "
        "result.json (Every Eval Ever 0.3.0), values of single images as JSON Lines, evaluation "
        "results for the Hugging Face Hub, a model card in Markdown, and a table in HTML.",
        EXAMPLES,
        arguments="RUN --output-dir DIR",
    )
    models = p.group("models")
    models.add_argument(
        "run", metavar="RUN", help="run folder of analysis.generalization, or a report"
    )
    models.add_argument("--model", metavar="NAME", help="one of the run's models (default: all)")
    p.group("output").add_argument(
        "--output-dir",
        metavar="DIR",
        help="the card's folder, or, of several models, a folder for each in it; a card that is "
        "there and was not changed is replaced (required)",
    )
    p.group("output").add_argument(
        "--out", dest="output_dir", default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
    own = p.group(cli.OWN)
    own.add_argument("--model-id", metavar="ID", help="ORGANIZATION/NAME of --model on the Hub")
    own.add_argument(
        "--organization",
        default="unknown",
        metavar="NAME",
        help="who ran the benchmark",
    )
    own.add_argument(
        "--relationship",
        default="other",
        choices=RELATIONSHIPS,
        help="of who ran it to the model",
    )
    own.add_argument("--url", metavar="URL", help="where the results are published")
    own.add_argument(
        "--dataset",
        metavar="ID",
        help="data set of the benchmark on the Hub, for .eval_results (default: name of the suite)",
    )
    p.add_quiet()
    return p


def make(
    run: str | Path,
    out: str | Path,
    model: str | None = None,
    *,
    model_id: str | None = None,
    organization: str = "unknown",
    relationship: str = "other",
    url: str | None = None,
    dataset: str | None = None,
) -> list[Path]:
    """Write the cards of a benchmark's models; the same run gives the same bytes.

    Args:
        run: run folder of `analysis.generalization`, or of a report that has one.
        out: folder of the card; where there are several models, it holds a folder for each. A card
            of these models that is there and was not changed is replaced.
        model: one of the run's models; None for all.
        model_id: ORGANIZATION/NAME of that model on the Hugging Face Hub.
        organization: that ran the benchmark.
        relationship: of who ran it to the model: `first_party`, `third_party`, `collaborative` or
            `other`.
        url: where the results are published.
        dataset: of the benchmark on the Hub.

    Returns:
        The folders of the cards.

    Raises:
        BadInput: no such run, not finished, no such model, or a folder that holds anything else.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import analysis
        >>> result = analysis.generalization.benchmark(
        ...     "masked.pth", noises=["gaussian:15", "poisson:2"], crop=32, limit=4, lpips=False,
        ...     references=False, progress=False,
        ... )
        >>> with TemporaryDirectory() as place:
        ...     folders = make(result.save(f"{place}/run"), f"{place}/card")
        ...     print(sorted(path.name for path in folders[0].iterdir()))
        ['.eval_results', 'README.md', 'badge.html', 'card.json', 'images.jsonl', 'result.json']
    """
    from analysis.card.record import About
    from mtd.utils.errors import one_of

    one_of("relationship", relationship, RELATIONSHIPS)
    about = About(model_id, organization, relationship, url, dataset)
    folders, _ = write(Path(run), Path(out), model, about)
    return folders


def write(
    run: Path, out: Path, model: str | None, about: About
) -> tuple[list[Path], list[Measured]]:
    """Write the cards; their folders, and what they are made of."""
    from analysis.card import folder
    from analysis.card.measured import of_run
    from analysis.commands.run_tables import reading

    folder.check(out)
    with reading(run):
        measured = of_run(run, model)
    folder.check_models(out, [one.model for one in measured])
    if about.model_id and len(measured) > 1:
        raise BadInput(f"--model-id {about.model_id}: {run} has several models; give --model NAME")
    several = len(measured) > 1
    names = folder_names([one.model for one in measured]) if several else [""]
    with reading(run):
        made = [files(one, about) for one in measured]
    folder.write(out, dict(zip(names, made, strict=True)))
    return [out / name for name in names], measured


def files(measured: Measured, about: About) -> Mapping[str, str]:
    """The texts of a card by file name.

    Raises:
        BadInput: the record is not valid.
    """
    from analysis.card import badge, hub, images, model_card, record, schema
    from analysis.card.folder import RESULT, digest

    lines = images.lines(measured)
    about_lines = {
        "file": IMAGES,
        "sha256": digest(lines.encode()),
        "rows": str(lines.count("\n")),
    }
    made = record.record(measured, about, about_lines)
    schema.check(made, RESULT)
    return {
        RESULT: json.dumps(made, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        IMAGES: lines,
        CARD: model_card.text(measured, about),
        BADGE: badge.html(measured, about),
        hub.PATH: hub.results(measured, about),
    }


def folder_names(models: Sequence[str]) -> list[str]:
    """A folder for each model: its name, as far as folders can have it, and unique.

    Names that differ in case alone are one on some file systems.

    >>> folder_names(["a", "unet (width 48)", "b/c", "b_c", "A"])
    ['a', 'unet_(width_48)', 'b_c', 'b_c_2', 'A_2']
    """
    names: list[str] = []
    for model in models:
        plain = file_name(model.lstrip("."), 200, "()#").lstrip(".") or "model"
        numbered = (f"{plain}_{count}" for count in range(2, len(models) + 2))
        taken = {name.casefold() for name in names}
        names.append(next(name for name in (plain, *numbered) if name.casefold() not in taken))
    return names


def main() -> None:
    """The command.

    Raises:
        BadInput: see `make`.
    """
    known = parser()
    args = known.parse_args()
    if args.output_dir is None:
        known.error("the following arguments are required: --output-dir")
    if not os.path.lexists(args.run):
        what = near_paths.absent(Path(args.run), "folder")
        raise BadInput(f"{what}; expected a run of analysis.generalization, or a report")
    output_folders.check(args.output_dir)
    messages.importing(quiet=args.quiet)
    from analysis.card import missing
    from analysis.card.record import About
    from analysis.commands import printed
    from analysis.text.markdown import plain

    about = About(args.model_id, args.organization, args.relationship, args.url, args.dataset)
    folders, measured = write(Path(args.run), Path(args.output_dir), args.model, about)
    rows = [
        {"model": one.model, "folder": path, "missing": list(map(plain, missing.sentences(one)))}
        for path, one in zip(folders, measured, strict=True)
    ]
    output.show(
        "\n".join(f"written to {path}" for path in folders),
        results={"cards": rows},
        files=[file for path in folders for file in printed.files(path)],
    )
