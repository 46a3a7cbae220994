"""An executed notebook as one HTML file that asks for nothing else, or as Markdown.

nbconvert turns cells into markup by a template of ours; what it gives is cleaned (no scripts, no
addresses to load), given ids, contents and links to the tables, and put into a page whose style and
script are part of it. The same notebook is the same bytes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

from bs4 import BeautifulSoup, Tag
from bs4.element import PreformattedString
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from PIL import Image
from traitlets.config import Config

from mtd.errors import BadInput

ASSETS = Path(__file__).parent / "page_assets"

PRIORITY = ("text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/plain")
"""What is shown of an output that comes in several forms."""

LARGE = 64 * 1024
"""Attachments of more bytes are compressed."""

LONG = 16
"""Tables of more rows scroll in a frame, under their header."""

DENSE = 9
"""Tables of more columns are printed smaller."""

TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".png": "image/png",
    ".gz": "application/gzip",
}

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
NUMBER = re.compile(r"[+−-]?(\d[\d,]*\.?\d*|\.\d+)(e[+-]?\d+)?\s?%?|nan|[+-]?inf|–", re.IGNORECASE)
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ALIGNED = re.compile(r"text-align:\s*(left|right|center)")


@dataclass(frozen=True)
class Attachment:
    """A file that the page carries: its name, as `cka/cka.csv`, and what is in it."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Entry:
    """A line of the contents."""

    level: int
    id: str
    text: str


@dataclass(frozen=True)
class File:
    """A line of the appendix."""

    id: str
    name: str
    download: str
    address: str
    size: str


@dataclass(frozen=True)
class Folder:
    """A group of lines of the appendix."""

    name: str
    files: tuple[File, ...]


class Names:
    """Ids that are given once each, and those that the page has from the start."""

    def __init__(self) -> None:
        self.given = {"content", "data"}

    def new(self, text: str) -> str:
        """An id made of a text; a number is added where it was given before.

        >>> names = Names()
        >>> names.new("Cross noise (σ)"), names.new("cross noise σ")
        ('cross-noise-σ', 'cross-noise-σ-1')
        """
        plain = slug(text) or "part"
        count, name = 0, plain
        while name in self.given:
            count += 1
            name = f"{plain}-{count}"
        self.given.add(name)
        return name


def slug(text: str) -> str:
    """A heading's id, as GitHub makes them, so that a notebook's own links to it hold."""
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")


def html(notebook: NotebookNode, attachments: Sequence[Attachment], title: str) -> str:
    """The page.

    Args:
        notebook: executed; its code is left out.
        attachments: files for the appendix, to which figures and tables link by name (`data-csv`).
        title: of the document, and its heading where the notebook does not begin with one.
    """
    soup = BeautifulSoup(cells(notebook), "html.parser")
    names = Names()
    heading, contents = headings(soup, names, title)
    folders, anchors = appendix(attachments, names)
    if folders:
        contents.append(Entry(2, "data", "Data"))
    links(soup, names)
    pictures(soup, heading)
    for table in soup.find_all("table"):
        framed(soup, table, heading)
    for text in soup.find_all("pre"):
        text.attrs |= {
            "tabindex": "0",
            "role": "region",
            "aria-label": f"Text, {near(text, heading)}",
        }
    sources(soup, anchors)
    style, script = (asset(name) for name in ("style.css", "script.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src '{digest(style)}'; "
        f"script-src '{digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    environment = Environment(loader=FileSystemLoader(ASSETS), autoescape=True)
    return environment.get_template("page.html.j2").render(
        title=title,
        heading=heading,
        contents=contents,
        body=Markup(soup),
        folders=folders,
        policy=policy,
        style=Markup(style),
        script=Markup(script),
    )


def asset(name: str) -> str:
    """A file of the page."""
    return (ASSETS / name).read_text(encoding="utf-8")


def digest(text: str) -> str:
    """How a Content-Security-Policy names the one script, or style, that it allows."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


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


def headings(soup: BeautifulSoup, names: Names, title: str) -> tuple[str, list[Entry]]:
    """Give headings ids, and leave one of the first level, which is taken out.

    Returns:
        The page's heading, and the contents.
    """
    found = soup.find_all(HEADINGS)
    if found and found[0].name == "h1":
        title = words(found[0]) or title
        names.new(title)  # links to it are dropped, but no other heading has its id
        found.pop(0).decompose()
    lower = any(tag.name == "h1" for tag in found)  # several of the first level are made chapters
    contents = []
    for tag in found:
        level, text = int(tag.name[1]), words(tag)
        tag.name = f"h{min(6, level + lower)}"
        tag["id"] = names.new(text)
        if level <= 3 and text and not tag.find_parent(class_="pairwise"):
            contents.append(Entry(level + lower, str(tag["id"]), text))
    return title, contents


def links(soup: BeautifulSoup, names: Names) -> None:
    """Links within the page lead to a heading, or are text; others give no referrer away."""
    for link in soup.find_all("a"):
        href = str(link["href"])
        if not href.startswith("#"):
            link["rel"] = "noopener noreferrer"
            continue
        wanted = slug(unquote(href[1:]))
        if wanted in names.given:
            link["href"] = f"#{wanted}"
        else:
            link.unwrap()


def pictures(soup: BeautifulSoup, title: str) -> None:
    """Every picture has a description, and its size, so that nothing moves while it is decoded."""
    for image in soup.find_all("img"):
        image["alt"] = image["alt"] or f"Figure, {near(image, title)}"
        kind, _, coded = str(image["src"]).partition(";base64,")
        if not image.has_attr("width") and "svg" not in kind:
            try:
                with Image.open(io.BytesIO(base64.b64decode(coded))) as opened:
                    width, height = opened.size
            except OSError:  # damaged; the description is shown
                continue
            image["width"], image["height"] = str(width), str(height)
            if height > 1.2 * width and image.parent is not None:
                classed(image.parent, "tall")


def framed(soup: BeautifulSoup, table: Tag, title: str) -> None:
    """Put a table into a container in which it scrolls, and numbers to the right."""
    label = words(table.caption) if table.caption else near(table, title)
    frame = {"class": "scroll", "role": "region", "tabindex": "0", "aria-label": f"Table, {label}"}
    table.wrap(soup.new_tag("div", attrs=frame))
    if len(table.select("tbody tr")) > LONG:
        classed(table, "long")
    if max((len(row.find_all(["td", "th"])) for row in table("tr")), default=0) > DENSE:
        classed(table, "dense")
    for cell in table.find_all("td"):
        if not cell.has_attr("class") and NUMBER.fullmatch(words(cell)):
            classed(cell, "number")
    head, rows = table.select("thead tr:last-child th"), table.select("tbody tr")
    for name, cell in zip(head, rows[-1].find_all(["td", "th"]) if rows else [], strict=False):
        if not name.has_attr("class") and "number" in cell.get_attribute_list("class"):
            classed(name, "number")


def sources(soup: BeautifulSoup, anchors: dict[str, str]) -> None:
    """Under each figure and table that names its data, a link to them in the appendix."""
    for shown in soup.select("[data-csv]"):
        name = str(shown["data-csv"])
        if name not in anchors:
            continue
        link = soup.new_tag("a", attrs={"href": f"#{anchors[name]}"})
        link.string = f"data: {PurePosixPath(name).name}"
        line = soup.new_tag("p", attrs={"class": "source"})
        line.append(link)
        if shown.name == "figure":
            caption = shown.figcaption or soup.new_tag("figcaption")
            caption.append(line)
            shown.append(caption)
        else:
            outer = shown.find_parent(class_="scroll") or shown
            outer.insert_after(line)


def appendix(
    attachments: Sequence[Attachment], names: Names
) -> tuple[list[Folder], dict[str, str]]:
    """The files by folder, and the id of each by its name."""
    groups: dict[str, list[File]] = {}
    anchors = {}
    for held in attachments:
        path = PurePosixPath(held.name)
        anchors[held.name] = names.new("data-" + re.sub(r"[/.]", "-", held.name))
        content, name, size = held.content, path.name, readable(len(held.content))
        if len(content) > LARGE:
            content, name = compressed(content), f"{name}.gz"
            size = f"{readable(len(content))}, {size} unpacked"
        kind = TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")
        address = f"data:{kind};base64,{base64.b64encode(content).decode()}"
        group = "" if str(path.parent) == "." else str(path.parent)
        file = File(anchors[held.name], held.name, name, address, size)
        groups.setdefault(group, []).append(file)
    return [Folder(name, tuple(files)) for name, files in groups.items()], anchors


def attached(text: str) -> list[Attachment]:
    """The files that a page carries, as they were given to `html`.

    Raises:
        BadInput: one of them is damaged.
    """
    soup = BeautifulSoup(text, "html.parser")
    found = []
    for link in soup.select(".appendix a[data-name][href^='data:']"):  # outputs have no such links
        name, (_, _, coded) = str(link["data-name"]), str(link["href"]).partition(";base64,")
        try:
            content = base64.b64decode(coded, validate=True)
            packed = str(link["download"]) == f"{PurePosixPath(name).name}.gz"
            found.append(Attachment(name, gzip.decompress(content) if packed else content))
        except (ValueError, OSError, EOFError, zlib.error):
            raise BadInput(f"{name}: damaged in the page; make the page anew") from None
    return found


def compressed(content: bytes) -> bytes:
    """Packed by gzip, without a time or the name of a system, so that it is always the same."""
    packed = gzip.compress(content, 9, mtime=0)
    return packed[:9] + b"\xff" + packed[10:]


def readable(size: int) -> str:
    """A number of bytes.

    >>> readable(330), readable(75008)
    ('330 B', '73.2 KiB')
    """
    return f"{size} B" if size < 1024 else f"{size / 1024:.1f} KiB"


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
