"""Readers of run folders, caches, stores, pages and records of downloads."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.attack import text_mutations
from tests.attack.checkpoint_mutations import SAFETENSORS, in_order
from tests.attack.mutations import BYTES, weighted
from tests.attack.page_mutations import PAGE, page
from tests.attack.reader import Files, Reader, one_file
from tests.helpers.paths import ROOT

EXAMPLE = ROOT / "reports/example"
ROWS = 6
"""Rows of each table of the example that are kept."""


@cache
def example(*names: str) -> dict[str, bytes]:
    """Runs of the example page, tables cut to a few rows."""
    files: dict[str, bytes] = {}
    for name in names:
        for path in sorted((EXAMPLE / name).glob("*")):
            if path.suffix == ".json" and path.name != "page.json":
                files[f"{name}/{path.name}".removeprefix("./")] = path.read_bytes()
            elif path.suffix == ".csv":
                rows = path.read_bytes().splitlines(keepends=True)[: ROWS + 1]
                files[f"{name}/{path.name}".removeprefix("./")] = b"".join(rows)
    return files


def run_of(name: str) -> Callable[[], Sequence[Files]]:
    """The run folder of one of the example's analyses, whole but for its longest tables."""

    def seeds() -> Sequence[Files]:
        place = EXAMPLE / name
        return [
            {
                path.name: path.read_bytes()
                for path in sorted(place.iterdir())
                if path.suffix in KEPT
            }
        ]

    return seeds


KEPT = (".json", ".csv")


def few_curves() -> Sequence[Files]:
    """The run of curves with two noises and two steps, since every curve takes time to describe."""
    files = dict(*run_of("curves")())
    head, *rows = files["curves.csv"].splitlines(keepends=True)
    kept = [
        row
        for row in rows
        if row.split(b",")[2] != b"learning_rate"
        and row.split(b",")[3] in (b"", b"gaussian:15", b"poisson:3.5")
        and row.split(b",")[4] in (b"4000", b"19000")
    ]
    return [files | {"curves.csv": b"".join([head, *kept])}]


def open_run(name: str) -> Callable[[Path], Any]:
    """Reads a run as notebooks do."""

    def read(folder: Path) -> Any:
        import analysis

        return repr(analysis.open_run(folder, name))

    return read


def with_sentences(name: str) -> Callable[[Path], Any]:
    """Reads a run as a page does, with its printed text, which holds its sentences."""

    def read(folder: Path) -> Any:
        import analysis

        return analysis.open_run(folder, name).text()

    return read


def read_compared(folder: Path) -> Any:
    """Reads a run as `analysis.compare` does."""
    from analysis.compare.runs import Run

    run = Run.read(folder, ["srga"])
    return (
        run.models,
        run.trainings,
        run.trained,
        run.reference,
        [run.network(m) for m in run.models.values()],
    )


def read_log(folder: Path) -> Any:
    from analysis.commands import run_manifest

    run_manifest.done(folder)
    run_manifest.unfinished(folder)
    return run_manifest.read_log(folder)


@cache
def cached() -> dict[str, bytes]:
    """A file of the cache of activations."""
    import tempfile

    import torch

    from analysis.engine.cache import ActivationCache

    with tempfile.TemporaryDirectory() as name:
        stored = ActivationCache(Path(name)).put(
            KEY, {"a": torch.arange(6.0), "b": torch.ones(2, 3)}
        )
        assert stored.path is not None
        return {f"cache/{stored.path.name}": in_order(stored.path.read_bytes())}


KEY = {"model": "x", "noise": "gaussian:15", "batch": [1, 2]}


def read_cache(folder: Path) -> Any:
    """What is in the cache is what was put there, or nothing."""
    from analysis.engine.cache import ActivationCache

    found = ActivationCache(folder).get(KEY)
    if found is not None:
        tensors = found.tensors()
        assert {name: value.tolist() for name, value in tensors.items()} == {
            "a": [0, 1, 2, 3, 4, 5],
            "b": [[1, 1, 1], [1, 1, 1]],
        }, "a damaged result is believed"
        assert found.matrix("b")[:, 1:2].tolist() == [[1], [1]]
    return found


@cache
def store() -> dict[str, bytes]:
    import tempfile

    from mtd.training import decoded_store

    with tempfile.TemporaryDirectory() as name:
        decoded_store.build(Path(name), photographs())
        return {path.name: path.read_bytes() for path in Path(name).iterdir()}


def photographs() -> Any:
    from mtd.data.photographs import Photograph

    pixels = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)
    return [Photograph(name, 5, 6, lambda: pixels) for name in ("a", "b")]


def read_store(folder: Path) -> Any:
    """What is in the store are the photographs, or it is refused."""
    from mtd.training import decoded_store

    for one in decoded_store.stored(folder, photographs()):
        assert one.load().tolist() == photographs()[0].load().tolist(), "other pixels are believed"


def read_page(path: Path) -> Any:
    """Reads a page as `--verify` does, up to what is computed."""
    from analysis.commands.run_manifest import read_manifest
    from analysis.commands.run_tables import reading
    from analysis.report import verify
    from analysis.report.random_rows import RandomRows
    from analysis.report.settings import ReportSettings
    from analysis.report.verify_trust import reported

    with verify.opened(path) as folder:
        manifest = read_manifest(folder)
        with reading(path):
            requested, settings = reported(str(path), manifest, ReportSettings(), [])
            verify.scored_alike(settings, folder)
            verify.other_versions(manifest)
            verify.complete_sections(folder, RandomRows(folder, random.Random(1), 1.0))
            return requested, [verify.networks_of(*one) for one in manifest["models"].items()]


def read_report(folder: Path) -> Any:
    return read_page(folder)


def read_maps(path: Path) -> Any:
    from analysis.attribution.tables import read_maps as read

    return read(path.read_bytes(), path.name)


@cache
def maps() -> bytes:
    import torch
    from safetensors.torch import save

    names = json.dumps([["a", "gaussian:15", 0], ["b", "gaussian:15", 0]])
    tensors = {"0": torch.ones(3, 2, 2), "1": torch.ones(3, 2, 2)}
    return in_order(save(tensors, {"names": names, "first_trainings": "{}"}))


def read_filters(path: Path) -> Any:
    from analysis.linear.tables import read_filters as read

    return read(path.read_bytes())


@cache
def filters() -> bytes:
    import torch
    from safetensors.torch import save

    names = json.dumps([["", "gaussian:15", 0, ""], ["a", "gaussian:15", 0, "flat"]])
    return in_order(save({"0": torch.ones(3, 2, 2), "1": torch.ones(4, 4)}, {"names": names}))


def digests() -> Sequence[bytes]:
    return [b"".join(b"%064x  set/%d.png\n" % (number**9, number) for number in range(4))]


def read_digests(path: Path) -> Any:
    from mtd.utils import digests as records

    return records.read(path)


URL = "https://example.org/a/file.pth"


def read_origin(folder: Path) -> Any:
    """Whether the beginning of an interrupted download can be continued."""
    from mtd.utils.resumable import Resumable

    for trusted in (False, True):
        Resumable(folder / "file.part", print, trusted=trusted, size=9)._continuable(URL)


def scenes() -> Sequence[bytes]:
    return [json.dumps(RENDERED).encode()]


RENDERED = {
    "seed": 0,
    "size": 64,
    "reference": 512,
    "views": 2,
    "spp": [4, 16],
    "scenes": ["box", "sky"],
    "images": ["box-0", "box-1"],
    "renderer": "x",
}


def read_scenes(folder: Path) -> Any:
    from mtd import render

    return render.merged(dict(RENDERED), folder, resume=True)


def read_fingerprint(folder: Path) -> Any:
    from analysis.report import publish

    publish.forget(folder, {"x": 1}, ["html"])


REPORT = (".", "srga", "curves")

TABLES = ("srga.csv", "srga_difference.csv", "robustness.csv")
JSON = weighted(text_mutations.JSON)
TABLE = weighted((*text_mutations.TABLE, *text_mutations.TEXT))
JSON_AND_TABLE = weighted((*text_mutations.JSON, *text_mutations.TABLE))

READERS = [
    Reader("run-manifest", run_of("srga"), open_run("srga"), JSON, ("manifest.json",)),
    Reader("run-tables", run_of("srga"), open_run("srga"), TABLE, TABLES),
    Reader(
        "run-sentences",
        few_curves,
        with_sentences("curves"),
        JSON_AND_TABLE,
        ("manifest.json", "curves.csv", "summary.csv"),
    ),
    Reader(
        "run-compared", run_of("srga"), read_compared, JSON_AND_TABLE, ("manifest.json", "srga.csv")
    ),
    Reader("run-log", run_of("srga"), read_log, JSON, ("run.json",)),
    Reader("cache", lambda: [cached()], read_cache, weighted(SAFETENSORS)),
    Reader(
        "decoded-store",
        lambda: [store()],
        read_store,
        weighted((text_mutations.json_values, *BYTES)),
    ),
    one_file("page", "report.html", lambda: [page(example(*REPORT))], read_page, weighted(PAGE)),
    Reader("report-manifest", lambda: [example(*REPORT)], read_report, JSON, ("manifest.json",)),
    one_file("maps", "x.safetensors", lambda: [maps()], read_maps, weighted(SAFETENSORS)),
    one_file("filters", "x", lambda: [filters()], read_filters, weighted(SAFETENSORS)),
    one_file("digests", "set.sha256", digests, read_digests, weighted(text_mutations.TEXT)),
    Reader(
        "download-origin",
        lambda: [{"file.part": b"begin", "file.part.from": f'{URL}\n"etag"\n'.encode()}],
        read_origin,
        weighted(text_mutations.TEXT),
        ("file.part.from",),
    ),
    Reader("renderings", lambda: [{"manifest.json": scenes()[0]}], read_scenes, JSON),
    Reader(
        "page-inputs",
        lambda: [{"page.json": b'{"x": 1}', "report.md": b"x"}],
        read_fingerprint,
        JSON,
        ("page.json",),
    ),
]
