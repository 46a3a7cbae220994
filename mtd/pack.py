"""Pack the photographs of folders into one file: `python -m mtd.pack FOLDER... FILE.zip`."""

from __future__ import annotations

from pathlib import Path

from mtd.utils import cli, output, progress
from mtd.utils.errors import BadInput
from mtd.utils.messages import note, plural

EXAMPLES = """\
  python -m mtd.pack photos photographs.zip
  python -m mtd.pack BSDS500/train BSDS500/test photographs.zip
  python -m mtd.train small.toml --data photographs.zip
"""


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "mtd.pack",
        "Pack the image files of folders, as they are, into one ZIP file to train on.",
        EXAMPLES,
    )
    p.group("images").add_argument("folders", nargs="+", metavar="FOLDER", help="of photographs")
    p.group("output").add_argument("file", metavar="FILE.zip", help="the file to write")
    p.add_quiet()
    return p


def main() -> None:
    """Parse, check, pack."""
    args = parser().parse_args()
    path = Path(args.file)
    if path.suffix.lower() != ".zip":
        raise BadInput(f"{path}: expected folders, then a file ending in .zip")
    from mtd.data import image_io, photograph_archives

    files = photograph_archives.members(args.folders)
    for line in map(image_io.skipped, args.folders):
        if line:
            note(line, quiet=args.quiet)
    with progress.running(("packing",), quiet=args.quiet):
        progress.step("packing", len(files), "images")
        photograph_archives.write(path, files, progress.advance)
    size = path.stat().st_size
    output.add(results={"images": len(files), "bytes": size}, files=[path])
    if not args.quiet:
        folders = plural(len(args.folders), "folder")
        output.show(f"{path}: {plural(len(files), 'image')} of {folders}, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    cli.run(main)
