"""An executed notebook as Markdown, its pictures as files beside it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode

from analysis.pages.sanitize import HEADINGS, PRIORITY, clean, drawn, plain, words


def markdown(notebook: NotebookNode, folder_name: str) -> tuple[str, dict[str, bytes]]:
    """The notebook as Markdown, its code left out.

    Args:
        notebook: executed.
        folder_name: where the pictures are to lie, beside the text.

    Returns:
        The text, and its pictures by the names that it links.
    """
    parts: list[str] = []
    files: dict[str, bytes] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(str(cell.source).strip())
        for output in cell.get("outputs", []):
            parts += told(output, folder_name, files)
    return "\n\n".join(filter(None, parts)) + "\n", files


def told(output: NotebookNode, folder: str, files: dict[str, bytes]) -> Iterator[str]:
    """Paragraphs of one output; pictures are added to the files."""
    if output.output_type == "stream":
        if output.name == "stdout":
            yield fenced(output.text)
    elif output.output_type == "error":
        yield f"**This part failed**: {literal(output.ename)}"
        yield fenced("\n".join(plain(line) for line in output.traceback))
    else:
        kind = next((kind for kind in PRIORITY if kind in output["data"]), "")
        if kind == "text/markdown":
            yield str(output["data"][kind]).strip()
        elif kind == "text/plain":
            yield fenced(plain(output["data"][kind]))
        elif kind:
            data = output["data"]
            made = clean(data[kind]) if kind == "text/html" else drawn(output, kind)
            yield from paragraphs(BeautifulSoup(made, "html.parser"), folder, files)


BLOCKS = [*HEADINGS, "img", "table", "pre", "p", "li", "div", "figcaption", "summary", "section"]


def paragraphs(tag: Tag, folder: str, files: dict[str, bytes]) -> Iterator[str]:
    """An element as Markdown: headings, pictures, tables, lists, and the text of all else."""
    if tag.name == "img":
        yield linked(tag, folder, files)
    elif "pictures" in tag.get_attribute_list("class"):
        shown = tag.find_all("figure")
        heads = [literal(words(one.figcaption) if one.figcaption else "") for one in shown]
        images = [linked(one.img, folder, files) if one.img else "" for one in shown]
        yield piped([heads, images], [":---:"] * len(shown))
    elif tag.name == "table":
        yield from ruled(tag)
    elif tag.name == "pre":
        yield fenced(tag.get_text())
    elif not tag.find(BLOCKS):
        mark = f"{'#' * int(tag.name[1])} " if tag.name in HEADINGS else ""
        mark = "- " if tag.name == "li" else mark
        yield (mark + literal(words(tag))).rstrip()
    else:
        for child in tag.children:
            if isinstance(child, Tag):
                yield from paragraphs(child, folder, files)
            else:
                yield literal(" ".join(str(child).split()))
    if tag.has_attr("data-csv"):
        yield f"Data: `{tag['data-csv']}`"


def linked(image: Tag, folder: str, files: dict[str, bytes]) -> str:
    """A picture's place in the text; the same picture is kept once."""
    kind, _, coded = str(image["src"]).partition(";base64,")
    suffix = {"svg+xml": "svg", "jpeg": "jpg"}.get(kind.split("/")[1], kind.split("/")[1])
    content = base64.b64decode(coded)
    name = next((name for name, held in files.items() if held == content), "")
    name = name or f"{folder}/figure-{len(files) + 1:02d}.{suffix}"
    files[name] = content
    return f"![{literal(str(image['alt']) or Path(name).stem)}]({quote(name)})"


def ruled(table: Tag) -> Iterator[str]:
    """A table with pipes, below its caption; its first row is its head."""
    if table.caption:
        yield f"*{literal(words(table.caption))}*"
    cells = [row.find_all(["th", "td"]) for row in table("tr")]
    if cells and (width := max(map(len, cells))):
        rows = [[literal(words(cell)) for cell in row] for row in cells]
        numeric = ["number" in cell.get_attribute_list("class") for cell in cells[-1]]
        rules = ["---:" if right else "---" for right in numeric]
        yield piped([row + [""] * (width - len(row)) for row in rows], rules)


def piped(rows: list[list[str]], rules: list[str]) -> str:
    """Rows of equal length, under the first of them a row of rules."""
    rules = rules + ["---"] * (len(rows[0]) - len(rules))
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], rules, *rows[1:]])


def literal(text: str) -> str:
    """Text in which Markdown finds no marks."""
    return re.sub(r"([\\`*|\[\]<>&])", r"\\\1", text)


def fenced(text: str) -> str:
    """Text as it is, in a fence longer than any in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"
