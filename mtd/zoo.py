"""Published denoisers: `python -m mtd.zoo list`, `get NAME`, `verify`; see `mtd.loading.zoo`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from mtd.loading import zoo
from mtd.utils import cli, digests, downloads, output
from mtd.utils.downloads import UNKNOWN
from mtd.utils.errors import BadInput, Failed, Partial
from mtd.utils.messages import note, plural
from mtd.utils.resumable import megabytes

EXAMPLES = """\
  python -m mtd.zoo list
  python -m mtd.zoo list 'bias_free/*'
  python -m mtd.zoo get kair/dncnn_color_blind swinir/color_dn_15
  python -m mtd.zoo verify
"""

ACTIONS = ("list", "get", "verify")


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "mtd.zoo",
        "Published denoisers: list them, download them, or verify what was downloaded. Their names "
        "can be given wherever a checkpoint can.",
        EXAMPLES,
    )
    models = p.group("models")
    models.add_argument(
        "action",
        choices=ACTIONS,
        metavar=f"{{{','.join(ACTIONS)}}}",
        help="list: a table; get: download; verify: compare the digests of downloaded files",
    )
    models.add_argument(
        "names",
        nargs="*",
        default=[],
        metavar="NAME",
        help="a model, or a pattern such as 'kair/*' (list and verify: all without one)",
    )
    p.add_quiet()
    return p


COLUMNS = ("name", "trained on", "channels", "range", "size", "licence", "cached")


def cells(row: dict[str, Any]) -> list[str]:
    """A row of `mtd.loading.zoo.rows` as the texts of `COLUMNS`."""
    size = UNKNOWN if row["bytes"] is None else megabytes(row["bytes"])
    trained = ", ".join(row["trained_on"]) or row["about"] or UNKNOWN
    return [
        row["name"],
        trained + (" (give --sigma)" if row["sigma"] else ""),
        "gray" if row["channels"] == 1 else "color",
        f"0 to {row['value_range']:g}",
        size,
        row["licence"],
        "yes" if row["cached"] else "no",
    ]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The list of models, for a terminal."""
    lines = [list(COLUMNS), *(cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def get(chosen: Sequence[zoo.Entry], quiet: bool) -> None:
    """Download models, and print the paths of their files.

    Raises:
        BadInput: none can be downloaded.
        Partial: some can, others cannot.
    """
    from mtd.loading.options import LoadOptions
    from mtd.loading.published_files import remote

    failed, done = [], []
    for one in chosen:
        try:
            path = downloads.fetch(remote(one, LoadOptions()), quiet=quiet)
        except BadInput as error:
            failed.append(str(error))
            continue
        done += zoo.rows([one])
        output.show(str(path), results={"models": done}, files=[path])
    if failed and done:
        _tell(failed)
        raise Partial(f"{plural(len(failed), 'model')} of {len(chosen)} not downloaded")
    if failed:
        raise BadInput("; ".join(failed))


def _tell(errors: Sequence[str]) -> None:
    for error in errors:
        note(error)
        output.fail(error)


def verify(chosen: Sequence[zoo.Entry]) -> None:
    """Compare the digests of the files that are there, and print one line for each.

    Raises:
        Failed: all of them are other files than expected.
        Partial: some are.
    """
    from mtd.loading.options import LoadOptions
    from mtd.loading.published_files import remote

    there = [one for one in chosen if one.place.is_file()]
    failed, verified = [], []
    for one in there:
        published = one.sha256 != UNKNOWN or one.begins or one.git
        try:
            digest = downloads.check(remote(one, LoadOptions()))
            state = "published" if published else "recorded"
        except BadInput as error:
            digest, state = digests.sha256(one.place), "different"
            failed.append(str(error))
        verified.append({"name": one.name, "sha256": digest, "state": state})
        said = "DIFFERENT" if state == "different" else f"as {state}"
        output.show(f"{one.name}: {digest}, {said}", results={"verified": verified})
    if absent := len(chosen) - len(there):
        output.show(f"{plural(absent, 'model')} not downloaded", results={"absent": absent})
    if failed:
        _tell(failed)
        other = f"{plural(len(failed), 'file')} of {len(there)} differ"
        raise (Failed if len(failed) == len(there) else Partial)(other)


def main() -> None:
    """List, download or verify.

    Raises:
        BadInput: an unknown model, or one that cannot be downloaded.
    """
    options: argparse.Namespace = parser().parse_args()
    if options.action == "get" and not options.names:
        raise BadInput("mtd zoo get: name a model; mtd zoo list shows them")
    chosen = zoo.choose(options.names)
    if options.action == "list":
        rows = zoo.rows(chosen)
        output.show(table(rows), results={"models": rows})
    elif options.action == "get":
        get(chosen, options.quiet)
    else:
        verify(chosen)


if __name__ == "__main__":
    cli.run(main)
