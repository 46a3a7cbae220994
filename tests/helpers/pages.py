"""A notebook that holds in small what a report consists of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from analysis.pages.attachments import Attachment
from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed

EVIL = "<script>alert(1)</script> & \"quoted\" 'model'"

RESULTS = "\n".join(f"{i},{i * i}" for i in range(20000)).encode()

ATTACHMENTS = (
    Attachment("manifest.json", b"{}\n"),
    Attachment("cka/cka.csv", b"model,cka\na,0.5\n"),
    Attachment("cka/manifest.json", b'{"seed": 0}\n'),
    Attachment("scores/results.csv", RESULTS),
)


def shown(*displayed: Displayed) -> NotebookNode:
    """A cell that puts these out."""
    outputs = [
        new_output("display_data", data=dict(one.data), metadata=dict(one.metadata))
        for one in displayed
    ]
    return new_code_cell("secret_of_the_source()", outputs=outputs)


def drawing(width: float = 4) -> Figure:
    figure = Figure(figsize=(width, 2))
    figure.subplots().plot([1, 3, 2])
    return figure


def table(names: tuple[str, ...] = ("b", "a", "c10", "c9"), csv: str = "cka/cka.csv") -> Displayed:
    values = [2.0, -float("inf"), float("nan"), 2.0004]
    rest = {f"column_{k}": range(len(names)) for k in range(8)}
    frame = pd.DataFrame({"model": names, "score": values[: len(names)], **rest})
    return notebook_output.table(frame, 2, "Scores", csv)


def pictures(count: int = 3, of: str = "chelsea under poisson:3") -> Displayed:
    random = np.random.default_rng(0)
    made = [random.integers(0, 256, (16, 24, 3), dtype=np.uint8) for _ in range(count)]
    names = ["baseline", "masked", "noisy input"]
    return notebook_output.comparison(
        {n: (p, f"{k + 20} dB") for k, (n, p) in enumerate(zip(names, made, strict=False))}, of
    )


def pairs() -> Displayed:
    panels = {("a", "b"): table(), ("a", "c"): notebook_output.figure(drawing(), "of a and c")}
    return notebook_output.pairwise(panels, "models")


def notebook(*more: NotebookNode) -> NotebookNode:
    """What a report consists of, in small."""
    opening = "# What came out\n\nSee [the scores](#Scores), [nothing](#nothing) and [a paper]"
    return new_notebook(
        cells=[
            new_markdown_cell(f"{opening}(https://example.org/a?b=c&d=e)."),
            shown(notebook_output.say(["masked is **better**", "by 2 dB"])),
            new_markdown_cell("## Scores\n\n| a | b |\n|--:|---|\n| 1 | x |\n\n### One by one"),
            shown(table(), pictures(), pairs()),
            new_markdown_cell("## Scores"),
            shown(notebook_output.figure(drawing(12), "a line that rises", "cka/cka.csv")),
            shown(notebook_output.figure(drawing(), "no such table", "cka/missing.csv")),
            *more,
        ]
    )


def output(kind: str, data: Any, **metadata: Any) -> NotebookNode:
    return new_code_cell(
        "", outputs=[new_output("display_data", data={kind: data}, metadata=metadata)]
    )
