"""Readers of logs, TensorBoard events, suites and cards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.attack import text_mutations
from tests.attack.log_mutations import EVENTS
from tests.attack.mutations import weighted
from tests.attack.reader import Files, Reader, one_file
from tests.helpers import event_files as event_records
from tests.helpers.paths import ROOT
from tests.helpers.training_logs import FIRST, KAIR, STAMPS, basicsr_lines, kair_lines, stamped

LOG = """\
step,loss,learning_rate,images_per_second
100,0.5,0.001,20
200,0.25,0.001,20
300,0.2,0.001,20
"""
VALIDATION = """\
step,noise,psnr
100,gaussian:15,28.5
100,poisson:3,25.5
200,gaussian:15,29.5
200,poisson:3,25
"""


def tables() -> Sequence[Files]:
    recipe = json.dumps({"data": {"noise": "gaussian:15"}, "network": {"x": 1}}).encode()
    own = {"log.csv": LOG.encode(), "validation.csv": VALIDATION.encode()}
    return [own, own | {"recipe.json": recipe}, {"log.csv": LOG.replace(",", ";").encode()}]


def read_log(folder: Path) -> Any:
    """The values that a run has logged."""
    from analysis.curves import log_readers

    return log_readers.read(folder)


def read_curves(folder: Path) -> Any:
    """The curves of a run, with sentences about them, as the command prints them."""
    from analysis.curves import command

    return command.read_curves(folder).sentences()


def text_logs() -> Sequence[Files]:
    names = ("set5", "kodak24")
    kair = "\n".join(stamped(kair_lines([FIRST], names, True), STAMPS["kair"]))
    basicsr = "\n".join(stamped(basicsr_lines([FIRST], names, True), STAMPS["basicsr"]))
    return [{"train.log": f"{text}\n".encode()} for text in (KAIR.rstrip(), kair, basicsr)]


@cache
def events() -> bytes:
    made = [event_records.event(0)]
    for step in (100, 200, 300):
        tags = {"loss": 1 / step, "learning_rate": 1e-4}
        tags["validation/gaussian:15/psnr"] = 28 + step / 100
        made += [event_records.event(step, step, **{tag: value}) for tag, value in tags.items()]
    return event_records.framed(*made)


def event_files() -> Files:
    return {"events.out.tfevents.1.x": events()}


def suites() -> Sequence[bytes]:
    from analysis.generalization.noise_suite import FOLDER

    own = ("levels", "masked", "clipdenoising", "kair")
    found = [(FOLDER / f"{name}.toml").read_bytes() for name in own]
    return [
        b"\n".join(row for row in one.splitlines() if not row.startswith(b"name")) for one in found
    ]


def read_suite(path: Path) -> Any:
    from analysis.generalization import noise_suite

    return noise_suite.load(str(path))


def card() -> dict[str, bytes]:
    """A card of the bundled pair's benchmark, with the values of a few images."""
    folder = ROOT / "tests/attack/seeds/card"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def read_card(folder: Path) -> Any:
    from analysis.compare_cards import cards

    return cards.read(folder / "result.json")


def card_folder() -> Sequence[Files]:
    from analysis.card import folder

    files = {"result.json": card()["result.json"].decode(), "README.md": "x\n"}
    listed = {name: text.encode() for name, text in files.items()}
    return [listed | {"card.json": folder.contents(files).encode()}]


def check_card(folder: Path) -> Any:
    from analysis.card import folder as folders

    folders.check(folder)
    folders.check_models(folder, ["x", "baseline", "masked"])


READERS = [
    Reader("log-tables", tables, read_log, weighted((*text_mutations.TABLE, *text_mutations.TEXT))),
    Reader("log-texts", text_logs, read_log, weighted(text_mutations.TEXT)),
    Reader(
        "events",
        lambda: [event_files()],
        read_log,
        weighted(EVENTS),
    ),
    Reader(
        "curves",
        lambda: [*tables(), *text_logs(), event_files()],
        read_curves,
        weighted((*EVENTS, *text_mutations.TABLE, *text_mutations.TEXT)),
    ),
    one_file("suite", "x.toml", suites, read_suite, weighted(text_mutations.TOML)),
    Reader("card", lambda: [card()], read_card, weighted(text_mutations.JSON), ("result.json",)),
    Reader(
        "card-images",
        lambda: [card()],
        read_card,
        weighted((text_mutations.json_lines,)),
        ("images.jsonl",),
    ),
    Reader("card-folder", card_folder, check_card, weighted(text_mutations.JSON), ("card.json",)),
]
