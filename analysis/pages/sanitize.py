"""What cells put out, as markup in which nothing runs and nothing is loaded."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from bs4.element import PreformattedString
from markupsafe import escape
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from traitlets.config import Config

ASSETS = Path(__file__).parent / "assets"

PRIORITY = ("text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/plain")
"""What is shown of an output that comes in several forms."""

HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]

TAGS = re.compile(
    "h[1-6]|a|abbr|b|blockquote|br|caption|code|col|colgroup|dd|del|details|div|dl|dt|em|"
    "figcaption|figure|hr|i|img|kbd|li|mark|ol|p|pre|s|samp|section|small|span|strong|sub|"
    "summary|sup|table|tbody|td|tfoot|th|thead|tr|u|ul|var"
)
"""Elements that an output may consist of; of others the text is kept."""

DROPPED = re.compile("script|style|iframe|object|embed|template|noscript|svg|math|title|head")
"""Elements that go with all that is in them."""

ATTRIBUTES = re.compile("class|title|alt|(col|row)span|scope|width|height|open|start|data-[a-z-]+")
"""Attributes that stay, and `href` and `src` where they are harmless."""

LINK = re.compile(r"#|(https?|mailto):", re.IGNORECASE)
PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]+")
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ALIGNED = re.compile(r"text-align:\s*(left|right|center)")


def cells(notebook: NotebookNode) -> str:
    """Markup of a notebook's cells, without code, and cleaned."""
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name=ASSETS.name,
        extra_template_basedirs=[str(ASSETS.parent)],
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
        filters={"clean": clean, "drawn": drawn, "plain": plain},
        config=Config({"NbConvertBase": {"display_data_priority": list(PRIORITY)}}),
    )
    return str(exporter.from_notebook_node(notebook)[0])


def drawn(output: NotebookNode, kind: str) -> str:
    """A figure element of an output that is an image; without a description if there is none."""
    about = output.get("metadata", {}).get(kind, {})
    said = str(output["data"].get("text/plain", ""))
    alt = about.get("alt") or ("" if said.startswith("<") else said)
    coded = output["data"][kind]
    if kind == "image/svg+xml":
        coded = base64.b64encode(coded.encode()).decode()
    source = f' data-csv="{escape(about["csv"])}"' if about.get("csv") else ""
    return clean(
        f'<figure class="drawn"{source}><img src="data:{kind};base64,{"".join(coded.split())}" '
        f'alt="{escape(alt)}"></figure>'
    )


def plain(text: str) -> str:
    """Text of a terminal without its colours."""
    return COLOURS.sub("", text)


def clean(markup: str) -> str:
    """Markup of an output with nothing in it that runs or loads; our classes and data stay."""
    soup = BeautifulSoup(markup, "html.parser")
    for text in soup.find_all(string=lambda found: isinstance(found, PreformattedString)):
        text.extract()  # comments and the like, which are not escaped
    for tag in soup.find_all(True):
        if tag.decomposed:
            continue
        if DROPPED.fullmatch(tag.name):
            tag.decompose()
        elif not TAGS.fullmatch(tag.name):
            tag.unwrap()
        else:
            harmless(tag)
    return str(soup)


def harmless(tag: Tag) -> None:
    """Take the attributes from an element that may do something."""
    aligned = ALIGNED.search(str(tag.get("style", "")))
    href, src = str(tag.get("href", "")).strip(), str(tag.get("src", "")).strip()
    tag.attrs = {name: kept for name, kept in tag.attrs.items() if ATTRIBUTES.fullmatch(name)}
    if aligned and tag.name in ("td", "th"):
        classed(tag, f"align-{aligned[1]}")
    if tag.name == "a":
        if LINK.match(href):
            tag["href"] = href
        else:
            tag.unwrap()
    if tag.name == "img":
        tag["alt"] = str(tag.get("alt", "")).strip()
        if PICTURE.fullmatch(src):
            tag["src"] = src
        else:  # a page loads nothing
            tag.replace_with(f"[picture: {tag['alt']}]")


def classed(tag: Tag, name: str) -> None:
    """Add a class to an element."""
    held = tag.get_attribute_list("class") if tag.has_attr("class") else []
    tag["class"] = " ".join([*map(str, held), name])


def words(tag: Tag) -> str:
    """An element's text in one line."""
    return " ".join(tag.get_text(" ").split())


def near(tag: Tag, title: str) -> str:
    """The heading that an element stands under."""
    found = tag.find_previous(HEADINGS)
    return (words(found) if found else "") or title
