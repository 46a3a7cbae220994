"""Denoise image files of any size: `python -m mtd.denoise MODEL INPUT OUTPUT`."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mtd.inference.forward import GIB
from mtd.loading import cli_options
from mtd.loading.listing import weights_line
from mtd.utils import cli, near_paths, output
from mtd.utils.errors import BadInput
from mtd.utils.messages import importing, note, plural

EXAMPLES = """\
  python -m mtd.denoise masked.pth photo.png clean.png
  python -m mtd.denoise masked.pth photos clean --resume
  python -m mtd.denoise masked.pth photo.png completed.png --input-mask 0.8
  python -m mtd.denoise mine.pth scan.tif clean.tif --tile 512 --overlap 128
"""


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "mtd.denoise",
        "Denoise an image, or all images of a folder. PNG and TIFF keep their 8 or 16 bits, all "
        "formats their color profile; other formats are written as PNG.",
        EXAMPLES,
    )
    models, images, compute = (p.group(name) for name in ("models", "images", "compute"))
    written = p.group("output")
    models.add_argument(
        "checkpoint",
        metavar="MODEL",
        help="a checkpoint, baseline.pth, masked.pth, or classical:nlm and the like",
    )
    images.add_argument("input", metavar="INPUT", help="an image, or a folder (without subfolders)")
    written.add_argument(
        "output", metavar="OUTPUT", help="a .png or .tif file; a folder for a folder"
    )
    p.group("masks").add_argument(
        "--input-mask",
        type=cli.share,
        metavar="RATIO",
        help="mask each pixel with this probability; write the masked input to NAME_masked.png and "
        "the completed image to NAME",
    )
    compute.add_argument(
        "--tile",
        type=cli.tile,
        default="auto",
        metavar="auto|off|N",
        help="auto: tiles if the memory is too small for the whole image; off: never; or tiles of "
        "N pixels",
    )
    compute.add_argument(
        "--overlap",
        type=cli.whole_number(0),
        metavar="N",
        help="overlap of tiles in pixels (default: exact if that is cheap, else 64)",
    )
    compute.add_argument(
        "--memory",
        type=cli.gibibytes,
        default=2.0,
        metavar="GIB",
        help="memory for the network",
    )
    compute.add_argument("--device", default="auto", help=cli.DEVICE)
    images.add_argument(
        "--page",
        type=cli.whole_number(1),
        metavar="N",
        help="page or frame of every image file; without it, files with several are refused",
    )
    written.add_argument("--resume", action="store_true", help="skip images whose output exists")
    written.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    p.add_quiet()
    cli_options.add(p, many=False)
    return p


def check_input(path: Path) -> None:
    """Check that there is an image or a folder, before PyTorch is imported.

    Raises:
        BadInput: there is none.
    """
    if not os.path.lexists(path):
        raise BadInput(near_paths.absent(path, "file or folder"))


def main() -> None:
    """Parse, check, denoise."""
    args = parser().parse_args()
    if args.resume and args.overwrite:
        raise BadInput("--resume and --overwrite: give one of them")
    (request,) = cli_options.resolve_requests(args)
    cli_options.check([request])
    check_input(Path(args.input))
    sigma = request.options.sigma
    if sigma == cli_options.ORACLE:
        raise BadInput("--sigma oracle: the noise of a file is not known; give a level")
    importing(quiet=args.quiet)
    from mtd.data import image_io
    from mtd.inference import image_files
    from mtd.loading.load import load
    from mtd.utils.device import described

    model = load(request.path, device=args.device, **vars(request.options))
    if weights := weights_line(model.source):
        note(f"{request.path}: weights: {weights}", quiet=args.quiet)
    if sigma is not None and not model.takes_sigma:
        raise BadInput(f"--sigma {sigma:g}: the model takes no noise level; leave it out")
    start, target = time.monotonic(), Path(args.output)
    masked = args.input_mask is not None
    jobs = image_files.jobs(Path(args.input), target, masked=masked, page=args.page)
    options = image_files.DenoiseOptions(
        args.tile, args.overlap, int(args.memory * GIB), args.input_mask, args.seed
    )
    image_files.check(model, jobs, options)
    if skipped := image_io.skipped(args.input):
        note(skipped, quiet=args.quiet)
    todo = image_files.pending(jobs, resume=args.resume, overwrite=args.overwrite)
    left = set(todo)
    images = [{"source": j.source, "output": j.target, "skipped": j not in left} for j in jobs]
    output.add(results={"images": images})
    note(described(args.device), quiet=args.quiet)
    image_files.clean(model, todo, options, quiet=args.quiet)
    if not args.quiet:
        skipped = f", {len(jobs) - len(todo)} skipped" if len(jobs) > len(todo) else ""
        seconds = time.monotonic() - start
        place = jobs[0].target if len(jobs) == 1 else target
        output.show(f"{place}: {plural(len(todo), 'image')}{skipped}, {seconds:.0f} s")


if __name__ == "__main__":
    cli.run(main)
