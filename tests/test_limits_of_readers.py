"""Every reader refuses what is above its limit in a line that says how to raise it, and then reads.

The line has the limit, its variable, what the file holds, and the name of the file or setting.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from analysis.card import images as card_images
from analysis.commands import result, run_tables
from analysis.commands.registry import analyses
from analysis.compare_cards import cards
from analysis.curves import log_readers, tables
from analysis.generalization import noise_suite
from analysis.report import verify
from mtd.data import exr_header, image_io, photograph_archives, sidd_mat, unpacking
from mtd.loading import checkpoint_file, kair_options
from mtd.loading.load import load
from mtd.metrics import lpips_backbone
from mtd.training import config as recipes
from mtd.training import logs, state, sweep
from mtd.utils import digests, input_files, limits
from mtd.utils.errors import BadInput
from mtd.utils.limits import Limit
from tests.helpers import bombs, event_files, mats, tiffs
from tests.helpers.architectures import saved, tiny
from tests.helpers.training_logs import own

Read = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """A reader and a limit.

    Attributes:
        limit: that it checks.
        low: a value of its variable with which the file is refused.
        found: what the file holds, as the line says; a regular expression.
        make: makes the file in a folder, and returns what reads it.
        named: what the line begins with, beside the path of the folder.
        high: a value with which it is read.
    """

    limit: Limit
    low: float
    found: str
    make: Callable[[Path], Read]
    named: str = "a."
    high: float = 10**6


def image(content: bytes, page: int | None = None) -> Callable[[Path], Read]:
    return file("a.image", content, lambda path: image_io.header(path, page))


def file(name: str, content: bytes | str, read: Callable[[Path], Any]) -> Callable[[Path], Read]:
    def make(folder: Path) -> Read:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return lambda: read(path)

    return make


def zipped(members: int, size: int = 0, packing: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for number in range(members):
            archive.writestr(f"x/{number}.png", bytes(size))
    return stream.getvalue()


def tarred(members: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for number in range(members):
            archive.addfile(tarfile.TarInfo(f"x/{number}.png"))
    return stream.getvalue()


def unpack(path: Path) -> object:
    return unpacking.unpack(path, path.parent / "unpacked")


def saved_weights(folder: Path) -> Path:
    """A checkpoint of two tensors."""
    path = folder / "a.pth"
    torch.save({"model.0.weight": torch.ones(9, 9), "model.0.bias": torch.ones(9)}, path)
    return path


def weights(folder: Path) -> Read:
    path = saved_weights(folder)
    return lambda: checkpoint_file.read(path)


def safetensors(folder: Path) -> Read:
    path = folder / "a.safetensors"
    save_file({"model.0.weight": torch.ones(9, 9), "model.0.bias": torch.ones(9)}, path)
    return lambda: checkpoint_file.read(path)


def backbone(folder: Path) -> Read:
    """A file that is no backbone, which is said once it is read."""
    path = saved_weights(folder)

    def read() -> None:
        try:
            lpips_backbone.read(path)
        except BadInput as error:
            if "not the backbone" not in str(error):
                raise

    return read


def older_weights(folder: Path) -> Read:
    path = folder / "a.pth"
    history = list(range(300, 900))
    torch.save({"w": torch.ones(2, 2), "h": history}, path, _use_new_zipfile_serialization=False)
    return lambda: checkpoint_file.read(path)


def packed_weights(folder: Path) -> Read:
    """Of 6 MB of zeros, which take some kilobytes."""
    torch.save({"model.0.weight": torch.zeros(1_500_000)}, folder / "whole")
    with (
        zipfile.ZipFile(folder / "whole") as whole,
        zipfile.ZipFile(folder / "a.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    return lambda: checkpoint_file.read(folder / "a.pth")


def repeated_weights(folder: Path) -> Read:
    """Of 6 MB in tensors, which repeat one number."""
    torch.save({"model.0.weight": torch.zeros(1).expand(1500, 1000)}, folder / "a.pth")
    return lambda: checkpoint_file.read(folder / "a.pth")


def entangled_weights(folder: Path) -> Read:
    """With a long list that is in the file once, and is named often."""
    content = {"model.0.weight": torch.ones(9, 9), "often": [list(range(100))] * 200}
    torch.save(content, folder / "a.pth")
    return lambda: checkpoint_file.read(folder / "a.pth")


def network(folder: Path) -> Read:
    path = folder / "a.pth"
    saved(tiny("DnCNN"), path)
    return lambda: load(path)


def training_state(folder: Path) -> Read:
    state.save(folder, {"step": 3, "history": list(range(300, 3000))})
    return lambda: state.load(folder, lambda content: content)


def recipe(*changes: str) -> Callable[[Path], Read]:
    return lambda _: lambda: recipes.load("small.toml", changes)


def run_table(packed: bool, content: bytes) -> Callable[[Path], Read]:
    name = "a.csv.gz" if packed else "a.csv"
    content = gzip.compress(content) if packed else content
    return file(name, content, lambda path: run_tables.read_tables(path.parent, ["a"]))


def training_log(folder: Path) -> Read:
    (folder / "a.csv").write_text("step,loss\n1,0.5\n")
    return lambda: logs.Table(folder / "a.csv", ("step", "loss")).start(1)


LOGGED = "100,gaussian:15,30\n100,isp,20\n200,gaussian:15,31\n200,isp,19\n"


def log(folder: Path) -> Read:
    own(folder / "a", LOGGED)
    return lambda: log_readers.read(folder / "a")


def restarts(folder: Path) -> Read:
    line = "<epoch: 1, iter: 100, Average PSNR : 30.0dB\n"
    (folder / "a.log").write_text(f"task: x\n{line}" * 5)
    return lambda: tables.curves_of_log("run", log_readers.read(folder / "a.log").lines)


def events(folder: Path) -> Read:
    pytest.importorskip("tensorboard")
    large = {"dtype": 7, "string_val": [b"x" * 2000]}
    content = event_files.framed(event_files.event(1, loss=0.5), event_files.event(2, x=large))
    path = event_files.write(folder, content)

    def read() -> None:
        """It is a note, since what remains is read."""
        notes = log_readers.read(path).notes
        if notes:
            raise BadInput(notes[0].replace("\\", ""))

    return read


def attachment(folder: Path) -> Read:
    record = next(one for one in analyses().values() if one.attachments)
    (folder / record.attachments[0]).write_bytes(bytes(3000))
    return lambda: result.read_attachments(record, folder)


def page(packed: bool) -> Callable[[Path], Read]:
    content = gzip.compress(bytes(3000)) if packed else b"1"
    name = "a.csv.gz" if packed else "a.csv"
    text = (
        f'<p class="appendix"><a data-name="a.csv" download="{name}" href="data:text/csv;base64,'
        f'{base64.b64encode(content).decode()}">x</a>'
    )

    def read(path: Path) -> None:
        with verify.opened(path) as opened:
            assert (opened / "a.csv").is_file()

    return file("a.html", text, read)


def card_record(path: Path) -> None:
    """One that is not valid, which is said once it is read."""
    try:
        cards.read(path)
    except BadInput as error:
        if "not valid" not in str(error):
            raise


CARD_LINE = json.dumps(
    dict.fromkeys((*card_images.COLUMNS, *card_images.LATER), "a") | {"level": 1, "value": 2}
)

GIF = bombs.gif(*[(4, 4)] * 3)
MAT = mats.header() + mats.variable("x", (2, 4, 4, 3), bytes(96)) * 3
SUITE = 'noises = ["gaussian:15", "gaussian:25", "gaussian:50"]\n'
SWEEP = 'base = "small.toml"\n[grid]\n"run.seed" = [1, 2, 3]\n'

CASES = {
    "an image": Case(limits.MEGAPIXELS, 1e-5, "1.6e-05 megapixels", image(bombs.png())),
    "tiles of a TIFF file": Case(
        limits.MEGAPIXELS,
        1e-4,
        "0.000256 megapixels",
        image(tiffs.encode((bombs.PIXEL, tiffs.Kind(tile=16)))),
    ),
    "an EXR file": Case(
        limits.MEGAPIXELS,
        1e-5,
        "1.6e-05 megapixels",
        file("a.exr", bombs.exr(4, 4) + bytes(99), exr_header.check),
    ),
    "frames": Case(limits.PAGES, 2, "3 pages or frames", image(GIF, 1)),
    "pages of a TIFF file": Case(
        limits.PAGES, 2, "3 pages", image(tiffs.encode(*[(bombs.PIXEL, tiffs.Kind())] * 3), 1)
    ),
    "images of a Netpbm file": Case(limits.PAGES, 2, "3 pages", image(b"P5 1 1 255\n\0" * 3, 1)),
    "chunks": Case(limits.PARTS, 2, "3 chunks", image(bombs.png(*[(b"tEXt", b"a\0b")] * 2))),
    "scans": Case(
        limits.DECODED_MEGAPIXELS,
        1e-3,
        "0.0064 megapixels to decode",
        file("a.jpg", bombs.jpeg(100), image_io.read_image),
    ),
    "channels of an EXR file": Case(
        limits.DECODED_GIB,
        1e-7,
        r"\S+ GiB once decoded",
        file("a.exr", bombs.exr(4, 4) + bytes(99), exr_header.check),
    ),
    "a variable of a MATLAB file": Case(
        limits.DECODED_GIB,
        1e-9,
        r"8.9\d+e-08 GiB once decoded",
        file("a.mat", MAT, lambda path: sidd_mat.photographs(path, "x")),
    ),
    "variables": Case(
        limits.MAT_VARIABLES,
        2,
        "3 variables",
        file("a.mat", MAT, lambda path: sidd_mat.photographs(path, "x")),
    ),
    "blocks": Case(
        limits.MAT_BLOCKS,
        1,
        "2 blocks",
        file("a.mat", MAT, lambda path: sidd_mat.photographs(path, "x")),
    ),
    "photographs in an archive": Case(
        limits.ARCHIVE_MEMBERS,
        2,
        "3 members",
        file("a.zip", zipped(3), lambda path: photograph_archives.opened([path])),
    ),
    "a test set as zip": Case(
        limits.ARCHIVE_MEMBERS, 2, "3 members", file("a.zip", zipped(3), unpack)
    ),
    "a test set as tar": Case(
        limits.ARCHIVE_MEMBERS, 2, "3 members", file("a.tar", tarred(3), unpack)
    ),
    "a large test set": Case(
        limits.UNPACKED_GB, 1e-6, "3e-06 GB once unpacked", file("a.zip", zipped(3, 1000), unpack)
    ),
    "a packed test set": Case(
        limits.UNPACKED_RATIO,
        2,
        r"\S+ times its size once unpacked",
        file("a.zip", zipped(3, 10_000, zipfile.ZIP_DEFLATED), unpack),
    ),
    "JSON": Case(limits.JSON, 1e-6, "4e-06 MB", file("a.json", "[12]", input_files.json)),
    "the header of safetensors": Case(limits.JSON, 1e-5, r"\S+ MB", safetensors),
    "options": Case(
        limits.JSON,
        1e-6,
        r"\S+ MB",
        file(
            "a.json",
            '{"netG": {"use_mask": false}, "datasets": {"train": {}}}',
            kair_options.mask_policy,
        ),
    ),
    "digests": Case(
        limits.JSON, 1e-6, r"\S+ MB", file("a.sha256", f"{'0' * 64}  a\n", digests.read)
    ),
    "a card": Case(limits.JSON, 1e-6, "5e-06 MB", file("a.json", "[123]", card_record)),
    "images of a card": Case(
        limits.JSON_LINES, 1e-5, r"\S+ MB", file("a.jsonl", CARD_LINE, card_images.read)
    ),
    "TOML": Case(limits.TOML, 1e-6, "4e-06 MB", file("a.toml", "a=12", input_files.toml)),
    "a suite": Case(
        limits.TOML,
        1e-6,
        r"\S+ MB",
        file("a.toml", SUITE, lambda path: noise_suite.load(str(path))),
        named="suite ",
    ),
    "noises of a suite": Case(
        limits.NOISES,
        2,
        "3 noises or test sets",
        file("a.toml", SUITE, lambda path: noise_suite.load(str(path))),
        named="suite ",
    ),
    "a sweep": Case(
        limits.CELLS, 2, "3 cells", file("a.toml", SWEEP, lambda path: sweep.load(str(path)))
    ),
    "a checkpoint": Case(limits.CHECKPOINT, 1e-3, r"\S+ MB", weights),
    "a checkpoint of safetensors": Case(limits.CHECKPOINT, 1e-4, r"\S+ MB", safetensors),
    "the state of a training": Case(limits.CHECKPOINT, 1e-3, r"\S+ MB", training_state, ""),
    "the backbone of LPIPS": Case(limits.CHECKPOINT, 1e-3, r"\S+ MB", backbone),
    "a pickle": Case(limits.PICKLE, 1e-4, r"\S+ MB", weights),
    "the pickle of an older file": Case(limits.PICKLE, 1e-3, r"\S+ MB", older_weights),
    "members of a checkpoint": Case(limits.MEMBERS, 3, r"\d members", weights),
    "packed weights": Case(
        limits.CHECKPOINT_RATIO, 4, r"unpacks to 6\d+ bytes, 5\.7\d+ bytes or steps", packed_weights
    ),
    "repeated weights": Case(
        limits.CHECKPOINT_RATIO, 4, r"6000000 bytes, 5\.72\d+ bytes or steps", repeated_weights
    ),
    "entangled contents": Case(
        limits.CHECKPOINT_RATIO, 0.01, r"too often, 0\.01\d+ bytes or steps", entangled_weights
    ),
    "tensors": Case(limits.TENSORS, 1, "2 tensors", weights),
    "tensors of safetensors": Case(limits.TENSORS, 1, "2 tensors", safetensors),
    "the network of a checkpoint": Case(
        limits.PARAMETERS, 1e-6, r"\S+ million parameters", network
    ),
    "layers of a checkpoint": Case(limits.LAYERS, 1, r"\d+ layers or blocks", network),
    "the network of a recipe": Case(
        limits.PARAMETERS, 1e-3, r"\S+ million parameters", recipe(), "[network]"
    ),
    "layers of a recipe": Case(limits.LAYERS, 2, r"\d+ layers or blocks", recipe(), "[network]"),
    "a window": Case(limits.WINDOW, 4, "8 pixels", recipe(), "[network]"),
    "a batch": Case(limits.BATCH, 1e-3, r"\S+ megapixels", recipe(), "[run] batch_size"),
    "a table": Case(limits.TABLE, 1e-6, "8e-06 MB", run_table(False, b"a,b\n1,2\n")),
    "a packed table": Case(
        limits.TABLE, 1e-3, "more than 0.001 MB when unpacked", run_table(True, b"a\n" * 1000)
    ),
    "a table of a training": Case(limits.TABLE, 1e-6, r"\S+ MB", training_log),
    "columns": Case(limits.COLUMNS, 1, "2 columns", run_table(False, b"a,b\n1,2\n")),
    "a log": Case(limits.LOG, 5e-5, r"\S+ MB", log, "a"),
    "a line of a log": Case(limits.LINE, 20, "21 characters", log, "a"),
    "files of a log": Case(limits.LOG_FILES, 1, "2 files", log, "a"),
    "values": Case(limits.LOGGED, 5, "6 values", log, "a"),
    "curves": Case(limits.CURVES, 3, "4 curves", log, "a"),
    "tests": Case(limits.TESTS, 3, "4 steps times test sets", log, "a"),
    "restarts": Case(limits.RESTARTS, 3, "4 restarts", restarts, "a log"),
    "a record of events": Case(limits.EVENT, 1e-3, "1 record above", events, "Of "),
    "maps": Case(limits.ATTACHMENT, 1e-3, "0.003 MB", attachment, ""),
    "a page": Case(limits.PAGE, 1e-5, r"\S+ MB", page(False)),
    "a file in a page": Case(
        limits.UNPACKED, 1e-3, "more than 0.001 MB when unpacked", page(True), "a.csv"
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_limit_is_named_and_can_be_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    case = CASES[name]
    monkeypatch.setattr(unpacking, "SMALL", 0)
    read = case.make(tmp_path)
    monkeypatch.setenv(case.limit.variable, f"{case.low:.9f}".rstrip("0").rstrip("."))
    with pytest.raises(BadInput) as refused:
        read()
    line = str(refused.value)
    start = line.replace(f"{tmp_path}/", "")
    assert start.startswith(case.named) and "\n" not in line, line
    assert re.search(rf"(?<![\w.]){case.found}", line), line
    assert f"{case.low:.15g}" in line and case.limit.variable in line, line
    monkeypatch.setenv(case.limit.variable, f"{case.high}")
    read()


def test_every_limit_has_a_reader() -> None:
    every = {one.variable for one in vars(limits).values() if isinstance(one, Limit)}
    assert {case.limit.variable for case in CASES.values()} == every
