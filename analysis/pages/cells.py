"""The cells of a notebook as HTML without scripts and external resources."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path

import nh3
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from traitlets.config import Config

ASSETS = Path(__file__).parent / "assets"

PRIORITY = ("text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/plain")
"""MIME types in order of preference, for outputs that have several."""

HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]

TAGS = nh3.ALLOWED_TAGS | {"section", "tfoot"}
"""Elements that are kept; other elements are replaced by their text."""

DROPPED = {"script", "style", "svg", "math", "iframe", "object", "embed", "noscript", "template"}
DROPPED |= {"head", "title"}
"""Elements that are removed together with their content."""

ATTRIBUTES = {
    "*": {"class", "title", "alt", "colspan", "rowspan", "scope", "width", "height"},
    "a": {"href"},
    "details": {"open"},
    "img": {"src", "hidden"},
    "ol": {"start"},
    "td": {"style"},
    "th": {"style"},
}
"""Attributes that are kept; of `style`, only the alignment of text."""

LINK = re.compile(r"#|(https?|mailto):", re.IGNORECASE)
PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]+")


def as_html(notebook: NotebookNode) -> str:
    """The texts and outputs of a notebook, without its code; see `clean`."""
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name=ASSETS.name,
        extra_template_basedirs=[str(ASSETS.parent)],
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
        filters={"clean": clean, "figure": figure},
        config=Config({"NbConvertBase": {"display_data_priority": list(PRIORITY)}}),
    )
    return str(exporter.from_notebook_node(notebook)[0])


def figure(output: NotebookNode, mime_type: str) -> str:
    """A figure element of an output that is an image; `alt` is empty if it has no description."""
    metadata = output.get("metadata", {}).get(mime_type, {})
    text = str(output["data"].get("text/plain", ""))
    alt = html.escape(metadata.get("alt") or ("" if text.startswith("<") else text))
    content = output["data"][mime_type]
    if mime_type == "image/svg+xml":
        content = base64.b64encode(content.encode()).decode()
    source = f"data:{mime_type};base64,{''.join(content.split())}"
    image = f'<img class="wide light" src="{source}" alt="{alt}">'
    return clean(f'<figure class="drawn"><div class="images">{image}</div></figure>')


def clean(markup: str) -> str:
    """HTML without scripts and external resources; `data-…` attributes are kept.

    Links that are neither web addresses nor within the page lose their `href`, and pictures that
    are not part of the page their `src`.
    """
    return nh3.clean(
        markup,
        tags=TAGS,
        clean_content_tags=DROPPED,
        attributes=ATTRIBUTES,
        attribute_filter=harmless,
        generic_attribute_prefixes={"data-"},
        filter_style_properties={"text-align"},
        url_schemes={"http", "https", "mailto", "data"},
        link_rel=None,
    )


def harmless(_tag: str, name: str, value: str) -> str | None:
    """An attribute's value, or None if it would load a resource or run a script."""
    pattern = {"href": LINK, "src": PICTURE}.get(name)
    if pattern is None:
        return value
    matched = pattern.match(value.strip()) if name == "href" else pattern.fullmatch(value.strip())
    return value.strip() if matched else None
