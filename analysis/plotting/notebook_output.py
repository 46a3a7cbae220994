"""Outputs of notebooks: figures with a description, sortable tables, pictures to compare.

Each of these is an object for the last line of a cell. A notebook shows it as it is; the page
(`analysis.pages.html`) makes tables sortable, gives comparisons a slider, and links figures to
their CSV.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.plotting.page_figure import Variant, caption, variants
from analysis.plotting.pictures import as_pillow
from analysis.text.markdown import as_html as as_html_text
from analysis.text.noise_names import noise_label
from mtd.data.image_io import Pixels


@dataclass(frozen=True)
class Displayed:
    """An output in several MIME types, and its metadata."""

    data: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        return dict(self.data), dict(self.metadata)


def figure(plot: Figure | None, alt: str, csv: str = "") -> Displayed:
    """A figure whose title becomes its caption; a page shows it wide or narrow, light or dark.

    Args:
        plot: None for no figure; the description is shown instead.
        alt: its description, for readers who do not see it.
        csv: the table that it is drawn from, as `cka/cka.csv`: analysis and file.
    """
    return say([alt]) if plot is None else shown(variants(plot), alt, csv, caption(plot))


def image(content: bytes, alt: str, csv: str = "") -> Displayed:
    """A figure that is a PNG already; see `figure`."""
    return shown([Variant(content)], alt, csv)


def shown(drawn: Sequence[Variant], alt: str, csv: str, title: str = "") -> Displayed:
    """Variants of one figure, of which a notebook shows the first."""
    parts = []
    for place, variant in enumerate(drawn):
        names = [
            "narrow" if variant.narrow else "wide",
            "dark" if variant.dark else "light",
            *(["scrolls"] if variant.scrolls else []),
        ]
        source = f"data:image/{variant.kind};base64,{encoded(variant.content)}"
        parts.append(
            f'<img class="{" ".join(names)}" src="{source}" alt="{html.escape(alt)}"'
            f"{' hidden' if place else ''}>"
        )
    about = f"<figcaption>{html.escape(title)}</figcaption>" if title else ""
    source = f' data-csv="{html.escape(csv)}"' if csv else ""
    markup = (
        f'<figure class="drawn"{source}><div class="images">{"".join(parts)}</div>{about}</figure>'
    )
    first = encoded(drawn[0].content)
    return Displayed({"text/html": markup, "image/png": first, "text/plain": alt})


def encoded(content: bytes) -> str:
    """Bytes in base64."""
    return base64.b64encode(content).decode()


def say(sentences: Iterable[str]) -> Displayed:
    """Sentences, one a line of a list; Markdown."""
    text = "\n".join(f"- {sentence}" for sentence in sentences)
    return Displayed({"text/markdown": text, "text/plain": text})


def cell_text(value: Any, digits: int) -> str:
    """A cell's text: numbers with so many digits after the point, a dash where there is none.

    >>> cell_text(3.14159, 2), cell_text(float("nan"), 2), cell_text("a", 2), cell_text(7, 2)
    ('3.14', '–', 'a', '7')
    >>> cell_text(pd.NA, 0)
    '–'
    """
    if value is pd.NA:
        return "–"
    if not isinstance(value, float | np.floating):
        return str(value)
    if math.isnan(value):
        return "–"
    return f"{value:.{digits}f}"


def verdict(text: str, below: Sequence[str] = (), judged: Sequence[str] = ()) -> Displayed:
    """The answer of a page in one paragraph, and what it rests on in smaller type.

    Args:
        text: Markdown.
        below: lines of Markdown.
        judged: what it rests on and how it was judged: the first line is shown, the others when it
            is opened.
    """
    lines = "".join(f"<p>{as_html_text(line)}</p>" for line in below)
    if judged:
        first, *others = map(as_html_text, judged)
        rest = "".join(f"<p>{line}</p>" for line in others)
        lines += f"<details><summary>{first}</summary>{rest}</details>"
    evidence = f'<div class="evidence">{lines}</div>' if lines else ""
    markup = f'<div class="answer"><p class="verdict">{as_html_text(text)}</p>{evidence}</div>'
    return Displayed({"text/html": markup, "text/plain": "\n".join([text, *below, *judged])})


def folded(title: str, parts: Sequence[Displayed]) -> Displayed:
    """Outputs that are shown when their title is opened.

    Args:
        title: plain text.
        parts: at least one.
    """
    inside = "".join(map(as_html, parts))
    markup = f'<details class="more"><summary>{html.escape(title)}</summary>{inside}</details>'
    plain = "\n".join(str(part.data["text/plain"]) for part in parts)
    return Displayed({"text/html": markup, "text/plain": f"{title}\n{plain}"})


def together(parts: Sequence[Displayed]) -> Displayed:
    """Outputs below one another, as one."""
    plain = "\n".join(str(part.data["text/plain"]) for part in parts)
    return Displayed({"text/html": "".join(map(as_html, parts)), "text/plain": plain})


def paragraph(text: str) -> Displayed:
    """A sentence of Markdown in a paragraph of its own, as the answer of a section."""
    markup = f'<p class="lead">{as_html_text(text)}</p>'
    return Displayed({"text/html": markup, "text/plain": text})


def answers(rows: Iterable[Mapping[str, str]]) -> Displayed:
    """The answers of a page in a table.

    Args:
        rows: by heading, a text, both Markdown; `section` is a heading of the page, to which it
            links.
    """
    all_rows = list(rows)
    heads = list(all_rows[0]) if all_rows else ["section"]
    head = "".join(f'<th scope="col">{as_html_text(name)}</th>' for name in heads)
    body = []
    for row in all_rows:
        cells = {name: as_html_text(text) for name, text in row.items()}
        anchor = html.escape(row["section"].lower().replace(" ", "-"))
        cells["section"] = f'<a href="#{anchor}">{html.escape(row["section"])}</a>'
        body.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells.values())}</tr>")
    text = f'<table class="answers"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody>'
    plain = "\n".join("; ".join(filter(None, row.values())) for row in all_rows)
    return Displayed({"text/html": f"{text}</table>", "text/plain": plain})


def glossary(terms: Iterable[tuple[str, str, str]]) -> Displayed:
    """A list of terms.

    Args:
        terms: name, definition, and the address of its source, which may be empty; plain text.
    """
    items, plain = [], []
    for name, text, source in terms:
        link = f' <a href="{html.escape(source)}">Source</a>' if source else ""
        items.append(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}{link}</dd>")
        plain.append(f"{name}: {text}")
    markup = f'<dl class="glossary">{"".join(items)}</dl>'
    return Displayed({"text/html": markup, "text/plain": "\n".join(plain)})


def badges(counts: Mapping[str, tuple[int, str]]) -> Displayed:
    """Counts as a row of badges.

    Args:
        counts: number and words by class of the badge, such as `agrees`.
    """
    items = "".join(
        f'<li class="badge {html.escape(kind)}"><strong>{number}</strong> {html.escape(words)}</li>'
        for kind, (number, words) in counts.items()
    )
    text = ", ".join(f"{number} {words}" for number, words in counts.values())
    return Displayed({"text/html": f'<ul class="badges">{items}</ul>', "text/plain": text})


def with_noise_labels(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as it is shown: noises as people write them, in columns of noises and in headings.

    >>> frame = pd.DataFrame({"noise": ["isp"], "gaussian:5 (trained on)": [1.0], "model": ["isp"]})
    >>> with_noise_labels(frame).to_dict("list")
    {'noise': ['camera pipeline'], 'Gaussian, σ = 5 (trained on)': [1.0], 'model': ['isp']}
    """
    shown = frame.copy()
    for name in frame:
        if "noise" in str(name) and not pd.api.types.is_numeric_dtype(frame[name].dtype):
            shown[name] = [
                noise_label(cell) if isinstance(cell, str) else cell for cell in frame[name]
            ]
    heads = [str(name).partition(" (") for name in frame]
    shown.columns = pd.Index([f"{noise_label(name)}{space}{rest}" for name, space, rest in heads])
    return shown


def table(
    frame: pd.DataFrame,
    digits: Mapping[str, int] | int = 2,
    caption: str = "",
    csv: str = "",
    help: Mapping[str, str] | None = None,
) -> Displayed:
    """A table, which a page makes sortable.

    Args:
        frame: its index is not shown.
        digits: after the point, of all columns or by column (2 where none is named).
        caption: one line above it.
        csv: the table that it is taken from, such as `cka/last_quarter.csv`.
        help: what columns mean, by their names: shown where the pointer is over a heading.
    """
    frame = with_noise_labels(frame)
    places = {
        str(name): digits if isinstance(digits, int) else digits.get(str(name), 2)
        for name in frame.columns
    }
    numeric = {str(n): pd.api.types.is_numeric_dtype(frame[n].dtype) for n in frame.columns}
    head = "".join(
        f'<th scope="col" data-type="{"number" if numeric[name] else "text"}"'
        f"{explained((help or {}).get(name))}>{html.escape(name)}</th>"
        for name in places
    )
    rows = []
    for values in frame.itertuples(index=False):
        cells = []
        for name, value in zip(places, values, strict=True):
            text = html.escape(cell_text(value, places[name]))
            if numeric[name]:
                exact = math.nan if value is pd.NA else float(value)
                cells.append(f'<td class="number" data-value="{exact!r}">{text}</td>')
            else:
                cells.append(f"<td>{text}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    source = f' data-csv="{html.escape(csv)}"' if csv else ""
    text = f'<table class="sortable"{source}>{title}<thead><tr>{head}</tr></thead><tbody>'
    plain = frame.to_string(index=False, na_rep="–")
    return Displayed({"text/html": f"{text}{''.join(rows)}</tbody></table>", "text/plain": plain})


def explained(text: str | None) -> str:
    """The attribute of a heading that says what it means; empty without such a text."""
    return f' title="{html.escape(text)}" data-help="1"' if text else ""


def picture(pixels: Pixels, alt: str) -> str:
    """An `img` element of 8-bit pixels, (H, W, C)."""
    buffer = io.BytesIO()
    as_pillow(pixels).save(buffer, "png", optimize=True)
    source = encoded(buffer.getvalue())
    height, width = pixels.shape[:2]
    return (
        f'<img src="data:image/png;base64,{source}" width="{width}" height="{height}" '
        f'alt="{html.escape(alt)}">'
    )


def comparison(pictures: Mapping[str, tuple[Pixels, str]], caption: str) -> Displayed:
    """Pictures of the same place; a page shows any two of them under a slider.

    Args:
        pictures: pixels and a note on them (their PSNR, say), by name; the first two are those
            that are compared at first.
        caption: of the comparison.
    """
    parts = [
        f'<figure data-name="{html.escape(name)}">'
        + picture(pixels, f"{caption}: {name}{', ' + about if about else ''}")
        + f"<figcaption>{html.escape(name)}{'<br>' + html.escape(about) if about else ''}"
        "</figcaption></figure>"
        for name, (pixels, about) in pictures.items()
    ]
    text = (
        f'<div class="comparison"><p class="caption">{html.escape(caption)}</p>'
        f'<div class="pictures">{"".join(parts)}</div></div>'
    )
    names = ", ".join(f"{n} {about}".strip() for n, (_, about) in pictures.items())
    return Displayed({"text/html": text, "text/plain": f"{caption}: {names}"})


def pairwise(panels: Mapping[tuple[str, str], Displayed], label: str) -> Displayed:
    """Panels about two models each; a page shows those of the two that the reader chooses.

    Args:
        panels: figures and tables, by the names of the models.
        label: of the choice, such as `models`.
    """
    parts = [
        f'<section data-a="{html.escape(a)}" data-b="{html.escape(b)}">'
        f"<h4>{html.escape(a)} and {html.escape(b)}</h4>{as_html(panel)}</section>"
        for (a, b), panel in panels.items()
    ]
    text = f'<div class="pairwise" data-label="{html.escape(label)}">{"".join(parts)}</div>'
    names = ", ".join(f"{a} and {b}" for a, b in panels)
    return Displayed({"text/html": text, "text/plain": f"{label}: {names}"})


def as_html(output: Displayed) -> str:
    """An output as HTML."""
    if "text/html" in output.data:
        return str(output.data["text/html"])
    return f"<pre>{html.escape(str(output.data['text/plain']))}</pre>"
