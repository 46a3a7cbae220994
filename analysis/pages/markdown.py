"""An executed notebook as Markdown, with its pictures as files next to it.

nbconvert's Markdown exporter leaves HTML as it is, with pictures as `data:` addresses, which GitHub
and most other readers do not show: such outputs are converted here before it sees them.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bs4 import BeautifulSoup
from markdownify import markdownify
from nbconvert.exporters import MarkdownExporter
from nbformat import NotebookNode

from analysis.pages.cells import PRIORITY, clean, figure
from mtd.utils.printable import printable


def markdown(notebook: NotebookNode, folder: str) -> tuple[str, dict[str, bytes]]:
    """The notebook as Markdown, without its code.

    Args:
        notebook: executed.
        folder: of the pictures, next to the text.

    Returns:
        The text, and its pictures by the names under which it links them.
    """
    pictures: dict[str, bytes] = {}

    def convert(copy: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        for cell in copy.cells:
            outputs = cell.get("outputs", [])
            cell.outputs = [output for output in outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                kind = next((kind for kind in PRIORITY if kind in output.get("data", {})), "")
                if kind.startswith("image/"):
                    markup = figure(output, kind)
                elif kind == "text/html":
                    markup = clean(output.data[kind])
                else:
                    continue
                output.data = NotebookNode({"text/markdown": converted(markup, folder, pictures)})
        return copy, resources

    exporter = MarkdownExporter(  # type: ignore[no-untyped-call]
        exclude_input=True,
        extra_template_basedirs=[],  # by default the working folder, whose templates may run code
    )
    exporter.register_preprocessor(convert, enabled=True)  # type: ignore[no-untyped-call]
    text, _ = exporter.from_notebook_node(notebook)
    return f"{printable(text.strip())}\n", pictures


def converted(markup: str, folder: str, pictures: dict[str, bytes]) -> str:
    """Clean HTML as Markdown; its pictures are added to `pictures`, equal ones once."""
    soup = BeautifulSoup(markup, "html.parser")
    for variant in soup.select("img[hidden]"):
        variant.decompose()
    for image in soup.find_all("img"):
        if not image.has_attr("src"):  # it was not part of the notebook
            image.replace_with(f"[picture: {image.get('alt', '')}]")
            continue
        kind, _, encoded = str(image["src"]).removeprefix("data:image/").partition(";base64,")
        content = base64.b64decode(encoded)
        new = f"{folder}/figure-{len(pictures) + 1:02d}.{kind.removesuffix('+xml')}"
        name = next((name for name, known in pictures.items() if known == content), new)
        pictures[name] = content
        image["src"], image["alt"] = quote(name), image.get("alt") or Path(name).stem
    for strip in soup.select(".pictures"):  # side by side
        strip.wrap(soup.new_tag("table"))
        strip.name = "tr"
        for panel in strip.select("figure"):
            panel.name = "td"
    for element in soup.select("[data-csv]"):
        code = soup.new_tag("code", string=str(element["data-csv"]))
        source = soup.new_tag("p", string="Data: ")
        source.append(code)
        element.insert_after(source)
    return markdownify(
        str(soup),
        heading_style="ATX",
        bullets="-",
        escape_misc=True,
        table_infer_header=True,
        keep_inline_images_in=["td", "th"],
    ).strip()
